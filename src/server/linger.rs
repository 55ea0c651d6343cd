//! Hanging up kindly: an answer that comes before the whole request has been read must not be lost.
//!
//! A socket that is closed with bytes unread resets the connection, and the reset may overtake the
//! answer: a client that sends a large body would see "connection reset" where it was told
//! `AccessDenied`. So what it still sends is read and dropped for a while before the socket closes.
//! RFC 9112 section 9.6.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A client that sends nothing for so long has read its answer, or will not.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// A client that is still sending after so long does not look for an answer.
const LINGER_MAX: Duration = Duration::from_secs(30);

/// Whether the connection shall linger when it ends: set by who answers, read by the stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Linger(Arc<AtomicBool>);

impl Linger {
    /// Notes whether bytes of a request may still be on their way.
    pub(super) fn set(&self, linger: bool) {
        self.0.store(linger, Ordering::Relaxed);
    }
}

/// A stream that reads on for a while when it is shut down.
pub(super) struct LingeringStream<S> {
    stream: S,
    linger: Linger,
    lingering: Option<Lingering>,
}

/// The end of a connection under way.
struct Lingering {
    quiet: Pin<Box<Sleep>>,
    end: Instant,
}

impl<S> LingeringStream<S> {
    /// Lingers if told so by then.
    pub(super) fn new(stream: S, linger: Linger) -> Self {
        Self { stream, linger, lingering: None }
    }
}

impl<S: AsyncRead + Unpin> LingeringStream<S> {
    /// Ready when the client has gone, has fallen silent or has had its time.
    fn poll_drained(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingering.get_or_insert_with(|| Lingering {
            quiet: Box::pin(tokio::time::sleep(QUIET_MAX)),
            end: Instant::now() + LINGER_MAX,
        });
        let mut scratch = [const { MaybeUninit::<u8>::uninit() }; 16 * 1024];
        loop {
            let mut dropped = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut dropped) {
                Poll::Ready(Ok(())) if !dropped.filled().is_empty() => {
                    let now = Instant::now();
                    if now >= lingering.end {
                        return Poll::Ready(());
                    }
                    lingering.quiet.as_mut().reset(now + QUIET_MAX);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return lingering.quiet.as_mut().poll(context),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LingeringStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LingeringStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.0.load(Ordering::Relaxed) {
            ready!(self.poll_drained(context));
            self.linger.set(false);
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
