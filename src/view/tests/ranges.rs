//! Ranges of keys that are not here.

use super::production::Gate;
use super::*;

#[tokio::test]
async fn a_range_of_a_cold_key_is_answered_at_once_and_the_whole_is_kept() {
    let fixture = Fixture::new().await;
    let bytes = pattern(3 << 20);
    fixture.production.serve("a", Served::new(bytes.clone()));
    let got = fixture.get_range("a", "bytes=1000000-1000009").await;
    assert!(matches!(&got, Ok(Got::Proxied(206, part)) if *part == bytes[1_000_000..1_000_010]), "{got:?}");
    fixture.landed("a").await;
    let (_, kept) = fixture.here("a").await.expect("the whole is here");
    assert!(kept == bytes);
    let mut asked = fixture.production.asked();
    asked.sort();
    assert_eq!(asked, ["GET a", "GET a 1000000-1000009"]);
}

#[tokio::test]
async fn a_range_that_has_arrived_is_read_from_the_flight() {
    let fixture = Fixture::new().await;
    let (bytes, gate) = (pattern(4 << 20), Gate::new());
    fixture.production.serve("a", Served::new(bytes.clone()).held_at(3 << 20, &gate));
    let whole = fixture.get("a").await.expect("a flight").flying();
    // So far it has arrived once this was read.
    read_along(&whole, ByteRange { start: 0, end: 1 << 20 }).await.1.expect("it was written");

    let flying = fixture.get_range("a", "bytes=5-99").await.expect("an answer").flying();
    let (part, outcome) = read_along(&flying, ByteRange { start: 5, end: 100 }).await;
    outcome.expect("all of it");
    assert!(part == bytes[5..100]);
    assert_eq!(fixture.production.asked(), ["GET a"]);

    // The end has not arrived: it is asked for, and no second flight begins.
    let got = fixture.get_range("a", "bytes=4194303-").await;
    assert!(matches!(&got, Ok(Got::Proxied(206, part)) if *part == bytes[4_194_303..]), "{got:?}");
    assert_eq!(fixture.production.asked(), ["GET a", "GET a 4194303-"]);
    gate.open();
    assert!(read_whole(&whole).await == bytes);
}

#[tokio::test]
async fn ranges_that_s3_ignores_are_reads_of_the_whole() {
    let fixture = Fixture::new().await;
    fixture.production.serve("a", Served::new("abc"));
    let flying = fixture.get_range("a", "bytes=0-0,2-2").await.expect("an answer").flying();
    assert_eq!(read_whole(&flying).await, b"abc");
    assert_eq!(fixture.production.asked(), ["GET a"]);
}

#[tokio::test]
async fn a_range_of_what_can_never_be_kept_starts_no_flight() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(1000), max_age: None }).await;
    fixture.production.serve("a", Served::new(pattern(1001)));
    assert!(matches!(fixture.get_range("a", "bytes=0-0").await, Ok(Got::Proxied(206, _))));
    assert_eq!(fixture.view.stats().flights, 0);
    assert_eq!(fixture.production.asked(), ["GET a 0-0"]);
}
