//! Uploads and parts as rows.

use rusqlite::{Connection, Row, params};

use super::{Part, Upload, UploadRef};
use crate::model::{BucketName, Checksum, ETag, Metadata, PartNumber, Tags, UploadId};
use crate::store::change::find as find_row;
use crate::store::error::Error;
use crate::store::{row, statement};

/// An upload with what only its completion needs.
pub(in crate::store) struct Found {
    pub(in crate::store) bucket_id: i64,
    pub(in crate::store) sequence: i64,
    pub(in crate::store) upload: Upload,
    pub(in crate::store) metadata: Metadata,
    pub(in crate::store) tags: Tags,
}

/// A part with what only its completion needs.
pub(in crate::store) struct FoundPart {
    pub(in crate::store) part: Part,
    pub(in crate::store) content_id: i64,
    pub(in crate::store) md5: [u8; 16],
    pub(in crate::store) crc32c: Option<u32>,
    pub(in crate::store) crc64nvme: Option<u64>,
}

/// Reads an upload from the columns that begin with the bucket and the key.
pub(in crate::store) fn read(row: &Row<'_>, bucket: &BucketName) -> Result<Upload, Error> {
    let id: String = row.get(2)?;
    Ok(Upload {
        id: UploadId::parse(&id).map_err(Error::damaged)?,
        bucket: bucket.clone(),
        key: row::key(row, 1)?,
        initiated: row::time(row, 3)?,
        owner: row::owner(row, 4)?,
        checksum: row::checksum_asked(row, 6)?,
        session: None,
    })
}

/// An upload in progress.
pub(in crate::store) fn find(connection: &Connection, upload: &UploadRef) -> Result<Found, Error> {
    let UploadRef { bucket, key, id } = upload;
    let names = params![bucket.as_str(), key.as_str().as_bytes(), id.as_str()];
    let found = find_row(connection, statement::FIND_UPLOAD, names, |row| {
        let Some(sequence) = row.get(8)? else { return Ok(None) };
        Ok(Some(Found {
            bucket_id: row.get(0)?,
            sequence,
            upload: Upload { session: row.get(11)?, ..read(row, bucket)? },
            metadata: row::metadata(row, 9)?,
            tags: row::tags(row, 10)?,
        }))
    })?;
    match found {
        None => Err(Error::NoSuchBucket(bucket.clone())),
        Some(None) => Err(Error::NoSuchUpload(id.clone())),
        Some(Some(found)) => Ok(found),
    }
}

/// The parts of an upload with numbers above `after`.
pub(in crate::store) fn parts(
    connection: &Connection,
    upload: i64,
    after: Option<PartNumber>,
    limit: usize,
) -> Result<Vec<FoundPart>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(statement::LIST_PARTS)?;
    let mut rows = statement.query(params![upload, after.map_or(0, PartNumber::get), limit])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        parts.push(read_part(row)?);
    }
    Ok(parts)
}

/// What an upload's parts are made of: with the same contents under the same numbers, all of them are the
/// same. The numbers of the contents alone do not say so, as a content that is prepared has its number
/// long before a part gets it.
pub(super) fn contents(connection: &Connection, upload: i64) -> Result<Vec<(u16, i64)>, Error> {
    let mut statement = connection.prepare_cached(statement::CONTENTS_OF_PARTS)?;
    let rows = statement.query_map([upload], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_part(row: &Row<'_>) -> Result<FoundPart, Error> {
    let md5 = row::md5(row, 4)?.ok_or_else(|| Error::damaged("a part without MD5"))?;
    let checksum: Option<Checksum> = row::checksum(row, 7)?;
    Ok(FoundPart {
        part: Part {
            number: PartNumber::new(row.get(0)?).map_err(Error::damaged)?,
            size_bytes: row::number(row, 2)?,
            etag: ETag::of_md5(md5),
            modified: row::time(row, 3)?,
            checksum,
        },
        content_id: row.get(1)?,
        md5,
        crc32c: row.get(5)?,
        crc64nvme: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
    })
}
