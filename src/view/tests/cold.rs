//! Keys that are not here yet: fetched once, kept, and served without production afterwards.

use super::production::Gate;
use super::*;
use crate::model::{SystemHeader, Timestamp};

#[tokio::test]
async fn many_readers_of_a_cold_key_make_one_fetch() {
    let fixture = Fixture::new().await;
    let bytes = pattern(5 << 20);
    fixture.production.serve("pub/a.mar", Served::new(bytes.clone()));
    let readers = (0..50).map(|_| async {
        let flying = fixture.get("pub/a.mar").await.expect("a flight").flying();
        assert!(read_whole(&flying).await == bytes);
    });
    futures_joined(readers).await;
    assert_eq!(fixture.production.asked(), ["GET pub/a.mar"]);
    assert_eq!(fixture.view.stats().fills, 1);
    assert_eq!(fixture.view.stats().fill_bytes, 5 << 20);

    fixture.production.stop();
    let (object, kept) = fixture.here("pub/a.mar").await.expect("it is served with production down");
    assert!(kept == bytes);
    assert_eq!(object.origin, Origin::Cached);
    assert_eq!(object.modified, Timestamp::from_seconds(1_795_209_619));
    assert_eq!(object.metadata.system(SystemHeader::ContentType), Some("text/x-test"));
    assert_eq!(fixture.view.stats().hits, 1);
}

#[tokio::test]
async fn readers_follow_before_the_end() {
    let fixture = Fixture::new().await;
    let (bytes, gate) = (pattern(4 << 20), Gate::new());
    fixture.production.serve("a", Served::new(bytes.clone()).held_at(3 << 20, &gate));
    let flying = fixture.get("a").await.expect("a flight").flying();
    assert_eq!(flying.remote().size_bytes, Some(4 << 20));
    assert_eq!(flying.object().size_bytes, 4 << 20);
    let (first, outcome) = read_along(&flying, ByteRange { start: 1000, end: 1 << 20 }).await;
    outcome.expect("it was written, and production has not sent the end");
    assert!(first == bytes[1000..1 << 20]);
    let piece = flying.reader(ByteRange::whole(1 << 20)).next().await.expect("bytes").expect("readable");
    assert!(piece.len() <= 64 << 10, "a reader has little in its hands: {}", piece.len());
    assert!(matches!(fixture.found("a"), Lookup::Absent), "nothing is here before it is whole");
    assert_eq!(fixture.view.stats().flights, 1);

    gate.open();
    assert!(read_whole(&flying).await == bytes);
    assert_eq!(fixture.view.stats().flights, 0);
}

#[tokio::test]
async fn objects_of_every_size_are_here_once_they_have_been_read() {
    let fixture = Fixture::new().await;
    for (name, size) in [("empty", 0), ("one", 1), ("inline", 64 << 10), ("blob", 700_000)] {
        fixture.production.serve(name, Served::new(pattern(size)));
        let flying = fixture.get(name).await.expect("a flight").flying();
        assert!(read_whole(&flying).await == pattern(size), "{name}");
        let (object, bytes) = fixture.here(name).await.expect("it is kept");
        assert_eq!(*flying.object(), object, "{name}");
        assert!(bytes == pattern(size), "{name}");
    }
}

#[tokio::test]
async fn an_object_of_unknown_size_is_waited_for() {
    let fixture = Fixture::new().await;
    let bytes = pattern(3 << 20);
    fixture.production.serve("a", Served { announced: None, ..Served::new(bytes.clone()) });
    let flying = fixture.get("a").await.expect("a flight").flying();
    assert_eq!(flying.remote().size_bytes, Some(3 << 20));
    assert!(read_whole(&flying).await == bytes);
    assert!(fixture.here("a").await.is_some());
}

#[tokio::test]
async fn a_key_that_production_lacks_is_absent() {
    let fixture = Fixture::new().await;
    assert!(matches!(fixture.get("gone").await, Ok(Got::Absent)));
    assert!(!fixture.materialise("gone").await.expect("an answer"));
}

#[tokio::test]
async fn a_head_of_a_cold_key_passes_through_and_keeps_nothing() {
    let fixture = Fixture::new().await;
    fixture.production.serve("a", Served::new("abc"));
    let got = fixture.ask("a", ReadMethod::Head, &HeaderMap::new()).await;
    assert!(matches!(got, Ok(Got::Proxied(200, bytes)) if bytes.is_empty()));
    assert_eq!(fixture.production.asked(), ["HEAD a"]);
    assert!(matches!(fixture.found("a"), Lookup::Absent));
}

#[tokio::test]
async fn what_is_proxied_is_not_kept() {
    let fixture = Fixture::with(&CACHE.replace("cache", "proxy"), Config::default()).await;
    fixture.production.serve("a", Served::new("abc"));
    assert!(matches!(fixture.get("a").await, Ok(Got::Proxied(200, bytes)) if bytes == b"abc"));
    assert!(matches!(fixture.get("b").await, Ok(Got::Absent)));
    assert!(matches!(fixture.found("a"), Lookup::Absent));
}

#[tokio::test]
async fn redirects_probe_first_where_the_rule_says_so() {
    let text = CACHE.replace("cache\"", "redirect\"\nprobe = true");
    let fixture = Fixture::with(&text, Config::default()).await;
    fixture.production.serve("a", Served::new("abc"));
    let location = format!("{}a", fixture.production.url());
    assert!(matches!(fixture.get("a").await, Ok(Got::Redirect(to)) if to == location));
    assert!(matches!(fixture.get("b").await, Ok(Got::Absent)));
    assert_eq!(fixture.production.asked(), ["HEAD a", "HEAD b"]);
}

#[tokio::test]
async fn a_key_is_materialised_once_for_many() {
    let fixture = Fixture::with(&CACHE.replace("cache", "redirect"), Config::default()).await;
    fixture.production.serve("a", Served::new(pattern(2 << 20)));
    let copies = (0..20).map(|_| async { assert!(fixture.materialise("a").await.expect("it is here")) });
    futures_joined(copies).await;
    assert_eq!(fixture.production.asked(), ["GET a"]);
    let (_, bytes) = fixture.here("a").await.expect("it is kept, whatever the mode");
    assert!(bytes == pattern(2 << 20));
    assert!(fixture.materialise("a").await.expect("it is here already"));
    fixture.bury("a").await;
    assert!(!fixture.materialise("a").await.expect("a tombstone stays"));
    assert_eq!(fixture.production.asked().len(), 1);
}

/// Runs all of them at once.
async fn futures_joined(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        waiting.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
