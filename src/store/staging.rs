//! Bytes on their way in: in memory while they are few, in a file beside the blobs when they are not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::blob::BlobFile;
use super::error::Error;
use super::shared::Shared;
use super::spool::Spool;
use crate::checksum::{Digester, Digests};
use crate::model::ChecksumAlgorithm;

/// Bodies up to this size are digested where they are: it takes less time than to hand them over.
const DIGEST_HERE_BYTES: usize = 16 << 10;

/// What a body may hold in memory however slow it is.
const HELD_BYTES_MAX: usize = 4 << 10;

/// How long more than that waits for the rest of a small body in all, before it goes into a file.
const HOLD_MAX: Duration = Duration::from_secs(2);

/// Bytes on their way in. Dropping it discards them.
///
/// A `write` that was given up half-way leaves it useless: drop it.
#[derive(Debug)]
pub struct Staging {
    shared: Arc<Shared>,
    inline_max_bytes: usize,
    expected_bytes: u64,
    digester: Option<Digester>,
    state: State,
    /// How long bytes in memory have waited for more.
    waited: Duration,
}

#[derive(Debug)]
enum State {
    Memory(Vec<u8>),
    File(Box<Spool>),
}

/// Bytes that are all here, digested and, if they are many, synced. Dropping it discards them.
#[derive(Debug)]
pub struct Staged {
    size_bytes: u64,
    digests: Digests,
    body: Body,
}

/// Where staged bytes are.
pub(super) enum Body {
    /// To be kept in the index.
    Inline(Vec<u8>),
    /// Among the blobs.
    File(BlobFile),
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Self::File(file) => file.fmt(formatter),
        }
    }
}

impl Staging {
    pub(super) fn new(
        shared: Arc<Shared>,
        inline_max_bytes: usize,
        extra: &[ChecksumAlgorithm],
        size_hint: Option<u64>,
    ) -> Self {
        let expected_bytes = size_hint.unwrap_or(0);
        // A declared length is only a promise: memory is taken as the bytes come.
        let state = State::Memory(Vec::new());
        Self {
            shared,
            inline_max_bytes,
            expected_bytes,
            digester: Some(Digester::new(extra)),
            state,
            waited: Duration::ZERO,
        }
    }

    /// Takes the next bytes; waits while the disk or the digests are behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        if let State::Memory(memory) = &mut self.state {
            // What will not stay in memory is not gathered there.
            let is_inline = self.expected_bytes <= self.inline_max_bytes as u64
                && memory.len() + bytes.len() <= self.inline_max_bytes;
            if is_inline {
                memory.extend_from_slice(&bytes);
                return Ok(());
            }
            self.release().await?;
        }
        match &mut self.state {
            State::File(spool) => spool.write(&bytes).await,
            State::Memory(_) => Err(Error::Closed),
        }
    }

    /// Waits for more of the body, on behalf of who writes it. If it is slow to come, what was
    /// gathered goes into the file meanwhile: a body that stalls holds next to no memory.
    pub async fn wait_for<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Error> {
        let Some(may_wait) = self.may_wait() else { return Ok(next.await) };
        let mut next = std::pin::pin!(next);
        let since = Instant::now();
        let come = tokio::time::timeout(may_wait, &mut next).await;
        match &mut self.state {
            State::File(spool) => spool.has_waited(since.elapsed()),
            State::Memory(_) => self.waited += since.elapsed(),
        }
        if let Ok(come) = come {
            return Ok(come);
        }
        self.release().await?;
        Ok(next.await)
    }

    fn may_wait(&self) -> Option<Duration> {
        match &self.state {
            State::File(spool) => spool.may_wait(),
            State::Memory(memory) if memory.len() <= HELD_BYTES_MAX => None,
            State::Memory(_) => Some(HOLD_MAX.saturating_sub(self.waited)),
        }
    }

    /// Writes what was gathered into the file.
    async fn release(&mut self) -> Result<(), Error> {
        let memory = match &mut self.state {
            State::File(spool) => return spool.release().await,
            State::Memory(memory) => std::mem::take(memory),
        };
        let digester = self.digester.take().ok_or(Error::Closed)?;
        let mut spool = Spool::new(Arc::clone(&self.shared), digester, self.expected_bytes);
        spool.write(&memory).await?;
        if self.waited >= HOLD_MAX {
            spool.release().await?;
        }
        self.state = State::File(Box::new(spool));
        Ok(())
    }

    /// The file, once the bytes are in one, and how many of them can be read from it so far. After
    /// [`Staging::finish`] all can. Costs next to nothing, and never waits for the disk.
    pub fn tail(&self) -> Option<(super::Tail, u64)> {
        match &self.state {
            State::Memory(_) => None,
            State::File(spool) => spool.tail(),
        }
    }

    /// Ends the bytes. Those of a file have survived power loss when this answers.
    pub async fn finish(self) -> Result<Staged, Error> {
        match self.state {
            State::File(spool) => {
                let (size_bytes, digests, file) = spool.finish().await?;
                Ok(Staged { size_bytes, digests, body: Body::File(file) })
            }
            State::Memory(memory) => {
                self.shared.folder.check_index_room(memory.len() as u64)?;
                let digester = self.digester.ok_or(Error::Closed)?;
                let (memory, digests) = digest(digester, memory).await?;
                Ok(Staged { size_bytes: memory.len() as u64, digests, body: Body::Inline(memory) })
            }
        }
    }
}

async fn digest(mut digester: Digester, memory: Vec<u8>) -> Result<(Vec<u8>, Digests), Error> {
    let small = memory.len() <= DIGEST_HERE_BYTES;
    let work = move || {
        digester.update(&memory);
        (memory, digester.finish())
    };
    if small {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)
}

impl Staged {
    /// How many bytes there are.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Their digests.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// How many bytes the index will have to take in.
    pub(super) fn inline_bytes(&self) -> usize {
        match &self.body {
            Body::Inline(bytes) => bytes.len(),
            Body::File(_) => 0,
        }
    }

    pub(super) fn into_body(self) -> Body {
        self.body
    }
}
