//! PutObject.
//!
//! AWS: `PutObject`. Whatever can be refused is refused before the body is read, so that a client
//! that waits for `100 Continue` never sends it in vain.

use http::StatusCode;

use crate::model::{BucketName, ObjectKey};
use crate::protocol::conditions;
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::Error;
use crate::s3::{request, response};
use crate::store::PutObject;

/// PutObject: 200 with the ETag and the checksum of what was stored.
pub(super) async fn put_object(
    mut call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let metadata = request::metadata(&call.headers)?;
    let tags = request::tags(&call.headers)?;
    let conditions = conditions::of_write(&call.headers)?;
    call.bucket_exists(&bucket)?;
    call.check_write(&bucket, &key, conditions.clone()).await?;
    let received = call.receive(&[]).await?;
    // Once more: while the body came, production's object may have been deleted or fetched here.
    let conditions = call.check_write(&bucket, &key, conditions).await?;
    let object = call
        .store()
        .put_object(PutObject {
            bucket,
            key,
            staged: received.staged,
            metadata,
            tags,
            owner: call.identity.owner(),
            checksum: received.checksum,
            conditions,
        })
        .await?;
    let mut answer = response::empty(StatusCode::OK);
    response::write_etag(answer.headers_mut(), &object.etag);
    if let Some(checksum) = &object.checksum {
        response::write_checksum(answer.headers_mut(), checksum);
    }
    Ok(answer)
}
