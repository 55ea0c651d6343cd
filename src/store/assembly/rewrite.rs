//! Contents of too many segments: as much of them as need be is read and written anew.

use std::sync::Arc;

use super::cut;
use super::list::{self, List};
use super::{Addition, Assembled, NewPart, Piece, Rows, add_all, add_some, beside, prepare};
use crate::store::error::Error;
use crate::store::open::Inner;
use crate::store::staging::{Staged, Staging};

/// Segments of so many bytes on average are no burden: a row of the index is a thousandth of that.
const WORTH_A_SEGMENT_BYTES: u64 = 64 << 10;

/// How much more segments than usual the largest objects may have.
const OFTEN: usize = 64;

/// How many segments a content of so many bytes may have. Few bytes in many pieces, as clients compose what
/// is composed already, are soon written anew; large pieces stay where they are.
pub(super) fn segments_allowed(usual: usize, size_bytes: u64) -> usize {
    let worth = usize::try_from(size_bytes / WORTH_A_SEGMENT_BYTES).unwrap_or(usize::MAX);
    usual.saturating_add(worth).min(usual.saturating_mul(OFTEN))
}

/// Makes a content of pieces that have too many segments.
pub(super) async fn assemble(
    inner: &Inner,
    sources: Arc<Vec<Piece>>,
    parts: Vec<NewPart>,
    segments_max: usize,
) -> Result<Assembled, Error> {
    let listing = Arc::clone(&sources);
    let counted = beside(inner, move |shared| {
        shared.readers.read(|reader| {
            let size_and_count = |piece: &Piece| Ok((piece.size_bytes(), list::count(reader, piece)?));
            listing.iter().map(size_and_count).collect::<Result<Vec<_>, Error>>()
        })
    });
    let chosen = choose(&counted.await?, segments_max as u64);
    let prepared = prepare(inner, Arc::clone(&sources)).await?;
    let (mut list, mut first, mut rewritten) = (List::default(), 0, 0);
    while first < sources.len() {
        let run = chosen[first..].iter().take_while(|is_chosen| **is_chosen == chosen[first]).count();
        let pieces = first..first + run;
        if chosen[first] {
            let (checked, range) = (Arc::clone(&sources), pieces.clone());
            beside(inner, move |shared| cut::check(shared, &checked[range])).await?;
            let staged = copy(inner, &sources[pieces]).await?;
            let (start, size_bytes) = (list.end, staged.size_bytes());
            list.end += size_bytes;
            rewritten += size_bytes;
            if size_bytes > 0 {
                let (rows, bytes) = (Rows::default(), Some((start, staged)));
                add_some(inner, Addition { to: prepared.clone(), rows, bytes }).await?;
            }
        } else {
            let sources = Arc::clone(&sources);
            let added = beside(inner, move |shared| {
                shared.readers.read(|reader| {
                    sources[pieces].iter().try_for_each(|piece| list.add(reader, piece))?;
                    Ok(list)
                })
            });
            list = added.await?;
        }
        first += run;
    }
    tracing::info!(
        bytes = rewritten,
        segments = list.segments.len(),
        "an object of too many pieces was written anew"
    );
    add_all(inner, &prepared, Rows { segments: list.segments, parts }).await?;
    Ok(Assembled::Prepared(prepared))
}

/// Which pieces are written anew, so that at most `max` segments are left: first those that have the
/// fewest bytes for each segment that is saved. Neighbours that are chosen become one segment.
fn choose(sizes_and_counts: &[(u64, u64)], max: u64) -> Vec<bool> {
    if sizes_and_counts.len() as u64 > max {
        return vec![true; sizes_and_counts.len()];
    }
    let saves = |index: usize| sizes_and_counts[index].1.saturating_sub(1);
    let mut order: Vec<_> = (0..sizes_and_counts.len()).filter(|index| saves(*index) > 0).collect();
    order.sort_by_key(|index| (u128::from(sizes_and_counts[*index].0) << 32) / u128::from(saves(*index)));
    let mut left: u64 = sizes_and_counts.iter().map(|(_, count)| count).sum();
    let mut chosen = vec![false; sizes_and_counts.len()];
    for index in order {
        if left <= max {
            break;
        }
        chosen[index] = true;
        left -= saves(index);
    }
    chosen
}

/// Reads pieces and writes their bytes as one.
async fn copy(inner: &Inner, pieces: &[Piece]) -> Result<Staged, Error> {
    let size_bytes = pieces.iter().map(Piece::size_bytes).sum();
    let mut staging = Staging::new(Arc::clone(&inner.shared), inner.inline_max_bytes, &[], Some(size_bytes));
    for piece in pieces {
        let mut reader = piece.content.verified_reader(piece.range);
        while let Some(bytes) = reader.next().await {
            staging.write(bytes?).await?;
        }
    }
    staging.finish().await
}

#[cfg(test)]
mod tests {
    use super::{choose, segments_allowed};

    #[test]
    fn large_objects_may_have_more_segments_and_small_ones_not() {
        for (size_bytes, allowed) in [
            (0, 10_000),
            (1 << 20, 10_016),
            // 10,000 parts of 5 MiB, each of 32 pieces.
            (10_000 * (5 << 20), 640_000),
            (5 << 40, 640_000),
        ] {
            assert_eq!(segments_allowed(10_000, size_bytes), allowed, "{size_bytes}");
        }
    }

    #[test]
    fn what_is_written_anew_has_the_fewest_bytes_for_what_it_saves() {
        type Case<'a> = (&'a [(u64, u64)], u64, &'a [bool]);
        let cases: [Case<'_>; 6] = [
            (&[(10, 1), (10, 2)], 3, &[false, false]),
            (&[(10, 3), (10, 5)], 5, &[false, true]),
            (&[(10, 3), (1000, 5)], 7, &[true, false]),
            (&[(10, 3), (1000, 5)], 2, &[true, true]),
            (&[(7, 1), (0, 0), (90, 9)], 3, &[false, false, true]),
            (&[(7, 1), (7, 1), (7, 1)], 2, &[true, true, true]),
        ];
        for (pieces, max, expected) in cases {
            assert_eq!(choose(pieces, max), expected, "{pieces:?}");
        }
    }
}
