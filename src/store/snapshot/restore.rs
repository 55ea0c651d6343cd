//! Going back to a snapshot: what takes long is done beforehand, the rest is one transaction.
//!
//! Rows of objects, uploads and buckets become the snapshot's. Contents are not taken away: those that
//! nothing refers to any more are given up like any other, as a reader may hold them. The counter goes
//! on, so that no number is ever given out twice, whatever state the store goes to.
//!
//! Why it is so. Most of the time goes into two things: looking at every object on both sides, and writing
//! the small bodies that the present has dropped (they are rows, a third of a page each). Neither needs the
//! transaction. So [`prepare`](super::prepare) does both while others write, what it adds being
//! garbage until the restore, and temporary triggers on the one connection that writes note which keys change
//! meanwhile. What is left for the transaction is to replace the keys that differ, noted ones among them
//! without a second look: writers wait for that, and for its commit. SQL that compares whole tables
//! (`EXCEPT`) would need all rows in memory. To put the snapshot's file in the index's place would be quicker
//! to write, but readers look up segments while they stream, and the counter, the tally and the garbage
//! would have to move over without a moment in which a crash finds neither.

use rusqlite::{Connection, Statement, params, params_from_iter};

use super::Snapshot;
use super::merge::{insertion, put, replace};
use super::prepare::{
    Begun, OF_INVENTORY, Prepared, blob, inventories_by_change, prepare, rows_of_inventory,
};
use super::step::ignore_changes;
use crate::model::SnapshotName;
use crate::store::change::{Change, find, i64_of};
use crate::store::error::Error;
use crate::store::folder::BlobName;
use crate::store::job::Job;
use crate::store::open::Inner;
use crate::store::{row, statement};

/// Tables that are small: all their rows become the snapshot's. In a snapshot nothing is left of what is
/// gone, and what is gone in the present is all given up here.
const REPLACED: [&str; 7] =
    ["owner", "bucket", "bucket_setting", "upload", "part", "gone_upload", "gone_bucket"];

/// Every table that a restore knows, for the test that no table is forgotten.
#[cfg(test)]
pub(in crate::store) fn tables() -> Vec<&'static str> {
    // The counter goes on, as does the tally: a receipt tells what was done, also what was taken back.
    // Garbage is the present's, and the present says nothing of itself.
    // Which index it is and who made its files is not a part of any state. What the stage was told stays:
    // the release under test is hidden as before, whatever content comes back.
    let others = [
        "inventory",
        "counter",
        "garbage",
        "snapshot",
        "tally",
        "tally_begin",
        "identity",
        "run",
        "stage_setting",
    ];
    super::prepare::tables().chain(REPLACED).chain(others).collect()
}

/// Goes back to a snapshot. `meanwhile` is what tests do between its two halves.
pub(super) fn run(inner: &Inner, name: &SnapshotName, meanwhile: impl FnOnce()) -> Result<Snapshot, Error> {
    let shared = &inner.shared;
    // Held to the end: the sweep must not remove a file that is about to be named again.
    let kept = shared.snapshots.lock()?;
    let (snapshot, connection) = kept.get(name)?;
    shared.folder.check_index_room(snapshot.index_bytes)?;
    shared.readers.read(|present| check_files(inner, name, connection, present))?;
    let begun = Begun::begin(inner, &kept.path(name))?;
    let prepared = prepare(inner, snapshot, &kept.path(name))?;
    meanwhile();
    inner.writer.ask_blocking(|reply| Job::Restore(Box::new(prepared), reply))?;
    drop(begun);
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
pub(in crate::store) fn restore(change: &mut Change, prepared: &Prepared) -> Result<(), Error> {
    let taken = &prepared.taken;
    let counter = find(taken, statement::READ_SEQUENCE, [], |found| row::number(found, 0))?;
    change.raise_sequence(counter.unwrap_or(0));
    let sequence = i64_of(change.next_sequence());
    change.count_restore();
    ignore_changes(change)?;
    let writing = change.connection();
    // All of these, and then not those that are still referred to.
    writing.execute("INSERT INTO garbage SELECT DISTINCT ?1, content_id FROM part", [sequence])?;
    for table in REPLACED {
        replace(writing, taken, table)?;
    }
    match &prepared.keys {
        Some(changed) => {
            let mut keys = Keys::new(writing, taken, sequence)?;
            keys.replace(changed, "SELECT bucket_id, key FROM changed ORDER BY bucket_id, key")?;
            keys.replace(writing, "SELECT DISTINCT bucket_id, key FROM temp.touched")?;
        }
        None => replace_all(writing, sequence)?,
    }
    // What had been given up and is an object's or a part's again.
    writing.execute(
        "DELETE FROM garbage WHERE content_id IN (SELECT content_id FROM part)
         OR EXISTS (SELECT 1 FROM object WHERE content_id = garbage.content_id)",
        [],
    )?;
    inventories(change, prepared)?;
    change.note_garbage(sequence.unsigned_abs());
    Ok(())
}

/// Makes all objects those of the snapshot. SQLite empties a table without a look at its rows, and fills an
/// empty one from one of the same form without taking the rows apart.
fn replace_all(writing: &Connection, sequence: i64) -> Result<(), Error> {
    writing.execute(
        "INSERT INTO garbage SELECT ?1, content_id FROM object INDEXED BY object_content
         WHERE content_id IS NOT NULL ON CONFLICT DO NOTHING",
        [sequence],
    )?;
    // A conflict ends the transaction, and not the statement alone: for that SQLite would keep in memory
    // what every page was before.
    writing.execute_batch(
        "DELETE FROM main.object; INSERT OR ROLLBACK INTO main.object SELECT * FROM taken.object",
    )?;
    Ok(())
}

/// Makes the rows of keys those of the snapshot.
struct Keys<'a> {
    find: Statement<'a>,
    give_up: Statement<'a>,
    delete: Statement<'a>,
    read: Statement<'a>,
    insert: Statement<'a>,
    sequence: i64,
}

impl<'a> Keys<'a> {
    fn new(writing: &'a Connection, taken: &'a Connection, sequence: i64) -> Result<Self, Error> {
        let read = taken.prepare("SELECT * FROM object WHERE bucket_id = ?1 AND key = ?2")?;
        Ok(Self {
            find: writing
                .prepare("SELECT sequence, content_id FROM object WHERE bucket_id = ?1 AND key = ?2")?,
            // Copies share a content, which is given up once.
            give_up: writing.prepare("INSERT INTO garbage VALUES (?1, ?2) ON CONFLICT DO NOTHING")?,
            delete: writing.prepare(statement::DELETE_OBJECT)?,
            insert: writing.prepare(&insertion("object", read.column_count()))?,
            read,
            sequence,
        })
    }

    fn replace(&mut self, listed: &Connection, sql: &str) -> Result<(), Error> {
        let mut keys = listed.prepare(sql)?;
        let mut keys = keys.query([])?;
        while let Some(found) = keys.next()? {
            let (bucket_id, key) = (found.get::<_, i64>(0)?, blob(found, 1)?);
            let ours = self.find.query_map(params![bucket_id, key], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let ours: Vec<(i64, Option<i64>)> = ours.collect::<Result<_, _>>()?;
            for (version, content_id) in ours {
                // One row at a time: for more SQLite would prepare to take a statement back in its middle.
                self.delete.execute(params![bucket_id, key, version])?;
                if content_id.is_some() {
                    self.give_up.execute(params![self.sequence, content_id])?;
                }
            }
            let mut rows = self.read.query(params![bucket_id, key])?;
            while let Some(row) = rows.next()? {
                put(&mut self.insert, row)?;
            }
        }
        Ok(())
    }
}

/// Makes the imported indexes those of the snapshot. Those that are the same stay, and the others go as
/// if they had been dropped: the sweep removes them a few rows at a time.
fn inventories(change: &mut Change, prepared: &Prepared) -> Result<(), Error> {
    let mut theirs = prepared.taken.prepare(
        "SELECT id, bucket_id, rows, changed FROM inventory WHERE bucket_id IS NOT NULL ORDER BY id",
    )?;
    let theirs = theirs.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let theirs: Vec<(i64, i64, i64, i64)> = theirs.collect::<Result<_, _>>()?;
    let same = inventories_by_change(change.connection())?;
    change.connection().execute("UPDATE inventory SET bucket_id = NULL", [])?;
    for (id, bucket_id, rows, changed) in theirs {
        if let Some(here) = same.get(&changed).or_else(|| prepared.inventories.get(&changed)) {
            let kept = params![here, bucket_id];
            change.connection().execute("UPDATE inventory SET bucket_id = ?2 WHERE id = ?1", kept)?;
            continue;
        }
        // It was the same when the restore was prepared, and was changed since.
        let new = i64_of(change.next_sequence());
        let writing = change.connection();
        writing.execute(
            "INSERT INTO inventory (id, bucket_id, rows, changed) VALUES (?1, ?2, ?3, ?4)",
            params![new, bucket_id, rows, changed],
        )?;
        for table in OF_INVENTORY {
            rows_of_inventory(&prepared.taken, table, (id, new), |values| {
                let mut insert = writing.prepare_cached(&insertion(table, values.len()))?;
                insert.execute(params_from_iter(values))?;
                Ok(())
            })?;
        }
    }
    Ok(())
}
