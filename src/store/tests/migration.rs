//! A folder of an earlier version opens and is brought up to date.

use super::*;
use crate::store::fsck::{self, Check};

/// What the dump has in a file: the bytes of `pattern`.
const BLOB: &str = "a6642a34ffaebd0a000000000000";

/// A folder as schema 2 left it.
fn old_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shelf = folder.path().join("blobs/00");
    std::fs::create_dir_all(&shelf).expect("writable");
    std::fs::write(shelf.join(BLOB), pattern(100_000)).expect("writable");
    let index = rusqlite::Connection::open(folder.path().join("index.sqlite")).expect("an index");
    index.execute_batch(include_str!("schema_2.sql")).expect("valid SQL");
    folder
}

/// The tables and indexes of a store, and how each was made.
fn schema(store: &Store) -> Vec<(String, Option<String>)> {
    let read = |connection: &rusqlite::Connection| {
        let mut statement = connection.prepare("SELECT name, sql FROM sqlite_master ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    store.0.shared.readers.read(read).expect("the index answers")
}

#[tokio::test]
async fn a_folder_of_schema_2_opens_with_all_that_it_held_and_takes_what_is_new() {
    let folder = old_folder();
    let options = Options { reserve_bytes: 0, part_min_bytes: 0, ..Options::new(folder.path()) };
    let store = Store::open(options.clone()).expect("it is migrated");
    let fixture = Fixture { store, options, folder };
    assert_eq!(fixture.keys(&scan_all()), ["copy", "large", "multi", "small"]);
    for listed in fixture.store.scan_objects(&bucket(), &scan_all()).expect("an answer") {
        assert_eq!(listed.origin, Origin::Written);
    }
    assert_eq!(fixture.get("small").await.expect("an object"), b"small bytes");
    assert_eq!(fixture.get("multi").await.expect("an object"), b"part one");
    assert!(fixture.get("copy").await.expect("an object") == pattern(100_000));
    assert!(matches!(fixture.find("deleted"), Lookup::Tombstone));
    let scan = UploadScan { start: UploadStart::At(String::new()), prefix: String::new(), limit: 9 };
    assert_eq!(fixture.store.scan_uploads(&bucket(), &scan).expect("an answer").len(), 1);

    assert_eq!(fixture.store.cached().expect("an answer"), Cached::default());
    assert_eq!(fixture.store.evict(None, Some(0)).await.expect("evicted"), Cached::default());
    fixture.cache("cached", b"bytes").await.expect("nothing is there");
    let row = InventoryRow {
        key: key("imported"),
        size_bytes: 1,
        modified: None,
        etag: None,
        md5: None,
        crc32c: None,
    };
    fixture.store.add_inventory(&bucket(), vec![row]).await.expect("added");
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.evict(None, Some(0)).await.expect("evicted").objects, 1);

    let fresh = Fixture::new().await;
    assert_eq!(schema(&fixture.store), schema(&fresh.store), "as if it had been made today");
    fixture.store.close().await;
    let Fixture { folder, store, .. } = fixture;
    drop(store);
    let check = Check { verify_digests: true, repair: false };
    assert_eq!(fsck::run(folder.path(), check, |_| {}).expect("checked").findings, []);
}
