//! The query names that do not choose the operation: which operation takes which, and what becomes of
//! one that it does not take. Pure.
//!
//! Names that are in no table here or in `sub_resource` are ignored, as S3 ignores them: SDKs add
//! `x-id`, makers of links `content-type`, and signatures have their own. `x-amz-…` in a signed link
//! is a header that was moved there, see `header`.
//!
//! AWS: "Actions" of the Amazon S3 API reference; the refusals are as published measurements of S3
//! have them.

use http::Method;

use super::error::{Code, Error};
use super::operation::Operation;
use super::route::Target;
use crate::protocol::query::Query;

/// A query name and what it means to whom.
pub(super) struct Parameter {
    /// The query name.
    pub(super) name: &'static str,
    /// The operations that take it.
    pub(super) taken_by: &'static [Operation],
    /// What the other ones do.
    pub(super) elsewhere: Elsewhere,
}

/// What an operation does with a parameter that it does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// S3 ignores it.
    Ignored,
    /// Reads ignore it, as in S3. A write that bears the marks of a listing was meant to be another
    /// request, and is refused.
    RefusedByWrites,
    /// It is refused.
    Refused,
}

const fn parameter(name: &'static str, taken_by: &'static [Operation], elsewhere: Elsewhere) -> Parameter {
    Parameter { name, taken_by, elsewhere }
}

/// Every parameter that S3 knows.
pub(super) const ALL: &[Parameter] = {
    use Elsewhere::{Ignored, Refused, RefusedByWrites};
    use Operation as O;
    &[
        parameter("versionId", OF_VERSIONS, Refused),
        parameter("partNumber", &[O::GetObject, O::HeadObject, O::UploadPart, O::UploadPartCopy], Refused),
        parameter("select-type", &[O::SelectObjectContent], Refused),
        parameter("annotationName", OF_ANNOTATIONS, Refused),
        parameter("annotation-prefix", OF_ANNOTATIONS, RefusedByWrites),
        parameter("max-annotation-results", OF_ANNOTATIONS, RefusedByWrites),
        parameter("list-type", &[O::ListObjects, O::ListObjectsV2], RefusedByWrites),
        parameter("prefix", LISTS_AND_BUCKETS, RefusedByWrites),
        parameter("delimiter", LISTS, RefusedByWrites),
        parameter("encoding-type", LISTS_AND_PARTS, RefusedByWrites),
        parameter("max-keys", &[O::ListObjects, O::ListObjectsV2, O::ListObjectVersions], RefusedByWrites),
        parameter("marker", &[O::ListObjects], RefusedByWrites),
        parameter("continuation-token", WITH_TOKEN, RefusedByWrites),
        parameter("start-after", &[O::ListObjectsV2], RefusedByWrites),
        parameter("fetch-owner", &[O::ListObjectsV2], RefusedByWrites),
        parameter("key-marker", &[O::ListObjectVersions, O::ListMultipartUploads], RefusedByWrites),
        parameter("version-id-marker", &[O::ListObjectVersions], RefusedByWrites),
        parameter("upload-id-marker", &[O::ListMultipartUploads], RefusedByWrites),
        parameter("max-uploads", &[O::ListMultipartUploads], RefusedByWrites),
        parameter("max-parts", &[O::ListParts], RefusedByWrites),
        parameter("part-number-marker", &[O::ListParts], RefusedByWrites),
        parameter("max-buckets", &[O::ListBuckets], RefusedByWrites),
        parameter("bucket-region", &[O::ListBuckets], RefusedByWrites),
        parameter("response-cache-control", READS, Ignored),
        parameter("response-content-disposition", READS, Ignored),
        parameter("response-content-encoding", READS, Ignored),
        parameter("response-content-language", READS, Ignored),
        parameter("response-content-type", READS, Ignored),
        parameter("response-expires", READS, Ignored),
        parameter("x-id", &[], Ignored),
    ]
};

const READS: &[Operation] = &[Operation::GetObject, Operation::HeadObject];

const LISTS: &[Operation] = &[
    Operation::ListObjects,
    Operation::ListObjectsV2,
    Operation::ListObjectVersions,
    Operation::ListMultipartUploads,
];

const LISTS_AND_BUCKETS: &[Operation] = &[
    Operation::ListObjects,
    Operation::ListObjectsV2,
    Operation::ListObjectVersions,
    Operation::ListMultipartUploads,
    Operation::ListBuckets,
];

const LISTS_AND_PARTS: &[Operation] = &[
    Operation::ListObjects,
    Operation::ListObjectsV2,
    Operation::ListObjectVersions,
    Operation::ListMultipartUploads,
    Operation::ListParts,
];

/// The four configurations of buckets are lists too.
const WITH_TOKEN: &[Operation] = &[
    Operation::ListObjectsV2,
    Operation::ListBuckets,
    Operation::GetBucketAnalyticsConfiguration,
    Operation::GetBucketIntelligentTieringConfiguration,
    Operation::GetBucketInventoryConfiguration,
    Operation::GetBucketMetricsConfiguration,
    Operation::GetObjectAnnotation,
];

const OF_ANNOTATIONS: &[Operation] =
    &[Operation::GetObjectAnnotation, Operation::PutObjectAnnotation, Operation::DeleteObjectAnnotation];

/// The operations that can be asked of one version.
const OF_VERSIONS: &[Operation] = &[
    Operation::GetObject,
    Operation::HeadObject,
    Operation::DeleteObject,
    Operation::GetObjectAcl,
    Operation::PutObjectAcl,
    Operation::GetObjectAnnotation,
    Operation::PutObjectAnnotation,
    Operation::DeleteObjectAnnotation,
    Operation::GetObjectAttributes,
    Operation::GetObjectLegalHold,
    Operation::PutObjectLegalHold,
    Operation::GetObjectRetention,
    Operation::PutObjectRetention,
    Operation::GetObjectTagging,
    Operation::PutObjectTagging,
    Operation::DeleteObjectTagging,
    Operation::RestoreObject,
    Operation::UpdateObjectEncryption,
];

/// Refuses what a query holds that its operation does not take.
///
/// # Errors
/// `InvalidArgument`, and `InvalidRequest` for `partNumber` where there is no key.
pub(super) fn check(
    operation: Operation,
    method: &Method,
    target: &Target,
    query: &Query,
) -> Result<(), Error> {
    for (name, value) in query.iter() {
        let Some(parameter) = ALL.iter().find(|parameter| parameter.name == name) else { continue };
        if parameter.is_refused_by(operation, method) {
            return Err(parameter.refuse(operation, target, value));
        }
    }
    Ok(())
}

impl Parameter {
    /// Whether an operation, which is this method of something, refuses it.
    pub(super) fn is_refused_by(&self, operation: Operation, method: &Method) -> bool {
        if self.taken_by.contains(&operation) {
            return false;
        }
        match self.elsewhere {
            Elsewhere::Ignored => false,
            Elsewhere::RefusedByWrites => {
                let reads = matches!(*method, Method::GET | Method::HEAD);
                !reads || self.is_of_the_other_version(operation)
            }
            Elsewhere::Refused => true,
        }
    }

    /// S3: each version of the listing refuses what says where the other one goes on.
    fn is_of_the_other_version(&self, operation: Operation) -> bool {
        matches!(
            (operation, self.name),
            (Operation::ListObjects, "continuation-token" | "start-after")
                | (Operation::ListObjectsV2, "marker")
        )
    }

    fn refuse(&self, operation: Operation, target: &Target, value: &str) -> Error {
        let words = match (self.name, operation) {
            ("partNumber", _) if !matches!(target, Target::Object(..)) => {
                return Error::with_message(Code::InvalidRequest, "Object must have a valid key name.");
            }
            ("partNumber", _) => "This operation does not accept partNumber without uploadId".to_owned(),
            ("versionId", _) => "This operation does not accept a version-id.".to_owned(),
            ("marker", Operation::ListObjectsV2) => {
                "Marker unsupported with REST.GET.BUCKET in list-type=2".to_owned()
            }
            ("start-after", Operation::ListObjects) => {
                "startAfter only supported in REST.GET.BUCKET with list-type=2".to_owned()
            }
            ("continuation-token", Operation::ListObjects) => {
                "continuation-token only supported in REST.GET.BUCKET with list-type=2".to_owned()
            }
            (name, operation) => format!(
                "Unexpected query string parameter: {} does not take {name}; leave it out.",
                operation.name()
            ),
        };
        Error::invalid_argument(self.name, value, words)
    }
}
