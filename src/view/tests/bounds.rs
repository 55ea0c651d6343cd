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
