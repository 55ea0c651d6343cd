//! Going back to a snapshot, in one transaction of the writer's.
//!
//! Rows of objects, uploads and buckets become the snapshot's. Contents are not taken away: those that
//! nothing refers to any more are given up like any other, as a reader may hold them. The counter goes
//! on, so that no number is ever given out twice, whatever state the store goes to.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::Snapshot;
use super::catalogue::open_reading;
use super::merge::{Sides, Table, add_missing, insertion, make_same, put, replace};
use crate::model::SnapshotName;
use crate::store::change::{Change, find, i64_of};
use crate::store::error::Error;
use crate::store::folder::BlobName;
use crate::store::job::Job;
use crate::store::open::Inner;
use crate::store::{row, statement};

/// What the writer is told.
#[derive(Debug)]
pub(in crate::store) struct Restore {
    /// The snapshot's file.
    snapshot: PathBuf,
    /// The index.
    index: PathBuf,
}

const OBJECT: Table =
    Table { name: "object", key: &[("bucket_id", false), ("key", false), ("sequence", true)] };
const UPLOAD: Table = Table { name: "upload", key: &[("bucket_id", false), ("key", false), ("id", false)] };
const PART: Table = Table { name: "part", key: &[("upload", false), ("number", false)] };
const SEGMENT: Table = Table { name: "segment", key: &[("content_id", false), ("start", false)] };
const OBJECT_PART: Table = Table { name: "object_part", key: &[("content_id", false), ("number", false)] };

/// Tables of immutable rows, which are only added to.
const ADDED: [Table; 2] = [SEGMENT, OBJECT_PART];
/// Small tables.
const REPLACED: [&str; 3] = ["owner", "bucket", "bucket_setting"];
/// What belongs to an imported index.
const OF_INVENTORY: [&str; 4] = ["inventory_row", "inventory_cover", "crawl", "crawl_folder"];

/// Every table that a restore knows, for the test that no table is forgotten.
#[cfg(test)]
pub(in crate::store) fn tables() -> Vec<&'static str> {
    let rows = [OBJECT, UPLOAD, PART, SEGMENT, OBJECT_PART].map(|table| table.name);
    // The counter goes on, as does the tally: a receipt tells what was done, also what was taken back.
    // Garbage is the present's, and the present says nothing of itself.
    let others = ["blob", "inventory", "counter", "garbage", "snapshot", "tally", "tally_begin"];
    rows.into_iter().chain(REPLACED).chain(OF_INVENTORY).chain(others).collect()
}

/// Goes back to a snapshot.
pub(super) fn run(inner: &Inner, name: &SnapshotName) -> Result<Snapshot, Error> {
    let shared = &inner.shared;
    // Held to the end: the sweep must not remove a file that is about to be named again.
    let kept = shared.snapshots.lock()?;
    let (snapshot, connection) = kept.get(name)?;
    shared.folder.check_index_room(snapshot.index_bytes)?;
    shared.readers.read(|present| check_files(inner, name, connection, present))?;
    let restore = Restore { snapshot: kept.path(name), index: shared.folder.index() };
    inner.writer.ask_blocking(|reply| Job::Restore(restore, reply))?;
    tracing::info!(snapshot = %name, "snapshot restored");
    Ok(snapshot.clone())
}

/// Checks that what will be named again is there, before anything is changed.
fn check_files(
    inner: &Inner,
    name: &SnapshotName,
    snapshot: &Connection,
    present: &Connection,
) -> Result<(), Error> {
    let bad = |reason: String| Error::BadSnapshot { name: name.clone(), reason };
    let mut blobs = snapshot.prepare("SELECT name, size FROM blob WHERE name IS NOT NULL")?;
    let mut here = present.prepare_cached(statement::FIND_BLOB_NAME)?;
    let mut rows = blobs.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(Error::damaged)?;
        if here.exists([text])? {
            continue;
        }
        let blob = BlobName::parse(text).ok_or_else(|| bad(format!("the blob name {text:?}")))?;
        let path = inner.shared.folder.blob_path(&blob);
        let size = row::number(row, 1)?;
        match std::fs::metadata(&path) {
            Ok(found) if found.len() == size => {}
            Ok(_) => return Err(bad(format!("{} has not {size} bytes", path.display()))),
            Err(error) => return Err(bad(format!("{}: {error}", path.display()))),
        }
    }
    Ok(())
}

/// Does it. Runs alone in the write transaction, and without a savepoint: SQLite would keep every page
/// that is changed in memory.
pub(in crate::store) fn restore(change: &mut Change, restore: &Restore) -> Result<(), Error> {
    let taken = open_reading(&restore.snapshot)?;
    let present = open_reading(&restore.index)?;
    // One state each, as of now: this transaction holds the index.
    taken.execute_batch("BEGIN")?;
    present.execute_batch("BEGIN")?;
    let counter = find(&taken, statement::READ_SEQUENCE, [], |found| row::number(found, 0))?;
    change.raise_sequence(counter.unwrap_or(0));
    let sequence = change.next_sequence();
    // Copies share a content, which is given up once.
    let mut given_up = BTreeSet::new();
    {
        let sides = Sides { taken: &taken, present: &present, writing: change.connection() };
        for table in REPLACED {
            replace(sides, table)?;
        }
        for table in ADDED {
            add_missing(sides, table)?;
        }
        add_blobs(sides)?;
        make_same(sides, OBJECT, |removed| {
            given_up.extend(removed.get::<_, Option<i64>>("content_id")?);
            Ok(())
        })?;
        make_same(sides, UPLOAD, |_| Ok(()))?;
    }
    give_up_parts(change, &taken, &present, sequence)?;
    for content_id in given_up {
        let added = params![i64_of(sequence), content_id];
        change.execute(statement::GARBAGE_CONTENT_IF_UNREFERENCED, added)?;
    }
    // What had been given up and is an object's or a part's again.
    change.connection().execute(
        "DELETE FROM garbage WHERE content_id IN (SELECT content_id FROM part)
         OR EXISTS (SELECT 1 FROM object WHERE content_id = garbage.content_id)",
        [],
    )?;
    inventories(change, &taken)?;
    change.note_garbage(sequence);
    Ok(())
}

/// Adds the blobs that the present does not have any more.
fn add_blobs(sides: Sides<'_>) -> Result<(), Error> {
    // By their index: rows of blobs may have the bytes within.
    let mut ids = sides.taken.prepare("SELECT DISTINCT blob_id FROM segment ORDER BY blob_id")?;
    let mut has = sides.present.prepare("SELECT 1 FROM blob WHERE id = ?1")?;
    let mut read = sides.taken.prepare("SELECT * FROM blob WHERE id = ?1")?;
    let mut insert = sides.writing.prepare(&insertion("blob", read.column_count()))?;
    let mut ids = ids.query([])?;
    while let Some(id) = ids.next()? {
        let id: i64 = id.get(0)?;
        if has.exists([id])? {
            continue;
        }
        let mut rows = read.query([id])?;
        let blob = rows.next()?.ok_or_else(|| Error::damaged(format_args!("blob {id} has no row")))?;
        put(&mut insert, blob)?;
    }
    Ok(())
}

/// Makes the parts of uploads those of the snapshot, and gives up the contents of the others.
fn give_up_parts(
    change: &mut Change,
    taken: &Connection,
    present: &Connection,
    sequence: u64,
) -> Result<(), Error> {
    let mut removed = HashSet::new();
    make_same(Sides { taken, present, writing: change.connection() }, PART, |part| {
        removed.insert(part.get::<_, i64>("content_id")?);
        Ok(())
    })?;
    {
        let mut still = change.connection().prepare("SELECT content_id FROM part")?;
        let mut rows = still.query([])?;
        while let Some(row) = rows.next()? {
            removed.remove(&row.get(0)?);
        }
    }
    for content_id in removed {
        change.execute(statement::GARBAGE_CONTENT, params![i64_of(sequence), content_id])?;
    }
    Ok(())
}

/// Makes the imported indexes those of the snapshot. Those that are the same stay, and the others go as
/// if they had been dropped: the sweep removes them a few rows at a time.
fn inventories(change: &mut Change, taken: &Connection) -> Result<(), Error> {
    let mut theirs = taken.prepare(
        "SELECT id, bucket_id, rows, changed FROM inventory WHERE bucket_id IS NOT NULL ORDER BY id",
    )?;
    let theirs = theirs.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let theirs: Vec<(i64, i64, i64, i64)> = theirs.collect::<Result<_, _>>()?;
    let same = stamps(change.connection())?;
    change.connection().execute("UPDATE inventory SET bucket_id = NULL", [])?;
    for (id, bucket_id, rows, changed) in theirs {
        if let Some(ours) = same.get(&changed) {
            let kept = params![ours, bucket_id];
            change.connection().execute("UPDATE inventory SET bucket_id = ?2 WHERE id = ?1", kept)?;
            continue;
        }
        let new = i64_of(change.next_sequence());
        change.connection().execute(
            "INSERT INTO inventory (id, bucket_id, rows, changed) VALUES (?1, ?2, ?3, ?4)",
            params![new, bucket_id, rows, changed],
        )?;
        for table in OF_INVENTORY {
            copy_of_inventory(change.connection(), taken, table, (id, new))?;
        }
    }
    Ok(())
}

/// The imported indexes by the number of their last change.
fn stamps(connection: &Connection) -> Result<HashMap<i64, i64>, Error> {
    let mut stamps = connection.prepare("SELECT changed, id FROM inventory WHERE bucket_id IS NOT NULL")?;
    let stamps = stamps.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(stamps.collect::<Result<_, _>>()?)
}

/// Copies what belongs to an imported index under another id.
fn copy_of_inventory(
    writing: &Connection,
    taken: &Connection,
    table: &str,
    (from, to): (i64, i64),
) -> Result<(), Error> {
    let mut rows = taken.prepare(&format!("SELECT * FROM {table} WHERE inventory_id = ?1"))?;
    // The id is the first column of each.
    let columns = rows.column_count();
    let mut insert = writing.prepare(&insertion(table, columns))?;
    let mut rows = rows.query([from])?;
    while let Some(row) = rows.next()? {
        insert.raw_bind_parameter(1, to)?;
        for index in 1..columns {
            let value = rusqlite::types::ToSqlOutput::Borrowed(row.get_ref(index)?);
            insert.raw_bind_parameter(index + 1, value)?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}
