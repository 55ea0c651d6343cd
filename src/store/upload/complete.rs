//! Completing an upload: its parts' segments, one behind the other, become an object's content.
//!
//! What takes long is done beside the writer: reading and comparing up to 10,000 parts, and making a content
//! of them. The transaction that decides sees to it that the parts are still those.
//!
//! AWS: `CompleteMultipartUpload`.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::find::{self, Found, FoundPart};
use super::part::remove;
use super::session;
use super::{CompleteUpload, CompletedPart};
use crate::checksum;
use crate::model::{ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, PartNumber, VersionId};
use crate::store::assembly::{Assembled, NewPart, Piece, assemble, beside};
use crate::store::change::Change;
use crate::store::content::Content;
use crate::store::error::Error;
use crate::store::job::Job;
use crate::store::object::{self, Object, Origin};
use crate::store::open::Inner;
use crate::store::shared::Shared;
use crate::store::tally::Counted;

/// What an object of an upload's parts will be.
#[derive(Debug)]
pub(in crate::store) struct Completion {
    asked: Arc<CompleteUpload>,
    /// Of all parts of the upload, also of those that are not listed.
    contents: Vec<(u16, i64)>,
    shape: Shape,
    assembled: Assembled,
}

/// What an object will be that is made of parts.
#[derive(Debug)]
struct Shape {
    size_bytes: u64,
    etag: ETag,
    checksum: Option<Checksum>,
    crc32c: Option<u32>,
    parts: Option<u16>,
}

/// What completing an upload takes.
enum Plan {
    /// It was done before.
    Done(Object),
    Join {
        contents: Vec<(u16, i64)>,
        shape: Shape,
        pieces: Vec<Piece>,
        parts: Vec<NewPart>,
    },
}

impl Completion {
    /// How many rows it changes at most.
    pub(in crate::store) fn rows(&self) -> usize {
        object::REPLACED_ROWS + 2 + self.assembled.rows()
    }
}

/// Makes the object of an upload's parts.
pub(in crate::store) async fn complete(inner: &Inner, asked: CompleteUpload) -> Result<Object, Error> {
    let asked = Arc::new(asked);
    // Each round but the last one means that somebody has uploaded a part meanwhile.
    loop {
        let completion = match prepare(inner, &asked).await? {
            Ready::Done(object) => return Ok(*object),
            Ready::Finish(completion) => completion,
        };
        let job = |reply| Job::CompleteUpload(completion, reply);
        if let Some(object) = inner.writer.ask(job).await? {
            return Ok(object);
        }
    }
}

/// What there is before the transaction that decides.
pub(in crate::store) enum Ready {
    /// It was done before.
    Done(Box<Object>),
    /// It can be done.
    Finish(Box<Completion>),
}

/// Looks at the parts and makes a content of them.
pub(in crate::store) async fn prepare(inner: &Inner, asked: &Arc<CompleteUpload>) -> Result<Ready, Error> {
    let planning = Arc::clone(asked);
    let minimum_bytes = inner.part_min_bytes;
    let plan = beside(inner, move |shared| plan(shared, &planning, minimum_bytes)).await?;
    let (contents, shape, pieces, parts) = match plan {
        Plan::Done(object) => return Ok(Ready::Done(Box::new(object))),
        Plan::Join { contents, shape, pieces, parts } => (contents, shape, pieces, parts),
    };
    let assembled = assemble(inner, pieces, parts).await?;
    Ok(Ready::Finish(Box::new(Completion { asked: Arc::clone(asked), contents, shape, assembled })))
}

/// Looks at the parts, and refuses what can be refused before anything is done.
fn plan(shared: &Arc<Shared>, asked: &CompleteUpload, part_min_bytes: u64) -> Result<Plan, Error> {
    // Before the rows are read: what they name cannot go from here on.
    let pin = shared.pins.pin();
    let looked = shared.readers.read_state(|connection| look(connection, asked, part_min_bytes))?;
    let (found, contents, listed) = match looked {
        Looked::Done(object) => return Ok(Plan::Done(object)),
        Looked::Parts(found, contents, listed) => (found, contents, listed),
    };
    let size_bytes = listed.iter().map(|part| part.part.size_bytes).sum();
    let shape = shape(&found, &listed, asked, size_bytes)?;
    let parts = if asked.md5.is_none() { numbered(&listed) } else { Vec::new() };
    let pins = pin.split(listed.iter().map(|part| part.content_id));
    let pieces = listed.iter().zip(pins).map(|(part, pin)| {
        let size_bytes = part.part.size_bytes;
        let content = Content::new(Arc::clone(shared), pin, part.content_id, size_bytes, None);
        Piece { content, range: ByteRange::whole(size_bytes) }
    });
    let pieces: Vec<_> = pieces.collect();
    // An object of bytes that are lost would be told to be a success.
    pieces.iter().try_for_each(|piece: &Piece| piece.content.check_all(piece.range))?;
    Ok(Plan::Join { contents, shape, pieces, parts })
}

enum Looked {
    Done(Object),
    Parts(Found, Vec<(u16, i64)>, Vec<FoundPart>),
}

fn look(connection: &Connection, asked: &CompleteUpload, part_min_bytes: u64) -> Result<Looked, Error> {
    let target = &asked.upload;
    let current = object::current(connection, &target.bucket, &target.key)?;
    let found = match find::find(connection, target) {
        Ok(found) => found,
        // S3: a completion that is sent again, because its answer was lost, is answered again.
        Err(error) => return session::completed(connection, target)?.map(Looked::Done).ok_or(error),
    };
    let listed = listed_parts(connection, &found, &asked.parts)?;
    let minimum_bytes = if asked.md5.is_some() { 0 } else { part_min_bytes };
    check_sizes(&listed, minimum_bytes, asked.size_bytes)?;
    asked.conditions.check(current.state()).map_err(Error::Condition)?;
    let contents = find::contents(connection, found.sequence)?;
    Ok(Looked::Parts(found, contents, listed))
}

fn shape(
    found: &Found,
    listed: &[FoundPart],
    asked: &CompleteUpload,
    size_bytes: u64,
) -> Result<Shape, Error> {
    let checksum = visible_checksum(found, listed);
    check_checksum(asked.checksum.as_ref(), checksum.as_ref())?;
    let md5s: Vec<_> = listed.iter().map(|part| part.md5).collect();
    Ok(Shape {
        size_bytes,
        etag: asked.md5.map_or_else(|| checksum::etag_of_parts(&md5s), ETag::of_md5),
        checksum,
        crc32c: whole_crc32c(listed),
        parts: u16::try_from(listed.len()).ok().filter(|_| asked.md5.is_none()),
    })
}

/// Where each part lies.
///
/// S3: the parts of a finished object are numbered from 1 without gaps, so that a client that reads
/// `partNumber=1`, learns the count and goes on finds them all.
fn numbered(listed: &[FoundPart]) -> Vec<NewPart> {
    let mut start = 0;
    let place = |(number, part): (u16, &FoundPart)| {
        let size_bytes = part.part.size_bytes;
        start += size_bytes;
        NewPart { number, start: start - size_bytes, size_bytes, checksum: part.part.checksum.clone() }
    };
    (1..).zip(listed).map(place).collect()
}

/// Makes the object of a content that is ready. `None`, and nothing is changed, if the parts are not
/// those that it was made of. Runs inside the write transaction.
pub(in crate::store) fn finish(change: &mut Change, completion: Completion) -> Result<Option<Object>, Error> {
    let Completion { asked, contents, shape, assembled } = completion;
    let target = &asked.upload;
    let current = object::current(change.connection(), &target.bucket, &target.key)?;
    let found = match find::find(change.connection(), target) {
        Ok(found) => found,
        Err(error) => return session::completed(change.connection(), target)?.map(Some).ok_or(error),
    };
    if find::contents(change.connection(), found.sequence)? != contents {
        return Ok(None);
    }
    asked.conditions.check(current.state()).map_err(Error::Condition)?;
    let generation = change.next_sequence();
    let Some(content_id) = assembled.attach(change, generation)? else { return Ok(None) };
    remove(change, &found, generation)?;
    let object = Object {
        origin: Origin::Written,
        bucket: found.upload.bucket,
        key: found.upload.key,
        version_id: VersionId::Null,
        generation,
        metageneration: 1,
        modified: change.now(),
        size_bytes: shape.size_bytes,
        etag: shape.etag,
        md5: asked.md5,
        crc32c: shape.crc32c,
        checksum: shape.checksum,
        metadata: found.metadata,
        tags: found.tags,
        owner: found.upload.owner,
        parts: shape.parts,
        updated: None,
        content_id,
    };
    object::replace(change, &current, &object, Some(found.upload.id.as_str()))?;
    change.count(Counted::Uploaded, object.size_bytes);
    Ok(Some(object))
}

/// The parts that the client lists, as they were uploaded.
fn listed_parts(
    connection: &Connection,
    found: &Found,
    listed: &[CompletedPart],
) -> Result<Vec<FoundPart>, Error> {
    let ascending = listed.windows(2).all(|pair| pair[0].number < pair[1].number);
    if listed.is_empty() || !ascending {
        return Err(Error::InvalidPartOrder);
    }
    let all = find::parts(connection, found.sequence, None, usize::from(PartNumber::MAX))?;
    let mut uploaded: HashMap<_, _> = all.into_iter().map(|part| (part.part.number.get(), part)).collect();
    listed
        .iter()
        .map(|listed| {
            let matching = uploaded.remove(&listed.number.get()).filter(|found| is_meant(listed, found));
            matching.ok_or(Error::InvalidPart { number: listed.number })
        })
        .collect()
}

fn is_meant(listed: &CompletedPart, found: &FoundPart) -> bool {
    // A checksum by an algorithm that the part was not uploaded with says nothing about it.
    let other_checksum =
        listed.checksum.as_ref().zip(found.part.checksum.as_ref()).is_some_and(|(listed, found)| {
            listed.algorithm() == found.algorithm() && listed.value() != found.value()
        });
    listed.etag == found.part.etag && !other_checksum
}

fn check_sizes(parts: &[FoundPart], minimum_bytes: u64, given: Option<u64>) -> Result<(), Error> {
    let but_last = &parts[..parts.len().saturating_sub(1)];
    if let Some(small) = but_last.iter().find(|part| part.part.size_bytes < minimum_bytes) {
        let (number, size_bytes) = (small.part.number, small.part.size_bytes);
        return Err(Error::PartTooSmall { number, size_bytes, minimum_bytes });
    }
    let actual_bytes = parts.iter().map(|part| part.part.size_bytes).sum();
    match given {
        Some(given_bytes) if given_bytes != actual_bytes => {
            Err(Error::SizeMismatch { given_bytes, actual_bytes })
        }
        _ => Ok(()),
    }
}

/// The checksum that the object shows: what was asked for, else CRC64NVME as S3 does.
fn visible_checksum(found: &Found, parts: &[FoundPart]) -> Option<Checksum> {
    let (algorithm, kind) =
        found.upload.checksum.unwrap_or((ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject));
    let of_parts: Option<Vec<_>> = parts.iter().map(|part| part.checksum(algorithm)).collect();
    match kind {
        ChecksumKind::Composite => Some(checksum::composite(algorithm, &of_parts?)),
        ChecksumKind::FullObject => {
            let sizes = parts.iter().map(|part| part.part.size_bytes);
            checksum::combine(algorithm, &of_parts?.into_iter().zip(sizes).collect::<Vec<_>>())
        }
    }
}

fn whole_crc32c(parts: &[FoundPart]) -> Option<u32> {
    let of_parts: Option<Vec<_>> = parts
        .iter()
        .map(|part| Some((part.checksum(ChecksumAlgorithm::Crc32c)?, part.part.size_bytes)))
        .collect();
    let whole = checksum::combine(ChecksumAlgorithm::Crc32c, &of_parts?)?;
    whole.value().try_into().ok().map(u32::from_be_bytes)
}

impl FoundPart {
    /// The part's checksum by an algorithm, where it is known.
    fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<Checksum> {
        let known = match algorithm {
            ChecksumAlgorithm::Crc32c => self.crc32c.map(|crc| crc.to_be_bytes().to_vec()),
            ChecksumAlgorithm::Crc64Nvme => self.crc64nvme.map(|crc| crc.to_be_bytes().to_vec()),
            ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => None,
        };
        let computed = known.and_then(|value| Checksum::full_object(algorithm, &value).ok());
        computed.or_else(|| self.part.checksum.clone().filter(|shown| shown.algorithm() == algorithm))
    }
}

fn check_checksum(given: Option<&Checksum>, computed: Option<&Checksum>) -> Result<(), Error> {
    let Some(given) = given else { return Ok(()) };
    // Clients write a composite value with and without the number of parts behind it.
    let same =
        |computed: &Checksum| computed.algorithm() == given.algorithm() && computed.value() == given.value();
    if computed.is_some_and(same) {
        return Ok(());
    }
    Err(Error::ChecksumMismatch { given: given.clone(), computed: computed.cloned() })
}
