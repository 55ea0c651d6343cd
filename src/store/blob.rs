//! The file of a blob while no committed row names it yet.

use std::path::PathBuf;
use std::sync::Arc;

use super::epoch::Pins;
use super::folder::BlobName;

/// A file that is removed unless it is kept.
#[derive(Debug)]
pub(super) struct BlobFile {
    name: BlobName,
    path: PathBuf,
    pins: Arc<Pins>,
    kept: bool,
}

impl BlobFile {
    /// The file of `name`, which is at `path`.
    pub(super) fn new(name: BlobName, path: PathBuf, pins: Arc<Pins>) -> Self {
        Self { name, path, pins, kept: false }
    }

    /// The name that a row may give it.
    pub(super) fn name(&self) -> &BlobName {
        &self.name
    }

    /// Where it is.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// It was moved.
    pub(super) fn moved_to(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// A committed row names it.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        if !self.kept {
            self.pins.discard(std::mem::take(&mut self.path));
        }
    }
}
