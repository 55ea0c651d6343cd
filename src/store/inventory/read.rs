//! What the imported index says.

use rusqlite::{Connection, Row, params};

use super::{Crawl, InventoryRow, Known};
use crate::model::{BucketName, ObjectKey, Timestamp};
use crate::store::change::find as first_row;
use crate::store::error::Error;
use crate::store::scan::{Scan, lower_bound};
use crate::store::{row, statement};

/// How many folders of a crawl are given at once.
const PENDING_MAX: i64 = 1000;

/// The imported index of a bucket.
#[derive(Debug, Clone, Copy)]
struct Inventory {
    id: i64,
    rows: u64,
}

/// Reads the imported index of a bucket, all as of one moment; `None` if it has none.
fn look<T>(
    connection: &Connection,
    bucket: &BucketName,
    read: impl FnOnce(Inventory) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut statement = connection.prepare_cached(statement::FIND_INVENTORY)?;
    let mut rows = statement.query([bucket.as_str()])?;
    let row = rows.next()?.ok_or_else(|| Error::NoSuchBucket(bucket.clone()))?;
    let Some(id) = row.get(0)? else { return Ok(None) };
    let inventory = Inventory { id, rows: row::number(row, 1)? };
    // As long as this statement is not at its end, the others of the connection see what it saw: a row
    // and the cover that speaks for its absence come from one state of the index.
    read(inventory).map(Some)
}

/// Reads a row from the columns that begin with its key.
pub(in crate::store) fn row(row: &Row<'_>) -> Result<InventoryRow, Error> {
    let has_etag = row.get_ref(3)? != rusqlite::types::ValueRef::Null;
    Ok(InventoryRow {
        key: row::key(row, 0)?,
        size_bytes: row::number(row, 1)?,
        modified: row.get::<_, Option<i64>>(2)?.map(Timestamp::from_ms),
        etag: has_etag.then(|| row::etag(row, 3)).transpose()?,
        md5: row::md5(row, 4)?,
        crc32c: row.get(5)?,
    })
}

/// What is known of a key.
pub(super) fn find(connection: &Connection, bucket: &BucketName, key: &ObjectKey) -> Result<Known, Error> {
    let bytes = key.as_str().as_bytes();
    let known = look(connection, bucket, |inventory| {
        let names = params![inventory.id, bytes];
        if let Some(row) = first_row(connection, statement::FIND_INVENTORY_ROW, names, row)? {
            return Ok(Known::Here(row));
        }
        let covered = is_covered(connection, inventory.id, bytes)?;
        Ok(if covered { Known::Absent } else { Known::Unknown })
    })?;
    Ok(known.unwrap_or(Known::Unknown))
}

/// Whether a key begins with a covered prefix.
///
/// Such a prefix is not behind the key, and every text between the two begins with it too. So the last
/// cover that is not behind the key either is the one, or what both have in common is as far as it can
/// reach: as many look-ups as there are steps, whatever the number of covers.
fn is_covered(connection: &Connection, inventory_id: i64, key: &[u8]) -> Result<bool, Error> {
    let mut reach = key.len();
    loop {
        let bound = params![inventory_id, &key[..reach]];
        let cover =
            first_row(connection, statement::COVER_BEFORE, bound, |row| Ok(row.get::<_, Vec<u8>>(0)?))?;
        let Some(cover) = cover else { return Ok(false) };
        let common = cover.iter().zip(key).take_while(|(one, other)| one == other).count();
        if common == cover.len() {
            return Ok(true);
        }
        reach = common;
    }
}

/// Rows of a range of keys.
pub(super) fn scan(
    connection: &Connection,
    bucket: &BucketName,
    scan: &Scan,
) -> Result<Vec<InventoryRow>, Error> {
    let (from, to) = (lower_bound(&scan.start, &scan.prefix), row::end_of_prefix(&scan.prefix));
    let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX);
    let found = look(connection, bucket, |inventory| {
        let mut found = Vec::new();
        if from >= to {
            return Ok(found);
        }
        let mut statement = connection.prepare_cached(statement::SCAN_INVENTORY)?;
        let mut rows = statement.query(params![inventory.id, from, to, limit])?;
        while let Some(next) = rows.next()? {
            found.push(row(next)?);
        }
        Ok(found)
    })?;
    Ok(found.unwrap_or_default())
}

/// Covered prefixes, and how many rows there are.
pub(super) fn covers(
    connection: &Connection,
    bucket: &BucketName,
) -> Result<(Vec<(String, Timestamp)>, u64), Error> {
    let found = look(connection, bucket, |inventory| {
        let mut statement = connection.prepare_cached(statement::LIST_COVERS)?;
        let mut rows = statement.query([inventory.id])?;
        let mut covers = Vec::new();
        while let Some(row) = rows.next()? {
            covers.push((row::bytes_as_text(row, 0)?, row::time(row, 1)?));
        }
        Ok((covers, inventory.rows))
    })?;
    Ok(found.unwrap_or_default())
}

/// A crawl that is not done.
pub(super) fn crawl(
    connection: &Connection,
    bucket: &BucketName,
    prefix: &str,
) -> Result<Option<Crawl>, Error> {
    let found = look(connection, bucket, |inventory| {
        let names = params![inventory.id, prefix.as_bytes()];
        let counts = first_row(connection, statement::FIND_CRAWL, names, |row| {
            Ok((row::number(row, 1)?, row::number(row, 2)?))
        })?;
        // One without a folder before it is an import's mark.
        let counts = counts.filter(|(pending_count, _)| *pending_count > 0);
        let Some((pending_count, done_count)) = counts else { return Ok(None) };
        let mut statement = connection.prepare_cached(statement::LIST_CRAWL_FOLDERS)?;
        let mut rows = statement.query(params![inventory.id, prefix.as_bytes(), PENDING_MAX])?;
        let mut pending = Vec::new();
        while let Some(row) = rows.next()? {
            pending.push(row::bytes_as_text(row, 0)?);
        }
        Ok(Some(Crawl { pending, pending_count, done_count }))
    })?;
    Ok(found.flatten())
}
