//! Mistakes with the files of a folder: an index that is missing, older, another stage's, or without its
//! log. It is refused by name, and no blob is lost whatever is done about it.

use std::path::Path;

use super::folder::crash_image;
use super::*;
use crate::model::SnapshotName;
use crate::store::fsck::{self, Check, Finding};
use crate::store::transfer;

const SIZES: [usize; 3] = [100_000, 110_000, 120_000];

/// A stage with a blob for each of these, named by its size.
async fn stage(sizes: &[usize]) -> Fixture {
    let fixture = Fixture::new().await;
    put_all(&fixture, sizes).await;
    fixture
}

async fn put_all(fixture: &Fixture, sizes: &[usize]) {
    for size in sizes {
        fixture.put(&size.to_string(), &pattern(*size)).await;
    }
}

async fn has_all(fixture: &Fixture, sizes: &[usize]) {
    for size in sizes {
        assert!(fixture.get(&size.to_string()).await.expect("an object") == pattern(*size));
    }
}

/// What `kill -9` would leave of a stage.
fn killed(fixture: &Fixture) -> (tempfile::TempDir, Options) {
    let image = tempfile::tempdir().expect("a temporary folder");
    crash_image(fixture.folder.path(), image.path());
    let options = Options { data_dir: image.path().to_owned(), ..fixture.options.clone() };
    (image, options)
}

async fn stopped(fixture: Fixture) -> (tempfile::TempDir, Options) {
    fixture.store.close().await;
    let Fixture { folder, options, .. } = fixture;
    (folder, options)
}

/// The sizes of all files below a folder of the data folder.
fn sizes_below(folder: &Path) -> Vec<u64> {
    let mut sizes = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata().expect("there") {
            found if found.is_dir() => sizes.extend(sizes_below(&entry.path())),
            found => sizes.push(found.len()),
        }
    }
    sizes.sort_unstable();
    sizes
}

fn bytes_of(sizes: &[usize]) -> Vec<u64> {
    sizes.iter().map(|size| *size as u64).collect()
}

/// Opening is refused, twice, and changes no file.
fn refused(options: &Options) -> OpenError {
    let files = |folder: &Path| {
        let names = ["index.sqlite", "index.sqlite-wal", "blobs.mark"].map(|name| folder.join(name));
        names.map(|path| std::fs::read(path).ok())
    };
    let before = files(&options.data_dir);
    let first = Store::open(options.clone()).expect_err("the index is not the right one");
    let second = Store::open(options.clone()).expect_err("it still is not");
    assert_eq!(first.to_string(), second.to_string());
    assert!(before == files(&options.data_dir), "{first}");
    let checked = fsck::run(&options.data_dir, Check { repair: true, ..Check::default() }, |_| {});
    assert!(checked.is_err(), "{first}: fsck takes it");
    first
}

fn doubt(error: OpenError) -> Doubt {
    let message = error.to_string();
    let OpenError::Doubtful { doubt, .. } = error else { panic!("{message}") };
    assert!(message.contains("fsck --accept-older-index") && message.contains("quarantine/"), "{message}");
    doubt
}

/// Takes the index as it is: what it names is served, everything else is in quarantine and stays there until
/// it is removed on purpose.
async fn accepted(folder: tempfile::TempDir, options: Options, named: &[usize], aside: &[u64]) {
    let path = folder.path();
    let taken = fsck::accept_index(path).expect("accepted").expect("it was in doubt");
    assert_eq!(taken.moved, aside.len());
    assert!(fsck::accept_index(path).expect("accepted").is_none(), "there is no doubt any more");
    assert_eq!(sizes_below(&path.join("quarantine")), aside);
    let store = Store::open(options.clone()).expect("it opens");
    let fixture = Fixture { store, options, folder };
    has_all(&fixture, named).await;
    fixture.swept_to(named.len()).await;
    assert!(fixture.put("new", b"x").await.generation > 1 << 20, "numbers are not given out again");
    let (folder, options) = stopped(fixture.reopened().await).await;
    let path = folder.path();
    let report =
        fsck::run(path, Check { verify_digests: true, ..Check::default() }, |_| {}).expect("checked");
    assert_eq!(report.findings, []);
    assert_eq!(report.quarantined.iter().map(|file| file.bytes).sum::<u64>(), aside.iter().sum::<u64>());
    assert_eq!(report.quarantined.len(), aside.len());
    assert_eq!(fsck::empty_quarantine(path).expect("removed").len(), aside.len());
    let report = fsck::run(path, Check::default(), |_| {}).expect("checked");
    assert_eq!((report.findings, report.quarantined), (vec![], vec![]));
    drop(options);
}

#[tokio::test]
async fn a_folder_with_blobs_and_no_index_is_refused() {
    let (folder, options) = stopped(stage(&SIZES).await).await;
    let index = folder.path().join("index.sqlite");
    let bytes = std::fs::read(&index).expect("an index");
    // Also without the mark, as in a folder of an earlier version; and an empty file is no index.
    for (has_mark, is_empty) in [(true, false), (true, true), (false, false), (false, true)] {
        std::fs::remove_file(&index).expect("there");
        if is_empty {
            std::fs::write(&index, "").expect("writable");
        }
        if !has_mark {
            drop(std::fs::remove_file(folder.path().join("blobs.mark")));
        }
        let error = refused(&options);
        assert!(matches!(error, OpenError::NoIndex(_)), "{error}");
        assert_eq!(sizes_below(&folder.path().join("blobs")), bytes_of(&SIZES));
        std::fs::write(&index, &bytes).expect("writable");
    }
    let fixture = Fixture { store: Store::open(options.clone()).expect("it is back"), options, folder };
    has_all(&fixture, &SIZES).await;
}

#[tokio::test]
async fn an_index_of_a_kill_without_its_log_is_refused() {
    for inline_only in [false, true] {
        let fixture = Fixture::new().await.reopened().await;
        if inline_only {
            fixture.put("small", b"small").await;
        } else {
            put_all(&fixture, &SIZES).await;
        }
        let (folder, options) = killed(&fixture);
        let log = folder.path().join("index.sqlite-wal");
        let bytes = std::fs::read(&log).expect("a log");
        std::fs::remove_file(&log).expect("there");
        assert_eq!(doubt(refused(&options)), Doubt::LogMissing, "inline only: {inline_only}");
        std::fs::write(&log, bytes).expect("writable");
        let fixture = Fixture { store: Store::open(options.clone()).expect("it is back"), options, folder };
        if inline_only {
            assert_eq!(fixture.get("small").await.expect("an object"), b"small");
            continue;
        }
        has_all(&fixture, &SIZES).await;
        let (folder, options) = killed(&fixture);
        std::fs::remove_file(folder.path().join("index.sqlite-wal")).expect("there");
        assert_eq!(doubt(refused(&options)), Doubt::LogMissing);
        accepted(folder, options, &[], &bytes_of(&SIZES)).await;
    }
}

#[tokio::test]
async fn an_earlier_copy_of_the_index_is_refused_after_a_stop_and_after_a_kill() {
    for is_killed in [false, true] {
        let (folder, options) = stopped(stage(&SIZES[..1]).await).await;
        let copy = std::fs::read(folder.path().join("index.sqlite")).expect("an index");
        let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
        put_all(&fixture, &SIZES[1..]).await;
        let (folder, options) = if is_killed { killed(&fixture) } else { stopped(fixture).await };
        std::fs::write(folder.path().join("index.sqlite"), copy).expect("writable");
        if is_killed {
            // With the log, which is of a later time, nobody can tell whether it is older than its base.
            std::fs::remove_file(folder.path().join("index.sqlite-wal")).expect("there");
        }
        let expected = matches!(doubt(refused(&options)), Doubt::Older { .. } | Doubt::LogMissing);
        assert!(expected, "killed: {is_killed}");
        accepted(folder, options, &SIZES[..1], &bytes_of(&SIZES[1..])).await;
    }
}

#[tokio::test]
async fn an_earlier_copy_of_the_index_is_not_mixed_with_a_later_log() {
    let (folder, options) = stopped(stage(&SIZES[..1]).await).await;
    let copy = std::fs::read(folder.path().join("index.sqlite")).expect("an index");
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    put_all(&fixture, &SIZES[1..2]).await;
    let fixture = fixture.reopened().await;
    put_all(&fixture, &SIZES[2..]).await;
    let (folder, options) = killed(&fixture);
    std::fs::write(folder.path().join("index.sqlite"), copy).expect("writable");
    let log_bytes = std::fs::metadata(folder.path().join("index.sqlite-wal")).expect("a log").len();
    assert_eq!(doubt(refused(&options)), Doubt::OlderThanLog);
    let mut aside = bytes_of(&SIZES[1..]);
    aside.push(log_bytes);
    aside.sort_unstable();
    accepted(folder, options, &SIZES[..1], &aside).await;
}

/// How many commits are in the index file itself, as the mark says.
fn noted_base(folder: &Path) -> u64 {
    let mark = std::fs::read_to_string(folder.join("blobs.mark")).expect("a mark");
    let base = mark.lines().find_map(|line| line.strip_prefix("base "));
    base.and_then(|base| base.parse().ok()).expect("it is in every mark")
}

#[tokio::test]
async fn an_earlier_copy_is_refused_too_where_sqlite_has_copied_the_log_by_itself() {
    let (folder, options) = stopped(stage(&SIZES[..1]).await).await;
    let copy = std::fs::read(folder.path().join("index.sqlite")).expect("an index");
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    let before = noted_base(fixture.folder.path());
    fixture.sql("PRAGMA wal_autocheckpoint = 1").await;
    put_all(&fixture, &SIZES[1..]).await;
    // A reader may hold a copy up, but not every one of them.
    for number in 0..1000 {
        if noted_base(fixture.folder.path()) > before {
            break;
        }
        fixture.put(&format!("more {number}"), b"x").await;
    }
    let (folder, options) = killed(&fixture);
    std::fs::write(folder.path().join("index.sqlite"), copy).expect("writable");
    assert_eq!(doubt(refused(&options)), Doubt::OlderThanLog);
}

#[tokio::test]
async fn the_index_of_another_stage_is_refused_and_a_fork_is_another_stage() {
    let fixture = stage(&SIZES).await;
    let one = SnapshotName::parse("one").expect("a name");
    fixture.store.create_snapshot(one.clone()).await.expect("taken");
    let to = fixture.folder.path().join("fork");
    transfer::fork(fixture.folder.path(), &one, &to, |_| {}).expect("forked");
    let fork_options = Options { data_dir: to.clone(), ..fixture.options.clone() };
    let fork = Store::open(fork_options.clone()).expect("a stage");
    fork.close().await;
    drop(fork);
    let other = std::fs::read(to.join("index.sqlite")).expect("an index");
    let (folder, options) = stopped(fixture).await;
    std::fs::write(folder.path().join("index.sqlite"), other).expect("writable");
    assert!(matches!(doubt(refused(&options)), Doubt::Another { .. }));
    // Its snapshots are the first stage's, and an id is not the same in both.
    let mixed = fsck::accept_index(folder.path()).expect_err("there is a snapshot");
    assert!(mixed.to_string().contains("one.sqlite"), "{mixed}");
    assert_eq!(sizes_below(&folder.path().join("blobs")), bytes_of(&SIZES));
    assert!(matches!(doubt(refused(&options)), Doubt::Another { .. }));
    std::fs::rename(folder.path().join("snapshots/one.sqlite"), folder.path().join("away")).expect("our own");
    fsck::accept_index(folder.path()).expect("accepted").expect("it was in doubt");
}

#[tokio::test]
async fn a_mark_that_is_damaged_is_refused_and_one_that_is_missing_is_made_anew() {
    let (folder, options) = stopped(stage(&SIZES).await).await;
    let mark = folder.path().join("blobs.mark");
    let text = std::fs::read_to_string(&mark).expect("a mark");
    std::fs::write(&mark, text.replace("commits 0", "commits 9")).expect("writable");
    assert!(matches!(doubt(refused(&options)), Doubt::BadMark(_)));
    std::fs::remove_file(&mark).expect("there");
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    has_all(&fixture, &SIZES).await;
    assert!(mark.exists());
}

#[tokio::test]
async fn backups_of_the_files_of_a_folder_are_stages_or_are_refused() {
    // Of a stopped stage, of a killed one, and of one that somebody has looked at with SQLite since.
    let fixture = stage(&SIZES).await.reopened().await;
    put_all(&fixture, &[130_000]).await;
    let (image, options) = killed(&fixture);
    let fixture =
        Fixture { store: Store::open(options.clone()).expect("with its log"), options, folder: image };
    has_all(&fixture, &SIZES).await;
    has_all(&fixture, &[130_000]).await;

    put_all(&fixture, &[140_000]).await;
    let (image, options) = killed(&fixture);
    let looked_at = rusqlite::Connection::open(image.path().join("index.sqlite")).expect("an index");
    let objects: i64 =
        looked_at.query_row("SELECT count(*) FROM object", [], |row| row.get(0)).expect("rows");
    drop(looked_at);
    assert_eq!(objects, 5);
    assert!(!image.path().join("index.sqlite-wal").exists(), "SQLite has copied it into the index");
    let fixture =
        Fixture { store: Store::open(options.clone()).expect("nothing is lost"), options, folder: image };
    has_all(&fixture, &[130_000, 140_000]).await;

    let (folder, options) = stopped(fixture).await;
    let copy = tempfile::tempdir().expect("a temporary folder");
    crash_image(folder.path(), copy.path());
    let options = Options { data_dir: copy.path().to_owned(), ..options };
    let fixture = Fixture { store: Store::open(options.clone()).expect("a stage"), options, folder: copy };
    has_all(&fixture, &SIZES).await;
    fixture.swept_to(5).await;
}

#[tokio::test]
async fn a_backup_that_is_put_back_over_a_newer_folder_loses_no_blob() {
    let (folder, options) = stopped(stage(&SIZES[..2]).await).await;
    let backup = tempfile::tempdir().expect("a temporary folder");
    crash_image(folder.path(), backup.path());
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    put_all(&fixture, &SIZES[2..]).await;
    let (folder, options) = stopped(fixture).await;
    // The mark comes back with the index, so that nothing is noticed; but the index knows no such run.
    crash_image(backup.path(), folder.path());
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    has_all(&fixture, &SIZES[..2]).await;
    fixture.files_become(2).await;
    eventually(|| sizes_below(&fixture.folder.path().join("quarantine")) == bytes_of(&SIZES[2..])).await;
}

#[tokio::test]
async fn blobs_of_an_unknown_run_or_of_a_higher_number_are_moved_aside_and_others_are_removed() {
    let (folder, options) = stopped(stage(&SIZES).await).await;
    let blob = super::fsck::blob_of(folder.path(), 120_000);
    let name = blob.file_name().expect("a name").to_str().expect("text").to_owned();
    let (run, _) = name.split_at(16);
    let write = |name: &str| {
        let shelf = folder.path().join("blobs").join(&name[26..]);
        std::fs::create_dir_all(&shelf).expect("writable");
        std::fs::write(shelf.join(name), name).expect("writable");
    };
    let higher = format!("{run}{:012x}", 3);
    let unknown = format!("{}{:012x}", "ab".repeat(8), 0);
    write(&higher);
    write(&unknown);
    let index = rusqlite::Connection::open(folder.path().join("index.sqlite")).expect("an index");
    // As if it had been swept: the index has made it, and nothing refers to it.
    index.execute("DELETE FROM blob WHERE name = ?1", [&name]).expect("valid SQL");
    drop(index);
    let report = fsck::run(folder.path(), Check::default(), |_| {}).expect("checked");
    let found = |finding: &dyn Fn(&Finding) -> bool| report.findings.iter().filter(|it| finding(it)).count();
    assert_eq!(found(&|it| matches!(it, Finding::UnknownFile { .. })), 2);
    assert_eq!(found(&|it| matches!(it, Finding::OrphanedFile { .. })), 1);

    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    fixture.files_become(2).await;
    eventually(|| sizes_below(&fixture.folder.path().join("quarantine")).len() == 2).await;
    for name in [higher, unknown] {
        assert!(fixture.folder.path().join("quarantine").join(&name).exists(), "{name}");
    }
}

#[tokio::test]
async fn what_a_crash_leaves_is_removed_however_many_blobs_a_run_has_made() {
    let fixture = Fixture::new().await;
    // More than the index knows names in advance.
    for number in 0..100 {
        fixture.put(&number.to_string(), &pattern(70_000)).await;
    }
    let orphan = fixture.stage(&pattern(80_000)).await;
    let (folder, options) = killed(&fixture);
    drop(orphan);
    let fixture = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder };
    fixture.swept_to(100).await;
    assert_eq!(sizes_below(&fixture.folder.path().join("quarantine")), Vec::<u64>::new());
}

#[tokio::test]
async fn a_folder_whose_lock_file_was_deleted_is_still_served_by_one_process() {
    let fixture = Fixture::new().await;
    let lock = fixture.folder.path().join("lock");
    for is_there_again in [false, true] {
        std::fs::remove_file(&lock).expect("there");
        if is_there_again {
            std::fs::write(&lock, "").expect("writable");
        }
        let second = Store::open(fixture.options.clone()).expect_err("it is in use");
        assert!(matches!(second, OpenError::Locked { pid: None, .. }), "{second}");
        std::fs::write(&lock, "").expect("writable");
    }
    fixture.reopened().await;
}

#[tokio::test]
async fn everything_in_a_folder_is_its_owners_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;

    fn walk(path: &Path, seen: &mut Vec<String>) {
        let mode = std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
        seen.push(path.display().to_string());
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), seen);
        }
    }

    // Other tests of this process make files under it, too, which does them no harm.
    let usual = rustix::process::umask(rustix::fs::Mode::empty());
    let fixture = Fixture::with(|options| {
        options.data_dir = options.data_dir.join("data");
        options.durability = Durability::Synced;
    })
    .await;
    put_all(&fixture, &SIZES).await;
    let one = SnapshotName::parse("one").expect("a name");
    fixture.store.create_snapshot(one.clone()).await.expect("taken");
    fixture.delete("100000", false).await;
    fixture.store.restore_snapshot(one.clone()).await.expect("restored");
    let mut staging = fixture.store.stage(&[], None);
    staging.write(pattern(2_000_000).into()).await.expect("room");
    let data = &fixture.options.data_dir;
    let to = fixture.folder.path().join("fork");
    transfer::fork(data, &one, &to, |_| {}).expect("forked");
    let mut exported = Vec::new();
    transfer::export(data, &one, &mut exported, |_| {}).expect("exported");
    let imported = fixture.folder.path().join("imported");
    transfer::import(&exported[..], &imported, |_| {}).expect("imported");
    rustix::process::umask(usual);
    let mut seen = Vec::new();
    for folder in [data, &to, &imported] {
        walk(folder, &mut seen);
    }
    for name in ["index.sqlite-wal", "index.sqlite-shm", "one.sqlite", "blobs.mark", "lock"] {
        assert!(seen.iter().any(|path| path.ends_with(name)), "{name}: {seen:?}");
    }
}
