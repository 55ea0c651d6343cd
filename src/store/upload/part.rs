//! Beginning and abandoning uploads, and their parts. What takes a [`Change`] runs inside the write
//! transaction.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::find::{self, Found};
use super::{CopyPart, NewUpload, Part, PartDigests, PutPart, Upload, UploadRef};
use crate::model::{ByteRange, ETag, PartNumber, UploadId};
use crate::store::assembly::{Assembled, Piece, assemble, beside};
use crate::store::change::{Change, i64_of};
use crate::store::content::Content;
use crate::store::error::Error;
use crate::store::job::Job;
use crate::store::open::Inner;
use crate::store::shared::Shared;
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

/// A part whose content is ready.
#[derive(Debug)]
pub(in crate::store) struct CopiedPart {
    asked: Arc<CopyPart>,
    /// Whose bytes it was made of.
    source: i64,
    assembled: Assembled,
}

impl CopiedPart {
    /// How many rows it changes at most.
    pub(in crate::store) fn rows(&self) -> usize {
        PART_ROWS + self.assembled.rows()
    }
}

/// Makes a part of another object's bytes.
pub(in crate::store) async fn copy_part(inner: &Inner, asked: CopyPart) -> Result<Part, Error> {
    let asked = Arc::new(asked);
    // Each round but the last one means that somebody has written another source meanwhile.
    loop {
        let copied = prepare_copy(inner, &asked).await?;
        let job = |reply| Job::CopyPart(Box::new(copied), reply);
        if let Some(part) = inner.writer.ask(job).await? {
            return Ok(part);
        }
    }
}

/// Makes the content of a part that is a copy.
pub(in crate::store) async fn prepare_copy(
    inner: &Inner,
    asked: &Arc<CopyPart>,
) -> Result<CopiedPart, Error> {
    let planning = Arc::clone(asked);
    let piece = beside(inner, move |shared| plan_copy(shared, &planning)).await?;
    let source = piece.content.id();
    let assembled = assemble(inner, vec![piece], Vec::new()).await?;
    Ok(CopiedPart { asked: Arc::clone(asked), source, assembled })
}

/// Which bytes a part is made of.
fn plan_copy(shared: &Arc<Shared>, asked: &CopyPart) -> Result<Piece, Error> {
    // Before the rows are read: what they name cannot go from here on.
    let pin = shared.pins.pin();
    let (source, range) = shared.readers.read_state(|connection| {
        find::find(connection, &asked.upload)?;
        source_of(connection, asked)
    })?;
    let (id, size_bytes) = (source.content_id, source.size_bytes);
    let content = Content::new(Arc::clone(shared), pin.narrow(id), id, size_bytes, None);
    Ok(Piece { content, range })
}

fn source_of(connection: &Connection, asked: &CopyPart) -> Result<(object::Object, ByteRange), Error> {
    let source = object::source(connection, &asked.source)?;
    let range = asked.range.unwrap_or(ByteRange::whole(source.size_bytes));
    if range.start > range.end || range.end > source.size_bytes {
        // The caller resolved the range against another object than this one.
        return Err(Error::SourceChanged);
    }
    Ok((source, range))
}

/// Gives a part its content. `None`, and nothing is changed, if the source is not the one it was made of.
pub(in crate::store) fn finish_copy(change: &mut Change, copied: CopiedPart) -> Result<Option<Part>, Error> {
    let CopiedPart { asked, source, assembled } = copied;
    let found = find::find(change.connection(), &asked.upload)?;
    let (now, range) = source_of(change.connection(), &asked)?;
    if now.content_id != source {
        return Ok(None);
    }
    let sequence = change.next_sequence();
    let Some(content_id) = assembled.attach(change, sequence)? else { return Ok(None) };
    let digests = asked.digests.clone();
    let new = NewPart { number: asked.number, content_id, size_bytes: range.len(), digests };
    replace(change, &found, new, sequence).map(Some)
}

/// How many rows a part changes at most, besides those of a content that it shares.
pub(in crate::store) const PART_ROWS: usize = 6;

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

/// Removes an upload. The sweep gives up the contents of its parts, a few at a time.
pub(super) fn remove(change: &mut Change, found: &Found, sequence: u64) -> Result<(), Error> {
    let key = found.upload.key.as_str().as_bytes();
    change.execute(statement::DELETE_UPLOAD, params![found.bucket_id, key, found.upload.id.as_str()])?;
    change.execute(statement::INSERT_GONE_UPLOAD, [found.sequence])?;
    change.note_garbage(sequence);
    Ok(())
}
