//! A snapshot as a stage of its own: forked beside the first, or put into one file and taken out of it.
//!
//! All work is on folders: the store that a snapshot is from may be in service, for as long as the
//! snapshot stays. Credentials do not go along, nor other snapshots.

mod export;
mod fork;
mod import;
mod passing;
mod target;

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

pub use export::export;
pub use fork::fork;
pub use import::import;
pub(super) use passing::remove_abandoned;
pub use passing::{Passage, is_passing};
pub(super) use target::check_finished;

use super::change::find;
use super::error::{Error as StoreError, OpenError};
use super::folder::BlobName;
use super::{row, snapshot};
use crate::model::SnapshotName;

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Blobs that are done.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many there are.
    pub blobs_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Moved {
    /// Objects of the stage.
    pub objects: u64,
    /// Blobs that are files.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs that share their bytes on disk with the stage that they are from.
    pub shared: u64,
}

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such snapshot.
    #[error("there is no snapshot {name} in {}", folder.display())]
    NoSnapshot {
        /// Its name.
        name: SnapshotName,
        /// The data folder.
        folder: PathBuf,
    },
    /// The process that brought the snapshot up to date was killed.
    #[error("{} is half brought up to date: start its stage once, which undoes that", .0.display())]
    HalfMigrated(PathBuf),
    /// The new folder holds something.
    #[error("{} is not empty: name a new folder or an empty one", .0.display())]
    NotEmpty(PathBuf),
    /// The file is none that was exported, or was damaged since.
    #[error("this is no file that `understudy export` made, or it is damaged: {0}")]
    BadFile(String),
    /// A blob is not as its row says.
    #[error("{} {problem}: run `understudy fsck`", file.display())]
    BadBlob {
        /// Its file.
        file: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
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

impl Error {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

/// A blob that is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blob {
    name: BlobName,
    size_bytes: u64,
    md5: [u8; 16],
}

impl Blob {
    /// Reads the columns `name`, `size` and `md5`.
    fn read(row: &rusqlite::Row<'_>) -> Result<Self, StoreError> {
        let name: String = row.get(0)?;
        Ok(Self {
            name: BlobName::parse(&name)
                .ok_or_else(|| StoreError::damaged(format_args!("the blob name {name:?}")))?,
            size_bytes: row::number(row, 1)?,
            md5: row::md5(row, 2)?.ok_or_else(|| StoreError::damaged("a blob without MD5"))?,
        })
    }

    /// Where it is in a data folder, in the words of every system.
    fn path(&self) -> String {
        format!("blobs/{}/{}", self.name.shelf(), self.name.as_str())
    }
}

/// How much an index names.
fn totals(connection: &Connection) -> Result<Moved, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM object WHERE kind = 0), count(*), coalesce(sum(size), 0)
               FROM blob WHERE name IS NOT NULL";
    let found = find(connection, sql, [], |row| {
        let (objects, blobs) = (row::number(row, 0)?, row::number(row, 1)?);
        Ok(Moved { objects, blobs, blob_bytes: row::number(row, 2)?, shared: 0 })
    })?;
    Ok(found.unwrap_or_default())
}

/// Does something with each blob that is a file, and tells how far it is.
fn each_blob(
    connection: &Connection,
    progress: &mut impl FnMut(Progress),
    mut work: impl FnMut(&Blob) -> Result<(), Error>,
) -> Result<(), Error> {
    let Moved { blobs, blob_bytes, .. } = totals(connection)?;
    let mut done = Progress { blobs_total: blobs, bytes_total: blob_bytes, ..Progress::default() };
    let mut statement =
        connection.prepare("SELECT name, size, md5 FROM blob WHERE name IS NOT NULL ORDER BY id")?;
    let mut rows = statement.query([])?;
    progress(done);
    while let Some(row) = rows.next()? {
        let blob = Blob::read(row)?;
        work(&blob)?;
        done.blobs += 1;
        done.bytes += blob.size_bytes;
        progress(done);
    }
    Ok(())
}

/// The file of a snapshot. It is opened by its path, and not under the lock of its store.
fn snapshot_file(folder: &Path, name: &SnapshotName) -> Result<PathBuf, Error> {
    let path = folder.join("snapshots").join(format!("{name}{}", snapshot::FILE_ENDING));
    if snapshot::journal(&path).exists() {
        return Err(Error::HalfMigrated(path));
    }
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::NoSnapshot { name: name.clone(), folder: folder.to_owned() })
}
