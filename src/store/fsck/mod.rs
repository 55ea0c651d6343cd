//! Rows against blobs, on a data folder that no server has open: the index, then each snapshot.
//!
//! Repairing never invents anything: what nothing refers to is removed, and an object whose bytes
//! are gone or wrong is taken out of service, so that it is missed instead of served broken.

mod accept;
mod blobs;
mod inventory;
mod rows;
mod snapshots;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

pub use accept::{Accepted, accept_index, empty_quarantine};
use rusqlite::Connection;

use super::error::{Error as StoreError, OpenError};
use super::folder::Folder;
use super::open::{find_snapshots, open_index};
use super::quarantine::{self, Quarantined};
use super::{Options, change, statement, sweep, transfer};
use crate::model::{BucketName, ObjectKey, SnapshotName};

/// What [`run`] shall do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Check {
    /// Remove what nothing refers to, and take objects out of service whose bytes are gone or wrong.
    pub repair: bool,
    /// Read every byte and compare its MD5.
    pub verify_digests: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blobs checked.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Blobs checked.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects checked.
    pub objects: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// How many of the findings were repaired.
    pub repaired: usize,
    /// Files that no index here can have known, moved aside by this check or earlier.
    pub quarantined: Vec<Quarantined>,
}

impl Report {
    /// Whether everything is as it should be, or was repaired.
    pub fn is_clean(&self) -> bool {
        self.repaired == self.findings.len()
    }
}

/// One thing that is not as it should be. Files are named by their path below the data folder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// SQLite says that its file is damaged. This is beyond repair here.
    #[error("the index is damaged: {message}")]
    DamagedIndex {
        /// What SQLite said.
        message: String,
    },
    /// The counter would give out a number for the second time.
    #[error("the counter is at {counter}, but {used} was given out already")]
    CounterBehind {
        /// Where the counter is.
        counter: i64,
        /// The highest number in use.
        used: i64,
    },
    /// A row whose file is gone.
    #[error("{file} is missing")]
    MissingFile {
        /// The file.
        file: String,
    },
    /// Bytes that are more or fewer than their row says.
    #[error("{blob} has {actual_bytes} bytes instead of {expected_bytes}")]
    WrongSize {
        /// The file, or the row where the bytes are in the index.
        blob: String,
        /// What the row says.
        expected_bytes: u64,
        /// What there is.
        actual_bytes: u64,
    },
    /// Bytes that are not those that were written.
    #[error("{blob} has other bytes than were written")]
    WrongDigest {
        /// The file, or the row where the bytes are in the index.
        blob: String,
    },
    /// A file that could not be read. That says nothing of its bytes, so what needs it stays.
    #[error("{file} cannot be read: {message}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        message: String,
    },
    /// A file that no row names.
    #[error("{file} belongs to no object")]
    OrphanedFile {
        /// The file.
        file: String,
    },
    /// A file that no row names and that the index cannot have known: it may belong to another one.
    #[error("{file} is not of this index; --repair moves it to quarantine/")]
    UnknownFile {
        /// The file.
        file: String,
    },
    /// Bytes that no content is made of.
    #[error("{blob} is part of no content")]
    OrphanedBlob {
        /// The file, or the row where the bytes are in the index.
        blob: String,
    },
    /// A content that no object and no part has.
    #[error("content {content} belongs to no object")]
    OrphanedContent {
        /// The content.
        content: i64,
    },
    /// An object that cannot be read whole.
    #[error("{bucket}/{}: {reason}", key.as_str().escape_debug())]
    BrokenObject {
        /// Its bucket.
        bucket: BucketName,
        /// Its key.
        #[serde(serialize_with = "as_text")]
        key: ObjectKey,
        /// Why.
        reason: String,
    },
    /// A part of an upload in progress that cannot be read whole.
    #[error("{bucket}/{}: part {number} of upload {upload}: {reason}", key.as_str().escape_debug())]
    BrokenPart {
        /// The bucket of the upload.
        bucket: BucketName,
        /// Its key.
        #[serde(serialize_with = "as_text")]
        key: ObjectKey,
        /// Its id.
        upload: String,
        /// The part.
        number: u16,
        /// Why.
        reason: String,
    },
    /// Something that is wrong in a snapshot.
    #[error("snapshot {snapshot}: {inner}")]
    InSnapshot {
        /// The snapshot.
        snapshot: SnapshotName,
        /// What is wrong.
        inner: Box<Finding>,
    },
    /// A snapshot that cannot be read at all. Only its deletion helps.
    #[error("snapshot {snapshot} cannot be read: {reason}")]
    BadSnapshot {
        /// The snapshot.
        snapshot: SnapshotName,
        /// Why.
        reason: String,
    },
    /// A row of a bucket or an upload that is not there, or that says what the store never writes.
    #[error("a row of the table {table} makes no sense: {reason}")]
    StrayRow {
        /// The table.
        table: &'static str,
        /// Why.
        reason: String,
    },
}

fn as_text<S: serde::Serializer>(key: &ObjectKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.as_str())
}

/// Why a folder could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to check.
    #[error("{} holds no index: it is not the data folder of an understudy", .0.display())]
    NoIndex(PathBuf),
    /// The folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The index is another stage's, and the snapshots are not.
    #[error(
        "the snapshots in {} are of the stage that the blobs belong to, and the index is another one's: going back \
         to one would mix their bytes. Nothing was changed. Put the right index back, or move {} elsewhere first",
        folder.display(), names.iter().map(|name| format!("{name}.sqlite")).collect::<Vec<_>>().join(", ")
    )]
    ForeignSnapshots {
        /// The folder of the snapshots.
        folder: PathBuf,
        /// Their names.
        names: Vec<SnapshotName>,
    },
    /// The index failed on the way.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder could not be read or a file not be removed.
    #[error("{}", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Store(source.into())
    }
}

/// A check in work, of one index.
struct Run<'a> {
    folder: &'a Folder,
    connection: &'a Connection,
    check: Check,
    /// The snapshot whose index it is; `None` for the present.
    snapshot: Option<&'a SnapshotName>,
    /// Files that were looked at, and what was wrong with them: many indexes name the same.
    seen: &'a mut HashMap<String, Option<Finding>>,
    report: &'a mut Report,
}

impl Run<'_> {
    /// Notes what was found, and what repairing it came to.
    fn found(
        &mut self,
        finding: Finding,
        repair: impl FnOnce(&Connection) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.note(finding);
        if self.check.repair {
            repair(self.connection)?;
            self.report.repaired += 1;
        }
        Ok(())
    }

    /// Notes what another repair will take care of, or none can.
    fn noted(&mut self, finding: Finding, repaired_elsewhere: bool) {
        self.note(finding);
        if self.check.repair && repaired_elsewhere {
            self.report.repaired += 1;
        }
    }

    fn note(&mut self, finding: Finding) {
        self.report.findings.push(match self.snapshot {
            None => finding,
            Some(snapshot) => Finding::InSnapshot { snapshot: snapshot.clone(), inner: Box::new(finding) },
        });
    }

    /// Checks all that one index says. Gives the files whose rows were removed.
    fn state(&mut self, progress: &mut impl FnMut(Progress)) -> Result<BTreeSet<PathBuf>, Error> {
        rows::check_index(self)?;
        if self.snapshot.is_none() {
            // What ended is garbage, and not looked at. Without a repair the transaction changes nothing.
            self.connection.execute_batch(sweep::GIVE_UP_ALL_GONE)?;
        }
        let bad = blobs::check_blobs(self, progress)?;
        rows::check_objects(self, &bad)?;
        rows::check_parts(self, &bad)?;
        rows::check_orphans(self)?;
        inventory::check_cached(self)?;
        inventory::check_inventories(self)?;
        let mut remove = if self.check.repair { collect_garbage(self)? } else { BTreeSet::new() };
        remove.extend(blobs::find_orphaned_rows(self)?);
        Ok(remove)
    }
}

/// Checks a data folder that no server has open, and repairs it if asked to.
///
/// Repairs are one transaction for each index: if it fails on the way, its rows are as they were. An
/// index of an older schema is brought up to date first in any case: what is asked of it needs that.
pub fn run(data_dir: &Path, check: Check, mut progress: impl FnMut(Progress)) -> Result<Report, Error> {
    check_index_is_there(data_dir)?;
    transfer::check_finished(data_dir)?;
    let folder = Folder::open(&Options::new(data_dir))?;
    let mut index = open_index(&folder)?;
    let commits = index.facts.commits + 1;
    let (snapshots, _) = find_snapshots(&folder)?;
    let snapshots = snapshots.lock()?;
    let (mut report, mut seen) = (Report::default(), HashMap::new());
    let transaction = index.connection.transaction()?;
    let mut run = Run {
        folder: &folder,
        connection: &transaction,
        check,
        snapshot: None,
        seen: &mut seen,
        report: &mut report,
    };
    let mut remove = run.state(&mut progress)?;
    remove.extend(snapshots::check_all(&mut run, &snapshots, &mut progress)?);
    let aside = blobs::find_orphaned_files(&mut run, &snapshots, &mut remove)?;
    if check.repair {
        transaction.execute(statement::WRITE_COMMITS, [change::i64_of(commits)])?;
        transaction.commit()?;
        // Only now: a file whose row came back would be missed.
        for file in &remove {
            if !blobs::is_named(&index.connection, &snapshots, file)? {
                remove_file(file)?;
            }
        }
        for file in &aside {
            quarantine::move_aside(&folder, file)?;
        }
    } else {
        drop(transaction);
    }
    report.quarantined = quarantine::list(&folder)?;
    index.close(&folder)?;
    Ok(report)
}

fn check_index_is_there(data_dir: &Path) -> Result<(), Error> {
    if data_dir.join("index.sqlite").exists() {
        return Ok(());
    }
    Err(Error::NoIndex(data_dir.to_owned()))
}

/// Removes the rows of all garbage, as nobody reads here. Gives the files to remove.
fn collect_garbage(run: &Run<'_>) -> Result<BTreeSet<PathBuf>, Error> {
    let mut files = BTreeSet::new();
    loop {
        let swept = sweep::collect(run.connection, sweep::Due::all(u64::MAX), |_| false)?;
        files.extend(swept.files.iter().map(|name| run.folder.blob_path(name)));
        if !swept.more {
            return Ok(files);
        }
    }
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// The highest sequence number that content may be given up at: it is due at the next start.
fn garbage_sequence(connection: &Connection) -> Result<i64, Error> {
    let found = change::find(connection, super::statement::READ_SEQUENCE, [], |row| Ok(row.get(0)?))?;
    Ok(found.unwrap_or(0))
}
