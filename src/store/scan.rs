//! Reading keys in order: a range of the index, never more than what is asked for.

use rusqlite::{Connection, Row, params};

use super::error::Error;
use super::object::{self, Kind, Object, Origin};
use super::upload::{self, Upload};
use super::{bucket, row, statement};
use crate::model::{
    BucketName, ChecksumAlgorithm, ChecksumKind, ETag, ObjectKey, Owner, Timestamp, UploadId,
};

/// Where a scan begins. The text need not be a valid key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At this key or the first one behind it.
    At(String),
    /// Behind this key.
    After(String),
}

/// A range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Where to begin. `Start::At(String::new())` is the beginning.
    pub start: Start,
    /// Only keys that begin with this.
    pub prefix: String,
    /// How many at most.
    pub limit: usize,
    /// Whether to show what hides an upstream's key: tombstones and delete markers.
    pub tombstones: bool,
}

/// What a key of a listing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedKind {
    /// An object.
    Object,
    /// A key that was deleted here and must not be looked for upstream.
    Tombstone,
    /// A versioned object whose current version is a delete marker.
    DeleteMarker,
}

/// One key of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: ObjectKey,
    /// What it is.
    pub kind: ListedKind,
    /// The size of the object.
    pub size_bytes: u64,
    /// Its tag; `None` exactly where it is no object.
    pub etag: Option<ETag>,
    /// When it was written.
    pub modified: Timestamp,
    /// Which checksum it shows.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// Whose it is.
    pub owner: Owner,
    /// Its generation.
    pub generation: u64,
    /// Who put it here.
    pub origin: Origin,
}

/// Where a scan of uploads begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadStart {
    /// At the first upload of this key or of the first key behind it.
    At(String),
    /// Behind every upload of this key.
    After(String),
    /// Behind this upload of this key.
    AfterUpload(String, UploadId),
}

/// A range of uploads, ordered by key, then by when they were begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadScan {
    /// Where to begin.
    pub start: UploadStart,
    /// Only keys that begin with this.
    pub prefix: String,
    /// How many at most.
    pub limit: usize,
}

/// The least text that a start admits.
pub(super) fn lower_bound(start: &Start, prefix: &str) -> Vec<u8> {
    let start = match start {
        Start::At(text) => text.as_bytes().to_vec(),
        Start::After(text) => behind(text),
    };
    start.max(prefix.as_bytes().to_vec())
}

/// The least text behind a text: that text and a NUL.
fn behind(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// Current versions of a range of keys.
pub(super) fn objects(
    connection: &Connection,
    bucket: &BucketName,
    scan: &Scan,
) -> Result<Vec<Listed>, Error> {
    let bucket_id = bucket::id(connection, bucket)?;
    let (from, to) = (lower_bound(&scan.start, &scan.prefix), row::end_of_prefix(&scan.prefix));
    let mut found: Vec<Listed> = Vec::new();
    if scan.limit == 0 || from >= to {
        return Ok(found);
    }
    let mut statement = connection.prepare_cached(statement::SCAN_OBJECTS)?;
    let mut rows = statement.query(params![bucket_id, from, to])?;
    let mut last: Vec<u8> = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(0)?.as_blob().map_err(Error::damaged)?;
        // The first row of a key is its current version; the others are older.
        if key == last {
            continue;
        }
        last.clear();
        last.extend_from_slice(key);
        let kind = Kind::read(row, 1)?;
        if kind != Kind::Object && !scan.tombstones {
            continue;
        }
        found.push(listed(row, kind)?);
        if found.len() == scan.limit {
            break;
        }
    }
    Ok(found)
}

/// The most rows that are passed over in one scan, such as those of deleted objects.
pub const PASSED_OVER_MAX: usize = 1000;

/// The objects of a range of keys, each with all that is known of it. Where so many others were passed over
/// that it stopped, the key behind which to go on.
pub(super) fn whole_objects(
    connection: &Connection,
    bucket: &BucketName,
    scan: &Scan,
) -> Result<(Vec<Object>, Option<String>), Error> {
    let bucket_id = bucket::id(connection, bucket)?;
    let (from, to) = (lower_bound(&scan.start, &scan.prefix), row::end_of_prefix(&scan.prefix));
    let mut found: Vec<Object> = Vec::new();
    if scan.limit == 0 || from >= to {
        return Ok((found, None));
    }
    let mut passed_over = 0;
    let mut statement = connection.prepare_cached(statement::SCAN_WHOLE_OBJECTS)?;
    let mut rows = statement.query(params![bucket_id, from, to])?;
    let mut last: Vec<u8> = Vec::new();
    while let Some(row) = rows.next()? {
        let key = row.get_ref(19)?.as_blob().map_err(Error::damaged)?;
        if key == last {
            continue;
        }
        last.clear();
        last.extend_from_slice(key);
        if Kind::read(row, 0)? == Kind::Object {
            found.push(object::object(row, bucket, &row::key(row, 19)?)?);
            if found.len() == scan.limit {
                break;
            }
            continue;
        }
        passed_over += 1;
        if passed_over == PASSED_OVER_MAX {
            return Ok((found, Some(row::key(row, 19)?.to_string())));
        }
    }
    Ok((found, None))
}

fn listed(row: &Row<'_>, kind: Kind) -> Result<Listed, Error> {
    let (kind, etag) = match kind {
        Kind::Object => (ListedKind::Object, Some(row::etag(row, 3)?)),
        Kind::DeleteMarker => (ListedKind::DeleteMarker, None),
        Kind::Tombstone => (ListedKind::Tombstone, None),
    };
    Ok(Listed {
        origin: Origin::read(row, 10)?,
        key: row::key(row, 0)?,
        kind,
        size_bytes: row::number(row, 2)?,
        etag,
        modified: row::time(row, 4)?,
        checksum: row::checksum_shape(row, 5)?,
        owner: row::owner(row, 7)?,
        generation: row::number(row, 9)?,
    })
}

/// Uploads in progress of a range of keys.
pub(super) fn uploads(
    connection: &Connection,
    bucket: &BucketName,
    scan: &UploadScan,
) -> Result<Vec<Upload>, Error> {
    let bucket_id = bucket::id(connection, bucket)?;
    // Ids are never empty, so the empty text is before every id of a key.
    let (start, id) = match &scan.start {
        UploadStart::At(key) => (key.as_bytes().to_vec(), ""),
        UploadStart::After(key) => (behind(key), ""),
        UploadStart::AfterUpload(key, id) => (key.as_bytes().to_vec(), id.as_str()),
    };
    let prefix = scan.prefix.as_bytes().to_vec();
    let (from, id) = if start < prefix { (prefix, "") } else { (start, id) };
    let to = row::end_of_prefix(&scan.prefix);
    if from >= to {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(statement::SCAN_UPLOADS)?;
    let mut rows = statement.query(params![bucket_id, from, id, to, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(upload::read(row, bucket)?);
    }
    Ok(found)
}
