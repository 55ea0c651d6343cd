//! Opening and closing a data folder: nothing here depends on how many objects it holds.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

use super::error::{Error, OpenError};
use super::folder::Folder;
use super::shared::Shared;
use super::snapshot::Snapshots;
use super::writer::{Settings, Writer};
use super::{Durability, Options, change, migrate, reader, row, statement, sweep, tally, transfer};
use crate::clock::Clock;

/// The pages of the index, SQLite's usual ones.
pub(super) const PAGE_BYTES: u64 = 4096;

/// An open store: what its verbs use, and its threads.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Arc<Writer>,
    pub(super) inline_max_bytes: usize,
    pub(super) clock: Clock,
    /// Held by who evicts.
    pub(super) evicting: tokio::sync::Mutex<()>,
    sweeper: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    /// Takes the lock, brings the index up to date and starts the threads.
    pub(super) fn open(options: &Options) -> Result<Self, OpenError> {
        let folder = Folder::open(options)?;
        transfer::check_finished(&options.data_dir)?;
        let (connection, sequence) = open_index(&folder)?;
        transfer::remove_abandoned(&folder)
            .map_err(|source| OpenError::Snapshots { folder: folder.snapshots(), source })?;
        let (snapshots, taken) = find_snapshots(&folder)?;
        // A number that a snapshot knows is never given out again, whatever became of the index.
        let sequence = sequence.max(taken);
        let begun = tally::begin(&connection, options.clock.now());
        begun.map_err(|source| OpenError::Index { folder: folder.root().to_owned(), source })?;
        let shared = Shared::new(folder, snapshots, sequence, options.buffers_max_bytes);
        let settings = Settings { sequence, part_min_bytes: options.part_min_bytes, clock: options.clock };
        let writer = Writer::start(connection, Arc::clone(&shared), settings).map_err(OpenError::Thread)?;
        let writer = Arc::new(writer);
        let sweeper = sweep::start(Arc::clone(&shared), Arc::clone(&writer), sequence);
        if sweeper.is_err() {
            writer.close();
        }
        let sweeper = Mutex::new(Some(sweeper.map_err(OpenError::Thread)?));
        let evicting = tokio::sync::Mutex::default();
        let (inline_max_bytes, clock) = (options.inline_max_bytes, options.clock);
        Ok(Self { shared, writer, inline_max_bytes, clock, evicting, sweeper })
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

    /// Whether the writer lives and the index answers.
    pub(super) fn health(&self) -> Result<(), Error> {
        if !self.writer.is_alive() {
            return Err(Error::Closed);
        }
        self.shared.readers.read(|connection| read_sequence(connection).map(drop))
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

/// Opens the writing connection and says how far the index is.
pub(super) fn open_index(folder: &Folder) -> Result<(Connection, u64), OpenError> {
    let failed = |source| OpenError::Index { folder: folder.root().to_owned(), source };
    let mut connection = connect(&folder.index(), folder.durability()).map_err(failed)?;
    migrate::migrate(&mut connection, folder.root())?;
    let sequence: i64 =
        connection.query_row(statement::READ_SEQUENCE, [], |row| row.get(0)).map_err(failed)?;
    Ok((connection, sequence.unsigned_abs()))
}

fn connect(index: &Path, durability: Durability) -> rusqlite::Result<Connection> {
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

fn read_sequence(connection: &Connection) -> Result<u64, Error> {
    let found = change::find(connection, statement::READ_SEQUENCE, [], |row| row::number(row, 0))?;
    found.ok_or_else(|| Error::damaged("the counter is missing"))
}
