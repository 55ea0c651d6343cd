//! What the store can say no with, in words that know no HTTP.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mark::Doubt;
use super::mend;
use crate::model::{
    BucketName, Checksum, ConditionFailed, ObjectKey, Owner, PartNumber, SnapshotName, UploadId,
};

/// Why a verb of the store did nothing.
///
/// It is `Clone` because a failed commit is the answer to every job of its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such bucket.
    #[error("there is no bucket {0}")]
    NoSuchBucket(BucketName),
    /// The name is taken.
    #[error("the bucket {name} exists already and belongs to {}", owner.id)]
    BucketExists {
        /// The bucket.
        name: BucketName,
        /// Whose it is.
        owner: Owner,
    },
    /// The bucket holds objects, versions or uploads in progress.
    #[error("the bucket {0} still holds objects, versions or uploads in progress")]
    BucketNotEmpty(BucketName),
    /// There is no such object; of a copy: no such source.
    #[error("the bucket {bucket} has no object {:?}", key.as_str())]
    NoSuchObject {
        /// The bucket.
        bucket: BucketName,
        /// The key.
        key: ObjectKey,
    },
    /// The object has no such version.
    #[error("the object {:?} in {bucket} has no such version", key.as_str())]
    NoSuchVersion {
        /// The bucket.
        bucket: BucketName,
        /// The key.
        key: ObjectKey,
    },
    /// There is no such upload in progress for this bucket and key.
    #[error("there is no upload {0} in progress for this bucket and key")]
    NoSuchUpload(UploadId),
    /// A condition on what would be replaced or deleted did not hold.
    #[error(transparent)]
    Condition(ConditionFailed),
    /// A condition on the source of a copy did not hold.
    #[error("the source of the copy: {0}")]
    SourceCondition(ConditionFailed),
    /// The source of a copy is no longer the generation that the caller read.
    #[error("the source of the copy was changed meanwhile; read it again")]
    SourceChanged,
    /// An object is moved within its bucket, and to another key.
    #[error(
        "an object can only be moved to another key of its bucket: {:?} in {bucket} was to become {:?} in {to_bucket}",
        key.as_str(), to_key.as_str()
    )]
    BadMove {
        /// Its bucket.
        bucket: BucketName,
        /// Its key.
        key: ObjectKey,
        /// The bucket that it was to be moved to.
        to_bucket: BucketName,
        /// The key that it was to be moved to.
        to_key: ObjectKey,
    },
    /// A part that was never uploaded, or that has another tag or checksum.
    #[error("part {number} was not uploaded, or has another ETag or checksum than the one given")]
    InvalidPart {
        /// The part.
        number: PartNumber,
    },
    /// The parts of a completion are not in ascending order, or there are none.
    #[error("the list of parts must not be empty and must be in ascending order of part numbers")]
    InvalidPartOrder,
    /// A part that is not the last one is too small.
    #[error("part {number} has {size_bytes} bytes; every part but the last needs {minimum_bytes}")]
    PartTooSmall {
        /// The part.
        number: PartNumber,
        /// How large it is.
        size_bytes: u64,
        /// How large it must be.
        minimum_bytes: u64,
    },
    /// The checksum given for a whole upload is not that of its parts.
    #[error("the checksum given is {given}, that of the parts is {}", shown(computed.as_ref()))]
    ChecksumMismatch {
        /// What the client expected.
        given: Checksum,
        /// What the parts give, where the parts have checksums to compute it from.
        computed: Option<Checksum>,
    },
    /// The size given for a whole upload is not that of its parts.
    #[error("the size given is {given_bytes} bytes, the parts have {actual_bytes}")]
    SizeMismatch {
        /// What the client expected.
        given_bytes: u64,
        /// What the parts have.
        actual_bytes: u64,
    },
    /// The disk is full, or only the reserve is left. Nothing was changed; deleting still works.
    #[error(
        "the disk under {} is full ({available_bytes} bytes are free, {reserve_bytes} are kept in reserve): \
         delete objects or make room, then try again", folder.display()
    )]
    Full {
        /// The data folder.
        folder: PathBuf,
        /// What is free.
        available_bytes: u64,
        /// What is kept free.
        reserve_bytes: u64,
    },
    /// There is no snapshot of this name.
    #[error("there is no snapshot {0}")]
    NoSuchSnapshot(SnapshotName),
    /// The name is taken.
    #[error("the snapshot {0} exists already")]
    SnapshotExists(SnapshotName),
    /// The snapshot cannot be used. Nothing was changed.
    #[error("the snapshot {name} cannot be used ({reason}): run `understudy fsck`")]
    BadSnapshot {
        /// The snapshot.
        name: SnapshotName,
        /// Why.
        reason: String,
    },
    /// A step of a crawl or an import that goes on from what is not kept any more. Nothing was changed.
    #[error(
        "what the crawl or the import of {prefix:?} in {bucket} has found before is not kept any more (it was \
         dropped, taken back by a snapshot, or begun anew by somebody else): begin it again"
    )]
    Forgotten {
        /// The bucket.
        bucket: BucketName,
        /// Its prefix.
        prefix: String,
    },
    /// The index refused.
    #[error("the index of the store failed")]
    Index(#[source] Arc<rusqlite::Error>),
    /// A row holds what the store never writes.
    #[error("the index of the store is damaged ({0}): run `understudy fsck`")]
    Damaged(String),
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

fn shown(checksum: Option<&Checksum>) -> String {
    checksum.map_or_else(|| "unknown".to_owned(), Checksum::to_string)
}

impl Error {
    /// An error of the file `path`.
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether room may be what a write to the index lacked: SQLite calls an exceeded quota an I/O failure.
    pub(super) fn may_lack_room(&self) -> bool {
        let is_io = |source: &rusqlite::Error| {
            source.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure)
        };
        matches!(self, Self::Full { .. }) || matches!(self, Self::Index(source) if is_io(source))
    }

    /// A row that says something the store never writes.
    pub(super) fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Index(Arc::new(source))
    }
}

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error(
        "the data folder {} is in use by another understudy{}: stop it, or give this one another --data-dir",
        folder.display(), with_pid(*pid)
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The other process, where it could be read.
        pid: Option<u32>,
    },
    /// The folder cannot be written to.
    #[error(
        "the data folder {} cannot be written by uid {uid} ({}: {source}); {remedy}", folder.display(), path.display()
    )]
    NotWritable {
        /// The data folder.
        folder: PathBuf,
        /// What of it.
        path: PathBuf,
        /// Who we are.
        uid: u32,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: String,
    },
    /// The folder was written by a newer understudy.
    #[error(
        "the index in {} has schema {found}, this understudy knows up to {known}: use the newer understudy, \
         or another --data-dir", folder.display()
    )]
    TooNew {
        /// The data folder.
        folder: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema we know.
        known: u32,
    },
    /// The index could not be opened or brought up to date.
    #[error("the index in {} could not be opened", folder.display())]
    Index {
        /// The data folder.
        folder: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// There is something in the folder that an index has named, and no index.
    #[error(
        "the data folder {} holds blobs and no index: put its index.sqlite (and index.sqlite-wal) back from a \
         backup, make a stage of one of its snapshots with `understudy fork --snapshot`, or give another \
         --data-dir", .0.display()
    )]
    NoIndex(PathBuf),
    /// The index is not the one that the folder was last served with.
    #[error(
        "the index in {} is not what the folder was last served with: {doubt}. Nothing was changed. Put the right \
         index.sqlite and index.sqlite-wal back, or take this one with `understudy fsck --accept-older-index`, \
         which moves blobs that it does not name to quarantine/", folder.display()
    )]
    Doubtful {
        /// The data folder.
        folder: PathBuf,
        /// What is wrong with it.
        doubt: Doubt,
    },
    /// The folder is being made by a fork or an import, or was not finished.
    #[error(
        "the data folder {} is not finished: a fork or an import is making it or was killed; do that again,          or remove the folder", .0.display()
    )]
    Unfinished(PathBuf),
    /// The folder of the snapshots could not be looked at.
    #[error("{}", folder.display())]
    Snapshots {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("a thread of the store could not be started")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// That `path`, which is in the data folder or is the folder itself, cannot be written.
    pub(super) fn not_writable(folder: &Path, path: &Path, source: io::Error) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let remedy = mend::remedy(folder, uid, source.kind());
        Self::NotWritable { folder: folder.to_owned(), path: path.to_owned(), uid, source, remedy }
    }
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}
