//! Counts of what was asked and answered, for whoever watches the stage.
//!
//! Deliberately elsewhere: what is known only when it is asked for (`admin`), such as the number of
//! cached objects or the state of upstreams. Labels are words of ours, never a client's: a label
//! that a client could choose would let it fill the memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::outcome::Face;
use crate::store::{self, Counted, Store, Tally};

/// Counts requests. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Inner>);

/// Seconds; from an index lookup to a long download.
const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

#[derive(Debug)]
struct Inner {
    requests: Family<Asked, Counter>,
    received: Family<ByFace, Counter>,
    sent: Family<ByFace, Counter>,
    durations: Family<ByFace, Histogram, fn() -> Histogram>,
    aborted: Family<ByFace, Counter>,
    connections: Connections,
    /// What the receipt counts and the store was not told yet.
    tally: Mutex<Tally>,
    /// The counters of each face in the four families above, so that no request looks them up.
    of_faces: [OfFace; Face::ALL.len()],
}

/// Counts connections. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// Connections that are open.
    pub open: Gauge,
    /// Of these, those with a request under way.
    pub busy: Gauge,
    /// Connections that were closed while nothing was asked on them, because others came.
    pub shed: Counter,
    /// Requests that were answered 503 because too many were under way, and connections that were
    /// closed unheard.
    pub refused: Counter,
}

#[derive(Debug)]
struct OfFace {
    received: Counter,
    sent: Counter,
    durations: Histogram,
    aborted: Counter,
}

/// What is known of a request once its answer has gone out or was cut off.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Which dialect.
    pub face: Face,
    /// The operation.
    pub operation: &'static str,
    /// Where the answer came from, by its name in the log.
    pub outcome: &'static str,
    /// The status, if there was an answer.
    pub status: Option<StatusCode>,
    /// Whether all of the answer was taken.
    pub whole: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// From the request's head to the end of its answer.
    pub duration: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    face: &'static str,
    operation: &'static str,
    outcome: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFace {
    face: &'static str,
}

impl Default for Inner {
    fn default() -> Self {
        let (received, sent, aborted) = (Family::default(), Family::default(), Family::default());
        let durations: Family<ByFace, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        let of_faces = Face::ALL.map(|face| {
            let face = ByFace { face: face.name() };
            OfFace {
                received: received.get_or_create_owned(&face),
                sent: sent.get_or_create_owned(&face),
                durations: durations.get_or_create_owned(&face),
                aborted: aborted.get_or_create_owned(&face),
            }
        });
        let (requests, tally) = (Family::default(), Mutex::default());
        let connections = Connections::default();
        Self { requests, received, sent, durations, aborted, connections, tally, of_faces }
    }
}

impl Meter {
    /// Counts a request.
    pub fn record(&self, measured: &Measured) {
        let Inner { requests, of_faces, .. } = &*self.0;
        let Measured { face, operation, outcome, status, whole, bytes_in, bytes_out, duration } = *measured;
        let asked = Asked { face: face.name(), operation, outcome, status: class(status) };
        requests.get_or_create(&asked).inc();
        let OfFace { received, sent, durations, aborted } = &of_faces[face as usize];
        received.inc_by(bytes_in);
        sent.inc_by(bytes_out);
        durations.observe(duration.as_secs_f64());
        if !whole {
            aborted.inc();
        }
    }

    /// Where connections are counted.
    pub fn connections(&self) -> Connections {
        self.0.connections.clone()
    }

    /// Counts for the receipt. The upstream is empty where it is about none.
    pub(super) fn tally(&self, counted: Counted, upstream: &str, bytes: u64) {
        self.0.tally.lock().unwrap_or_else(PoisonError::into_inner).count(counted, upstream, bytes);
    }

    /// Tells the store what was counted for the receipt. If that fails it is told the next time.
    pub async fn flush(&self, store: &Store) -> Result<(), store::Error> {
        let gathered = std::mem::take(&mut *self.0.tally.lock().unwrap_or_else(PoisonError::into_inner));
        if gathered.is_empty() {
            return Ok(());
        }
        let told = store.add_tally(gathered.clone()).await;
        if told.is_err() {
            self.0.tally.lock().unwrap_or_else(PoisonError::into_inner).merge(gathered);
        }
        told
    }

    /// Shows what was counted.
    pub fn register(&self, registry: &mut Registry) {
        let Inner { connections, requests, received, sent, durations, aborted, .. } = &*self.0;
        let Connections { open, busy, shed, refused } = connections.clone();
        registry.register("connections", "Connections that are open", open);
        registry.register("connections_busy", "Of these, those with a request under way", busy);
        registry.register("connections_shed", "Idle connections that made room for others", shed);
        registry.register("connections_refused", "Requests refused because of too many at a time", refused);
        registry.register("requests", "Requests that were answered or given up", requests.clone());
        registry.register_with_unit(
            "received",
            "Bytes of request bodies that came",
            Unit::Bytes,
            received.clone(),
        );
        registry.register_with_unit("sent", "Bytes of answers that went out", Unit::Bytes, sent.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to the end of its answer",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register(
            "requests_aborted",
            "Requests whose answer was not taken to its end",
            aborted.clone(),
        );
    }
}

/// The class of a status, as dashboards group them.
fn class(status: Option<StatusCode>) -> &'static str {
    match status.map_or(0, |status| status.as_u16() / 100) {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use prometheus_client::registry::Registry;

    use super::{Measured, Meter};
    use crate::protocol::outcome::Face;
    use crate::store::{Amount, Counted, Options, Store};

    #[tokio::test]
    async fn what_the_store_could_not_be_told_is_told_the_next_time() {
        let meter = Meter::default();
        let open = || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            (Store::open(Options::new(folder.path())).expect("an empty folder"), folder)
        };
        let ((closed, _one), (store, _other)) = (open(), open());
        closed.close().await;
        meter.tally(Counted::ReadHere, "", 5);
        meter.flush(&closed).await.expect_err("it is closed");
        meter.tally(Counted::ReadHere, "", 6);
        for _ in 0..2 {
            meter.flush(&store).await.expect("told, and then there is nothing to tell");
        }
        let totals = store.tally().expect("the index answers").totals;
        let [total] = totals.as_slice() else { panic!("one count, not {totals:?}") };
        assert_eq!((total.counted, total.amount), (Counted::ReadHere, Amount { count: 2, bytes: 11 }));
    }

    #[test]
    fn requests_are_counted_by_words_of_ours() {
        let meter = Meter::default();
        let measured = Measured {
            face: Face::S3,
            operation: "GetObject",
            outcome: "local",
            status: Some(StatusCode::PARTIAL_CONTENT),
            whole: true,
            bytes_in: 2,
            bytes_out: 10,
            duration: Duration::from_millis(3),
        };
        meter.record(&measured);
        meter.clone().record(&Measured { whole: false, ..measured });
        meter.record(&Measured { status: None, ..measured });
        let mut registry = Registry::with_prefix("understudy");
        meter.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        for line in [
            "understudy_requests_total{face=\"s3\",operation=\"GetObject\",outcome=\"local\",status=\"2xx\"} 2",
            "understudy_requests_total{face=\"s3\",operation=\"GetObject\",outcome=\"local\",status=\"none\"} 1",
            "understudy_received_bytes_total{face=\"s3\"} 6",
            "understudy_sent_bytes_total{face=\"s3\"} 30",
            "understudy_requests_aborted_total{face=\"s3\"} 1",
            "understudy_request_duration_seconds_count{face=\"s3\"} 3",
            "understudy_request_duration_seconds_bucket{le=\"0.0025\",face=\"s3\"} 0",
            "understudy_request_duration_seconds_bucket{le=\"0.005\",face=\"s3\"} 3",
            // A rate needs a series from the start on.
            "understudy_received_bytes_total{face=\"gcs\"} 0",
            "understudy_requests_aborted_total{face=\"admin\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
