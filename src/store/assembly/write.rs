//! The rows of a content. Everything here runs inside the write transaction.

use rusqlite::params;

use super::{Addition, Assembled, NewPart, Rows};
use crate::store::change::{Change, i64_of};
use crate::store::epoch::Pin;
use crate::store::error::Error;
use crate::store::{object, row, statement};

/// Begins a content that nothing refers to. It is garbage from the beginning, and pinned.
pub(in crate::store) fn begin(change: &mut Change) -> Result<(i64, Pin), Error> {
    let sequence = change.next_sequence();
    let content_id = i64_of(sequence);
    let pin = change.pin_content(content_id);
    change.execute(statement::GARBAGE_CONTENT, params![content_id, content_id])?;
    change.note_garbage(sequence);
    Ok((content_id, pin))
}

/// Adds rows to a content that nothing refers to yet.
pub(in crate::store) fn add(change: &mut Change, addition: Addition) -> Result<(), Error> {
    let content_id = addition.to.content_id;
    insert(change, content_id, &addition.rows)?;
    if let Some((start, staged)) = addition.bytes {
        let (blob_id, size) = (i64_of(change.next_sequence()), i64_of(staged.size_bytes()));
        object::insert_blob(change, blob_id, staged)?;
        change.execute(statement::INSERT_SEGMENT, params![content_id, i64_of(start), blob_id, 0, size])?;
    }
    Ok(())
}

impl Assembled {
    /// Makes it the content of something. `sequence` names it if it has no name yet. `None`, and nothing
    /// is changed, if what was prepared is not there any more.
    pub(in crate::store) fn attach(self, change: &mut Change, sequence: u64) -> Result<Option<i64>, Error> {
        match self {
            Self::Here(rows, _sources) => {
                let content_id = i64_of(sequence);
                insert(change, content_id, &rows)?;
                Ok(Some(content_id))
            }
            Self::Prepared(prepared) => {
                let content_id = prepared.content_id;
                let taken = change.execute(statement::DELETE_GARBAGE, params![content_id, content_id])?;
                Ok((taken > 0).then_some(content_id))
            }
        }
    }
}

fn insert(change: &mut Change, content_id: i64, rows: &Rows) -> Result<(), Error> {
    for segment in &rows.segments {
        let (start, offset) = (i64_of(segment.start), i64_of(segment.blob_offset));
        let columns = params![content_id, start, segment.blob_id, offset, i64_of(segment.length)];
        change.execute(statement::INSERT_SEGMENT, columns)?;
    }
    for NewPart { number, start, size_bytes, checksum } in &rows.parts {
        let (algorithm, checksum) = row::checksum_columns(checksum.as_ref());
        change.execute(
            statement::INSERT_OBJECT_PART,
            params![content_id, number, i64_of(*start), i64_of(*size_bytes), algorithm, checksum],
        )?;
    }
    Ok(())
}
