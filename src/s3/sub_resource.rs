//! Sub-resources: the query names of which one chooses the operation. Pure data, and looking it up.
//!
//! All that AWS's reference and botocore know are here, served or not: one that is missing would make
//! its DELETE the deletion of the bucket or object itself. What a row does not take is refused by
//! name, and so are two at once.
//!
//! AWS: "Actions" of the Amazon S3 API reference. The resource types, and what S3 answers where a
//! method or a target has no such sub-resource, are as published measurements of S3 have them.

use http::Method;

use super::error::{Code, Error};
use super::operation::{Operation, refuse_method};
use super::route::Target;
use crate::protocol::query::Query;

/// A query name that chooses the operation, and what each method of it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SubResource {
    /// The query name.
    pub(super) name: &'static str,
    /// `ResourceType` of its `MethodNotAllowed`.
    resource_type: &'static str,
    get: Option<Operation>,
    put: Option<Operation>,
    post: Option<Operation>,
    delete: Option<Operation>,
}

const fn sub(name: &'static str, resource_type: &'static str) -> SubResource {
    SubResource { name, resource_type, get: None, put: None, post: None, delete: None }
}

impl SubResource {
    const fn get(self, operation: Operation) -> Self {
        Self { get: Some(operation), ..self }
    }

    const fn put(self, operation: Operation) -> Self {
        Self { put: Some(operation), ..self }
    }

    const fn post(self, operation: Operation) -> Self {
        Self { post: Some(operation), ..self }
    }

    const fn delete(self, operation: Operation) -> Self {
        Self { delete: Some(operation), ..self }
    }

    /// What a method of it is, if its target has it. S3: no sub-resource has a HEAD.
    pub(super) fn operation(&self, method: &Method, target: &Target) -> Option<Operation> {
        if !is_in(of_target(target), self.name) {
            return None;
        }
        match *method {
            Method::GET => self.get,
            Method::PUT => self.put,
            Method::POST => self.post,
            Method::DELETE => self.delete,
            _ => None,
        }
    }

    /// The error of a method or a target that has no such sub-resource.
    pub(super) fn refuse(&self, method: &Method, target: &Target) -> Error {
        if self.is_of_another_store() {
            return Error::not_implemented(format_args!("The sub-resource ?{}", self.name));
        }
        match target {
            // S3: so for `?versions` and `?logging`; of the other ones of buckets it answers some with
            // the bucket's and leaves out some. Neither is what was asked of the object.
            Target::Object(..) if !is_in(OF_OBJECT, self.name) => Error::with_message(
                Code::InvalidRequest,
                format!("There is no such thing as the ?{} sub-resource for a key", self.name),
            ),
            Target::Bucket(_) if !is_in(OF_BUCKET, self.name) => Error::with_message(
                Code::InvalidRequest,
                format!("A key must be specified: ?{} is of objects", self.name),
            ),
            Target::Service | Target::Bucket(_) | Target::Object(..) => {
                refuse_method(method, self.resource_type)
            }
        }
    }

    fn is_of_another_store(&self) -> bool {
        is_in(OF_OTHER_STORES, self.name)
    }
}

/// Sub-resources of a bucket.
pub(super) const OF_BUCKET: &[SubResource] = {
    use Operation as O;
    &[
        sub("abac", "BUCKET_ABAC").get(O::GetBucketAbac).put(O::PutBucketAbac),
        sub("accelerate", "ACCELERATE")
            .get(O::GetBucketAccelerateConfiguration)
            .put(O::PutBucketAccelerateConfiguration),
        sub("acl", "ACL").get(O::GetBucketAcl).put(O::PutBucketAcl),
        sub("analytics", "ANALYTICS")
            .get(O::GetBucketAnalyticsConfiguration)
            .put(O::PutBucketAnalyticsConfiguration)
            .delete(O::DeleteBucketAnalyticsConfiguration),
        sub("cors", "CORS").get(O::GetBucketCors).put(O::PutBucketCors).delete(O::DeleteBucketCors),
        sub("delete", "MULTI_OBJECT_DELETE").post(O::DeleteObjects),
        sub("encryption", "ENCRYPTION")
            .get(O::GetBucketEncryption)
            .put(O::PutBucketEncryption)
            .delete(O::DeleteBucketEncryption),
        sub("intelligent-tiering", "INTELLIGENT_TIERING")
            .get(O::GetBucketIntelligentTieringConfiguration)
            .put(O::PutBucketIntelligentTieringConfiguration)
            .delete(O::DeleteBucketIntelligentTieringConfiguration),
        sub("inventory", "INVENTORY")
            .get(O::GetBucketInventoryConfiguration)
            .put(O::PutBucketInventoryConfiguration)
            .delete(O::DeleteBucketInventoryConfiguration),
        sub("lifecycle", "LIFECYCLE")
            .get(O::GetBucketLifecycleConfiguration)
            .put(O::PutBucketLifecycleConfiguration)
            .delete(O::DeleteBucketLifecycle),
        sub("location", "LOCATION").get(O::GetBucketLocation),
        sub("logging", "LOGGING_STATUS").get(O::GetBucketLogging).put(O::PutBucketLogging),
        sub("metadataAnnotationTable", "BUCKET_METADATA_ANNOTATION_TABLE_CONFIGURATION")
            .put(O::UpdateBucketMetadataAnnotationTableConfiguration),
        sub("metadataConfiguration", "BUCKET_METADATA_CONFIGURATION")
            .get(O::GetBucketMetadataConfiguration)
            .post(O::CreateBucketMetadataConfiguration)
            .delete(O::DeleteBucketMetadataConfiguration),
        sub("metadataInventoryTable", "BUCKET_METADATA_INVENTORY_TABLE_CONFIGURATION")
            .put(O::UpdateBucketMetadataInventoryTableConfiguration),
        sub("metadataJournalTable", "BUCKET_METADATA_JOURNAL_TABLE_CONFIGURATION")
            .put(O::UpdateBucketMetadataJournalTableConfiguration),
        sub("metadataTable", "BUCKET_METADATA_TABLE_CONFIGURATION")
            .get(O::GetBucketMetadataTableConfiguration)
            .post(O::CreateBucketMetadataTableConfiguration)
            .delete(O::DeleteBucketMetadataTableConfiguration),
        sub("metrics", "METRICS")
            .get(O::GetBucketMetricsConfiguration)
            .put(O::PutBucketMetricsConfiguration)
            .delete(O::DeleteBucketMetricsConfiguration),
        sub("notification", "NOTIFICATION")
            .get(O::GetBucketNotificationConfiguration)
            .put(O::PutBucketNotificationConfiguration),
        sub("object-lock", "OBJECT_LOCK_CONFIGURATION")
            .get(O::GetObjectLockConfiguration)
            .put(O::PutObjectLockConfiguration),
        sub("ownershipControls", "OWNERSHIP_CONTROLS")
            .get(O::GetBucketOwnershipControls)
            .put(O::PutBucketOwnershipControls)
            .delete(O::DeleteBucketOwnershipControls),
        sub("policy", "BUCKETPOLICY")
            .get(O::GetBucketPolicy)
            .put(O::PutBucketPolicy)
            .delete(O::DeleteBucketPolicy),
        sub("policyStatus", "POLICY_STATUS").get(O::GetBucketPolicyStatus),
        sub("publicAccessBlock", "PUBLIC_ACCESS_BLOCK")
            .get(O::GetPublicAccessBlock)
            .put(O::PutPublicAccessBlock)
            .delete(O::DeletePublicAccessBlock),
        sub("replication", "REPLICATION")
            .get(O::GetBucketReplication)
            .put(O::PutBucketReplication)
            .delete(O::DeleteBucketReplication),
        sub("requestPayment", "REQUEST_PAYMENT")
            .get(O::GetBucketRequestPayment)
            .put(O::PutBucketRequestPayment),
        sub("session", "SESSION").get(O::CreateSession),
        sub("tagging", "TAGGING")
            .get(O::GetBucketTagging)
            .put(O::PutBucketTagging)
            .delete(O::DeleteBucketTagging),
        sub("uploads", "UPLOADS").get(O::ListMultipartUploads),
        sub("versioning", "VERSIONING").get(O::GetBucketVersioning).put(O::PutBucketVersioning),
        sub("versions", "BUCKETVERSIONS").get(O::ListObjectVersions),
        sub("website", "WEBSITE")
            .get(O::GetBucketWebsite)
            .put(O::PutBucketWebsite)
            .delete(O::DeleteBucketWebsite),
    ]
};

/// Sub-resources of an object.
pub(super) const OF_OBJECT: &[SubResource] = {
    use Operation as O;
    &[
        sub("acl", "ACL").get(O::GetObjectAcl).put(O::PutObjectAcl),
        sub("annotation", "OBJECT_ANNOTATIONS")
            .get(O::GetObjectAnnotation)
            .put(O::PutObjectAnnotation)
            .delete(O::DeleteObjectAnnotation),
        sub("attributes", "OBJECT_ATTRIBUTES").get(O::GetObjectAttributes),
        // S3 takes `POST KEY?delete` for the bucket's DeleteObjects; it was not addressed to it.
        sub("delete", "MULTI_OBJECT_DELETE"),
        sub("encryption", "OBJECT_ENCRYPTION").put(O::UpdateObjectEncryption),
        sub("legal-hold", "OBJECT_LOCK_LEGALHOLD").get(O::GetObjectLegalHold).put(O::PutObjectLegalHold),
        sub("renameObject", "RENAME").put(O::RenameObject),
        sub("restore", "RESTORE").post(O::RestoreObject),
        sub("retention", "OBJECT_LOCK_RETENTION").get(O::GetObjectRetention).put(O::PutObjectRetention),
        sub("select", "SELECT").post(O::SelectObjectContent),
        sub("tagging", "OBJECT_TAGGING")
            .get(O::GetObjectTagging)
            .put(O::PutObjectTagging)
            .delete(O::DeleteObjectTagging),
        sub("torrent", "TORRENT").get(O::GetObjectTorrent),
        // With `partNumber` beside it PUT is UploadPart, which `Operation::find` knows.
        sub("uploadId", "UPLOAD")
            .get(O::ListParts)
            .post(O::CompleteMultipartUpload)
            .delete(O::AbortMultipartUpload),
        sub("uploads", "UPLOADS").post(O::CreateMultipartUpload),
    ]
};

/// Sub-resources of stores that speak S3 or nearly so (Google's XML API, OSS, RADOS Gateway), which
/// S3 does not know and nothing here serves: `PUT KEY?append` must not replace the object.
pub(super) const OF_OTHER_STORES: &[SubResource] = &[
    sub("append", "OBJECT"),
    sub("billing", "BUCKET"),
    sub("compose", "OBJECT"),
    sub("defaultObjectAcl", "BUCKET"),
    sub("encryptionConfig", "BUCKET"),
    sub("generation", "OBJECT"),
    sub("storageClass", "BUCKET"),
    sub("upload_id", "OBJECT"),
];

/// The sub-resource that a query names, whether its target has it or not.
///
/// # Errors
/// `InvalidArgument` where it names two: S3 gives them in the order of their names.
pub(super) fn named(target: &Target, query: &Query) -> Result<Option<&'static SubResource>, Error> {
    let mut found: Option<&SubResource> = None;
    for (name, _) in query.iter() {
        match (found, find(target, name)) {
            (Some(first), Some(second)) if first.name != second.name => {
                return Err(conflict(target, query));
            }
            (_, None) => {}
            (_, second) => found = second,
        }
    }
    Ok(found)
}

/// What a target has.
fn of_target(target: &Target) -> &'static [SubResource] {
    match target {
        Target::Service => &[],
        Target::Bucket(_) => OF_BUCKET,
        Target::Object(..) => OF_OBJECT,
    }
}

/// The row of a name: the target's own, or the one that says why the target has none.
fn find(target: &Target, name: &str) -> Option<&'static SubResource> {
    let tables = match target {
        Target::Object(..) => [OF_OBJECT, OF_BUCKET, OF_OTHER_STORES],
        Target::Service | Target::Bucket(_) => [OF_BUCKET, OF_OBJECT, OF_OTHER_STORES],
    };
    tables.into_iter().flatten().find(|sub_resource| sub_resource.name == name)
}

fn is_in(table: &[SubResource], name: &str) -> bool {
    table.iter().any(|sub_resource| sub_resource.name == name)
}

fn conflict(target: &Target, query: &Query) -> Error {
    let mut names: Vec<&str> =
        query.iter().filter_map(|(name, _)| find(target, name)).map(|found| found.name).collect();
    names.sort_unstable();
    names.dedup();
    let words = format!("Conflicting query string parameters: {}", names.join(", "));
    Error::invalid_argument("ResourceType", names[0], words)
}
