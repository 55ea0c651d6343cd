//! Opening folders: locks, leftovers, versions, crashes.

use super::*;
use crate::store::fsck::{self, Check};

#[tokio::test]
async fn a_folder_is_served_by_one_process_and_free_again_afterwards() {
    let fixture = Fixture::new().await;
    let second = Store::open(fixture.options.clone()).expect_err("it is in use");
    let OpenError::Locked { pid, .. } = &second else { panic!("{second}") };
    assert_eq!(*pid, Some(std::process::id()));
    let message = second.to_string();
    let folder = fixture.folder.path().display().to_string();
    assert!(message.contains(&folder) && message.contains(&std::process::id().to_string()), "{message}");
    fixture.reopened().await;
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_user() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("writable");
    let error = Store::open(Options::new(file.join("data"))).expect_err("a file is no folder");
    let OpenError::NotWritable { uid, .. } = &error else { panic!("{error}") };
    let message = error.to_string();
    assert!(message.contains(&format!("uid {uid}")) && message.contains("--data-dir"), "{message}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let fixture = Fixture::new().await;
    fixture.store.close().await;
    let Fixture { options, folder, store } = fixture;
    drop(store);
    let index = rusqlite::Connection::open(folder.path().join("index.sqlite")).expect("an index");
    index.pragma_update(None, "user_version", 99).expect("writable");
    drop(index);
    let error = Store::open(options).expect_err("it is too new");
    let steps = super::super::migrate::STEPS.len();
    assert!(
        matches!(error, OpenError::TooNew { found: 99, known, .. } if known as usize == steps),
        "{error}"
    );
}

/// Copies a folder as it is on disk, as a crash would leave it.
pub(super) fn crash_image(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("writable");
    let entries = std::fs::read_dir(from).expect("a folder").map(|entry| entry.expect("readable"));
    let mut entries: Vec<_> = entries.map(|entry| (entry.file_name(), entry.path())).collect();
    // In this order the mark comes before the index: the sweep may commit meanwhile, and the mark of a crash
    // is never ahead.
    entries.sort();
    for (name, entry) in entries {
        if entry.is_dir() {
            crash_image(&entry, &to.join(name));
        } else if name != "index.sqlite-shm" {
            std::fs::copy(&entry, to.join(name)).expect("readable");
        }
    }
}

#[tokio::test]
async fn after_a_crash_everything_answered_is_there_and_everything_else_is_cleared_away() {
    let fixture = Fixture::new().await;
    fixture.put("small", b"small").await;
    fixture.put("large", &pattern(300_000)).await;
    fixture.put("deleted", &pattern(200_000)).await;
    let Lookup::Here(_, held) = fixture.find("deleted") else { panic!("it was put") };
    fixture.delete("deleted", false).await;
    let staged = fixture.stage(&pattern(100_000)).await;
    let mut staging = fixture.store.stage(&[], None);
    staging.write(pattern(2_000_000).into()).await.expect("room");

    let image = tempfile::tempdir().expect("a temporary folder");
    crash_image(fixture.folder.path(), image.path());
    drop((held, staged, staging));
    std::fs::write(image.path().join("staging/left"), "over").expect("writable");
    std::fs::create_dir_all(image.path().join("blobs/zz")).expect("writable");
    std::fs::write(image.path().join("blobs/zz/not-a-blob"), "x").expect("writable");
    std::fs::write(image.path().join("blobs/zz").join("ab".repeat(14)), "x").expect("writable");

    let options = Options { data_dir: image.path().to_owned(), ..fixture.options.clone() };
    let store = Store::open(options.clone()).expect("a crash leaves a folder that opens");
    let recovered = Fixture { store, options, folder: image };
    assert_eq!(recovered.keys(&scan_all()), ["large", "small"]);
    assert!(recovered.get("large").await.expect("an object") == pattern(300_000));
    assert_eq!(recovered.get("small").await.expect("an object"), b"small");
    recovered.swept_to(1).await;
    let recovered = recovered.reopened().await;
    recovered.store.close().await;
    let Fixture { store, folder, .. } = recovered;
    drop(store);
    let report = fsck::run(folder.path(), Check { verify_digests: true, repair: false }, |_| {});
    assert_eq!(report.expect("checked").findings, []);
}

#[tokio::test]
async fn what_is_not_ours_among_the_blobs_does_not_end_the_sweep() {
    let fixture = Fixture::new().await;
    let blobs = fixture.folder.path().join("blobs");
    let mut orphans = Vec::new();
    // In whatever order the folder is read, some of these come before some of the shelves.
    for index in 0..16 {
        std::fs::write(blobs.join(format!("README.{index}")), "a file").expect("writable");
        let shelf = blobs.join(format!("{index:02x}"));
        std::fs::create_dir_all(&shelf).expect("writable");
        orphans.push(shelf.join(format!("{}{index:02x}", "ab".repeat(13))));
        std::fs::write(&orphans[index], "nobody's").expect("writable");
    }
    let fixture = fixture.reopened().await;
    eventually(|| !orphans.iter().any(|file| file.exists())).await;
    assert!(blobs.join("README.0").exists());
    drop(fixture);
}

#[tokio::test]
async fn a_blob_whose_name_is_none_does_not_stop_the_sweep() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.put("b", &pattern(110_000)).await;
    fixture.sql("UPDATE blob SET name = 'no name' WHERE size = 100000").await;
    fixture.delete("a", false).await;
    fixture.delete("b", false).await;
    fixture.swept().await;
    // The file whose row lost its name is found at the next start.
    fixture.reopened().await.files_become(0).await;
}
