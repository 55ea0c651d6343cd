//! The imported index: what it says exists, what it says does not, and crawls that are gone on with.

use proptest::prelude::*;

use super::*;
use crate::store::fsck::{self, Check, Finding};

fn row(name: &str, size_bytes: u64) -> InventoryRow {
    InventoryRow { key: key(name), size_bytes, modified: None, etag: None, md5: None, crc32c: None }
}

fn rows(names: &[&str]) -> Vec<InventoryRow> {
    names.iter().map(|name| row(name, 1)).collect()
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn elsewhere() -> BucketName {
    BucketName::parse("elsewhere").expect("a valid name")
}

impl Fixture {
    async fn import(&self, names: &[&str]) {
        self.store.add_inventory(&bucket(), rows(names)).await.expect("added");
    }

    async fn cover(&self, prefix: &str, taken: i64) {
        let taken = Timestamp::from_seconds(taken);
        self.store.cover_inventory(&bucket(), prefix.to_owned(), taken).await.expect("noted");
    }

    async fn forget(&self, prefix: &str) -> u64 {
        self.store.drop_inventory(&bucket(), prefix.to_owned()).await.expect("dropped")
    }

    fn known(&self, name: &str) -> Known {
        self.store.find_inventory(&bucket(), &key(name)).expect("the index answers")
    }

    fn imported(&self, scan: &Scan) -> Vec<String> {
        let found = self.store.scan_inventory(&bucket(), scan).expect("the index answers");
        found.into_iter().map(|row| row.key.as_str().to_owned()).collect()
    }

    fn covers(&self) -> (Vec<(String, i64)>, u64) {
        let (covers, rows) = self.store.inventory_covers(&bucket()).expect("the index answers");
        (covers.into_iter().map(|(prefix, taken)| (prefix, taken.as_seconds())).collect(), rows)
    }

    async fn crawl(&self, prefix: &str, names: &[&str], done: &[&str], found: &[&str]) -> Crawl {
        let (done, found) = (texts(done), texts(found));
        let (bucket, prefix) = (bucket(), prefix.to_owned());
        let kept = self.store.keep_crawl(&bucket, prefix, rows(names), done, found).await;
        kept.expect("kept")
    }

    fn find_crawl(&self, prefix: &str) -> Option<Crawl> {
        self.store.find_crawl(&bucket(), prefix).expect("the index answers")
    }

    /// How many rows the tables of imported indexes have.
    fn inventory_rows(&self) -> i64 {
        let sql = "SELECT (SELECT count(*) FROM inventory) + (SELECT count(*) FROM inventory_row)
                        + (SELECT count(*) FROM inventory_cover) + (SELECT count(*) FROM crawl)
                        + (SELECT count(*) FROM crawl_folder)";
        let count = |connection: &rusqlite::Connection| Ok(connection.query_row(sql, [], |row| row.get(0))?);
        self.store.0.shared.readers.read(count).expect("the index answers")
    }
}

#[tokio::test]
async fn a_row_comes_back_as_it_was_imported_and_is_replaced_by_a_later_one() {
    let fixture = Fixture::new().await;
    let full = InventoryRow {
        modified: Some(Timestamp::from_ms(1_234_567)),
        etag: Some(ETag::parse("abc-7").expect("a tag")),
        md5: Some([7; 16]),
        crc32c: Some(u32::MAX),
        ..row("a/full", 1 << 40)
    };
    let bare = row("a/bare", 0);
    fixture.store.add_inventory(&bucket(), vec![full.clone(), bare.clone()]).await.expect("added");
    assert_eq!(fixture.known("a/full"), Known::Here(full.clone()));
    assert_eq!(fixture.known("a/bare"), Known::Here(bare.clone()));
    let replaced = vec![row("a/full", 1), InventoryRow { size_bytes: 5, ..full.clone() }];
    fixture.store.add_inventory(&bucket(), replaced).await.expect("added");
    let last = InventoryRow { size_bytes: 5, ..full };
    let scanned = fixture.store.scan_inventory(&bucket(), &scan_all()).expect("an answer");
    assert_eq!(scanned, [bare, last], "the last one given, in the order of the keys");
    assert_eq!(fixture.covers(), (vec![], 2), "each key counts once");
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.covers().1, 2);
}

#[tokio::test]
async fn what_is_not_there_is_absent_exactly_where_everything_is_known() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.known("a"), Known::Unknown, "without an index");
    assert_eq!(fixture.imported(&scan_all()), texts(&[]));
    assert_eq!((fixture.covers(), fixture.forget("").await), ((vec![], 0), 0));
    fixture.import(&["pub/a/1", "pub/c/1", "x"]).await;
    assert_eq!(fixture.known("pub/a/2"), Known::Unknown);
    fixture.cover("pub/a/", 10).await;
    fixture.cover("pub/c/", 20).await;
    fixture.cover("pub/b", 30).await;
    for (name, absent) in [
        ("pub/a/2", true),
        ("pub/a/", true),
        ("pub/a", false),
        ("pub/aa", false),
        ("pub/b", true),
        ("pub/bz/deep/down", true),
        ("pub/c/\u{10ffff}", true),
        ("pub/c0", false),
        ("a", false),
        ("z", false),
    ] {
        let expected = if absent { Known::Absent } else { Known::Unknown };
        assert_eq!(fixture.known(name), expected, "{name}");
    }
    assert!(matches!(fixture.known("x"), Known::Here(_)), "known without being covered");
    fixture.cover("", 25).await;
    assert_eq!(fixture.known("z"), Known::Absent);
    let later = [(String::new(), 25), ("pub/b".to_owned(), 30)].to_vec();
    assert_eq!(fixture.covers(), (later, 3), "what is wider and later says it all");
}

proptest! {
    #[test]
    fn a_key_is_covered_where_it_begins_with_any_cover(
        covers in prop::collection::vec("[ab/]{0,4}", 0..8),
        keys in prop::collection::vec("[ab/]{1,5}", 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            for (taken, prefix) in (0..).zip(&covers) {
                // Each earlier than the one before, so that a wider one never takes the others' place.
                fixture.cover(prefix, 100 - taken).await;
            }
            for name in &keys {
                let covered = covers.iter().any(|prefix| name.starts_with(prefix));
                let expected = if covered { Known::Absent } else { Known::Unknown };
                assert_eq!(fixture.known(name), expected, "{name} {covers:?}");
            }
        });
    }
}

#[tokio::test]
async fn rows_are_scanned_in_the_order_of_their_keys_from_anywhere() {
    let fixture = Fixture::new().await;
    fixture.import(&["b", "a/2", "é", "a/1", "a\u{0}", "a", "\u{10ffff}"]).await;
    let scan = |start, prefix: &str, limit| {
        fixture.imported(&Scan { start, prefix: prefix.to_owned(), limit, tombstones: true })
    };
    let at = |text: &str| Start::At(text.to_owned());
    let after = |text: &str| Start::After(text.to_owned());
    let all = ["a", "a\u{0}", "a/1", "a/2", "b", "é", "\u{10ffff}"];
    assert_eq!(scan(at(""), "", usize::MAX), all);
    assert_eq!(scan(at(""), "", 3), all[..3]);
    assert_eq!(scan(after("a"), "", 2), all[1..3]);
    assert_eq!(scan(at("a/2"), "a", 9), all[3..4]);
    assert_eq!(scan(after("a/"), "a/", 9), all[2..4]);
    assert_eq!(scan(after("c"), "a", 9), texts(&[]));
    assert_eq!(scan(at(""), "", 0), texts(&[]));
}

#[tokio::test]
async fn more_rows_than_one_transaction_takes_are_added_and_dropped() {
    let fixture = Fixture::new().await;
    let many = (0..5000).rev().map(|index| row(&format!("many/{index:05}"), index)).collect();
    fixture.store.add_inventory(&bucket(), many).await.expect("added");
    fixture.import(&["few/1", "more"]).await;
    let listed = fixture.imported(&Scan { prefix: "many/".to_owned(), ..scan_all() });
    assert!(listed.len() == 5000 && listed.is_sorted());
    assert_eq!(fixture.covers().1, 5002);
    assert_eq!(fixture.forget("many/").await, 5000);
    assert_eq!((fixture.imported(&scan_all()), fixture.covers().1), (texts(&["few/1", "more"]), 2));
    fixture.store.add_inventory(&bucket(), Vec::new()).await.expect("nothing to add");
}

#[tokio::test]
async fn dropping_a_prefix_leaves_no_cover_and_no_crawl_with_a_hole_in_it() {
    let fixture = Fixture::new().await;
    fixture.import(&["a/b/1", "a/b/2", "a/c", "z"]).await;
    for (taken, prefix) in [(9, ""), (10, "a/"), (10, "a/b/x/"), (10, "a/c"), (10, "z")] {
        fixture.cover(prefix, taken).await;
    }
    for prefix in ["a/", "a/b/x/", "a/c/"] {
        fixture.crawl(prefix, &[], &[], &[&format!("{prefix}pending/")]).await;
    }
    assert_eq!(fixture.forget("a/b/").await, 2);
    assert_eq!(fixture.covers(), (vec![("a/c".to_owned(), 10), ("z".to_owned(), 10)], 2));
    assert_eq!(fixture.known("a/b/1"), Known::Unknown);
    assert!(matches!(fixture.known("a/c"), Known::Here(_)));
    let left = ["a/", "a/b/x/", "a/c/"].map(|prefix| fixture.find_crawl(prefix).is_some());
    assert_eq!(left, [false, false, true]);
    let again = fixture.crawl("a/", &[], &[], &["a/new/"]).await;
    assert_eq!(again.pending, ["a/new/"], "what was pending before is forgotten");
}

#[tokio::test]
async fn a_crawl_is_gone_on_with_where_it_stopped_and_covers_its_prefix_when_it_is_done() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.find_crawl("pub/"), None);
    let begun = fixture.crawl("pub/", &[], &[], &["pub/"]).await;
    assert_eq!(begun, Crawl { pending: texts(&["pub/"]), pending_count: 1, done_count: 0 });
    let step = fixture.crawl("pub/", &["pub/x"], &["pub/"], &["pub/b/", "pub/a/", "pub/b/"]).await;
    assert_eq!(step, Crawl { pending: texts(&["pub/a/", "pub/b/"]), pending_count: 2, done_count: 1 });
    fixture.crawl("other/", &[], &[], &["other/"]).await;

    let fixture = fixture.reopened().await;
    assert_eq!(fixture.find_crawl("pub/"), Some(step));
    assert_eq!(fixture.known("pub/none"), Known::Unknown, "it is not done");
    let step = fixture.crawl("pub/", &["pub/a/1"], &["pub/a/"], &[]).await;
    assert_eq!((step.pending_count, step.done_count), (1, 2));
    let end = fixture.crawl("pub/", &["pub/b/1"], &["pub/b/", "pub/c/"], &["pub/c/"]).await;
    assert_eq!(end, Crawl { pending: vec![], pending_count: 0, done_count: 4 });
    assert_eq!(fixture.find_crawl("pub/"), None);
    assert_eq!(fixture.known("pub/none"), Known::Absent);
    assert_eq!(fixture.imported(&scan_all()), ["pub/a/1", "pub/b/1", "pub/x"]);
    assert_eq!(fixture.covers(), (vec![("pub/".to_owned(), 1_700_000_000)], 3), "as of when it began");
    assert_eq!(fixture.find_crawl("other/").map(|crawl| crawl.pending_count), Some(1));
}

#[tokio::test]
async fn a_long_crawl_shows_its_first_folders_and_counts_all() {
    let fixture = Fixture::new().await;
    let folders: Vec<_> = (0..1500).map(|index| format!("{index:04}/")).collect();
    let all = folders.clone();
    let kept = fixture.store.keep_crawl(&bucket(), String::new(), vec![], vec![], all).await;
    let crawl = kept.expect("kept");
    assert_eq!((&crawl.pending[..], crawl.pending_count), (&folders[..1000], 1500));
}

#[tokio::test]
async fn a_deleted_bucket_takes_its_index_along_and_the_next_one_of_its_name_has_none() {
    let fixture = Fixture::new().await;
    let new = NewBucket { name: elsewhere(), region: "us-east-1".to_owned(), owner: owner() };
    fixture.store.create_bucket(new.clone()).await.expect("a new bucket");
    fixture.import(&["kept"]).await;
    let many = (0..3000).map(|index| row(&format!("{index}"), 1)).collect();
    fixture.store.add_inventory(&elsewhere(), many).await.expect("added");
    fixture.store.cover_inventory(&elsewhere(), String::new(), owner_time()).await.expect("noted");
    let folders = (0..3000).map(|index| format!("{index}/")).collect();
    fixture.store.keep_crawl(&elsewhere(), String::new(), vec![], vec![], folders).await.expect("kept");
    fixture.store.delete_bucket(&elsewhere()).await.expect("it holds no object");
    fixture.store.create_bucket(new).await.expect("a new bucket");
    assert_eq!(fixture.store.find_inventory(&elsewhere(), &key("1")).expect("an answer"), Known::Unknown);
    assert_eq!(fixture.store.inventory_covers(&elsewhere()).expect("an answer"), (vec![], 0));
    eventually(|| fixture.inventory_rows() == 2).await;
    assert!(matches!(fixture.known("kept"), Known::Here(_)));
    assert_eq!(fixture.forget("").await, 1);
    eventually(|| fixture.inventory_rows() == 0).await;
}

fn owner_time() -> Timestamp {
    Timestamp::from_seconds(1)
}

#[tokio::test]
async fn what_a_crash_left_of_a_dropped_index_goes_at_the_next_start() {
    let fixture = Fixture::new().await;
    fixture.import(&["a", "b"]).await;
    fixture.cover("", 1).await;
    fixture.sql("UPDATE inventory SET bucket_id = NULL").await;
    assert_eq!(fixture.inventory_rows(), 4);
    let fixture = fixture.reopened().await;
    eventually(|| fixture.inventory_rows() == 0).await;
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_has_no_index() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let nowhere = elsewhere();
    let outcomes = [
        store.add_inventory(&nowhere, rows(&["a"])).await.err(),
        store.cover_inventory(&nowhere, String::new(), owner_time()).await.err(),
        store.drop_inventory(&nowhere, String::new()).await.err(),
        store.find_inventory(&nowhere, &key("a")).err(),
        store.scan_inventory(&nowhere, &scan_all()).err(),
        store.inventory_covers(&nowhere).err(),
        store.find_crawl(&nowhere, "").err(),
        store.keep_crawl(&nowhere, String::new(), vec![], vec![], vec![]).await.err(),
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Some(Error::NoSuchBucket(_))), "{index}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_disk_without_room_refuses_rows_and_lets_them_be_dropped() {
    let fixture = Fixture::new().await;
    fixture.import(&["a"]).await;
    let options = Options { reserve_bytes: u64::MAX, ..fixture.options.clone() };
    let fixture = Fixture { options, ..fixture }.reopened().await;
    let added = fixture.store.add_inventory(&bucket(), rows(&["b"])).await;
    assert!(matches!(added, Err(Error::Full { .. })));
    let kept = fixture.store.keep_crawl(&bucket(), String::new(), vec![], vec![], texts(&["b/"])).await;
    assert!(matches!(kept, Err(Error::Full { .. })));
    assert_eq!(fixture.forget("a").await, 1);
}

#[tokio::test]
async fn fsck_finds_what_is_wrong_with_an_index_and_repair_never_makes_it_deny_what_exists() {
    let fixture = Fixture::new().await;
    fixture.import(&["bad/1", "bad/2", "good/1"]).await;
    for prefix in ["bad/", "good/"] {
        fixture.cover(prefix, 10).await;
    }
    fixture.crawl("bad", &[], &[], &["bad/x/"]).await;
    fixture.crawl("good/sound/", &[], &[], &["good/sound/"]).await;
    fixture.crawl("good/wrong/", &[], &[], &["good/wrong/"]).await;
    fixture.cache("cached", b"x").await.expect("nothing is there");
    let sql = "
        UPDATE inventory_row SET etag = '' WHERE key = CAST('bad/1' AS BLOB);
        UPDATE inventory SET rows = 7;
        UPDATE crawl SET pending = 2 WHERE prefix = CAST('good/wrong/' AS BLOB);
        INSERT INTO inventory_cover SELECT id, x'ff', 1 FROM inventory;
        INSERT INTO inventory_cover VALUES (6001, x'61', 1);
        INSERT INTO inventory_row (inventory_id, key, size) VALUES (6002, x'61', 1);
        INSERT INTO crawl_folder SELECT id, x'6c6f7374', x'61' FROM inventory;
        INSERT INTO inventory (id, bucket_id, rows) VALUES (6000, 77, 1), (6003, NULL, 1);
        INSERT INTO inventory_row (inventory_id, key, size) VALUES (6000, x'61', 1), (6003, x'ff', -1);
        UPDATE object SET used_ms = NULL;";
    fixture.sql(sql).await;
    fixture.store.close().await;
    let Fixture { folder, options, store } = fixture;
    drop(store);

    let report = fsck::run(folder.path(), Check::default(), |_| {}).expect("checked");
    let tables: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            if let Finding::StrayRow { table, .. } = finding {
                return *table;
            }
            assert!(matches!(finding, Finding::CounterBehind { used: 6003, .. }), "{finding}");
            "counter"
        })
        .collect();
    let expected = [
        "counter",
        "object",
        "inventory",
        "inventory",
        "inventory_row",
        "inventory_cover",
        "inventory_row",
        "inventory_cover",
        "crawl",
        "crawl",
    ];
    assert_eq!(tables, expected, "{:#?}", report.findings);
    let repair = Check { repair: true, verify_digests: false };
    let repaired = fsck::run(folder.path(), repair, |_| {}).expect("repaired");
    assert!(repaired.is_clean());
    let again = fsck::run(folder.path(), Check::default(), |_| {}).expect("checked");
    assert_eq!(again.findings, []);

    let store = Store::open(options.clone()).expect("it opens");
    let fixture = Fixture { store, options, folder };
    assert_eq!(fixture.imported(&scan_all()), ["bad/2", "good/1"]);
    assert_eq!(fixture.covers(), (vec![("good/".to_owned(), 10)], 2));
    assert_eq!(fixture.known("bad/1"), Known::Unknown);
    let left = ["bad", "good/sound/", "good/wrong/"].map(|prefix| fixture.find_crawl(prefix).is_some());
    assert_eq!(left, [false, true, false]);
    assert_eq!(fixture.store.evict(None, Some(0)).await.expect("evicted").objects, 1);
    eventually(|| fixture.inventory_rows() == 6).await;
}
