//! Bodies that stall: a client that stops sending, or stops taking, does not hold a connection for
//! ever.
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
use tokio::time::Sleep;

use crate::protocol::body::BodyError;

/// A clock that runs only while something is waited for, so that it costs nothing otherwise.
struct Patience {
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, waiting: None }
    }

    /// Notes that there was progress.
    fn renew(&mut self) {
        self.waiting = None;
    }

    /// Ready once there was no progress for the whole time.
    fn poll_exhausted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(context)
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
    /// Gives the client `limit` for each next piece.
    pub(super) fn new(body: B, limit: Duration) -> Self {
        let delivery = Delivery::default();
        delivery.0.whole.store(body.is_end_stream(), Ordering::Relaxed);
        Self { body, patience: Patience::new(limit), delivery }
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
            self.patience.renew();
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

/// A connection that fails when its client takes nothing of an answer for too long.
pub(super) struct PatientStream<S> {
    stream: S,
    patience: Patience,
}

impl<S> PatientStream<S> {
    /// Gives the client `limit` for each next piece.
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, patience: Patience::new(limit) }
    }

    /// Passes progress on, and turns waiting for too long into an error.
    fn judge<T>(&mut self, context: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.patience.renew();
            return progress;
        }
        ready!(self.patience.poll_exhausted(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of the answer")))
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
        self.judge(context, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(context, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(context, progress)
    }
}
