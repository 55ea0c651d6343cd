//! Bytes on their way in: in memory while they are few, in a file beside the blobs when they are not.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::blob::BlobFile;
use super::error::Error;
use super::shared::Shared;
use super::spool::Spool;
use crate::checksum::{Digester, Digests};
use crate::model::ChecksumAlgorithm;

/// Bodies up to this size are digested where they are: it takes less time than to hand them over.
const DIGEST_HERE_BYTES: usize = 16 << 10;

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
        Self { shared, inline_max_bytes, expected_bytes, digester: Some(Digester::new(extra)), state }
    }

    /// Takes the next bytes; waits while the disk or the digests are behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        match &mut self.state {
            State::File(spool) => spool.write(&bytes).await,
            State::Memory(memory) if memory.len() + bytes.len() <= self.inline_max_bytes => {
                memory.extend_from_slice(&bytes);
                Ok(())
            }
            State::Memory(memory) => {
                let memory = std::mem::take(memory);
                let digester = self.digester.take().ok_or(Error::Closed)?;
                let mut spool = Spool::new(Arc::clone(&self.shared), digester, self.expected_bytes);
                spool.write(&memory).await?;
                spool.write(&bytes).await?;
                self.state = State::File(Box::new(spool));
                Ok(())
            }
        }
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
