//! Bytes on their way into a file, read by others as they come.
//!
//! The file grows on a thread of its own, perhaps past the page cache. What that thread has written
//! is published as one number, so that asking for it never waits; what is below the number can be
//! read from the file like any other, through a descriptor that knows no direct reading.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::buffer::Pool;
use super::content::{read_cached, read_waiting};
use super::error::Error;

/// The file that a [`super::Staging`] grows. It outlives the staging and the blob's removal.
#[derive(Debug, Clone)]
pub struct Tail {
    file: Arc<File>,
    /// Where it was when it was opened; only errors name it.
    path: Arc<Path>,
    buffers: Arc<Pool>,
}

impl Tail {
    /// Reads up to `length` bytes at `offset`, which must have been written: at most 64 KiB at a
    /// time. What is in the page cache is read at once, anything else on a blocking thread.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes, Error> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = self.buffers.take();
        let length = length.min(buffer.room().len());
        let outcome = if let Some(outcome) = read_cached(&self.file, &mut buffer, offset, length) {
            outcome
        } else {
            let file = Arc::clone(&self.file);
            let reading = tokio::task::spawn_blocking(move || read_waiting(&file, buffer, offset, length));
            // The runtime drops blocking work only while it shuts down.
            let (filled, outcome) = reading.await.map_err(|_| Error::Closed)?;
            buffer = filled;
            outcome
        };
        outcome.map_err(|error| Error::file(&self.path, error))?;
        Ok(Bytes::from_owner(buffer))
    }
}

/// How far a file is written, told by the thread that writes it.
#[derive(Debug, Default)]
pub(super) struct Growth {
    path: OnceLock<PathBuf>,
    written_bytes: AtomicU64,
    tail: OnceLock<Tail>,
}

impl Growth {
    /// The file is at `path`, and stays there as long as [`Growth::tail`] may be called.
    pub(super) fn begin(&self, path: &Path) {
        self.path.get_or_init(|| path.to_owned());
    }

    /// So many bytes can be read from the file.
    pub(super) fn reached(&self, written_bytes: u64) {
        self.written_bytes.store(written_bytes, Ordering::Release);
    }

    /// The file, once there is one, and how many bytes can be read from it. It is opened when it is
    /// first asked for; where that fails, it is tried again the next time.
    pub(super) fn tail(&self, buffers: &Arc<Pool>) -> Option<(Tail, u64)> {
        let path = self.path.get()?;
        if self.tail.get().is_none() {
            let file = Arc::new(File::open(path).ok()?);
            let opened = Tail { file, path: path.as_path().into(), buffers: Arc::clone(buffers) };
            self.tail.get_or_init(|| opened);
        }
        Some((self.tail.get()?.clone(), self.written_bytes.load(Ordering::Acquire)))
    }
}
