//! The body of a request whose bytes are read elsewhere while it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

/// Bytes that somebody else sends along.
pub(super) struct Piped {
    /// They, as they come.
    pub(super) bytes: Receiver<io::Result<Bytes>>,
    /// How many are still to come.
    pub(super) left: u64,
}

impl Body for Piped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.bytes.poll_recv(context).map(|received| {
            received.map(|bytes| {
                let bytes = bytes?;
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Frame::data(bytes))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
