//! Buckets and objects: put, find, copy, delete.

use super::*;
use crate::model::{Checksum, ChecksumAlgorithm, ConditionFailed, ReadConditions, SystemHeader};

fn new_bucket(name: &str) -> NewBucket {
    NewBucket {
        name: BucketName::parse(name).expect("a valid name"),
        region: "eu-west-1".to_owned(),
        owner: owner(),
    }
}

#[tokio::test]
async fn an_object_is_moved_to_another_key_of_its_bucket_and_nowhere_else() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"bytes").await;
    let elsewhere = CopyObject { bucket: BucketName::parse("another").expect("a name"), ..copy_of("a", "b") };
    for refused in [copy_of("a", "a"), elsewhere] {
        for tombstone in [false, true] {
            let moved = fixture.store.move_object(refused.clone(), tombstone).await;
            assert!(matches!(moved, Err(Error::BadMove { .. })), "{moved:?}");
            assert_eq!(fixture.get("a").await.expect("an object"), b"bytes");
        }
    }
    fixture.store.move_object(copy_of("a", "b"), false).await.expect("moved");
    assert_eq!(fixture.keys(&scan_all()), ["b"]);
}

#[tokio::test]
async fn a_bucket_is_made_once_found_listed_and_deleted() {
    let fixture = Fixture::new().await;
    for name in ["aaa", "bucket-2", "zzz"] {
        fixture.store.create_bucket(new_bucket(name)).await.expect("a new name");
    }
    let again = fixture.store.create_bucket(new_bucket("aaa")).await;
    assert!(matches!(again, Err(Error::BucketExists { owner: whose, .. }) if whose == owner()));

    let found = fixture.store.find_bucket(&new_bucket("aaa").name).expect("an answer").expect("a bucket");
    assert_eq!((found.region.as_str(), found.created.as_seconds()), ("eu-west-1", 1_700_000_000));

    let names = |prefix: &str, after: Option<&str>, limit: usize| -> Vec<String> {
        let buckets = fixture.store.list_buckets(prefix, after, limit).expect("an answer");
        buckets.into_iter().map(|bucket| bucket.name.to_string()).collect()
    };
    assert_eq!(names("", None, 10), ["aaa", "bucket", "bucket-2", "zzz"]);
    assert_eq!(names("buc", None, 10), ["bucket", "bucket-2"]);
    assert_eq!(names("buc", Some("bucket"), 10), ["bucket-2"]);
    assert_eq!(names("", Some("aaa"), 2), ["bucket", "bucket-2"]);
    assert_eq!(names("é", None, 2), Vec::<String>::new());

    fixture.store.delete_bucket(&new_bucket("aaa").name).await.expect("empty");
    let gone = fixture.store.delete_bucket(&new_bucket("aaa").name).await;
    assert!(matches!(gone, Err(Error::NoSuchBucket(_))));
}

#[tokio::test]
async fn a_bucket_is_empty_with_tombstones_and_not_with_objects_or_uploads() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"a").await;
    let refused = |outcome| assert!(matches!(outcome, Err(Error::BucketNotEmpty(_))));
    refused(fixture.store.delete_bucket(&bucket()).await);
    fixture.delete("a", true).await;
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
    refused(fixture.store.delete_bucket(&bucket()).await);
    let upload = UploadRef { bucket: upload.bucket, key: upload.key, id: upload.id };
    fixture.store.abort_upload(&upload).await.expect("in progress");
    fixture.store.delete_bucket(&bucket()).await.expect("only a tombstone is left");

    // A bucket of the same name begins without the old one's tombstones.
    fixture.store.create_bucket(new_bucket("bucket")).await.expect("free again");
    assert!(matches!(fixture.find("a"), Lookup::Absent));
}

#[tokio::test]
async fn an_object_is_found_as_it_was_put() {
    let fixture = Fixture::new().await;
    let mut metadata = Metadata::default();
    metadata.set_system(SystemHeader::ContentType, "text/plain; charset=utf-8").expect("a header");
    metadata.add_user("color", "blau").expect("a header");
    let tags = Tags::parse_header("a=1&b=%C3%BC").expect("tags");
    let put = PutObject {
        bucket: bucket(),
        key: key("é/\u{0}//../ 😀"),
        staged: fixture.stage(b"hello").await,
        metadata: metadata.clone(),
        tags: tags.clone(),
        owner: owner(),
        checksum: None,
        conditions: WriteConditions::default(),
    };
    let object = fixture.store.put_object(put).await.expect("written");
    assert_eq!(object.etag.as_str(), "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(object.crc32c, Some(0x9a71_bb4c));
    assert_eq!(object.checksum.as_ref().map(Checksum::algorithm), Some(ChecksumAlgorithm::Crc64Nvme));
    assert_eq!((object.version_id.clone(), object.parts), (VersionId::Null, None));

    let fixture = fixture.reopened().await;
    let Lookup::Here(found, content) = fixture.find("é/\u{0}//../ 😀") else { panic!("it was put") };
    assert_eq!(found, object);
    assert_eq!((found.metadata, found.tags), (metadata, tags));
    assert_eq!(content.size_bytes(), 5);
    assert_eq!(fixture.get("é/\u{0}//../ 😀").await.expect("an object"), b"hello");
}

#[tokio::test]
async fn a_lookup_tells_apart_what_is_not_there() {
    let fixture = Fixture::new().await;
    assert!(matches!(fixture.find("a"), Lookup::Absent));
    let elsewhere = BucketName::parse("elsewhere").expect("a valid name");
    let found = fixture.store.find_object(&elsewhere, &key("a"), None).expect("an answer");
    assert!(matches!(found, Lookup::NoBucket));
    fixture.delete("a", true).await;
    assert!(matches!(fixture.find("a"), Lookup::Tombstone));
}

#[tokio::test]
async fn an_object_without_versions_has_the_null_version_only() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"a").await;
    let found = |version: &str| {
        let version = VersionId::parse(version).expect("a version id");
        fixture.store.find_object(&bucket(), &key("a"), Some(&version)).expect("an answer")
    };
    assert!(matches!(found("null"), Lookup::Here(..)));
    assert!(matches!(found("3HL4kqtJvjVBH40Nrjfkd.nobody_has_it"), Lookup::Absent));
}

#[tokio::test]
async fn a_put_replaces_the_object_and_its_generation_grows() {
    let fixture = Fixture::new().await;
    let first = fixture.put("a", b"one").await;
    let second = fixture.put("a", b"two").await;
    assert!(second.generation > first.generation);
    let fixture = fixture.reopened().await;
    let third = fixture.put("b", b"three").await;
    assert!(third.generation > second.generation, "a generation is never used twice");
    assert_eq!(fixture.get("a").await.expect("an object"), b"two");
    assert_eq!(fixture.keys(&scan_all()), ["a", "b"]);
}

#[tokio::test]
async fn conditions_of_a_put_are_checked_against_what_it_replaces() {
    let fixture = Fixture::new().await;
    let missing = fixture.put_if("a", b"x", if_match(&ETag::of_md5([0; 16]))).await;
    assert!(matches!(missing, Err(Error::Condition(ConditionFailed::Missing))));
    let first = fixture.put_if("a", b"one", if_none_match_any()).await.expect("there was none");
    let taken = fixture.put_if("a", b"two", if_none_match_any()).await;
    assert!(matches!(taken, Err(Error::Condition(ConditionFailed::Precondition("If-None-Match")))));
    fixture.put_if("a", b"two", if_match(&first.etag)).await.expect("still the first");
    let late = fixture.put_if("a", b"three", if_match(&first.etag)).await;
    assert!(matches!(late, Err(Error::Condition(ConditionFailed::Precondition("If-Match")))));
    assert_eq!(fixture.get("a").await.expect("an object"), b"two");

    fixture.delete("a", true).await;
    fixture.put_if("a", b"four", if_none_match_any()).await.expect("a tombstone is no object");
}

#[tokio::test]
async fn a_copy_shares_bytes_tag_and_checksum_and_takes_other_metadata() {
    let fixture = Fixture::new().await;
    let bytes = pattern(200_000);
    let original = fixture.put("a", &bytes).await;
    let files = fixture.files();
    let mut metadata = Metadata::default();
    metadata.add_user("copied", "yes").expect("a header");
    let copy = CopyObject { metadata: Some(metadata.clone()), ..copy_of("a", "b") };
    let copied = fixture.store.copy_object(copy).await.expect("there is a source");
    assert_eq!((&copied.etag, &copied.checksum), (&original.etag, &original.checksum));
    assert_eq!((copied.md5, copied.crc32c), (original.md5, original.crc32c));
    assert_eq!(copied.metadata, metadata);
    assert!(copied.generation > original.generation);
    assert_eq!(fixture.files(), files, "no byte was moved");

    fixture.delete("a", false).await;
    fixture.swept_to(1).await;
    assert_eq!(fixture.get("b").await.expect("an object"), bytes, "the copy outlives its source");
    fixture.delete("b", false).await;
    fixture.swept_to(0).await;
}

#[tokio::test]
async fn an_object_can_be_copied_onto_itself() {
    let fixture = Fixture::new().await;
    let bytes = pattern(100_000);
    fixture.put("a", &bytes).await;
    fixture.copy("a", "a").await.expect("there is a source");
    fixture.swept_to(1).await;
    assert_eq!(fixture.get("a").await.expect("an object"), bytes);
}

#[tokio::test]
async fn a_copy_needs_a_source_that_is_the_one_meant() {
    let fixture = Fixture::new().await;
    let object = fixture.put("a", b"a").await;
    let outcome = |source: Source| {
        let copy = CopyObject { source, ..copy_of("a", "b") };
        fixture.store.copy_object(copy)
    };
    let absent = outcome(source("absent")).await;
    assert!(matches!(absent, Err(Error::NoSuchObject { key, .. }) if key.as_str() == "absent"));
    let version = VersionId::parse(&"abc".repeat(11)).ok();
    let version = outcome(Source { version, ..source("a") }).await;
    assert!(matches!(version, Err(Error::NoSuchVersion { .. })));
    let elsewhere = BucketName::parse("elsewhere").expect("a valid name");
    let bucket = outcome(Source { bucket: elsewhere.clone(), ..source("a") }).await;
    assert!(matches!(bucket, Err(Error::NoSuchBucket(name)) if name == elsewhere));
    let changed = outcome(Source { generation: Some(object.generation - 1), ..source("a") }).await;
    assert!(matches!(changed, Err(Error::SourceChanged)));
    let gone = outcome(Source { generation: Some(object.generation), ..source("absent") }).await;
    assert!(matches!(gone, Err(Error::SourceChanged)));
    let conditions = ReadConditions { if_none_match: Some(ETagMatch::Any), ..ReadConditions::default() };
    let unmet = outcome(Source { conditions, ..source("a") }).await;
    assert!(matches!(unmet, Err(Error::SourceCondition(ConditionFailed::NotModified))));
    assert!(matches!(fixture.find("b"), Lookup::Absent), "no refusal left anything behind");
    outcome(Source { generation: Some(object.generation), ..source("a") }).await.expect("the one meant");
}

#[tokio::test]
async fn deletions_have_each_their_own_outcome() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"a").await;
    fixture.put("b", b"b").await;
    let other = if_match(&ETag::of_md5([0; 16]));
    let deletes = vec![
        deletion("a", false),
        DeleteObject { conditions: other, ..deletion("b", false) },
        deletion("c", false),
        deletion("d", true),
        DeleteObject { version: VersionId::parse("null").ok(), ..deletion("b", false) },
        DeleteObject { version: VersionId::parse(&"other".repeat(11)).ok(), ..deletion("b", false) },
    ];
    let outcomes = fixture.store.delete_objects(&bucket(), deletes).await.expect("committed");
    let existed: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().map(|it| it.existed)).collect();
    assert_eq!(existed, [Some(true), None, Some(false), Some(false), Some(true), Some(false)]);
    assert!(matches!(outcomes[1], Err(Error::Condition(ConditionFailed::Precondition("If-Match")))));
    let all = Scan { tombstones: true, ..scan_all() };
    assert_eq!(fixture.keys(&all), ["d"], "a tombstone also where nothing was");
    assert_eq!(fixture.keys(&scan_all()), Vec::<String>::new());

    let elsewhere = BucketName::parse("elsewhere").expect("a valid name");
    let outcome = fixture.store.delete_objects(&elsewhere, vec![deletion("a", false)]).await;
    assert!(matches!(outcome, Err(Error::NoSuchBucket(_))));
}

#[tokio::test]
async fn a_tombstone_stays_until_something_is_put_over_it() {
    let fixture = Fixture::new().await;
    fixture.delete("a", true).await;
    assert!(!fixture.delete("a", false).await);
    let fixture = fixture.reopened().await;
    assert!(matches!(fixture.find("a"), Lookup::Tombstone));
    fixture.put("a", b"again").await;
    assert_eq!(fixture.get("a").await.expect("an object"), b"again");
    assert!(fixture.delete("a", false).await);
    assert!(matches!(fixture.find("a"), Lookup::Absent), "the tombstone went with the put");
}

#[tokio::test]
async fn tags_change_and_nothing_else_of_the_object_does() {
    let fixture = Fixture::new().await;
    let object = fixture.put("a", b"a").await;
    fixture.delete("gone", true).await;
    let tags = Tags::parse_header("a=1&b=2").expect("tags");
    let set = |name: &str, version: Option<&str>, tags: &Tags| {
        let version = version.map(|version| VersionId::parse(version).expect("a version id"));
        fixture.store.set_tags(ObjectRef { bucket: bucket(), key: key(name), version }, tags.clone())
    };
    set("a", None, &tags).await.expect("there is an object");
    let Lookup::Here(found, _) = fixture.find("a") else { panic!("it was put") };
    assert_eq!(found, Object { tags: tags.clone(), ..object.clone() });
    set("a", Some("null"), &Tags::default()).await.expect("the null version");
    let Lookup::Here(found, _) = fixture.find("a") else { panic!("it was put") };
    assert_eq!(found, object);

    assert!(matches!(set("a", Some(&"other".repeat(11)), &tags).await, Err(Error::NoSuchVersion { .. })));
    for name in ["absent", "gone"] {
        assert!(matches!(set(name, None, &tags).await, Err(Error::NoSuchObject { .. })), "{name}");
    }
}
