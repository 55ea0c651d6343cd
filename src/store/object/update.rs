//! Changing what is said of an object without writing its bytes. Everything here runs inside the
//! write transaction.

use rusqlite::params;

use super::find;
use super::{Object, SetDigests, UpdateObject};
use crate::store::change::{Change, i64_of};
use crate::store::error::Error;
use crate::store::{row, statement};

/// Gives an object other metadata.
pub(in crate::store) fn update(change: &mut Change, update: &UpdateObject) -> Result<Object, Error> {
    let UpdateObject { bucket, key, metadata, conditions } = update;
    let current = find::current(change.connection(), bucket, key)?;
    let absent = || Error::NoSuchObject { bucket: bucket.clone(), key: key.clone() };
    conditions.check(current.state()).map_err(Error::Condition)?;
    let sequence = current.row.as_ref().filter(|row| row.object.is_some()).ok_or_else(absent)?.sequence;
    change.execute(
        statement::UPDATE_OBJECT,
        params![
            current.bucket_id,
            key.as_str().as_bytes(),
            sequence,
            row::metadata_text(metadata)?,
            change.now().as_ms()
        ],
    )?;
    change.note_written(current.bucket_id);
    find::find_row(change.connection(), bucket, key)?.ok_or_else(absent)
}

/// How many copies of a content one transaction tells its digests.
pub(in crate::store) const DIGESTS_AT_ONCE: usize = 256;

/// Notes digests that were not known when the object was written, for some of the copies of its content.
/// Gives the last of them if there may be more.
pub(in crate::store) fn set_digests(
    change: &mut Change,
    set: &SetDigests,
) -> Result<Option<(i64, Vec<u8>)>, Error> {
    let SetDigests { content_id, size_bytes, md5, crc32c, after } = set;
    let mut copies: Vec<(i64, Vec<u8>, i64)> = Vec::new();
    {
        let mut statement = change.connection().prepare_cached(statement::COPIES_OF)?;
        let limit = i64_of(DIGESTS_AT_ONCE as u64);
        let mut rows = statement.query(params![content_id, after.0, after.1, limit])?;
        while let Some(row) = rows.next()? {
            copies.push((row.get(0)?, row.get(1)?, row.get(2)?));
        }
    }
    for (bucket_id, key, sequence) in &copies {
        let columns = params![bucket_id, key, sequence, i64_of(*size_bytes), md5, crc32c];
        change.execute(statement::SET_DIGESTS, columns)?;
    }
    let more = copies.len() == DIGESTS_AT_ONCE;
    Ok(copies.pop().filter(|_| more).map(|(bucket_id, key, _)| (bucket_id, key)))
}
