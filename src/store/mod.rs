//! The store: buckets, objects and uploads, kept in one SQLite index and a folder of immutable blobs.
//!
//! The only room with SQL and files. It keeps what it promised through `kill -9` and power loss:
//! a row never names a file that is not there, and a verb that answered has been committed.
//! Rules that must be atomic (conditions, versions, "is it still there") live here, inside the write
//! transaction. What must not be here: HTTP, statuses, XML, upstreams, and who may do what.
//!
//! Verbs that only read are synchronous: they are a few microseconds of a prepared statement, less
//! than it costs to hand them to another thread. Verbs that write wait for the group commit.

mod assembly;
mod ballast;
mod blob;
mod bucket;
mod buffer;
mod change;
mod content;
mod damage;
mod epoch;
mod error;
mod folder;
pub mod fsck;
mod health;
mod hold;
mod inventory;
mod job;
mod lock;
mod mark;
mod mend;
mod migrate;
mod object;
mod open;
mod opened;
mod private;
mod quarantine;
mod reader;
mod row;
mod scan;
mod scrub;
mod search;
mod setting;
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
mod verify;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

pub use bucket::{Bucket, NewBucket};
pub use content::{Content, ContentReader, PartRange};
pub use damage::Damage;
pub use error::{Error, OpenError};
pub use health::Illness;
pub use hold::Hold;
pub use inventory::{Crawl, Import, InventoryRow, Known};
pub use mark::Doubt;
pub use mend::remedy;
pub use object::{
    CacheObject, Cached, ComposeObject, CopyObject, DeleteObject, Deleted, Lookup, Object, ObjectRef, Origin,
    PutObject, Source, UpdateObject,
};
pub use quarantine::Quarantined;
pub use scan::{Listed, ListedKind, PASSED_OVER_MAX, Scan, Start, UploadScan, UploadStart};
pub use scrub::{Problem, ScrubFinding, ScrubPosition, Scrubbed};
pub use snapshot::{Difference, DifferencePage, Is, Snapshot};
pub use staging::{Staged, Staging};
pub use tail::Tail;
pub use tally::{Amount, Counted, Holding, Tallied, Tally, Total};
pub use upload::{
    CompleteUpload, CompletedPart, CopyPart, NewUpload, Part, PartDigests, PutPart, Upload, UploadRef,
};
pub use verify::VerifyReads;

use self::job::Job;
use self::object::SetDigests;
use self::open::Inner;
use crate::checksum::Digests;
use crate::clock::Clock;
use crate::model::{BucketName, ByteRange, ChecksumAlgorithm, ObjectKey, PartNumber, Tags, VersionId};

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
    /// Memory for bodies on their way in or out; what does not find room goes in small pieces.
    pub buffers_max_bytes: usize,
    /// Free disk space that uploads leave alone, so that deleting always works.
    pub reserve_bytes: u64,
    /// Room that is taken up until the disk is full, so that deletions, the start and an export go on
    /// then. An ephemeral store has none.
    pub ballast_bytes: u64,
    /// The least size of a part that is not the last one.
    pub part_min_bytes: u64,
    /// Which reads are compared with what was written.
    pub verify_reads: VerifyReads,
    /// How many pieces of blobs an object is made of, a large one of some more; what would have more is
    /// written anew.
    pub segments_max: usize,
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
            buffers_max_bytes: 24 << 20,
            reserve_bytes: 64 << 20,
            ballast_bytes: 8 << 20,
            part_min_bytes: 5 << 20,
            verify_reads: VerifyReads::default(),
            segments_max: usize::from(PartNumber::MAX),
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

    /// Whether the store can do its work: it is tried what a write needs. The answer may be a second old,
    /// and comes within seconds whatever hangs.
    pub async fn health(&self) -> Result<(), Illness> {
        let Inner { shared, writer, examiner, .. } = &*self.0;
        let (shared, writer, examiner) = (Arc::clone(shared), Arc::clone(writer), Arc::clone(examiner));
        health::Patient { shared, writer, examiner }.health().await
    }

    /// What held the writer, and how long at most since the start; and how many transactions took longer
    /// than anybody should wait.
    pub fn holds(&self) -> (Vec<Hold>, u64) {
        (self.0.shared.holds.longest(), self.0.shared.holds.slow())
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
        bucket::delete(&self.0, name).await
    }

    /// How many bytes more can be stored before only the reserve is left; `None` where the file system
    /// does not say.
    pub fn room_bytes(&self) -> Option<u64> {
        self.0.shared.folder.room_bytes()
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

    /// Makes an object of another one's bytes without moving them. They are looked for first: a copy of
    /// what is lost would be told to be a success.
    pub async fn copy_object(&self, copy: CopyObject) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.check_source(&copy.source, None).await?;
        self.0.writer.ask(|reply| Job::CopyObject(Box::new(copy), reply)).await
    }

    /// Looks for every file that a copy would share. What is wrong with the source otherwise is for the
    /// copy itself to tell.
    async fn check_source(&self, source: &Source, range: Option<ByteRange>) -> Result<(), Error> {
        let Source { bucket, key, version, .. } = source;
        let Lookup::Here(object, content) = self.find_object(bucket, key, version.as_ref())? else {
            return Ok(());
        };
        let range = range.unwrap_or(ByteRange::whole(object.size_bytes));
        if object.size_bytes <= self.0.inline_max_bytes as u64 {
            return content.check_all(range);
        }
        // Parts and composed pieces may lie in ten thousand files, which take a while.
        tokio::task::spawn_blocking(move || content.check_all(range)).await.map_err(|_| Error::Closed)?
    }

    /// Reads blobs on from a position and compares them with what was written, at so many bytes a second.
    pub async fn scrub(&self, from: ScrubPosition, rate_bytes: u64) -> Result<Scrubbed, Error> {
        scrub::step(&self.0.shared, from, rate_bytes).await
    }

    /// How many blobs a scrub of the present has to read, and their bytes.
    pub async fn scrub_totals(&self) -> Result<(u64, u64), Error> {
        scrub::totals(&self.0.shared).await
    }

    /// What readers have found broken since the start.
    pub fn damage(&self) -> Damage {
        self.0.shared.damage.get()
    }

    /// Makes an object of others' bytes, one behind the other. No byte is moved, unless it would be made of
    /// more pieces than [`Options::segments_max`].
    pub async fn compose_object(&self, compose: ComposeObject) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        object::compose(&self.0, compose).await
    }

    /// Gives an object another key of its bucket, in one transaction; with `tombstone` its old key is
    /// deleted as by [`Store::delete_objects`] with one.
    pub async fn move_object(&self, renamed: CopyObject, tombstone: bool) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        self.check_source(&renamed.source, None).await?;
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
        let mut after = Some((0, Vec::new()));
        while let Some(last) = after {
            let set = SetDigests {
                content_id: object.content_id,
                size_bytes: object.size_bytes,
                md5: digests.md5,
                crc32c: digests.crc32c(),
                after: last,
            };
            after = self.0.writer.ask(|reply| Job::SetDigests(set, reply)).await?;
        }
        Ok(())
    }

    /// Deletes, a hundred or so in one transaction; each key has its own outcome, in the order given. If
    /// the first of these fails, so does all of it.
    pub async fn delete_objects(
        &self,
        bucket: &BucketName,
        deletes: Vec<DeleteObject>,
    ) -> Result<Vec<Result<Deleted, Error>>, Error> {
        object::delete_all(&self.0, bucket, deletes).await
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
        self.check_source(&part.source, part.range).await?;
        upload::copy_part(&self.0, part).await
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

    /// Makes the object of an upload's parts without moving a byte, unless it would be made of more pieces
    /// than [`Options::segments_max`].
    ///
    /// Asked again after it was done, it gives the same object, for as long as that is the current one.
    pub async fn complete_upload(&self, complete: CompleteUpload) -> Result<Object, Error> {
        self.0.shared.folder.check_index_room(0)?;
        upload::complete(&self.0, complete).await
    }

    /// Forgets an upload and its parts.
    pub async fn abort_upload(&self, upload: &UploadRef) -> Result<(), Error> {
        self.0.writer.ask(|reply| Job::AbortUpload(upload.clone(), reply)).await
    }
}

#[cfg(test)]
mod tests;
