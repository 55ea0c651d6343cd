//! Changing the tags of an object. Nothing else of it changes: not its time, not its generation.

use rusqlite::params;

use super::ObjectRef;
use super::find::{self, Current};
use crate::model::{Tags, VersionId};
use crate::store::change::Change;
use crate::store::error::Error;
use crate::store::{row, statement};

/// Replaces the tags of an object.
pub(in crate::store) fn set_tags(change: &mut Change, object: ObjectRef, tags: &Tags) -> Result<(), Error> {
    let ObjectRef { bucket, key, version } = object;
    let Current { bucket_id, row } = find::current(change.connection(), &bucket, &key)?;
    if matches!(version, Some(VersionId::Id(_))) {
        return Err(Error::NoSuchVersion { bucket, key });
    }
    let Some(row) = row.filter(|row| row.object.is_some()) else {
        return Err(Error::NoSuchObject { bucket, key });
    };
    let key = key.as_str().as_bytes();
    change.execute(statement::SET_TAGS, params![bucket_id, key, row.sequence, row::tags_text(tags)?])?;
    change.note_written(bucket_id);
    Ok(())
}
