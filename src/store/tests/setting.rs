//! What the stage itself was told goes where the stage goes.

use super::*;
use crate::model::SnapshotName;
use crate::store::transfer::{export, fork, import};

fn name(text: &str) -> SnapshotName {
    SnapshotName::parse(text).expect("a name")
}

async fn tell(fixture: &Fixture, names: &[&str]) {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    fixture.store.set_under_test(names).await.expect("kept");
}

fn kept(fixture: &Fixture) -> String {
    fixture.store.under_test().expect("an answer").join(" ")
}

/// What the store in another folder keeps.
async fn kept_in(folder: &std::path::Path) -> String {
    let store = Store::open(Options::new(folder)).expect("it opens");
    let kept = store.under_test().expect("an answer").join(" ");
    store.close().await;
    kept
}

#[tokio::test]
async fn the_releases_under_test_are_kept_until_others_are_said() {
    let fixture = Fixture::new().await;
    assert_eq!(kept(&fixture), "");
    tell(&fixture, &["firefox-83.0-build1", "devedition-84.0b1"]).await;
    let fixture = fixture.reopened().await;
    assert_eq!(kept(&fixture), "firefox-83.0-build1 devedition-84.0b1");
    tell(&fixture, &["firefox-84.0"]).await;
    assert_eq!(kept(&fixture), "firefox-84.0");
    tell(&fixture, &[]).await;
    assert_eq!(kept(&fixture.reopened().await), "");
}

#[tokio::test]
async fn forks_and_imports_have_what_the_snapshot_held() {
    let fixture = Fixture::new().await;
    tell(&fixture, &["firefox-83.0-build1"]).await;
    fixture.put("a", &pattern(100_000)).await;
    fixture.store.create_snapshot(name("one")).await.expect("taken");
    tell(&fixture, &["firefox-84.0-build1"]).await;
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let (forked, imported) = (scratch.path().join("fork"), scratch.path().join("import"));
    fork(fixture.folder.path(), &name("one"), &forked, |_| {}).expect("forked");
    assert_eq!(kept_in(&forked).await, "firefox-83.0-build1");
    let mut file = Vec::new();
    export(fixture.folder.path(), &name("one"), &mut file, |_| {}).expect("exported");
    import(&file[..], &imported, |_| {}).expect("imported");
    assert_eq!(kept_in(&imported).await, "firefox-83.0-build1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_leaves_what_is_under_test_now() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"one").await;
    fixture.store.create_snapshot(name("before")).await.expect("taken");
    tell(&fixture, &["firefox-83.0-build1"]).await;
    fixture.put("a", b"other").await;
    fixture.store.create_snapshot(name("of-83")).await.expect("taken");
    fixture.store.restore_snapshot(name("before")).await.expect("restored");
    assert_eq!(fixture.get("a").await.expect("an object"), b"one");
    assert_eq!(kept(&fixture), "firefox-83.0-build1", "it is not lost");
    tell(&fixture, &["firefox-84.0-build1"]).await;
    fixture.store.restore_snapshot(name("of-83")).await.expect("restored");
    assert_eq!(fixture.get("a").await.expect("an object"), b"other");
    assert_eq!(kept(&fixture.reopened().await), "firefox-84.0-build1", "nor does an older one come back");
}
