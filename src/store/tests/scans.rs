//! Ranges of keys.

use super::*;

fn from(start: Start, prefix: &str) -> Scan {
    Scan { start, prefix: prefix.to_owned(), ..scan_all() }
}

fn at(text: &str) -> Start {
    Start::At(text.to_owned())
}

fn after(text: &str) -> Start {
    Start::After(text.to_owned())
}

/// Keys at the edges of UTF-8, in the order of their bytes.
const KEYS: &[&str] = &[
    "\u{0}",
    "\u{0}\u{0}",
    "a",
    "a\u{0}",
    "a\u{0}b",
    "a/",
    "a//b",
    "aa",
    "b",
    "\u{7f}",
    "\u{80}",
    "é",
    "é\u{0}",
    "\u{7ff}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{10ffff}\u{10ffff}",
];

#[tokio::test]
async fn keys_come_in_the_order_of_their_bytes_from_any_start_under_any_prefix() {
    let fixture = Fixture::new().await;
    for name in KEYS.iter().rev() {
        fixture.put(name, b"x").await;
    }
    let edges = ["", "\u{10fffe}", "z", "a/\u{10ffff}", "é\u{10ffff}", "\u{3ff}"];
    for prefix in KEYS.iter().copied().chain(edges) {
        for start in KEYS.iter().copied().chain(edges) {
            let expected = |admits: &dyn Fn(&str) -> bool| -> Vec<String> {
                let kept = KEYS.iter().filter(|key| key.starts_with(prefix) && admits(key));
                kept.map(|key| (*key).to_owned()).collect()
            };
            let found = fixture.keys(&from(at(start), prefix));
            assert_eq!(found, expected(&|key| key >= start), "at {start:?} under {prefix:?}");
            let found = fixture.keys(&from(after(start), prefix));
            assert_eq!(found, expected(&|key| key > start), "after {start:?} under {prefix:?}");
        }
    }
}

#[tokio::test]
async fn a_limit_cuts_and_the_next_scan_goes_on() {
    let fixture = Fixture::new().await;
    for index in 0..25 {
        fixture.put(&format!("k{index:02}"), b"x").await;
    }
    let (mut all, mut start) = (Vec::new(), at(""));
    loop {
        let page = fixture.keys(&Scan { limit: 10, ..from(start, "k") });
        let Some(last) = page.last() else { break };
        start = after(last);
        all.extend(page);
    }
    assert_eq!(all.len(), 25);
    assert!(all.is_sorted());
    assert_eq!(fixture.keys(&Scan { limit: 0, ..scan_all() }), Vec::<String>::new());
}

#[tokio::test]
async fn tombstones_are_shown_only_where_asked_for_and_do_not_count_otherwise() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c"] {
        fixture.put(name, b"x").await;
    }
    fixture.delete("b", true).await;
    fixture.delete("bb", true).await;
    assert_eq!(fixture.keys(&Scan { limit: 2, ..scan_all() }), ["a", "c"]);
    let all = Scan { tombstones: true, ..scan_all() };
    let listed = fixture.store.scan_objects(&bucket(), &all).expect("an answer");
    let kinds: Vec<_> = listed.iter().map(|it| (it.key.as_str(), it.kind, it.etag.is_some())).collect();
    assert_eq!(
        kinds,
        [
            ("a", ListedKind::Object, true),
            ("b", ListedKind::Tombstone, false),
            ("bb", ListedKind::Tombstone, false),
            ("c", ListedKind::Object, true),
        ]
    );
}

#[tokio::test]
async fn a_listing_says_of_each_object_what_a_lookup_says() {
    let fixture = Fixture::new().await;
    let object = fixture.put("a", b"hello").await;
    let listed = fixture.store.scan_objects(&bucket(), &scan_all()).expect("an answer").remove(0);
    assert_eq!(listed.etag, Some(object.etag));
    assert_eq!(
        (listed.size_bytes, listed.modified, listed.generation),
        (5, object.modified, object.generation)
    );
    let shape = object.checksum.map(|checksum| (checksum.algorithm(), checksum.kind()));
    assert_eq!((listed.checksum, listed.owner), (shape, owner()));
}

#[tokio::test]
async fn only_the_newest_version_of_a_key_is_listed() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c"] {
        fixture.put(name, b"x").await;
    }
    // Older versions as a versioned bucket has them: under `b` an object, under `c` one that is
    // hidden by a delete marker.
    let sql =
        "INSERT INTO object (bucket_id, key, sequence, kind, version_id, modified_ms, size, etag, owner,
                                   content_id, metageneration, origin, metadata)
               SELECT bucket_id, key, 0, 0, 'olderolderolderolderolderolderolderolderolderolderolder', 0, 99, 'older', owner, content_id, 1, 0, '{}'
               FROM object WHERE key IN (x'62', x'63');
               UPDATE object SET kind = 1, etag = NULL, content_id = NULL WHERE key = x'63' AND sequence > 0";
    fixture.sql(sql).await;
    assert_eq!(fixture.keys(&scan_all()), ["a", "b"]);
    let all = fixture.store.scan_objects(&bucket(), &Scan { tombstones: true, ..scan_all() });
    let all: Vec<_> = all.expect("an answer").iter().map(|it| (it.kind, it.size_bytes)).collect();
    assert_eq!(
        all,
        [(ListedKind::Object, 1), (ListedKind::Object, 1), (ListedKind::DeleteMarker, 1)],
        "each key once, as its newest version is"
    );
    assert!(matches!(fixture.find("c"), Lookup::DeleteMarker { version_id: VersionId::Null, .. }));
    let older = VersionId::parse(&"older".repeat(11)).expect("a version id");
    let found = fixture.store.find_object(&bucket(), &key("c"), Some(&older)).expect("an answer");
    assert!(matches!(found, Lookup::Here(object, _) if object.size_bytes == 99));
}

#[tokio::test]
async fn a_scan_of_no_bucket_says_so() {
    let fixture = Fixture::new().await;
    let elsewhere = BucketName::parse("elsewhere").expect("a valid name");
    let outcome = fixture.store.scan_objects(&elsewhere, &scan_all());
    assert!(matches!(outcome, Err(Error::NoSuchBucket(name)) if name == elsewhere));
}
