//! One file per operation or close family. An operation reads its input from the call, does one
//! thing with the store, and renders the answer; it never imports another operation.

mod bucket;
mod copy_object;
mod delete_object;
mod get_object;
mod list_object_versions;
mod list_objects;
mod multipart;
mod object_tagging;
mod put_object;

use super::call::Call;
use super::error::{Code, Error};
use super::operation::Operation;
use super::route::Target;
use crate::protocol::request::Response;

/// Runs the operation of a call: the one match from [`Operation`] to function.
pub(super) async fn run(operation: Operation, target: Target, mut call: Call<'_>) -> Result<Response, Error> {
    use Operation as O;
    use Target::{Bucket, Object, Service};
    match (operation, target) {
        (O::ListBuckets, Service) => bucket::list_buckets(&call),

        (O::CreateBucket, Bucket(name)) => bucket::create_bucket(call, name).await,
        (O::DeleteBucket, Bucket(name)) => bucket::delete_bucket(&call, &name).await,
        (O::HeadBucket, Bucket(name)) => bucket::head_bucket(&call, &name),
        (O::GetBucketLocation, Bucket(name)) => bucket::get_bucket_location(&call, &name),
        (O::GetBucketVersioning, Bucket(name)) => bucket::get_bucket_versioning(&call, &name),
        (O::ListObjects, Bucket(name)) => list_objects::list_objects(&call, &name).await,
        (O::ListObjectsV2, Bucket(name)) => list_objects::list_objects_v2(&call, &name).await,
        (O::ListObjectVersions, Bucket(name)) => {
            list_object_versions::list_object_versions(&call, &name).await
        }
        (O::ListMultipartUploads, Bucket(name)) => multipart::list_multipart_uploads(&call, &name).await,
        (O::DeleteObjects, Bucket(name)) => delete_object::delete_objects(call, name).await,

        (O::GetObject | O::HeadObject, Object(bucket, key)) => {
            get_object::get_object(&mut call, &bucket, &key).await
        }
        (O::PutObject, Object(bucket, key)) => put_object::put_object(call, bucket, key).await,
        (O::CopyObject, Object(bucket, key)) => copy_object::copy_object(call, bucket, key).await,
        (O::DeleteObject, Object(bucket, key)) => delete_object::delete_object(&call, &bucket, key).await,
        (O::GetObjectTagging, Object(bucket, key)) => {
            object_tagging::get_object_tagging(&call, &bucket, &key).await
        }
        (O::PutObjectTagging, Object(bucket, key)) => {
            object_tagging::put_object_tagging(call, bucket, key).await
        }
        (O::DeleteObjectTagging, Object(bucket, key)) => {
            object_tagging::delete_object_tagging(&call, bucket, key).await
        }

        (O::CreateMultipartUpload, Object(bucket, key)) => {
            multipart::create_multipart_upload(call, bucket, key).await
        }
        (O::UploadPart, Object(bucket, key)) => multipart::upload_part(call, bucket, key).await,
        (O::UploadPartCopy, Object(bucket, key)) => multipart::upload_part_copy(call, bucket, key).await,
        (O::ListParts, Object(bucket, key)) => multipart::list_parts(&call, bucket, key),
        (O::CompleteMultipartUpload, Object(bucket, key)) => {
            multipart::complete_multipart_upload(call, bucket, key).await
        }
        (O::AbortMultipartUpload, Object(bucket, key)) => {
            multipart::abort_multipart_upload(&call, bucket, key).await
        }

        (other, _) => Err(Error::not_implemented(other.name())),
    }
}

/// What every operation on a bucket that is not there answers.
pub(super) fn no_such_bucket(bucket: &crate::model::BucketName) -> Error {
    Error::new(Code::NoSuchBucket).field("BucketName", bucket.as_str())
}
