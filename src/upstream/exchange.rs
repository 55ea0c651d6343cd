//! One question and its answer: permit, breaker, tries, redirects, time-outs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::body::Body;
use super::connect::Connector;
use super::failure::Failure;
use super::patience::Limits;
use super::redirect::{self, REDIRECTS_MAX};
use super::request::Outgoing;
use super::retry;
use super::state::State;
use super::{Config, Error};
use crate::clock::Clock;
use crate::fallback::Port;

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
        let turn_by = outgoing.until.min(Instant::now() + self.config.head_timeout);
        let (mut tries, mut time_outs) = (0, 0);
        loop {
            let permit = self.turn(state, outgoing, what, turn_by).await?;
            let failure = match self.attempt(state, outgoing, &takes).await? {
                Ok(response) => return Ok(self.answered(state, outgoing, response, (what, permit))),
                Err(failure) => failure,
            };
            drop(permit);
            tries += 1;
            time_outs += u32::from(matches!(failure, Failure::TimedOut));
            let pause = retry::pause(tries, retry::random());
            let is_late = Instant::now() + pause >= outgoing.until;
            let is_enough = is_late || tries > self.config.retries || time_outs >= TIME_OUTS_MAX;
            let (upstream, status) = (state.name(), failure.status());
            if !failure.is_passing() || is_enough || state.check_open().is_err() {
                tracing::warn!(upstream, what, status, tries, %failure, "upstream did not answer");
                return Err(failure.into_error(upstream));
            }
            tracing::debug!(upstream, what, status, tries, %failure, "upstream is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits for a place among the requests that may be under way.
    async fn turn(
        &self,
        state: &Arc<State>,
        outgoing: &Outgoing<'_>,
        what: &str,
        turn_by: Instant,
    ) -> Result<OwnedSemaphorePermit, Error> {
        state.check_open()?;
        if let Some(permit) = state.turns.wait(outgoing.question, turn_by).await {
            return Ok(permit);
        }
        let error = Error::Busy { upstream: state.name().to_owned(), setting: outgoing.question.setting() };
        tracing::warn!(upstream = state.name(), what, %error, "upstream was not asked");
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
        let until = outgoing.until.min(Instant::now() + self.config.head_timeout);
        let answered = timeout_at(until, self.follow(state, outgoing, takes)).await;
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
            check_framing(response.headers())?;
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
            let allows = |host: &str, port: Port| outgoing.upstream.allows(host, port);
            uri = redirect::target(&uri, location, allows).map_err(|refused| unusable(&refused))?;
            drop(discard(response.into_body()).await);
        }
        Err(Failure::Unusable(format!("redirects more than {REDIRECTS_MAX} times")))
    }

    fn answered(
        &self,
        state: &Arc<State>,
        outgoing: &Outgoing<'_>,
        response: Response<Incoming>,
        (what, permit): (&str, OwnedSemaphorePermit),
    ) -> Answered {
        let (head, incoming) = response.into_parts();
        let body = if head.status.is_success() {
            let Config { stall_timeout: stall, rate_min_bytes, .. } = self.config;
            let until = Some(outgoing.until).filter(|_| outgoing.question.is_short());
            let limits = Limits { stall, rate_min_bytes, until };
            Body::new(incoming, limits, Arc::clone(state), what.to_owned(), permit)
                .in_chunks(head.headers.contains_key(TRANSFER_ENCODING))
        } else {
            Body::empty()
        };
        Answered { status: head.status, headers: head.headers, body }
    }
}

/// Refuses an answer of which two servers may see the end in different places, and bytes that are
/// coded for the transfer in any way but chunks, since we have asked for none.
///
/// RFC 9112 section 6.3: chunks outweigh a length, and an answer with both "ought to be handled as an
/// error"; hyper reads the chunks and leaves the length in the head, where it would be believed.
fn check_framing(headers: &HeaderMap) -> Result<(), Failure> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let unusable = |problem: &str| Err(Failure::Unusable(problem.to_owned()));
    if headers.contains_key(CONTENT_LENGTH) {
        return unusable("framed its answer twice, by Content-Length and by Transfer-Encoding");
    }
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return unusable("coded its answer for the transfer, but not as chunks (Transfer-Encoding)");
    }
    Ok(())
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
