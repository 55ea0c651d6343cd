//! Beginning and abandoning uploads, and their parts. Everything here runs inside the write
//! transaction.

use std::io;
use std::path::Path;

use rusqlite::params;

use super::find::{self, Found};
use super::{CopyPart, NewUpload, Part, PartDigests, PutPart, Upload, UploadRef};
use crate::model::{ByteRange, ETag, PartNumber, UploadId};
use crate::store::change::{Change, i64_of};
use crate::store::error::Error;
use crate::store::{bucket, object, row, statement};

/// Begins an upload.
pub(in crate::store) fn create(change: &mut Change, new: NewUpload) -> Result<Upload, Error> {
    let bucket_id = bucket::id(change.connection(), &new.bucket)?;
    let owner = change.owner_id(&new.owner)?;
    let sequence = change.next_sequence();
    let upload = Upload {
        id: new_id(sequence)?,
        bucket: new.bucket,
        key: new.key,
        initiated: change.now(),
        owner: new.owner,
        checksum: new.checksum,
        session: new.session,
    };
    change.execute(
        statement::INSERT_UPLOAD,
        params![
            bucket_id,
            upload.key.as_str().as_bytes(),
            upload.id.as_str(),
            i64_of(sequence),
            upload.initiated.as_ms(),
            owner,
            upload.checksum.map(|(algorithm, _)| algorithm.name()),
            upload.checksum.map(|(_, kind)| kind.name()),
            row::metadata_text(&new.metadata)?,
            row::tags_text(&new.tags)?,
            upload.session,
        ],
    )?;
    Ok(upload)
}

/// Ids of one key order by when their uploads were begun, and cannot be guessed.
fn new_id(sequence: u64) -> Result<UploadId, Error> {
    let mut random = [0; 12];
    getrandom::fill(&mut random)
        .map_err(|error| Error::file(Path::new("/dev/urandom"), io::Error::other(error.to_string())))?;
    UploadId::parse(&format!("{sequence:016x}{}", hex::encode(random))).map_err(Error::damaged)
}

/// Writes a part.
pub(in crate::store) fn put_part(change: &mut Change, put: PutPart) -> Result<Part, Error> {
    let found = find::find(change.connection(), &put.upload)?;
    let digests = put.staged.digests();
    let asked = found.upload.checksum.and_then(|(algorithm, _)| digests.checksum(algorithm).cloned());
    let digests = PartDigests {
        md5: digests.md5,
        checksum: put.checksum.or(asked),
        crc32c: Some(digests.crc32c()),
        crc64nvme: Some(digests.crc64nvme()),
    };
    let sequence = change.next_sequence();
    let size_bytes = put.staged.size_bytes();
    let content_id = object::insert_content(change, sequence, put.staged)?;
    let new = NewPart { number: put.number, content_id, size_bytes, digests };
    replace(change, &found, new, sequence)
}

/// Makes a part of another object's bytes.
pub(in crate::store) fn copy_part(change: &mut Change, copy: CopyPart) -> Result<Part, Error> {
    let found = find::find(change.connection(), &copy.upload)?;
    let source = object::source(change, &copy.source)?;
    let range = copy.range.unwrap_or(ByteRange::whole(source.size_bytes));
    if range.start > range.end || range.end > source.size_bytes {
        // The caller resolved the range against another object than this one.
        return Err(Error::SourceChanged);
    }
    let sequence = change.next_sequence();
    let content_id = i64_of(sequence);
    copy_segments(change, source.content_id, range, content_id, 0)?;
    let new = NewPart { number: copy.number, content_id, size_bytes: range.len(), digests: copy.digests };
    replace(change, &found, new, sequence)
}

/// Puts a range of one content behind the first `at` bytes of another.
pub(super) fn copy_segments(
    change: &mut Change,
    from: i64,
    range: ByteRange,
    to: i64,
    at: u64,
) -> Result<(), Error> {
    if range.is_empty() {
        return Ok(());
    }
    change.execute(
        statement::COPY_SEGMENTS,
        params![from, i64_of(range.start), i64_of(range.end), to, i64_of(at)],
    )?;
    Ok(())
}

struct NewPart {
    number: PartNumber,
    content_id: i64,
    size_bytes: u64,
    digests: PartDigests,
}

/// Puts a part in the place of an earlier one of the same number.
fn replace(change: &mut Change, upload: &Found, new: NewPart, sequence: u64) -> Result<Part, Error> {
    let number = new.number.get();
    let earlier: Option<i64> =
        change.find(statement::FIND_PART_CONTENT, params![upload.sequence, number], |row| Ok(row.get(0)?))?;
    if let Some(content_id) = earlier {
        change.execute(statement::GARBAGE_CONTENT, params![i64_of(sequence), content_id])?;
        change.note_garbage(sequence);
    }
    let modified = change.now();
    let (algorithm, checksum) = row::checksum_columns(new.digests.checksum.as_ref());
    change.execute(
        statement::UPSERT_PART,
        params![
            upload.sequence,
            number,
            new.content_id,
            i64_of(new.size_bytes),
            modified.as_ms(),
            new.digests.md5,
            new.digests.crc32c,
            new.digests.crc64nvme.map(u64::cast_signed),
            algorithm,
            checksum,
        ],
    )?;
    Ok(Part {
        number: new.number,
        size_bytes: new.size_bytes,
        etag: ETag::of_md5(new.digests.md5),
        modified,
        checksum: new.digests.checksum,
    })
}

/// Forgets an upload and its parts.
pub(in crate::store) fn abort(change: &mut Change, upload: &UploadRef) -> Result<(), Error> {
    let found = find::find(change.connection(), upload)?;
    let sequence = change.next_sequence();
    remove(change, &found, sequence)
}

/// Removes an upload; the contents of its parts are garbage from `sequence` on.
pub(super) fn remove(change: &mut Change, found: &Found, sequence: u64) -> Result<(), Error> {
    let added = change.execute(statement::GARBAGE_PARTS, params![found.sequence, i64_of(sequence)])?;
    if added > 0 {
        change.note_garbage(sequence);
    }
    change.execute(statement::DELETE_PARTS, [found.sequence])?;
    let key = found.upload.key.as_str().as_bytes();
    change.execute(statement::DELETE_UPLOAD, params![found.bucket_id, key, found.upload.id.as_str()])?;
    Ok(())
}
