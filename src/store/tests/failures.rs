//! What fails leaves nothing behind, and the store usable.

use tokio::sync::oneshot;

use super::*;
use crate::store::change::Change;
use crate::store::folder::{Event, Folder};
use crate::store::job::Reply;
use crate::store::open::{find_snapshots, open_index};
use crate::store::shared::Shared;
use crate::store::writer::{self, Settings};

#[tokio::test]
async fn a_full_index_refuses_and_recovers() {
    let fixture = Fixture::new().await;
    fixture.put("before", b"x").await;
    // The statement cannot make the file smaller than it is: this is "not one page more".
    fixture.sql("PRAGMA max_page_count = 1").await;
    let body = pattern(60_000);
    let put = |name| fixture.put_if(name, &body, WriteConditions::default());
    let (a, b, c) = tokio::join!(put("a"), put("b"), put("c"));
    for outcome in [a, b, c] {
        assert!(matches!(outcome, Err(Error::Full { .. })), "{outcome:?}");
    }
    assert_eq!(fixture.keys(&scan_all()), ["before"]);
    assert_eq!(fixture.get("before").await.expect("an object"), b"x");
    assert!(fixture.delete("before", false).await, "deleting works on a full disk");

    fixture.sql("PRAGMA max_page_count = 1000000").await;
    fixture.put("after", &body).await;
    let fixture = fixture.reopened().await;
    assert_eq!(fixture.keys(&scan_all()), ["after"]);
}

#[tokio::test]
async fn the_reserve_refuses_bytes_and_lets_deletions_through() {
    let fixture = Fixture::new().await;
    fixture.put("a", &pattern(100_000)).await;
    let options = Options { reserve_bytes: u64::MAX, ..fixture.options.clone() };
    let fixture = Fixture { options, ..fixture }.reopened().await;
    for size in [10, 100_000, 2_000_000] {
        let mut staging = fixture.store.stage(&[], None);
        let written = staging.write(pattern(size).into()).await;
        let staged = match written {
            Ok(()) => staging.finish().await.map(drop),
            refused => refused,
        };
        assert!(matches!(staged, Err(Error::Full { reserve_bytes: u64::MAX, .. })), "{size}");
    }
    let copied = fixture.copy("a", "b").await;
    assert!(matches!(copied, Err(Error::Full { .. })));
    assert!(fixture.get("a").await.is_some(), "reading works");
    assert!(fixture.delete("a", false).await);
    fixture.swept_to(0).await;
}

#[test]
fn room_within_the_index_counts_for_the_index_and_what_its_log_will_need_for_nobody() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let space = rustix::fs::statvfs(temporary.path()).expect("a file system");
    // Others use the disk too: the numbers are far enough apart for that.
    let available = space.f_bavail * space.f_frsize;
    let options = Options { reserve_bytes: available * 2, ..Options::new(temporary.path()) };
    let folder = Folder::open(&options).expect("a new folder");
    folder.check_index_room(0).expect_err("the reserve is not there");
    folder.note_index(available * 4, 0);
    folder.check_index_room(available).expect("the index has so much within");
    folder.check_room(0).expect_err("files have not");
    folder.note_index(available * 8, available);
    folder.check_index_room(0).expect_err("not even the log would fit");
}

#[tokio::test]
async fn what_is_written_to_the_index_alone_needs_room_there_alone() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"x").await;
    let space = rustix::fs::statvfs(fixture.folder.path()).expect("a file system");
    let available = space.f_bavail * space.f_frsize;
    let options = Options { reserve_bytes: available * 2, ..fixture.options.clone() };
    let fixture = Fixture { options, ..fixture }.reopened().await;
    let update = UpdateObject {
        bucket: bucket(),
        key: key("a"),
        metadata: Metadata::default(),
        conditions: WriteConditions::default(),
    };
    let refused = fixture.store.update_object(update.clone()).await;
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    // The writer notes what room there is after each group, and the sweep of the start is one.
    let begun = std::time::Instant::now();
    loop {
        fixture.store.0.shared.folder.note_index(available * 4, 0);
        let updated = fixture.store.update_object(update.clone()).await;
        if updated.is_ok() {
            return;
        }
        assert!(matches!(updated, Err(Error::Full { .. })) && begun.elapsed().as_secs() < 60, "{updated:?}");
    }
}

#[test]
fn a_full_disk_is_told_apart_from_other_errors_of_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::open(&Options::new(folder.path())).expect("a new folder");
    let explained = |kind: std::io::ErrorKind| folder.explain(folder.root(), kind.into());
    assert!(matches!(explained(std::io::ErrorKind::StorageFull), Error::Full { .. }));
    assert!(matches!(explained(std::io::ErrorKind::QuotaExceeded), Error::Full { .. }));
    assert!(matches!(explained(std::io::ErrorKind::PermissionDenied), Error::File { .. }));
    let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None);
    assert!(matches!(folder.explain_index(full.into()), Error::Full { .. }));
    let busy = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None);
    assert!(matches!(folder.explain_index(busy.into()), Error::Index(_)));
    // What gives room back gets the ballast for these.
    for (code, may_lack_room) in [
        (rusqlite::ffi::SQLITE_FULL, true),
        (rusqlite::ffi::SQLITE_IOERR_WRITE, true), // EDQUOT
        (rusqlite::ffi::SQLITE_BUSY, false),
        (rusqlite::ffi::SQLITE_READONLY, false),
    ] {
        let failed = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert_eq!(folder.explain_index(failed.into()).may_lack_room(), may_lack_room, "{code}");
    }
}

fn commit(change: &mut Change, group: Vec<Job>) {
    writer::commit(change, group, &mut None);
}

/// A writer without its thread, so that a test decides which jobs share a group.
struct Bench {
    change: Change,
    shared: Arc<Shared>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let options = Options { reserve_bytes: 0, ..Options::new(temporary.path()) };
        let folder = Folder::open(&options).expect("a new folder");
        let index = open_index(&folder).expect("a new index");
        let sequence = index.facts.sequence;
        let (connection, mark) = index.begin(&folder).expect("room");
        let (snapshots, _) = find_snapshots(&folder).expect("no snapshots");
        let shared = Shared::new(folder, snapshots, sequence, VerifyReads::Off, 0);
        let settings = Settings { sequence, clock: options.clock };
        let change = Change::new(connection, Arc::clone(&shared), settings, mark);
        Self { change, shared, _folder: temporary }
    }

    async fn put(&self, name: &str, size: usize) -> (Job, oneshot::Receiver<Result<Object, Error>>) {
        let mut staging = Staging::new(Arc::clone(&self.shared), 1000, &[], None);
        staging.write(pattern(size).into()).await.expect("room");
        let put = PutObject {
            bucket: bucket(),
            key: key(name),
            staged: staging.finish().await.expect("room"),
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: owner(),
            checksum: None,
            conditions: if_none_match_any(),
        };
        let (reply, answer) = oneshot::channel();
        (Job::PutObject(Box::new(put), reply), answer)
    }

    fn create_bucket(&mut self) {
        let (reply, mut answer): (Reply<Bucket>, _) = oneshot::channel();
        let new = NewBucket { name: bucket(), region: "us-east-1".to_owned(), owner: owner() };
        commit(&mut self.change, vec![Job::CreateBucket(new, reply)]);
        answer.try_recv().expect("answered").expect("a new bucket");
    }

    fn found(&self, name: &str) -> bool {
        let found = object::find(&self.shared, &bucket(), &key(name), None).expect("the index answers");
        matches!(found, Lookup::Here(..))
    }

    fn blob_files(&self) -> usize {
        let shelves = std::fs::read_dir(self.shared.folder.blobs()).expect("a folder");
        shelves.filter_map(Result::ok).filter_map(|it| std::fs::read_dir(it.path()).ok()).flatten().count()
    }
}

#[tokio::test]
async fn a_job_that_fails_changes_nothing_for_the_others_of_its_group() {
    let mut bench = Bench::new();
    bench.create_bucket();
    let (first, mut first_answer) = bench.put("a", 10).await;
    let (second, mut second_answer) = bench.put("a", 10).await;
    let (third, mut third_answer) = bench.put("b", 10).await;
    commit(&mut bench.change, vec![first, second, third]);
    let first = first_answer.try_recv().expect("answered").expect("it was the first");
    let second = second_answer.try_recv().expect("answered");
    assert!(matches!(second, Err(Error::Condition(_))));
    let third = third_answer.try_recv().expect("answered").expect("it has nothing to do with the others");
    assert!(third.generation > first.generation);
    assert!(bench.found("a") && bench.found("b"));
}

/// Makes every commit fail that wrote the object `poison`, by a constraint that SQLite checks only then.
const POISON: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER poison AFTER INSERT ON object WHEN NEW.key = x'706f69736f6e'
    BEGIN INSERT INTO child (id) VALUES (99); END;
    PRAGMA foreign_keys = ON;";

#[tokio::test]
async fn a_commit_that_fails_is_the_answer_to_every_job_of_its_group() {
    let mut bench = Bench::new();
    bench.create_bucket();
    bench.change.connection().execute_batch(POISON).expect("valid SQL");
    let (first, mut first_answer) = bench.put("a", 10).await;
    let (large, mut large_answer) = bench.put("large", 100_000).await;
    let (poison, mut poison_answer) = bench.put("poison", 10).await;
    let (refused, mut refused_answer) = bench.put("a", 10).await;
    commit(&mut bench.change, vec![first, large, poison, refused]);
    for answer in [&mut first_answer, &mut large_answer, &mut poison_answer, &mut refused_answer] {
        let answer = answer.try_recv().expect("answered");
        assert!(matches!(answer, Err(Error::Index(_))), "{answer:?}");
    }
    assert!(!bench.found("a") && !bench.found("large") && !bench.found("poison"));
    let work = bench.shared.pins.next(std::time::Duration::ZERO);
    assert!(work.discarded.is_empty(), "the file waits until the next commit settles the matter");
    assert_eq!(bench.blob_files(), 1);

    let (again, mut again_answer) = bench.put("a", 10).await;
    commit(&mut bench.change, vec![again]);
    again_answer.try_recv().expect("answered").expect("the store is usable");
    assert!(bench.found("a"));
    let work = bench.shared.pins.next(std::time::Duration::ZERO);
    assert_eq!(work.discarded.len(), 1, "now the file may go");
}

#[tokio::test]
async fn a_bucket_that_was_written_to_since_it_was_found_empty_is_not_deleted() {
    let mut bench = Bench::new();
    bench.create_bucket();
    let delete = |bench: &mut Bench, looked| {
        let (reply, mut answer) = oneshot::channel();
        commit(&mut bench.change, vec![Job::DeleteBucket(bucket(), looked, reply)]);
        answer.try_recv().expect("answered").expect("no upload is in progress")
    };
    let sequence = |bench: &Bench| {
        let connection = bench.change.connection();
        connection
            .query_row("SELECT value FROM counter WHERE name = 'sequence'", [], |row| row.get(0))
            .map(i64::unsigned_abs)
    };
    let before = sequence(&bench).expect("a number");
    let (put, mut written) = bench.put("a", 10).await;
    commit(&mut bench.change, vec![put]);
    written.try_recv().expect("answered").expect("written");
    assert!(!delete(&mut bench, before), "it was looked at before");
    assert!(bench.found("a"));
    // Somebody looks again, and what was there is gone.
    bench.change.connection().execute_batch("DELETE FROM object").expect("valid SQL");
    let now = sequence(&bench).expect("a number");
    assert!(delete(&mut bench, now));
}

#[tokio::test]
async fn what_is_answered_was_synced_before_its_row_was_committed() {
    let mut bench = Bench::new();
    bench.create_bucket();
    let folder = bench.shared.folder.root().to_owned();
    let written = |bench: &Bench| std::mem::take(&mut *bench.shared.folder.events.lock().expect("no panic"));
    assert!(written(&bench).contains(&Event::Folder(folder.clone())), "the folder that was just made");

    let (put, mut answer) = bench.put("large", 100_000).await;
    let events = written(&bench);
    let [Event::File(file), folders @ ..] = &events[..] else { panic!("{events:?}") };
    assert!(file.starts_with(folder.join("staging")), "synced before it is moved: {file:?}");
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let shelf = folder.join("blobs").join(&name[name.len() - 2..]);
    assert!(shelf.join(name).exists());
    for synced in [&shelf, &folder.join("blobs")] {
        assert!(folders.contains(&Event::Folder(synced.clone())), "{synced:?} is not in {folders:?}");
    }
    answer.try_recv().expect_err("nothing is committed");
    commit(&mut bench.change, vec![put]);
    answer.try_recv().expect("answered").expect("written");
    assert_eq!(written(&bench), [Event::Commit]);
    let full: i64 = 2;
    let synchronous = bench.change.connection().query_row("PRAGMA synchronous", [], |row| row.get(0));
    assert_eq!(synchronous, Ok(full));
    let mode = bench.change.connection().query_row("PRAGMA journal_mode", [], |row| row.get(0));
    assert_eq!(mode, Ok("wal".to_owned()));
}

#[test]
fn a_shelf_that_somebody_else_made_is_synced_once_and_so_is_what_is_above_a_new_folder() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let root = temporary.path().join("above").join("data");
    let folder = Folder::open(&Options::new(&root)).expect("a new folder");
    let synced = || std::mem::take(&mut *folder.events.lock().expect("no panic"));
    let above = [root.clone(), temporary.path().join("above"), temporary.path().to_owned()];
    assert_eq!(synced(), above.map(Event::Folder));

    let names: Vec<_> = (0..257).map(|_| folder.new_name()).collect();
    assert_eq!(names[0].shelf(), names[256].shelf());
    let shelf = folder.shelf_path(&names[0]);
    // As by a thread that has made it and not yet synced what it is in.
    std::fs::create_dir(&shelf).expect("writable");
    for (name, expected) in [(0, vec![shelf.clone(), folder.blobs()]), (256, vec![shelf.clone()])] {
        std::fs::write(folder.staging_path(&names[name]), "bytes").expect("writable");
        folder.place(&names[name]).expect("placed");
        let expected: Vec<_> = expected.into_iter().map(Event::Folder).collect();
        assert_eq!(synced(), expected);
    }
    drop(folder);
    let again = Folder::open(&Options::new(&root)).expect("a folder");
    assert_eq!(again.events.lock().expect("no panic")[..], [Event::Folder(root)]);
}

#[tokio::test]
async fn health_is_good_while_the_store_serves() {
    let fixture = Fixture::new().await;
    fixture.store.health().await.expect("it serves");
    assert_eq!(fixture.files(), 0, "nothing is left of the look");
}
