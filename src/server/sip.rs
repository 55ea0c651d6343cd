//! Reading less at once while many transfers are under way: hyper reads ahead for each connection as
//! much as its buffer holds, which is worth it for a few and too much memory for many.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::crowd::Crowd;

/// How much is read at once in a crowd. hyper's buffer, which begins at 8 KiB, grows when it was
/// filled: one byte less keeps it as it is.
const SIP_BYTES: usize = 8 * 1024 - 1;

/// A stream that is read in sips while there is a crowd.
pub(super) struct SippingStream<S> {
    stream: S,
    crowd: Crowd,
}

impl<S> SippingStream<S> {
    /// Reads as the crowd allows.
    pub(super) fn new(stream: S, crowd: Crowd) -> Self {
        Self { stream, crowd }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SippingStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() <= SIP_BYTES || !self.crowd.is_dense() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let mut sip = ReadBuf::new(buffer.initialize_unfilled_to(SIP_BYTES));
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut sip))?;
        let read = sip.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SippingStream<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
