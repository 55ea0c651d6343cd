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
    find::find_row(change.connection(), bucket, key)?.ok_or_else(absent)
}

/// Notes digests that were not known when the object was written, for every copy of its content.
pub(in crate::store) fn set_digests(change: &mut Change, set: &SetDigests) -> Result<(), Error> {
    let SetDigests { content_id, size_bytes, md5, crc32c } = set;
    change.execute(statement::SET_DIGESTS, params![content_id, md5, crc32c, i64_of(*size_bytes)])?;
    Ok(())
}
