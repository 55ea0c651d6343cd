//! The closed set of operations, by AWS's names, and how a request says which one it wants.
//!
//! AWS: "Actions" of the Amazon S3 API reference. An operation that is known here but not served
//! answers `NotImplemented` with its name: never a wrong success.
//!
//! Deliberately elsewhere: the query names that choose an operation (`sub_resource`), and those that
//! an operation takes (`parameter`).

use http::{HeaderMap, Method};

use super::error::{Code, Error};
use super::parameter;
use super::route::Target;
use super::sub_resource::{self, SubResource};
use crate::model::Permission;
use crate::protocol::query::Query;
use crate::signature::Version;
use crate::sigv2;

/// Defines [`Operation`] with its wire names and the permission that each needs.
macro_rules! operations {
    ($($name:ident: $permission:ident,)*) => {
        /// An operation of the S3 API; AWS's reference documents each under its very name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Operation { $($name,)* }

        impl Operation {
            /// Every operation.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];

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

/// What a request line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The operation.
    pub(super) operation: Operation,
    /// The query name that chose it, if one did.
    pub(super) sub_resource: Option<&'static SubResource>,
}

impl Chosen {
    /// Refuses version 2 of the signature where it does not cover the name that chose the operation:
    /// who has a signed request could otherwise turn it into another one.
    ///
    /// S3: so of object locks, and of the encryption of objects.
    pub(super) fn check_signed_by(self, version: Option<Version>) -> Result<(), Error> {
        match (version, self.sub_resource) {
            (Some(Version::V2), Some(sub_resource)) if !sigv2::signs(sub_resource.name) => {
                Err(Error::with_message(
                    Code::InvalidRequest,
                    format!("Requests of ?{} require AWS Signature Version 4.", sub_resource.name),
                ))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }
}

impl Operation {
    /// Whether it asks for what a bucket is and for none of its keys.
    pub(super) fn is_about_bucket(self) -> bool {
        matches!(self, Self::HeadBucket | Self::GetBucketLocation | Self::GetBucketVersioning)
    }

    /// Finds the operation that a request wants of its target, and refuses every query name of S3's
    /// that this operation does not take: no request runs an operation other than the one it names.
    ///
    /// # Errors
    /// `MethodNotAllowed` where the target has no such operation; `InvalidArgument`,
    /// `InvalidRequest` or `NotImplemented` for a name that it does not take.
    pub(super) fn find(
        method: &Method,
        target: &Target,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Chosen, Error> {
        let sub_resource = sub_resource::named(target, query)?;
        let copies = headers.contains_key("x-amz-copy-source");
        let found = match (target, sub_resource) {
            (Target::Service, None) => (method == Method::GET).then_some(Self::ListBuckets),
            (Target::Bucket(_), None) => of_bucket(method, query),
            (Target::Object(..), None) => of_object(method, copies),
            (Target::Object(..), Some(upload)) if upload.name == "uploadId" && query.has("partNumber") => {
                Some(of_part(method, copies)?)
            }
            (_, Some(sub_resource)) => sub_resource.operation(method, target),
        };
        let operation = found.ok_or_else(|| match sub_resource {
            Some(sub_resource) => sub_resource.refuse(method, target),
            None => method_not_allowed(method, target),
        })?;
        parameter::check(operation, method, target, query)?;
        Ok(Chosen { operation, sub_resource })
    }
}

/// `uploadId` says which upload is meant, and `partNumber` beside it which part, which only PUT can be
/// about.
fn of_part(method: &Method, copies: bool) -> Result<Operation, Error> {
    match *method {
        Method::PUT if copies => Ok(Operation::UploadPartCopy),
        Method::PUT => Ok(Operation::UploadPart),
        _ => Err(refuse_method(method, "PART")),
    }
}

fn of_bucket(method: &Method, query: &Query) -> Option<Operation> {
    match *method {
        // S3: any other value, and no value, is version 1.
        Method::GET if query.get("list-type") == Some("2") => Some(Operation::ListObjectsV2),
        Method::GET => Some(Operation::ListObjects),
        Method::HEAD => Some(Operation::HeadBucket),
        Method::PUT => Some(Operation::CreateBucket),
        Method::DELETE => Some(Operation::DeleteBucket),
        Method::POST => Some(Operation::PostObject),
        _ => None,
    }
}

fn of_object(method: &Method, copies: bool) -> Option<Operation> {
    match *method {
        Method::GET => Some(Operation::GetObject),
        Method::HEAD => Some(Operation::HeadObject),
        Method::PUT if copies => Some(Operation::CopyObject),
        Method::PUT => Some(Operation::PutObject),
        Method::DELETE => Some(Operation::DeleteObject),
        _ => None,
    }
}

fn method_not_allowed(method: &Method, target: &Target) -> Error {
    let resource_type = match target {
        Target::Service => "SERVICE",
        Target::Bucket(_) => "BUCKET",
        Target::Object(..) => "OBJECT",
    };
    refuse_method(method, resource_type)
}

/// `MethodNotAllowed` of a resource, by S3's name for its type.
pub(super) fn refuse_method(method: &Method, resource_type: &'static str) -> Error {
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
        Operation::find(&method, &target, &query, &headers)
            .map(|chosen| chosen.operation)
            .map_err(|error| error.code())
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
