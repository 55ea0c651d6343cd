//! Blobs of which a part is written anew. Their MD5 is of all their bytes, so all of them are read first:
//! what is written anew gets digests of its own, and flipped bits would be right from then on.

use std::collections::HashSet;
use std::os::unix::fs::FileExt as _;

use rusqlite::params;

use super::Piece;
use crate::checksum::Digester;
use crate::store::change::{find, i64_of};
use crate::store::damage::other_bytes;
use crate::store::error::Error;
use crate::store::folder::BlobName;
use crate::store::opened::{broken, open_exactly};
use crate::store::shared::Shared;
use crate::store::{row, statement, verify};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// A blob that is used in part.
struct Cut {
    id: i64,
    name: Option<String>,
    size_bytes: u64,
    md5: [u8; 16],
}

/// Compares the blobs that pieces use in part with what was written, each once.
pub(super) fn check(shared: &Shared, pieces: &[Piece]) -> Result<(), Error> {
    let mut checked = HashSet::new();
    for piece in pieces {
        for cut in cuts(shared, piece)? {
            if checked.insert(cut.id) {
                check_blob(shared, &cut)?;
            }
        }
    }
    Ok(())
}

fn cuts(shared: &Shared, piece: &Piece) -> Result<Vec<Cut>, Error> {
    let range = params![piece.content.id(), i64_of(piece.range.start), i64_of(piece.range.end)];
    shared.readers.read(|connection| {
        let mut statement = connection.prepare_cached(statement::CUT_BLOBS)?;
        let mut rows = statement.query(range)?;
        let mut cuts = Vec::new();
        while let Some(row) = rows.next()? {
            let md5 = row::md5(row, 3)?.ok_or_else(|| Error::damaged("a blob without MD5"))?;
            cuts.push(Cut { id: row.get(0)?, name: row.get(1)?, size_bytes: row::number(row, 2)?, md5 });
        }
        Ok(cuts)
    })
}

fn check_blob(shared: &Shared, cut: &Cut) -> Result<(), Error> {
    let Some(name) = &cut.name else {
        let bytes: Option<Vec<u8>> = shared.readers.read(|connection| {
            find(connection, statement::READ_INLINE_BLOB, [cut.id], |row| Ok(row.get(0)?))
        })?;
        let is_right = bytes.is_some_and(|bytes| verify::are(&bytes, cut.md5));
        return if is_right {
            Ok(())
        } else {
            Err(Error::damaged(format_args!("blob {} {}", cut.id, other_bytes())))
        };
    };
    let name = BlobName::parse(name).ok_or_else(|| Error::damaged(format_args!("the blob name {name:?}")))?;
    let read = || {
        let open = open_exactly(shared, &name, cut.size_bytes)?;
        let mut digester = Digester::new(&[]);
        let mut buffer = vec![0; usize::try_from(cut.size_bytes).unwrap_or(READ_BYTES).min(READ_BYTES)];
        let mut at = 0;
        while at < cut.size_bytes {
            let count = usize::try_from(cut.size_bytes - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            open.file.read_exact_at(&mut buffer[..count], at)?;
            digester.update(&buffer[..count]);
            at += count as u64;
        }
        if digester.finish().md5 == cut.md5 { Ok(()) } else { Err(other_bytes()) }
    };
    read().map_err(|error| broken(shared, &name, error))
}
