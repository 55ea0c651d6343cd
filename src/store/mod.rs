//! The store: buckets, objects and uploads, kept in one SQLite index and a folder of immutable blobs.
//!
//! The only room with SQL and files. It keeps what it promised through `kill -9` and power loss:
//! a row never names a file that is not there, and a verb that answered has been committed.
//! Rules that must be atomic (conditions, versions, "is it still there") live here, inside the write
//! transaction. What must not be here: HTTP, statuses, XML, upstreams, and who may do what.
//!
//! Verbs that only read are synchronous: they are a few microseconds of a prepared statement, less
//! than it costs to hand them to another thread. Verbs that write wait for the group commit.

mod blob;
mod bucket;
mod buffer;
mod change;
mod content;
mod epoch;
mod error;
mod folder;
pub mod fsck;
mod inventory;
mod job;
mod mend;
mod migrate;
mod object;
mod open;
mod reader;
mod row;
mod scan;
mod shared;
mod snapshot;
mod spool;
mod staging;
mod statement;
mod sweep;
mod tail;
mod tally;
pub mod transfer;
mod upload;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

pub use bucket::{Bucket, NewBucket};
pub use content::{Content, ContentReader, PartRange};
pub use error::{Error, OpenError};
pub use inventory::{Crawl, Import, InventoryRow, Known};
pub use mend::remedy;
pub use object::{
    CacheObject, Cached, CopyObject, DeleteObject, Deleted, Lookup, Object, ObjectRef, Origin, PutObject,
    Source, UpdateObject,
};
pub use scan::{Listed, ListedKind, PASSED_OVER_MAX, Scan, Start, UploadScan, UploadStart};
pub use snapshot::{Difference, DifferencePage, Is, Snapshot};
pub use staging::{Staged, Staging};
pub use tail::Tail;
pub use tally::{Amount, Counted, Holding, Tallied, Tally, Total};
pub use upload::{
    CompleteUpload, CompletedPart, CopyPart, NewUpload, Part, PartDigests, PutPart, Upload, UploadRef,
};

use self::job::Job;
use self::object::SetDigests;
use self::open::Inner;
use crate::checksum::Digests;
use crate::clock::Clock;
use crate::model::{BucketName, ChecksumAlgorithm, ObjectKey, PartNumber, Tags, VersionId};

/// What an answered write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Power loss: everything is synced before the answer.
    #[default]
    Synced,
    /// The end of the request only: nothing is ever synced.
    Ephemeral,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that holds everything.
    pub data_dir: PathBuf,
    /// What an answered write survives.
    pub durability: Durability,
    /// Bodies up to this size live in the index.
    pub inline_max_bytes: usize,
    /// Free disk space that uploads leave alone, so that deleting always works.
    pub reserve_bytes: u64,
    /// The least size of a part that is not the last one.
    pub part_min_bytes: u64,
    /// Where times come from.
    pub clock: Clock,
}

impl Options {
    /// The usual settings for a folder.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durability: Durability::Synced,
            inline_max_bytes: 64 << 10,
            reserve_bytes: 64 << 20,
            part_min_bytes: 5 << 20,
            clock: Clock::System,
        }
    }
}

/// A data folder in service. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens a folder, making it if need be. Costs the same with no object and with a million.
    #[expect(clippy::needless_pass_by_value, reason = "the settings are the store's from here on")]
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Inner::open(&options).map(|inner| Self(Arc::new(inner)))
    }

    /// Ends what is queued, then stops the threads. Later writes answer [`Error::Closed`].
    pub async fn close(&self) {
        let inner = Arc::clone(&self.0);
        // It can only fail while the runtime shuts down, and then dropping the store closes it.
        drop(tokio::task::spawn_blocking(move || inner.close()).await);
    }

    /// Whether the store can do its work: the writer lives, the index answers.
    pub fn health(&self) -> Result<(), Error> {
        self.0.health()
    }

    /// Makes a bucket, or says whose it is already.
    pub async fn create_bucket(&self, new: NewBucket) -> Result<Bucket, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::CreateBucket(new, reply)).await
    }

    /// The bucket of this name.
    pub fn find_bucket(&self, name: &BucketName) -> Result<Option<Bucket>, Error> {
        let found = self.0.shared.readers.read(|connection| bucket::find(connection, name))?;
        Ok(found.map(|(_, bucket)| bucket))
    }

    /// Buckets whose names begin with `prefix` and come behind `after`, ordered by name.
    pub fn list_buckets(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Bucket>, Error> {
        self.0.shared.readers.read(|connection| bucket::list(connection, prefix, after, limit))
    }

    /// Removes a bucket that holds no object, version or upload. Its tombstones,
    /// what is cached in it and its imported index go with it.
    pub async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        self.0.writer.ask(|reply| Job::DeleteBucket(name.clone(), reply)).await
    }

    /// Begins to take bytes in. `size_hint` is how many will come, where that is known.
    pub fn stage(&self, extra: &[ChecksumAlgorithm], size_hint: Option<u64>) -> Staging {
        Staging::new(Arc::clone(&self.0.shared), self.0.inline_max_bytes, extra, size_hint)
    }

    /// Writes an object. A reader sees the old one or the new one, each whole.
    pub async fn put_object(&self, put: PutObject) -> Result<Object, Error> {
        self.0.writer.ask(|reply| Job::PutObject(Box::new(put), reply)).await
    }

    /// What is under a key, or under one of its versions.
    pub fn find_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Lookup, Error> {
        object::find(&self.0.shared, bucket, key, version)
    }

    /// Makes an object of another one's bytes without moving them.
    pub async fn copy_object(&self, copy: CopyObject) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::CopyObject(Box::new(copy), reply)).await
    }

    /// Gives an object another key of its bucket, in one transaction; with `tombstone` its old key is
    /// deleted as by [`Store::delete_objects`] with one.
    pub async fn move_object(&self, renamed: CopyObject, tombstone: bool) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::MoveObject(Box::new(renamed), tombstone, reply)).await
    }

    /// Replaces the tags of an object.
    pub async fn set_tags(&self, object: ObjectRef, tags: Tags) -> Result<(), Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::SetTags(object, tags, reply)).await
    }

    /// Gives an object other metadata.
    pub async fn update_object(&self, update: UpdateObject) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::UpdateObject(Box::new(update), reply)).await
    }

    /// Notes the MD5 and the CRC-32C of an object's bytes where they were not known, as after a
    /// multipart upload, for all copies of it too.
    pub async fn set_digests(&self, object: &Object, digests: &Digests) -> Result<(), Error> {
        let set = SetDigests {
            content_id: object.content_id,
            size_bytes: object.size_bytes,
            md5: digests.md5,
            crc32c: digests.crc32c(),
        };
        self.0.writer.ask(|reply| Job::SetDigests(set, reply)).await
    }

    /// Deletes in one transaction; each key has its own outcome, in the order given.
    pub async fn delete_objects(
        &self,
        bucket: &BucketName,
        deletes: Vec<DeleteObject>,
    ) -> Result<Vec<Result<Deleted, Error>>, Error> {
        self.0.writer.ask(|reply| Job::DeleteObjects(bucket.clone(), deletes, reply)).await
    }

    /// Current versions in the order of their keys' bytes. Costs what it returns.
    pub fn scan_objects(&self, bucket: &BucketName, scan: &Scan) -> Result<Vec<Listed>, Error> {
        self.0.shared.readers.read(|connection| scan::objects(connection, bucket, scan))
    }

    /// The objects of a range of keys, each with all that is known of it. Where it passed over
    /// [`PASSED_OVER_MAX`] rows that are no objects it stops, and says behind which key to go on.
    pub fn scan_whole_objects(
        &self,
        bucket: &BucketName,
        scan: &Scan,
    ) -> Result<(Vec<Object>, Option<String>), Error> {
        self.0.shared.readers.read(|connection| scan::whole_objects(connection, bucket, scan))
    }

    /// Begins a multipart upload.
    pub async fn create_upload(&self, new: NewUpload) -> Result<Upload, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::CreateUpload(Box::new(new), reply)).await
    }

    /// An upload in progress.
    pub fn find_upload(&self, upload: &UploadRef) -> Result<Upload, Error> {
        let found = self.0.shared.readers.read(|connection| upload::find(connection, upload))?;
        Ok(found.upload)
    }

    /// Writes a part, in the place of an earlier one of the same number.
    pub async fn put_part(&self, part: PutPart) -> Result<Part, Error> {
        self.0.writer.ask(|reply| Job::PutPart(Box::new(part), reply)).await
    }

    /// Makes a part of another object's bytes without moving them.
    pub async fn copy_part(&self, part: CopyPart) -> Result<Part, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::CopyPart(Box::new(part), reply)).await
    }

    /// The parts of an upload with numbers above `after`, ascending.
    pub fn list_parts(
        &self,
        upload: &UploadRef,
        after: Option<PartNumber>,
        limit: usize,
    ) -> Result<Vec<Part>, Error> {
        let found = self.0.shared.readers.read_state(|connection| {
            let found = upload::find(connection, upload)?;
            upload::parts(connection, found.sequence, after, limit)
        })?;
        Ok(found.into_iter().map(|found| found.part).collect())
    }

    /// All parts of an upload, ascending, with their bytes.
    pub fn open_parts(&self, upload: &UploadRef) -> Result<Vec<(Part, Content)>, Error> {
        upload::open_parts(&self.0.shared, upload)
    }

    /// The object that an upload became, for as long as that is the current one of its key.
    pub fn find_completed(&self, upload: &UploadRef) -> Result<Option<Object>, Error> {
        self.0.shared.readers.read_state(|connection| upload::completed(connection, upload))
    }

    /// Uploads in progress, ordered by key, then by when they were begun.
    pub fn scan_uploads(&self, bucket: &BucketName, scan: &UploadScan) -> Result<Vec<Upload>, Error> {
        self.0.shared.readers.read(|connection| scan::uploads(connection, bucket, scan))
    }

    /// Makes the object of an upload's parts without moving a byte.
    ///
    /// Asked again after it was done, it gives the same object, for as long as that is the current one.
    pub async fn complete_upload(&self, complete: CompleteUpload) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.0.writer.ask(|reply| Job::CompleteUpload(Box::new(complete), reply)).await
    }

    /// Forgets an upload and its parts.
    pub async fn abort_upload(&self, upload: &UploadRef) -> Result<(), Error> {
        self.0.writer.ask(|reply| Job::AbortUpload(upload.clone(), reply)).await
    }
}

#[cfg(test)]
mod tests;
