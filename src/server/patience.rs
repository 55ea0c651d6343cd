//! Bodies that stall or drip: a client that stops sending or taking, or is slower than anybody who
//! means it, does not hold a connection for ever.
//!
//! Deliberately elsewhere: the time a request's head may take (hyper has that timer).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::protocol::body::BodyError;

/// What a client must do while a body is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Time in which there must be any progress.
    pub(super) stall: Duration,
    /// Bytes a second on average; 0 is no limit.
    pub(super) bytes_min: u64,
    /// How far the client may fall behind that average.
    pub(super) grace: Duration,
}

impl Pace {
    /// How long a client with so much credit may be waited for.
    fn wait_max(self, credit: Duration) -> Duration {
        if self.bytes_min > 0 { credit.min(self.stall) } else { self.stall }
    }

    /// What is left of a credit: waiting uses it up, and bytes bring it back.
    fn credit(self, credit: Duration, waited: Duration, bytes: usize) -> Duration {
        let earned = (bytes as u64).saturating_mul(1_000_000).checked_div(self.bytes_min);
        let earned = earned.map_or(self.grace, Duration::from_micros);
        (credit.saturating_sub(waited) + earned).min(self.grace)
    }
}

/// A clock that runs only while the client is waited for: what we are slow at costs it nothing, and
/// watching it costs us nothing.
struct Patience {
    pace: Pace,
    credit: Duration,
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Instant,
    end: Pin<Box<Sleep>>,
}

impl Patience {
    fn new(pace: Pace) -> Self {
        Self { pace, credit: pace.grace, waiting: None }
    }

    /// Notes that there was progress.
    fn progress(&mut self, bytes: usize) {
        let waited = self.waiting.take().map_or(Duration::ZERO, |waiting| waiting.since.elapsed());
        self.credit = self.pace.credit(self.credit, waited, bytes);
    }

    /// Ready once the client has had its time.
    fn poll_exhausted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.pace.wait_max(self.credit);
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            since: Instant::now(),
            end: Box::pin(tokio::time::sleep(limit)),
        });
        waiting.end.as_mut().poll(context)
    }
}

/// A request body that fails when its client sends nothing for too long.
pub(super) struct PatientBody<B> {
    body: B,
    patience: Patience,
    delivery: Delivery,
}

/// How much of a request's body was taken, to be asked when the answer is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Delivery(Arc<Taken>);

#[derive(Debug, Default)]
struct Taken {
    asked_for: AtomicBool,
    whole: AtomicBool,
}

impl Delivery {
    /// Whether anybody asked for the body, upon which the client was told to go on sending.
    pub(super) fn was_asked_for(&self) -> bool {
        self.0.asked_for.load(Ordering::Relaxed)
    }

    /// Whether the whole body was taken off the connection.
    pub(super) fn is_whole(&self) -> bool {
        self.0.whole.load(Ordering::Relaxed)
    }
}

impl<B: Body> PatientBody<B> {
    /// A body whose client must keep a pace.
    pub(super) fn new(body: B, pace: Pace) -> Self {
        let delivery = Delivery::default();
        delivery.0.whole.store(body.is_end_stream(), Ordering::Relaxed);
        Self { body, patience: Patience::new(pace), delivery }
    }

    /// What will tell how much of the body was taken.
    pub(super) fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }
}

impl<B> Body for PatientBody<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // For a body of no bytes hyper tells the client nothing.
        if !self.body.is_end_stream() {
            self.delivery.0.asked_for.store(true, Ordering::Relaxed);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let frame_bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            self.patience.progress(frame_bytes.map_or(0, Bytes::len));
            let whole = frame.is_none() || self.body.is_end_stream();
            self.delivery.0.whole.store(whole, Ordering::Relaxed);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.patience.poll_exhausted(context));
        Poll::Ready(Some(Err(BodyError::TimedOut)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that fails when its client takes an answer too slowly.
pub(super) struct PatientStream<S> {
    stream: S,
    patience: Patience,
}

impl<S> PatientStream<S> {
    /// A connection whose client must keep a pace.
    pub(super) fn new(stream: S, pace: Pace) -> Self {
        Self { stream, patience: Patience::new(pace) }
    }

    /// Passes progress on, and turns waiting for too long into an error. `bytes` says how many were
    /// taken.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(done) = &progress {
            self.patience.progress(done.as_ref().map_or(0, bytes));
            return progress;
        }
        ready!(self.patience.poll_exhausted(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes the answer too slowly")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, progress, |taken| *taken)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, progress, |taken| *taken)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, progress, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(context, progress, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether a client is cut off that sends `bytes` after each `pause`, a hundred times.
    fn is_cut_off(pace: Pace, pause: Duration, bytes: usize) -> bool {
        let mut credit = pace.grace;
        (0..100).any(|_| {
            let cut_off = pause > pace.wait_max(credit);
            credit = pace.credit(credit, pause, bytes);
            cut_off
        })
    }

    #[test]
    fn a_client_is_cut_off_that_stalls_or_falls_behind() {
        let pace = Pace { stall: 60 * SECOND, bytes_min: 1000, grace: 30 * SECOND };
        for (name, pace, pause, bytes, cut_off) in [
            ("exactly the rate", pace, SECOND, 1000, false),
            ("half the rate", pace, SECOND, 500, true),
            ("a byte now and then", pace, 10 * SECOND, 1, true),
            ("much after a long pause", pace, 29 * SECOND, 29_000, false),
            ("a pause beyond the grace", pace, 31 * SECOND, 1_000_000, true),
            ("no rate", Pace { bytes_min: 0, ..pace }, 59 * SECOND, 1, false),
            ("no rate, but a stall", Pace { bytes_min: 0, ..pace }, 61 * SECOND, 1, true),
        ] {
            assert_eq!(is_cut_off(pace, pause, bytes), cut_off, "{name}");
        }
    }
}
