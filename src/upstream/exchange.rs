//! One question and its answer: permit, breaker, tries, redirects, time-outs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::body::Body;
use super::connect::Connector;
use super::failure::Failure;
use super::redirect::{self, REDIRECTS_MAX};
use super::request::Outgoing;
use super::retry;
use super::state::State;
use super::{Config, Error};
use crate::clock::Clock;

/// What a body that nobody wants may have at most, so that its connection is worth keeping.
const DISCARD_BYTES_MAX: usize = 64 << 10;

/// And how long that may take.
const DISCARD_TIME: Duration = Duration::from_millis(250);

/// How many time-outs end the tries: clients wait no longer than a minute.
const TIME_OUTS_MAX: u32 = 2;

/// Sends requests.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) http: hyper_util::client::legacy::Client<Connector, Empty<Bytes>>,
    pub(super) config: Config,
    pub(super) clock: Clock,
}

/// An answer with a status that its asker takes.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Empty unless the status is a success: other bodies are upstream's own words.
    pub(super) body: Body,
}

impl Exchange {
    /// Asks, as often as may be, until there is an answer with a status that `takes` accepts.
    ///
    /// `what` names the object in the log.
    pub(super) async fn ask(
        &self,
        state: &Arc<State>,
        outgoing: &Outgoing<'_>,
        what: &str,
        takes: impl Fn(StatusCode) -> bool,
    ) -> Result<Answered, Error> {
        // However often it is asked, and never a part of the time that upstream has for its answer.
        let turn_by = Instant::now() + self.config.head_timeout;
        let (mut tries, mut time_outs) = (0, 0);
        loop {
            let permit = self.turn(state, what, turn_by).await?;
            let failure = match self.attempt(state, outgoing, &takes).await? {
                Ok(response) => return Ok(self.answered(state, response, what, permit)),
                Err(failure) => failure,
            };
            drop(permit);
            tries += 1;
            time_outs += u32::from(matches!(failure, Failure::TimedOut));
            let is_enough = tries > self.config.retries || time_outs >= TIME_OUTS_MAX;
            let (upstream, status) = (state.name(), failure.status());
            if !failure.is_passing() || is_enough || state.check_open().is_err() {
                tracing::warn!(upstream, what, status, tries, %failure, "upstream did not answer");
                return Err(failure.into_error(upstream));
            }
            tracing::debug!(upstream, what, status, tries, %failure, "upstream is asked again");
            tokio::time::sleep(retry::pause(tries, retry::random())).await;
        }
    }

    /// Waits for a place among the requests that may be under way.
    async fn turn(
        &self,
        state: &Arc<State>,
        what: &str,
        turn_by: Instant,
    ) -> Result<OwnedSemaphorePermit, Error> {
        state.check_open()?;
        let turn = timeout_at(turn_by, Arc::clone(&state.connections).acquire_owned()).await;
        if let Ok(Ok(permit)) = turn {
            return Ok(permit);
        }
        let error = Error::Busy { upstream: state.name().to_owned() };
        tracing::warn!(upstream = state.name(), what, connections_max = self.config.connections_max, %error);
        Err(error)
    }

    /// One try, within the time for a head.
    async fn attempt(
        &self,
        state: &Arc<State>,
        outgoing: &Outgoing<'_>,
        takes: impl Fn(StatusCode) -> bool,
    ) -> Result<Result<Response<Incoming>, Failure>, Error> {
        let attempt = state.admit()?;
        let answered = timeout(self.config.head_timeout, self.follow(state, outgoing, takes)).await;
        let answered = answered.unwrap_or(Err(Failure::TimedOut));
        match &answered {
            Ok(_) => attempt.succeed(),
            Err(failure) => attempt.fail(failure),
        }
        Ok(answered)
    }

    /// Sends the request, and on to where redirects lead.
    async fn follow(
        &self,
        state: &State,
        outgoing: &Outgoing<'_>,
        takes: impl Fn(StatusCode) -> bool,
    ) -> Result<Response<Incoming>, Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::Unusable(error.to_string());
        let mut uri = outgoing.uri.clone();
        for _ in 0..=REDIRECTS_MAX {
            let is_own = redirect::is_same_origin(&uri, &outgoing.uri);
            let request =
                outgoing.request(&uri, is_own, self.clock.now()).map_err(|error| unusable(&error))?;
            state.count_request();
            let response = self.http.request(request).await.map_err(|error| Failure::of_request(&error))?;
            let status = response.status();
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                if takes(status) && status.is_success() {
                    return Ok(response);
                }
                let (head, body) = response.into_parts();
                let rest = discard(body).await;
                return if takes(status) {
                    Ok(Response::from_parts(head, rest))
                } else {
                    Err(Failure::Status(status))
                };
            }
            let location = response.headers().get(LOCATION).map_or(&[][..], |value| value.as_bytes());
            let allows = |host: &str| outgoing.upstream.allows_host(host);
            uri = redirect::target(&uri, location, allows).map_err(|refused| unusable(&refused))?;
            drop(discard(response.into_body()).await);
        }
        Err(Failure::Unusable(format!("redirects more than {REDIRECTS_MAX} times")))
    }

    fn answered(
        &self,
        state: &Arc<State>,
        response: Response<Incoming>,
        what: &str,
        permit: OwnedSemaphorePermit,
    ) -> Answered {
        let (head, incoming) = response.into_parts();
        let body = if head.status.is_success() {
            let stall = self.config.stall_timeout;
            Body::new(incoming, stall, Arc::clone(state), what.to_owned(), permit)
                .in_chunks(is_chunked(&head.headers))
        } else {
            Body::empty()
        };
        Answered { status: head.status, headers: head.headers, body }
    }
}

/// RFC 9112 section 6.3: a body is in chunks if that is its last coding.
fn is_chunked(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(TRANSFER_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let last = codings.flat_map(|value| value.split(',')).last();
    last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// Takes a short body off its connection, so that this can be used again.
async fn discard(mut body: Incoming) -> Incoming {
    let rest = async {
        let mut left = DISCARD_BYTES_MAX;
        while !body.is_end_stream() {
            let Some(Ok(frame)) = body.frame().await else { return };
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // What is left after that time goes with its connection.
    drop(timeout(DISCARD_TIME, rest).await);
    body
}
