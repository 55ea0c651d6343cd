//! Pages against a naive listing, and the price of a page.

mod merged;

use std::convert::Infallible;

use proptest::prelude::*;

use super::{Cursor, Entry, InvalidToken, ListQuery, Page, Row, Start, Window, page, successor};
use crate::model::{BucketName, Metadata, ObjectKey, Owner, Tags, UploadId, WriteConditions};
use crate::store::{Durability, NewBucket, NewUpload, Options, PutObject, Store};

/// A row of a test: a key, and for uploads an id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    key: String,
    id: Option<UploadId>,
}

impl Row for Line {
    fn key(&self) -> &str {
        &self.key
    }

    fn upload_id(&self) -> Option<&UploadId> {
        self.id.as_ref()
    }
}

/// Rows behind a scan, and how much was asked of them.
struct Table {
    lines: Vec<Line>,
    scans: usize,
    rows: usize,
}

impl Table {
    fn of_keys<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        keys.sort_unstable();
        keys.dedup();
        let lines = keys.into_iter().map(|key| Line { key, id: None }).collect();
        Self { lines, scans: 0, rows: 0 }
    }

    /// Uploads: of the same key in the order given, whatever their ids.
    fn of_uploads(mut uploads: Vec<(String, String)>) -> Self {
        uploads.sort_by(|(one, _), (other, _)| one.cmp(other));
        let line = |(key, id): (String, String)| Line { key, id: Some(id_of(&id)) };
        Self { lines: uploads.into_iter().map(line).collect(), scans: 0, rows: 0 }
    }

    fn scan(&mut self, window: &Window<'_>) -> Vec<Line> {
        assert!(window.limit > 0, "a scan of no rows cannot tell whether any follow");
        let begin = match &window.start {
            Start::At(key) => self.lines.partition_point(|line| line.key < *key),
            Start::After(key) => self.lines.partition_point(|line| line.key <= *key),
            Start::AfterUpload(key, id) => {
                let is_it = |line: &Line| line.key == *key && line.id.as_ref() == Some(id);
                match self.lines.iter().position(is_it) {
                    Some(at) => at + 1,
                    None => self.lines.partition_point(|line| line.key <= *key),
                }
            }
        };
        let lines = self.lines[begin..].iter().skip_while(|line| line.key.as_str() < window.prefix);
        let found: Vec<_> = lines
            .take_while(|line| line.key.starts_with(window.prefix))
            .take(window.limit)
            .cloned()
            .collect();
        self.scans += 1;
        self.rows += found.len();
        found
    }

    fn page(&mut self, query: &ListQuery) -> Page<Line> {
        match now(page(query, |window| Ok::<_, Infallible>(self.scan(window)))) {
            Ok(page) => page,
            Err(never) => match never {},
        }
    }

    /// All pages, each begun where `go_on` says that the page before it ended.
    fn pages(&mut self, query: &ListQuery, go_on: impl Fn(&Cursor) -> Cursor) -> Vec<Entry<Line>> {
        let mut query = query.clone();
        let mut entries = Vec::new();
        loop {
            let page = self.page(&query);
            assert!(page.entries.len() <= query.keys_max);
            assert!(
                !page.truncated() || page.entries.len() == query.keys_max,
                "a short page is the last one"
            );
            entries.extend(page.entries);
            match page.next {
                None => return entries,
                Some(next) => query.start = Some(go_on(&next)),
            }
        }
    }

    /// What all pages together must be, by the plain reading of AWS's words.
    fn naive(&self, query: &ListQuery) -> Vec<Entry<Line>> {
        let mut entries: Vec<Entry<Line>> = Vec::new();
        for (at, line) in self.lines.iter().enumerate() {
            let Some(rest) = line.key.strip_prefix(&query.prefix) else { continue };
            let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
            let common = delimiter
                .and_then(|delimiter| rest.split_once(delimiter).map(|(head, _)| (head, delimiter)))
                .map(|(head, delimiter)| format!("{}{head}{delimiter}", query.prefix));
            if !self.is_behind(at, common.as_deref(), query.start.as_ref()) {
                continue;
            }
            let entry = common.map_or_else(|| Entry::Row(line.clone()), Entry::CommonPrefix);
            if matches!(entry, Entry::Row(_)) || !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        entries
    }

    fn is_behind(&self, at: usize, common: Option<&str>, start: Option<&Cursor>) -> bool {
        let line = &self.lines[at];
        let skipped_with = |marker: &str| common.is_some_and(|common| marker.starts_with(common));
        match start {
            None => true,
            Some(Cursor::AfterPrefix(prefix)) => line.key > *prefix && !line.key.starts_with(prefix),
            Some(Cursor::AfterKey(marker)) => line.key > *marker && !skipped_with(marker),
            Some(Cursor::AfterUpload(marker, id)) => {
                let is_it = |line: &Line| line.key == *marker && line.id.as_ref() == Some(id);
                let behind_it = self.lines.iter().position(is_it).is_some_and(|position| at > position);
                (line.key > *marker || (line.key == *marker && behind_it)) && !skipped_with(marker)
            }
        }
    }
}

fn id_of(text: &str) -> UploadId {
    UploadId::parse(text).expect("the tests' ids are valid")
}

fn query(prefix: &str, delimiter: &str, keys_max: usize) -> ListQuery {
    ListQuery { prefix: prefix.to_owned(), delimiter: Some(delimiter.to_owned()), start: None, keys_max }
}

/// `key` for a row, `prefix>` for a common prefix.
fn shown(entries: &[Entry<Line>]) -> Vec<String> {
    entries.iter().map(text_of).collect()
}

#[test]
fn listings_roll_up_behind_the_prefix() {
    let keys = ["a", "a/1", "a/2", "b/x/1", "b/x/2", "b/y", "c", "é/1"];
    for (prefix, delimiter, expected) in [
        ("", "/", &["a", "a/>", "b/>", "c", "é/>"][..]),
        ("", "", &["a", "a/1", "a/2", "b/x/1", "b/x/2", "b/y", "c", "é/1"]),
        ("a", "/", &["a", "a/>"]),
        ("a/", "/", &["a/1", "a/2"]),
        ("b/", "/", &["b/x/>", "b/y"]),
        ("b/", "x/", &["b/x/>", "b/y"]),
        ("b", "/x/", &["b/x/>", "b/y"]),
        ("", "é", &["a", "a/1", "a/2", "b/x/1", "b/x/2", "b/y", "c", "é>"]),
        ("zz", "/", &[]),
    ] {
        let page = Table::of_keys(keys).page(&query(prefix, delimiter, 100));
        assert_eq!(shown(&page.entries), expected, "prefix {prefix:?}, delimiter {delimiter:?}");
        assert!(!page.truncated());
    }
}

#[test]
fn a_marker_that_is_or_lies_below_a_common_prefix_skips_all_of_it() {
    let keys = ["a/1", "a/2", "a0", "b/1"];
    for (marker, expected) in [
        ("a", &["a/>", "a0", "b/>"][..]),
        ("a/", &["a0", "b/>"]),
        ("a/1", &["a0", "b/>"]),
        ("a/9", &["a0", "b/>"]),
        ("a0", &["b/>"]),
        ("b/", &[]),
    ] {
        let start = Some(Cursor::AfterKey(marker.to_owned()));
        let page = Table::of_keys(keys).page(&ListQuery { start, ..query("", "/", 100) });
        assert_eq!(shown(&page.entries), expected, "marker {marker:?}");
    }
}

#[test]
fn a_marker_before_the_prefix_excludes_nothing_and_one_behind_it_everything() {
    for (marker, expected) in [("a", 2), ("p/", 2), ("p/1", 1), ("q", 0), ("p/\u{10FFFF}", 0)] {
        let query = ListQuery {
            prefix: "p/".to_owned(),
            start: Some(Cursor::AfterKey(marker.to_owned())),
            keys_max: 10,
            ..ListQuery::default()
        };
        let mut table = Table::of_keys(["o", "p/1", "p/2", "q/1", "r"]);
        assert_eq!(table.page(&query).entries.len(), expected, "marker {marker:?}");
    }
}

#[test]
fn a_page_without_room_is_empty_and_not_truncated() {
    let mut table = Table::of_keys(["a", "b"]);
    let page = table.page(&query("", "/", 0));
    assert!(page.entries.is_empty() && !page.truncated());
    assert_eq!(table.scans, 0);
}

#[test]
fn a_page_that_ends_with_the_listing_is_not_truncated() {
    for keys in [&["a", "b"][..], &["a", "b/1", "b/2"]] {
        assert!(!Table::of_keys(keys.iter().copied()).page(&query("", "/", 2)).truncated(), "{keys:?}");
    }
}

#[test]
fn the_cost_of_a_listing_follows_the_page_and_not_the_bucket() {
    let tree = |folders: usize, files: usize| {
        Table::of_keys(
            (0..folders).flat_map(|folder| (0..files).map(move |file| format!("{folder:04}/{file:04}"))),
        )
    };
    for (folders, files, keys_max) in
        [(100, 1000, 1000), (1000, 100, 10), (1000, 2, 1000), (2000, 1, 1000), (40, 9, 25)]
    {
        let mut table = tree(folders, files);
        let page = table.page(&query("", "/", keys_max));
        let entries = page.entries.len();
        assert_eq!(entries, folders.min(keys_max));
        assert!(table.rows <= 12 * (entries + 1), "{folders} x {files}: {} rows for {entries}", table.rows);
        assert!(table.scans <= entries + 2, "{folders} x {files}: {} scans for {entries}", table.scans);
    }
}

#[test]
fn a_listing_without_roll_up_takes_one_scan() {
    let mut table = Table::of_keys((0..5000).map(|number| format!("{number:05}")));
    let query = ListQuery { keys_max: 1000, ..ListQuery::default() };
    assert!(table.page(&query).truncated());
    assert_eq!((table.scans, table.rows), (1, 1001));
}

#[test]
fn a_folder_of_many_files_takes_few_scans() {
    let mut table = Table::of_keys((0..5000).map(|number| format!("{number:05}")));
    assert!(table.page(&query("", "/", 1000)).truncated());
    assert!(table.scans <= 5 && table.rows <= 1001, "{} scans, {} rows", table.scans, table.rows);
}

/// The outcome of work that only lets others run.
fn now<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(outcome) = work.as_mut().poll(&mut context) {
            return outcome;
        }
    }
}

#[test]
fn an_error_of_the_scan_ends_the_listing() {
    let failed = now(page::<Line, _>(&query("", "/", 10), |_| Err("broken")));
    assert_eq!(failed, Err("broken"));
}

#[test]
fn successors_are_the_next_text_in_utf8_order() {
    for (prefix, expected) in [
        ("a", Some("b")),
        ("a/", Some("a0")),
        ("\0", Some("\u{1}")),
        ("\u{7f}", Some("\u{80}")),
        // The surrogates are no characters.
        ("\u{D7FF}", Some("\u{E000}")),
        ("\u{FFFF}", Some("\u{10000}")),
        ("a\u{10FFFF}", Some("b")),
        ("a\u{10FFFF}\u{10FFFF}", Some("b")),
        ("\u{10FFFF}", None),
        ("", None),
    ] {
        assert_eq!(successor(prefix).as_deref(), expected, "{prefix:?}");
    }
}

#[test]
fn tokens_that_were_not_made_here_are_refused() {
    let utf8 = Cursor::AfterKey("k".to_owned()).token();
    assert_eq!(Cursor::parse_token(&utf8), Ok(Cursor::AfterKey("k".to_owned())));
    // Empty, not base64url, padded, without a kind, another version, an unknown kind, not UTF-8, an
    // upload without its end, an upload with an invalid id.
    for token in ["", "?", "AWs=", "AQ", "Amtr", "AXhr", "AWv_", "AXVr", "AXUgAGs"] {
        assert_eq!(Cursor::parse_token(token), Err(InvalidToken), "{token:?}");
    }
}

/// Few letters, so that keys collide; the ends of UTF-8's ranges, so that order is put to the test.
fn text(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = String> {
    let letters = proptest::sample::select(vec![
        'a',
        'b',
        '/',
        '-',
        '0',
        '\0',
        '\u{7f}',
        'é',
        '\u{D7FF}',
        '\u{E000}',
        '\u{FFFF}',
        '\u{10FFFF}',
        '😀',
    ]);
    proptest::collection::vec(letters, length).prop_map(String::from_iter)
}

fn listing() -> impl Strategy<Value = ListQuery> {
    let start = proptest::option::of(prop_oneof![
        text(0..5).prop_map(Cursor::AfterKey),
        text(1..4).prop_map(Cursor::AfterPrefix),
    ]);
    (text(0..3), proptest::option::of(text(0..3)), start, 1_usize..7)
        .prop_map(|(prefix, delimiter, start, keys_max)| ListQuery { prefix, delimiter, start, keys_max })
}

fn through_token(cursor: &Cursor) -> Cursor {
    Cursor::parse_token(&cursor.token()).expect("a token that was made here is read")
}

proptest! {
    #[test]
    fn pages_by_token_together_are_the_naive_listing(
        keys in proptest::collection::vec(text(1..6), 0..60),
        query in listing(),
    ) {
        let mut table = Table::of_keys(keys);
        let expected = table.naive(&query);
        prop_assert_eq!(table.pages(&query, through_token), expected);
    }

    #[test]
    fn pages_by_marker_together_are_the_naive_listing(
        keys in proptest::collection::vec(text(1..6), 0..60),
        query in listing(),
    ) {
        let mut table = Table::of_keys(keys);
        let expected = table.naive(&query);
        let by_marker = |next: &Cursor| Cursor::AfterKey(next.key().to_owned());
        prop_assert_eq!(table.pages(&query, by_marker), expected);
    }

    #[test]
    fn pages_of_uploads_together_are_the_naive_listing(
        uploads in proptest::collection::vec((text(1..4), "[a-z]{6}"), 0..60),
        query in listing(),
    ) {
        let mut table = Table::of_uploads(uploads);
        let expected = table.naive(&query);
        prop_assert_eq!(table.pages(&query, through_token), expected);
    }

    #[test]
    fn nothing_lies_between_a_prefix_and_its_successor(prefix in text(1..4), rest in text(0..4)) {
        let below = format!("{prefix}{rest}");
        match successor(&prefix) {
            Some(next) => prop_assert!(below < next && !next.starts_with(&prefix)),
            None => prop_assert!(prefix.chars().all(|letter| letter == char::MAX)),
        }
    }

    #[test]
    fn reading_a_token_never_panics(token in "[A-Za-z0-9_-]{0,20}") {
        if let Ok(cursor) = Cursor::parse_token(&token) {
            prop_assert_eq!(Cursor::parse_token(&cursor.token()), Ok(cursor));
        }
    }
}

#[tokio::test]
async fn a_store_is_listed_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = Options { durability: Durability::Ephemeral, ..Options::new(folder.path()) };
    let store = Store::open(options).expect("a new store opens");
    let (name, owner) = (BucketName::parse("releases").expect("a name"), Owner::anonymous());
    let new = NewBucket { name: name.clone(), region: "us-east-1".to_owned(), owner: owner.clone() };
    store.create_bucket(new).await.expect("a new name");
    let key = |text: &str| ObjectKey::parse(text).expect("a key");
    let upload = |text| NewUpload {
        bucket: name.clone(),
        key: key(text),
        metadata: Metadata::default(),
        tags: Tags::default(),
        owner: owner.clone(),
        checksum: None,
        session: None,
    };
    for text in ["a", "b/1", "b/2", "c", "c", "d/\u{10FFFF}"] {
        let put = PutObject {
            bucket: name.clone(),
            key: key(text),
            staged: store.stage(&[], Some(0)).finish().await.expect("no bytes need no room"),
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: owner.clone(),
            checksum: None,
            conditions: WriteConditions::default(),
        };
        store.put_object(put).await.expect("nothing is in its way");
        store.create_upload(upload(text)).await.expect("nothing is in its way");
    }
    let mut objects = query("", "/", 1);
    let mut uploads = query("", "/", 1);
    let (mut listed, mut begun) = (Vec::new(), Vec::new());
    loop {
        let page = page(&objects, |window| store.scan_objects(&name, &window.objects()))
            .await
            .expect("the index answers");
        listed.extend(page.entries.iter().map(text_of));
        let Some(next) = page.next else { break };
        objects.start = Some(through_token(&next));
    }
    loop {
        let page = page(&uploads, |window| store.scan_uploads(&name, &window.uploads()))
            .await
            .expect("the index answers");
        begun.extend(page.entries.iter().map(text_of));
        let Some(next) = page.next else { break };
        uploads.start = Some(next);
    }
    assert_eq!(listed, ["a", "b/>", "c", "d/>"]);
    assert_eq!(begun, ["a", "b/>", "c", "c", "d/>"]);
}

fn text_of<R: Row>(entry: &Entry<R>) -> String {
    match entry {
        Entry::Row(row) => row.key().to_owned(),
        Entry::CommonPrefix(prefix) => format!("{prefix}>"),
    }
}
