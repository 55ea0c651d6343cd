//! Snapshots that are taken for a transfer and go with it, also if it was killed.
//!
//! Every transfer that takes one holds a shared lock on the folder of the blobs for as long as it runs.
//! Whoever gets that lock for himself knows that no transfer is alive, and that such snapshots are
//! nobody's: the next transfer removes them, and so does the next start. The system gives back the locks
//! of a process that ends, however it ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::Error;
use crate::model::SnapshotName;
use crate::store::folder::Folder;
use crate::store::snapshot::{remove_file, snapshot_names};

/// How their names begin; random digits follow.
const PREFIX: &str = "in-transfer-";
/// How many bytes those digits stand for.
const RANDOM_BYTES: usize = 6;

/// Whether a snapshot was taken for a transfer.
pub fn is_passing(name: &SnapshotName) -> bool {
    let digits = name.as_str().strip_prefix(PREFIX).unwrap_or_default();
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.len() == 2 * RANDOM_BYTES && digits.bytes().all(digit)
}

/// A transfer from a data folder, for as long as it lives.
#[derive(Debug)]
pub struct Passage {
    path: PathBuf,
    blobs: File,
    is_alone: bool,
}

impl Passage {
    /// Begins one. If it is the only one, nobody else begins before [`Passage::admit`].
    pub fn begin(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("blobs");
        let failed = |source: io::Error| Error::file(&path, source);
        let blobs = File::open(&path).map_err(failed)?;
        let is_alone = is_locked_alone(&blobs).map_err(failed)?;
        let mut passage = Self { path, blobs, is_alone };
        if !is_alone {
            passage.admit()?;
        }
        Ok(passage)
    }

    /// Whether there is no other one, so that every passing snapshot is one that a kill has left.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Lets others begin. What is left over must be removed by now, and nothing taken yet.
    pub fn admit(&mut self) -> Result<(), Error> {
        self.is_alone = false;
        loop {
            // Waits while another one is alone, which is not long.
            match rustix::fs::flock(&self.blobs, FlockOperation::LockShared) {
                Err(Errno::INTR) => {}
                outcome => return outcome.map_err(|error| Error::file(&self.path, error.into())),
            }
        }
    }

    /// The name of a snapshot for this transfer.
    pub fn new_name() -> Result<SnapshotName, Error> {
        let mut random = [0_u8; RANDOM_BYTES];
        let unnamed = |error: String| Error::file(Path::new(PREFIX), io::Error::other(error));
        getrandom::fill(&mut random).map_err(|error| unnamed(error.to_string()))?;
        SnapshotName::parse(&format!("{PREFIX}{}", hex::encode(random)))
            .map_err(|error| unnamed(error.to_string()))
    }
}

/// Takes the lock for oneself unless somebody has it.
fn is_locked_alone(blobs: &File) -> io::Result<bool> {
    match rustix::fs::flock(blobs, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes the snapshots that transfers have left, in a folder that is not in service yet. Their blobs
/// are found by the sweep.
pub(in crate::store) fn remove_abandoned(folder: &Folder) -> io::Result<()> {
    let names = snapshot_names(folder)?;
    let mut abandoned = names.into_iter().filter(|(name, _)| is_passing(name)).peekable();
    if abandoned.peek().is_none() {
        return Ok(());
    }
    // Given back when it is closed.
    let blobs = File::open(folder.blobs())?;
    if !is_locked_alone(&blobs)? {
        return Ok(());
    }
    for (name, path) in abandoned {
        remove_file(&path)?;
        tracing::info!(snapshot = %name, "a snapshot that a transfer had left is removed");
    }
    folder.sync_folder(&folder.snapshots())
}
