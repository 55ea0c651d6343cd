//! What readers have found broken: blobs whose file is gone, too short, unreadable, or holds other
//! bytes than were written. It is kept for health and metrics until a scrub finds the blob whole, the blob is
//! removed because nothing names it any more, or the process ends.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::folder::BlobName;

/// Blobs that are named at most; the others are only counted.
const NAMED_MAX: usize = 16;

/// What readers have found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    reads: AtomicU64,
    blobs: Mutex<BTreeMap<String, String>>,
}

/// Damage that readers or a scrub have found since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// Reads that it made fail.
    pub reads: u64,
    /// What is wrong with each blob, 16 of them at most.
    pub blobs: Vec<String>,
}

/// Bytes that are not those that were written.
pub(super) fn other_bytes() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "has other bytes than were written")
}

/// A file that has fewer bytes than its row says, or more where all of it is looked at.
pub(super) fn wrong_size(expected_bytes: u64, actual_bytes: u64) -> io::Error {
    let text = format!("has {actual_bytes} bytes, and its row needs {expected_bytes}");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// Whether an error says something about the blob, and not about this process or this moment.
fn is_damage(error: &io::Error) -> bool {
    let lost = [io::ErrorKind::NotFound, io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData];
    lost.contains(&error.kind()) || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

impl Found {
    /// A read failed with this error of a blob's file.
    pub(super) fn note_read(&self, blob: &BlobName, error: &io::Error) {
        if is_damage(error) {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.note(blob.as_str(), &error.to_string());
        }
    }

    /// A blob is broken.
    pub(super) fn note(&self, blob: &str, problem: &str) {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if blobs.len() < NAMED_MAX {
            blobs.insert(blob.to_owned(), problem.to_owned());
        }
    }

    /// A blob is whole, or there is no such blob any more.
    pub(super) fn clear(&self, blob: &str) {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).remove(blob);
    }

    /// All of it.
    pub(super) fn get(&self) -> Damage {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        Damage {
            reads: self.reads.load(Ordering::Relaxed),
            blobs: blobs.iter().map(|(blob, problem)| format!("{blob} {problem}")).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, other_bytes, wrong_size};
    use crate::store::folder::BlobName;

    #[test]
    fn only_errors_that_speak_of_the_blob_are_damage() {
        let blob = BlobName::parse("00112233445566778899aabbccdd").expect("a name");
        for (error, is_damage) in [
            (std::io::ErrorKind::NotFound.into(), true),
            (wrong_size(10, 3), true),
            (other_bytes(), true),
            (std::io::Error::from_raw_os_error(5), true),   // EIO
            (std::io::Error::from_raw_os_error(24), false), // EMFILE
            (std::io::ErrorKind::PermissionDenied.into(), false),
        ] {
            let found = Found::default();
            found.note_read(&blob, &error);
            assert_eq!(
                (found.get().reads, found.get().blobs.len()),
                (is_damage.into(), is_damage.into()),
                "{error}"
            );
            found.clear(blob.as_str());
            assert!(found.get().blobs.is_empty());
        }
    }
}
