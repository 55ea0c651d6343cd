//! Changing the imported index. Everything here runs inside the write transaction.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::{Crawl, CrawlStep, Dropped, ImportStep, InventoryRow};
use crate::model::{BucketName, Timestamp};
use crate::store::change::{Change, execute, find as first_row, i64_of};
use crate::store::error::Error;
use crate::store::{bucket, row, statement};

/// How many rows one transaction removes, so that writes behind it do not wait long.
const REMOVED_AT_ONCE: usize = 1024;

/// The number of a bucket's imported index, if it has one.
fn find(change: &Change, bucket_id: i64) -> Result<Option<i64>, Error> {
    change.find(statement::FIND_INVENTORY_ID, [bucket_id], |row| Ok(row.get(0)?))
}

/// The number of a bucket's imported index, which is made if need be.
fn find_or_make(change: &mut Change, name: &BucketName) -> Result<i64, Error> {
    let bucket_id = bucket::id(change.connection(), name)?;
    if let Some(id) = find(change, bucket_id)? {
        return Ok(id);
    }
    let id = i64_of(change.next_sequence());
    change.execute(statement::INSERT_INVENTORY, params![id, bucket_id])?;
    Ok(id)
}

/// Notes that an imported index is not what it was: snapshots know it by that.
fn changed(change: &mut Change, id: i64) -> Result<(), Error> {
    let sequence = i64_of(change.next_sequence());
    change.execute(statement::INVENTORY_CHANGED, params![id, sequence])?;
    Ok(())
}

/// Adds rows, in the place of earlier ones of the same keys.
pub(in crate::store) fn add(
    change: &mut Change,
    bucket: &BucketName,
    rows: Vec<InventoryRow>,
) -> Result<(), Error> {
    let id = find_or_make(change, bucket)?;
    changed(change, id)?;
    put_rows(change, id, rows)
}

fn put_rows(change: &mut Change, id: i64, mut rows: Vec<InventoryRow>) -> Result<(), Error> {
    // Neighbours share pages. Of the same key, the last one given stays the last one.
    rows.sort_by(|one, other| one.key.as_str().as_bytes().cmp(other.key.as_str().as_bytes()));
    let mut added = 0;
    for row in rows {
        let columns = params![
            id,
            row.key.as_str().as_bytes(),
            i64_of(row.size_bytes),
            row.modified.map(Timestamp::as_ms),
            row.etag.as_ref().map(crate::model::ETag::as_str),
            row.md5,
            row.crc32c,
        ];
        let is_new = change.execute(statement::INSERT_INVENTORY_ROW, columns)? > 0;
        if is_new {
            added += 1;
        } else {
            change.execute(statement::UPDATE_INVENTORY_ROW, columns)?;
        }
    }
    change.execute(statement::COUNT_INVENTORY_ROWS, params![id, added])?;
    Ok(())
}

/// Notes that everything below a prefix is known.
pub(in crate::store) fn cover(
    change: &mut Change,
    bucket: &BucketName,
    prefix: &str,
    taken: Timestamp,
) -> Result<(), Error> {
    let id = find_or_make(change, bucket)?;
    changed(change, id)?;
    put_cover(change, id, prefix, taken)
}

fn put_cover(change: &mut Change, id: i64, prefix: &str, taken: Timestamp) -> Result<(), Error> {
    // What is covered below says nothing any more, unless it was taken later.
    let below = params![id, prefix.as_bytes(), row::end_of_prefix(prefix), taken.as_ms()];
    change.execute(statement::DELETE_COVERS_BELOW, below)?;
    change.execute(statement::UPSERT_COVER, params![id, prefix.as_bytes(), taken.as_ms()])?;
    Ok(())
}

/// What is kept of a prefix that is to be covered.
enum Kept {
    Crawl { begun: Timestamp, pending: u64, done: u64 },
    Import { mark: u64 },
}

/// What is under way for a prefix. An import stands among the crawls as one without a folder before it,
/// which a crawl never is; it has its mark where a crawl has its count.
fn find_crawl(change: &Change, id: i64, prefix: &str) -> Result<Option<Kept>, Error> {
    change.find(statement::FIND_CRAWL, params![id, prefix.as_bytes()], |row| {
        let (begun, pending, done) = (row::time(row, 0)?, row::number(row, 1)?, row::number(row, 2)?);
        Ok(if pending == 0 { Kept::Import { mark: done } } else { Kept::Crawl { begun, pending, done } })
    })
}

/// Forgets some of what lies below a prefix, and begins an import of it once all of it is gone: gives
/// the mark that the first step must find.
pub(in crate::store) fn begin_import(
    change: &mut Change,
    bucket: &BucketName,
    prefix: &str,
) -> Result<Option<u64>, Error> {
    if drop_part(change, bucket, prefix)?.more {
        return Ok(None);
    }
    let id = find_or_make(change, bucket)?;
    put_mark(change, id, prefix).map(Some)
}

/// Keeps a step of an import that is to cover a prefix; the last one covers it. Gives the mark that the
/// next step must find.
pub(in crate::store) fn import(change: &mut Change, step: ImportStep) -> Result<Option<u64>, Error> {
    let ImportStep { bucket, prefix, mark, rows, taken } = step;
    let bucket_id = bucket::id(change.connection(), &bucket)?;
    let kept = match find(change, bucket_id)? {
        Some(id) => find_crawl(change, id, &prefix)?.map(|kept| (id, kept)),
        None => None,
    };
    let Some((id, _)) = kept.filter(|(_, kept)| matches!(kept, Kept::Import { mark: left } if *left == mark))
    else {
        return Err(Error::Forgotten { bucket, prefix });
    };
    changed(change, id)?;
    put_rows(change, id, rows)?;
    let Some(taken) = taken else { return put_mark(change, id, &prefix).map(Some) };
    change.execute(statement::DELETE_CRAWL, params![id, prefix.as_bytes()])?;
    put_cover(change, id, &prefix, taken)?;
    Ok(None)
}

/// Leaves the mark of an import's step.
fn put_mark(change: &mut Change, id: i64, prefix: &str) -> Result<u64, Error> {
    let (begun, mark) = (change.now(), change.next_sequence());
    let none_pending = 0;
    let import = params![id, prefix.as_bytes(), begun.as_ms(), none_pending, i64_of(mark)];
    change.execute(statement::UPSERT_CRAWL, import)?;
    Ok(mark)
}

/// Keeps a step of a crawl. The folders that are left are not given.
pub(in crate::store) fn keep(change: &mut Change, step: CrawlStep) -> Result<Crawl, Error> {
    let CrawlStep { bucket, prefix, rows, done, found } = step;
    let id = find_or_make(change, &bucket)?;
    let crawl = (id, prefix.as_bytes());
    let names = params![crawl.0, crawl.1];
    let (begun, mut pending_count, mut done_count) = match find_crawl(change, id, &prefix)? {
        Some(Kept::Crawl { begun, pending, done }) => (begun, pending, done),
        None if is_first(&done, &found) => (change.now(), 0, 0),
        Some(Kept::Import { .. }) | None => return Err(Error::Forgotten { bucket, prefix }),
    };
    changed(change, id)?;
    put_rows(change, id, rows)?;
    for folder in &found {
        let added = params![crawl.0, crawl.1, folder.as_bytes()];
        pending_count += change.execute(statement::INSERT_CRAWL_FOLDER, added)? as u64;
    }
    for folder in &done {
        let removed = params![crawl.0, crawl.1, folder.as_bytes()];
        let removed = change.execute(statement::DELETE_CRAWL_FOLDER, removed)? as u64;
        pending_count = pending_count.saturating_sub(removed);
        done_count += 1;
    }
    if pending_count == 0 {
        change.execute(statement::DELETE_CRAWL, names)?;
        put_cover(change, id, &prefix, begun)?;
    } else {
        let counts = params![crawl.0, crawl.1, begun.as_ms(), i64_of(pending_count), i64_of(done_count)];
        change.execute(statement::UPSERT_CRAWL, counts)?;
    }
    Ok(Crawl { pending: Vec::new(), pending_count, done_count })
}

/// Whether a step can be the first of a crawl: it names a folder to begin with, and has looked at none
/// that an earlier step must have found.
fn is_first(done: &[String], found: &[String]) -> bool {
    let named: HashSet<_> = found.iter().collect();
    !found.is_empty() && done.iter().all(|folder| named.contains(folder))
}

/// Forgets some of what lies below a prefix: the covers and crawls at once, the rows a few at a time.
pub(in crate::store) fn drop_part(
    change: &mut Change,
    bucket: &BucketName,
    prefix: &str,
) -> Result<Dropped, Error> {
    let bucket_id = bucket::id(change.connection(), bucket)?;
    let Some(id) = find(change, bucket_id)? else { return Ok(Dropped { rows: 0, more: false }) };
    if prefix.is_empty() {
        return Ok(Dropped { rows: drop_whole(change, bucket_id)?, more: false });
    }
    changed(change, id)?;
    let touched = |other: &[u8]| other.starts_with(prefix.as_bytes()) || prefix.as_bytes().starts_with(other);
    for (list, deletions) in [
        (statement::LIST_COVERS, &[statement::DELETE_COVER][..]),
        (statement::LIST_CRAWLS, &[statement::DELETE_CRAWL_FOLDERS, statement::DELETE_CRAWL][..]),
    ] {
        for other in prefixes(change.connection(), list, id)?.iter().filter(|other| touched(other)) {
            for deletion in deletions {
                change.execute(deletion, params![id, other])?;
            }
        }
    }
    let below = params![id, prefix.as_bytes(), row::end_of_prefix(prefix), i64_of(REMOVED_AT_ONCE as u64)];
    let removed = change.execute(statement::DELETE_INVENTORY_ROWS, below)?;
    change.execute(statement::COUNT_INVENTORY_ROWS, params![id, -i64_of(removed as u64)])?;
    Ok(Dropped { rows: removed as u64, more: removed == REMOVED_AT_ONCE })
}

fn prefixes(connection: &Connection, list: &'static str, id: i64) -> Result<Vec<Vec<u8>>, Error> {
    let mut statement = connection.prepare_cached(list)?;
    let rows = statement.query_map([id], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes a bucket's imported index away from it, for the sweep to remove. Says how many rows it had.
pub(in crate::store) fn drop_whole(change: &mut Change, bucket_id: i64) -> Result<u64, Error> {
    let rows = change.find(statement::DROP_INVENTORY, [bucket_id], |found| row::number(found, 0))?;
    if rows.is_some() {
        let sequence = change.next_sequence();
        change.note_garbage(sequence);
    }
    Ok(rows.unwrap_or(0))
}

/// Removes some of what was dropped. Says whether there is more.
pub(in crate::store) fn sweep(connection: &Connection) -> Result<bool, Error> {
    let dropped =
        first_row(connection, statement::NEXT_DROPPED_INVENTORY, [], |row| Ok(row.get::<_, i64>(0)?))?;
    let Some(id) = dropped else { return Ok(false) };
    for batch in [statement::SWEEP_INVENTORY_ROWS, statement::SWEEP_CRAWL_FOLDERS] {
        if execute(connection, batch, params![id, i64_of(REMOVED_AT_ONCE as u64)])? > 0 {
            return Ok(true);
        }
    }
    for rest in [statement::DELETE_COVERS, statement::DELETE_CRAWLS, statement::DELETE_INVENTORY] {
        execute(connection, rest, [id])?;
    }
    Ok(true)
}
