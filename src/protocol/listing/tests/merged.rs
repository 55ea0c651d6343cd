//! Merged listings against a naive merge, over sources in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::task::JoinHandle;

use super::{Table, query, through_token};
use crate::fallback::Below;
use crate::model::{ETag, Metadata, ObjectKey, Owner, Timestamp};
use crate::protocol::listing::merged::page_of;
use crate::protocol::listing::{Cursor, Entry, ListQuery, Page};
use crate::store::{self, InventoryRow, Listed, ListedKind, Origin, Scan, Start};
use crate::upstream::{self, ListAsk, ListEntry, ListPage, Remote};
use crate::view::{self, Listing, Row, Sources};

/// What is under a key here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    Written,
    Cached,
    Tombstone,
    DeleteMarker,
}

/// Keys of one upstream, and its manners.
#[derive(Debug, Clone)]
struct Upstream {
    keys: BTreeSet<String>,
    /// Whether it is asked; otherwise only the index speaks for it.
    live: bool,
    /// The most entries of its pages.
    entries_max: usize,
    /// Whether it knows delimiters.
    rolls: bool,
    /// Whether a page that begins within a common prefix shows that once more.
    repeats: bool,
}

/// Everything behind one bucket.
#[derive(Debug, Default)]
struct World {
    here: BTreeMap<String, Local>,
    index: BTreeSet<String>,
    covers: Vec<String>,
    upstreams: Vec<Upstream>,
    /// Keys that begin with this are seen through that upstream; the first one decides.
    rules: Vec<(String, Option<usize>)>,
    /// Keys that begin with one of these are seen through none.
    under_test: Vec<String>,
    /// Whether the rules never tell about a whole prefix.
    coy: bool,
    asks: Mutex<Vec<(usize, ListAsk)>>,
    /// What an upstream answers instead of its first pages, last one first.
    instead: Mutex<Vec<Result<ListPage, upstream::Error>>>,
}

fn key_of(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

fn etag() -> ETag {
    ETag::parse("tag").expect("a tag")
}

fn remote(key: &str) -> ListEntry {
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

fn listed(key: &str, local: Local) -> Listed {
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

    fn seen(&self) -> BTreeMap<String, Seen> {
        let upstreams = self.upstreams.iter().flat_map(|upstream| &upstream.keys);
        let keys: BTreeSet<_> = self.here.keys().chain(&self.index).chain(upstreams).collect();
        keys.into_iter().filter_map(|key| self.sees(key).map(|seen| (key.clone(), seen))).collect()
    }

    /// The whole listing from the query's start on, and where each row comes from.
    fn naive(&self, query: &ListQuery) -> Vec<Line> {
        let seen = self.seen();
        let entries = Table::of_keys(seen.keys().cloned()).naive(query);
        let line = |entry| match entry {
            Entry::Row(row) => {
                let super::Line { key, .. } = row;
                (key.clone(), Some(seen[&key]))
            }
            Entry::CommonPrefix(prefix) => (prefix, None),
        };
        entries.into_iter().map(line).collect()
    }
}

/// A key and where it is, or a common prefix.
type Line = (String, Option<Seen>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
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

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// A page; `flat` leaves the roll-up to us, as a face must that filters keys.
fn page(world: &World, query: &ListQuery, flat: bool) -> Result<Page<Row>, view::Error> {
    let delimiter = query.delimiter.as_deref().filter(|_| !flat);
    let mut listing = Listing::new(world, delimiter, query.keys_max);
    run(page_of(&mut listing, query))
}

fn lines(page: &Page<Row>) -> Vec<Line> {
    let line = |entry: &Entry<Row>| match entry {
        Entry::Row(row @ Row::Here(_)) => (row.key().to_owned(), Some(Seen::Here)),
        Entry::Row(row @ Row::Upstream(_)) => (row.key().to_owned(), Some(Seen::Elsewhere)),
        Entry::Row(Row::Rolled(prefix)) => panic!("{prefix} was not rolled up"),
        Entry::CommonPrefix(prefix) => (prefix.clone(), None),
    };
    page.entries.iter().map(line).collect()
}

/// Few letters, so that keys share prefixes; the ends of UTF-8's ranges, so that order is put to the
/// test.
fn text(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = String> {
    let letters = "aaab//é-0\0\u{D7FF}\u{E000}\u{10FFFF}😀".chars().collect::<Vec<_>>();
    proptest::collection::vec(proptest::sample::select(letters), length).prop_map(String::from_iter)
}

fn local() -> impl Strategy<Value = Local> {
    prop_oneof![
        3 => Just(Local::Written),
        2 => Just(Local::Cached),
        3 => Just(Local::Tombstone),
        1 => Just(Local::DeleteMarker),
    ]
}

const UPSTREAMS: usize = 3;

fn world() -> impl Strategy<Value = World> {
    let of_key = (
        option::weighted(0.4, local()),
        proptest::bool::weighted(0.2),
        [proptest::bool::weighted(0.5); UPSTREAMS],
    );
    let manners = (proptest::bool::weighted(0.8), 1_usize..6, proptest::bool::weighted(0.8), any::<bool>());
    let rules = proptest::collection::vec((text(0..3), option::weighted(0.8, 0..UPSTREAMS)), 0..5);
    let few = || proptest::collection::vec(text(1..4), 0..3);
    (
        proptest::collection::btree_map(text(1..7), of_key, 0..40),
        proptest::collection::vec(manners, UPSTREAMS),
        rules,
        option::weighted(0.8, 0..UPSTREAMS),
        (few(), proptest::collection::vec(text(0..3), 0..2)),
        any::<bool>(),
    )
        .prop_map(|(keys, manners, mut rules, last, (under_test, covers), coy)| {
            rules.push((String::new(), last));
            let upstream = |(at, (live, entries_max, rolls, repeats)): (usize, (bool, usize, bool, bool))| {
                let has =
                    |(key, (_, _, in_upstreams)): (&String, &(Option<Local>, bool, [bool; UPSTREAMS]))| {
                        in_upstreams[at].then(|| key.clone())
                    };
                Upstream { keys: keys.iter().filter_map(has).collect(), live, entries_max, rolls, repeats }
            };
            World {
                upstreams: manners.into_iter().enumerate().map(upstream).collect(),
                here: keys
                    .iter()
                    .filter_map(|(key, (local, ..))| local.map(|local| (key.clone(), local)))
                    .collect(),
                index: keys
                    .iter()
                    .filter(|(_, (_, indexed, _))| *indexed)
                    .map(|(key, _)| key.clone())
                    .collect(),
                rules,
                under_test,
                covers,
                coy,
                ..World::default()
            }
        })
}

fn listing() -> impl Strategy<Value = ListQuery> {
    let start = option::weighted(
        0.3,
        prop_oneof![text(0..5).prop_map(Cursor::AfterKey), text(1..4).prop_map(Cursor::AfterPrefix)],
    );
    let delimiter = prop_oneof![
        2 => Just(None),
        4 => Just(Some("/".to_owned())),
        1 => Just(Some("é".to_owned())),
        1 => Just(Some("a/".to_owned())),
        2 => text(0..4).prop_map(Some),
    ];
    let prefix = prop_oneof![2 => Just(String::new()), 1 => text(1..3)];
    (prefix, delimiter, start, 1_usize..9).prop_map(|(prefix, delimiter, start, keys_max)| ListQuery {
        prefix,
        delimiter,
        start,
        keys_max,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn merged_pages_together_are_the_naive_merge(world in world(), mut query in listing(), flat: bool) {
        let expected = world.naive(&query);
        let mut found = Vec::new();
        loop {
            let page = page(&world, &query, flat).expect("the upstreams behave");
            prop_assert!(!page.truncated() || page.entries.len() == query.keys_max, "a short page is the last");
            found.extend(lines(&page));
            let Some(next) = page.next else { break };
            query.start = Some(through_token(&next));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn each_merged_page_is_the_naive_merge_as_it_is_by_then(
        mut world in world(),
        mut query in listing(),
        writes in proptest::collection::vec(
            proptest::collection::vec((any::<Index>(), text(1..7), option::of(local())), 0..6),
            1..6,
        ),
    ) {
        for changes in writes.iter().cycle() {
            let mut expected = world.naive(&query);
            let truncated = expected.len() > query.keys_max;
            expected.truncate(query.keys_max);
            let page = page(&world, &query, false).expect("the upstreams behave");
            prop_assert_eq!(lines(&page), expected);
            prop_assert_eq!(page.truncated(), truncated);
            let Some(next) = page.next else { break };
            query.start = Some(through_token(&next));
            for (index, new, local) in changes {
                // Mostly a key that is there, so that writes land before and behind the page's end.
                let seen: Vec<_> = world.seen().into_keys().collect();
                let key = if seen.is_empty() || new.len() == 1 { new } else { index.get(&seen) };
                match local {
                    Some(local) => world.here.insert(key.clone(), *local),
                    None => world.here.remove(key),
                };
            }
        }
    }
}

/// An upstream that is asked and seen, with pages of `entries_max`.
fn upstream_of<'a>(keys: impl IntoIterator<Item = &'a str>, entries_max: usize) -> Upstream {
    let keys = keys.into_iter().map(str::to_owned).collect();
    Upstream { keys, live: true, entries_max, rolls: true, repeats: false }
}

fn world_of(upstream: Upstream) -> World {
    World { upstreams: vec![upstream], rules: vec![(String::new(), Some(0))], ..World::default() }
}

fn asks(world: &World) -> Vec<ListAsk> {
    let asks = world.asks.lock().expect("no test panicked with it");
    asks.iter().map(|(_, ask)| ask.clone()).collect()
}

#[test]
fn what_is_here_goes_before_what_upstream_has_and_tombstones_hide_it() {
    let mut world = world_of(upstream_of(["a", "b", "c", "d"], 2));
    for (key, local) in
        [("b", Local::Tombstone), ("c", Local::Written), ("d", Local::DeleteMarker), ("e", Local::Cached)]
    {
        world.here.insert(key.to_owned(), local);
    }
    let page = page(&world, &query("", "/", 10), false).expect("it answers");
    let (here, elsewhere) = (Some(Seen::Here), Some(Seen::Elsewhere));
    let expected = [("a", elsewhere), ("c", here), ("e", here)].map(|(key, seen)| (key.to_owned(), seen));
    assert_eq!(lines(&page), expected);
}

#[test]
fn a_page_of_upstream_is_asked_for_with_the_size_of_the_clients_and_one_is_fetched_ahead() {
    let keys: Vec<_> = (0..5000).map(|number| format!("{number:05}")).collect();
    let world = world_of(upstream_of(keys.iter().map(String::as_str), 1000));
    let mut wanted = ListQuery { keys_max: 1000, ..ListQuery::default() };
    let first = page(&world, &wanted, false).expect("it answers");
    assert!(first.truncated());
    wanted.start = first.next;
    page(&world, &wanted, false).expect("it answers");
    let starts: Vec<_> = asks(&world).into_iter().map(|ask| (ask.start_after, ask.keys_max)).collect();
    // The second page of the client begins where the page that was fetched ahead did: one request.
    let expected = [("", 1000), ("00999", 1000), ("00999", 1000), ("01999", 1000)];
    assert_eq!(starts, expected.map(|(start, size)| (start.to_owned(), size)));
}

#[test]
fn a_small_page_asks_for_a_small_page() {
    let keys: Vec<_> = (0..500).map(|number| format!("{number:05}")).collect();
    let world = world_of(upstream_of(keys.iter().map(String::as_str), 1000));
    page(&world, &query("", "", 50), false).expect("it answers");
    assert_eq!(asks(&world).iter().map(|ask| ask.keys_max).collect::<Vec<_>>(), [51]);
}

#[test]
fn upstreams_prefixes_are_taken_at_their_word_where_the_rules_show_all_of_them() {
    let mut world = world_of(upstream_of(["a/1", "b/1", "c/1", "d/1"], 1000));
    world.here.insert("b/2".to_owned(), Local::Written);
    world.here.insert("c/1".to_owned(), Local::Tombstone);
    world.under_test.push("d/".to_owned());
    let page = page(&world, &query("", "/", 10), false).expect("it answers");
    assert_eq!(lines(&page), [("a/".to_owned(), None), ("b/".to_owned(), None)]);
    // Only where a tombstone is below a prefix and nothing else, somebody must look.
    let looked: Vec<_> = asks(&world).into_iter().map(|ask| (ask.prefix, ask.delimiter)).collect();
    assert_eq!(looked, [(String::new(), Some("/".to_owned())), ("c/".to_owned(), None)]);
}

#[test]
fn below_a_covered_prefix_upstream_is_not_asked() {
    let mut world = world_of(upstream_of(["a/1", "a/2", "b/1"], 1000));
    world.covers.push("a/".to_owned());
    world.index.insert("a/2".to_owned());
    let page = page(&world, &query("a/", "/", 10), false).expect("it answers");
    assert_eq!(lines(&page), [("a/2".to_owned(), Some(Seen::Elsewhere))]);
    assert!(asks(&world).is_empty());
}

#[test]
fn an_upstream_that_fails_in_the_middle_fails_the_page() {
    let world = world_of(upstream_of(["a", "b", "c", "d"], 2));
    let failed = upstream::Error::TimedOut { upstream: "production".to_owned() };
    let first = ListPage { entries: vec![remote("a"), remote("b")], truncated: true };
    *world.instead.lock().expect("nobody else has it") = vec![Err(failed), Ok(first)];
    let failed = page(&world, &query("", "", 10), false).expect_err("a shorter listing would be a lie");
    assert!(matches!(failed, view::Error::Upstream(upstream::Error::TimedOut { .. })), "{failed}");
}

#[test]
fn an_upstream_whose_order_is_another_one_fails_the_page() {
    let prefix = |text: &str| ListEntry::CommonPrefix(text.to_owned());
    for (entries, truncated, problem) in [
        (vec![remote("b"), remote("a")], false, "order"),
        (vec![remote("b"), remote("b")], false, "order"),
        (vec![remote("\u{10000}"), remote("\u{E000}")], false, "order"),
        (vec![prefix("b/"), remote("b")], false, "order"),
        (vec![prefix("b")], false, "common prefix"),
        (vec![], true, "lists nothing"),
    ] {
        let world = world_of(upstream_of([], 2));
        *world.instead.lock().expect("nobody else has it") = vec![Ok(ListPage { entries, truncated })];
        let failed = page(&world, &query("", "/", 10), false).expect_err(problem).to_string();
        assert!(failed.starts_with("upstream 0 ") && failed.contains(problem), "{failed}");
    }
    let world = world_of(upstream_of([], 2));
    *world.instead.lock().expect("nobody else has it") =
        vec![Ok(ListPage { entries: vec![remote("q")], truncated: false })];
    let failed = page(&world, &query("p", "/", 10), false).expect_err("not what was asked for");
    assert!(failed.to_string().contains("begins with"), "{failed}");
}
