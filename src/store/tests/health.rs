//! Health does what a write does, and never waits for long.

use rusqlite::Connection;

use super::*;
use crate::store::Illness;

/// Asks until the answer is what is waited for: one may be a second old.
async fn becomes(fixture: &Fixture, expected: impl Fn(&Result<(), Illness>) -> bool) -> Result<(), Illness> {
    let begun = std::time::Instant::now();
    loop {
        let health = fixture.store.health().await;
        if expected(&health) {
            return health;
        }
        assert!(begun.elapsed().as_secs() < 60, "{health:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_ill_and_says_which_and_why() {
    let fixture = Fixture::new().await;
    fixture.store.health().await.expect("it is well");
    let staging = fixture.folder.path().join("staging");
    std::fs::rename(&staging, fixture.folder.path().join("away")).expect("our own");
    let ill = becomes(&fixture, Result::is_err).await.expect_err("nothing can be staged").to_string();
    for word in ["cannot write a file", &*staging.to_string_lossy(), "No such file", "bytes are free"] {
        assert!(ill.contains(word), "{word} is not in {ill}");
    }
    std::fs::rename(fixture.folder.path().join("away"), &staging).expect("our own");
    becomes(&fixture, Result::is_ok).await.expect("it is well again");
    assert_eq!(std::fs::read_dir(&staging).expect("a folder").count(), 0, "nothing is left of the looks");
}

#[tokio::test]
async fn an_index_that_cannot_be_written_is_ill() {
    let fixture = Fixture::new().await;
    fixture.sql("PRAGMA query_only = ON").await;
    let ill = fixture.store.health().await.expect_err("nothing can be committed").to_string();
    assert!(ill.contains("cannot write its index") && ill.contains("readonly"), "{ill}");
}

#[tokio::test]
async fn a_disk_without_its_reserve_is_ill() {
    let fixture = Fixture::new().await;
    let options = Options { reserve_bytes: u64::MAX, ..fixture.options.clone() };
    let fixture = Fixture { options, ..fixture }.reopened().await;
    let ill = fixture.store.health().await.expect_err("uploads are refused").to_string();
    assert!(ill.contains("is full") && ill.contains("bytes are free"), "{ill}");
}

#[tokio::test]
async fn what_hangs_is_ill_and_does_not_make_health_hang() {
    let fixture = Fixture::new().await;
    let other = Connection::open(fixture.folder.path().join("index.sqlite")).expect("an index");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    let ill = becomes(&fixture, |health| matches!(health, Err(Illness::Hung { .. }))).await;
    let told = ill.expect_err("the writer waits").to_string();
    assert!(told.contains("tries to write its index"), "{told}");
    // As in a long restore, which is no fault of the disk.
    fixture.store.0.shared.holds.begin_long_work();
    fixture.store.health().await.expect("the writer is at work");
    fixture.store.0.shared.holds.end_long_work();
    becomes(&fixture, |health| matches!(health, Err(Illness::Hung { .. })))
        .await
        .expect_err("it still waits");
    other.execute_batch("ROLLBACK").expect("it was begun");
    becomes(&fixture, Result::is_ok).await.expect("it is well again");
}
