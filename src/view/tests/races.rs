//! What happens to a key while it is on its way here.

use http::HeaderName;

use super::production::Gate;
use super::*;
use crate::fallback::ClientKind;
use crate::model::SnapshotName;

/// A flight of 3 MiB that waits at its second one.
async fn held(fixture: &Fixture, gate: &Gate) -> Flying {
    fixture.production.serve("a", Served::new(pattern(3 << 20)).held_at(2 << 20, gate));
    fixture.get("a").await.expect("a flight").flying()
}

#[tokio::test]
async fn what_is_written_during_a_flight_stays() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    let flying = held(&fixture, &gate).await;
    fixture.put("a", b"written here").await;
    gate.open();
    assert!(read_whole(&flying).await == pattern(3 << 20), "who asked before gets what was there");
    let (object, bytes) = fixture.here("a").await.expect("an object");
    assert_eq!((object.origin, bytes.as_slice()), (Origin::Written, b"written here".as_slice()));
    assert_eq!(fixture.view.stats().fills, 0);
}

#[tokio::test]
async fn what_is_deleted_during_a_flight_stays_deleted() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    let flying = held(&fixture, &gate).await;
    let materialised = async { fixture.materialise("a").await.expect("an answer") };
    let deleted = async {
        fixture.bury("a").await;
        gate.open();
    };
    let (is_here, ()) = tokio::join!(materialised, deleted);
    assert!(!is_here, "nothing to copy any more");
    assert!(read_whole(&flying).await == pattern(3 << 20));
    assert!(matches!(fixture.found("a"), Lookup::Tombstone));
}

#[tokio::test]
async fn what_was_on_its_way_when_the_store_went_back_is_not_kept_but_fetched_anew_for_who_copies() {
    let fixture = Fixture::new().await;
    let empty = SnapshotName::parse("empty").expect("a name");
    fixture.store.create_snapshot(empty.clone()).await.expect("taken");
    let gate = Gate::new();
    let flying = held(&fixture, &gate).await;
    fixture.store.restore_snapshot(empty.clone()).await.expect("restored");
    gate.open();
    assert!(read_whole(&flying).await == pattern(3 << 20), "who reads along reads to the end");
    assert!(matches!(fixture.found("a"), Lookup::Absent));
    assert_eq!(fixture.view.stats().fills, 0);

    let gate = Gate::new();
    let flying = held(&fixture, &gate).await;
    let materialised = async { fixture.materialise("a").await.expect("an answer") };
    let restored = async {
        fixture.store.restore_snapshot(empty).await.expect("restored");
        gate.open();
    };
    let (is_here, ()) = tokio::join!(materialised, restored);
    assert!(is_here, "production has it still");
    assert!(read_whole(&flying).await == pattern(3 << 20));
    assert_eq!(fixture.view.stats().fills, 1);
}

#[tokio::test]
async fn clients_that_leave_do_not_stop_a_flight() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    drop(held(&fixture, &gate).await);
    gate.open();
    fixture.landed("a").await;
    assert!(fixture.here("a").await.is_some());
}

#[tokio::test]
async fn who_finds_it_landed_reads_what_is_here() {
    let fixture = Fixture::new().await;
    fixture.production.serve("a", Served::new(pattern(3 << 20)));
    assert!(fixture.materialise("a").await.expect("it is here"));
    // As somebody would who had looked before the flight began.
    let flying = fixture.get("a").await.expect("an answer").flying();
    assert_eq!(flying.remote().size_bytes, Some(3 << 20));
    assert!(read_whole(&flying).await == pattern(3 << 20));
    fixture.bury("a").await;
    assert!(matches!(fixture.get("a").await, Ok(Got::Absent)), "or that it was deleted");
    assert_eq!(fixture.production.asked(), ["GET a"]);
}

#[tokio::test]
async fn readers_survive_that_what_they_read_is_removed() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(0), max_age: None }).await;
    fixture.production.serve("a", Served::new(pattern(3 << 20)));
    let flying = fixture.get("a").await.expect("a flight").flying();
    let mut reader = flying.reader(ByteRange::whole(3 << 20));
    let first = reader.next().await.expect("bytes").expect("readable");
    fixture.landed("a").await;
    fixture.view.evict().await.expect("evicted");
    assert!(matches!(fixture.found("a"), Lookup::Absent));
    let mut read = first.to_vec();
    while let Some(piece) = reader.next().await {
        read.extend_from_slice(&piece.expect("readable"));
    }
    assert!(read == pattern(3 << 20));
}

#[tokio::test]
async fn a_request_that_went_in_circles_does_not_wait_for_itself() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    let _flying = held(&fixture, &gate).await;
    let circles = HeaderValue::from_str(&["understudy-x"; 9].join(", ")).expect("a header value");
    let hops = Hops::read(&HeaderMap::from_iter([(HeaderName::from_static("cdn-loop"), circles)]));
    let (bucket, key, headers) = (bucket(), key("a"), HeaderMap::new());
    let (method, client) = (ReadMethod::Get, ClientKind::Sdk);
    let miss = Miss {
        bucket: &bucket,
        key: &key,
        method,
        may_write: false,
        asker: client.into(),
        headers: &headers,
        hops: &hops,
    };
    let looped = |error: &Error| matches!(error, Error::Upstream(upstream::Error::Loop { .. }));
    assert!(fixture.view.miss(miss).await.is_err_and(|error| looped(&error)));
    assert!(fixture.view.materialise(&bucket, &key, &hops).await.is_err_and(|error| looped(&error)));
}

#[tokio::test]
async fn when_all_turns_are_taken_keys_wait_and_ranges_start_nothing() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    let flights = &fixture.view.0.flights;
    let mut names: Vec<_> = (0..16).map(|number| format!("held-{number}")).collect();
    names.push("late".to_owned());
    for name in &names {
        fixture.production.serve(name, Served::new(pattern(1000)).held_at(500, &gate));
    }
    let fallback = fixture.view.fallback();
    for name in &names {
        let (bucket, key) = (bucket(), key(name));
        let upstream = fallback.source(&bucket, &key).expect("a rule").upstream;
        drop(fixture.view.join(&bucket, &key, upstream, &Hops::default()).expect("a flight"));
    }
    while flights.has_turns() {
        tokio::task::yield_now().await;
    }
    fixture.production.serve("other", Served::new(pattern(1000)));
    assert!(matches!(fixture.get_range("other", "bytes=0-9").await, Ok(Got::Proxied(206, _))));
    assert_eq!(fixture.view.stats().flights, 17, "nobody waits for the rest of it");
    assert!(!fixture.production.asked().contains(&"GET late".to_owned()), "it waits for its turn");
    gate.open();
    for name in &names {
        assert!(fixture.materialise(name).await.expect("it comes"), "{name}");
    }
    assert_eq!(fixture.production.asked().len(), 18, "each once");
}

/// Sixteen flights that wait for the gate: all there may be at a time.
async fn take_all_turns(fixture: &Fixture, gate: &Gate) {
    for number in 0..16 {
        let name = format!("held-{number}");
        fixture.production.serve(&name, Served::new(pattern(1000)).held_at(500, gate));
        begin(fixture, &name);
    }
    while fixture.view.0.flights.has_turns() {
        tokio::task::yield_now().await;
    }
}

/// Joins a flight and leaves it.
fn begin(fixture: &Fixture, name: &str) {
    let (bucket, key) = (bucket(), key(name));
    let upstream = fixture.view.fallback().source(&bucket, &key).expect("a rule").upstream;
    drop(fixture.view.join(&bucket, &key, upstream, &Hops::default()).expect("a flight"));
}

#[tokio::test]
async fn a_flight_that_nobody_waits_for_when_its_turn_comes_does_not_start() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    take_all_turns(&fixture, &gate).await;
    fixture.production.serve("late", Served::new(pattern(1000)));
    begin(&fixture, "late");
    assert_eq!(fixture.view.stats().flights, 17);
    gate.open();
    while fixture.view.stats().flights > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!fixture.production.asked().contains(&"GET late".to_owned()), "whoever wanted it has left");
    assert!(fixture.materialise("late").await.expect("it comes"), "the next one starts anew");
}

#[tokio::test]
async fn who_would_wait_long_for_a_turn_reads_production() {
    let fixture = Fixture::new().await;
    let gate = Gate::new();
    take_all_turns(&fixture, &gate).await;
    fixture.production.serve("late", Served::new(pattern(1000)));
    let got = fixture.get("late").await.expect("an answer");
    assert!(matches!(&got, Got::Proxied(200, bytes) if *bytes == pattern(1000)), "{got:?}");
    assert_eq!(fixture.production.asked().iter().filter(|asked| *asked == "GET late").count(), 1);
    gate.open();
}
