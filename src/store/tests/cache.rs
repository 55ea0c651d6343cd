//! Objects kept from upstream: never in the place of anything, first to go.

use super::*;
use crate::store::fsck::{self, Check};

fn origin(fixture: &Fixture, name: &str) -> Option<Origin> {
    match fixture.find(name) {
        Lookup::Here(object, _) => {
            let scan = Scan { start: Start::At(name.to_owned()), limit: 1, ..scan_all() };
            let listed = fixture.store.scan_objects(&bucket(), &scan).expect("an answer").remove(0);
            let whole = fixture.store.scan_whole_objects(&bucket(), &scan).expect("an answer").0.remove(0);
            assert_eq!((listed.origin, whole.origin), (object.origin, object.origin), "{name}");
            Some(object.origin)
        }
        Lookup::Absent | Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => None,
    }
}

/// When the cached objects were used and fetched, in the order of their names.
async fn set_times(fixture: &Fixture, times: &[(&str, i64, i64)]) {
    for (name, used, fetched) in times {
        let key = hex::encode(name);
        let sql = format!("UPDATE object SET used_ms = {used}, fetched_ms = {fetched} WHERE key = x'{key}'");
        fixture.sql(&sql).await;
    }
}

fn cached(objects: u64, bytes: u64) -> Cached {
    Cached { objects, bytes }
}

#[tokio::test]
async fn a_cached_object_keeps_what_upstream_said_of_it_and_gets_the_digests_of_its_bytes() {
    let fixture = Fixture::new().await;
    for size in [0, 10, 300_000] {
        let (name, bytes) = (format!("a{size}"), pattern(size));
        let written = fixture.put(&format!("w{size}"), &bytes).await;
        let object = fixture.cache(&name, &bytes).await.expect("nothing is there");
        assert_eq!(object.etag.as_str(), "upstream-3");
        let content_type = object.metadata.system(crate::model::SystemHeader::ContentType);
        assert_eq!(content_type, Some("text/upstream"));
        assert_eq!(object.modified, Timestamp::from_seconds(1_500_000_000));
        assert_eq!((object.md5, object.crc32c), (written.md5, written.crc32c));
        assert_eq!((&object.checksum, object.owner == Owner::anonymous()), (&written.checksum, true));
        assert_eq!((object.origin, written.origin), (Origin::Cached, Origin::Written));
        let Lookup::Here(found, _) = fixture.find(&name) else { panic!("it was kept") };
        assert_eq!(found, object);
        assert!(fixture.get(&name).await.expect("an object") == bytes);
        assert_eq!(origin(&fixture, &name), Some(Origin::Cached));
    }
    let elsewhere = CacheObject {
        bucket: BucketName::parse("elsewhere").expect("a valid name"),
        key: key("a"),
        staged: fixture.stage(b"x").await,
        upstream: String::new(),
        etag: ETag::of_md5([0; 16]),
        modified: Timestamp::from_seconds(0),
        metadata: Metadata::default(),
        restores: 0,
    };
    assert!(matches!(fixture.store.cache_object(elsewhere).await, Err(Error::NoSuchBucket(_))));
}

#[tokio::test]
async fn what_is_there_already_is_never_covered_and_the_fetched_bytes_go() {
    let fixture = Fixture::new().await;
    fixture.put("written", &pattern(100_000)).await;
    fixture.delete("gone", true).await;
    fixture.cache("cached", &pattern(110_000)).await.expect("nothing is there");
    for name in ["written", "gone", "cached"] {
        assert_eq!(fixture.cache(name, &pattern(200_000)).await, None, "{name}");
    }
    fixture.swept_to(2).await;
    assert!(fixture.get("written").await.expect("an object") == pattern(100_000));
    assert!(fixture.get("cached").await.expect("an object") == pattern(110_000));
    assert!(matches!(fixture.find("gone"), Lookup::Tombstone));
}

#[tokio::test]
async fn whatever_a_client_writes_to_a_cached_object_makes_it_written() {
    let fixture = Fixture::new().await;
    for name in ["put", "metadata", "tags", "copied", "digests", "read"] {
        fixture.cache(name, b"bytes").await.expect("nothing is there");
    }
    fixture.put("put", b"mine").await;
    let update = UpdateObject {
        bucket: bucket(),
        key: key("metadata"),
        metadata: Metadata::default(),
        conditions: WriteConditions::default(),
    };
    let updated = fixture.store.update_object(update).await.expect("it is there");
    assert_eq!(updated.origin, Origin::Written);
    let tagged = ObjectRef { bucket: bucket(), key: key("tags"), version: None };
    fixture.store.set_tags(tagged, Tags::default()).await.expect("it is there");
    let copy = fixture.copy("copied", "copy").await.expect("there is a source");
    assert_eq!((copy.origin, copy.etag.as_str()), (Origin::Written, "upstream-3"));
    let Lookup::Here(object, _) = fixture.find("digests") else { panic!("it was kept") };
    let mut digester = crate::checksum::Digester::new(&[]);
    digester.update(b"bytes");
    fixture.store.set_digests(&object, &digester.finish()).await.expect("noted");
    fixture.store.note_used(vec![(bucket(), key("read")), (bucket(), key("none"))]).await.expect("noted");

    for name in ["put", "metadata", "tags", "copy"] {
        assert_eq!(origin(&fixture, name), Some(Origin::Written), "{name}");
    }
    for name in ["copied", "digests", "read"] {
        assert_eq!(origin(&fixture, name), Some(Origin::Cached), "{name}");
    }
    assert_eq!(fixture.store.cached().expect("an answer"), cached(3, 15));
    assert_eq!(fixture.store.evict(None, Some(0)).await.expect("evicted"), cached(3, 15));
    assert_eq!(fixture.keys(&scan_all()), ["copy", "metadata", "put", "tags"]);
    assert_eq!(fixture.get("copy").await.expect("an object"), b"bytes", "its bytes are shared");
    assert!(matches!(fixture.find("copied"), Lookup::Absent), "no tombstone is left");
}

#[tokio::test]
async fn the_oldest_go_first_and_then_the_least_recently_used_as_far_as_need_be() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        fixture.cache(name, &[0; 10]).await.expect("nothing is there");
    }
    fixture.put("w", &[0; 1000]).await;
    set_times(&fixture, &[("a", 50, 10), ("b", 40, 20), ("c", 10, 30), ("d", 30, 30), ("e", 20, 30)]).await;
    let evict = async |before: Option<i64>, max_bytes| {
        fixture.store.evict(before.map(Timestamp::from_ms), max_bytes).await.expect("evicted")
    };
    assert_eq!(evict(None, None).await, cached(0, 0));
    assert_eq!(evict(Some(10), Some(50)).await, cached(0, 0), "before, and at most");
    assert_eq!(evict(Some(11), Some(40)).await, cached(1, 10), "age alone was enough");
    assert_eq!(fixture.keys(&scan_all()), ["b", "c", "d", "e", "w"]);
    assert_eq!(evict(None, Some(29)).await, cached(2, 20), "whole objects go");
    assert_eq!(fixture.keys(&scan_all()), ["b", "d", "w"]);
    fixture.store.note_used(vec![(bucket(), key("d"))]).await.expect("noted");
    assert_eq!(evict(None, Some(10)).await, cached(1, 10));
    assert_eq!(fixture.keys(&scan_all()), ["d", "w"], "what was just used stays");
    assert_eq!(fixture.store.cached().expect("an answer"), cached(1, 10));
    assert_eq!(evict(Some(31), None).await, cached(1, 10), "being used does not make it younger");
    assert_eq!(fixture.keys(&scan_all()), ["w"]);
}

#[tokio::test]
async fn more_than_one_transaction_removes_are_evicted_and_two_at_once_do_not_remove_twice() {
    let fixture = Fixture::new().await;
    for index in 0..600 {
        fixture.cache(&format!("{index:03}"), b"x").await.expect("nothing is there");
    }
    let (one, other) = tokio::join!(fixture.store.evict(None, Some(50)), fixture.store.evict(None, Some(50)));
    assert_eq!(one.expect("evicted").objects + other.expect("evicted").objects, 550);
    assert_eq!(fixture.keys(&scan_all()).len(), 50);
    let everything = Some(Timestamp::from_seconds(1_800_000_000));
    assert_eq!(fixture.store.evict(everything, None).await.expect("evicted"), cached(50, 50));
}

#[tokio::test]
async fn an_evicted_object_is_read_to_the_end_and_its_bytes_go_then() {
    let fixture = Fixture::new().await;
    fixture.cache("a", &pattern(500_000)).await.expect("nothing is there");
    let Lookup::Here(_, held) = fixture.find("a") else { panic!("it was kept") };
    fixture.store.evict(None, Some(0)).await.expect("evicted");
    assert!(matches!(fixture.find("a"), Lookup::Absent));
    assert!(read(&held, ByteRange::whole(500_000)).await.expect("held") == pattern(500_000));
    drop(held);
    fixture.swept_to(0).await;
    fixture.cache("a", b"again").await.expect("nothing is there");
    let fixture = fixture.reopened().await;
    assert_eq!(origin(&fixture, "a"), Some(Origin::Cached));
    assert_eq!(fixture.get("a").await.expect("an object"), b"again");
}

#[tokio::test]
async fn deleting_a_cached_object_works_like_any_other_and_undeleting_removes_tombstones_alone() {
    let fixture = Fixture::new().await;
    fixture.cache("cached", &pattern(100_000)).await.expect("nothing is there");
    assert!(fixture.delete("cached", true).await);
    fixture.delete("never", true).await;
    fixture.put("written", b"x").await;
    fixture.swept_to(0).await;
    assert_eq!(fixture.store.cached().expect("an answer"), cached(0, 0));
    let keys = ["written", "cached", "none", "never", "never"].map(key).to_vec();
    let had = fixture.store.undelete(&bucket(), keys).await.expect("committed");
    assert_eq!(had, [false, true, false, true, false]);
    assert!(matches!(fixture.find("cached"), Lookup::Absent));
    assert_eq!(fixture.keys(&Scan { tombstones: true, ..scan_all() }), ["written"]);
    fixture.cache("cached", b"again").await.expect("nothing is there");
    let elsewhere = BucketName::parse("elsewhere").expect("a valid name");
    for keys in [vec![], vec![key("a")]] {
        let refused = fixture.store.undelete(&elsewhere, keys).await;
        assert!(matches!(refused, Err(Error::NoSuchBucket(_))));
    }
    assert_eq!(fixture.store.undelete(&bucket(), vec![]).await.expect("nothing to do"), [] as [bool; 0]);
}

#[tokio::test]
async fn what_is_cached_does_not_keep_a_bucket_and_goes_with_it() {
    let fixture = Fixture::new().await;
    let other = NewBucket {
        name: BucketName::parse("other").expect("a valid name"),
        region: "us-east-1".to_owned(),
        owner: owner(),
    };
    fixture.store.create_bucket(other.clone()).await.expect("a new bucket");
    fixture.cache("a", &pattern(100_000)).await.expect("nothing is there");
    fixture.cache("b", &pattern(110_000)).await.expect("nothing is there");
    fixture.put("w", b"x").await;
    assert!(matches!(fixture.store.delete_bucket(&bucket()).await, Err(Error::BucketNotEmpty(_))));
    fixture.delete("w", true).await;
    let copy = CopyObject { bucket: other.name.clone(), ..copy_of("b", "copy") };
    fixture.store.copy_object(copy).await.expect("there is a source");
    fixture.store.delete_bucket(&bucket()).await.expect("nothing was written");
    fixture.swept_to(1).await;
    assert_eq!(fixture.store.cached().expect("an answer"), cached(0, 0));
    let found = fixture.store.find_object(&other.name, &key("copy"), None).expect("an answer");
    let Lookup::Here(_, content) = found else { panic!("it was copied") };
    assert!(read(&content, ByteRange::whole(110_000)).await.expect("readable") == pattern(110_000));

    fixture.store.close().await;
    let Fixture { folder, store, .. } = fixture;
    drop((content, store));
    let check = Check { verify_digests: true, repair: false };
    assert_eq!(fsck::run(folder.path(), check, |_| {}).expect("checked").findings, []);
}
