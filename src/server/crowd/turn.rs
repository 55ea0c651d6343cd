//! A request's turn: taken when its head is there, given back when its answer has gone out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::dockerflow::Endpoint;
use super::{BUSY, Crowd, Place, Seat};
use crate::gcs;
use crate::protocol::body::{ResponseBody, SendError};
use crate::protocol::request::Response;

/// How long a request waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// An answer up to this size goes out whether or not its client is quick to take it.
const SHORT_BYTES_MAX: u64 = 64 << 10;

/// What kind of turn a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Wish {
    /// To know how the stage is.
    Health,
    /// Something that brings no body.
    Short,
    /// To send a body.
    Transfer,
}

impl Wish {
    /// What a request wants.
    pub(in crate::server) fn of<B: Body>(request: &Request<B>) -> Self {
        match Endpoint::parse(request.uri().path()) {
            Some(_) => Self::Health,
            None if request.body().is_end_stream() => Self::Short,
            None => Self::Transfer,
        }
    }
}

/// A turn. Dropping it gives it back, and makes the connection idle.
#[derive(Debug)]
pub(in crate::server) struct Turn {
    place: Arc<Place>,
    crowd: Crowd,
    permits: Permits,
    is_long: bool,
}

#[derive(Debug, Default)]
struct Permits {
    _peer: Option<OwnedSemaphorePermit>,
    transfer: Option<OwnedSemaphorePermit>,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Seat {
    /// A turn for a request; none if it did not come in time, or if the connection is to go.
    /// While it waits, the connection counts as idle.
    pub(in crate::server) async fn turn(&self, wish: Wish) -> Option<Turn> {
        let waited = async {
            tokio::select! {
                biased;
                permits = self.permits(wish) => permits,
                () = self.place.shed() => None,
                () = tokio::time::sleep(WAIT_MAX) => None,
            }
        };
        let permits = match wish {
            Wish::Health => Some(Permits::default()),
            Wish::Short | Wish::Transfer => waited.await,
        };
        let turn = permits.filter(|_| self.place.begin()).map(|permits| Turn {
            place: Arc::clone(&self.place),
            crowd: self.crowd.clone(),
            permits,
            is_long: wish != Wish::Short,
        });
        if turn.is_some() {
            self.crowd.0.counts.busy.inc();
        } else {
            self.crowd.0.refused();
        }
        turn
    }

    /// What is scarcest first: nothing that others could use is held meanwhile.
    async fn permits(&self, wish: Wish) -> Option<Permits> {
        let crowd = &self.crowd.0;
        let peer = match &self.place.peer_turns {
            Some(turns) => Some(acquire(turns).await?),
            None => None,
        };
        let transfer = match wish {
            Wish::Transfer => Some(acquire(&crowd.transfers).await?),
            Wish::Health | Wish::Short => None,
        };
        Some(Permits { _peer: peer, transfer, _turn: Some(acquire(&crowd.turns).await?) })
    }
}

/// Nothing closes these semaphores.
async fn acquire(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

impl Place {
    /// Makes an idle connection busy, unless it was told to go.
    fn begin(&self) -> bool {
        let busy = |since| (since != super::SHED).then_some(BUSY);
        self.idle_since.fetch_update(Ordering::AcqRel, Ordering::Acquire, busy).is_ok()
    }
}

impl Turn {
    /// Keeps the turn until the answer has gone out. A long answer is a transfer and needs such a
    /// turn; none if there is none left.
    pub(in crate::server) fn answered(mut self, response: Response) -> Option<http::Response<TurnBody>> {
        let is_long = response.body().remaining().is_none_or(|bytes| bytes > SHORT_BYTES_MAX);
        if is_long && !self.is_long {
            let permit = Arc::clone(&self.crowd.0.transfers).try_acquire_owned().ok();
            if permit.is_none() {
                self.crowd.0.refused();
            }
            self.permits.transfer = Some(permit?);
        }
        Some(response.map(|body| TurnBody { body, _turn: Some(self) }))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place.idle_since.store(self.crowd.0.tick(), Ordering::Release);
        self.crowd.0.counts.busy.dec();
    }
}

/// The body of an answer, with the turn of its request.
#[derive(Debug)]
pub(in crate::server) struct TurnBody {
    body: ResponseBody,
    _turn: Option<Turn>,
}

impl Body for TurnBody {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer where there is no turn, in the words of the dialect that the path speaks. Clients of
/// both try again after it.
///
/// AWS: "Error responses", `SlowDown`. Google: "HTTP status and error codes for JSON", 503.
pub(in crate::server) fn slow_down(path: &str) -> http::Response<TurnBody> {
    let (media_type, text) = if gcs::is_path(path) {
        ("application/json; charset=UTF-8", SLOW_DOWN_JSON)
    } else {
        ("application/xml", SLOW_DOWN_XML)
    };
    let mut response = http::Response::new(TurnBody { body: ResponseBody::bytes(text), _turn: None });
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    // The request's body was not looked at.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

const SLOW_DOWN_XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SlowDown</Code>\
    <Message>Please reduce your request rate: too many requests are under way.</Message></Error>";

const SLOW_DOWN_JSON: &str = "{\"error\":{\"code\":503,\"message\":\"Please reduce your request rate: too many \
    requests are under way.\",\"errors\":[{\"domain\":\"global\",\"reason\":\"backendError\",\"message\":\
    \"Please reduce your request rate: too many requests are under way.\"}]}}";
