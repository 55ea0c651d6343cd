//! What the writer does for a restore before its transaction, in small jobs that others come between.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{CachedStatement, params, params_from_iter};

use super::merge::insertion;
use crate::store::change::{Change, i64_of};
use crate::store::error::Error;
use crate::store::hold::ROWS_MAX;

/// How many bytes one of them adds: what is written meanwhile waits for no more.
pub(super) const STEP_BYTES: usize = 2 << 20;

/// What the writing connection calls the snapshot, and the database of what the present lacks.
const ATTACHED: [&str; 2] = ["taken", "lacking"];

/// Notes nothing any more, and forgets what was noted.
const UNWATCH: &str = "
    DROP TRIGGER IF EXISTS temp.touched_by_insert;
    DROP TRIGGER IF EXISTS temp.touched_by_update;
    DROP TRIGGER IF EXISTS temp.touched_by_delete;
    DROP TABLE IF EXISTS temp.touched;";

/// A job for a restore to come.
#[derive(Debug)]
pub(in crate::store) enum Step {
    /// Attach this snapshot.
    Begin(PathBuf),
    /// Attach this list of contents that the present lacks.
    Lacking(PathBuf),
    /// Add those of them behind the first id and up to the second one, as garbage.
    Contents(i64, i64),
    /// Add rows of these tables.
    Rows(Vec<(&'static str, Vec<Value>)>),
    /// Note from now on which keys are changed.
    Watch,
    /// Note nothing any more, and let go what is attached.
    End,
}

impl Step {
    /// How many rows it changes at most; those of contents are not known beforehand.
    pub(in crate::store) fn rows(&self) -> usize {
        match self {
            Self::Contents(..) => usize::MAX,
            Self::Rows(rows) => rows.len(),
            Self::Begin(_) | Self::Lacking(_) | Self::Watch | Self::End => ROWS_MAX,
        }
    }

    /// How many bytes it brings along.
    pub(in crate::store) fn weight_bytes(&self) -> usize {
        match self {
            Self::Contents(..) | Self::Rows(_) => STEP_BYTES,
            Self::Begin(_) | Self::Lacking(_) | Self::Watch | Self::End => 0,
        }
    }
}

/// Runs a step in the write transaction. Gives a number that was never used.
pub(in crate::store) fn step(change: &mut Change, step: Step) -> Result<u64, Error> {
    let sequence = change.next_sequence();
    match step {
        Step::Begin(snapshot) => attach(change, &snapshot, ATTACHED[0])?,
        Step::Watch => watch(change)?,
        Step::Lacking(contents) => attach(change, &contents, ATTACHED[1])?,
        Step::Contents(after, up_to) => {
            add_contents(change, sequence, after, up_to)?;
            // In case that the restore does not come.
            change.note_garbage(sequence);
        }
        Step::Rows(rows) => {
            add_rows(change, rows)?;
            change.note_garbage(sequence);
        }
        Step::End => {
            change.connection().execute_batch(UNWATCH)?;
            change.detach_later(&ATTACHED);
        }
    }
    Ok(sequence)
}

/// They see every change, whatever statement made it: there is one connection that writes.
fn watch(change: &Change) -> Result<(), Error> {
    Ok(change.connection().execute_batch(&format!(
        "{UNWATCH}
         CREATE TEMP TABLE touched (bucket_id INTEGER, key BLOB);
         CREATE TEMP TRIGGER touched_by_insert AFTER INSERT ON main.object
         BEGIN INSERT INTO touched VALUES (new.bucket_id, new.key); END;
         CREATE TEMP TRIGGER touched_by_update AFTER UPDATE ON main.object
         BEGIN INSERT INTO touched VALUES (new.bucket_id, new.key); END;
         CREATE TEMP TRIGGER touched_by_delete AFTER DELETE ON main.object
         BEGIN INSERT INTO touched VALUES (old.bucket_id, old.key); END"
    ))?)
}

/// Changes are not noted from here on; what was noted stays.
pub(super) fn ignore_changes(change: &Change) -> Result<(), Error> {
    Ok(change.connection().execute_batch(
        "DROP TRIGGER temp.touched_by_insert;
         DROP TRIGGER temp.touched_by_update;
         DROP TRIGGER temp.touched_by_delete",
    )?)
}

/// Attaches a file that nobody changes: it is read without locks, and no transaction writes to it.
fn attach(change: &Change, file: &Path, name: &str) -> Result<(), Error> {
    let mut address = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            address.push(char::from(*byte));
        } else {
            write!(address, "%{byte:02x}").map_err(Error::damaged)?;
        }
    }
    address.push_str("?mode=ro&immutable=1");
    change.connection().execute(&format!("ATTACH ?1 AS {name}"), [address])?;
    Ok(())
}

fn add_contents(change: &Change, sequence: u64, after: i64, up_to: i64) -> Result<(), Error> {
    let range = params![i64_of(sequence), after, up_to];
    // In an order that does not matter to a crash, but to who reads this: first they are garbage. Of
    // a content that is half gone already, some rows are there. Contents share blobs.
    for sql in [
        "INSERT INTO main.garbage SELECT ?1, id FROM lacking.content WHERE id > ?2 AND id <= ?3",
        "INSERT INTO main.segment SELECT s.*
         FROM lacking.content c CROSS JOIN taken.segment s ON s.content_id = c.id
         WHERE c.id > ?2 AND c.id <= ?3 ON CONFLICT DO NOTHING",
        "INSERT INTO main.object_part SELECT p.*
         FROM lacking.content c CROSS JOIN taken.object_part p ON p.content_id = c.id
         WHERE c.id > ?2 AND c.id <= ?3 ON CONFLICT DO NOTHING",
        "INSERT INTO main.blob SELECT b.*
         FROM lacking.content c CROSS JOIN taken.segment s ON s.content_id = c.id
         CROSS JOIN taken.blob b ON b.id = s.blob_id
         WHERE c.id > ?2 AND c.id <= ?3 ON CONFLICT (id) DO NOTHING",
    ] {
        change.connection().prepare_cached(sql)?.execute(range)?;
    }
    Ok(())
}

fn add_rows(change: &Change, rows: Vec<(&'static str, Vec<Value>)>) -> Result<(), Error> {
    let connection = change.connection();
    let mut inserts: HashMap<&str, CachedStatement<'_>> = HashMap::new();
    for (table, values) in rows {
        if !inserts.contains_key(table) {
            inserts.insert(table, connection.prepare_cached(&insertion(table, values.len()))?);
        }
        if let Some(insert) = inserts.get_mut(table) {
            insert.execute(params_from_iter(values))?;
        }
    }
    Ok(())
}
