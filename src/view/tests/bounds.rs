//! How much is kept, and what goes first.

use super::*;

async fn keep(fixture: &Fixture, name: &str, size: usize) {
    fixture.production.serve(name, Served::new(pattern(size)));
    assert!(fixture.materialise(name).await.expect("it is here"));
}

/// Waits until the clock shows another time than now.
async fn tick() {
    let now = Clock::System.now();
    while Clock::System.now() == now {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_least_recently_used_goes_first() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(2500), max_age: None }).await;
    fixture.put("written", &pattern(10_000)).await;
    keep(&fixture, "a", 1000).await;
    keep(&fixture, "b", 1000).await;
    tick().await;
    assert!(fixture.here("a").await.is_some());
    keep(&fixture, "c", 1000).await;
    fixture.view.evict().await.expect("evicted");
    assert!(matches!(fixture.found("b"), Lookup::Absent), "it was used least recently");
    for name in ["written", "a", "c"] {
        assert!(fixture.here(name).await.is_some(), "{name}");
    }
    assert_eq!(fixture.view.stats().evictions, 1);
    assert_eq!(fixture.store.cached().expect("a sum").bytes, 2000);
}

#[tokio::test]
async fn fills_end_within_the_bound_by_themselves() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(2500), max_age: None }).await;
    for number in 0..20 {
        keep(&fixture, &number.to_string(), 1000).await;
    }
    while fixture.store.cached().expect("a sum").bytes > 2500 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_larger_than_the_bound_is_here_for_who_waited_for_it() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(500), max_age: None }).await;
    keep(&fixture, "a", 1000).await;
    assert!(matches!(fixture.found("a"), Lookup::Here(..)), "a copy can be made of it");
    fixture.view.evict().await.expect("evicted");
    assert!(matches!(fixture.found("a"), Lookup::Absent));
    keep(&fixture, "a", 1000).await;
    assert_eq!(fixture.production.asked(), ["GET a", "GET a"], "it is fetched again");
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bounded_while_it_comes() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(1 << 20), max_age: None }).await;
    let bytes = pattern(3 << 20);
    let chunks =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n0\r\n\r\n"].concat();
    let chunked = |name: &str, bytes: &[u8]| {
        let served = Served {
            announced: None,
            extra: "Transfer-Encoding: chunked\r\n".to_owned(),
            etag: "\"not-an-md5\"".to_owned(),
            ..Served::new(chunks(bytes))
        };
        fixture.production.serve(name, served);
    };
    chunked("a", &bytes);
    for round in 1..3 {
        let got = fixture.get("a").await;
        assert!(matches!(got, Ok(Got::Proxied(200, read)) if read == bytes), "it is read all the same");
        assert!(matches!(fixture.found("a"), Lookup::Absent), "it is larger than all that may be kept");
        // The fetch that was given up, and then none any more.
        assert_eq!(fixture.production.asked().len(), 1 + round);
    }
    let failed = fixture.materialise("a").await.expect_err("no copy can be made of it");
    assert!(matches!(failed, Error::TooLong { .. }), "{failed}");
    chunked("b", &bytes[..1 << 19]);
    assert!(fixture.materialise("b").await.expect("it fits"), "what was taken has been given back");
}

#[tokio::test]
async fn a_body_of_unknown_length_leaves_as_much_room_as_it_takes() {
    let fixture = Fixture::new().await;
    let allowance = crate::view::allowance::Allowance::new(None);
    allowance.begin().more(64 << 20, &fixture.store).expect("there is room for that much and as much again");
    fixture.store.close().await;
    let Fixture { view, store, folder, .. } = fixture;
    drop((view, store));
    let options = Options { reserve_bytes: u64::MAX, ..Options::new(folder.path()) };
    let full = Store::open(options).expect("the folder is free again");
    let mut taken = allowance.begin();
    taken.more(1000, &full).expect("the disk is not looked at for each piece");
    assert_eq!(taken.more(8 << 20, &full), Err((8 << 20) + 1000));
}

#[tokio::test]
async fn what_is_too_old_goes() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: None, max_age: Some(Duration::ZERO) }).await;
    keep(&fixture, "a", 10).await;
    tick().await;
    fixture.view.evict().await.expect("evicted");
    assert!(matches!(fixture.found("a"), Lookup::Absent));
    assert_eq!(fixture.view.stats().evictions, 1);
}

#[tokio::test]
async fn without_bounds_nothing_goes() {
    let fixture = Fixture::new().await;
    keep(&fixture, "a", 10).await;
    fixture.view.evict().await.expect("nothing to do");
    assert!(fixture.here("a").await.is_some());
}

#[tokio::test]
async fn the_bookkeeping_ends_with_the_view() {
    let fixture = Fixture::with(CACHE, Config { max_bytes: Some(10_000), max_age: None }).await;
    keep(&fixture, "a", 10).await;
    assert!(fixture.here("a").await.is_some());
    let inner = Arc::downgrade(&fixture.view.0);
    let Fixture { view, store, .. } = fixture;
    drop(view);
    // The task of a flight may be about to end.
    while inner.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    store.close().await;
}
