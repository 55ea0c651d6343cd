//! What the request log says: one event per request, when its answer has gone out or was cut off.
//!
//! Deliberately elsewhere: where events go and how they look (`server`), and what counts as which
//! answer (the faces).

use std::error::Error;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::body::ByteCount;
use super::meter::{Measured, Meter};
use super::request::{Context, RequestId, Response};
use super::tally;
use crate::model::{AccessKeyId, BucketName, ObjectKey};
use crate::store::Origin;

/// Which dialect answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// S3.
    S3,
    /// The JSON API of Google Cloud Storage.
    Gcs,
    /// The archive's plain paths.
    Archive,
    /// Health and version for load balancers.
    Dockerflow,
    /// The API of the stage itself.
    Admin,
}

/// Where the answer came from, or why there was none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// Not at all, so far.
    Unanswered,
    /// From what is stored here.
    Local,
    /// By passing production's answer on.
    Proxy,
    /// From what is kept here of production.
    Cache,
    /// By reading along while a file of production is fetched to be kept.
    Fill,
    /// From what the imported index says of production.
    Index,
    /// With a redirect to production.
    Redirect,
    /// With a redirect to a link signed for production.
    Presign,
    /// Not here, and no rule sends the client elsewhere.
    Absent,
    /// Deleted here: production is not asked.
    Tombstone,
    /// Part of the release under test: production is not asked.
    UnderTest,
    /// A rule denies it.
    Deny,
    /// The signature or the grants did not allow it.
    Refused,
    /// The request was wrong, or a condition of it did not hold.
    Rejected,
    /// Production could not be asked, or its answer broke off.
    UpstreamFailed,
    /// We could not do it.
    Failed,
}

/// The event of one request. It is written when this is dropped: after the last byte of the answer
/// that it is attached to, or with the request, if that ends without one.
#[derive(Debug)]
pub struct Outcome {
    /// The operation, by AWS's name where it has one.
    pub operation: &'static str,
    /// The bucket, once it is known.
    pub bucket: Option<BucketName>,
    /// The key, once it is known.
    pub key: Option<ObjectKey>,
    /// Whose signature was verified.
    pub access_key_id: Option<AccessKeyId>,
    /// Where the answer came from. If nobody says it, its status does.
    pub answered: Answered,
    /// Which fallback rule decided: its place among its bucket's and its pattern.
    pub rule: Option<String>,
    /// Which upstream was asked, by its name.
    pub upstream: Option<String>,
    /// Which upstream the answer is from, or the client was sent to, by its name: for the receipt.
    pub production: Option<String>,
    /// The error code that the client was sent.
    pub code: Option<&'static str>,
    face: Face,
    request_id: RequestId,
    started: Instant,
    received: ByteCount,
    meter: Meter,
    status: Option<StatusCode>,
    bytes_out: u64,
    whole: bool,
    failure: Option<String>,
}

impl Outcome {
    /// Begins the event of a request, with nothing known of it.
    pub fn begin(context: &Context, face: Face) -> Self {
        Self {
            operation: "Unknown",
            bucket: None,
            key: None,
            access_key_id: None,
            answered: Answered::Unanswered,
            rule: None,
            upstream: None,
            production: None,
            code: None,
            face,
            request_id: context.request_id,
            started: context.started,
            received: context.received.clone(),
            meter: context.meter.clone(),
            status: None,
            bytes_out: 0,
            whole: false,
            failure: None,
        }
    }

    /// Notes why we could not do it, with all causes. The event becomes an error.
    pub fn fail(&mut self, error: &dyn Error) {
        self.answered = Answered::Failed;
        self.failure = Some(chain(error));
    }

    /// Forgets where the answer was looked for, as it is not from there.
    pub fn look_elsewhere(&mut self) {
        self.answered = Answered::Unanswered;
        self.rule = None;
        self.upstream = None;
        self.production = None;
    }

    /// Notes who put the object here that the answer is about.
    pub fn note_origin(&mut self, origin: Origin) {
        if origin == Origin::Cached {
            self.answered = Answered::Cache;
        }
    }

    /// Notes that production failed us, and how. The event becomes a warning: nothing is wrong here.
    pub fn upstream_failed(&mut self, upstream: &str, error: &dyn Error) {
        self.answered = Answered::UpstreamFailed;
        self.upstream = Some(upstream.to_owned());
        self.production = Some(upstream.to_owned());
        self.failure = Some(chain(error));
    }

    /// Ties the event to an answer: it is written when the answer's body has been sent.
    pub fn attach(mut self, response: Response) -> Response {
        if self.answered == Answered::Unanswered {
            self.answered = Answered::by_status(response.status());
        }
        self.status = Some(response.status());
        response.map(|body| body.observed_by(self))
    }

    /// Counts bytes of the answer.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.bytes_out = self.bytes_out.saturating_add(bytes);
    }

    /// Notes that the answer has no more bytes.
    pub(super) fn finished(&mut self) {
        self.whole = true;
    }

    fn emit(&self) {
        let duration = self.started.elapsed();
        self.count(duration);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let status = self.status.map(|status| status.as_u16());
        // One macro per level: the level of an event is part of its static description.
        macro_rules! event {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    request_id = %self.request_id,
                    face = self.face.name(),
                    operation = self.operation,
                    bucket = self.bucket.as_ref().map(BucketName::as_str),
                    key = self.key.as_ref().map(ObjectKey::as_str),
                    outcome = self.answered.name(),
                    rule = self.rule.as_deref(),
                    upstream = self.upstream.as_deref(),
                    code = self.code,
                    status,
                    aborted = !self.whole,
                    bytes_in = self.received.get(),
                    bytes_out = self.bytes_out,
                    duration_ms,
                    access_key_id = self.access_key_id.as_ref().map(AccessKeyId::as_str),
                    error = self.failure.as_deref(),
                    $message
                )
            };
        }
        if self.answered == Answered::UpstreamFailed {
            event!(warn, "production failed");
        } else if self.failure.is_some() || self.status.is_some_and(is_failure) {
            event!(error, "request failed");
        } else {
            event!(info, "request");
        }
    }
}

impl Outcome {
    fn count(&self, duration: Duration) {
        if let Some(counted) = tally::counted(self.face, self.operation, self.answered) {
            let upstream = self.production.as_deref().filter(|_| tally::is_of_upstream(counted));
            let bytes = if tally::is_download(counted) { self.bytes_out } else { 0 };
            self.meter.tally(counted, upstream.unwrap_or_default(), bytes);
        }
        self.meter.record(&Measured {
            face: self.face,
            operation: self.operation,
            outcome: self.answered.name(),
            status: self.status,
            whole: self.whole,
            bytes_in: self.received.get(),
            bytes_out: self.bytes_out,
            duration,
        });
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.emit();
    }
}

/// Whether a status says that something is wrong here. That we do not serve an operation is no fault.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

/// An error and all its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Face {
    /// All of them, in the order of their declaration.
    pub(super) const ALL: [Self; 5] = [Self::S3, Self::Gcs, Self::Archive, Self::Dockerflow, Self::Admin];

    /// The name in the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Archive => "archive",
            Self::Dockerflow => "dockerflow",
            Self::Admin => "admin",
        }
    }
}

impl Answered {
    fn by_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Refused,
            StatusCode::NOT_FOUND => Self::Absent,
            status if is_failure(status) => Self::Failed,
            status if status.is_client_error() || status.is_server_error() => Self::Rejected,
            _ => Self::Local,
        }
    }

    /// The name in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Local => "local",
            Self::Proxy => "proxy",
            Self::Cache => "cache",
            Self::Fill => "fill",
            Self::Index => "index",
            Self::Redirect => "redirect",
            Self::Presign => "presign",
            Self::Absent => "absent",
            Self::Tombstone => "tombstone",
            Self::UnderTest => "under_test",
            Self::Deny => "deny",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::UpstreamFailed => "upstream_failed",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Layer, SubscriberExt as _};

    use super::{Answered, Face, Outcome};
    use crate::model::{AccessKeyId, BucketName, ObjectKey, Timestamp};
    use crate::protocol::body::tests::Fixture;
    use crate::protocol::body::{ResponseBody, receive};
    use crate::protocol::request::{Context, Response};

    /// Keeps the events of a test.
    #[derive(Clone, Default)]
    struct Events(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

    struct Fields<'event>(&'event mut BTreeMap<String, String>);

    impl Visit for Fields<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            self.0.insert(field.name().to_owned(), format!("{value:?}"));
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name().to_owned(), value.to_owned());
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Events {
        fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            let mut fields = BTreeMap::from([("level".to_owned(), event.metadata().level().to_string())]);
            event.record(&mut Fields(&mut fields));
            self.0.lock().expect("no test panics with it").push(fields);
        }
    }

    /// The events of `work`, on one line each, without their durations.
    fn events_of(work: impl FnOnce()) -> Vec<String> {
        let events = Events::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events.clone()), work);
        let events = events.0.lock().expect("no test panics with it");
        let shown = events.iter().map(|fields| {
            assert!(fields.contains_key("duration_ms"), "{fields:?}");
            let fields = fields.iter().filter(|(name, _)| *name != "duration_ms");
            fields.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        });
        shown.collect()
    }

    fn context() -> Context {
        Context::for_tests(Timestamp::from_seconds(1_795_209_619))
    }

    fn outcome(context: &Context) -> Outcome {
        let mut outcome = Outcome::begin(context, Face::S3);
        outcome.operation = "GetObject";
        outcome.bucket = BucketName::parse("releases").ok();
        outcome.key = ObjectKey::parse("pub/a").ok();
        outcome.access_key_id = AccessKeyId::parse("AKTEST");
        outcome
    }

    fn response(status: u16, bytes: &'static [u8]) -> Response {
        http::Response::builder().status(status).body(ResponseBody::bytes(bytes)).expect("a response")
    }

    /// Polls a body to its end. Nothing in these tests waits.
    fn read(body: ResponseBody) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(body.collect()).expect("bytes in memory");
    }

    #[test]
    fn the_event_is_written_when_the_answer_has_been_sent() {
        let events = events_of(|| {
            let context = context();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let request = receive(Full::new(Bytes::from_static(b"question")), context.received.clone());
            runtime.block_on(request.collect()).expect("bytes in memory");
            let response = outcome(&context).attach(response(200, b"answer"));
            tracing::info!(duration_ms = 0, "the body is still to be sent");
            read(response.into_body());
        });
        assert_eq!(
            events,
            [
                "level=INFO message=the body is still to be sent",
                "aborted=false access_key_id=AKTEST bucket=releases bytes_in=8 bytes_out=6 face=s3 key=pub/a level=INFO message=request operation=GetObject outcome=local request_id=0000000000000001 status=200",
            ]
        );
    }

    #[test]
    fn an_answer_that_is_dropped_early_was_aborted() {
        let events = events_of(|| drop(outcome(&context()).attach(response(200, b"answer"))));
        assert_eq!(
            events,
            [
                "aborted=true access_key_id=AKTEST bucket=releases bytes_in=0 bytes_out=0 face=s3 key=pub/a level=INFO message=request operation=GetObject outcome=local request_id=0000000000000001 status=200"
            ]
        );
    }

    #[test]
    fn an_answer_without_a_body_is_whole_even_if_nobody_polls_it() {
        let events = events_of(|| {
            let mut outcome = outcome(&context());
            outcome.answered = Answered::Redirect;
            drop(outcome.attach(response(302, b"")));
        });
        assert_eq!(events.len(), 1);
        assert!(events[0].contains("aborted=false") && events[0].contains("outcome=redirect"), "{events:?}");
    }

    #[test]
    fn a_request_that_ends_without_an_answer_is_told_all_the_same() {
        let events = events_of(|| drop(Outcome::begin(&context(), Face::Archive)));
        assert_eq!(
            events,
            [
                "aborted=true bytes_in=0 bytes_out=0 face=archive level=INFO message=request operation=Unknown outcome=unanswered request_id=0000000000000001"
            ]
        );
    }

    #[test]
    fn a_status_says_what_nobody_else_did() {
        for (status, outcome) in [
            (200, Answered::Local),
            (204, Answered::Local),
            (304, Answered::Local),
            (400, Answered::Rejected),
            (403, Answered::Refused),
            (404, Answered::Absent),
            (412, Answered::Rejected),
            (501, Answered::Rejected),
            (503, Answered::Failed),
        ] {
            let status = http::StatusCode::from_u16(status).expect("a status");
            assert_eq!(Answered::by_status(status), outcome, "{status}");
        }
    }

    #[test]
    fn a_failure_is_an_error_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("the index could not be read")]
        struct Failure(#[source] std::io::Error);

        let events = events_of(|| {
            let mut outcome = outcome(&context());
            outcome.code = Some("InternalError");
            outcome.fail(&Failure(std::io::Error::other("bad sector")));
            read(outcome.attach(response(500, b"sorry")).into_body());
        });
        assert_eq!(
            events,
            [
                "aborted=false access_key_id=AKTEST bucket=releases bytes_in=0 bytes_out=5 code=InternalError error=the index could not be read: bad sector face=s3 key=pub/a level=ERROR message=request failed operation=GetObject outcome=failed request_id=0000000000000001 status=500"
            ]
        );
    }

    #[test]
    fn what_is_not_served_is_no_error_of_ours() {
        let events = events_of(|| drop(outcome(&context()).attach(response(501, b""))));
        assert!(events[0].contains("level=INFO") && events[0].contains("outcome=rejected"), "{events:?}");
    }

    #[test]
    fn trouble_of_production_is_a_warning_that_names_it() {
        let events = events_of(|| {
            let mut outcome = outcome(&context());
            outcome.rule = Some("#1 pub/**".to_owned());
            outcome.upstream_failed("https://production.example/", &std::io::Error::other("it is away"));
            read(outcome.attach(response(502, b"sorry")).into_body());
        });
        let [event] = events.as_slice() else { panic!("one event, not {events:?}") };
        for field in [
            "level=WARN",
            "outcome=upstream_failed",
            "upstream=https://production.example/",
            "rule=#1 pub/**",
            "error=it is away",
        ] {
            assert!(event.contains(field), "{field} is not in {event}");
        }
    }

    #[test]
    fn stored_bytes_that_cannot_be_read_are_a_failure_that_is_told_once() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let fixture = runtime.block_on(Fixture::new());
        let body = fixture.body();
        fixture.damage();
        let events = events_of(|| {
            let response = outcome(&context()).attach(Response::new(body));
            runtime.block_on(response.into_body().collect()).expect_err("most of it is missing");
        });
        let [event] = events.as_slice() else { panic!("one event, not {events:?}") };
        for field in
            ["level=ERROR", "outcome=failed", "aborted=true", "status=200", "bucket=releases", "error="]
        {
            assert!(event.contains(field), "{field} is not in {event}");
        }
    }
}
