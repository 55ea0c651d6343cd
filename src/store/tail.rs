//! Bytes on their way into a file, read by others as they come.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use super::error::Error;

/// The file that a [`super::Staging`] grows. It outlives the staging and the blob's removal.
#[derive(Debug, Clone)]
pub struct Tail {
    file: Arc<File>,
}

impl Tail {
    /// Reads up to `length` bytes at `offset`, which must have been written: at most 64 KiB at a
    /// time. What is in the page cache is read at once, anything else on a blocking thread.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Bytes, Error> {
        let _ = (offset, length, &self.file);
        unimplemented!("helper C")
    }
}
