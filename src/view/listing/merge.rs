//! The merge: at each key, who has it and who is believed.

use super::ahead::{Ahead, Whole};
use super::buffer::Buffer;
use super::text::{behind, common_prefix, successor};
use super::{Row, Sources};
use crate::fallback::Below;
use crate::store::{InventoryRow, Listed, ListedKind, Origin, Scan, Start};
use crate::upstream::ListEntry;
use crate::view::{Error, Turn, remote};

/// The rows of one page of one client.
///
/// All scans of a listing have one prefix and go forward; none but the first begins within a common
/// prefix.
#[derive(Debug)]
pub struct Listing<S> {
    sources: S,
    delimiter: Option<String>,
    keys_max: usize,
    merge: Option<Merge>,
}

/// Where the merge stands in each of its sources.
#[derive(Debug)]
struct Merge {
    whole: Whole,
    /// The least text of the next row; `None` if there is no further one.
    from: Option<String>,
    here: Buffer<Listed>,
    index: Buffer<InventoryRow>,
    upstreams: Vec<Ahead>,
    /// How many more rows the client will probably want.
    wanted: usize,
    turn: Turn,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    Row(Row),
    /// Upstreams have rolled keys up, and nobody has looked at these yet.
    Rolled(Rolled),
}

#[derive(Debug)]
struct Rolled {
    prefix: String,
    upstreams: Vec<usize>,
    /// Whether the first local row below the prefix is seen.
    seen: bool,
    /// Whether there are local rows below it.
    here: bool,
    /// Whether the imported index has rows below it.
    index: bool,
}

impl<S: Sources> Listing<S> {
    /// Begins to list. `delimiter` lets upstreams roll up; `keys_max` is how many entries the client
    /// wants.
    pub fn new(sources: S, delimiter: Option<&str>, keys_max: usize) -> Self {
        let delimiter = delimiter.filter(|text| !text.is_empty()).map(str::to_owned);
        Self { sources, delimiter, keys_max, merge: None }
    }

    /// The first `scan.limit` rows of a range, in the order of the bytes of their keys. Fewer mean
    /// that no more follow.
    pub async fn rows(&mut self, scan: &Scan) -> Result<Vec<Row>, Error> {
        let Self { sources, delimiter, keys_max, merge } = self;
        let from = match &scan.start {
            Start::At(key) => key.clone(),
            Start::After(key) => behind(key),
        };
        let merge = merge.get_or_insert_with(|| {
            // What upstream has rolled up does not say whether anything of it lies behind the start.
            let rolls = |delimiter: &&String| {
                common_prefix(&from, &scan.prefix, Some(delimiter)).is_none_or(|prefix| prefix == from)
            };
            let delimiter = delimiter.as_ref().filter(rolls).cloned();
            let whole = Whole { prefix: scan.prefix.clone(), delimiter };
            // Who can show nothing of it need not be asked, and cannot fail it.
            let mut upstreams = sources.live();
            upstreams.retain(|&upstream| sources.below(&scan.prefix, upstream) != Below::Hidden);
            Merge::new(whole, &upstreams, keys_max.saturating_add(1))
        });
        merge.seek(from);
        let mut rows = Vec::new();
        while rows.len() < scan.limit {
            match merge.next(sources).await? {
                None => break,
                Some(Next::Rolled(rolled)) if !is_shown(sources, &rolled).await? => continue,
                Some(Next::Rolled(rolled)) => rows.push(Row::Rolled(rolled.prefix)),
                Some(Next::Row(row)) => rows.push(row),
            }
            merge.wanted = merge.wanted.saturating_sub(1);
        }
        Ok(rows)
    }
}

/// Whether anything below a common prefix of upstreams is seen.
///
/// Most often this is known without another request: nothing local is below it, and the rules show
/// all of it or nothing.
async fn is_shown(sources: &impl Sources, rolled: &Rolled) -> Result<bool, Error> {
    let prefix = &rolled.prefix;
    if rolled.seen {
        return Ok(true);
    }
    if (rolled.here || rolled.index) && any_below(sources, prefix, &[]).await? {
        return Ok(true);
    }
    let covered = sources.covers().iter().any(|cover| cover.starts_with(prefix));
    let mut unknown = Vec::new();
    for &upstream in &rolled.upstreams {
        match sources.below(prefix, upstream) {
            Below::Hidden => {}
            // What is local below it, and not seen, hides keys of upstream.
            Below::Shown if !rolled.here && !covered => return Ok(true),
            Below::Shown | Below::Mixed => unknown.push(upstream),
        }
    }
    Ok(!unknown.is_empty() && any_below(sources, prefix, &unknown).await?)
}

/// Looks at the keys below a prefix until one is seen.
async fn any_below(sources: &impl Sources, prefix: &str, upstreams: &[usize]) -> Result<bool, Error> {
    let whole = Whole { prefix: prefix.to_owned(), delimiter: None };
    // Without a delimiter upstream rolls nothing up, so the first answer is a row.
    Ok(Merge::new(whole, upstreams, 1).next(sources).await?.is_some())
}

impl Merge {
    fn new(whole: Whole, upstreams: &[usize], wanted: usize) -> Self {
        // With a delimiter most local rows are stepped over.
        let limit = if whole.delimiter.is_none() { wanted } else { 0 };
        Self {
            from: Some(whole.prefix.clone()),
            whole,
            here: Buffer::new(limit),
            index: Buffer::new(limit),
            upstreams: upstreams.iter().map(|&upstream| Ahead::new(upstream)).collect(),
            wanted,
            turn: Turn::default(),
        }
    }

    fn seek(&mut self, from: String) {
        self.from = self.from.take().map(|earlier| earlier.max(from));
    }

    /// The next row, or the next prefix that is to be looked at.
    async fn next(&mut self, sources: &impl Sources) -> Result<Option<Next>, Error> {
        while let Some(from) = self.from.take() {
            self.fill(sources, &from).await?;
            // Most of the rows may be hidden.
            self.turn.rows(1).await;
            let Some(least) = self.least() else { break };
            if let Some(rolled) = self.rolled(&least) {
                self.from = successor(&least);
                return Ok(Some(Next::Rolled(rolled)));
            }
            self.from = Some(behind(&least));
            if let Some(row) = self.row(sources, &least) {
                return Ok(Some(Next::Row(row)));
            }
        }
        Ok(None)
    }

    /// Has the next row of every source.
    async fn fill(&mut self, sources: &impl Sources, from: &str) -> Result<(), Error> {
        let Self { whole, here, index, upstreams, wanted, .. } = self;
        here.seek(from);
        here.head(&whole.prefix, |scan| sources.here(scan))?;
        index.seek(from);
        index.head(&whole.prefix, |scan| sources.index(scan))?;
        // All are asked before one is waited for.
        for upstream in &mut *upstreams {
            upstream.seek(from);
            upstream.begin(sources, whole, *wanted);
        }
        for upstream in &mut *upstreams {
            upstream.fill(sources, whole, *wanted).await?;
        }
        Ok(())
    }

    /// The least key or prefix that any source has next.
    fn least(&self) -> Option<String> {
        let here = self.here.peek().map(|listed| listed.key.as_str());
        let index = self.index.peek().map(|row| row.key.as_str());
        let upstreams = self.upstreams.iter().filter_map(Ahead::peek_text);
        here.into_iter().chain(index).chain(upstreams).min().map(str::to_owned)
    }

    /// What is rolled up under this very prefix. It comes before every key that begins with it.
    fn rolled(&self, prefix: &str) -> Option<Rolled> {
        let is_it = |upstream: &&Ahead| matches!(upstream.peek(), Some(ListEntry::CommonPrefix(rolled)) if rolled == prefix);
        let upstreams: Vec<_> = self.upstreams.iter().filter(is_it).map(Ahead::upstream).collect();
        (!upstreams.is_empty()).then(|| Rolled {
            prefix: prefix.to_owned(),
            upstreams,
            seen: self.here.peek().is_some_and(|listed| {
                (listed.kind, listed.origin) == (ListedKind::Object, Origin::Written)
                    && listed.key.as_str().starts_with(prefix)
            }),
            here: self.here.peek().is_some_and(|listed| listed.key.as_str().starts_with(prefix)),
            index: self.index.peek().is_some_and(|row| row.key.as_str().starts_with(prefix)),
        })
    }

    /// Takes a key out of every source and says what is seen of it. What is local is believed first,
    /// then the imported index, then the upstream that the rules name.
    fn row(&mut self, sources: &impl Sources, key: &str) -> Option<Row> {
        let here = self.here.take(key);
        let indexed = self.index.take(key);
        let mut upstream_has = None;
        for upstream in &mut self.upstreams {
            if let Some(found) = upstream.take(key)
                && upstream_has.is_none()
                && sources.lists(key, Some(upstream.upstream()))
            {
                upstream_has = Some(found);
            }
        }
        match here.map(|listed| (listed.kind, listed.origin, listed)) {
            Some((ListedKind::Object, Origin::Written, listed)) => return Some(Row::Here(listed)),
            Some((ListedKind::Tombstone | ListedKind::DeleteMarker, _, _)) => return None,
            // What is only kept of upstream is seen as upstream is.
            Some((ListedKind::Object, Origin::Cached, listed)) => {
                return sources.lists(key, None).then_some(Row::Here(listed));
            }
            None => {}
        }
        match indexed.filter(|_| sources.lists(key, None)) {
            Some(row) => Some(Row::Upstream(Box::new(remote::of_index(row)))),
            None => upstream_has.map(Row::Upstream),
        }
    }
}
