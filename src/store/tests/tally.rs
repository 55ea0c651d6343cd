//! What is counted, and that it is counted once: with what was done, or not at all.

use super::uploads::{begin, completion, put_part};
use super::*;

/// Every count as `kind upstream count bytes`.
fn counts(fixture: &Fixture) -> Vec<String> {
    let tallied = fixture.store.tally().expect("the index answers");
    assert_eq!(tallied.since, Timestamp::from_seconds(1_700_000_000), "the clock stands still");
    let lines = tallied.totals.iter().map(|total| {
        assert_eq!((total.first, total.last), (tallied.since, tallied.since));
        let Total { counted, upstream, amount, .. } = total;
        format!("{} {upstream} {} {}", counted.name(), amount.count, amount.bytes).replace("  ", " ")
    });
    lines.collect()
}

#[tokio::test]
async fn what_is_written_is_counted_with_its_bytes() {
    let fixture = Fixture::new().await;
    assert_eq!(counts(&fixture), [""; 0]);
    fixture.put("a", b"12345").await;
    fixture.put("a", b"123").await;
    fixture.copy("a", "b").await.expect("copied");
    fixture.copy("a", "b").await.expect("copied");
    fixture.cache("c", b"1234567").await.expect("kept");
    fixture.put("c", b"1").await;
    fixture.cache("d", b"12").await.expect("kept");
    assert!(fixture.cache("d", b"12").await.is_none());
    assert!(fixture.delete("a", false).await);
    assert!(!fixture.delete("a", false).await, "there is nothing to count");
    assert!(fixture.delete("b", true).await);
    assert!(fixture.delete("d", true).await);
    assert!(!fixture.delete("e", true).await);
    let undeleted = fixture.store.undelete(&bucket(), vec![key("e"), key("f")]).await;
    assert_eq!(undeleted.expect("done"), [true, false]);
    let expected = [
        "copied 2 6",
        "deleted 2 6",
        "fetched https://upstream.example/ 2 9",
        "overwritten 2 8",
        "tombstone 3 0",
        "undeleted 1 0",
        "uploaded 3 9",
    ];
    assert_eq!(counts(&fixture), expected);
    let fixture = fixture.reopened().await;
    assert_eq!(counts(&fixture), expected);
    let holding = Holding {
        bucket: bucket(),
        written: Amount { count: 1, bytes: 1 },
        cached: Amount::default(),
        tombstones: 2,
    };
    assert_eq!(fixture.store.holdings().expect("the index answers"), [holding]);
}

#[tokio::test]
async fn an_upload_in_parts_is_counted_when_it_is_completed_and_once() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"123").await;
    let upload = begin(&fixture, "a", None).await;
    let part = put_part(&fixture, &upload, 1, b"0123456789").await;
    assert_eq!(counts(&fixture), ["uploaded 1 3"]);
    for _ in 0..2 {
        let completed = fixture.store.complete_upload(completion(&upload, &[&part])).await;
        completed.expect("completed, also when it is asked again");
    }
    assert_eq!(counts(&fixture), ["overwritten 1 3", "uploaded 2 13"]);
}

#[tokio::test]
async fn what_fails_is_not_counted() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"123").await;
    fixture.put_if("a", b"45", if_none_match_any()).await.expect_err("it is there");
    assert_eq!(counts(&fixture), ["uploaded 1 3"]);
    fixture.sql("CREATE TRIGGER no_blob BEFORE INSERT ON segment BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    fixture.put_if("b", b"45", WriteConditions::default()).await.expect_err("the trigger stands in the way");
    fixture.sql("DROP TRIGGER no_blob").await;
    fixture.put("c", b"6").await;
    assert_eq!(counts(&fixture), ["uploaded 2 4"]);
}

#[tokio::test]
async fn what_was_gathered_elsewhere_is_added() {
    let fixture = Fixture::new().await;
    let mut tally = Tally::default();
    tally.count(Counted::ReadHere, "", 5);
    tally.count(Counted::ReadHere, "", 6);
    tally.count(Counted::ReadProxied, "https://one/", 7);
    fixture.store.add_tally(tally.clone()).await.expect("added");
    tally.merge(tally.clone());
    fixture.store.add_tally(tally).await.expect("added");
    assert_eq!(counts(&fixture), ["read_here 6 33", "read_proxied https://one/ 3 21"]);
}

#[tokio::test]
async fn a_count_that_cannot_grow_stands_in_the_way_of_no_write() {
    let fixture = Fixture::new().await;
    fixture.put("a", b"12345").await;
    fixture.copy("a", "b").await.expect("copied");
    fixture.cache("c", b"123").await.expect("kept");
    fixture.sql("UPDATE tally SET count = 9223372036854775807, bytes = 9223372036854775806").await;
    fixture.put("d", b"123").await;
    fixture.copy("a", "e").await.expect("copied");
    let (most, almost) = (i64::MAX, i64::MAX - 1);
    let expected = [
        format!("copied {most} {most}"),
        format!("fetched https://upstream.example/ {most} {almost}"),
        format!("uploaded {most} {most}"),
    ];
    assert_eq!(counts(&fixture), expected);

    let large = format!("UPDATE object SET size = {most}");
    fixture.sql(&large).await;
    let holding = &fixture.store.holdings().expect("an answer")[0];
    assert_eq!((holding.written.count, holding.written.bytes), (4, most.unsigned_abs()));
    assert_eq!(holding.cached.bytes, most.unsigned_abs());
    assert_eq!(fixture.store.cached().expect("an answer").bytes, most.unsigned_abs());
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let mut names: Vec<_> = Counted::ALL.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Counted::ALL.len());
}
