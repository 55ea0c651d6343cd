//! Which pieces of which blobs a content is made of.

use rusqlite::{Connection, params};

use super::Piece;
use crate::store::change::i64_of;
use crate::store::error::Error;
use crate::store::shared::Shared;
use crate::store::{row, statement};

/// A piece of a blob at its place in a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct NewSegment {
    pub(in crate::store) start: u64,
    pub(in crate::store) blob_id: i64,
    pub(in crate::store) blob_offset: u64,
    pub(in crate::store) length: u64,
}

/// Segments one behind the other.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) segments: Vec<NewSegment>,
    /// Where the next one begins.
    pub(super) end: u64,
}

impl List {
    /// Adds a piece of a blob at the end; one that goes on where the last one ends becomes part of it.
    fn push(&mut self, blob_id: i64, blob_offset: u64, length: u64) {
        let start = self.end;
        self.end += length;
        if let Some(last) = self.segments.last_mut()
            && (last.blob_id, last.blob_offset + last.length) == (blob_id, blob_offset)
            && last.start + last.length == start
        {
            last.length += length;
            return;
        }
        self.segments.push(NewSegment { start, blob_id, blob_offset, length });
    }

    /// Adds what lies in a piece.
    pub(super) fn add(&mut self, connection: &Connection, piece: &Piece) -> Result<(), Error> {
        each(connection, piece, |blob_id, offset, length| self.push(blob_id, offset, length))
    }
}

/// The segments of all pieces, one behind the other; `None` if there are more than `max`.
pub(super) fn all(shared: &Shared, pieces: &[Piece], max: usize) -> Result<Option<Vec<NewSegment>>, Error> {
    shared.readers.read(|connection| {
        let mut list = List::default();
        for piece in pieces {
            list.add(connection, piece)?;
            if list.segments.len() > max {
                return Ok(None);
            }
        }
        Ok(Some(list.segments))
    })
}

/// How many segments a piece has.
pub(super) fn count(connection: &Connection, piece: &Piece) -> Result<u64, Error> {
    let (mut count, mut end) = (0, None);
    each(connection, piece, |blob_id, offset, length| {
        if end != Some((blob_id, offset)) {
            count += 1;
        }
        end = Some((blob_id, offset + length));
    })?;
    Ok(count)
}

/// Hands over each segment of a piece as far as it lies in the piece: blob, place in it, length.
fn each(connection: &Connection, piece: &Piece, mut work: impl FnMut(i64, u64, u64)) -> Result<(), Error> {
    let (content_id, range) = (piece.content.id(), piece.range);
    if range.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(statement::FIND_SEGMENTS)?;
    let mut rows = statement.query(params![content_id, i64_of(range.start), i64_of(range.end)])?;
    let mut at = range.start;
    while let Some(row) = rows.next()? {
        let (start, blob_id) = (row::number(row, 0)?, row.get(1)?);
        let (offset, length) = (row::number(row, 2)?, row::number(row, 3)?);
        let (from, to) = (start.max(range.start), (start + length).min(range.end));
        if from != at || to <= from {
            return Err(gap(content_id, at));
        }
        work(blob_id, offset + (from - start), to - from);
        at = to;
    }
    if at == range.end { Ok(()) } else { Err(gap(content_id, at)) }
}

fn gap(content_id: i64, at: u64) -> Error {
    Error::damaged(format_args!("content {content_id} has a gap at {at}"))
}

impl Piece {
    /// How many bytes it has.
    pub(super) fn size_bytes(&self) -> u64 {
        self.range.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_one_blob_become_one_segment() {
        let mut list = List::default();
        for (blob_id, offset, length) in
            [(1, 0, 10), (1, 10, 5), (1, 16, 4), (2, 20, 1), (2, 21, 1), (1, 20, 1)]
        {
            list.push(blob_id, offset, length);
        }
        let segment =
            |start, blob_id, blob_offset, length| NewSegment { start, blob_id, blob_offset, length };
        let expected =
            [segment(0, 1, 0, 15), segment(15, 1, 16, 4), segment(19, 2, 20, 2), segment(21, 1, 20, 1)];
        assert_eq!((list.segments.as_slice(), list.end), (&expected[..], 22));
    }
}
