//! Opening and closing a data folder: nothing here depends on how many objects it holds.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{Error, OpenError};
use super::folder::{Folder, NAMES_AHEAD};
use super::health::Examiner;
use super::mark::{self, Facts, Mark, Note};
use super::shared::Shared;
use super::snapshot::Snapshots;
use super::writer::{Settings, Writer};
use super::{
    Durability, Options, change, mend, migrate, private, reader, row, statement, sweep, tally, transfer,
};
use crate::clock::Clock;

/// The pages of the index, SQLite's usual ones.
pub(super) const PAGE_BYTES: u64 = 4096;

/// An open store: what its verbs use, and its threads.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Arc<Writer>,
    pub(super) inline_max_bytes: usize,
    pub(super) part_min_bytes: u64,
    pub(super) segments_max: usize,
    pub(super) clock: Clock,
    /// Held by who evicts.
    pub(super) evicting: tokio::sync::Mutex<()>,
    pub(super) examiner: Arc<Examiner>,
    sweeper: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    /// Takes the lock, brings the index up to date and starts the threads.
    pub(super) fn open(options: &Options) -> Result<Self, OpenError> {
        let folder = Folder::open(options)?;
        transfer::check_finished(&options.data_dir)?;
        let index = open_index(&folder)?;
        transfer::remove_abandoned(&folder)
            .map_err(|source| OpenError::Snapshots { folder: folder.snapshots(), source })?;
        let (snapshots, taken) = find_snapshots(&folder)?;
        // A number that a snapshot knows is never given out again, whatever became of the index.
        let sequence = index.facts.sequence.max(taken);
        let begun = tally::begin(&index.connection, options.clock.now()).and_then(|()| index.begin(&folder));
        let (connection, mark) =
            begun.map_err(|source| OpenError::Index { folder: folder.root().to_owned(), source })?;
        if private::is_open_to_others(folder.root()) {
            let mend = format!("chmod -R go-rwx {}", mend::quoted(&folder.root().display().to_string()));
            tracing::warn!(%mend, "other users of this machine can read or change what the data folder holds");
        }
        let shared =
            Shared::new(folder, snapshots, sequence, options.verify_reads, options.buffers_max_bytes);
        let settings = Settings { sequence, clock: options.clock };
        let writer = Writer::start(connection, Arc::clone(&shared), settings, mark);
        let writer = writer.map_err(OpenError::Thread)?;
        let writer = Arc::new(writer);
        let sweeper = sweep::start(Arc::clone(&shared), Arc::clone(&writer), sequence);
        if sweeper.is_err() {
            writer.close();
        }
        let sweeper = Mutex::new(Some(sweeper.map_err(OpenError::Thread)?));
        let evicting = tokio::sync::Mutex::default();
        shared.folder.tend_ballast();
        Ok(Self {
            shared,
            writer,
            inline_max_bytes: options.inline_max_bytes,
            part_min_bytes: options.part_min_bytes,
            segments_max: options.segments_max,
            clock: options.clock,
            evicting,
            examiner: Arc::default(),
            sweeper,
        })
    }

    /// Stops the threads once what is queued is done.
    pub(super) fn close(&self) {
        self.shared.pins.stop();
        let sweeper = self.sweeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sweeper) = sweeper {
            // A sweep that panicked has nothing left to end.
            drop(sweeper.join());
        }
        self.shared.readers.clear();
        self.writer.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// The snapshots of a folder, and the highest number that one of them has given out.
pub(super) fn find_snapshots(folder: &Folder) -> Result<(Snapshots, u64), OpenError> {
    let failed = |source| OpenError::Snapshots { folder: folder.snapshots(), source };
    let snapshots = Snapshots::load(folder).map_err(failed)?;
    let sequence = snapshots.lock().map_or(0, |kept| kept.sequence());
    Ok((snapshots, sequence))
}

/// An index that is open for writing and up to date.
pub(super) struct Index {
    pub(super) connection: Connection,
    pub(super) facts: Facts,
    /// How many of its commits were in its file, without the log.
    base: u64,
}

impl Index {
    /// What the mark shall say of it.
    fn note(&self, is_open: bool) -> Note {
        let Facts { identity, commits, sequence, .. } = self.facts.clone();
        Note { index: identity.unwrap_or_default(), commits, base: self.base, sequence, is_open }
    }

    /// Puts it into service: on return it knows which files this process may make, and the mark says that
    /// it is open.
    pub(super) fn begin(mut self, folder: &Folder) -> rusqlite::Result<(Connection, Mark)> {
        self.facts.commits += 1;
        let begun = self.connection.transaction()?;
        begun.execute(statement::BEGIN_RUN, [folder.run(), &folder.name_behind(NAMES_AHEAD - 1)])?;
        begun.execute(statement::WRITE_COMMITS, [change::i64_of(self.facts.commits)])?;
        begun.commit()?;
        let mark = Mark::begin(folder, self.note(true));
        Ok((self.connection, mark))
    }

    /// Closes it in order: all that was committed is in its file, and the mark says so.
    pub(super) fn close(mut self, folder: &Folder) -> Result<(), Error> {
        self.facts = mark::facts(&self.connection)?;
        let mut mark = Mark::begin(folder, self.note(true));
        if copy_whole_log(&self.connection)? {
            mark.shut();
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        }
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

/// Copies the log into the index and empties it. Says whether that was possible: who reads holds it up.
pub(super) fn copy_whole_log(connection: &Connection) -> Result<bool, Error> {
    let busy = change::find(connection, statement::EMPTY_LOG, [], |row| row::number(row, 0))?;
    Ok(busy == Some(0))
}

/// Opens the index, if it is the one that the folder was last served with, and brings it up to date.
///
/// An index that is not changes nothing: neither it nor its log.
pub(super) fn open_index(folder: &Folder) -> Result<Index, OpenError> {
    let path = folder.index();
    let doubtful = |doubt| OpenError::Doubtful { folder: folder.root().to_owned(), doubt };
    let is_there = fs::metadata(&path).is_ok_and(|found| found.len() > 0);
    if !is_there && folder.is_in_use() {
        return Err(OpenError::NoIndex(folder.root().to_owned()));
    }
    let note = mark::read(folder).map_err(doubtful)?;
    let log_is_there = folder.log().exists();
    let file = if is_there { mark::facts_of_file(&path) } else { None };
    let doubt =
        note.as_ref().zip(file.as_ref()).and_then(|(note, file)| note.doubt_of_file(file, log_is_there));
    if let Some(doubt) = doubt {
        return Err(doubtful(doubt));
    }
    let failed = |source| OpenError::Index { folder: folder.root().to_owned(), source };
    let connection = connect(&path, folder.durability()).map_err(failed)?;
    let facts = mark::facts(&connection).map_err(failed)?;
    if let Some(doubt) = note.as_ref().and_then(|note| note.doubt_of_index(&facts)) {
        return Err(doubtful(doubt));
    }
    if facts.version == 0 && folder.is_in_use() {
        return Err(OpenError::NoIndex(folder.root().to_owned()));
    }
    up_to_date(folder, connection, file.map_or(0, |file| file.commits))
}

/// Opens an index that is doubtful, for who takes it as it is. A log that is another index's must be gone.
pub(super) fn open_doubtful(folder: &Folder) -> Result<Index, OpenError> {
    let path = folder.index();
    let base = mark::facts_of_file(&path).map_or(0, |file| file.commits);
    let connection = connect(&path, folder.durability());
    let connection =
        connection.map_err(|source| OpenError::Index { folder: folder.root().to_owned(), source })?;
    up_to_date(folder, connection, base)
}

fn up_to_date(folder: &Folder, mut connection: Connection, base: u64) -> Result<Index, OpenError> {
    migrate::migrate(&mut connection, folder.root())?;
    let facts = mark::facts(&connection);
    let facts = facts.map_err(|source| OpenError::Index { folder: folder.root().to_owned(), source })?;
    Ok(Index { connection, facts, base })
}

fn connect(index: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    // SQLite says itself what keeps it from being opened.
    drop(private::create_if_missing(index));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(index, flags)?;
    reader::prepare(&connection)?;
    // What savepoints and sorts put aside stays in memory: there may be no writable /tmp.
    // The writer makes checkpoints itself, after its answers; SQLite's own only bounds the log.
    connection.execute_batch(
        "PRAGMA page_size = 4096;
         PRAGMA journal_mode = WAL;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -4096;
         PRAGMA wal_autocheckpoint = 16000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    connection.execute_batch(match durability {
        Durability::Synced => "PRAGMA synchronous = FULL",
        Durability::Ephemeral => "PRAGMA synchronous = OFF",
    })?;
    Ok(connection)
}

/// The last sequence number that the index has given out.
pub(super) fn read_sequence(connection: &Connection) -> Result<u64, Error> {
    let found = change::find(connection, statement::READ_SEQUENCE, [], |row| row::number(row, 0))?;
    found.ok_or_else(|| Error::damaged("the counter is missing"))
}
