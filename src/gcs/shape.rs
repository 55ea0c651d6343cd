//! The names that Google's resources have, for `fields`: a name that Google does not know is refused, one
//! that is known but not shown here selects nothing. Pure.
//!
//! GCS: the discovery document of the JSON API, `schemas`.

use super::route::Operation;

/// What a value of a resource is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Text, a number, or a list of them.
    Leaf,
    /// Members of any name, as custom metadata has them.
    Free,
    /// These members. A list has the shape of its items.
    Of(&'static [(&'static str, Shape)]),
}

use Shape::{Free, Leaf, Of};

impl Shape {
    /// What an operation answers with; [`Free`] where that is no resource.
    pub(super) fn of(operation: &Operation) -> Self {
        use Operation as O;
        match operation {
            O::ListBuckets => BUCKETS,
            O::InsertBucket | O::GetBucket(_) | O::PatchBucket(_) => BUCKET,
            O::GetStorageLayout(_) => STORAGE_LAYOUT,
            O::TestIamPermissions(_) => PERMISSIONS,
            O::ListObjects(_) => OBJECTS,
            O::GetObject(_)
            | O::PatchObject(_)
            | O::UpdateObject(_)
            | O::ComposeObject(_)
            | O::CopyObject(..)
            | O::MoveObject(..)
            | O::InsertObject(_)
            | O::ContinueUpload(_) => OBJECT,
            O::RewriteObject(..) => REWRITE,
            O::DeleteBucket(_)
            | O::Download(_)
            | O::DeleteObject(_)
            | O::CancelUpload(_)
            | O::Batch
            | O::Token => Free,
        }
    }

    /// The shape of a member, if there may be one of that name.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        match self {
            Leaf => None,
            Free => Some(Free),
            Of(members) => members.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape),
        }
    }

    /// The shapes of all members.
    pub(super) fn members(self) -> impl Iterator<Item = Self> {
        let members = match self {
            Of(members) => members,
            Leaf | Free => &[],
        };
        members.iter().map(|(_, shape)| *shape)
    }
}

const OWNER: Shape = Of(&[("entity", Leaf), ("entityId", Leaf)]);

const ACCESS_CONTROL: Shape = Of(&[
    ("kind", Leaf),
    ("id", Leaf),
    ("selfLink", Leaf),
    ("bucket", Leaf),
    ("object", Leaf),
    ("generation", Leaf),
    ("entity", Leaf),
    ("role", Leaf),
    ("email", Leaf),
    ("entityId", Leaf),
    ("domain", Leaf),
    ("projectTeam", Of(&[("projectNumber", Leaf), ("team", Leaf)])),
    ("etag", Leaf),
]);

const OBJECT: Shape = Of(&[
    ("acl", ACCESS_CONTROL),
    ("bucket", Leaf),
    ("cacheControl", Leaf),
    ("componentCount", Leaf),
    ("contentDisposition", Leaf),
    ("contentEncoding", Leaf),
    ("contentLanguage", Leaf),
    ("contentType", Leaf),
    ("contexts", Of(&[("custom", Free)])),
    ("crc32c", Leaf),
    ("customTime", Leaf),
    ("customerEncryption", Of(&[("encryptionAlgorithm", Leaf), ("keySha256", Leaf)])),
    ("etag", Leaf),
    ("eventBasedHold", Leaf),
    ("generation", Leaf),
    ("hardDeleteTime", Leaf),
    ("id", Leaf),
    ("kind", Leaf),
    ("kmsKeyName", Leaf),
    ("md5Hash", Leaf),
    ("mediaLink", Leaf),
    ("metadata", Free),
    ("metageneration", Leaf),
    ("name", Leaf),
    ("owner", OWNER),
    ("restoreToken", Leaf),
    ("retention", Of(&[("mode", Leaf), ("retainUntilTime", Leaf)])),
    ("retentionExpirationTime", Leaf),
    ("selfLink", Leaf),
    ("size", Leaf),
    ("softDeleteTime", Leaf),
    ("storageClass", Leaf),
    ("temporaryHold", Leaf),
    ("timeCreated", Leaf),
    ("timeDeleted", Leaf),
    ("timeFinalized", Leaf),
    ("timeStorageClassUpdated", Leaf),
    ("updated", Leaf),
]);

const OBJECTS: Shape = Of(&[("items", OBJECT), ("kind", Leaf), ("nextPageToken", Leaf), ("prefixes", Leaf)]);

const REWRITE: Shape = Of(&[
    ("done", Leaf),
    ("kind", Leaf),
    ("objectSize", Leaf),
    ("resource", OBJECT),
    ("rewriteToken", Leaf),
    ("totalBytesRewritten", Leaf),
]);

const ENABLED: Shape = Of(&[("enabled", Leaf), ("lockedTime", Leaf)]);

const BUCKET: Shape = Of(&[
    ("acl", ACCESS_CONTROL),
    ("autoclass", Free),
    ("billing", Of(&[("requesterPays", Leaf)])),
    ("cors", Of(&[("maxAgeSeconds", Leaf), ("method", Leaf), ("origin", Leaf), ("responseHeader", Leaf)])),
    ("customPlacementConfig", Of(&[("dataLocations", Leaf)])),
    ("defaultEventBasedHold", Leaf),
    ("defaultObjectAcl", ACCESS_CONTROL),
    ("encryption", Free),
    ("etag", Leaf),
    ("generation", Leaf),
    ("hardDeleteTime", Leaf),
    ("hierarchicalNamespace", Of(&[("enabled", Leaf)])),
    (
        "iamConfiguration",
        Of(&[
            ("bucketPolicyOnly", ENABLED),
            ("publicAccessPrevention", Leaf),
            ("uniformBucketLevelAccess", ENABLED),
        ]),
    ),
    ("id", Leaf),
    ("ipFilter", Free),
    ("kind", Leaf),
    ("labels", Free),
    ("lifecycle", Of(&[("rule", Of(&[("action", Free), ("condition", Free)]))])),
    ("location", Leaf),
    ("locationType", Leaf),
    ("logging", Of(&[("logBucket", Leaf), ("logObjectPrefix", Leaf)])),
    ("metageneration", Leaf),
    ("name", Leaf),
    ("objectRetention", Of(&[("mode", Leaf)])),
    ("owner", OWNER),
    ("projectNumber", Leaf),
    ("retentionPolicy", Of(&[("effectiveTime", Leaf), ("isLocked", Leaf), ("retentionPeriod", Leaf)])),
    ("rpo", Leaf),
    ("satisfiesPZI", Leaf),
    ("satisfiesPZS", Leaf),
    ("selfLink", Leaf),
    ("softDeletePolicy", Of(&[("effectiveTime", Leaf), ("retentionDurationSeconds", Leaf)])),
    ("softDeleteTime", Leaf),
    ("storageClass", Leaf),
    ("timeCreated", Leaf),
    ("updated", Leaf),
    ("versioning", Of(&[("enabled", Leaf)])),
    ("website", Of(&[("mainPageSuffix", Leaf), ("notFoundPage", Leaf)])),
]);

const BUCKETS: Shape =
    Of(&[("items", BUCKET), ("kind", Leaf), ("nextPageToken", Leaf), ("unreachable", Leaf)]);

const STORAGE_LAYOUT: Shape = Of(&[
    ("bucket", Leaf),
    ("customPlacementConfig", Of(&[("dataLocations", Leaf)])),
    ("hierarchicalNamespace", Of(&[("enabled", Leaf)])),
    ("kind", Leaf),
    ("location", Leaf),
    ("locationType", Leaf),
]);

const PERMISSIONS: Shape = Of(&[("kind", Leaf), ("permissions", Leaf)]);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{BUCKET, OBJECT, Shape};
    use crate::gcs::resource::{self, Base};
    use crate::model::{BucketName, Owner, Timestamp};
    use crate::protocol::request::Context;
    use crate::store::Bucket;

    fn check(shape: Shape, document: &Value, path: &str) {
        let Value::Object(members) = document else { return };
        for (name, value) in members {
            let member = shape.member(name).unwrap_or_else(|| panic!("{path}/{name} cannot be selected"));
            check(member, value, &format!("{path}/{name}"));
        }
    }

    #[test]
    fn what_is_shown_can_be_selected() {
        let bucket = Bucket {
            name: BucketName::parse("bucket").expect("a name"),
            region: "us".to_owned(),
            owner: Owner::anonymous(),
            created: Timestamp::from_seconds(0),
        };
        let base = Base::of(&Context::for_tests(Timestamp::from_seconds(0)));
        check(BUCKET, &resource::bucket(&bucket, &base), "bucket");
        assert!(OBJECT.member("metadata").and_then(|metadata| metadata.member("any")).is_some());
        assert!(OBJECT.member("name").and_then(|name| name.member("any")).is_none());
    }
}
