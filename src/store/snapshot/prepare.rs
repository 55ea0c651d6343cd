//! What a restore does beforehand, while others go on writing.
//!
//! It compares the present with the snapshot and notes the keys that are not the same. It adds the
//! contents and the imported indexes that the present does not have any more, many rows at a time, each
//! time in a transaction that is shared with whatever else is written. Until the restore refers to them
//! they are garbage like any other: a crash, or a restore that fails, leaves them to the sweep.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, OpenFlags, Row, params, params_from_iter};
use tokio::sync::oneshot;

use super::catalogue::open_reading;
use super::merge::{Table, differences, insertion};
use crate::store::change::{Change, i64_of};
use crate::store::error::Error;
use crate::store::folder::Folder;
use crate::store::job::Job;
use crate::store::open::Inner;
use crate::store::statement;

/// How many bytes are added at once: what is written meanwhile waits for no more.
const STEP_BYTES: usize = 2 << 20;
/// What a row takes besides its bytes.
const ROW_BYTES: usize = 100;

const OBJECT: Table =
    Table { name: "object", key: &[("bucket_id", false), ("key", false), ("sequence", true)] };
const SEGMENT: Table = Table { name: "segment", key: &[("content_id", false), ("start", false)] };
const OBJECT_PART: Table = Table { name: "object_part", key: &[("content_id", false), ("number", false)] };

/// Tables of immutable rows, which are only added to.
const OF_CONTENT: [Table; 2] = [SEGMENT, OBJECT_PART];
/// What belongs to an imported index, whose id is the first column of each.
pub(super) const OF_INVENTORY: [&str; 4] = ["inventory_row", "inventory_cover", "crawl", "crawl_folder"];

/// Every table that is looked at here, for the test that no table is forgotten.
#[cfg(test)]
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    [OBJECT, SEGMENT, OBJECT_PART].into_iter().map(|table| table.name).chain(OF_INVENTORY).chain(["blob"])
}

/// Something to be added.
#[derive(Debug)]
pub(in crate::store) enum Added {
    /// A content, as garbage. It comes before its rows.
    Content(i64),
    /// A row of a table.
    Row(&'static str, Vec<Value>),
}

/// What the writer is asked to do for a restore to come.
#[derive(Debug)]
pub(in crate::store) enum Step {
    /// Note from now on which keys are changed.
    Watch,
    /// Add these.
    Add(Vec<Added>),
    /// Note nothing any more.
    Unwatch,
}

/// A restore that can be done.
#[derive(Debug)]
pub(in crate::store) struct Prepared {
    /// The snapshot.
    pub(super) taken: Connection,
    /// The keys that are not the same.
    pub(super) keys: Connection,
    /// Ids of imported indexes that were copied, by the number of their last change.
    pub(super) inventories: HashMap<i64, i64>,
}

impl Step {
    /// How many bytes it brings along.
    pub(in crate::store) fn weight_bytes(&self) -> usize {
        match self {
            Self::Add(_) => STEP_BYTES,
            Self::Watch | Self::Unwatch => 0,
        }
    }
}

/// Runs a step in the write transaction. Gives a number that was never used.
pub(in crate::store) fn step(change: &mut Change, step: Step) -> Result<u64, Error> {
    let sequence = change.next_sequence();
    match step {
        // It sees every change, whatever statement made it: there is one connection that writes.
        Step::Watch => change.connection().execute_batch(
            "CREATE TEMP TABLE touched (bucket_id INTEGER, key BLOB);
             CREATE TEMP TRIGGER touched_by_insert AFTER INSERT ON main.object
             BEGIN INSERT INTO touched VALUES (new.bucket_id, new.key); END;
             CREATE TEMP TRIGGER touched_by_update AFTER UPDATE ON main.object
             BEGIN INSERT INTO touched VALUES (new.bucket_id, new.key); END;
             CREATE TEMP TRIGGER touched_by_delete AFTER DELETE ON main.object
             BEGIN INSERT INTO touched VALUES (old.bucket_id, old.key); END",
        )?,
        Step::Add(added) => {
            add(change, sequence, added)?;
            // In case that the restore does not come.
            change.note_garbage(sequence);
        }
        Step::Unwatch => {
            ignore_changes(change)?;
            change.connection().execute_batch("DROP TABLE IF EXISTS temp.touched")?;
        }
    }
    Ok(sequence)
}

/// Changes are not noted from here on; what was noted stays.
pub(super) fn ignore_changes(change: &Change) -> Result<(), Error> {
    Ok(change.connection().execute_batch(
        "DROP TRIGGER IF EXISTS temp.touched_by_insert;
         DROP TRIGGER IF EXISTS temp.touched_by_update;
         DROP TRIGGER IF EXISTS temp.touched_by_delete",
    )?)
}

fn add(change: &mut Change, sequence: u64, added: Vec<Added>) -> Result<(), Error> {
    let connection = change.connection();
    let mut give_up = connection.prepare_cached(statement::GARBAGE_CONTENT)?;
    let mut inserts: HashMap<&str, CachedStatement<'_>> = HashMap::new();
    for added in added {
        match added {
            Added::Content(id) => drop(give_up.execute(params![i64_of(sequence), id])?),
            Added::Row(table, values) => {
                if !inserts.contains_key(table) {
                    let sql = insertion(table, values.len()) + on_conflict(table);
                    inserts.insert(table, connection.prepare_cached(&sql)?);
                }
                if let Some(insert) = inserts.get_mut(table) {
                    insert.execute(params_from_iter(values))?;
                }
            }
        }
    }
    Ok(())
}

/// Of a content that is half gone already, some rows are there. Any other conflict is an error.
fn on_conflict(table: &str) -> &'static str {
    if OF_CONTENT.iter().any(|of_content| of_content.name == table) { " ON CONFLICT DO NOTHING" } else { "" }
}

/// Has changes noted for as long as it lives.
pub(super) struct Watch<'a>(&'a Inner);

impl<'a> Watch<'a> {
    pub(super) fn begin(inner: &'a Inner) -> Result<Self, Error> {
        inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Watch, reply))?;
        Ok(Self(inner))
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // Nobody needs the answer: what comes next comes behind it.
        drop(self.0.writer.queue(|reply| Job::PrepareRestore(Step::Unwatch, reply)));
    }
}

/// Makes a database for what does not fit into memory. Its file is gone already, so that nothing is left
/// of it whatever happens.
fn scratch(folder: &Folder, tables: &str) -> Result<Connection, Error> {
    let path = folder.staging_path(&folder.new_name());
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags)?;
    // Never committed, so that a little of it stays in memory.
    let made = connection.execute_batch(&format!(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -1024; BEGIN; {tables}"
    ));
    std::fs::remove_file(&path).map_err(|error| folder.explain(&path, error))?;
    Ok(made.map(|()| connection)?)
}

/// Prepares to go back to the snapshot in this file. Changes are watched, and nothing is swept.
pub(super) fn prepare(inner: &Inner, snapshot: &Path) -> Result<Prepared, Error> {
    let shared = &inner.shared;
    let (taken, present) = (open_reading(snapshot)?, open_reading(&shared.folder.index())?);
    taken.execute_batch("BEGIN")?;
    let keys = scratch(
        &shared.folder,
        "CREATE TABLE changed (bucket_id INTEGER, key BLOB, PRIMARY KEY (bucket_id, key)) WITHOUT ROWID",
    )?;
    let lacking = scratch(
        &shared.folder,
        "CREATE TABLE content (id INTEGER PRIMARY KEY); CREATE TABLE blob (id INTEGER PRIMARY KEY)",
    )?;
    {
        let _reading = shared.copies.begin();
        present.execute_batch("BEGIN")?;
        note_changed_keys(&taken, &present, &keys)?;
        for table in OF_CONTENT {
            note_lacking(&taken, &present, table, &lacking)?;
        }
        present.execute_batch("COMMIT")?;
    }
    let mut adding = Adding { inner, step: Vec::new(), bytes: 0, under_way: None };
    adding.contents(&taken, &lacking)?;
    let inventories = adding.inventories(&taken, &present)?;
    adding.send()?;
    adding.wait()?;
    Ok(Prepared { taken, keys, inventories })
}

fn note_changed_keys(taken: &Connection, present: &Connection, keys: &Connection) -> Result<(), Error> {
    let mut note = keys.prepare("INSERT INTO changed VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    differences(present, taken, OBJECT, |ours, theirs| {
        if let Some(row) = ours.or(theirs) {
            note.execute(params![row.get::<_, i64>(0)?, blob(row, 1)?])?;
        }
        Ok(())
    })
}

/// Notes contents that have rows in the snapshot's table alone, and the blobs of those rows that the
/// present has not either.
fn note_lacking(
    taken: &Connection,
    present: &Connection,
    table: Table,
    lacking: &Connection,
) -> Result<(), Error> {
    let mut note = lacking.prepare("INSERT INTO content VALUES (?1) ON CONFLICT DO NOTHING")?;
    let mut note_blob = lacking.prepare("INSERT INTO blob VALUES (?1) ON CONFLICT DO NOTHING")?;
    let mut has_blob = present.prepare("SELECT 1 FROM blob WHERE id = ?1")?;
    differences(present, taken, table, |ours, theirs| match (ours, theirs) {
        (Some(_), Some(_)) => Err(Error::damaged(format_args!(
            "the snapshot is none of this store: its table {} has other rows under the same ids",
            table.name
        ))),
        (None, Some(theirs)) => {
            note.execute([theirs.get::<_, i64>(0)?])?;
            if table.name == SEGMENT.name {
                let blob: i64 = theirs.get("blob_id")?;
                if !has_blob.exists([blob])? {
                    note_blob.execute([blob])?;
                }
            }
            Ok(())
        }
        (_, None) => Ok(()),
    })
}

/// What is being added, a step at a time: while the writer adds one, the next one is read.
struct Adding<'a> {
    inner: &'a Inner,
    step: Vec<Added>,
    bytes: usize,
    under_way: Option<oneshot::Receiver<Result<u64, Error>>>,
}

impl Adding<'_> {
    /// Adds contents, each with its rows and the blobs that it is made of.
    fn contents(&mut self, taken: &Connection, lacking: &Connection) -> Result<(), Error> {
        let mut ids = lacking.prepare("SELECT id FROM content ORDER BY id")?;
        // Contents share blobs.
        let mut is_lacking = lacking.prepare("DELETE FROM blob WHERE id = ?1")?;
        let mut segments = taken.prepare("SELECT * FROM segment WHERE content_id = ?1")?;
        let mut parts = taken.prepare("SELECT * FROM object_part WHERE content_id = ?1")?;
        let mut blob = taken.prepare("SELECT * FROM blob WHERE id = ?1")?;
        let mut ids = ids.query([])?;
        while let Some(id) = ids.next()? {
            let id: i64 = id.get(0)?;
            self.put(Added::Content(id), ROW_BYTES)?;
            let mut blobs = Vec::new();
            let mut rows = segments.query([id])?;
            while let Some(row) = rows.next()? {
                blobs.push(row.get::<_, i64>("blob_id")?);
                self.row("segment", values(row)?)?;
            }
            let mut rows = parts.query([id])?;
            while let Some(row) = rows.next()? {
                self.row("object_part", values(row)?)?;
            }
            // Behind its segments, so that no blob is ever here that no content is made of.
            for id in blobs {
                if is_lacking.execute([id])? > 0 {
                    let mut rows = blob.query([id])?;
                    let row = rows.next()?;
                    let row = row.ok_or_else(|| Error::damaged(format_args!("blob {id} has no row")))?;
                    self.row("blob", values(row)?)?;
                }
            }
        }
        Ok(())
    }

    /// Adds the imported indexes that the present has not in the same state, as ones that were dropped.
    fn inventories(&mut self, taken: &Connection, present: &Connection) -> Result<HashMap<i64, i64>, Error> {
        let same = inventories_by_change(present)?;
        let mut theirs =
            taken.prepare("SELECT id, rows, changed FROM inventory WHERE bucket_id IS NOT NULL")?;
        let theirs = theirs.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut added = HashMap::new();
        for inventory in theirs {
            let (id, rows, changed): (i64, i64, i64) = inventory?;
            if same.contains_key(&changed) {
                continue;
            }
            let new = i64_of(
                self.inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Add(Vec::new()), reply))?,
            );
            let inventory = [Value::from(new), Value::Null, Value::from(rows), Value::from(changed)];
            self.row("inventory", inventory.to_vec())?;
            for table in OF_INVENTORY {
                rows_of_inventory(taken, table, (id, new), |values| self.row(table, values))?;
            }
            added.insert(changed, new);
        }
        Ok(added)
    }

    fn row(&mut self, table: &'static str, values: Vec<Value>) -> Result<(), Error> {
        let bytes = values.iter().map(|value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        });
        let bytes = ROW_BYTES + bytes.sum::<usize>();
        self.put(Added::Row(table, values), bytes)
    }

    fn put(&mut self, added: Added, bytes: usize) -> Result<(), Error> {
        self.step.push(added);
        self.bytes += bytes;
        if self.bytes < STEP_BYTES { Ok(()) } else { self.send() }
    }

    /// Hands what was gathered to the writer, once it is done with what came before.
    fn send(&mut self) -> Result<(), Error> {
        self.wait()?;
        let (step, bytes) = (std::mem::take(&mut self.step), std::mem::take(&mut self.bytes));
        if step.is_empty() {
            return Ok(());
        }
        let shared = &self.inner.shared;
        if shared.pins.stopping() {
            return Err(Error::Closed);
        }
        shared.folder.check_index_room(bytes as u64)?;
        let job = |reply| Job::PrepareRestore(Step::Add(step), reply);
        self.under_way = Some(self.inner.writer.queue(job)?);
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        match self.under_way.take() {
            Some(answer) => answer.blocking_recv().unwrap_or(Err(Error::Closed)).map(drop),
            None => Ok(()),
        }
    }
}

/// The imported indexes of the present by the number of their last change.
pub(super) fn inventories_by_change(connection: &Connection) -> Result<HashMap<i64, i64>, Error> {
    let mut found = connection.prepare("SELECT changed, id FROM inventory WHERE bucket_id IS NOT NULL")?;
    let found = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// The rows of an imported index in one table, under another id.
pub(super) fn rows_of_inventory(
    taken: &Connection,
    table: &str,
    (from, to): (i64, i64),
    mut work: impl FnMut(Vec<Value>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut rows = taken.prepare(&format!("SELECT * FROM {table} WHERE inventory_id = ?1"))?;
    let mut rows = rows.query([from])?;
    while let Some(row) = rows.next()? {
        let mut values = values(row)?;
        values[0] = Value::from(to);
        work(values)?;
    }
    Ok(())
}

/// The bytes of a column.
pub(super) fn blob<'a>(row: &'a Row<'_>, index: usize) -> Result<&'a [u8], Error> {
    row.get_ref(index)?.as_blob().map_err(Error::damaged)
}

fn values(row: &Row<'_>) -> Result<Vec<Value>, Error> {
    let columns = row.as_ref().column_count();
    Ok((0..columns).map(|index| row.get(index)).collect::<Result<_, _>>()?)
}
