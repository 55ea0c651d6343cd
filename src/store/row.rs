//! Columns to the types of the model and back.
//!
//! What does not parse was never written by the store: it is damage, not a client's mistake.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::error::Error;
use crate::model::{
    BucketName, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, Metadata, ObjectKey, Owner, Tags, Timestamp,
};

/// A key from column `index`.
pub(super) fn key(row: &Row<'_>, index: usize) -> Result<ObjectKey, Error> {
    let ValueRef::Blob(bytes) = row.get_ref(index)? else {
        return Err(Error::damaged("a key that is no blob"));
    };
    let text = std::str::from_utf8(bytes).map_err(Error::damaged)?;
    ObjectKey::parse(text).map_err(Error::damaged)
}

/// A prefix or a folder from column `index`, which is a blob so that it orders by its bytes.
pub(super) fn bytes_as_text(row: &Row<'_>, index: usize) -> Result<String, Error> {
    String::from_utf8(row.get(index)?).map_err(Error::damaged)
}

/// A bucket's name from column `index`.
pub(super) fn bucket_name(row: &Row<'_>, index: usize) -> Result<BucketName, Error> {
    BucketName::parse(text(row, index)?).map_err(Error::damaged)
}

/// A number that is never negative, from column `index`.
pub(super) fn number(row: &Row<'_>, index: usize) -> Result<u64, Error> {
    u64::try_from(row.get::<_, i64>(index)?).map_err(Error::damaged)
}

/// A time from column `index`.
pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_ms(row.get(index)?))
}

/// An owner from column `index` and the next.
pub(super) fn owner(row: &Row<'_>, index: usize) -> Result<Owner, Error> {
    let (id, display_name): (Option<String>, Option<String>) = (row.get(index)?, row.get(index + 1)?);
    let names = id.zip(display_name).ok_or_else(|| Error::damaged("an owner that does not exist"))?;
    Ok(Owner { id: names.0, display_name: names.1 })
}

/// A tag from column `index`.
pub(super) fn etag(row: &Row<'_>, index: usize) -> Result<ETag, Error> {
    ETag::parse(text(row, index)?).map_err(Error::damaged)
}

/// An MD5 from column `index`.
pub(super) fn md5(row: &Row<'_>, index: usize) -> Result<Option<[u8; 16]>, Error> {
    let ValueRef::Blob(bytes) = row.get_ref(index)? else { return Ok(None) };
    bytes.try_into().map(Some).map_err(|_| Error::damaged("an MD5 that has not 16 bytes"))
}

/// A checksum from column `index`, its algorithm, and the next, its value.
pub(super) fn checksum(row: &Row<'_>, index: usize) -> Result<Option<Checksum>, Error> {
    let Some(algorithm) = algorithm(row, index)? else { return Ok(None) };
    Checksum::parse(algorithm, text(row, index + 1)?).map(Some).map_err(Error::damaged)
}

/// What kind of checksum stands in column `index` and the next.
pub(super) fn checksum_shape(
    row: &Row<'_>,
    index: usize,
) -> Result<Option<(ChecksumAlgorithm, ChecksumKind)>, Error> {
    let Some(algorithm) = algorithm(row, index)? else { return Ok(None) };
    // Base64 has no dash: only a composite value's number of parts brings one.
    let composite = text(row, index + 1)?.contains('-');
    Ok(Some((algorithm, if composite { ChecksumKind::Composite } else { ChecksumKind::FullObject })))
}

/// The checksum that an upload asked for, from column `index`, the algorithm, and the next, the kind.
pub(super) fn checksum_asked(
    row: &Row<'_>,
    index: usize,
) -> Result<Option<(ChecksumAlgorithm, ChecksumKind)>, Error> {
    let Some(algorithm) = algorithm(row, index)? else { return Ok(None) };
    let kind = ChecksumKind::parse(text(row, index + 1)?).map_err(Error::damaged)?;
    Ok(Some((algorithm, kind)))
}

fn algorithm(row: &Row<'_>, index: usize) -> Result<Option<ChecksumAlgorithm>, Error> {
    if row.get_ref(index)? == ValueRef::Null {
        return Ok(None);
    }
    ChecksumAlgorithm::parse(text(row, index)?).map(Some).map_err(Error::damaged)
}

/// Metadata from column `index`.
pub(super) fn metadata(row: &Row<'_>, index: usize) -> Result<Metadata, Error> {
    serde_json::from_str(text(row, index)?).map_err(Error::damaged)
}

/// Tags from column `index`.
pub(super) fn tags(row: &Row<'_>, index: usize) -> Result<Tags, Error> {
    if row.get_ref(index)? == ValueRef::Null {
        return Ok(Tags::default());
    }
    serde_json::from_str(text(row, index)?).map_err(Error::damaged)
}

fn text<'a>(row: &'a Row<'_>, index: usize) -> Result<&'a str, Error> {
    row.get_ref(index)?.as_str().map_err(Error::damaged)
}

/// Metadata as its column holds it.
pub(super) fn metadata_text(metadata: &Metadata) -> Result<String, Error> {
    serde_json::to_string(metadata).map_err(Error::damaged)
}

/// Tags as their column holds them.
pub(super) fn tags_text(tags: &Tags) -> Result<Option<String>, Error> {
    if tags.is_empty() { Ok(None) } else { serde_json::to_string(tags).map(Some).map_err(Error::damaged) }
}

/// A checksum as its columns hold it: the algorithm and the value.
pub(super) fn checksum_columns(checksum: Option<&Checksum>) -> (Option<&'static str>, Option<String>) {
    (checksum.map(|checksum| checksum.algorithm().name()), checksum.map(Checksum::to_string))
}

/// The least text that is behind every text with this prefix.
///
/// The last byte of UTF-8 is never above 0xF4, so adding one to it never carries; 0xFF is behind
/// every key.
pub(super) fn end_of_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(0xFF),
    }
    end
}
