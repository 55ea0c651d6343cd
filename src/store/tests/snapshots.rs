//! Snapshots: taken, gone back to, compared and forgotten, with readers and writers meanwhile.

use super::*;
use crate::model::SnapshotName;
use crate::store::fsck::{self, Check};

pub(super) fn name(text: &str) -> SnapshotName {
    SnapshotName::parse(text).expect("a valid name")
}

impl Fixture {
    pub(super) async fn take(&self, text: &str) -> Snapshot {
        self.store.create_snapshot(name(text)).await.expect("taken")
    }

    pub(super) async fn go_back(&self, text: &str) {
        self.store.restore_snapshot(name(text)).await.expect("restored");
    }

    pub(super) async fn forget_snapshot(&self, text: &str) {
        self.store.delete_snapshot(name(text)).await.expect("deleted");
    }

    /// Ends the store and has everything looked at.
    pub(super) async fn end_soundly(self) {
        self.store.close().await;
        let Self { folder, store, .. } = self;
        drop(store);
        let check = Check { repair: false, verify_digests: true };
        assert_eq!(fsck::run(folder.path(), check, |_| {}).expect("checked").findings, []);
    }
}

#[tokio::test]
async fn going_back_gives_all_that_was_and_nothing_else() {
    let fixture = Fixture::new().await;
    fixture.put("large", &pattern(100_000)).await;
    fixture.put("small", b"small").await;
    fixture.copy("large", "copy").await.expect("there is a source");
    fixture.delete("hidden", true).await;
    fixture.cache("cached", b"from production").await.expect("nothing is there");
    let upload = begin(&fixture, "upload").await;
    put_part(&fixture, &upload, 1, &pattern(200_000)).await;
    let taken = fixture.take("one").await;
    assert_eq!((taken.objects, taken.bytes), (4, 200_020));
    assert_eq!(fixture.store.list_snapshots().await.expect("a list"), [taken]);

    fixture.delete("large", true).await;
    fixture.delete("copy", false).await;
    fixture.put("small", &pattern(300_000)).await;
    fixture.put("hidden", b"shown").await;
    fixture.put("new", &pattern(400_000)).await;
    fixture.store.set_tags(object_ref("cached"), Tags::default()).await.expect("there");
    put_part(&fixture, &upload, 1, &pattern(70_000)).await;
    fixture.store.abort_upload(&upload).await.expect("in progress");
    let other = NewBucket {
        name: BucketName::parse("another").expect("a name"),
        region: "us-east-1".to_owned(),
        owner: Owner { id: "b".repeat(64), display_name: "somebody else".to_owned() },
    };
    fixture.store.create_bucket(other).await.expect("new");
    // The snapshot's files, and those of the present.
    fixture.swept_to(4).await;

    fixture.go_back("one").await;
    assert_eq!(fixture.keys(&scan_all()), ["cached", "copy", "large", "small"]);
    assert!(fixture.get("large").await.expect("an object") == pattern(100_000));
    assert!(fixture.get("copy").await.expect("an object") == pattern(100_000));
    assert_eq!(fixture.get("small").await.expect("an object"), b"small");
    assert!(matches!(fixture.find("hidden"), Lookup::Tombstone));
    assert!(matches!(fixture.find("cached"), Lookup::Here(object, _) if object.origin == Origin::Cached));
    let parts = fixture.store.open_parts(&upload).expect("in progress again");
    assert_eq!(parts.len(), 1);
    assert!(read(&parts[0].1, ByteRange::whole(200_000)).await.expect("readable") == pattern(200_000));
    drop(parts);
    assert_eq!(fixture.store.list_buckets("", None, 9).expect("a list").len(), 1);
    fixture.swept_to(2).await;

    let fixture = fixture.reopened().await;
    assert!(fixture.get("copy").await.expect("an object") == pattern(100_000));
    fixture.forget_snapshot("one").await;
    assert_eq!(fixture.store.list_snapshots().await.expect("a list"), []);
    fixture.swept_to(2).await;
    fixture.end_soundly().await;
}

fn object_ref(text: &str) -> ObjectRef {
    ObjectRef { bucket: bucket(), key: key(text), version: None }
}

pub(super) async fn begin(fixture: &Fixture, text: &str) -> UploadRef {
    let new = NewUpload {
        bucket: bucket(),
        key: key(text),
        metadata: Metadata::default(),
        tags: Tags::default(),
        owner: owner(),
        checksum: None,
        session: None,
    };
    let upload = fixture.store.create_upload(new).await.expect("begun");
    UploadRef { bucket: upload.bucket, key: upload.key, id: upload.id }
}

pub(super) async fn put_part(fixture: &Fixture, upload: &UploadRef, number: u16, bytes: &[u8]) -> Part {
    let number = PartNumber::new(number).expect("a part number");
    let staged = fixture.stage(bytes).await;
    let part = PutPart { upload: upload.clone(), number, staged, checksum: None };
    fixture.store.put_part(part).await.expect("in progress")
}

#[tokio::test]
async fn a_file_stays_for_as_long_as_the_present_or_a_snapshot_names_it() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.take("one").await;
    fixture.take("two").await;
    fixture.delete("a", false).await;
    fixture.swept_to(1).await;
    fixture.forget_snapshot("one").await;
    fixture.put("b", b"x").await;
    let fixture = fixture.reopened().await;
    fixture.put("c", &pattern(110_000)).await;
    assert_eq!(fixture.files(), 2, "the start has not taken it for a leftover");
    fixture.go_back("two").await;
    fixture.swept_to(1).await;
    fixture.forget_snapshot("two").await;
    assert!(fixture.get("a").await.expect("the present's again") == pattern(100_000));
    fixture.delete("a", false).await;
    fixture.swept_to(0).await;
    fixture.end_soundly().await;
}

#[tokio::test]
async fn names_are_taken_once_and_what_is_not_there_is_said() {
    let fixture = Fixture::new().await;
    fixture.take("one").await;
    let again = fixture.store.create_snapshot(name("one")).await;
    assert!(matches!(again, Err(Error::SnapshotExists(_))), "{again:?}");
    for outcome in [
        fixture.store.restore_snapshot(name("two")).await.map(drop),
        fixture.store.delete_snapshot(name("two")).await,
        fixture.store.diff_snapshots(name("one"), Some(name("two")), None, 9).await.map(drop),
    ] {
        assert!(matches!(&outcome, Err(Error::NoSuchSnapshot(it)) if it.as_str() == "two"), "{outcome:?}");
    }
}

#[tokio::test]
async fn who_reads_while_the_store_goes_back_reads_to_the_end() {
    let fixture = Fixture::with(|options| options.inline_max_bytes = 1000).await;
    fixture.put("a", b"then").await;
    fixture.take("one").await;
    let upload = begin(&fixture, "parts").await;
    // More segments than are looked up at once, in files and in the index.
    let mut whole = Vec::new();
    let mut listed = Vec::new();
    for number in 1..=40_u16 {
        let bytes = pattern(500 + usize::from(number) * 50);
        let part = put_part(&fixture, &upload, number, &bytes).await;
        listed.push(CompletedPart { number: part.number, etag: part.etag, checksum: None });
        whole.extend(bytes);
    }
    let complete = CompleteUpload {
        upload,
        parts: listed,
        checksum: None,
        size_bytes: None,
        md5: None,
        conditions: WriteConditions::default(),
    };
    fixture.store.complete_upload(complete).await.expect("whole");
    fixture.put("a", b"now").await;
    let Lookup::Here(object, parts) = fixture.find("parts") else { panic!("it was completed") };
    let Lookup::Here(_, now) = fixture.find("a") else { panic!("it was put") };
    let mut reader = parts.reader(ByteRange::whole(object.size_bytes));
    let mut bytes = reader.next().await.expect("some").expect("readable").to_vec();

    fixture.go_back("one").await;
    assert!(matches!(fixture.find("parts"), Lookup::Absent));
    assert_eq!(fixture.get("a").await.expect("an object"), b"then");
    fixture.put("b", b"x").await;
    while let Some(chunk) = reader.next().await {
        bytes.extend_from_slice(&chunk.expect("readable"));
    }
    assert!(bytes == whole);
    assert_eq!(read(&now, ByteRange::whole(3)).await.expect("readable"), b"now");
    drop((reader, parts, now));
    fixture.swept_to(0).await;
    fixture.end_soundly().await;
}

#[tokio::test]
async fn the_counter_never_goes_back() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"1").await;
    fixture.take("early").await;
    let late = fixture.put("a", b"2").await.generation;
    fixture.take("late").await;
    fixture.go_back("early").await;
    let after = fixture.put("a", b"3").await.generation;
    assert!(after > late);
    let fixture = fixture.reopened().await;
    let again = fixture.put("a", b"4").await.generation;
    assert!(again > after);
    // As if the index were older than the snapshots: power was lost where nothing is synced.
    fixture.sql("UPDATE counter SET value = 2").await;
    let fixture = fixture.reopened().await;
    fixture.sql("DELETE FROM object WHERE sequence > 2").await;
    assert!(fixture.put("b", b"5").await.generation > late);
    fixture.go_back("late").await;
    assert_eq!(fixture.get("a").await.expect("an object"), b"2");
}

#[tokio::test]
async fn imported_indexes_go_back_too_and_those_that_are_the_same_are_not_copied() {
    let fixture = Fixture::new().await;
    let row = |text: &str| InventoryRow {
        key: key(text),
        size_bytes: 1,
        modified: None,
        etag: None,
        md5: None,
        crc32c: None,
    };
    let now = Timestamp::from_seconds(1_600_000_000);
    fixture.store.add_inventory(&bucket(), vec![row("p/a"), row("p/b")]).await.expect("added");
    fixture.store.cover_inventory(&bucket(), "p/".to_owned(), now).await.expect("covered");
    fixture
        .store
        .keep_crawl(&bucket(), "q/".to_owned(), Vec::new(), Vec::new(), vec!["q/".to_owned()])
        .await
        .expect("kept");
    fixture.take("one").await;
    let id = |fixture: &Fixture| {
        let read = |connection: &rusqlite::Connection| {
            let sql = "SELECT id FROM inventory WHERE bucket_id IS NOT NULL";
            Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        };
        fixture.store.0.shared.readers.read(read).expect("one index")
    };
    let before = id(&fixture);
    fixture.go_back("one").await;
    assert_eq!(id(&fixture), before, "nothing was copied");

    fixture.store.add_inventory(&bucket(), vec![row("p/c")]).await.expect("added");
    fixture.store.drop_inventory(&bucket(), "q/".to_owned()).await.expect("dropped");
    fixture.go_back("one").await;
    assert_ne!(id(&fixture), before);
    let known = |text: &str| fixture.store.find_inventory(&bucket(), &key(text)).expect("an answer");
    assert!(matches!(known("p/a"), Known::Here(_)) && matches!(known("p/c"), Known::Absent));
    let (covers, rows) = fixture.store.inventory_covers(&bucket()).expect("an answer");
    assert_eq!((covers, rows), (vec![("p/".to_owned(), now)], 2));
    let crawl = fixture.store.find_crawl(&bucket(), "q/").expect("an answer").expect("begun");
    assert_eq!(crawl.pending, ["q/"]);
    fixture.store.drop_inventory(&bucket(), String::new()).await.expect("dropped");
    fixture.go_back("one").await;
    assert!(matches!(
        fixture.store.find_inventory(&bucket(), &key("p/b")).expect("an answer"),
        Known::Here(_)
    ));
    fixture.swept().await;
    fixture.end_soundly().await;
}

#[tokio::test]
async fn a_diff_names_what_is_not_the_same_page_by_page() {
    let fixture = Fixture::new().await;
    for text in ["changed", "removed", "same", "tombstone"] {
        fixture.put(text, text.as_bytes()).await;
    }
    fixture.delete("unhidden", true).await;
    fixture.take("one").await;
    fixture.put("changed", b"other").await;
    fixture.put("same", b"same").await;
    fixture.delete("removed", false).await;
    fixture.delete("tombstone", true).await;
    fixture.delete("hidden", true).await;
    fixture.store.undelete(&bucket(), vec![key("unhidden")]).await.expect("committed");
    fixture.put("added", b"added").await;
    fixture.cache("cached", b"read by somebody").await.expect("nothing is there");
    let new = NewBucket {
        name: BucketName::parse("zoo").expect("a name"),
        region: "us-east-1".to_owned(),
        owner: owner(),
    };
    fixture.store.create_bucket(new).await.expect("new");
    fixture.take("two").await;
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page =
            fixture.store.diff_snapshots(name("one"), Some(name("two")), after, 2).await.expect("a page");
        assert!(page.differences.len() <= 2);
        found.extend(page.differences);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let size = |is: &Is| match is {
        Is::Absent => "absent".to_owned(),
        Is::Hidden => "hidden".to_owned(),
        Is::Object { size_bytes, .. } => size_bytes.to_string(),
    };
    let lines: Vec<_> =
        found.iter().map(|it| format!("{} {} {}", it.key.as_str(), size(&it.from), size(&it.to))).collect();
    assert_eq!(
        lines,
        [
            "added absent 5",
            "changed 7 5",
            "hidden absent hidden",
            "removed 7 absent",
            "tombstone 9 hidden",
            "unhidden hidden absent"
        ]
    );
    let now = fixture.store.diff_snapshots(name("one"), None, None, 99).await.expect("a page");
    assert_eq!((now.differences, now.next), (found, None));
    fixture.go_back("one").await;
    let now = fixture.store.diff_snapshots(name("one"), None, None, 99).await.expect("a page");
    assert_eq!(now.differences, []);
}

#[test]
fn every_table_has_its_place_in_a_restore() {
    let connection = rusqlite::Connection::open_in_memory().expect("SQLite works");
    for step in migrate::STEPS {
        connection.execute_batch(step).expect("a valid schema");
    }
    let mut names = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .expect("valid SQL");
    let names = names.query_map([], |row| row.get::<_, String>(0)).expect("valid SQL");
    let names: Vec<_> = names.collect::<Result<_, _>>().expect("text");
    let mut known = snapshot::tables();
    known.sort_unstable();
    assert_eq!(names, known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_taken_while_writes_go_on_is_one_moment_of_them() {
    let fixture = Arc::new(Fixture::with(|options| options.inline_max_bytes = 50).await);
    // Each round writes the same number to both, first to a, then to b; both sizes, so files too.
    let writer = {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            for round in 0..150_u8 {
                let bytes = vec![round; if round % 2 == 0 { 10 } else { 3000 }];
                fixture.put("a", &bytes).await;
                fixture.put("b", &bytes).await;
            }
        })
    };
    let mut taken = 0;
    while !writer.is_finished() {
        fixture.take(&format!("s{taken}")).await;
        taken += 1;
    }
    writer.await.expect("no panic");
    for index in 0..taken {
        fixture.go_back(&format!("s{index}")).await;
        let round = |bytes: Option<Vec<u8>>| bytes.map_or(-1, |bytes| i32::from(bytes[0]));
        let (a, b) = (round(fixture.get("a").await), round(fixture.get("b").await));
        assert!(a == b || a == b + 1, "{a} {b}");
        fixture.forget_snapshot(&format!("s{index}")).await;
    }
    let fixture = Arc::into_inner(fixture).expect("nobody else has it");
    fixture.swept().await;
    fixture.end_soundly().await;
}
