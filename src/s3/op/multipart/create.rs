//! CreateMultipartUpload.

use crate::model::{BucketName, ChecksumAlgorithm, ChecksumKind, ObjectKey};
use crate::protocol::request::Response;
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::s3::{request, response};
use crate::store::NewUpload;

/// CreateMultipartUpload: fixes what the object will carry, and gives the upload its id.
pub(in crate::s3::op) async fn create_multipart_upload(
    call: Call<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<Response, Error> {
    let checksum = checksum(&call)?;
    let upload = call
        .store()
        .create_upload(NewUpload {
            bucket,
            key,
            metadata: request::metadata(&call.headers)?,
            tags: request::tags(&call.headers)?,
            owner: call.identity.owner(),
            checksum,
            session: None,
        })
        .await?;
    let mut answer = response::xml("InitiateMultipartUploadResult", |xml| {
        xml.value("Bucket", upload.bucket.as_str());
        xml.value("Key", upload.key.as_str());
        xml.value("UploadId", upload.id.as_str());
    });
    if let Some((algorithm, kind)) = checksum {
        response::insert(answer.headers_mut(), "x-amz-checksum-algorithm", algorithm.name());
        response::insert(answer.headers_mut(), "x-amz-checksum-type", kind.name());
    }
    Ok(answer)
}

/// AWS: `CreateMultipartUpload`, `x-amz-checksum-algorithm` and `x-amz-checksum-type`.
fn checksum(call: &Call<'_>) -> Result<Option<(ChecksumAlgorithm, ChecksumKind)>, Error> {
    let algorithm = request::checksum_algorithm(&call.headers)?;
    let kind = request::checksum_kind(&call.headers)?;
    match (algorithm, kind) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::with_message(
            Code::InvalidRequest,
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some(algorithm), kind) => {
            let kind = kind.unwrap_or_else(|| algorithm.default_multipart_kind());
            if !algorithm.supports(kind) {
                return Err(Error::with_message(
                    Code::InvalidRequest,
                    format!(
                        "The {} checksum type cannot be used with the {} checksum algorithm.",
                        kind.name(),
                        algorithm.name()
                    ),
                ));
            }
            Ok(Some((algorithm, kind)))
        }
    }
}
