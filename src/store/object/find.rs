//! What is under a key.

use rusqlite::{Connection, Row, params};

use super::{Lookup, Object, Origin};
use crate::model::{BucketName, ETag, ObjectKey, ObjectState, Timestamp, VersionId};
use crate::store::change::find as first_row;
use crate::store::content::Content;
use crate::store::epoch::Pin;
use crate::store::error::Error;
use crate::store::shared::Shared;
use crate::store::{row, statement};

/// What a row of `object` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// An object.
    Object,
    /// The mark of a deletion in a versioned bucket.
    DeleteMarker,
    /// The mark of a deletion that hides an upstream's key.
    Tombstone,
}

impl Kind {
    /// Reads the column `kind`.
    pub(in crate::store) fn read(row: &Row<'_>, index: usize) -> Result<Self, Error> {
        match row.get(index)? {
            0 => Ok(Self::Object),
            1 => Ok(Self::DeleteMarker),
            2 => Ok(Self::Tombstone),
            kind => Err(Error::damaged(format_args!("the kind {kind} of an object"))),
        }
    }
}

impl Origin {
    /// Reads the column `origin`.
    pub(in crate::store) fn read(row: &Row<'_>, index: usize) -> Result<Self, Error> {
        match row.get(index)? {
            0 => Ok(Self::Written),
            1 => Ok(Self::Cached),
            origin => Err(Error::damaged(format_args!("the origin {origin} of an object"))),
        }
    }
}

/// A row of `object` as it was read.
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub(in crate::store) enum Found {
    NoBucket,
    Nothing,
    Tombstone,
    DeleteMarker { version_id: VersionId, modified: Timestamp },
    Object(Object),
}

/// The current row of a key, or the row of one of its versions.
pub(in crate::store) fn row(
    connection: &Connection,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<&VersionId>,
) -> Result<Found, Error> {
    let read = |row: &Row<'_>| read(row, bucket, key);
    let (name, bytes) = (bucket.as_str(), key.as_str().as_bytes());
    let found = match version {
        None => first_row(connection, statement::FIND_OBJECT, params![name, bytes], read),
        Some(version) => {
            first_row(connection, statement::FIND_VERSION, params![name, bytes, column(version)], read)
        }
    };
    Ok(found?.unwrap_or(Found::NoBucket))
}

/// The current object of a key, if it is one.
pub(in crate::store) fn find_row(
    connection: &Connection,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Option<Object>, Error> {
    Ok(match row(connection, bucket, key, None)? {
        Found::Object(object) => Some(object),
        Found::NoBucket | Found::Nothing | Found::Tombstone | Found::DeleteMarker { .. } => None,
    })
}

/// The column `version_id` of a version.
fn column(version: &VersionId) -> Option<&str> {
    match version {
        VersionId::Null => None,
        VersionId::Id(id) => Some(id),
    }
}

fn version_id(row: &Row<'_>, index: usize) -> Result<VersionId, Error> {
    match row.get_ref(index)?.as_str_or_null().map_err(Error::damaged)? {
        None => Ok(VersionId::Null),
        Some(id) => VersionId::parse(id).map_err(Error::damaged),
    }
}

fn read(row: &Row<'_>, bucket: &BucketName, key: &ObjectKey) -> Result<Found, Error> {
    if row.get_ref(0)? == rusqlite::types::ValueRef::Null {
        return Ok(Found::Nothing);
    }
    match Kind::read(row, 0)? {
        Kind::Object => object(row, bucket, key).map(Found::Object),
        Kind::Tombstone => Ok(Found::Tombstone),
        Kind::DeleteMarker => {
            Ok(Found::DeleteMarker { version_id: version_id(row, 2)?, modified: row::time(row, 3)? })
        }
    }
}

/// Reads an object from the columns that begin with its kind.
pub(in crate::store) fn object(row: &Row<'_>, bucket: &BucketName, key: &ObjectKey) -> Result<Object, Error> {
    Ok(Object {
        origin: Origin::read(row, 18)?,
        bucket: bucket.clone(),
        key: key.clone(),
        generation: row::number(row, 1)?,
        version_id: version_id(row, 2)?,
        modified: row::time(row, 3)?,
        size_bytes: row::number(row, 4)?,
        etag: row::etag(row, 5)?,
        checksum: row::checksum(row, 6)?,
        owner: row::owner(row, 8)?,
        content_id: row.get(10)?,
        metageneration: row::number(row, 11)?,
        parts: row.get(12)?,
        md5: row::md5(row, 13)?,
        crc32c: row.get(14)?,
        metadata: row::metadata(row, 15)?,
        tags: row::tags(row, 16)?,
        updated: row.get::<_, Option<i64>>(17)?.map(Timestamp::from_ms),
    })
}

/// What is under a key, with its bytes pinned.
pub(in crate::store) fn find(
    shared: &std::sync::Arc<Shared>,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<&VersionId>,
) -> Result<Lookup, Error> {
    // Before the row is read: what it names cannot go from here on.
    let pin: Pin = shared.pins.pin();
    let found = shared.readers.read(|connection| self::row(connection, bucket, key, version))?;
    Ok(match found {
        Found::NoBucket => Lookup::NoBucket,
        Found::Nothing => Lookup::Absent,
        Found::Tombstone => Lookup::Tombstone,
        Found::DeleteMarker { version_id, modified } => Lookup::DeleteMarker { version_id, modified },
        Found::Object(object) => {
            let content = Content::new(
                std::sync::Arc::clone(shared),
                pin.narrow(object.content_id),
                object.content_id,
                object.size_bytes,
                object.parts,
            );
            Lookup::Here(object, content)
        }
    })
}

/// What a write finds in its place.
pub(in crate::store) struct Current {
    /// The row of the bucket.
    pub(in crate::store) bucket_id: i64,
    /// The current row of the key.
    pub(in crate::store) row: Option<CurrentRow>,
}

/// The current row of a key.
pub(in crate::store) struct CurrentRow {
    /// Its sequence number.
    pub(in crate::store) sequence: i64,
    /// The object, unless it is a mark of a deletion.
    pub(in crate::store) object: Option<(ObjectState, i64 /* content */)>,
    /// Who put it here.
    pub(in crate::store) origin: Origin,
    /// The upload that made it.
    pub(in crate::store) upload_id: Option<String>,
}

impl Current {
    /// What conditions are compared with.
    pub(in crate::store) fn state(&self) -> Option<&ObjectState> {
        self.row.as_ref()?.object.as_ref().map(|(state, _)| state)
    }

    /// The size of an object that a client has written, if it is one.
    pub(in crate::store) fn written_bytes(&self) -> Option<u64> {
        let row = self.row.as_ref().filter(|row| row.origin == Origin::Written)?;
        row.object.as_ref().map(|(state, _)| state.size_bytes)
    }
}

/// What a write to a key finds in its place.
pub(in crate::store) fn current(
    connection: &Connection,
    bucket: &BucketName,
    key: &ObjectKey,
) -> Result<Current, Error> {
    let names = params![bucket.as_str(), key.as_str().as_bytes()];
    let found = first_row(connection, statement::FIND_CURRENT, names, |row| {
        Ok(Current { bucket_id: row.get(0)?, row: current_row(row)? })
    })?;
    found.ok_or_else(|| Error::NoSuchBucket(bucket.clone()))
}

fn current_row(row: &Row<'_>) -> Result<Option<CurrentRow>, Error> {
    let Some(sequence) = row.get::<_, Option<i64>>(1)? else { return Ok(None) };
    let object = match Kind::read(row, 2)? {
        Kind::DeleteMarker | Kind::Tombstone => None,
        Kind::Object => {
            let etag: ETag = row::etag(row, 3)?;
            let state = ObjectState {
                etag,
                modified: row::time(row, 4)?,
                size_bytes: row::number(row, 5)?,
                generation: row::number(row, 1)?,
                metageneration: row::number(row, 6)?,
            };
            Some((state, row.get(7)?))
        }
    };
    Ok(Some(CurrentRow { sequence, object, origin: Origin::read(row, 9)?, upload_id: row.get(8)? }))
}
