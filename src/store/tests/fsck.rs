//! `fsck` on folders that were damaged in every way that it knows.

use super::*;
use crate::store::fsck::{self, Check, Finding};

/// Closes a store and gives its folder.
async fn closed(fixture: Fixture) -> (tempfile::TempDir, Options) {
    fixture.store.close().await;
    let Fixture { folder, options, .. } = fixture;
    (folder, options)
}

pub(super) fn blob_of(folder: &std::path::Path, size: u64) -> PathBuf {
    let shelves = std::fs::read_dir(folder.join("blobs")).expect("a folder").filter_map(Result::ok);
    let files = shelves.filter_map(|shelf| std::fs::read_dir(shelf.path()).ok()).flatten();
    let paths = files.filter_map(Result::ok).map(|file| file.path());
    let has_size = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == size);
    paths.into_iter().find(has_size).expect("a blob of that size")
}

#[tokio::test]
async fn fsck_finds_nothing_in_a_sound_folder_and_counts_it() {
    let fixture = Fixture::new().await;
    fixture.put("small", b"small").await;
    fixture.put("large", &pattern(100_000)).await;
    fixture.copy("large", "copy").await.expect("there is a source");
    let (folder, _) = closed(fixture).await;
    let mut steps = Vec::new();
    let check = Check { repair: false, verify_digests: true };
    let report = fsck::run(folder.path(), check, |progress| steps.push(progress)).expect("checked");
    assert_eq!((report.blobs, report.bytes, report.objects), (2, 100_005, 3));
    assert!(report.findings.is_empty() && report.is_clean());
    assert_eq!(steps.last().map(|last| (last.blobs, last.bytes)), Some((2, 100_005)));
}

#[tokio::test]
async fn fsck_finds_what_is_wrong_and_repair_takes_it_out_of_service() {
    let fixture = Fixture::new().await;
    for (name, size) in [("missing", 100_000), ("short", 110_000), ("wrong", 120_000), ("sound", 130_000)] {
        fixture.put(name, &pattern(size)).await;
    }
    fixture.put("inline", b"inline").await;
    fixture.copy("missing", "missing copy").await.expect("there is a source");
    let (folder, options) = closed(fixture).await;
    let path = folder.path();
    std::fs::remove_file(blob_of(path, 100_000)).expect("there");
    std::fs::write(blob_of(path, 110_000), pattern(7)).expect("writable");
    std::fs::write(blob_of(path, 120_000), vec![0; 120_000]).expect("writable");
    std::fs::write(path.join("staging/left"), "over").expect("writable");
    let orphan = path.join("blobs").join("00").join("ab".repeat(13) + "00");
    std::fs::create_dir_all(path.join("blobs/00")).expect("writable");
    std::fs::write(&orphan, "nobody's").expect("writable");
    let index = rusqlite::Connection::open(path.join("index.sqlite")).expect("an index");
    index
        .execute_batch(
            "UPDATE blob SET bytes = x'00' WHERE bytes IS NOT NULL;
             INSERT INTO blob (id, size, md5, bytes) VALUES (9000, 0, x'd41d8cd98f00b204e9800998ecf8427e', x'');
             INSERT INTO segment VALUES (9001, 0, 9000, 0, 1)",
        )
        .expect("valid SQL");
    drop(index);

    let quick = fsck::run(path, Check::default(), |_| {}).expect("checked");
    assert!(!quick.findings.iter().any(|finding| matches!(finding, Finding::WrongDigest { .. })));
    let check = Check { repair: false, verify_digests: true };
    let report = fsck::run(path, check, |_| {}).expect("checked");
    let count = |matches: &dyn Fn(&Finding) -> bool| report.findings.iter().filter(|it| matches(it)).count();
    assert_eq!(count(&|it| matches!(it, Finding::MissingFile { .. })), 1);
    assert_eq!(count(&|it| matches!(it, Finding::WrongSize { .. })), 2);
    assert_eq!(count(&|it| matches!(it, Finding::WrongDigest { .. })), 1);
    assert_eq!(count(&|it| matches!(it, Finding::OrphanedFile { .. })), 1);
    assert_eq!(count(&|it| matches!(it, Finding::UnknownFile { .. })), 1, "nobody's");
    assert_eq!(count(&|it| matches!(it, Finding::OrphanedContent { content: 9001 })), 1);
    assert_eq!(count(&|it| matches!(it, Finding::CounterBehind { used: 9001, .. })), 1);
    let broken =
        |name: &str| count(&|it| matches!(it, Finding::BrokenObject { key, .. } if key.as_str() == name));
    let names = ["missing", "missing copy", "short", "wrong", "inline", "sound"];
    assert_eq!(names.map(broken), [1, 1, 1, 1, 1, 0]);
    let json = serde_json::to_value(&report).expect("serialisable");
    assert_eq!(json["findings"][0]["finding"], "counter-behind");
    assert!(!report.is_clean());

    let repair = Check { repair: true, verify_digests: true };
    let repaired = fsck::run(path, repair, |_| {}).expect("repaired");
    assert_eq!(repaired.findings, report.findings);
    assert!(repaired.is_clean());
    let after = fsck::run(path, check, |_| {}).expect("checked");
    assert_eq!(after.findings, []);
    assert_eq!(after.quarantined.iter().map(|file| file.bytes).collect::<Vec<_>>(), [8], "it is kept");
    let store = Store::open(options.clone()).expect("it opens");
    let fixture = Fixture { store, options, folder };
    assert_eq!(fixture.keys(&scan_all()), ["sound"]);
    assert!(fixture.get("sound").await.expect("an object") == pattern(130_000));
    assert!(fixture.put("new", b"x").await.generation > 9001);
}

#[tokio::test]
async fn rows_that_hold_no_value_of_their_type_are_findings_and_no_end_of_the_check() {
    let fixture = Fixture::new().await;
    for (name, size) in [("parts", 10), ("crc32c", 10), ("name", 100_000), ("size", 20), ("sound", 30)] {
        fixture.put(name, &pattern(size)).await;
    }
    fixture
        .sql(
            "UPDATE object SET parts = 70000 WHERE key = CAST('parts' AS BLOB);
             UPDATE object SET crc32c = -1 WHERE key = CAST('crc32c' AS BLOB);
             UPDATE blob SET name = '../../escape' WHERE name IS NOT NULL;
             UPDATE blob SET size = -1 WHERE size = 20",
        )
        .await;
    let (folder, options) = closed(fixture).await;
    let repair = Check { repair: true, verify_digests: true };
    let report = fsck::run(folder.path(), repair, |_| {}).expect("repaired");
    assert!(report.is_clean(), "{:?}", report.findings);
    let broken = |name: &str| {
        let is_it = |it: &&Finding| matches!(it, Finding::BrokenObject { key, .. } if key.as_str() == name);
        report.findings.iter().filter(is_it).count()
    };
    assert_eq!(["parts", "crc32c", "name", "size", "sound"].map(broken), [1, 1, 1, 1, 0]);
    assert_eq!(fsck::run(folder.path(), repair, |_| {}).expect("checked").findings, []);
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    assert_eq!(fixture.keys(&scan_all()), ["sound"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_never_repaired_away() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    let (folder, options) = closed(fixture).await;
    let blob = blob_of(folder.path(), 100_000);
    let aside = folder.path().join("aside");
    std::fs::rename(&blob, &aside).expect("writable");
    // A link to itself cannot be read by anybody, not even by root.
    std::os::unix::fs::symlink(&blob, &blob).expect("writable");
    for verify_digests in [false, true] {
        let report = fsck::run(folder.path(), Check { repair: true, verify_digests }, |_| {});
        let report = report.expect("checked");
        assert!(matches!(report.findings[..], [Finding::Unreadable { .. }]), "{:?}", report.findings);
        assert!(!report.is_clean());
    }
    std::fs::rename(&aside, &blob).expect("writable");
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    assert!(fixture.get("a").await.expect("it is still there") == pattern(100_000));
}

#[tokio::test]
async fn fsck_repairs_parts_of_uploads_and_rows_that_make_no_sense() {
    let fixture = Fixture::new().await;
    let new = NewUpload {
        bucket: bucket(),
        key: key("u"),
        metadata: Metadata::default(),
        tags: Tags::default(),
        owner: owner(),
        checksum: None,
        session: None,
    };
    let upload = fixture.store.create_upload(new).await.expect("begun");
    let upload = UploadRef { bucket: upload.bucket, key: upload.key, id: upload.id };
    let staged = fixture.stage(&pattern(100_000)).await;
    let number = PartNumber::new(7).expect("a part number");
    let part = PutPart { upload: upload.clone(), number, staged, checksum: None };
    fixture.store.put_part(part).await.expect("written");
    for name in ["gap", "metadata", "owner"] {
        fixture.put(name, b"bytes").await;
    }
    let (folder, options) = closed(fixture).await;
    std::fs::remove_file(blob_of(folder.path(), 100_000)).expect("there");
    let index = rusqlite::Connection::open(folder.path().join("index.sqlite")).expect("an index");
    index
        .execute_batch(
            "UPDATE segment SET start = 1 WHERE content_id =
                 (SELECT content_id FROM object WHERE key = CAST('gap' AS BLOB));
             UPDATE object SET metadata = '[' WHERE key = CAST('metadata' AS BLOB);
             UPDATE object SET owner = 77 WHERE key = CAST('owner' AS BLOB)",
        )
        .expect("valid SQL");
    drop(index);
    let repair = Check { repair: true, verify_digests: false };
    let report = fsck::run(folder.path(), repair, |_| {}).expect("repaired");
    assert!(report.is_clean());
    let json = serde_json::to_value(&report).expect("serialisable");
    let found = |index: usize| {
        let finding = &json["findings"][index];
        (finding["finding"].as_str().unwrap_or("none"), finding["key"].as_str().unwrap_or("none"))
    };
    assert_eq!(found(0), ("missing-file", "none"));
    assert_eq!(
        ["gap", "metadata", "owner"].map(|key| ("broken-object", key)),
        [found(1), found(2), found(3)]
    );
    assert_eq!((found(4), report.findings.len()), (("broken-part", "u"), 5));
    let again = fsck::run(folder.path(), repair, |_| {}).expect("checked");
    assert_eq!(again.findings, []);
    let store = Store::open(options.clone()).expect("it opens");
    assert_eq!(store.list_parts(&upload, None, 10).expect("still in progress"), []);
}

#[tokio::test]
async fn fsck_needs_a_folder_that_nobody_serves_and_makes_none() {
    let fixture = Fixture::new().await;
    let served = fsck::run(fixture.folder.path(), Check::default(), |_| {});
    assert!(matches!(served, Err(fsck::Error::Open(OpenError::Locked { .. }))));
    let absent = fixture.folder.path().join("absent");
    let nothing = fsck::run(&absent, Check::default(), |_| {});
    assert!(matches!(nothing, Err(fsck::Error::NoIndex(_))));
    assert!(!absent.exists());
}
