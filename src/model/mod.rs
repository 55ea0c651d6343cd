//! The words of the house, as types that cannot be wrong.
//!
//! Each type has one way in (`parse` or a checked constructor) and one way out
//! (`Display` or a named accessor); past the edge nobody meets a raw string.
//! This room does no input or output, reads no clock and imports no other room.

mod bucket_name;
mod byte_range;
mod checksum;
mod condition;
mod credential;
mod etag;
mod glob;
mod host_name;
mod metadata;
mod object_key;
mod snapshot_name;
mod tags;
mod timestamp;
mod upload;
mod version_id;

pub use bucket_name::{BucketName, InvalidBucketName};
pub use byte_range::{ByteRange, RangeSpec, Unsatisfiable};
pub use checksum::{Checksum, ChecksumAlgorithm, ChecksumKind, InvalidChecksum};
pub use condition::{Comparison, ConditionFailed, ETagMatch, ObjectState, ReadConditions, WriteConditions};
pub use credential::{
    AccessKeyId, Credential, Grant, InvalidGrant, Owner, Permission, SecretKey, SessionToken,
};
pub use etag::{ETag, InvalidETag};
pub use glob::{Glob, InvalidGlob};
pub use host_name::{HostName, InvalidHostName};
pub use metadata::{InvalidMetadata, Metadata, SystemHeader};
pub use object_key::{InvalidObjectKey, ObjectKey};
pub use snapshot_name::{InvalidSnapshotName, PRESENT, SnapshotName};
pub use tags::{InvalidTags, Tags};
pub use timestamp::Timestamp;
pub use upload::{InvalidPartNumber, InvalidUploadId, PartNumber, UploadId};
pub use version_id::{InvalidVersionId, VersionId};
