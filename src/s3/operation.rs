//! The closed set of operations, by AWS's names, and how a request says which one it wants.
//!
//! AWS: "Actions" of the Amazon S3 API reference. An operation that is known here but not served
//! answers `NotImplemented` with its name: never a wrong success.

use http::{HeaderMap, Method};

use super::error::{Code, Error};
use super::route::Target;
use crate::model::Permission;
use crate::protocol::query::Query;

/// Defines [`Operation`] with its wire names and the permission that each needs.
macro_rules! operations {
    ($($name:ident: $permission:ident,)*) => {
        /// An operation of the S3 API; AWS's reference documents each under its very name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Operation { $($name,)* }

        impl Operation {
            /// AWS's name.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What its caller must be allowed to do.
            pub(super) fn permission(self) -> Permission {
                match self { $(Self::$name => Permission::$permission,)* }
            }
        }
    };
}

operations! {
    ListBuckets: List,

    CreateBucket: Admin,
    DeleteBucket: Admin,
    HeadBucket: List,
    GetBucketLocation: List,
    ListObjects: List,
    ListObjectsV2: List,
    ListObjectVersions: List,
    ListMultipartUploads: List,
    DeleteObjects: Write,
    PostObject: Write,
    CreateSession: Read,

    GetObject: Read,
    HeadObject: Read,
    PutObject: Write,
    CopyObject: Write,
    DeleteObject: Write,
    GetObjectAttributes: Read,
    GetObjectAcl: Read,
    PutObjectAcl: Write,
    GetObjectTagging: Read,
    PutObjectTagging: Write,
    DeleteObjectTagging: Write,
    GetObjectLegalHold: Read,
    PutObjectLegalHold: Write,
    GetObjectRetention: Read,
    PutObjectRetention: Write,
    GetObjectTorrent: Read,
    RestoreObject: Write,
    RenameObject: Write,
    SelectObjectContent: Read,
    UpdateObjectEncryption: Write,
    GetObjectAnnotation: Read,
    PutObjectAnnotation: Write,
    DeleteObjectAnnotation: Write,

    CreateMultipartUpload: Write,
    UploadPart: Write,
    UploadPartCopy: Write,
    ListParts: List,
    CompleteMultipartUpload: Write,
    AbortMultipartUpload: Write,

    GetBucketAbac: Admin,
    PutBucketAbac: Admin,
    GetBucketAccelerateConfiguration: Admin,
    PutBucketAccelerateConfiguration: Admin,
    GetBucketAcl: Admin,
    PutBucketAcl: Admin,
    GetBucketAnalyticsConfiguration: Admin,
    PutBucketAnalyticsConfiguration: Admin,
    DeleteBucketAnalyticsConfiguration: Admin,
    GetBucketCors: Admin,
    PutBucketCors: Admin,
    DeleteBucketCors: Admin,
    GetBucketEncryption: Admin,
    PutBucketEncryption: Admin,
    DeleteBucketEncryption: Admin,
    GetBucketIntelligentTieringConfiguration: Admin,
    PutBucketIntelligentTieringConfiguration: Admin,
    DeleteBucketIntelligentTieringConfiguration: Admin,
    GetBucketInventoryConfiguration: Admin,
    PutBucketInventoryConfiguration: Admin,
    DeleteBucketInventoryConfiguration: Admin,
    GetBucketLifecycleConfiguration: Admin,
    PutBucketLifecycleConfiguration: Admin,
    DeleteBucketLifecycle: Admin,
    GetBucketLogging: Admin,
    PutBucketLogging: Admin,
    CreateBucketMetadataConfiguration: Admin,
    GetBucketMetadataConfiguration: Admin,
    DeleteBucketMetadataConfiguration: Admin,
    CreateBucketMetadataTableConfiguration: Admin,
    GetBucketMetadataTableConfiguration: Admin,
    DeleteBucketMetadataTableConfiguration: Admin,
    UpdateBucketMetadataAnnotationTableConfiguration: Admin,
    UpdateBucketMetadataInventoryTableConfiguration: Admin,
    UpdateBucketMetadataJournalTableConfiguration: Admin,
    GetBucketMetricsConfiguration: Admin,
    PutBucketMetricsConfiguration: Admin,
    DeleteBucketMetricsConfiguration: Admin,
    GetBucketNotificationConfiguration: Admin,
    PutBucketNotificationConfiguration: Admin,
    GetBucketOwnershipControls: Admin,
    PutBucketOwnershipControls: Admin,
    DeleteBucketOwnershipControls: Admin,
    GetBucketPolicy: Admin,
    PutBucketPolicy: Admin,
    DeleteBucketPolicy: Admin,
    GetBucketPolicyStatus: Admin,
    GetBucketReplication: Admin,
    PutBucketReplication: Admin,
    DeleteBucketReplication: Admin,
    GetBucketRequestPayment: Admin,
    PutBucketRequestPayment: Admin,
    GetBucketTagging: Admin,
    PutBucketTagging: Admin,
    DeleteBucketTagging: Admin,
    GetBucketVersioning: List,
    PutBucketVersioning: Admin,
    GetBucketWebsite: Admin,
    PutBucketWebsite: Admin,
    DeleteBucketWebsite: Admin,
    GetObjectLockConfiguration: Admin,
    PutObjectLockConfiguration: Admin,
    GetPublicAccessBlock: Admin,
    PutPublicAccessBlock: Admin,
    DeletePublicAccessBlock: Admin,
}

/// One sub-resource: its query parameter and what GET, PUT and DELETE of it are.
type SubResource = (&'static str, Option<Operation>, Option<Operation>, Option<Operation>);

/// Sub-resources of a bucket. The first one that a query has decides.
///
/// All that botocore knows are here, served or not: one that is missing would make its DELETE the
/// deletion of the bucket or object itself.
const OF_BUCKET: &[SubResource] = {
    use Operation as O;
    &[
        ("abac", Some(O::GetBucketAbac), Some(O::PutBucketAbac), None),
        (
            "accelerate",
            Some(O::GetBucketAccelerateConfiguration),
            Some(O::PutBucketAccelerateConfiguration),
            None,
        ),
        ("acl", Some(O::GetBucketAcl), Some(O::PutBucketAcl), None),
        (
            "analytics",
            Some(O::GetBucketAnalyticsConfiguration),
            Some(O::PutBucketAnalyticsConfiguration),
            Some(O::DeleteBucketAnalyticsConfiguration),
        ),
        ("cors", Some(O::GetBucketCors), Some(O::PutBucketCors), Some(O::DeleteBucketCors)),
        (
            "encryption",
            Some(O::GetBucketEncryption),
            Some(O::PutBucketEncryption),
            Some(O::DeleteBucketEncryption),
        ),
        (
            "intelligent-tiering",
            Some(O::GetBucketIntelligentTieringConfiguration),
            Some(O::PutBucketIntelligentTieringConfiguration),
            Some(O::DeleteBucketIntelligentTieringConfiguration),
        ),
        (
            "inventory",
            Some(O::GetBucketInventoryConfiguration),
            Some(O::PutBucketInventoryConfiguration),
            Some(O::DeleteBucketInventoryConfiguration),
        ),
        (
            "lifecycle",
            Some(O::GetBucketLifecycleConfiguration),
            Some(O::PutBucketLifecycleConfiguration),
            Some(O::DeleteBucketLifecycle),
        ),
        ("location", Some(O::GetBucketLocation), None, None),
        ("logging", Some(O::GetBucketLogging), Some(O::PutBucketLogging), None),
        ("metadataAnnotationTable", None, Some(O::UpdateBucketMetadataAnnotationTableConfiguration), None),
        (
            "metadataConfiguration",
            Some(O::GetBucketMetadataConfiguration),
            None,
            Some(O::DeleteBucketMetadataConfiguration),
        ),
        ("metadataInventoryTable", None, Some(O::UpdateBucketMetadataInventoryTableConfiguration), None),
        ("metadataJournalTable", None, Some(O::UpdateBucketMetadataJournalTableConfiguration), None),
        (
            "metadataTable",
            Some(O::GetBucketMetadataTableConfiguration),
            None,
            Some(O::DeleteBucketMetadataTableConfiguration),
        ),
        (
            "metrics",
            Some(O::GetBucketMetricsConfiguration),
            Some(O::PutBucketMetricsConfiguration),
            Some(O::DeleteBucketMetricsConfiguration),
        ),
        (
            "notification",
            Some(O::GetBucketNotificationConfiguration),
            Some(O::PutBucketNotificationConfiguration),
            None,
        ),
        ("object-lock", Some(O::GetObjectLockConfiguration), Some(O::PutObjectLockConfiguration), None),
        (
            "ownershipControls",
            Some(O::GetBucketOwnershipControls),
            Some(O::PutBucketOwnershipControls),
            Some(O::DeleteBucketOwnershipControls),
        ),
        ("policy", Some(O::GetBucketPolicy), Some(O::PutBucketPolicy), Some(O::DeleteBucketPolicy)),
        ("policyStatus", Some(O::GetBucketPolicyStatus), None, None),
        (
            "publicAccessBlock",
            Some(O::GetPublicAccessBlock),
            Some(O::PutPublicAccessBlock),
            Some(O::DeletePublicAccessBlock),
        ),
        (
            "replication",
            Some(O::GetBucketReplication),
            Some(O::PutBucketReplication),
            Some(O::DeleteBucketReplication),
        ),
        ("requestPayment", Some(O::GetBucketRequestPayment), Some(O::PutBucketRequestPayment), None),
        ("session", Some(O::CreateSession), None, None),
        ("tagging", Some(O::GetBucketTagging), Some(O::PutBucketTagging), Some(O::DeleteBucketTagging)),
        ("uploads", Some(O::ListMultipartUploads), None, None),
        ("versioning", Some(O::GetBucketVersioning), Some(O::PutBucketVersioning), None),
        ("versions", Some(O::ListObjectVersions), None, None),
        ("website", Some(O::GetBucketWebsite), Some(O::PutBucketWebsite), Some(O::DeleteBucketWebsite)),
    ]
};

/// Sub-resources of an object.
const OF_OBJECT: &[SubResource] = {
    use Operation as O;
    &[
        ("acl", Some(O::GetObjectAcl), Some(O::PutObjectAcl), None),
        (
            "annotation",
            Some(O::GetObjectAnnotation),
            Some(O::PutObjectAnnotation),
            Some(O::DeleteObjectAnnotation),
        ),
        ("attributes", Some(O::GetObjectAttributes), None, None),
        ("encryption", None, Some(O::UpdateObjectEncryption), None),
        ("legal-hold", Some(O::GetObjectLegalHold), Some(O::PutObjectLegalHold), None),
        ("renameObject", None, Some(O::RenameObject), None),
        ("retention", Some(O::GetObjectRetention), Some(O::PutObjectRetention), None),
        ("tagging", Some(O::GetObjectTagging), Some(O::PutObjectTagging), Some(O::DeleteObjectTagging)),
        ("torrent", Some(O::GetObjectTorrent), None, None),
    ]
};

impl Operation {
    /// Finds the operation that a request wants of its target.
    ///
    /// # Errors
    /// `MethodNotAllowed` where the target has no such operation.
    pub(super) fn find(
        method: &Method,
        target: &Target,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Self, Error> {
        let found = match target {
            Target::Service => (method == Method::GET).then_some(Self::ListBuckets),
            Target::Bucket(_) => match named(OF_BUCKET, query) {
                Some(sub_resource) => of_sub_resource(sub_resource, method),
                None => of_bucket(method, query),
            },
            Target::Object(..) => match named(OF_OBJECT, query) {
                Some(sub_resource) => of_sub_resource(sub_resource, method),
                None => of_object(method, query, headers),
            },
        };
        found.ok_or_else(|| method_not_allowed(method, target))
    }
}

/// The sub-resource that a query names.
fn named<'table>(table: &'table [SubResource], query: &Query) -> Option<&'table SubResource> {
    table.iter().find(|(name, ..)| query.has(name))
}

fn of_sub_resource((name, get, put, delete): &SubResource, method: &Method) -> Option<Operation> {
    match *method {
        Method::GET => *get,
        Method::PUT => *put,
        Method::DELETE => *delete,
        Method::POST if *name == "metadataConfiguration" => {
            Some(Operation::CreateBucketMetadataConfiguration)
        }
        Method::POST if *name == "metadataTable" => Some(Operation::CreateBucketMetadataTableConfiguration),
        _ => None,
    }
}

fn of_bucket(method: &Method, query: &Query) -> Option<Operation> {
    match *method {
        Method::GET if query.get("list-type") == Some("2") => Some(Operation::ListObjectsV2),
        Method::GET => Some(Operation::ListObjects),
        Method::HEAD => Some(Operation::HeadBucket),
        Method::PUT => Some(Operation::CreateBucket),
        Method::DELETE => Some(Operation::DeleteBucket),
        Method::POST if query.has("delete") => Some(Operation::DeleteObjects),
        Method::POST => Some(Operation::PostObject),
        _ => None,
    }
}

fn of_object(method: &Method, query: &Query, headers: &HeaderMap) -> Option<Operation> {
    let copies = headers.contains_key("x-amz-copy-source");
    let part = query.has("uploadId");
    match *method {
        Method::GET if part => Some(Operation::ListParts),
        Method::GET => Some(Operation::GetObject),
        Method::HEAD => Some(Operation::HeadObject),
        Method::PUT if part && copies => Some(Operation::UploadPartCopy),
        Method::PUT if part => Some(Operation::UploadPart),
        Method::PUT if copies => Some(Operation::CopyObject),
        Method::PUT => Some(Operation::PutObject),
        Method::DELETE if part => Some(Operation::AbortMultipartUpload),
        Method::DELETE => Some(Operation::DeleteObject),
        Method::POST if query.has("uploads") => Some(Operation::CreateMultipartUpload),
        Method::POST if part => Some(Operation::CompleteMultipartUpload),
        Method::POST if query.has("restore") => Some(Operation::RestoreObject),
        Method::POST if query.has("select") => Some(Operation::SelectObjectContent),
        _ => None,
    }
}

fn method_not_allowed(method: &Method, target: &Target) -> Error {
    let resource_type = match target {
        Target::Service => "SERVICE",
        Target::Bucket(_) => "BUCKET",
        Target::Object(..) => "OBJECT",
    };
    Error::new(Code::MethodNotAllowed)
        .field("Method", method.as_str().chars().take(32).collect::<String>())
        .field("ResourceType", resource_type)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::{Operation, Target};
    use crate::model::{BucketName, ObjectKey};
    use crate::protocol::query::Query;
    use crate::s3::error::Code;

    fn find(line: &str) -> Result<Operation, Code> {
        let (method, rest) = line.split_once(' ').expect("METHOD TARGET");
        let (line, copies) = rest.strip_suffix(" copy").map_or((rest, false), |rest| (rest, true));
        let (path, query) = line.split_once('?').unwrap_or((line, ""));
        let bucket = BucketName::parse("bucket").expect("a name");
        let target = match path {
            "/" => Target::Service,
            "/bucket" => Target::Bucket(bucket),
            _ => Target::Object(bucket, ObjectKey::parse("key").expect("a key")),
        };
        let mut headers = HeaderMap::new();
        if copies {
            headers.insert("x-amz-copy-source", HeaderValue::from_static("a/b"));
        }
        let method: Method = method.parse().expect("a method");
        let query = Query::parse(query).expect("a query");
        Operation::find(&method, &target, &query, &headers).map_err(|error| error.code())
    }

    #[test]
    fn one_line_per_request() {
        use Operation as O;
        for (line, operation) in [
            ("GET /", O::ListBuckets),
            ("GET /bucket", O::ListObjects),
            ("GET /bucket?prefix=a&encoding-type=url", O::ListObjects),
            ("GET /bucket?list-type=2", O::ListObjectsV2),
            ("GET /bucket?list-type=1", O::ListObjects),
            ("GET /bucket?versions", O::ListObjectVersions),
            ("GET /bucket?uploads", O::ListMultipartUploads),
            ("GET /bucket?location", O::GetBucketLocation),
            ("GET /bucket?policyStatus", O::GetBucketPolicyStatus),
            ("HEAD /bucket", O::HeadBucket),
            ("GET /bucket?session", O::CreateSession),
            ("PUT /bucket", O::CreateBucket),
            ("PUT /bucket?abac", O::PutBucketAbac),
            ("PUT /bucket?metadataInventoryTable", O::UpdateBucketMetadataInventoryTableConfiguration),
            ("DELETE /bucket?metadataTable", O::DeleteBucketMetadataTableConfiguration),
            ("DELETE /bucket?metadataConfiguration", O::DeleteBucketMetadataConfiguration),
            ("POST /bucket?metadataConfiguration", O::CreateBucketMetadataConfiguration),
            ("PUT /bucket?acl", O::PutBucketAcl),
            ("DELETE /bucket", O::DeleteBucket),
            ("DELETE /bucket?cors", O::DeleteBucketCors),
            ("POST /bucket?delete", O::DeleteObjects),
            ("POST /bucket", O::PostObject),
            ("GET /bucket/key", O::GetObject),
            ("GET /bucket/key?versionId=null", O::GetObject),
            ("GET /bucket/key?partNumber=1", O::GetObject),
            ("GET /bucket/key?uploadId=u", O::ListParts),
            ("GET /bucket/key?attributes", O::GetObjectAttributes),
            ("HEAD /bucket/key", O::HeadObject),
            ("PUT /bucket/key", O::PutObject),
            ("PUT /bucket/key copy", O::CopyObject),
            ("PUT /bucket/key?partNumber=1&uploadId=u", O::UploadPart),
            ("PUT /bucket/key?partNumber=1&uploadId=u copy", O::UploadPartCopy),
            ("PUT /bucket/key?tagging", O::PutObjectTagging),
            ("PUT /bucket/key?encryption", O::UpdateObjectEncryption),
            ("PUT /bucket/key?annotation&annotationName=a", O::PutObjectAnnotation),
            ("DELETE /bucket/key", O::DeleteObject),
            ("DELETE /bucket/key?annotation&annotationName=a", O::DeleteObjectAnnotation),
            ("DELETE /bucket/key?uploadId=u", O::AbortMultipartUpload),
            ("POST /bucket/key?uploads", O::CreateMultipartUpload),
            ("POST /bucket/key?uploadId=u", O::CompleteMultipartUpload),
            ("POST /bucket/key?restore", O::RestoreObject),
            ("POST /bucket/key?select&select-type=2", O::SelectObjectContent),
        ] {
            assert_eq!(find(line), Ok(operation), "{line}");
        }
    }

    #[test]
    fn a_known_sub_resource_never_falls_back_to_the_plain_operation() {
        // DELETE ?acl must not delete the bucket, PUT ?location must not create one.
        for line in
            ["DELETE /bucket?acl", "PUT /bucket?location", "POST /", "PATCH /bucket/key", "POST /bucket/key"]
        {
            assert_eq!(find(line), Err(Code::MethodNotAllowed), "{line}");
        }
    }
}
