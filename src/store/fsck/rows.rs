//! Every row: does it make sense, and can what it names be read whole?

use rusqlite::{Connection, params};

use super::blobs::BadBlobs;
use super::{Error, Finding, Run, garbage_sequence};
use crate::model::{BucketName, ObjectKey, PartNumber};
use crate::store::error::Error as StoreError;
use crate::store::{object, statement};

/// A row whose content is checked.
struct Holder {
    /// The bucket's row, or the upload's.
    parent: i64,
    bucket: Option<String>,
    key: Vec<u8>,
    /// Its sequence number, or the part's number.
    number: i64,
    content_id: i64,
    size_bytes: u64,
    upload: String,
}

/// What is wrong with a row that does not read; an error if it is not the row that is to blame.
pub(super) fn damage(error: StoreError) -> Result<String, Error> {
    if let StoreError::Damaged(reason) = error {
        return Ok(reason);
    }
    if let StoreError::Index(source) = &error
        && is_of_a_value(source)
    {
        return Ok(source.to_string());
    }
    Err(error.into())
}

/// Whether SQLite has given what it was asked for, and it is no value of its type.
fn is_of_a_value(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
    )
}

/// A size or a place; what is negative is wrong in any case.
fn size(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Asks SQLite about its file, and whether the counter is ahead of what it gave out.
pub(super) fn check_index(run: &mut Run<'_>) -> Result<(), Error> {
    let mut statement = run.connection.prepare("PRAGMA integrity_check(20)")?;
    let messages = statement.query_map([], |row| row.get::<_, String>(0))?;
    for message in messages.collect::<Result<Vec<_>, _>>()? {
        if message != "ok" {
            run.noted(Finding::DamagedIndex { message }, false);
        }
    }
    let (counter, used): (i64, i64) = run.connection.query_row(
        "SELECT (SELECT value FROM counter WHERE name = 'sequence'),
                max(coalesce((SELECT max(sequence) FROM object), 0),
                    coalesce((SELECT max(id) FROM blob), 0),
                    coalesce((SELECT max(content_id) FROM segment), 0),
                    coalesce((SELECT max(sequence) FROM upload), 0),
                    coalesce((SELECT max(id) FROM inventory), 0))",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if counter < used {
        run.found(Finding::CounterBehind { counter, used }, |connection| {
            connection.execute(statement::WRITE_SEQUENCE, [used])?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Checks that every object can be read whole.
pub(super) fn check_objects(run: &mut Run<'_>, bad: &BadBlobs) -> Result<(), Error> {
    let mut statement = run.connection.prepare(
        "SELECT o.bucket_id, b.name, o.key, o.sequence, o.content_id, o.size, ''
         FROM object o LEFT JOIN bucket b ON b.id = o.bucket_id WHERE o.kind = 0",
    )?;
    let mut rows = statement.query([])?;
    let mut broken = Vec::new();
    while let Some(row) = rows.next()? {
        let holder = Holder::read(row)?;
        run.report.objects += 1;
        let reason = match holder.broken(run.connection, bad)? {
            Some(reason) => Some(reason),
            None => holder.unreadable(run.connection)?,
        };
        if let Some(reason) = reason {
            broken.push((holder, reason));
        }
    }
    for (holder, reason) in broken {
        let finding = match holder.names() {
            Some((bucket, key)) => Finding::BrokenObject { bucket, key, reason },
            None => Finding::StrayRow { table: "object", reason },
        };
        run.found(finding, |connection| {
            let row = params![holder.parent, holder.key, holder.number];
            connection.execute(statement::DELETE_OBJECT, row)?;
            let given_up = params![garbage_sequence(connection)?, holder.content_id];
            connection.execute(statement::GARBAGE_CONTENT_IF_UNREFERENCED, given_up)?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Checks that every part of an upload in progress can be read whole.
pub(super) fn check_parts(run: &mut Run<'_>, bad: &BadBlobs) -> Result<(), Error> {
    let mut statement = run.connection.prepare(
        "SELECT p.upload, b.name, coalesce(u.key, x''), p.number, p.content_id, p.size, coalesce(u.id, '')
         FROM part p
         LEFT JOIN upload u ON u.sequence = p.upload
         LEFT JOIN bucket b ON b.id = u.bucket_id",
    )?;
    let mut rows = statement.query([])?;
    let mut broken = Vec::new();
    while let Some(row) = rows.next()? {
        let holder = Holder::read(row)?;
        if let Some(reason) = holder.broken(run.connection, bad)? {
            broken.push((holder, reason));
        }
    }
    for (holder, reason) in broken {
        let number = u16::try_from(holder.number).ok().and_then(|number| PartNumber::new(number).ok());
        let finding = match holder.names().zip(number) {
            Some(((bucket, key), number)) => {
                let (upload, number) = (holder.upload.clone(), number.get());
                Finding::BrokenPart { bucket, key, upload, number, reason }
            }
            None => Finding::StrayRow { table: "part", reason },
        };
        run.found(finding, |connection| {
            let row = params![holder.parent, holder.number];
            connection.execute("DELETE FROM part WHERE upload = ?1 AND number = ?2", row)?;
            let given_up = params![garbage_sequence(connection)?, holder.content_id];
            connection.execute(statement::GARBAGE_CONTENT, given_up)?;
            Ok(())
        })?;
    }
    Ok(())
}

impl Holder {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            parent: row.get(0)?,
            bucket: row.get(1)?,
            key: row.get(2)?,
            number: row.get(3)?,
            content_id: row.get(4)?,
            size_bytes: size(row.get(5)?),
            upload: row.get(6)?,
        })
    }

    fn names(&self) -> Option<(BucketName, ObjectKey)> {
        let bucket = BucketName::parse(self.bucket.as_deref()?).ok()?;
        let key = ObjectKey::parse(std::str::from_utf8(&self.key).ok()?).ok()?;
        Some((bucket, key))
    }

    /// Why the row of an object says nothing that a client could be told; `None` if it does.
    fn unreadable(&self, connection: &Connection) -> Result<Option<String>, Error> {
        let Some((bucket, key)) = self.names() else { return Ok(None) };
        match object::find_row(connection, &bucket, &key) {
            Err(error) => damage(error).map(Some),
            Ok(_) => Ok(None),
        }
    }

    /// Why it cannot be read whole; `None` if it can.
    fn broken(&self, connection: &Connection, bad: &BadBlobs) -> Result<Option<String>, Error> {
        if self.names().is_none() {
            return Ok(Some("its bucket or upload does not exist, or its names are none".to_owned()));
        }
        let mut statement = connection.prepare_cached(
            "SELECT s.start, s.length, s.blob_id, s.blob_offset, b.size
             FROM segment s LEFT JOIN blob b ON b.id = s.blob_id
             WHERE s.content_id = ?1 ORDER BY s.start",
        )?;
        let mut rows = statement.query([self.content_id])?;
        let mut end = 0;
        while let Some(row) = rows.next()? {
            let (start, length, offset) = (size(row.get(0)?), size(row.get(1)?), size(row.get(3)?));
            let (blob, blob_bytes): (i64, Option<i64>) = (row.get(2)?, row.get(4)?);
            if let Some(reason) = bad.get(&blob) {
                return Ok(Some(reason.clone()));
            }
            let Some(blob_bytes) = blob_bytes else {
                return Ok(Some(format!("blob {blob} has no row")));
            };
            if start != end {
                return Ok(Some(format!("its bytes from {end} to {start} are nowhere")));
            }
            if offset + length > size(blob_bytes) {
                return Ok(Some(format!("it needs more of blob {blob} than there is")));
            }
            end += length;
        }
        let whole = end == self.size_bytes;
        Ok((!whole).then(|| format!("{end} of its {} bytes have a place", self.size_bytes)))
    }
}

/// Finds contents that nothing refers to and that were not given up either.
pub(super) fn check_orphans(run: &mut Run<'_>) -> Result<(), Error> {
    let mut statement = run.connection.prepare(
        "SELECT content_id FROM segment
         EXCEPT SELECT content_id FROM object WHERE content_id IS NOT NULL
         EXCEPT SELECT content_id FROM part
         EXCEPT SELECT content_id FROM garbage",
    )?;
    let contents = statement.query_map([], |row| row.get::<_, i64>(0))?;
    for content in contents.collect::<Result<Vec<_>, _>>()? {
        run.found(Finding::OrphanedContent { content }, |connection| {
            let given_up = params![garbage_sequence(connection)?, content];
            connection.execute(statement::GARBAGE_CONTENT, given_up)?;
            Ok(())
        })?;
    }
    Ok(())
}
