//! The bytes of an answer: taken off the connection only as they are asked for, and checked to be
//! all of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::Error;
use super::failure::Failure;
use super::patience::{Limits, Patience};
use super::state::State;

/// The bytes of an answer, as they come.
///
/// Nothing is read ahead but what the connection holds. Dropping it ends the transfer. A body of
/// which upstream said no length, and which it does not frame either (HTTP/1.0), ends where the
/// connection does.
#[derive(Debug)]
pub struct Body {
    transfer: Option<Transfer>,
    remaining: Option<u64>,
    is_framed: bool,
}

#[derive(Debug)]
struct Transfer {
    incoming: Incoming,
    patience: Patience,
    state: Arc<State>,
    /// Names the object in the log.
    what: String,
    /// The place among the requests that may be under way at a time.
    _permit: OwnedSemaphorePermit,
}

impl Body {
    /// No bytes.
    pub(super) fn empty() -> Self {
        Self { transfer: None, remaining: Some(0), is_framed: true }
    }

    /// The bytes that follow a head.
    pub(super) fn new(
        incoming: Incoming,
        limits: Limits,
        state: Arc<State>,
        what: String,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        let remaining = incoming.size_hint().exact();
        let patience = Patience::new(limits);
        let transfer = Some(Transfer { incoming, patience, state, what, _permit: permit });
        Self { transfer, remaining, is_framed: remaining.is_some() }
    }

    /// The same, in chunks or not: a body in chunks has an end that is marked, if no length.
    pub(super) fn in_chunks(self, is_chunked: bool) -> Self {
        Self { is_framed: self.is_framed || is_chunked, ..self }
    }

    /// The next bytes; `None` at the end. A body that ends before its length is an error.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let Some(transfer) = &mut self.transfer else { return Poll::Ready(None) };
        let next = ready!(transfer.poll_data(cx)).and_then(|bytes| {
            let length = bytes.as_ref().map_or(0, Bytes::len) as u64;
            let left = self.remaining.map(|remaining| remaining.checked_sub(length));
            match (left, &bytes) {
                (Some(None), _) | (Some(Some(1..)), None) => Err(wrong_length()),
                (left, _) => {
                    self.remaining = left.flatten();
                    Ok(bytes)
                }
            }
        });
        match next {
            Ok(Some(bytes)) => {
                transfer.state.count_bytes(bytes.len());
                if self.remaining == Some(0) {
                    self.transfer = None;
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Ok(None) => {
                self.remaining = Some(0);
                self.transfer = None;
                Poll::Ready(None)
            }
            Err(failure) => {
                let error = transfer.fail(failure);
                self.transfer = None;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// How many bytes are to come, if the head said it.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Whether a body that is cut short is an error, by a length or by chunks. The end of any other
    /// body cannot be told from a connection that was lost.
    pub fn is_framed(&self) -> bool {
        self.is_framed
    }

    /// All bytes, of a body that has at most `bytes_max`; `None` if it has more.
    pub(super) async fn collect(mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, Error> {
        let mut all = Vec::new();
        while let Some(bytes) = std::future::poll_fn(|cx| self.poll_chunk(cx)).await.transpose()? {
            if all.len() + bytes.len() > bytes_max {
                return Ok(None);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all))
    }
}

/// hyper sees to that already; it costs nothing to be sure.
fn wrong_length() -> Failure {
    Failure::Broken("sent a body of another length than it had said".to_owned())
}

impl Transfer {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.patience.poll_exhausted(cx).map(|()| Err(Failure::TimedOut));
            };
            let frame = match frame {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(Failure::of_body(&error))),
                Some(Ok(frame)) => frame,
            };
            // Trailers say nothing that we pass on.
            let bytes = frame.into_data().unwrap_or_default();
            if let Err(failure) = self.patience.arrived(bytes.len()) {
                return Poll::Ready(Err(failure));
            }
            if !bytes.is_empty() {
                return Poll::Ready(Ok(Some(bytes)));
            }
        }
    }

    fn fail(&self, failure: Failure) -> Error {
        self.state.fail_body(&failure);
        tracing::warn!(upstream = %self.state.name(), what = %self.what, %failure, "upstream's answer was cut off");
        failure.into_error(self.state.name())
    }
}
