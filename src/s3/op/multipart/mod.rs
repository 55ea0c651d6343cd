//! Multipart uploads: create, upload and copy parts, list, complete, abort.
//!
//! AWS: "Multipart upload overview". Parts are stored once; completing and copying them only
//! writes which bytes the object consists of.

mod complete;
mod create;
mod list;
mod part;

pub(super) use complete::{abort_multipart_upload, complete_multipart_upload};
pub(super) use create::create_multipart_upload;
pub(super) use list::{list_multipart_uploads, list_parts};
pub(super) use part::{upload_part, upload_part_copy};

use crate::model::{BucketName, ObjectKey, UploadId};
use crate::s3::call::Call;
use crate::s3::error::{Code, Error};
use crate::store::UploadRef;

/// Which upload a request is about, from its path and `uploadId`.
///
/// S3: an id that was never given out is `NoSuchUpload`, whatever it looks like.
fn upload_ref(call: &Call<'_>, bucket: BucketName, key: ObjectKey) -> Result<UploadRef, Error> {
    let text = call.query.get("uploadId").unwrap_or_default();
    let id = UploadId::parse(text).map_err(|_| {
        Error::new(Code::NoSuchUpload).field("UploadId", text.chars().take(128).collect::<String>())
    })?;
    Ok(UploadRef { bucket, key, id })
}
