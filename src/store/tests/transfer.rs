//! Forks, and stages in one file.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::*;
use crate::model::SnapshotName;
use crate::store::fsck::{self, Check};
use crate::store::transfer::{Error, Moved, Passage, Progress, export, fork, import, is_passing};

fn one() -> SnapshotName {
    SnapshotName::parse("one").expect("a name")
}

/// A stage with some of everything, and a snapshot of it.
async fn stage() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.put("large", &pattern(100_000)).await;
    fixture.put("larger", &pattern(300_000)).await;
    fixture.put("small", b"small").await;
    fixture.copy("large", "copy").await.expect("there is a source");
    fixture.delete("hidden", true).await;
    fixture.store.create_snapshot(one()).await.expect("taken");
    // Not in the snapshot.
    fixture.delete("large", false).await;
    fixture.put("later", &pattern(200_000)).await;
    fixture
}

fn open(folder: tempfile::TempDir, data_dir: PathBuf, like: &Options) -> Fixture {
    let options = Options { data_dir, ..like.clone() };
    let store = Store::open(options.clone()).expect("it opens");
    Fixture { store, options, folder }
}

async fn has_all(fixture: &Fixture) {
    assert_eq!(fixture.keys(&scan_all()), ["copy", "large", "larger", "small"]);
    assert!(fixture.get("large").await.expect("an object") == pattern(100_000));
    assert!(fixture.get("copy").await.expect("an object") == pattern(100_000));
    assert!(fixture.get("larger").await.expect("an object") == pattern(300_000));
    assert_eq!(fixture.get("small").await.expect("an object"), b"small");
    assert!(matches!(fixture.find("hidden"), Lookup::Tombstone));
    assert_eq!(fixture.store.list_snapshots().await.expect("a list"), []);
}

async fn is_sound(fixture: Fixture) {
    fixture.store.close().await;
    let Fixture { folder, store, options } = fixture;
    drop(store);
    let check = Check { repair: false, verify_digests: true };
    let report = fsck::run(&options.data_dir, check, |_| {}).expect("checked");
    assert_eq!(report.findings, []);
    drop(folder);
}

#[tokio::test]
async fn a_fork_shares_its_blobs_and_nothing_else() {
    let fixture = stage().await;
    std::fs::write(fixture.folder.path().join("credentials.toml"), "secret").expect("writable");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("fork");
    let mut steps = Vec::new();
    let moved = fork(fixture.folder.path(), &one(), &to, |progress| steps.push(progress)).expect("forked");
    assert_eq!(moved, Moved { objects: 4, blobs: 2, blob_bytes: 400_000, shared: 2 });
    let whole = Progress { blobs: 2, bytes: 400_000, blobs_total: 2, bytes_total: 400_000 };
    assert_eq!(steps.last(), Some(&whole));
    let blob = super::fsck::blob_of(&to, 300_000);
    assert_eq!(std::fs::metadata(&blob).expect("there").nlink(), 2);
    assert!(!to.join("credentials.toml").exists() && !to.join("unfinished").exists());

    let forked = open(folder, to, &fixture.options);
    has_all(&forked).await;
    forked.delete("larger", false).await;
    forked.put("own", &pattern(150_000)).await;
    forked.swept().await;
    assert!(!blob.exists(), "the fork has let it go");
    assert!(fixture.get("larger").await.expect("the first stage has not") == pattern(300_000));
    assert!(fixture.get("own").await.is_none());
    fixture.store.delete_snapshot(one()).await.expect("deleted");
    fixture.delete("copy", false).await;
    fixture.swept().await;
    assert!(forked.get("large").await.expect("the fork has its own name for it") == pattern(100_000));
    is_sound(forked).await;
    is_sound(fixture).await;
}

#[tokio::test]
async fn where_a_link_cannot_be_made_a_fork_copies() {
    let fixture = stage().await;
    let folder = tempfile::tempdir_in("/dev/shm").expect("a file system in memory");
    let device = |path: &Path| std::fs::metadata(path).expect("there").dev();
    let links = if device(folder.path()) == device(fixture.folder.path()) { 2 } else { 0 };
    let moved = fork(fixture.folder.path(), &one(), folder.path(), |_| {}).expect("an empty folder is taken");
    assert_eq!((moved.blobs, moved.shared), (2, links));
    let data_dir = folder.path().to_owned();
    let forked = open(folder, data_dir, &fixture.options);
    has_all(&forked).await;
    is_sound(forked).await;
}

#[tokio::test]
async fn a_fork_that_fails_leaves_nothing_and_takes_no_folder_that_is_in_use() {
    let fixture = stage().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("fork");
    let none = SnapshotName::parse("none").expect("a name");
    let failed = fork(fixture.folder.path(), &none, &to, |_| {});
    assert!(matches!(failed, Err(Error::NoSnapshot { .. })), "{failed:?}");
    let failed = fork(fixture.folder.path(), &one(), fixture.folder.path(), |_| {});
    assert!(matches!(failed, Err(Error::NotEmpty(_))), "{failed:?}");
    let journal = fixture.folder.path().join("snapshots/one.sqlite-journal");
    std::fs::write(&journal, "how its pages were").expect("writable");
    let failed = fork(fixture.folder.path(), &one(), &to, |_| {});
    assert!(matches!(failed, Err(Error::HalfMigrated(_))), "{failed:?}");
    std::fs::remove_file(journal).expect("there");
    std::fs::remove_file(super::fsck::blob_of(fixture.folder.path(), 300_000)).expect("there");
    let failed = fork(fixture.folder.path(), &one(), &to, |_| {});
    assert!(matches!(failed, Err(Error::File { .. })), "{failed:?}");
    assert!(!to.exists());
    std::fs::create_dir(&to).expect("writable");
    fork(fixture.folder.path(), &one(), &to, |_| {}).expect_err("the blob is still gone");
    assert_eq!(std::fs::read_dir(&to).expect("it was there before").count(), 0);
}

#[tokio::test]
async fn what_a_kill_left_is_no_stage_and_is_begun_anew() {
    let fixture = stage().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("fork");
    std::fs::create_dir_all(to.join("blobs/00")).expect("writable");
    std::fs::write(to.join("blobs/00").join("ab".repeat(13) + "00"), "half").expect("writable");
    std::fs::write(to.join("unfinished"), "").expect("writable");
    let options = Options { data_dir: to.clone(), ..fixture.options.clone() };
    let refused = Store::open(options);
    assert!(matches!(refused, Err(OpenError::Unfinished(_))), "{refused:?}");
    fork(fixture.folder.path(), &one(), &to, |_| {}).expect("forked");
    let forked = open(folder, to, &fixture.options);
    has_all(&forked).await;
    is_sound(forked).await;
}

fn exported(fixture: &Fixture) -> Vec<u8> {
    let mut file = Vec::new();
    let moved = export(fixture.folder.path(), &one(), &mut file, |_| {}).expect("exported");
    assert_eq!(moved, Moved { objects: 4, blobs: 2, blob_bytes: 400_000, shared: 0 });
    file
}

#[tokio::test]
async fn a_stage_goes_through_one_file() {
    let fixture = stage().await;
    let file = exported(&fixture);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("imported");
    let mut steps = 0;
    let moved = import(&file[..], &to, |_| steps += 1).expect("imported");
    assert_eq!((moved.objects, moved.blobs, moved.blob_bytes, steps), (4, 2, 400_000, 3));
    let again = import(&file[..], &to, |_| {});
    assert!(matches!(again, Err(Error::NotEmpty(_))), "{again:?}");
    let imported = open(folder, to, &fixture.options);
    has_all(&imported).await;
    let generation = imported.put("new", b"x").await.generation;
    assert!(generation > 5, "the counter came along: {generation}");
    is_sound(imported).await;
}

#[tokio::test]
async fn a_file_that_was_damaged_or_cut_is_refused_and_leaves_nothing() {
    let fixture = stage().await;
    let file = exported(&fixture);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("imported");
    let refused = |bytes: &[u8], what: &str| {
        let outcome = import(bytes, &to, |_| {});
        assert!(matches!(outcome, Err(Error::BadFile(_))), "{what}: {outcome:?}");
        assert!(!to.exists(), "{what}");
    };
    for tenth in 0..10 {
        let at = file.len() * tenth / 10;
        refused(&file[..at], &format!("cut at {at}"));
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        refused(&damaged, &format!("another byte at {at}"));
    }
    refused(&file[..file.len() - 1], "the last byte is missing");
    refused(b"no file of ours", "another kind of file");
    let damages: [(&str, Damage); 11] = [
        ("no blob", |entries| drop(entries.pop())),
        ("a blob twice", |entries| entries.push(entries[2].clone())),
        ("a blob of other bytes", |entries| entries[2].1[7] ^= 1),
        ("a blob that is shorter", |entries| entries[2].1.truncate(9)),
        ("a blob under another name", |entries| entries[2].0 = "blobs/00/".to_owned() + &"0".repeat(28)),
        ("a blob somewhere else", |entries| entries[2].0.insert_str(0, "x/")),
        ("something else", |entries| entries.push(("credentials.toml".to_owned(), Vec::new()))),
        ("another index", |entries| entries[1].1[5000] ^= 1),
        ("no index", |entries| drop(entries.remove(1))),
        ("no manifest", |entries| drop(entries.remove(0))),
        ("another format", |entries| {
            let text = String::from_utf8_lossy(&entries[0].1).replace("\"format\": 1", "\"format\": 2");
            entries[0].1 = text.into_bytes();
        }),
    ];
    for (what, damage) in damages {
        let mut entries = taken_apart(&file);
        damage(&mut entries);
        refused(&put_together(&entries), what);
    }
    // The test's own way of writing it is right.
    import(&put_together(&taken_apart(&file))[..], &to, |_| {}).expect("imported");
}

/// Names and bytes.
type Entries = Vec<(String, Vec<u8>)>;
/// What is done to them.
type Damage = fn(&mut Entries);

fn taken_apart(file: &[u8]) -> Entries {
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).expect("zstd"));
    let entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("an entry");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("readable");
        (String::from_utf8(entry.path_bytes().into_owned()).expect("text"), bytes)
    });
    entries.collect()
}

fn put_together(entries: &Entries) -> Vec<u8> {
    let mut tar = tar::Builder::new(zstd::Encoder::new(Vec::new(), 1).expect("zstd"));
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).expect("in memory");
    }
    tar.into_inner().expect("in memory").finish().expect("in memory")
}

#[tokio::test]
async fn an_index_with_other_tables_is_refused() {
    let fixture = stage().await;
    let path = fixture.folder.path().join("snapshots/one.sqlite");
    let index = rusqlite::Connection::open(path).expect("an index");
    index
        .execute_batch("CREATE TRIGGER hostile AFTER INSERT ON object BEGIN DELETE FROM object; END")
        .expect("valid SQL");
    drop(index);
    let file = exported(&fixture);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outcome = import(&file[..], &folder.path().join("imported"), |_| {});
    assert!(matches!(&outcome, Err(Error::BadFile(told)) if told.contains("tables")), "{outcome:?}");
}

#[tokio::test]
async fn damaged_blobs_are_not_exported() {
    let fixture = stage().await;
    let blob = super::fsck::blob_of(fixture.folder.path(), 300_000);
    std::fs::write(blob, vec![1; 300_000]).expect("writable");
    let outcome = export(fixture.folder.path(), &one(), Vec::new(), |_| {});
    assert!(matches!(outcome, Err(Error::BadBlob { .. })), "{outcome:?}");
}

#[tokio::test]
async fn what_a_killed_transfer_left_goes_at_the_next_start_unless_another_one_lives() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    let passing = Passage::new_name().expect("a name");
    assert!(is_passing(&passing));
    for kept in
        ["one", "in-transfer", "in-transfer-123", "in-transfer-0123456789AB", "my-in-transfer-0123456789ab"]
    {
        let kept = SnapshotName::parse(kept).expect("a name");
        assert!(!is_passing(&kept), "{kept}");
        fixture.store.create_snapshot(kept).await.expect("taken");
    }
    fixture.store.create_snapshot(passing.clone()).await.expect("taken");
    fixture.delete("a", false).await;
    for kept in fixture.store.list_snapshots().await.expect("a list") {
        if kept.name != passing {
            fixture.store.delete_snapshot(kept.name).await.expect("deleted");
        }
    }
    let transfer = Passage::begin(fixture.folder.path()).expect("the folder is there");
    let fixture = fixture.reopened().await;
    let listed = fixture.store.list_snapshots().await.expect("a list");
    assert_eq!(listed.len(), 1, "its transfer lives");
    fixture.swept_to(1).await;
    drop(transfer);
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.store.list_snapshots().await.expect("a list"), []);
    fixture.swept_to(0).await;
    is_sound(fixture).await;
}

#[test]
fn of_transfers_that_begin_together_one_is_alone_and_the_others_wait_for_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let begin = || Passage::begin(folder.path());
    assert!(matches!(begin(), Err(Error::File { .. })), "it is no data folder");
    std::fs::create_dir(folder.path().join("blobs")).expect("writable");
    let mut first = begin().expect("a folder");
    assert!(first.is_alone());
    let is_let_in = std::sync::atomic::AtomicBool::new(false);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let second = begin().expect("a folder");
            assert!(!second.is_alone());
            assert!(is_let_in.load(std::sync::atomic::Ordering::SeqCst));
            sender.send(second).expect("somebody listens");
        });
        is_let_in.store(true, std::sync::atomic::Ordering::SeqCst);
        first.admit().expect("a lock");
    });
    let second = receiver.recv().expect("it has begun");
    drop(first);
    assert!(!begin().expect("a folder").is_alone(), "the second one lives");
    drop(second);
    assert!(begin().expect("a folder").is_alone());
}

#[tokio::test]
async fn a_folder_that_only_a_lock_was_made_in_is_taken_and_a_stage_never_is() {
    let fixture = stage().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let to = folder.path().join("a/b/fork");
    for empty in ["staging", "blobs"] {
        std::fs::create_dir_all(to.join(empty)).expect("writable");
    }
    std::fs::write(to.join("lock"), "1\n").expect("writable");
    fork(fixture.folder.path(), &one(), &to, |_| {}).expect("nothing was in there");
    let refused = fork(fixture.folder.path(), &one(), &to, |_| {});
    assert!(matches!(refused, Err(Error::NotEmpty(_))), "{refused:?}");
    let forked = open(folder, to, &fixture.options);
    has_all(&forked).await;
    is_sound(forked).await;
}

#[tokio::test]
async fn folders_that_were_made_for_a_fork_that_fails_go_again() {
    let fixture = stage().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::remove_file(super::fsck::blob_of(fixture.folder.path(), 300_000)).expect("there");
    fork(fixture.folder.path(), &one(), &folder.path().join("a/b/fork"), |_| {}).expect_err("a blob is gone");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
