//! Completing an upload: its parts' segments, one behind the other, become an object's content.
//!
//! AWS: `CompleteMultipartUpload`.

use std::collections::HashMap;

use rusqlite::params;

use super::find::{self, Found, FoundPart};
use super::part::{copy_segments, remove};
use super::session;
use super::{CompleteUpload, CompletedPart};
use crate::checksum;
use crate::model::{ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, PartNumber, VersionId};
use crate::store::change::{Change, i64_of};
use crate::store::error::Error;
use crate::store::object::{self, Object, Origin};
use crate::store::tally::Counted;
use crate::store::{row, statement};

/// Makes the object of an upload's parts.
pub(in crate::store) fn complete(change: &mut Change, complete: &CompleteUpload) -> Result<Object, Error> {
    let target = &complete.upload;
    let current = object::current(change.connection(), &target.bucket, &target.key)?;
    let found = match find::find(change.connection(), target) {
        Ok(found) => found,
        // S3: a completion that is sent again, because its answer was lost, is answered again.
        Err(error) => return session::completed(change.connection(), target)?.ok_or(error),
    };
    let parts = listed_parts(change, &found, &complete.parts)?;
    let minimum_bytes = if complete.md5.is_some() { 0 } else { change.part_min_bytes() };
    let size_bytes = check_sizes(&parts, minimum_bytes, complete.size_bytes)?;
    let checksum = visible_checksum(&found, &parts);
    check_checksum(complete.checksum.as_ref(), checksum.as_ref())?;
    complete.conditions.check(current.state()).map_err(Error::Condition)?;

    let generation = change.next_sequence();
    let content_id = i64_of(generation);
    join(change, content_id, &parts, complete.md5.is_none())?;
    remove(change, &found, generation)?;
    let md5s: Vec<_> = parts.iter().map(|part| part.md5).collect();
    let etag = complete.md5.map_or_else(|| checksum::etag_of_parts(&md5s), ETag::of_md5);
    let object = Object {
        origin: Origin::Written,
        bucket: found.upload.bucket,
        key: found.upload.key,
        version_id: VersionId::Null,
        generation,
        metageneration: 1,
        modified: change.now(),
        size_bytes,
        etag,
        md5: complete.md5,
        crc32c: whole_crc32c(&parts),
        checksum,
        metadata: found.metadata,
        tags: found.tags,
        owner: found.upload.owner,
        parts: u16::try_from(parts.len()).ok().filter(|_| complete.md5.is_none()),
        updated: None,
        content_id,
    };
    object::replace(change, &current, &object, Some(found.upload.id.as_str()))?;
    change.count(Counted::Uploaded, object.size_bytes);
    Ok(object)
}

/// The parts that the client lists, as they were uploaded.
fn listed_parts(change: &Change, found: &Found, listed: &[CompletedPart]) -> Result<Vec<FoundPart>, Error> {
    let ascending = listed.windows(2).all(|pair| pair[0].number < pair[1].number);
    if listed.is_empty() || !ascending {
        return Err(Error::InvalidPartOrder);
    }
    let all = find::parts(change.connection(), found.sequence, None, usize::from(PartNumber::MAX))?;
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

fn check_sizes(parts: &[FoundPart], minimum_bytes: u64, given: Option<u64>) -> Result<u64, Error> {
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
        _ => Ok(actual_bytes),
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

/// Joins the parts' segments and notes where each part lies.
///
/// S3: the parts of a finished object are numbered from 1 without gaps, so that a client that reads
/// `partNumber=1`, learns the count and goes on finds them all.
fn join(change: &mut Change, content_id: i64, parts: &[FoundPart], numbered: bool) -> Result<(), Error> {
    let mut start = 0;
    for (number, part) in (1_i64..).zip(parts) {
        let size_bytes = part.part.size_bytes;
        copy_segments(change, part.content_id, ByteRange::whole(size_bytes), content_id, start)?;
        if numbered {
            let (algorithm, checksum) = row::checksum_columns(part.part.checksum.as_ref());
            change.execute(
                statement::INSERT_OBJECT_PART,
                params![content_id, number, i64_of(start), i64_of(size_bytes), algorithm, checksum],
            )?;
        }
        start += size_bytes;
    }
    Ok(())
}
