//! Buckets: what they are, and their statements.

use rusqlite::{Connection, Row, params};

use super::assembly::beside;
use super::change::{Change, find as find_row};
use super::error::Error;
use super::job::Job;
use super::open::Inner;
use super::{inventory, row, statement};
use crate::model::{BucketName, Owner, Timestamp};

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// When it was made.
    pub created: Timestamp,
    /// Where it says it is.
    pub region: String,
    /// Whose it is.
    pub owner: Owner,
}

/// A bucket to be made.
#[derive(Debug, Clone)]
pub struct NewBucket {
    /// Its name.
    pub name: BucketName,
    /// Where it shall say it is.
    pub region: String,
    /// Whose it shall be.
    pub owner: Owner,
}

fn read(row: &Row<'_>) -> Result<(i64, Bucket), Error> {
    let bucket = Bucket {
        name: row::bucket_name(row, 1)?,
        created: row::time(row, 2)?,
        region: row.get(3)?,
        owner: row::owner(row, 4)?,
    };
    Ok((row.get(0)?, bucket))
}

/// The bucket of this name, and its row.
pub(super) fn find(connection: &Connection, name: &BucketName) -> Result<Option<(i64, Bucket)>, Error> {
    find_row(connection, statement::FIND_BUCKET, [name.as_str()], read)
}

/// The row of the bucket of this name.
pub(super) fn id(connection: &Connection, name: &BucketName) -> Result<i64, Error> {
    let found = find_row(connection, statement::FIND_BUCKET_ID, [name.as_str()], |row| Ok(row.get(0)?))?;
    found.ok_or_else(|| Error::NoSuchBucket(name.clone()))
}

/// Buckets whose names begin with `prefix` and come behind `after`.
pub(super) fn list(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Bucket>, Error> {
    // The least text behind a name is that name and a NUL.
    let behind = after.map(|after| format!("{after}\0")).unwrap_or_default();
    let from = behind.as_str().max(prefix);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(statement::LIST_BUCKETS)?;
    let mut rows = statement.query(params![from, row::end_of_prefix(prefix), limit])?;
    let mut buckets = Vec::new();
    while let Some(row) = rows.next()? {
        buckets.push(read(row)?.1);
    }
    Ok(buckets)
}

/// Makes a bucket.
pub(super) fn create(change: &mut Change, new: NewBucket) -> Result<Bucket, Error> {
    if let Some((_, bucket)) = find(change.connection(), &new.name)? {
        return Err(Error::BucketExists { name: bucket.name, owner: bucket.owner });
    }
    let owner = change.owner_id(&new.owner)?;
    let created = change.now();
    change
        .execute(statement::INSERT_BUCKET, params![new.name.as_str(), created.as_ms(), new.region, owner])?;
    Ok(Bucket { name: new.name, created, region: new.region, owner: new.owner })
}

/// Removes a bucket that holds nothing but tombstones and what is cached, with its imported index.
pub(super) async fn delete(inner: &Inner, name: &BucketName) -> Result<(), Error> {
    // Each round but the last one means that somebody has written to the bucket meanwhile.
    loop {
        let looking = name.clone();
        let looked = beside(inner, move |shared| shared.readers.read_state(|reader| look(reader, &looking)));
        let looked = looked.await?;
        if inner.writer.ask(|reply| Job::DeleteBucket(name.clone(), looked, reply)).await? {
            return Ok(());
        }
    }
}

/// Sees to it that a bucket is empty; gives the sequence number as of which it is. There may be a million
/// tombstones to look at.
fn look(connection: &Connection, name: &BucketName) -> Result<u64, Error> {
    let id = id(connection, name)?;
    if find_row(connection, statement::BUCKET_HAS_OBJECT, [id], |_| Ok(()))?.is_some() {
        return Err(Error::BucketNotEmpty(name.clone()));
    }
    find_row(connection, statement::READ_SEQUENCE, [], |found| row::number(found, 0))?
        .ok_or_else(|| Error::damaged("the counter is missing"))
}

/// Removes a bucket that was empty as of a sequence number. The sweep removes its rows, a few at a time.
/// `false`, and nothing is changed, if something was written to it since. Runs inside the write
/// transaction.
pub(super) fn finish_delete(change: &mut Change, name: &BucketName, looked: u64) -> Result<bool, Error> {
    let id = id(change.connection(), name)?;
    if change.find(statement::BUCKET_HAS_UPLOAD, [id], |_| Ok(()))?.is_some() {
        return Err(Error::BucketNotEmpty(name.clone()));
    }
    // Also where this fails: a write that took no number of its own counts as one of the next number, and a
    // look is as of the number that was committed. Without this one the next look would still be too early.
    let sequence = change.next_sequence();
    if change.last_written(id) > looked {
        return Ok(false);
    }
    inventory::drop_whole(change, id)?;
    for delete in [statement::DELETE_BUCKET_SETTINGS, statement::DELETE_BUCKET, statement::INSERT_GONE_BUCKET]
    {
        change.execute(delete, [id])?;
    }
    change.note_garbage(sequence);
    Ok(true)
}
