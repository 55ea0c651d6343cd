//! Multipart uploads in progress and their parts.

mod complete;
mod find;
mod part;
mod session;

pub(super) use complete::{Completion, complete, finish};
#[cfg(test)]
pub(super) use complete::{Ready, prepare};
pub(super) use find::{find, parts, read};
#[cfg(test)]
pub(super) use part::prepare_copy;
pub(super) use part::{CopiedPart, PART_ROWS, abort, copy_part, create, finish_copy, put_part};
pub(super) use session::{completed, open_parts};

use super::object::Source;
use super::staging::Staged;
use crate::model::{
    BucketName, ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, Metadata, ObjectKey, Owner,
    PartNumber, Tags, Timestamp, UploadId, WriteConditions,
};

/// An upload to be begun.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// The metadata of the object to come.
    pub metadata: Metadata,
    /// Its tags.
    pub tags: Tags,
    /// Whose it shall be.
    pub owner: Owner,
    /// Which checksum it shall show; `None` for CRC64NVME over all bytes, as S3 does.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// What the face must remember of an upload in one piece that may be interrupted; `None` for a
    /// multipart upload. Only multipart uploads are listed. With an empty text no client knows of it: the
    /// caller completes it at once, and one that a crash left is aborted when the store is opened.
    pub session: Option<String>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// When it was begun.
    pub initiated: Timestamp,
    /// Who began it.
    pub owner: Owner,
    /// Which checksum was asked for.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// What the face remembers of an upload in one piece; `None` for a multipart upload.
    pub session: Option<String>,
}

/// Names an upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRef {
    /// Where to.
    pub bucket: BucketName,
    /// Under which key.
    pub key: ObjectKey,
    /// Its id.
    pub id: UploadId,
}

/// A part to be written.
#[derive(Debug)]
pub struct PutPart {
    /// Of which upload.
    pub upload: UploadRef,
    /// Its number.
    pub number: PartNumber,
    /// Its bytes.
    pub staged: Staged,
    /// The checksum to show; `None` for the upload's algorithm, where the bytes were digested with it.
    pub checksum: Option<Checksum>,
}

/// Digests of a part whose bytes are another object's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDigests {
    /// MD5.
    pub md5: [u8; 16],
    /// In the upload's algorithm, where it has one.
    pub checksum: Option<Checksum>,
    /// CRC-32C, where it is known.
    pub crc32c: Option<u32>,
    /// CRC64NVME, where it is known.
    pub crc64nvme: Option<u64>,
}

/// A part whose bytes are another object's. No byte is moved.
#[derive(Debug, Clone)]
pub struct CopyPart {
    /// Of which upload.
    pub upload: UploadRef,
    /// Its number.
    pub number: PartNumber,
    /// Whose bytes. Give its generation: the digests are of those bytes.
    pub source: Source,
    /// Which of them; `None` for all.
    pub range: Option<ByteRange>,
    /// Their digests.
    pub digests: PartDigests,
}

/// A part of an upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// Its size.
    pub size_bytes: u64,
    /// Its tag.
    pub etag: ETag,
    /// When it was written.
    pub modified: Timestamp,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// A part as the client names it when it completes an upload.
#[derive(Debug, Clone)]
pub struct CompletedPart {
    /// Its number.
    pub number: PartNumber,
    /// The tag it must have.
    pub etag: ETag,
    /// The checksum it must have.
    pub checksum: Option<Checksum>,
}

/// The end of an upload: its parts become the object.
#[derive(Debug, Clone)]
pub struct CompleteUpload {
    /// Which upload.
    pub upload: UploadRef,
    /// Its parts, in ascending order.
    pub parts: Vec<CompletedPart>,
    /// The checksum that the object must have.
    pub checksum: Option<Checksum>,
    /// `x-amz-mp-object-size`: the size that the object must have.
    pub size_bytes: Option<u64>,
    /// The MD5 of all bytes, which makes it an object like one that was written in one request:
    /// the MD5 is its ETag, its parts have no numbers and may have been of any size.
    pub md5: Option<[u8; 16]>,
    /// What must hold of the object that it replaces.
    pub conditions: WriteConditions,
}
