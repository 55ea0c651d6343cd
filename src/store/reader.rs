//! Connections that read: opened when needed, kept for the next reader, each with its prepared
//! statements.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::Error;

/// More than there are workers to use them is a waste of memory.
const KEPT_MAX: usize = 8;

/// How many statements a connection keeps prepared: all of them.
const STATEMENTS: usize = 128;

/// What every connection needs before its first statement.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without this, SQLite parses and plans a statement anew whenever a bound value that it might
    // plan by has changed: more than half of the time of a look-up.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Who closes the index in order removes its log. Whoever else is the last one to go must leave it: a log
    // that is missing is how it shows that somebody has removed one.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// The reading connections.
#[derive(Debug)]
pub(super) struct Readers {
    index: PathBuf,
    kept: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Connections to an index that a writer has open.
    pub(super) fn new(index: PathBuf) -> Self {
        Self { index, kept: Mutex::new(Vec::new()) }
    }

    /// Reads with a connection that nobody else uses meanwhile.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.open()?,
        };
        let answer = work(&connection);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(connection);
        }
        answer
    }

    /// The same where several statements must see one state of the index.
    pub(super) fn read_state<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read(|connection| {
            let state = connection.unchecked_transaction()?;
            let answer = work(&state);
            state.rollback()?;
            answer
        })
    }

    fn open(&self) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.index, flags)?;
        prepare(&connection)?;
        // A small cache: pages that are used often are in the system's cache anyway.
        connection.execute_batch("PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY")?;
        Ok(connection)
    }

    /// Closes the connections that nobody uses.
    pub(super) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
