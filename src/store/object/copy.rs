//! Copying objects: a new row for the same content.

use rusqlite::Connection;

use super::find::{self, Found};
use super::put::{delete_one, replace};
use super::{CopyObject, DeleteObject, Object, Origin, Source};
use crate::model::{VersionId, WriteConditions};
use crate::store::change::Change;
use crate::store::error::Error;
use crate::store::tally::Counted;

/// The object that a copy is made of, if it is still the one that is meant.
pub(in crate::store) fn source(connection: &Connection, source: &Source) -> Result<Object, Error> {
    let Source { bucket, key, version, conditions, generation } = source;
    let absent = || match version {
        None => Error::NoSuchObject { bucket: bucket.clone(), key: key.clone() },
        Some(_) => Error::NoSuchVersion { bucket: bucket.clone(), key: key.clone() },
    };
    let object = match find::row(connection, bucket, key, version.as_ref())? {
        Found::Object(object) => object,
        Found::NoBucket => return Err(Error::NoSuchBucket(bucket.clone())),
        // The caller has read it before: it has gone since.
        _ if generation.is_some() => return Err(Error::SourceChanged),
        Found::Nothing | Found::Tombstone | Found::DeleteMarker { .. } => return Err(absent()),
    };
    if generation.is_some_and(|generation| generation != object.generation) {
        return Err(Error::SourceChanged);
    }
    conditions.check(&object.state()).map_err(Error::SourceCondition)?;
    Ok(object)
}

/// Makes an object of another one's content.
pub(in crate::store) fn copy(change: &mut Change, copy: CopyObject) -> Result<Object, Error> {
    let source = source(change.connection(), &copy.source)?;
    let current = find::current(change.connection(), &copy.bucket, &copy.key)?;
    copy.conditions.check(current.state()).map_err(Error::Condition)?;
    let object = Object {
        bucket: copy.bucket,
        key: copy.key,
        version_id: VersionId::Null,
        generation: change.next_sequence(),
        metageneration: 1,
        modified: change.now(),
        metadata: copy.metadata.unwrap_or(source.metadata),
        tags: copy.tags.unwrap_or(source.tags),
        checksum: copy.checksum.or(source.checksum),
        owner: copy.owner,
        updated: None,
        origin: Origin::Written,
        ..source
    };
    replace(change, &current, &object, None)?;
    change.count(Counted::Copied, object.size_bytes);
    Ok(object)
}

/// Gives an object another key. With a tombstone its old key stays deleted, whatever an upstream has.
pub(in crate::store) fn rename(
    change: &mut Change,
    renamed: CopyObject,
    tombstone: bool,
) -> Result<Object, Error> {
    let Source { bucket, key, .. } = &renamed.source;
    if *bucket != renamed.bucket || *key == renamed.key {
        // The old key is deleted below, and that would be the new one.
        return Err(Error::BadMove {
            bucket: bucket.clone(),
            key: key.clone(),
            to_bucket: renamed.bucket,
            to_key: renamed.key,
        });
    }
    let bucket = bucket.clone();
    let delete = DeleteObject {
        key: renamed.source.key.clone(),
        version: None,
        conditions: WriteConditions::default(),
        tombstone,
    };
    // The new row comes first, so that the content is never without one.
    let object = copy(change, renamed)?;
    delete_one(change, &bucket, &delete)?;
    Ok(object)
}
