//! Nothing that a client asks for changes many rows in one transaction, however large it is.
//!
//! In tests every job is compared with what it says that it changes at most (`Job::rows`), and that with
//! the bound. So each test of the store is one of this too; here every kind of job has its large input,
//! and none can be forgotten. What is prepared and given up leaves nothing behind.

use super::folder::crash_image;
use super::uploads::{begin, completion, copy_part, put_part};
use super::*;
use crate::store::assembly::ROWS_AT_ONCE;
use crate::store::fsck::{self, Check};
use crate::store::hold::Kind;

/// More than any step does at once: of deletions, evictions, digests, sweeps and prepared rows.
const MANY: u16 = 600;

/// An object of so many segments.
async fn multi(fixture: &Fixture, name: &str, parts: u16) -> Object {
    let upload = begin(fixture, name, None).await;
    let mut uploaded = Vec::new();
    for number in 1..=parts {
        uploaded.push(put_part(fixture, &upload, number, format!("{number:010}").as_bytes()).await);
    }
    let uploaded: Vec<_> = uploaded.iter().collect();
    fixture.store.complete_upload(completion(&upload, &uploaded)).await.expect("complete")
}

async fn compose(fixture: &Fixture, sources: &[&str], to: &str) -> Result<Object, Error> {
    compose_if(fixture, sources, to, WriteConditions::default()).await
}

async fn compose_if(
    fixture: &Fixture,
    sources: &[&str],
    to: &str,
    conditions: WriteConditions,
) -> Result<Object, Error> {
    let open = |name: &&str| match fixture.find(name) {
        Lookup::Here(object, content) => (object, content),
        Lookup::Absent | Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => {
            panic!("there is no {name}")
        }
    };
    let compose = ComposeObject {
        bucket: bucket(),
        key: key(to),
        metadata: Metadata::default(),
        tags: Tags::default(),
        owner: owner(),
        sources: sources.iter().map(open).collect(),
        md5: [7; 16],
        conditions,
    };
    fixture.store.compose_object(compose).await
}

fn count(fixture: &Fixture, sql: &str) -> i64 {
    let read = |connection: &rusqlite::Connection| Ok(connection.query_row(sql, [], |row| row.get(0))?);
    fixture.store.0.shared.readers.read(read).expect("the index answers")
}

fn segments_of(fixture: &Fixture, name: &str) -> i64 {
    let Lookup::Here(object, _) = fixture.find(name) else { panic!("{name} is not there") };
    count(fixture, &format!("SELECT count(*) FROM segment WHERE content_id = {}", object.content_id))
}

fn names(prefix: &str) -> Vec<ObjectKey> {
    (0..MANY).map(|number| key(&format!("{prefix}{number:05}"))).collect()
}

fn deletions(names: &[ObjectKey]) -> Vec<DeleteObject> {
    names.iter().map(|name| deletion(name.as_str(), true)).collect()
}

/// Has a kind of job done for as large an input as there is; nothing for what has one size.
async fn do_much(fixture: &Fixture, kind: Kind) {
    match kind {
        Kind::DeleteObjects => delete_many(fixture).await,
        Kind::Undelete => undelete_many(fixture).await,
        Kind::NoteUsed | Kind::Evict => use_and_evict_many(fixture).await,
        Kind::SetDigests => set_digests_many(fixture).await,
        Kind::CompleteUpload | Kind::AddToContent => complete_many(fixture).await,
        Kind::CopyPart => copy_a_part_many(fixture).await,
        Kind::ComposeObject => compose_pieces_many(fixture).await,
        Kind::MoveObject => move_one(fixture).await,
        Kind::AbortUpload => abort_many(fixture).await,
        Kind::DeleteBucket => delete_bucket_many(fixture).await,
        Kind::AddInventory | Kind::KeepImport => import_many(fixture).await,
        Kind::SetUnderTest => {
            let names = (0..100).map(|number| format!("firefox-{number}.0")).collect();
            fixture.store.set_under_test(names).await.expect("kept");
        }
        Kind::Sweep => sweep_all(fixture).await,
        // Of one size, no job, or administrative: these are not compared with the bound.
        Kind::CreateBucket
        | Kind::PutObject
        | Kind::CacheObject
        | Kind::CopyObject
        | Kind::SetTags
        | Kind::UpdateObject
        | Kind::CreateUpload
        | Kind::PutPart
        | Kind::BeginContent
        | Kind::AddTally
        | Kind::CoverInventory
        | Kind::BeginImport
        | Kind::DropInventory
        | Kind::KeepCrawl
        | Kind::PrepareRestore
        | Kind::Restore
        | Kind::Other
        | Kind::Commit
        | Kind::Checkpoint
        | Kind::Transaction => {}
    }
}

async fn move_one(fixture: &Fixture) {
    fixture.put("moved from", b"x").await;
    fixture.store.move_object(copy_of("moved from", "moved to"), true).await.expect("moved");
}

async fn delete_many(fixture: &Fixture) {
    for name in names("deleted/") {
        fixture.put(name.as_str(), b"x").await;
    }
    let gone = fixture.store.delete_objects(&bucket(), deletions(&names("deleted/"))).await.expect("deleted");
    assert_eq!(gone.len(), usize::from(MANY));
    assert!(gone.into_iter().all(|gone| gone.expect("no condition").existed));
}

async fn undelete_many(fixture: &Fixture) {
    fixture.store.delete_objects(&bucket(), deletions(&names("hidden/"))).await.expect("deleted");
    let had = fixture.store.undelete(&bucket(), names("hidden/")).await.expect("undeleted");
    assert!(had.len() == usize::from(MANY) && had.into_iter().all(|had| had));
}

async fn use_and_evict_many(fixture: &Fixture) {
    for name in names("cached/") {
        fixture.cache(name.as_str(), b"x").await;
    }
    let used = names("cached/").into_iter().map(|name| (bucket(), name)).collect();
    fixture.store.note_used(used).await.expect("noted");
    let gone = fixture.store.evict(None, Some(0)).await.expect("evicted");
    assert_eq!(gone.objects, u64::from(MANY));
}

async fn set_digests_many(fixture: &Fixture) {
    let object = multi(fixture, "copied", 2).await;
    for name in names("copy/") {
        fixture.copy("copied", name.as_str()).await.expect("there is a source");
    }
    let mut digester = crate::checksum::Digester::new(&[]);
    digester.update(b"00000000010000000002");
    fixture.store.set_digests(&object, &digester.finish()).await.expect("noted");
    let told = "SELECT count(*) FROM object WHERE md5 IS NOT NULL AND key >= x'636f70792f'
                AND key < x'636f707930'";
    assert_eq!(count(fixture, told), i64::from(MANY));
}

async fn complete_many(fixture: &Fixture) {
    multi(fixture, "large", MANY).await;
    assert_eq!(segments_of(fixture, "large"), i64::from(MANY));
    let Lookup::Here(_, content) = fixture.find("large") else { panic!("it was completed") };
    let last = content.part_range(PartNumber::new(MANY).expect("a number")).expect("an answer");
    assert_eq!(last.expect("a part").range.end, u64::from(MANY) * 10);
}

async fn copy_a_part_many(fixture: &Fixture) {
    let source = multi(fixture, "source", MANY).await;
    let bytes = fixture.get("source").await.expect("an object");
    let upload = begin(fixture, "target", None).await;
    let range = ByteRange { start: 5, end: source.size_bytes - 5 };
    let slice = &bytes[5..bytes.len() - 5];
    let part = copy_part(fixture, &upload, 1, source.generation, (range, slice)).await;
    fixture.store.complete_upload(completion(&upload, &[&part])).await.expect("complete");
    assert!(fixture.get("target").await.expect("an object") == slice);
}

async fn compose_pieces_many(fixture: &Fixture) {
    multi(fixture, "piece", MANY).await;
    compose(fixture, &["piece"; 3], "composed").await.expect("composed");
    let piece = fixture.get("piece").await.expect("an object");
    assert!(fixture.get("composed").await.expect("an object") == piece.repeat(3));
    assert_eq!(segments_of(fixture, "composed"), i64::from(MANY) * 3);
}

async fn abort_many(fixture: &Fixture) {
    let upload = begin(fixture, "aborted", None).await;
    for number in 1..=MANY {
        put_part(fixture, &upload, number, b"x").await;
    }
    fixture.store.abort_upload(&upload).await.expect("in progress");
}

async fn delete_bucket_many(fixture: &Fixture) {
    let another = NewBucket {
        name: BucketName::parse("another").expect("a name"),
        region: String::new(),
        owner: owner(),
    };
    fixture.store.create_bucket(another.clone()).await.expect("new");
    fixture.store.delete_objects(&another.name, deletions(&names("hidden/"))).await.expect("deleted");
    fixture.store.delete_bucket(&another.name).await.expect("nothing is in it");
    // Its rows may still be there: nobody sees them.
    fixture.store.create_bucket(another.clone()).await.expect("the name is free");
    let scan = Scan { tombstones: true, ..scan_all() };
    assert!(fixture.store.scan_objects(&another.name, &scan).expect("an answer").is_empty());
}

async fn import_many(fixture: &Fixture) {
    let row = |key| InventoryRow { key, size_bytes: 1, modified: None, etag: None, md5: None, crc32c: None };
    let rows: Vec<_> = names("pub/").into_iter().map(row).collect();
    fixture.store.add_inventory(&bucket(), rows.clone()).await.expect("added");
    let mut import = fixture.store.begin_import(&bucket(), "pub/".to_owned()).await.expect("begun");
    fixture.store.keep_import(&mut import, rows).await.expect("kept");
    fixture.store.end_import(import, Timestamp::from_seconds(1)).await.expect("ended");
    let (_, rows) = fixture.store.inventory_covers(&bucket()).expect("an answer");
    assert_eq!(rows, u64::from(MANY));
}

async fn sweep_all(fixture: &Fixture) {
    let all = fixture.store.scan_objects(&bucket(), &scan_all()).expect("an answer");
    let all: Vec<_> = all.into_iter().map(|listed| listed.key).collect();
    fixture.store.delete_objects(&bucket(), deletions(&all)).await.expect("deleted");
    fixture.store.drop_inventory(&bucket(), String::new()).await.expect("dropped");
    fixture.swept().await;
    for table in ["segment", "object_part", "part", "blob", "gone_upload", "gone_bucket"] {
        assert_eq!(count(fixture, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[tokio::test]
async fn whatever_a_client_asks_for_changes_few_rows_at_once() {
    let fixture = Fixture::with(|options| options.inline_max_bytes = 1 << 20).await;
    // The sweep is the last: it removes what all others made.
    for kind in Kind::ALL {
        do_much(&fixture, *kind).await;
    }
    let known: Vec<_> = fixture.store.holds().0.into_iter().map(|hold| hold.by).collect();
    for kind in Kind::ALL.iter().filter(|kind| !kind.is_administrative() && **kind != Kind::AddTally) {
        let name = kind.name();
        let of_one_size = ["set_tags", "update_object"];
        assert!(known.contains(&name) || of_one_size.contains(&name), "{name} was never done");
    }
    fixture.end_soundly().await;
}

#[tokio::test]
async fn an_object_that_would_have_too_many_segments_is_written_anew_as_far_as_need_be() {
    let fixture = Fixture::with(|options| {
        options.inline_max_bytes = 100;
        options.segments_max = 50;
    })
    .await;
    multi(&fixture, "short", 40).await;
    fixture.put("large", &pattern(5000)).await;
    let files = fixture.files();
    compose(&fixture, &["short", "large"], "few").await.expect("composed");
    assert_eq!((segments_of(&fixture, "few"), fixture.files()), (41, files), "no byte was moved");

    // Level upon level, as clients compose what is already composed.
    let mut expected = fixture.get("few").await.expect("an object");
    let mut from = "few".to_owned();
    for level in 0..4 {
        let to = format!("level {level}");
        compose(&fixture, &[&from, "large", &from, &from], &to).await.expect("composed");
        expected = [&expected[..], &pattern(5000), &expected, &expected].concat();
        let allowed = 50 + i64::try_from(expected.len() / (64 << 10)).expect("a few");
        assert!(segments_of(&fixture, &to) <= allowed, "{} segments", segments_of(&fixture, &to));
        assert!(fixture.get(&to).await.expect("an object") == expected);
        from = to;
    }
    for name in ["short", "large", "few", "level 0", "level 1", "level 2"] {
        fixture.delete(name, false).await;
    }
    let fixture = fixture.reopened().await;
    fixture.swept().await;
    assert!(fixture.get(&from).await.expect("an object") == expected, "it needs none of its sources");
    fixture.end_soundly().await;
}

#[tokio::test]
async fn what_is_written_anew_is_what_was_written_before() {
    // All of a blob is used, or a part of it.
    for range in [ByteRange::whole(5000), ByteRange { start: 10, end: 4000 }] {
        let fixture = Fixture::with(|options| {
            options.inline_max_bytes = 100;
            options.segments_max = 2;
            options.verify_reads = VerifyReads::Off;
        })
        .await;
        let source = fixture.put("source", &pattern(5000)).await;
        let slice = &pattern(5000)[usize::try_from(range.start).expect("small")..][..];
        let slice = &slice[..usize::try_from(range.len()).expect("small")];
        let upload = begin(&fixture, "a", None).await;
        let first = copy_part(&fixture, &upload, 1, source.generation, (range, slice)).await;
        let second = put_part(&fixture, &upload, 2, &pattern(6000)).await;
        let third = copy_part(&fixture, &upload, 3, source.generation, (range, slice)).await;
        let parts = [&first, &second, &third];
        let file = super::fsck::blob_of(fixture.folder.path(), 5000);
        let flip = || {
            let mut bytes = std::fs::read(&file).expect("there");
            bytes[100] ^= 1;
            std::fs::write(&file, bytes).expect("writable");
        };
        flip();
        let failed = fixture.store.complete_upload(completion(&upload, &parts)).await;
        assert!(matches!(&failed, Err(Error::File { path, .. }) if *path == file), "{range:?} {failed:?}");
        flip();
        fixture.store.complete_upload(completion(&upload, &parts)).await.expect("complete");
        assert_eq!(segments_of(&fixture, "a"), 1);
        assert!(fixture.get("a").await.expect("an object") == [slice, &pattern(6000), slice].concat());
    }
}

#[tokio::test]
async fn pieces_that_lie_side_by_side_become_one_segment() {
    let fixture = Fixture::new().await;
    let source = fixture.put("source", &pattern(100_000)).await;
    let upload = begin(&fixture, "again", None).await;
    let mut parts = Vec::new();
    for (number, start) in (1..).zip([0_usize, 40_000, 80_000]) {
        let slice = &pattern(100_000)[start..(start + 40_000).min(100_000)];
        let range = ByteRange { start: start as u64, end: (start + slice.len()) as u64 };
        parts.push(copy_part(&fixture, &upload, number, source.generation, (range, slice)).await);
    }
    let parts: Vec<_> = parts.iter().collect();
    let object = fixture.store.complete_upload(completion(&upload, &parts)).await.expect("complete");
    assert_eq!((object.parts, segments_of(&fixture, "again")), (Some(3), 1));
    assert!(fixture.get("again").await.expect("an object") == pattern(100_000));
}

#[tokio::test]
async fn what_is_refused_is_refused_before_anything_is_prepared() {
    let fixture = Fixture::new().await;
    fixture.put("there", b"there").await;
    multi(&fixture, "piece", 30).await;
    let upload = begin(&fixture, "there", None).await;
    let mut parts = Vec::new();
    for number in 1..=30 {
        parts.push(put_part(&fixture, &upload, number, &pattern(10)).await);
    }
    fixture.swept().await;
    let parts: Vec<_> = parts.iter().collect();
    let before = count(&fixture, "SELECT value FROM counter WHERE name = 'sequence'");
    let complete = CompleteUpload { conditions: if_none_match_any(), ..completion(&upload, &parts) };
    let refused = fixture.store.complete_upload(complete).await;
    assert!(matches!(refused, Err(Error::Condition(_))));
    let refused = compose_if(&fixture, &["piece"], "there", if_none_match_any()).await;
    assert!(matches!(refused, Err(Error::Condition(_))));
    assert_eq!(
        count(&fixture, "SELECT value FROM counter WHERE name = 'sequence'"),
        before,
        "not even a number was given out"
    );
}

/// Prepares a content that nothing takes.
async fn prepare(fixture: &Fixture) -> crate::store::assembly::Assembled {
    let Lookup::Here(object, content) = fixture.find("piece") else { panic!("it is there") };
    let piece = || crate::store::assembly::Piece {
        content: content.clone(),
        range: ByteRange::whole(object.size_bytes),
    };
    let inner = &fixture.store.0;
    crate::store::assembly::assemble(inner, vec![piece(), piece()], Vec::new()).await.expect("prepared")
}

#[tokio::test]
async fn what_was_prepared_and_given_up_is_swept_and_only_then() {
    let fixture = Fixture::new().await;
    multi(&fixture, "piece", 40).await;
    fixture.swept().await;
    let before = count(&fixture, "SELECT count(*) FROM segment");
    let prepared = prepare(&fixture).await;
    const { assert!(40 > ROWS_AT_ONCE, "it is not one step") };
    // What else is swept comes and goes, and this stays.
    fixture.put("other", b"x").await;
    fixture.delete("other", false).await;
    eventually(|| count(&fixture, "SELECT count(*) FROM garbage") == 1).await;
    assert_eq!(count(&fixture, "SELECT count(*) FROM segment"), before + 80);
    drop(prepared);
    fixture.swept().await;
    assert_eq!(count(&fixture, "SELECT count(*) FROM segment"), before);
    fixture.end_soundly().await;
}

#[tokio::test]
async fn a_crash_or_a_snapshot_while_something_is_prepared_leaves_nothing_of_it() {
    let fixture = Fixture::new().await;
    multi(&fixture, "piece", 40).await;
    let upload = begin(&fixture, "ended", None).await;
    for number in 1..=40 {
        put_part(&fixture, &upload, number, b"0123456789").await;
    }
    fixture.swept().await;
    let before = fixture.state().await;
    let prepared = prepare(&fixture).await;
    fixture.store.abort_upload(&upload).await.expect("in progress");
    let image = tempfile::tempdir().expect("a temporary folder");
    crash_image(fixture.folder.path(), image.path());
    fixture.take("between").await;
    drop(prepared);

    // The crash.
    let check = Check { repair: false, verify_digests: true };
    let found = fsck::run(image.path(), check, |_| {}).expect("checked").findings;
    assert_eq!(found, [], "it is garbage like any other");
    let options = Options { data_dir: image.path().to_owned(), ..fixture.options.clone() };
    let crashed = Fixture { store: Store::open(options.clone()).expect("it opens"), options, folder: image };
    crashed.swept().await;
    assert_eq!(count(&crashed, "SELECT count(*) FROM segment"), 40);
    assert_eq!(count(&crashed, "SELECT count(*) FROM part"), 0);
    assert_eq!(crashed.state().await, before);
    crashed.end_soundly().await;

    // The snapshot.
    fixture.put("later", b"x").await;
    fixture.go_back("between").await;
    fixture.swept().await;
    assert_eq!(fixture.state().await, before);
    assert_eq!(count(&fixture, "SELECT count(*) FROM segment"), 40);
    fixture.end_soundly().await;
}

#[tokio::test]
async fn an_upload_that_ended_can_be_gone_back_to_while_its_parts_are_swept() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let mut parts = Vec::new();
    for number in 1..=20 {
        parts.push(put_part(&fixture, &upload, number, &pattern(10)).await);
    }
    let parts: Vec<_> = parts.iter().collect();
    fixture.take("before").await;
    fixture.store.complete_upload(completion(&upload, &parts)).await.expect("complete");
    fixture.go_back("before").await;
    fixture.swept().await;
    assert_eq!(fixture.store.open_parts(&upload).expect("in progress again").len(), 20);
    fixture.store.complete_upload(completion(&upload, &parts)).await.expect("complete");
    assert!(fixture.get("a").await.expect("an object") == pattern(10).repeat(20));
    fixture.swept().await;
    fixture.end_soundly().await;
}

#[tokio::test]
async fn a_part_that_comes_while_the_upload_is_completed_is_refused_or_waited_for() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture, "a", None).await;
    let mut parts = Vec::new();
    for number in 1..=20 {
        parts.push(put_part(&fixture, &upload, number, &pattern(10)).await);
    }
    let parts: Vec<_> = parts.iter().collect();
    // The same bytes once more are another part of the same tag: what was prepared is of the first.
    let (completed, again) =
        tokio::join!(fixture.store.complete_upload(completion(&upload, &parts)), async {
            let staged = fixture.stage(&pattern(10)).await;
            let number = PartNumber::new(7).expect("a number");
            let part = PutPart { upload: upload.clone(), number, staged, checksum: None };
            fixture.store.put_part(part).await
        });
    completed.expect("complete");
    assert!(matches!(again, Ok(_) | Err(Error::NoSuchUpload(_))));
    assert!(fixture.get("a").await.expect("an object") == pattern(10).repeat(20));
    fixture.swept().await;
    fixture.end_soundly().await;
}
