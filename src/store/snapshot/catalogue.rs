//! Which snapshots there are, and what they name.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::Snapshot;
use crate::model::SnapshotName;
use crate::store::change::find;
use crate::store::error::Error;
use crate::store::folder::{BlobName, Folder};
use crate::store::{migrate, reader, row, statement};

/// What the file of a snapshot has behind its name.
pub(in crate::store) const FILE_ENDING: &str = ".sqlite";
const JOURNAL_ENDING: &str = "-journal";

/// The snapshots of a folder. Its lock is held by who removes files or changes which snapshots there are.
#[derive(Debug)]
pub(in crate::store) struct Snapshots {
    kept: Mutex<Kept>,
    /// Held by who waits for the other one. Without it, a sweep of many contents that gives the lock back
    /// only to take it again at once would keep everybody else waiting to its end.
    turn: Mutex<()>,
}

/// The snapshots, for who holds the lock.
#[derive(Debug)]
pub(in crate::store) struct Kept {
    folder: PathBuf,
    entries: BTreeMap<SnapshotName, Entry>,
}

#[derive(Debug)]
enum Entry {
    Readable {
        snapshot: Snapshot,
        connection: Connection,
    },
    /// Its file is damaged, or a newer understudy's. It may name any blob.
    Unreadable(String),
}

impl Snapshots {
    /// Finds the snapshots of a folder, and removes what a crash has left half-made.
    ///
    /// One that cannot be read is no reason not to open the store: the rest of it is sound.
    pub(in crate::store) fn load(folder: &Folder) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let folder = folder.snapshots();
        for path in files(&folder)? {
            let Some(name) = name_of(&path) else {
                // What is on its way here is nobody's any more: the folder is locked.
                if is_partial(&path) || is_journal_of_nothing(&path) {
                    fs::remove_file(&path)?;
                }
                continue;
            };
            entries.insert(name.clone(), Entry::open(name, &path));
        }
        Ok(Self { kept: Mutex::new(Kept { folder, entries }), turn: Mutex::new(()) })
    }

    /// Takes the lock. A panic of who held it may have left a file that is not in the table, or the
    /// other way round, so nothing is removed after that.
    pub(in crate::store) fn lock(&self) -> Result<MutexGuard<'_, Kept>, Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.kept.lock().map_err(|_| Error::damaged("the table of snapshots; start anew"))
    }
}

impl Kept {
    /// The highest number that any snapshot has given out.
    pub(in crate::store) fn sequence(&self) -> u64 {
        self.readable().map(|(snapshot, _)| snapshot.sequence).max().unwrap_or(0)
    }

    /// All that can be read, the earliest first.
    pub(super) fn list(&self) -> Vec<Snapshot> {
        let mut all: Vec<_> = self.readable().map(|(snapshot, _)| snapshot.clone()).collect();
        all.sort_by_key(|snapshot| (snapshot.created, snapshot.sequence));
        all
    }

    /// Every snapshot: its file, or why it cannot be read.
    pub(in crate::store) fn all(&self) -> Vec<(SnapshotName, Result<PathBuf, String>)> {
        let outcome = |(name, entry): (&SnapshotName, &Entry)| match entry {
            Entry::Readable { .. } => (name.clone(), Ok(self.path(name))),
            Entry::Unreadable(reason) => (name.clone(), Err(reason.clone())),
        };
        self.entries.iter().map(outcome).collect()
    }

    fn readable(&self) -> impl Iterator<Item = (&Snapshot, &Connection)> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Readable { snapshot, connection } => Some((snapshot, connection)),
            Entry::Unreadable(_) => None,
        })
    }

    /// Where a snapshot is, or would be.
    pub(super) fn path(&self, name: &SnapshotName) -> PathBuf {
        self.folder.join(format!("{name}{FILE_ENDING}"))
    }

    /// Where a snapshot is while it is made. No snapshot's name begins with a period.
    pub(super) fn partial_path(&self, name: &SnapshotName) -> PathBuf {
        self.folder.join(format!(".{name}.partial"))
    }

    /// The folder of the snapshots.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there is one of this name, readable or not.
    pub(super) fn contains(&self, name: &SnapshotName) -> bool {
        self.entries.contains_key(name)
    }

    /// A snapshot and the connection that reads it.
    pub(in crate::store) fn get(&self, name: &SnapshotName) -> Result<(&Snapshot, &Connection), Error> {
        match self.entries.get(name) {
            None => Err(Error::NoSuchSnapshot(name.clone())),
            Some(Entry::Unreadable(reason)) => {
                Err(Error::BadSnapshot { name: name.clone(), reason: reason.clone() })
            }
            Some(Entry::Readable { snapshot, connection }) => Ok((snapshot, connection)),
        }
    }

    /// A snapshot has been made.
    pub(super) fn add(&mut self, name: &SnapshotName) -> Result<Snapshot, Error> {
        let entry = Entry::open(name.clone(), &self.path(name));
        self.entries.insert(name.clone(), entry);
        self.get(name).map(|(snapshot, _)| snapshot.clone())
    }

    /// A snapshot is gone.
    pub(super) fn forget(&mut self, name: &SnapshotName) {
        self.entries.remove(name);
    }

    /// Whether a snapshot names this blob's file, other than `but`. One that cannot be read may.
    pub(in crate::store) fn names(&self, blob: &BlobName, but: Option<&SnapshotName>) -> Result<bool, Error> {
        for (name, entry) in &self.entries {
            if Some(name) == but {
                continue;
            }
            let Entry::Readable { connection, .. } = entry else { return Ok(true) };
            if connection.prepare_cached(statement::FIND_BLOB_NAME)?.exists([blob.as_str()])? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Entry {
    fn open(name: SnapshotName, path: &Path) -> Self {
        match open(name, path) {
            Ok((snapshot, connection)) => Self::Readable { snapshot, connection },
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(snapshot = %path.display(), %reason, "a snapshot cannot be read: nothing is removed that it may need");
                Self::Unreadable(reason)
            }
        }
    }
}

/// Opens a snapshot, brings it up to date if an earlier understudy took it, and reads what it says of itself.
fn open(name: SnapshotName, path: &Path) -> Result<(Snapshot, Connection), Error> {
    migrate_file(path)?;
    let connection = open_reading(path)?;
    let sequence = find(&connection, statement::READ_SEQUENCE, [], |found| row::number(found, 0))?;
    let said = find(&connection, statement::READ_SNAPSHOT, [], |found| {
        Ok((row::time(found, 0)?, row::number(found, 1)?, row::number(found, 2)?))
    })?;
    let (sequence, (created, objects, bytes)) =
        sequence.zip(said).ok_or_else(|| Error::damaged("it does not say what it is"))?;
    let index_bytes = fs::metadata(path).map_err(|error| Error::file(path, error))?.len();
    Ok((Snapshot { name, created, objects, bytes, index_bytes, sequence }, connection))
}

fn migrate_file(path: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // A crash in the middle of this leaves a journal, and only who may write can undo what it says.
    if !journal(path).exists() {
        let connection = open_reading(path)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if usize::try_from(version) == Ok(migrate::STEPS.len()) {
            return Ok(());
        }
    }
    let mut connection = Connection::open_with_flags(path, flags)?;
    migrate::migrate(&mut connection, path).map_err(Error::damaged)
}

/// Opens an index that nobody changes.
pub(in crate::store) fn open_reading(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    reader::prepare(&connection)?;
    connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY")?;
    Ok(connection)
}

/// The names of the snapshots in a folder, and their files.
pub(in crate::store) fn snapshot_names(folder: &Folder) -> io::Result<Vec<(SnapshotName, PathBuf)>> {
    let named = |path: PathBuf| name_of(&path).map(|name| (name, path));
    Ok(files(&folder.snapshots())?.into_iter().filter_map(named).collect())
}

/// Removes the file of a snapshot. Its journal goes after it: a journal alone is nothing.
pub(in crate::store) fn remove_file(path: &Path) -> io::Result<()> {
    for path in [path, &journal(path)] {
        match fs::remove_file(path) {
            // Also where an earlier attempt came so far.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What SQLite calls the file by which it undoes a change that was cut off.
pub(in crate::store) fn journal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(JOURNAL_ENDING);
    name.into()
}

/// Whether it is a journal whose snapshot was removed: another snapshot of that name must not meet it.
fn is_journal_of_nothing(path: &Path) -> bool {
    let of = path.to_str().and_then(|path| path.strip_suffix(JOURNAL_ENDING)).map(Path::new);
    of.is_some_and(|of| name_of(of).is_some() && !of.exists())
}

/// The files of a folder that may not be there.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

fn name_of(path: &Path) -> Option<SnapshotName> {
    SnapshotName::parse(path.file_name()?.to_str()?.strip_suffix(FILE_ENDING)?).ok()
}

fn is_partial(path: &Path) -> bool {
    path.file_name()
        .and_then(OsStr::to_str)
        .is_some_and(|name| name.starts_with('.') && name.contains(".partial"))
}
