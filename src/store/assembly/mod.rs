//! A new content made of pieces of others: completed uploads, composed objects, parts that are copies.
//!
//! Its rows may be tens of thousands, and nobody shall wait for them. So the pieces are listed beside the
//! writer. Few rows go into the transaction that needs them. Many are written beforehand in small
//! jobs that others come between, under a number that is garbage until the transaction that needs the
//! content takes it: one row less. A crash, or a verb that is given up, leaves them to the sweep, and a
//! snapshot leaves garbage out.
//!
//! Neighbours in one blob become one segment. An object has so many segments at most; what would have
//! more is read and written anew, as far as that is necessary.

mod cut;
mod list;
mod rewrite;
mod write;

use std::sync::Arc;

pub(super) use list::NewSegment;
pub(super) use write::{add, begin};

use super::content::Content;
use super::epoch::Pin;
use super::error::Error;
use super::hold::ROWS_MAX;
use super::job::Job;
use super::open::Inner;
use super::shared::Shared;
use super::staging::Staged;
use crate::model::{ByteRange, Checksum};

/// How many rows come along with the transaction that needs them, and how many one step writes.
pub(super) const ROWS_AT_ONCE: usize = if cfg!(test) { 8 } else { 1024 };

// Whatever else the transaction does, it has room for it.
const _: () = assert!(ROWS_AT_ONCE * 2 <= ROWS_MAX);

/// About how many bytes of the index a row takes.
const ROW_BYTES: usize = 100;

/// A range of another content, which cannot go while this is there.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) content: Content,
    pub(super) range: ByteRange,
}

/// Where a part lies in the object that it belongs to.
#[derive(Debug, Clone)]
pub(super) struct NewPart {
    pub(super) number: u16,
    pub(super) start: u64,
    pub(super) size_bytes: u64,
    pub(super) checksum: Option<Checksum>,
}

/// Rows of a content.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) segments: Vec<NewSegment>,
    pub(super) parts: Vec<NewPart>,
}

/// A content that is written and that nothing refers to yet. It is garbage, and the sweep leaves it alone
/// for as long as this lives.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    content_id: i64,
    _pin: Arc<Pin>,
    _sources: Arc<Vec<Piece>>,
}

/// A content for the transaction that needs it.
#[derive(Debug)]
pub(super) enum Assembled {
    /// It has few rows, and they come along.
    Here(Rows, Arc<Vec<Piece>>),
    /// Its rows are there.
    Prepared(Prepared),
}

/// Rows to be added to a prepared content.
#[derive(Debug)]
pub(super) struct Addition {
    to: Prepared,
    rows: Rows,
    /// Bytes that were written anew, and where they begin.
    bytes: Option<(u64, Staged)>,
}

impl Rows {
    fn len(&self) -> usize {
        self.segments.len() + self.parts.len()
    }
}

impl Assembled {
    /// How many rows it takes to give it to an object or a part.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Here(rows, _) => rows.len(),
            Self::Prepared(_) => 1,
        }
    }
}

impl Addition {
    /// How many rows it adds.
    pub(super) fn rows(&self) -> usize {
        self.rows.len() + if self.bytes.is_some() { 2 } else { 0 }
    }

    /// How many bytes the index will have to take in.
    pub(super) fn inline_bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, |(_, staged)| staged.inline_bytes())
    }
}

/// Makes a content of pieces, one behind the other.
pub(super) async fn assemble(
    inner: &Inner,
    pieces: Vec<Piece>,
    parts: Vec<NewPart>,
) -> Result<Assembled, Error> {
    let size_bytes = pieces.iter().map(Piece::size_bytes).sum();
    let (sources, segments_max) =
        (Arc::new(pieces), rewrite::segments_allowed(inner.segments_max, size_bytes));
    let listing = Arc::clone(&sources);
    let listed = beside(inner, move |shared| list::all(shared, &listing, segments_max)).await?;
    let Some(segments) = listed else { return rewrite::assemble(inner, sources, parts, segments_max).await };
    let rows = Rows { segments, parts };
    if rows.len() <= ROWS_AT_ONCE {
        return Ok(Assembled::Here(rows, sources));
    }
    let prepared = prepare(inner, sources).await?;
    add_all(inner, &prepared, rows).await?;
    Ok(Assembled::Prepared(prepared))
}

/// Does on a thread of its own what a verb that writes has to look at first, and that takes longer than a
/// look-up.
pub(super) async fn beside<T: Send + 'static>(
    inner: &Inner,
    work: impl FnOnce(&Arc<Shared>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if !inner.writer.is_alive() {
        return Err(Error::Closed);
    }
    let shared = Arc::clone(&inner.shared);
    // The runtime drops blocking work only while it shuts down.
    tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or(Err(Error::Closed))
}

/// Begins a content that nothing refers to.
async fn prepare(inner: &Inner, sources: Arc<Vec<Piece>>) -> Result<Prepared, Error> {
    let (content_id, pin) = inner.writer.ask(Job::BeginContent).await?;
    Ok(Prepared { content_id, _pin: Arc::new(pin), _sources: sources })
}

/// Adds rows, a step at a time.
async fn add_all(inner: &Inner, to: &Prepared, rows: Rows) -> Result<(), Error> {
    let (mut segments, mut parts) = (rows.segments.into_iter(), rows.parts.into_iter());
    loop {
        let some: Vec<_> = segments.by_ref().take(ROWS_AT_ONCE).collect();
        let left = ROWS_AT_ONCE - some.len();
        let rows = Rows { segments: some, parts: parts.by_ref().take(left).collect() };
        if rows.len() == 0 {
            return Ok(());
        }
        inner.shared.folder.check_index_room((rows.len() * ROW_BYTES) as u64)?;
        add_some(inner, Addition { to: to.clone(), rows, bytes: None }).await?;
    }
}

async fn add_some(inner: &Inner, addition: Addition) -> Result<(), Error> {
    inner.writer.ask(|reply| Job::AddToContent(Box::new(addition), reply)).await
}
