//! Everything behind one bucket, in memory, and what is seen of it by the plain words of the contract.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;

use crate::fallback::Below;
use crate::model::{ETag, Metadata, ObjectKey, Owner, Timestamp};
use crate::protocol::listing::tests::{self, Table};
use crate::protocol::listing::{Entry, ListQuery};
use crate::store::{self, InventoryRow, Listed, ListedKind, Origin, Scan, Start};
use crate::upstream::{self, ListAsk, ListEntry, ListPage, Remote};
use crate::view::Sources;

/// What is under a key here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Local {
    Written,
    Cached,
    Tombstone,
    DeleteMarker,
}

/// Keys of one upstream, and its manners.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    pub(super) keys: BTreeSet<String>,
    /// Whether it is asked; otherwise only the index speaks for it.
    pub(super) live: bool,
    /// The most entries of its pages.
    pub(super) entries_max: usize,
    /// Whether it knows delimiters.
    pub(super) rolls: bool,
    /// Whether a page that begins within a common prefix shows that once more.
    pub(super) repeats: bool,
}

/// Everything behind one bucket.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) here: BTreeMap<String, Local>,
    pub(super) index: BTreeSet<String>,
    pub(super) covers: Vec<String>,
    pub(super) upstreams: Vec<Upstream>,
    /// Keys that begin with this are seen through that upstream; the first one decides.
    pub(super) rules: Vec<(String, Option<usize>)>,
    /// Keys that begin with one of these are seen through none.
    pub(super) under_test: Vec<String>,
    /// Whether the rules never tell about a whole prefix.
    pub(super) coy: bool,
    pub(super) asks: Mutex<Vec<(usize, ListAsk)>>,
    /// What an upstream answers instead of its first pages, last one first.
    pub(super) instead: Mutex<Vec<Result<ListPage, upstream::Error>>>,
}

fn key_of(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

fn etag() -> ETag {
    ETag::parse("tag").expect("a tag")
}

pub(super) fn remote(key: &str) -> ListEntry {
    ListEntry::Object(Box::new(Remote {
        key: key_of(key),
        size_bytes: None,
        etag: etag(),
        modified: Timestamp::from_ms(0),
        metadata: Metadata::default(),
        md5: None,
        crc32c: None,
    }))
}

pub(super) fn listed(key: &str, local: Local) -> Listed {
    let (kind, origin) = match local {
        Local::Written => (ListedKind::Object, Origin::Written),
        Local::Cached => (ListedKind::Object, Origin::Cached),
        Local::Tombstone => (ListedKind::Tombstone, Origin::Written),
        Local::DeleteMarker => (ListedKind::DeleteMarker, Origin::Written),
    };
    Listed {
        key: key_of(key),
        kind,
        size_bytes: 1,
        etag: (kind == ListedKind::Object).then(etag),
        modified: Timestamp::from_ms(0),
        checksum: None,
        owner: Owner::anonymous(),
        generation: 1,
        origin,
    }
}

fn row_of_index(key: &str) -> InventoryRow {
    InventoryRow { key: key_of(key), size_bytes: 1, modified: None, etag: None, md5: None, crc32c: None }
}

/// The keys of a scan, as the store reads them.
fn scanned<'a>(scan: &Scan, keys: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    assert!(scan.limit > 0, "a scan of no rows cannot tell whether any follow");
    let behind = |key: &&String| match &scan.start {
        Start::At(start) => *key >= start,
        Start::After(start) => *key > start,
    };
    keys.filter(behind).filter(|key| key.starts_with(&scan.prefix)).take(scan.limit).collect()
}

impl World {
    fn rule(&self, key: &str) -> Option<usize> {
        if self.under_test.iter().any(|prefix| key.starts_with(prefix)) {
            return None;
        }
        self.rules.iter().find(|(prefix, _)| key.starts_with(prefix)).and_then(|(_, upstream)| *upstream)
    }

    /// A page as an upstream would give it.
    fn page(&self, upstream: usize, ask: &ListAsk) -> ListPage {
        let Upstream { keys, entries_max, rolls, repeats, .. } = &self.upstreams[upstream];
        let delimiter = ask.delimiter.as_ref().filter(|_| *rolls);
        let mut entries: Vec<(String, ListEntry)> = Vec::new();
        for key in keys.iter().filter(|key| key.starts_with(&ask.prefix) && **key > ask.start_after) {
            let rest = &key[ask.prefix.len()..];
            let rolled = delimiter.and_then(|delimiter| {
                rest.find(delimiter.as_str()).map(|at| &key[..ask.prefix.len() + at + delimiter.len()])
            });
            match rolled {
                None => entries.push((key.clone(), remote(key))),
                Some(rolled) if !*repeats && ask.start_after.starts_with(rolled) => {}
                Some(rolled) if entries.last().is_some_and(|(last, _)| last == rolled) => {}
                Some(rolled) => {
                    entries.push((rolled.to_owned(), ListEntry::CommonPrefix(rolled.to_owned())));
                }
            }
        }
        let room = (*entries_max).min(ask.keys_max).max(1 + usize::from(*repeats));
        let truncated = entries.len() > room;
        ListPage { entries: entries.into_iter().take(room).map(|(_, entry)| entry).collect(), truncated }
    }

    /// What is seen of a key, by the plain words of the contract.
    fn sees(&self, key: &str) -> Option<Seen> {
        let lists_any = self.rule(key).is_some();
        match self.here.get(key) {
            Some(Local::Written) => Some(Seen::Here),
            Some(Local::Tombstone | Local::DeleteMarker) => None,
            Some(Local::Cached) => lists_any.then_some(Seen::Here),
            None if self.index.contains(key) => lists_any.then_some(Seen::Elsewhere),
            None if self.covers.iter().any(|cover| key.starts_with(cover)) => None,
            None => {
                let upstream = &self.upstreams[self.rule(key)?];
                (upstream.live && upstream.keys.contains(key)).then_some(Seen::Elsewhere)
            }
        }
    }

    pub(super) fn seen(&self) -> BTreeMap<String, Seen> {
        let upstreams = self.upstreams.iter().flat_map(|upstream| &upstream.keys);
        let keys: BTreeSet<_> = self.here.keys().chain(&self.index).chain(upstreams).collect();
        keys.into_iter().filter_map(|key| self.sees(key).map(|seen| (key.clone(), seen))).collect()
    }

    /// The whole listing from the query's start on, and where each row comes from.
    pub(super) fn naive(&self, query: &ListQuery) -> Vec<Line> {
        let seen = self.seen();
        let entries = Table::of_keys(seen.keys().cloned()).naive(query);
        let line = |entry| match entry {
            Entry::Row(row) => {
                let tests::Line { key, .. } = row;
                (key.clone(), Some(seen[&key]))
            }
            Entry::CommonPrefix(prefix) => (prefix, None),
        };
        entries.into_iter().map(line).collect()
    }
}

/// A key and where it is, or a common prefix.
pub(super) type Line = (String, Option<Seen>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Here,
    Elsewhere,
}

impl Sources for &World {
    fn here(&self, scan: &Scan) -> Result<Vec<Listed>, store::Error> {
        assert!(scan.tombstones, "without its tombstones a merge shows what was deleted");
        let keys = scanned(scan, self.here.keys());
        Ok(keys.into_iter().map(|key| listed(key, self.here[key])).collect())
    }

    fn index(&self, scan: &Scan) -> Result<Vec<InventoryRow>, store::Error> {
        Ok(scanned(scan, self.index.iter()).into_iter().map(|key| row_of_index(key)).collect())
    }

    fn covers(&self) -> &[String] {
        &self.covers
    }

    fn live(&self) -> Vec<usize> {
        (0..self.upstreams.len()).filter(|&at| self.upstreams[at].live).collect()
    }

    fn begin(&self, upstream: usize, ask: ListAsk) -> JoinHandle<Result<Arc<ListPage>, upstream::Error>> {
        assert!(self.upstreams[upstream].live, "this one must not be asked");
        let covered = self.covers.iter().any(|cover| ask.prefix.starts_with(cover));
        assert!(!covered, "nothing is left to ask below {:?}", ask.prefix);
        assert!(self.below(&ask.prefix, upstream) != Below::Hidden, "nothing is seen below {:?}", ask.prefix);
        let instead = self.instead.lock().expect("no test panicked with it").pop();
        let answer = instead.unwrap_or_else(|| Ok(self.page(upstream, &ask)));
        self.asks.lock().expect("no test panicked with it").push((upstream, ask));
        tokio::spawn(async move { answer.map(Arc::new) })
    }

    fn name(&self, upstream: usize) -> String {
        format!("upstream {upstream}")
    }

    fn lists(&self, key: &str, upstream: Option<usize>) -> bool {
        self.rule(key).is_some_and(|rule| upstream.is_none_or(|upstream| upstream == rule))
    }

    fn below(&self, prefix: &str, upstream: usize) -> Below {
        let hidden = |under_test: &&String| prefix.starts_with(under_test.as_str());
        if self.coy {
            return Below::Mixed;
        }
        if self.under_test.iter().any(|under_test| hidden(&under_test)) {
            return Below::Hidden;
        }
        let reaches_in = |inner: &String| inner.starts_with(prefix);
        let rule = self.rules.iter().find(|(rule, _)| prefix.starts_with(rule.as_str()) || reaches_in(rule));
        match rule {
            None => Below::Hidden,
            Some((rule, _)) if !prefix.starts_with(rule.as_str()) => Below::Mixed,
            Some((_, other)) if *other != Some(upstream) => Below::Hidden,
            Some(_) if self.under_test.iter().any(reaches_in) => Below::Mixed,
            Some(_) => Below::Shown,
        }
    }
}
