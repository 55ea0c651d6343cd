//! What others do while the store goes back to a snapshot, between its preparation and its transaction.

use tokio::runtime::Handle;

use super::folder::crash_image;
use super::snapshots::{begin, name, put_part};
use super::*;
use crate::model::SnapshotName;

impl Fixture {
    /// Goes back to a snapshot, and does something else when it is prepared.
    async fn go_back_while(self: &Arc<Self>, text: &str, work: impl AsyncFnOnce(&Self) + Send + 'static) {
        let (fixture, runtime) = (Arc::clone(self), Handle::current());
        let meanwhile = move || runtime.block_on(work(&fixture));
        self.store.restore_snapshot_while(name(text), meanwhile).await.expect("restored");
    }

    async fn end_soundly_for_all(self: Arc<Self>) {
        Arc::into_inner(self).expect("nobody else has it").end_soundly().await;
    }
}

fn tagged(text: &str) -> ObjectRef {
    ObjectRef { bucket: bucket(), key: key(text), version: None }
}

#[tokio::test]
async fn what_is_written_while_a_restore_is_prepared_goes_with_the_rest() {
    let fixture = Arc::new(Fixture::with(|options| options.inline_max_bytes = 1000).await);
    for text in ["deleted", "hidden", "overwritten", "same", "tagged", "updated"] {
        fixture.put(text, text.as_bytes()).await;
    }
    fixture.put("large", &pattern(5000)).await;
    fixture.cache("cached", b"from production").await.expect("nothing is there");
    let upload = begin(&fixture, "upload").await;
    put_part(&fixture, &upload, 1, &pattern(3000)).await;
    let before = fixture.state().await;
    fixture.take("one").await;
    // Of these the preparation knows, and of one that it knows the key is written again.
    fixture.put("early", b"1").await;
    fixture.put("both", b"1").await;
    fixture.put("overwritten", b"1").await;

    let aborted = upload.clone();
    fixture
        .go_back_while("one", async move |fixture| {
            fixture.put("new", b"new").await;
            fixture.put("both", b"2").await;
            fixture.put("overwritten", b"2").await;
            fixture.put("large", &pattern(7000)).await;
            fixture.delete("deleted", false).await;
            fixture.delete("hidden", true).await;
            let tags = Tags::new([("a".to_owned(), "b".to_owned())]).expect("tags");
            fixture.store.set_tags(tagged("tagged"), tags).await.expect("there");
            let update = UpdateObject {
                bucket: bucket(),
                key: key("updated"),
                metadata: Metadata::default(),
                conditions: WriteConditions::default(),
            };
            fixture.store.update_object(update).await.expect("there");
            fixture.store.evict(None, Some(0)).await.expect("evicted");
            fixture.copy("same", "copy").await.expect("there is a source");
            put_part(fixture, &aborted, 1, &pattern(4000)).await;
            put_part(fixture, &aborted, 2, &pattern(4000)).await;
            fixture.store.abort_upload(&aborted).await.expect("in progress");
            let other = begin(fixture, "other").await;
            put_part(fixture, &other, 1, &pattern(2000)).await;
            let new = NewBucket {
                name: BucketName::parse("another").expect("a name"),
                region: "us-east-1".to_owned(),
                owner: Owner { id: "b".repeat(64), display_name: "somebody else".to_owned() },
            };
            fixture.store.create_bucket(new).await.expect("new");
        })
        .await;
    assert_eq!(fixture.state().await, before);
    assert_eq!(fixture.store.list_buckets("", None, 9).expect("a list").len(), 1);
    let parts = fixture.store.open_parts(&upload).expect("in progress again");
    assert_eq!(parts.len(), 1);
    assert!(read(&parts[0].1, ByteRange::whole(3000)).await.expect("readable") == pattern(3000));
    drop(parts);
    // Nothing is noted any more, and nothing of it is in the way of the next one.
    fixture.put("later", b"1").await;
    fixture.go_back("one").await;
    assert_eq!(fixture.state().await, before);
    fixture.swept_to(2).await;
    fixture.end_soundly_for_all().await;
}

#[tokio::test]
async fn a_bucket_that_goes_while_a_restore_is_prepared_comes_back() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.put("a", b"then").await;
    fixture.take("one").await;
    fixture
        .go_back_while("one", async |fixture| {
            fixture.delete("a", true).await;
            fixture.store.delete_bucket(&bucket()).await.expect("empty");
            let new = NewBucket { name: bucket(), region: "eu-west-1".to_owned(), owner: owner() };
            fixture.store.create_bucket(new).await.expect("new");
            fixture.put("a", b"now").await;
            fixture.put("b", b"now").await;
        })
        .await;
    assert_eq!(fixture.keys(&scan_all()), ["a"]);
    assert_eq!(fixture.get("a").await.expect("an object"), b"then");
    let found = fixture.store.find_bucket(&bucket()).expect("an answer").expect("there");
    assert_eq!(found.region, "us-east-1");
    fixture.swept().await;
    fixture.end_soundly_for_all().await;
}

#[tokio::test]
async fn an_imported_index_that_is_changed_meanwhile_goes_back() {
    let fixture = Arc::new(Fixture::new().await);
    let row = |text: &str| InventoryRow {
        key: key(text),
        size_bytes: 1,
        modified: None,
        etag: None,
        md5: None,
        crc32c: None,
    };
    fixture.store.add_inventory(&bucket(), vec![row("a")]).await.expect("added");
    fixture.take("one").await;
    fixture
        .go_back_while("one", async move |fixture| {
            fixture.store.add_inventory(&bucket(), vec![row("b")]).await.expect("added");
        })
        .await;
    let rows = |fixture: &Fixture| fixture.store.inventory_covers(&bucket()).expect("an answer").1;
    assert_eq!(rows(&fixture), 1);
    fixture.store.drop_inventory(&bucket(), String::new()).await.expect("dropped");
    fixture
        .go_back_while("one", async move |fixture| {
            fixture.store.add_inventory(&bucket(), vec![row("c"), row("d")]).await.expect("added");
        })
        .await;
    assert_eq!(rows(&fixture), 1);
    let known = fixture.store.find_inventory(&bucket(), &key("a")).expect("an answer");
    assert!(matches!(known, Known::Here(_)));
    fixture.swept().await;
    fixture.end_soundly_for_all().await;
}

#[tokio::test]
async fn a_crash_while_a_restore_is_prepared_leaves_the_present_and_nothing_else() {
    // So small that some contents take several steps.
    let fixture = Arc::new(Fixture::with(|options| options.inline_max_bytes = 1_500_000).await);
    for index in 0..5_u8 {
        fixture.put(&format!("small-{index}"), &vec![index; 1_000_000]).await;
    }
    fixture.put("large", &pattern(2_000_000)).await;
    fixture.store.add_inventory(&bucket(), Vec::new()).await.expect("added");
    fixture.take("one").await;
    for index in 0..5_u8 {
        fixture.put(&format!("small-{index}"), b"now").await;
    }
    fixture.delete("large", false).await;
    fixture.store.drop_inventory(&bucket(), String::new()).await.expect("dropped");
    fixture.swept().await;
    let present = fixture.state().await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().to_owned();
    fixture
        .go_back_while("one", async move |fixture| {
            let garbage = |connection: &rusqlite::Connection| {
                Ok(connection.query_row("SELECT count(*) FROM garbage", [], |row| row.get::<_, i64>(0))?)
            };
            assert_eq!(fixture.store.0.shared.readers.read(garbage).expect("an answer"), 6);
            crash_image(fixture.folder.path(), &to);
        })
        .await;
    assert!(fixture.get("large").await.expect("an object") == pattern(2_000_000));
    fixture.swept().await;
    fixture.end_soundly_for_all().await;

    let options = Options { inline_max_bytes: 1_500_000, ..Options::new(folder.path()) };
    let store = Store::open(options.clone()).expect("a crash leaves a folder that opens");
    let crashed = Fixture { store, options, folder };
    crashed.swept_to(1).await;
    assert_eq!(crashed.state().await, present);
    crashed.go_back("one").await;
    assert!(crashed.get("large").await.expect("an object") == pattern(2_000_000));
    crashed.end_soundly().await;
}

#[tokio::test]
async fn a_restore_that_ends_before_its_transaction_leaves_the_present_and_nothing_else() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.put("a", b"then").await;
    fixture.take("one").await;
    fixture.put("a", b"now").await;
    fixture.swept().await;
    let meanwhile = Arc::clone(&fixture);
    let runtime = Handle::current();
    let failed = fixture
        .store
        .restore_snapshot_while(name("one"), move || {
            let sql = "CREATE TEMP TRIGGER no AFTER DELETE ON object BEGIN SELECT raise(ABORT, 'no'); END";
            runtime.block_on(meanwhile.sql(sql));
        })
        .await;
    assert!(matches!(failed, Err(Error::Index(_))), "{failed:?}");
    fixture.sql("DROP TRIGGER no").await;
    assert_eq!(fixture.get("a").await.expect("an object"), b"now");
    fixture.swept().await;
    let blobs = |connection: &rusqlite::Connection| {
        Ok(connection.query_row("SELECT count(*) FROM blob", [], |row| row.get::<_, i64>(0))?)
    };
    assert_eq!(fixture.store.0.shared.readers.read(blobs).expect("an answer"), 1);
    fixture.go_back("one").await;
    assert_eq!(fixture.get("a").await.expect("an object"), b"then");
    fixture.end_soundly_for_all().await;
}

#[tokio::test]
async fn what_is_fetched_from_upstream_across_a_restore_is_not_kept() {
    let fixture = Fixture::new().await;
    let name_of_state = SnapshotName::parse("one").expect("a name");
    fixture.store.create_snapshot(name_of_state).await.expect("taken");
    let fetch = async |restores| {
        let fetched = CacheObject {
            bucket: bucket(),
            key: key("a"),
            staged: fixture.stage(&pattern(100_000)).await,
            upstream: "upstream".to_owned(),
            etag: ETag::of_md5([0; 16]),
            modified: Timestamp::from_seconds(0),
            metadata: Metadata::default(),
            restores,
        };
        fixture.store.cache_object(fetched).await.expect("an answer")
    };
    let before = fixture.store.restores();
    fixture.go_back("one").await;
    assert_eq!(fetch(before).await, None);
    assert!(matches!(fixture.find("a"), Lookup::Absent));
    fixture.files_become(0).await;
    assert!(fetch(fixture.store.restores()).await.is_some());
}
