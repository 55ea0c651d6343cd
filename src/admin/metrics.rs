//! `GET /-/metrics`: counts in the text format of OpenMetrics, which Prometheus reads.
//!
//! What is not counted as it happens is looked up at each scrape.

use std::sync::atomic::AtomicU64;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Inner, response};
use crate::protocol::request::Response;
use crate::store::{Damage, Store};
use crate::upstream::Health;
use crate::view::Stats;

/// The media type of what Prometheus reads.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldBy {
    by: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUpstream {
    upstream: String,
}

/// Everything that is counted.
pub(super) async fn get(service: &Inner) -> Response {
    let is_healthy = service.view.store().health().await.is_ok();
    let mut registry = Registry::default();
    let started = Gauge::<i64>::default();
    started.set(service.started.as_seconds());
    registry.register_with_unit(
        "process_start_time",
        "When the process started, since 1970",
        Unit::Seconds,
        started,
    );
    let ours = registry.sub_registry_with_prefix("understudy");
    let build = Info::new([
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", option_env!("UNDERSTUDY_COMMIT").unwrap_or_default()),
    ]);
    ours.register("build", "What is running", build);
    service.meter.register(ours);
    store(ours, service.view.store(), is_healthy);
    writer(ours, service.view.store());
    cache(ours, &service.view.stats());
    upstreams(ours, &service.view.upstream().health());
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &registry) {
        // Writing to a string cannot fail; an encoder of ours that did would be told here.
        tracing::error!(%error, "the metrics could not be written");
    }
    response::text_of(StatusCode::OK, CONTENT_TYPE, text)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

fn store(registry: &mut Registry, store: &Store, is_healthy: bool) {
    gauge(registry, "store_healthy", "Whether the store can do its work", u64::from(is_healthy));
    let Damage { reads, blobs } = store.damage();
    let damaged_reads = Counter::<u64>::default();
    damaged_reads.inc_by(reads);
    registry.register("store_damaged_reads", "Reads that met a blob that is broken", damaged_reads);
    let broken = u64::try_from(blobs.len()).unwrap_or(u64::MAX);
    gauge(registry, "store_damaged_blobs", "Blobs that are known to be broken, up to 16", broken);
    match store.cached() {
        Ok(cached) => {
            gauge(registry, "cached_objects", "Objects of production that are kept here", cached.objects);
            gauge(registry, "cached_bytes", "Their bytes", cached.bytes);
        }
        Err(error) => tracing::warn!(%error, "what is cached could not be counted"),
    }
}

fn writer(registry: &mut Registry, store: &Store) {
    let (holds, slow) = store.holds();
    let longest = Family::<HeldBy, Gauge<f64, AtomicU64>>::default();
    for hold in holds {
        longest.get_or_create(&HeldBy { by: hold.by }).set(hold.longest.as_secs_f64());
    }
    let help = "The longest that the one writer of the store was held since the start, by kind of work";
    registry.register_with_unit("writer_longest_hold", help, Unit::Seconds, longest);
    let counter = Counter::<u64>::default();
    counter.inc_by(slow);
    registry.register("writer_slow_transactions", "Transactions that held the writer over 50 ms", counter);
}

fn cache(registry: &mut Registry, stats: &Stats) {
    let Stats { hits, fills, fill_bytes, failures, evictions, flights } = *stats;
    for (name, help, value) in [
        ("cache_hits", "Lookups that a cached object answered", hits),
        ("cache_fills", "Objects of production that were fetched and kept", fills),
        ("cache_filled_bytes", "Their bytes", fill_bytes),
        ("cache_failures", "Fetches that failed or did not fit what was announced", failures),
        ("cache_evictions", "Cached objects that made room", evictions),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    gauge(registry, "cache_flights", "Fetches under way or waiting for their turn", flights);
}

fn upstreams(registry: &mut Registry, health: &[Health]) {
    let requests = Family::<OfUpstream, Counter>::default();
    let failures = Family::<OfUpstream, Counter>::default();
    let bytes = Family::<OfUpstream, Counter>::default();
    let down = Family::<OfUpstream, Gauge>::default();
    for upstream in health {
        let label = OfUpstream { upstream: upstream.name.clone() };
        requests.get_or_create(&label).inc_by(upstream.requests);
        failures.get_or_create(&label).inc_by(upstream.failures);
        bytes.get_or_create(&label).inc_by(upstream.bytes);
        down.get_or_create(&label).set(i64::from(upstream.down));
    }
    registry.register("upstream_requests", "Requests to production, tries counted one by one", requests);
    registry.register("upstream_failures", "Of these, those that failed", failures);
    registry.register_with_unit("upstream_received", "Bytes of bodies of production", Unit::Bytes, bytes);
    registry.register("upstream_down", "Whether an upstream counts as down and is left alone", down);
}
