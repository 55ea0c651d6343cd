//! Snapshots when something fails, crashes or was damaged.

use super::folder::crash_image;
use super::snapshots::name;
use super::*;
use crate::store::fsck::{self, Check, Finding};

#[tokio::test]
async fn a_restore_that_fails_changes_nothing() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.put("small", b"then").await;
    fixture.take("one").await;
    fixture.put("small", b"now").await;
    fixture.delete("a", false).await;
    // Late in the work: objects are written after buckets, owners and contents.
    fixture.sql("CREATE TEMP TRIGGER no AFTER INSERT ON object BEGIN SELECT raise(ABORT, 'no'); END").await;
    let failed = fixture.store.restore_snapshot(name("one")).await;
    assert!(matches!(failed, Err(Error::Index(_))), "{failed:?}");
    fixture.sql("DROP TRIGGER no").await;
    assert_eq!(fixture.keys(&scan_all()), ["small"]);
    assert_eq!(fixture.get("small").await.expect("an object"), b"now");
    fixture.put("after", b"the store is usable").await;
    fixture.swept().await;

    let file = super::fsck::blob_of(fixture.folder.path(), 100_000);
    std::fs::rename(&file, fixture.folder.path().join("aside")).expect("writable");
    let failed = fixture.store.restore_snapshot(name("one")).await;
    assert!(matches!(failed, Err(Error::BadSnapshot { .. })), "{failed:?}");
    assert_eq!(fixture.keys(&scan_all()), ["after", "small"]);
    std::fs::rename(fixture.folder.path().join("aside"), &file).expect("writable");
    fixture.go_back("one").await;
    assert!(fixture.get("a").await.expect("an object") == pattern(100_000));
    fixture.end_soundly().await;
}

#[tokio::test]
async fn a_snapshot_that_has_another_blob_under_an_id_is_refused() {
    for other in ["size = size + 1", "md5 = x'00'", "name = substr(name, 2) || '0'"] {
        let fixture = Fixture::new().await;
        fixture.put("a", &pattern(100_000)).await;
        fixture.take("one").await;
        // As in a stage whose ids are the same by chance, or that was forked from this one.
        let here = format!("UPDATE blob SET {other} WHERE name IS NOT NULL");
        fixture.sql(&here).await;
        let refused = fixture.store.restore_snapshot(name("one")).await.expect_err("not of this store");
        assert!(format!("{refused:?}").contains("none of this store"), "{other}: {refused:?}");
    }
}

#[tokio::test]
async fn a_crash_leaves_the_old_state_or_the_new_one_and_no_half_snapshot() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.take("one").await;
    fixture.put("a", &pattern(200_000)).await;
    fixture.put("b", &pattern(300_000)).await;
    fixture.take("two").await;
    let before = crashed(&fixture);
    fixture.go_back("one").await;
    let after = crashed(&fixture);
    assert!(before.get("a").await.expect("an object") == pattern(200_000));
    assert!(after.get("a").await.expect("an object") == pattern(100_000));
    // While one is made, and after the file of one has gone and its blobs have not.
    let snapshots = before.folder.path().join("snapshots");
    std::fs::write(snapshots.join(".three.partial"), "half").expect("writable");
    std::fs::remove_file(snapshots.join("one.sqlite")).expect("there");
    let before = before.reopened().await;
    assert_eq!(std::fs::read_dir(&snapshots).expect("a folder").count(), 1);
    before.swept_to(2).await;
    before.end_soundly().await;
    after.swept_to(3).await;
    assert_eq!(after.store.list_snapshots().await.expect("a list").len(), 2);
    after.end_soundly().await;
}

/// The folder as a crash would leave it now, opened again.
fn crashed(fixture: &Fixture) -> Fixture {
    let folder = tempfile::tempdir().expect("a temporary folder");
    crash_image(fixture.folder.path(), folder.path());
    let options = Options { data_dir: folder.path().to_owned(), ..fixture.options.clone() };
    let store = Store::open(options.clone()).expect("a crash leaves a folder that opens");
    Fixture { store, options, folder }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_keeps_every_file_until_it_is_deleted() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.take("one").await;
    let path = fixture.folder.path().join("snapshots/one.sqlite");
    std::fs::write(&path, "no index").expect("writable");
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.list_snapshots().await.expect("a list"), []);
    let refused = fixture.store.restore_snapshot(name("one")).await;
    assert!(matches!(refused, Err(Error::BadSnapshot { .. })), "{refused:?}");
    fixture.delete("a", false).await;
    fixture.swept_to(1).await;
    fixture.store.close().await;
    let found = fsck::run(fixture.folder.path(), Check::default(), |_| {}).map(drop);
    assert!(matches!(found, Err(fsck::Error::Open(OpenError::Locked { .. }))), "its handle is still here");
    let fixture = fixture.reopened().await;
    fixture.forget_snapshot("one").await;
    let fixture = fixture.reopened().await;
    fixture.swept_to(0).await;
    fixture.end_soundly().await;
}

#[tokio::test]
async fn fsck_looks_into_snapshots() {
    let fixture = Fixture::new().await;
    fixture.put("kept", &pattern(100_000)).await;
    fixture.put("both", &pattern(110_000)).await;
    fixture.put("inline", b"inline").await;
    fixture.take("one").await;
    fixture.delete("kept", false).await;
    fixture.swept().await;
    fixture.store.close().await;
    let Fixture { folder, store, options } = fixture;
    drop(store);
    let check = Check { repair: false, verify_digests: true };
    let report = fsck::run(folder.path(), check, |_| {}).expect("checked");
    assert_eq!(report.findings, [], "what only a snapshot names is no orphan");
    assert_eq!((report.blobs, report.bytes, report.objects), (3, 210_006, 2), "each file is read once");

    let lost = super::fsck::blob_of(folder.path(), 100_000);
    std::fs::remove_file(&lost).expect("there");
    let report = fsck::run(folder.path(), check, |_| {}).expect("checked");
    let texts: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    let of_snapshot = |finding: &Finding| matches!(finding, Finding::InSnapshot { snapshot, .. } if snapshot.as_str() == "one");
    assert!(report.findings.iter().all(of_snapshot), "{texts:?}");
    assert!(
        texts[0].ends_with("is missing") && texts[1].starts_with("snapshot one: bucket/kept"),
        "{texts:?}"
    );
    let repair = Check { repair: true, verify_digests: true };
    assert!(fsck::run(folder.path(), repair, |_| {}).expect("repaired").is_clean());
    assert_eq!(fsck::run(folder.path(), check, |_| {}).expect("checked").findings, []);
    let store = Store::open(options.clone()).expect("it opens");
    let fixture = Fixture { store, options, folder };
    assert_eq!(fixture.store.list_snapshots().await.expect("a list")[0].objects, 2);
    fixture.go_back("one").await;
    assert_eq!(fixture.keys(&scan_all()), ["both", "inline"]);

    fixture.store.close().await;
    let Fixture { folder, store, .. } = fixture;
    drop(store);
    std::fs::write(folder.path().join("snapshots/bad.sqlite"), "no index").expect("writable");
    let report = fsck::run(folder.path(), repair, |_| {}).expect("checked");
    assert!(matches!(&report.findings[..], [Finding::BadSnapshot { .. }]), "{:?}", report.findings);
    assert!(!report.is_clean());
}

#[tokio::test]
async fn a_snapshot_whose_migration_was_cut_off_is_read_all_the_same() {
    let fixture = Fixture::new().await;
    for index in 0..200 {
        fixture.put(&format!("key-{index}"), b"then").await;
    }
    fixture.take("one").await;
    fixture.store.close().await;
    // The state in the middle of a change: pages of the file are overwritten, their old bytes are in the journal.
    let snapshots = fixture.folder.path().join("snapshots");
    let (file, journal) = (snapshots.join("one.sqlite"), snapshots.join("one.sqlite-journal"));
    let aside = |path: &std::path::Path| path.with_extension(if path == file { "file" } else { "undo" });
    let changing = rusqlite::Connection::open(&file).expect("an index");
    changing
        .execute_batch("PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN; UPDATE object SET size = 7")
        .expect("valid SQL");
    std::fs::copy(&journal, aside(&journal)).expect("there is a journal");
    std::fs::copy(&file, aside(&file)).expect("readable");
    drop(changing);
    assert_ne!(std::fs::read(aside(&file)).expect("a file"), std::fs::read(&file).expect("a file"));
    for path in [&journal, &file] {
        std::fs::rename(aside(path), path).expect("writable");
    }
    let fixture = fixture.reopened().await;
    fixture.put("key-0", b"now").await;
    fixture.go_back("one").await;
    assert_eq!(fixture.get("key-0").await.expect("an object"), b"then");
    assert!(!journal.exists());
    // One that belongs to nothing must not meet the next snapshot of its name.
    fixture.forget_snapshot("one").await;
    std::fs::write(&journal, "old bytes of pages").expect("writable");
    let fixture = fixture.reopened().await;
    assert!(!journal.exists());
    fixture.end_soundly().await;
}

#[tokio::test]
async fn a_snapshot_whose_file_is_gone_already_can_be_deleted() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.take("one").await;
    fixture.delete("a", false).await;
    fixture.swept().await;
    // As after a deletion that failed because its folder could not be synced.
    std::fs::remove_file(fixture.folder.path().join("snapshots/one.sqlite")).expect("there");
    fixture.forget_snapshot("one").await;
    assert_eq!(fixture.store.list_snapshots().await.expect("a list"), []);
    fixture.swept_to(0).await;
    fixture.end_soundly().await;
}
