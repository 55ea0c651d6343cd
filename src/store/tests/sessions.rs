//! Uploads in one piece, metadata that changes, and digests that are learnt later.

use super::*;
use crate::checksum::Digester;
use crate::model::{ConditionFailed, SystemHeader, UploadId};

fn new_session() -> NewUpload {
    NewUpload {
        bucket: bucket(),
        key: key("a"),
        metadata: Metadata::default(),
        tags: Tags::default(),
        owner: owner(),
        checksum: None,
        session: Some("what the face must remember".to_owned()),
    }
}

async fn begin(store: &Store, new: NewUpload) -> UploadRef {
    let upload = store.create_upload(new).await.expect("an upload");
    UploadRef { bucket: upload.bucket, key: upload.key, id: upload.id }
}

async fn add(store: &Store, upload: &UploadRef, number: u16, bytes: &[u8]) -> CompletedPart {
    let mut staging = store.stage(&[], None);
    staging.write(Bytes::copy_from_slice(bytes)).await.expect("room");
    let staged = staging.finish().await.expect("staged");
    let number = PartNumber::new(number).expect("a number");
    let part = store.put_part(PutPart { upload: upload.clone(), number, staged, checksum: None }).await;
    CompletedPart { number, etag: part.expect("a part").etag, checksum: None }
}

fn complete(upload: &UploadRef, parts: Vec<CompletedPart>, md5: Option<[u8; 16]>) -> CompleteUpload {
    let conditions = WriteConditions::default();
    CompleteUpload { upload: upload.clone(), parts, checksum: None, size_bytes: None, md5, conditions }
}

fn digests(bytes: &[u8]) -> crate::checksum::Digests {
    let mut digester = Digester::new(&[]);
    digester.update(bytes);
    digester.finish()
}

fn object(store: &Store, name: &str) -> Object {
    let found = store.find_object(&bucket(), &key(name), None).expect("an answer");
    let Lookup::Here(object, _) = found else { panic!("{found:?}") };
    object
}

#[tokio::test]
async fn a_session_survives_a_restart_and_becomes_an_object_in_one_piece() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture.store, new_session()).await;
    let first = add(&fixture.store, &upload, 1, b"abc").await;
    fixture.store.close().await;
    let Fixture { store, options, folder } = fixture;
    drop(store);

    let store = Store::open(options).expect("a store");
    let found = store.find_upload(&upload).expect("the session");
    assert_eq!(found.session.as_deref(), Some("what the face must remember"));
    let second = add(&store, &upload, 2, b"defg").await;
    let mut read = Vec::new();
    for (_, content) in store.open_parts(&upload).expect("parts") {
        let mut reader = content.reader(ByteRange::whole(content.size_bytes()));
        while let Some(chunk) = reader.next().await {
            read.extend_from_slice(&chunk.expect("bytes"));
        }
    }
    assert_eq!(read, b"abcdefg");

    assert_eq!(store.find_completed(&upload).expect("an answer"), None);
    let expected = digests(b"abcdefg");
    let made = store.complete_upload(complete(&upload, vec![first, second], Some(expected.md5))).await;
    let made = made.expect("an object");
    assert_eq!(made.etag, ETag::of_md5(expected.md5));
    assert_eq!((made.md5, made.crc32c, made.parts), (Some(expected.md5), Some(expected.crc32c()), None));
    assert_eq!(store.find_completed(&upload).expect("an answer"), Some(made));
    drop(folder);
}

#[tokio::test]
async fn parts_that_are_read_keep_their_own_bytes_and_no_others() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture.store, new_session()).await;
    add(&fixture.store, &upload, 1, &pattern(100_000)).await;
    add(&fixture.store, &upload, 2, &pattern(110_000)).await;
    fixture.put("other", &pattern(120_000)).await;
    let mut parts = fixture.store.open_parts(&upload).expect("parts");
    assert!(fixture.delete("other", false).await);
    fixture.files_become(2).await;

    fixture.store.abort_upload(&upload).await.expect("in progress");
    let (part, last) = parts.pop().expect("two parts");
    drop(parts);
    fixture.files_become(1).await;
    let kept = read(&last, ByteRange::whole(part.size_bytes)).await.expect("held");
    assert!(kept == pattern(110_000));
    drop(last);
    fixture.swept_to(0).await;
}

#[tokio::test]
async fn what_takes_two_statements_to_read_is_of_one_state() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture.store, new_session()).await;
    add(&fixture.store, &upload, 1, b"abc").await;
    let other = rusqlite::Connection::open(fixture.folder.path().join("index.sqlite")).expect("an index");
    let readers = &fixture.store.0.shared.readers;
    let seen = readers.read_state(|connection| {
        let found = crate::store::upload::find(connection, &upload)?;
        // As by a completion in between.
        other.execute_batch("DELETE FROM part; DELETE FROM upload").expect("nobody else writes");
        crate::store::upload::parts(connection, found.sequence, None, 10)
    });
    assert_eq!(seen.expect("an answer").len(), 1);
    assert!(matches!(fixture.store.find_upload(&upload), Err(Error::NoSuchUpload(_))), "it has ended");
    assert!(matches!(fixture.store.list_parts(&upload, None, 10), Err(Error::NoSuchUpload(_))));
}

#[tokio::test]
async fn an_upload_that_nobody_knows_of_goes_at_the_next_start() {
    let fixture = Fixture::new().await;
    let nobodys = begin(&fixture.store, NewUpload { session: Some(String::new()), ..new_session() }).await;
    let session = begin(&fixture.store, new_session()).await;
    let multipart = begin(&fixture.store, NewUpload { session: None, ..new_session() }).await;
    for upload in [&nobodys, &session, &multipart] {
        add(&fixture.store, upload, 1, &pattern(100_000)).await;
    }
    let fixture = fixture.reopened().await;
    let again = begin(&fixture.store, NewUpload { session: Some(String::new()), ..new_session() }).await;
    eventually(|| matches!(fixture.store.find_upload(&nobodys), Err(Error::NoSuchUpload(_)))).await;
    fixture.swept_to(2).await;
    for upload in [&session, &multipart, &again] {
        fixture.store.find_upload(upload).expect("still in progress");
    }
}

#[tokio::test]
async fn sessions_are_not_listed_among_multipart_uploads() {
    let fixture = Fixture::new().await;
    begin(&fixture.store, new_session()).await;
    let multipart = begin(&fixture.store, NewUpload { session: None, ..new_session() }).await;
    let scan = UploadScan { start: UploadStart::At(String::new()), prefix: String::new(), limit: 10 };
    let listed = fixture.store.scan_uploads(&bucket(), &scan).expect("uploads");
    let ids: Vec<UploadId> = listed.into_iter().map(|upload| upload.id).collect();
    assert_eq!(ids, [multipart.id]);
}

#[tokio::test]
async fn metadata_changes_without_a_new_generation() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture.store, new_session()).await;
    let part = add(&fixture.store, &upload, 1, b"abc").await;
    let made = fixture.store.complete_upload(complete(&upload, vec![part], None)).await.expect("an object");
    let mut metadata = Metadata::default();
    metadata.set_system(SystemHeader::ContentType, "text/plain").expect("a header");
    let update = |metageneration| UpdateObject {
        bucket: bucket(),
        key: key("a"),
        metadata: metadata.clone(),
        conditions: WriteConditions {
            if_metageneration_match: Some(metageneration),
            ..WriteConditions::default()
        },
    };
    let updated = fixture.store.update_object(update(1)).await.expect("an update");
    assert_eq!((updated.generation, updated.metageneration), (made.generation, 2));
    assert_eq!(updated.metadata, metadata);
    assert_eq!(updated.updated, Some(made.modified), "the clock stands still");
    let refused = fixture.store.update_object(update(1)).await.expect_err("stale");
    assert!(matches!(refused, Error::Condition(ConditionFailed::Precondition("ifMetagenerationMatch"))));
    let absent = UpdateObject { key: key("b"), conditions: WriteConditions::default(), ..update(1) };
    let refused = fixture.store.update_object(absent).await.expect_err("nothing is there");
    assert!(matches!(refused, Error::NoSuchObject { .. }));
}

#[tokio::test]
async fn digests_learnt_later_are_kept_for_all_copies() {
    let fixture = Fixture::new().await;
    let upload = begin(&fixture.store, NewUpload { session: None, ..new_session() }).await;
    let part = add(&fixture.store, &upload, 1, b"abc").await;
    let made = fixture.store.complete_upload(complete(&upload, vec![part], None)).await.expect("an object");
    assert_eq!(made.md5, None);
    let source = Source {
        bucket: bucket(),
        key: key("a"),
        version: None,
        conditions: crate::model::ReadConditions::default(),
        generation: None,
    };
    let copy = CopyObject {
        source,
        bucket: bucket(),
        key: key("b"),
        metadata: None,
        tags: None,
        checksum: None,
        owner: owner(),
        conditions: WriteConditions::default(),
    };
    fixture.store.copy_object(copy).await.expect("a copy");
    let learnt = digests(b"abc");
    fixture.store.set_digests(&made, &learnt).await.expect("an update");
    for name in ["a", "b"] {
        assert_eq!(object(&fixture.store, name).md5, Some(learnt.md5), "{name}");
        assert_eq!(object(&fixture.store, name).etag, made.etag, "{name}");
    }
    let scan = Scan { start: Start::At(String::new()), prefix: String::new(), limit: 10, tombstones: false };
    let whole = fixture.store.scan_whole_objects(&bucket(), &scan).expect("objects").0;
    assert_eq!(whole, [object(&fixture.store, "a"), object(&fixture.store, "b")]);
}

#[tokio::test]
async fn an_index_of_the_first_schema_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let index = rusqlite::Connection::open(folder.path().join("index.sqlite")).expect("an index");
    index.execute_batch(include_str!("../../../schema/0001_start.sql")).expect("a valid schema");
    index
        .execute_batch(
            "INSERT INTO owner VALUES (1, 'id', 'name');
             INSERT INTO bucket VALUES (1, 'bucket', 0, 'us-east-1', 1, 0);
             INSERT INTO object (bucket_id, key, sequence, kind, modified_ms, size, etag, owner, content_id,
                                 metageneration, origin, metadata)
             VALUES (1, CAST('a' AS BLOB), 1, 0, 0, 0, 'tag', 1, 1, 1, 0, '{}');
             UPDATE counter SET value = 1;
             PRAGMA user_version = 1;",
        )
        .expect("rows as the first schema has them");
    drop(index);
    let store = Store::open(Options::new(folder.path())).expect("a store");
    assert_eq!(object(&store, "a").updated, None);
    begin(&store, new_session()).await;
}
