//! Objects: what one committed version is, and what can be asked of it.

mod cache;
mod compose;
mod copy;
mod find;
mod put;
mod tags;
mod update;

pub use cache::Cached;
pub(super) use cache::{EVICTED_AT_ONCE, Eviction, cache, evict, note_used, undelete};
pub(super) use compose::{Composition, compose, finish_composition};
pub(super) use copy::{copy, rename, source};
pub(super) use find::{Kind, current, find, find_row, object};
pub(super) use put::{
    DELETED_ROWS, REPLACED_ROWS, delete, delete_all, give_up_content, insert_blob, insert_content, put,
    replace,
};
pub(super) use tags::set_tags;
pub(super) use update::{DIGESTS_AT_ONCE, set_digests, update};

use super::content::Content;
use super::staging::Staged;
use crate::model::{
    BucketName, Checksum, ETag, Metadata, ObjectKey, ObjectState, Owner, ReadConditions, Tags, Timestamp,
    VersionId, WriteConditions,
};

/// One committed version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version.
    pub version_id: VersionId,
    /// A number that grows with every write of any object and is never used again.
    pub generation: u64,
    /// How often its metadata was changed since it was written, counted from 1.
    pub metageneration: u64,
    /// When it was written.
    pub modified: Timestamp,
    /// Its size.
    pub size_bytes: u64,
    /// Its entity tag.
    pub etag: ETag,
    /// The MD5 of its bytes, where it was written in one request or copied from such an object.
    pub md5: Option<[u8; 16]>,
    /// The CRC-32C of its bytes, where it is known.
    pub crc32c: Option<u32>,
    /// The checksum that S3 shows.
    pub checksum: Option<Checksum>,
    /// Its headers and user metadata.
    pub metadata: Metadata,
    /// Its tags.
    pub tags: Tags,
    /// Whose it is.
    pub owner: Owner,
    /// How many parts it was uploaded in; `None` if it was not a multipart upload.
    pub parts: Option<u16>,
    /// When its metadata was last changed, if it was since the object was written.
    pub updated: Option<Timestamp>,
    /// Who put it here.
    pub origin: Origin,
    pub(super) content_id: i64,
}

impl Object {
    /// An object that is not here, described as it would be if it were. It has no bytes to copy.
    pub fn elsewhere(bucket: BucketName, key: ObjectKey, state: ObjectState, metadata: Metadata) -> Self {
        Self {
            bucket,
            key,
            version_id: VersionId::Null,
            generation: state.generation,
            metageneration: state.metageneration,
            modified: state.modified,
            size_bytes: state.size_bytes,
            etag: state.etag,
            md5: None,
            crc32c: None,
            checksum: None,
            metadata,
            tags: Tags::default(),
            owner: Owner::anonymous(),
            parts: None,
            updated: None,
            origin: Origin::Cached,
            content_id: 0,
        }
    }

    /// What conditions are compared with.
    pub fn state(&self) -> ObjectState {
        ObjectState {
            etag: self.etag.clone(),
            modified: self.modified,
            size_bytes: self.size_bytes,
            generation: self.generation,
            metageneration: self.metageneration,
        }
    }
}

/// Who put an object here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// A client.
    #[default]
    Written,
    /// We, from upstream: it may be evicted and fetched again.
    Cached,
}

/// An object of an upstream to be kept. It keeps upstream's tag and time.
#[derive(Debug)]
pub struct CacheObject {
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// Its bytes.
    pub staged: Staged,
    /// The upstream that it came from, by its name.
    pub upstream: String,
    /// Its tag upstream.
    pub etag: ETag,
    /// When it was written upstream.
    pub modified: Timestamp,
    /// Its headers and user metadata.
    pub metadata: Metadata,
    /// What [`Store::restores`](super::Store::restores) was when the fetch began.
    pub restores: u64,
}

/// What is found under a key.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub enum Lookup {
    /// An object, and its bytes: nothing that happens to the object later can take them away.
    Here(Object, Content),
    /// The current version is a delete marker.
    DeleteMarker {
        /// The marker's own version.
        version_id: VersionId,
        /// When it was made.
        modified: Timestamp,
    },
    /// The key was deleted here, and whatever an upstream has under it must not be seen.
    Tombstone,
    /// Nothing is known of the key, or it has no such version.
    Absent,
    /// There is no such bucket.
    NoBucket,
}

/// An object to be written.
#[derive(Debug)]
pub struct PutObject {
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// Its bytes.
    pub staged: Staged,
    /// Its headers and user metadata.
    pub metadata: Metadata,
    /// Its tags.
    pub tags: Tags,
    /// Whose it shall be.
    pub owner: Owner,
    /// The checksum to show; `None` for the CRC64NVME of the bytes, as S3 does.
    pub checksum: Option<Checksum>,
    /// What must hold of the object that it replaces.
    pub conditions: WriteConditions,
}

/// Names an object.
#[derive(Debug, Clone)]
pub struct ObjectRef {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version; `None` for the current one.
    pub version: Option<VersionId>,
}

/// The source of a copy.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version; `None` for the current one.
    pub version: Option<VersionId>,
    /// What must hold of it.
    pub conditions: ReadConditions,
    /// The generation it must still have, where the caller has read it before.
    pub generation: Option<u64>,
}

/// A copy of an object. It keeps the source's tag, digests and bytes; no byte is moved.
#[derive(Debug, Clone)]
pub struct CopyObject {
    /// What is copied.
    pub source: Source,
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// Its metadata; `None` for the source's.
    pub metadata: Option<Metadata>,
    /// Its tags; `None` for the source's.
    pub tags: Option<Tags>,
    /// The checksum to show; `None` for the source's.
    pub checksum: Option<Checksum>,
    /// Whose it shall be.
    pub owner: Owner,
    /// What must hold of the object that it replaces.
    pub conditions: WriteConditions,
}

/// An object made of others' bytes, one behind the other; no byte is moved.
#[derive(Debug)]
pub struct ComposeObject {
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// Its metadata.
    pub metadata: Metadata,
    /// Its tags.
    pub tags: Tags,
    /// Whose it shall be.
    pub owner: Owner,
    /// Whose bytes it is made of, as the caller has read them, with those bytes.
    pub sources: Vec<(Object, Content)>,
    /// The MD5 of all bytes.
    pub md5: [u8; 16],
    /// What must hold of the object that it replaces.
    pub conditions: WriteConditions,
}

/// Other metadata for an object that is there. Its bytes, its generation and the time when it was
/// written stay; its metageneration grows.
#[derive(Debug, Clone)]
pub struct UpdateObject {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// All its metadata from now on.
    pub metadata: Metadata,
    /// What must hold of it.
    pub conditions: WriteConditions,
}

/// Digests of a content that were not known when it was written.
#[derive(Debug, Clone)]
pub(super) struct SetDigests {
    pub(super) content_id: i64,
    pub(super) size_bytes: u64,
    pub(super) md5: [u8; 16],
    pub(super) crc32c: u32,
    /// Behind which of its copies, by bucket and key, to go on.
    pub(super) after: (i64, Vec<u8>),
}

/// One key of a deletion.
#[derive(Debug, Clone)]
pub struct DeleteObject {
    /// The key.
    pub key: ObjectKey,
    /// The version; `None` for the current one.
    pub version: Option<VersionId>,
    /// What must hold of the object that is deleted.
    pub conditions: WriteConditions,
    /// Whether to leave a tombstone, also where there was no object.
    pub tombstone: bool,
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// Whether there was an object.
    pub existed: bool,
}
