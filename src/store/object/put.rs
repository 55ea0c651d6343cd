//! Writing and deleting objects. Everything here runs inside the write transaction.

use rusqlite::params;

use super::find::{self, Current};
use super::{DeleteObject, Deleted, Object, Origin, PutObject};
use crate::model::{BucketName, Checksum, ChecksumAlgorithm, ETag, Owner, VersionId};
use crate::store::change::{Change, i64_of};
use crate::store::error::Error;
use crate::store::job::Job;
use crate::store::open::Inner;
use crate::store::staging::{Body, Staged};
use crate::store::tally::Counted;
use crate::store::{row, statement};

/// Writes an object.
pub(in crate::store) fn put(change: &mut Change, put: PutObject) -> Result<Object, Error> {
    let current = find::current(change.connection(), &put.bucket, &put.key)?;
    put.conditions.check(current.state()).map_err(Error::Condition)?;
    let digests = put.staged.digests();
    let md5 = digests.md5;
    let object = Object {
        origin: Origin::Written,
        bucket: put.bucket,
        key: put.key,
        version_id: VersionId::Null,
        generation: change.next_sequence(),
        metageneration: 1,
        modified: change.now(),
        size_bytes: put.staged.size_bytes(),
        etag: ETag::of_md5(md5),
        md5: Some(md5),
        crc32c: Some(digests.crc32c()),
        checksum: put.checksum.or_else(|| default_checksum(&put.staged)),
        metadata: put.metadata,
        tags: put.tags,
        owner: put.owner,
        parts: None,
        updated: None,
        content_id: 0,
    };
    let content_id = insert_content(change, object.generation, put.staged)?;
    let object = Object { content_id, ..object };
    replace(change, &current, &object, None)?;
    change.count(Counted::Uploaded, object.size_bytes);
    Ok(object)
}

/// S3: an object whose client named no checksum shows its CRC64NVME.
pub(super) fn default_checksum(staged: &Staged) -> Option<Checksum> {
    staged.digests().checksum(ChecksumAlgorithm::Crc64Nvme).cloned()
}

/// Writes staged bytes as a content of one segment. It is named by the sequence number that made it,
/// and so is its blob.
pub(in crate::store) fn insert_content(
    change: &mut Change,
    sequence: u64,
    staged: Staged,
) -> Result<i64, Error> {
    let (id, size) = (i64_of(sequence), i64_of(staged.size_bytes()));
    if size > 0 {
        insert_blob(change, id, staged)?;
        change.execute(statement::INSERT_SEGMENT, params![id, 0, id, 0, size])?;
    }
    Ok(id)
}

/// Writes staged bytes as a blob.
pub(in crate::store) fn insert_blob(change: &mut Change, id: i64, staged: Staged) -> Result<(), Error> {
    let (size, md5) = (i64_of(staged.size_bytes()), staged.digests().md5);
    match staged.into_body() {
        Body::Inline(bytes) => {
            change.execute(statement::INSERT_BLOB, params![id, None::<&str>, size, md5, bytes])?;
        }
        Body::File(file) => {
            let name = Some(file.name().as_str());
            change.execute(statement::INSERT_BLOB, params![id, name, size, md5, None::<&[u8]>])?;
            change.place(file);
        }
    }
    Ok(())
}

/// How many rows [`replace`] changes at most: one is noted for a restore under way when it is changed.
pub(in crate::store) const REPLACED_ROWS: usize = 6;

/// Puts an object in the place of the current row of its key.
pub(in crate::store) fn replace(
    change: &mut Change,
    current: &Current,
    object: &Object,
    upload_id: Option<&str>,
) -> Result<(), Error> {
    let owner = change.owner_id(&object.owner)?;
    let (algorithm, checksum) = row::checksum_columns(object.checksum.as_ref());
    let cached_ms = match object.origin {
        Origin::Written => None,
        Origin::Cached => Some(change.now().as_ms()),
    };
    let key = object.key.as_str().as_bytes();
    if let Some(bytes) = current.written_bytes() {
        change.count(Counted::Overwritten, bytes);
    }
    remove_row(change, current, key)?;
    change.execute(
        statement::INSERT_OBJECT,
        params![
            current.bucket_id,
            key,
            i64_of(object.generation),
            object.modified.as_ms(),
            i64_of(object.size_bytes),
            object.etag.as_str(),
            algorithm,
            checksum,
            owner,
            object.content_id,
            i64::from(cached_ms.is_some()),
            object.parts,
            upload_id,
            object.md5,
            object.crc32c,
            row::metadata_text(&object.metadata)?,
            row::tags_text(&object.tags)?,
            cached_ms,
        ],
    )?;
    change.note_written(current.bucket_id);
    give_up(change, current, object.generation)
}

fn remove_row(change: &mut Change, current: &Current, key: &[u8]) -> Result<(), Error> {
    if let Some(row) = &current.row {
        change.execute(statement::DELETE_OBJECT, params![current.bucket_id, key, row.sequence])?;
    }
    Ok(())
}

/// What the removed row held is garbage if nothing else refers to it.
fn give_up(change: &mut Change, current: &Current, sequence: u64) -> Result<(), Error> {
    let Some((_, content_id)) = current.row.as_ref().and_then(|row| row.object.as_ref()) else {
        return Ok(());
    };
    give_up_content(change, *content_id, sequence)
}

/// A content that a row had is garbage if nothing else refers to it.
pub(in crate::store) fn give_up_content(
    change: &mut Change,
    content_id: i64,
    sequence: u64,
) -> Result<(), Error> {
    let given_up = params![i64_of(sequence), content_id];
    if change.execute(statement::GARBAGE_CONTENT_IF_UNREFERENCED, given_up)? > 0 {
        change.note_garbage(sequence);
    }
    Ok(())
}

/// How many rows one key of a deletion changes at most.
pub(in crate::store) const DELETED_ROWS: usize = 6;

/// How many keys one transaction deletes.
const DELETED_AT_ONCE: usize = 128;

/// Deletes objects, some at a time; each has its own outcome.
pub(in crate::store) async fn delete_all(
    inner: &Inner,
    bucket: &BucketName,
    deletes: Vec<DeleteObject>,
) -> Result<Vec<Result<Deleted, Error>>, Error> {
    let (mut outcomes, mut deletes) = (Vec::with_capacity(deletes.len()), deletes.into_iter());
    loop {
        let some: Vec<_> = deletes.by_ref().take(DELETED_AT_ONCE).collect();
        let (count, is_first) = (some.len(), outcomes.is_empty());
        if count == 0 && !is_first {
            return Ok(outcomes);
        }
        match inner.writer.ask(|reply| Job::DeleteObjects(bucket.clone(), some, reply)).await {
            Ok(some) => outcomes.extend(some),
            Err(error) if is_first => return Err(error),
            // What came before is done.
            Err(error) => outcomes.extend(std::iter::repeat_n(Err(error), count)),
        }
        if count < DELETED_AT_ONCE {
            return Ok(outcomes);
        }
    }
}

/// Deletes objects in one transaction; each has its own outcome.
pub(in crate::store) fn delete(
    change: &mut Change,
    bucket: &BucketName,
    deletes: &[DeleteObject],
) -> Result<Vec<Result<Deleted, Error>>, Error> {
    let mut outcomes = Vec::with_capacity(deletes.len());
    for delete in deletes {
        outcomes.push(match delete_one(change, bucket, delete) {
            // Conditions are looked at before anything is changed, so one that fails undoes nothing.
            Err(error @ Error::Condition(_)) => Err(error),
            outcome => Ok(outcome?),
        });
    }
    Ok(outcomes)
}

/// Deletes one object.
pub(super) fn delete_one(
    change: &mut Change,
    bucket: &BucketName,
    delete: &DeleteObject,
) -> Result<Deleted, Error> {
    let current = find::current(change.connection(), bucket, &delete.key)?;
    if matches!(delete.version, Some(VersionId::Id(_))) {
        // S3: to delete a version that does not exist succeeds.
        return Ok(Deleted { existed: false });
    }
    delete.conditions.check(current.state()).map_err(Error::Condition)?;
    let existed = current.state().is_some();
    if !existed && !delete.tombstone {
        return Ok(Deleted { existed });
    }
    let sequence = change.next_sequence();
    let key = delete.key.as_str().as_bytes();
    remove_row(change, &current, key)?;
    give_up(change, &current, sequence)?;
    if let Some(bytes) = current.written_bytes() {
        change.count(Counted::Deleted, bytes);
    }
    if delete.tombstone {
        change.count(Counted::Tombstone, 0);
        let owner = change.owner_id(&Owner::anonymous())?;
        let now = change.now().as_ms();
        change.execute(
            statement::INSERT_TOMBSTONE,
            params![current.bucket_id, key, i64_of(sequence), now, owner],
        )?;
    }
    Ok(Deleted { existed })
}
