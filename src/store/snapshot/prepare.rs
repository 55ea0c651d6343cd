//! What a restore does beforehand, while others go on writing.
//!
//! It compares the present with the snapshot and notes the keys that are not the same, and has the writer
//! add the contents and the imported indexes that the present does not have any more. Until the restore
//! refers to them they are garbage like any other: a crash, or a restore that fails, leaves them to the
//! sweep.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::Snapshot;
use super::catalogue::open_reading;
use super::merge::{Table, differences};
use super::step::{STEP_BYTES, Step};
use crate::store::change::i64_of;
use crate::store::error::Error;
use crate::store::folder::Folder;
use crate::store::job::Job;
use crate::store::open::Inner;

/// What a row counts besides its bytes: a step is of two thousand at most.
const ROW_BYTES: usize = 1024;
/// With fewer keys that are not the same, it is these that are replaced, in any case.
const KEYS_MIN: u64 = if cfg!(test) { 2 } else { 1000 };
/// If more than one key of so many is not the same, all objects are replaced: to write a table anew, page by
/// page, costs a few searches in it for each object.
const ONE_OF: u64 = 3;

const OBJECT: Table =
    Table { name: "object", key: &[("bucket_id", false), ("key", false), ("sequence", true)] };
const SEGMENT: Table = Table { name: "segment", key: &[("content_id", false), ("start", false)] };
const OBJECT_PART: Table = Table { name: "object_part", key: &[("content_id", false), ("number", false)] };

/// Blobs without their bytes: what has another name, size or MD5 is another blob.
const BLOB: Table = Table { name: "(SELECT id, name, size, md5 FROM blob)", key: &[("id", false)] };

/// What belongs to an imported index, whose id is the first column of each.
pub(super) const OF_INVENTORY: [&str; 4] = ["inventory_row", "inventory_cover", "crawl", "crawl_folder"];

/// Every table that is looked at here, for the test that no table is forgotten.
#[cfg(test)]
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    [OBJECT, SEGMENT, OBJECT_PART].into_iter().map(|table| table.name).chain(OF_INVENTORY).chain(["blob"])
}

/// A restore that can be done. The snapshot is attached to the writing connection.
#[derive(Debug)]
pub(in crate::store) struct Prepared {
    /// The snapshot.
    pub(super) taken: Connection,
    /// The keys that are not the same; `None` if there are so many that all are replaced.
    pub(super) keys: Option<Connection>,
    /// Ids of imported indexes that were copied, by the number of their last change.
    pub(super) inventories: HashMap<i64, i64>,
}

/// A restore under way: the snapshot is attached for as long as it lives.
pub(super) struct Begun<'a>(&'a Inner);

impl<'a> Begun<'a> {
    pub(super) fn begin(inner: &'a Inner, snapshot: &Path) -> Result<Self, Error> {
        // Also where this fails half-way.
        let begun = Self(inner);
        inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Begin(snapshot.to_owned()), reply))?;
        Ok(begun)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        // Nobody needs the answer: what comes next comes behind it.
        drop(self.0.writer.queue(|reply| Job::PrepareRestore(Step::End, reply)));
    }
}

/// A database for what does not fit into memory, in the folder of what is on its way in.
struct Scratch {
    connection: Connection,
    path: PathBuf,
}

impl Scratch {
    fn new(folder: &Folder, table: &str) -> Result<Self, Error> {
        let path = folder.staging_path(&folder.new_name());
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        crate::store::private::create_if_missing(&path).map_err(|error| folder.explain(&path, error))?;
        let scratch = Self { connection: Connection::open_with_flags(&path, flags)?, path };
        scratch.connection.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -1024; BEGIN; CREATE TABLE {table}"
        ))?;
        Ok(scratch)
    }

    /// The database alone: of its file nothing is left once it is closed, whatever happens.
    fn unnamed(self) -> Result<Connection, Error> {
        std::fs::remove_file(&self.path).map_err(|error| Error::file(&self.path, error))?;
        Ok(self.connection)
    }
}

/// Prepares to go back to the snapshot in this file, which has begun. Nothing is swept meanwhile, so that
/// what is here once stays.
pub(super) fn prepare(inner: &Inner, snapshot: &Snapshot, file: &Path) -> Result<Prepared, Error> {
    let shared = &inner.shared;
    let (taken, present) = (open_reading(file)?, open_reading(&shared.folder.index())?);
    taken.execute_batch("BEGIN")?;
    let lacking = Scratch::new(&shared.folder, "content (id INTEGER PRIMARY KEY)")?;
    let steps = at_once(inner, &present, || note_lacking(inner, &taken, &present, &lacking.connection))?;
    add_contents(inner, lacking, &steps)?;
    let mut adding = Adding { inner, rows: Vec::new(), bytes: 0 };
    let inventories = adding.inventories(&taken, &present)?;
    adding.send()?;
    // Last, so that little is changed behind it.
    inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Watch, reply))?;
    let keys = at_once(inner, &present, || changed_keys(&shared.folder, snapshot, &taken, &present))?;
    Ok(Prepared { taken, keys, inventories })
}

/// Looks at the present as of now.
fn at_once<T>(
    inner: &Inner,
    present: &Connection,
    look: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let _reading = inner.shared.copies.begin();
    present.execute_batch("BEGIN")?;
    let found = look();
    present.execute_batch("COMMIT")?;
    found
}

/// Notes the keys that are not the same, unless they are too many.
fn changed_keys(
    folder: &Folder,
    snapshot: &Snapshot,
    taken: &Connection,
    present: &Connection,
) -> Result<Option<Connection>, Error> {
    let keys = "changed (bucket_id INTEGER, key BLOB, PRIMARY KEY (bucket_id, key)) WITHOUT ROWID";
    let keys = Scratch::new(folder, keys)?.unnamed()?;
    let mut changed = 0_u64;
    {
        let mut note = keys.prepare("INSERT INTO changed VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
        differences(present, taken, OBJECT, |ours, theirs| {
            if let Some(row) = ours.or(theirs) {
                changed += note.execute(params![row.get::<_, i64>(0)?, blob(row, 1)?])? as u64;
            }
            Ok(changed <= KEYS_MIN || changed <= snapshot.objects / ONE_OF)
        })?;
    }
    let few = changed <= KEYS_MIN || changed <= snapshot.objects / ONE_OF;
    Ok(few.then_some(keys))
}

/// Notes contents that have rows in the snapshot alone. Gives the last of each step by which they are added.
fn note_lacking(
    inner: &Inner,
    taken: &Connection,
    present: &Connection,
    lacking: &Connection,
) -> Result<Vec<i64>, Error> {
    let mut note = lacking.prepare("INSERT INTO content VALUES (?1) ON CONFLICT DO NOTHING")?;
    let (mut steps, mut bytes, mut last) = (Vec::new(), 0, None);
    let foreign = |table: &str| {
        Error::damaged(format_args!(
            "the snapshot is none of this store: its table {table} has other rows under the same ids"
        ))
    };
    differences(present, taken, BLOB, |ours, theirs| {
        if ours.is_some() && theirs.is_some() { Err(foreign("blob")) } else { Ok(true) }
    })?;
    for table in [SEGMENT, OBJECT_PART] {
        differences(present, taken, table, |ours, theirs| {
            let Some(theirs) = theirs else { return Ok(true) };
            if ours.is_some() {
                return Err(foreign(table.name));
            }
            let id: i64 = theirs.get("content_id")?;
            note.execute([id])?;
            last = Some(i64::MAX);
            if table.name == SEGMENT.name {
                // What is longer has its bytes in a file.
                let length = usize::try_from(theirs.get::<_, i64>("length")?).unwrap_or(usize::MAX);
                bytes += ROW_BYTES + if length <= inner.inline_max_bytes { length } else { 0 };
                if bytes >= STEP_BYTES {
                    steps.push(id);
                    bytes = 0;
                }
            }
            Ok(true)
        })?;
    }
    steps.extend(last);
    Ok(steps)
}

/// Adds contents, each with its rows and the blobs that it is made of.
fn add_contents(inner: &Inner, lacking: Scratch, steps: &[i64]) -> Result<(), Error> {
    if steps.is_empty() {
        return lacking.unnamed().map(drop);
    }
    let shared = &inner.shared;
    let Scratch { connection, path } = lacking;
    let closed =
        connection.execute_batch("COMMIT").and_then(|()| connection.close().map_err(|(_, error)| error));
    let attached = closed.map_err(Error::from).and_then(|()| {
        inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Lacking(path.clone()), reply))
    });
    // Who has it open needs no name of it.
    std::fs::remove_file(&path).map_err(|error| shared.folder.explain(&path, error))?;
    attached?;
    let mut after = i64::MIN;
    for up_to in steps {
        if shared.pins.stopping() {
            return Err(Error::Closed);
        }
        shared.folder.check_index_room(STEP_BYTES as u64)?;
        inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Contents(after, *up_to), reply))?;
        after = *up_to;
    }
    Ok(())
}

/// Rows that are being added, a step at a time.
struct Adding<'a> {
    inner: &'a Inner,
    rows: Vec<(&'static str, Vec<Value>)>,
    bytes: usize,
}

impl Adding<'_> {
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
            let number = |reply| Job::PrepareRestore(Step::Rows(Vec::new()), reply);
            let new = i64_of(self.inner.writer.ask_blocking(number)?);
            let inventory = [Value::from(new), Value::Null, Value::from(rows), Value::from(changed)];
            self.put("inventory", inventory.to_vec())?;
            for table in OF_INVENTORY {
                rows_of_inventory(taken, table, (id, new), |values| self.put(table, values))?;
            }
            added.insert(changed, new);
        }
        Ok(added)
    }

    fn put(&mut self, table: &'static str, values: Vec<Value>) -> Result<(), Error> {
        let bytes = values.iter().map(|value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 0,
        });
        self.bytes += ROW_BYTES + bytes.sum::<usize>();
        self.rows.push((table, values));
        if self.bytes < STEP_BYTES { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), Error> {
        let (rows, bytes) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.bytes));
        if rows.is_empty() {
            return Ok(());
        }
        let shared = &self.inner.shared;
        if shared.pins.stopping() {
            return Err(Error::Closed);
        }
        shared.folder.check_index_room(bytes as u64)?;
        self.inner.writer.ask_blocking(|reply| Job::PrepareRestore(Step::Rows(rows), reply)).map(drop)
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
