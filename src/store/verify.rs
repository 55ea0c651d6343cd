//! Comparing what is read with what was written.
//!
//! A blob that one reader reads from its first byte to its last is digested on the way, off the threads
//! that serve. Its last chunk is held back until the digest is right: a client that gets all bytes got
//! the bytes that were written.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::error::Error;
use crate::checksum::Digester;

/// Which whole reads of a blob are compared with its MD5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyReads {
    /// None.
    Off,
    /// One in 64: next to free, and damage to what is read often is found in time.
    #[default]
    Sample,
    /// Every one.
    All,
}

/// Of so many reads one is verified.
const SAMPLE_EVERY: u64 = 64;

/// Chooses the reads that are verified.
#[derive(Debug)]
pub(super) struct Sampler {
    which: VerifyReads,
    reads: AtomicU64,
}

impl Sampler {
    pub(super) fn new(which: VerifyReads) -> Self {
        Self { which, reads: AtomicU64::new(0) }
    }

    /// Whether the read that begins now is verified.
    pub(super) fn takes(&self) -> bool {
        match self.which {
            VerifyReads::Off => false,
            VerifyReads::Sample => self.reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE_EVERY),
            VerifyReads::All => true,
        }
    }
}

/// Whether bytes have this MD5.
pub(super) fn are(bytes: &[u8], md5: [u8; 16]) -> bool {
    let mut digester = Digester::new(&[]);
    digester.update(bytes);
    digester.finish().md5 == md5
}

/// A blob that is digested while it is read.
#[derive(Debug)]
pub(super) struct Verifying {
    md5: [u8; 16],
    /// Bytes of the blob that were not read yet.
    remaining: u64,
    lane: Lane,
    /// The last chunk, until the digest is known.
    held: Option<Bytes>,
}

#[derive(Debug)]
enum Lane {
    Here(Box<Digester>),
    Busy(JoinHandle<Box<Digester>>),
    Lost,
}

/// How far a blob's digest is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verified {
    /// There is more of the blob to read.
    SoFar,
    /// The blob is whole: its last chunk may go out.
    Whole(Bytes),
    /// The bytes are not those that were written.
    Wrong,
}

impl Verifying {
    /// Begins with a blob of so many bytes.
    pub(super) fn new(md5: [u8; 16], size_bytes: u64) -> Self {
        Self { md5, remaining: size_bytes, lane: Lane::Here(Box::new(Digester::new(&[]))), held: None }
    }

    /// Takes the next chunk, after [`Verifying::poll`] was ready. Gives it back unless it is the last one.
    pub(super) fn take(&mut self, chunk: Bytes) -> Option<Bytes> {
        self.remaining = self.remaining.saturating_sub(chunk.len() as u64);
        if let Lane::Here(mut digester) = std::mem::replace(&mut self.lane, Lane::Lost) {
            let digested = chunk.clone();
            self.lane = Lane::Busy(tokio::task::spawn_blocking(move || {
                digester.update(&digested);
                digester
            }));
        }
        if self.remaining > 0 {
            return Some(chunk);
        }
        self.held = Some(chunk);
        None
    }

    /// Ready once everything that was taken is digested.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Verified, Error>> {
        if let Lane::Busy(work) = &mut self.lane {
            // The runtime drops blocking work only while it shuts down.
            let Ok(digester) = ready!(Pin::new(work).poll(cx)) else {
                self.lane = Lane::Lost;
                return Poll::Ready(Err(Error::Closed));
            };
            self.lane = Lane::Here(digester);
        }
        let Some(last) = self.held.take() else { return Poll::Ready(Ok(Verified::SoFar)) };
        let Lane::Here(digester) = std::mem::replace(&mut self.lane, Lane::Lost) else {
            return Poll::Ready(Err(Error::Closed));
        };
        let right = digester.finish().md5 == self.md5;
        Poll::Ready(Ok(if right { Verified::Whole(last) } else { Verified::Wrong }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Sampler, VerifyReads};

    #[test]
    fn samples_are_few_and_begin_with_the_first_read() {
        for (which, taken) in [(VerifyReads::Off, 0), (VerifyReads::Sample, 3), (VerifyReads::All, 129)] {
            let sampler = Sampler::new(which);
            assert_eq!((0..129).filter(|_| sampler.takes()).count(), taken, "{which:?}");
        }
    }
}
