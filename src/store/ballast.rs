//! A file that takes up room so that there is some when the disk is full.
//!
//! Deleting needs room, in the index and in its log, and so do the start and a snapshot for an export. The
//! reserve keeps uploads from taking it, but nothing keeps others who write to the same disk. So when
//! one of these finds the disk full, the ballast goes; it is made again when there is room.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// Its name in the data folder.
const FILE: &str = "ballast";
/// How much is written at once where room cannot be reserved.
const PIECE_BYTES: usize = 64 << 10;
/// Once it was given up, or could not be made, it is not made for so long: the disk may be fuller than it
/// says of itself, and what needs the room must get it.
const PAUSE: Duration = Duration::from_secs(10);

/// The ballast of a data folder.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    /// How large it shall be; 0 for none.
    wanted_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How large it is.
    held_bytes: u64,
    /// When it may be made again, where that is not now.
    not_before: Option<Instant>,
}

impl Ballast {
    /// The ballast that a folder has, if it has one.
    pub(super) fn find(root: &Path, wanted_bytes: u64) -> Self {
        let path = root.join(FILE);
        let held_bytes = fs::symlink_metadata(&path).map_or(0, |found| found.len());
        Self { path, wanted_bytes, state: Mutex::new(State { held_bytes, not_before: None }) }
    }

    /// Every change of the state is complete in itself, so a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives its room back if less than `needed_bytes` are free. Says whether it did.
    pub(super) fn release_if_short(&self, free_bytes: Option<u64>, needed_bytes: u64) -> bool {
        free_bytes.is_some_and(|free| free < needed_bytes) && self.release()
    }

    /// Gives its room back. Says whether there was any.
    pub(super) fn release(&self) -> bool {
        let mut state = self.lock();
        if state.held_bytes == 0 {
            return false;
        }
        // Cut first: a file that somebody else has open goes only when they close it.
        let cut = File::options().write(true).open(&self.path).and_then(|file| file.set_len(0));
        let removed = fs::remove_file(&self.path);
        if let Err(error) = cut.and(removed)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.path.display(), %error, "the ballast could not be given up");
            return false;
        }
        tracing::warn!(
            bytes = state.held_bytes,
            "the disk is full: the ballast was given up so that deletions go on"
        );
        *state = State { held_bytes: 0, not_before: Some(Instant::now() + PAUSE) };
        true
    }

    /// Whether it is as large as it shall be.
    pub(super) fn is_whole(&self) -> bool {
        self.lock().held_bytes == self.wanted_bytes
    }

    /// Makes it again if that leaves twice as much free besides `reserve_bytes`, unless it was given up a
    /// moment ago.
    pub(super) fn restore(&self, free_bytes: Option<u64>, reserve_bytes: u64) {
        self.restore_at(Instant::now(), free_bytes, reserve_bytes);
    }

    fn restore_at(&self, now: Instant, free_bytes: Option<u64>, reserve_bytes: u64) {
        let mut state = self.lock();
        if state.held_bytes == self.wanted_bytes || state.not_before.is_some_and(|due| now < due) {
            return;
        }
        if state.held_bytes > 0 && fs::remove_file(&self.path).is_ok() {
            state.held_bytes = 0;
        }
        let needed_bytes = reserve_bytes.saturating_add(self.wanted_bytes.saturating_mul(3));
        if self.wanted_bytes == 0 || free_bytes.is_none_or(|free| free < needed_bytes) {
            return;
        }
        match make(&self.path, self.wanted_bytes) {
            Ok(()) => *state = State { held_bytes: self.wanted_bytes, not_before: None },
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the ballast could not be made");
                drop(fs::remove_file(&self.path));
                state.not_before = Some(now + PAUSE);
            }
        }
    }
}

/// Makes a file that has all of its blocks.
fn make(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    // File systems that cannot reserve room may compress what is alike.
    let mut piece = vec![0; PIECE_BYTES];
    getrandom::fill(&mut piece).map_err(|error| io::Error::other(error.to_string()))?;
    let mut left = bytes;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        file.write_all(&piece[..count])?;
        left -= count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use std::time::Instant;

    use super::{Ballast, PAUSE};

    const BYTES: u64 = 1 << 20;

    #[test]
    fn it_is_made_where_there_is_room_and_goes_where_there_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ballast = Ballast::find(folder.path(), BYTES);
        assert!(!ballast.release(), "there is none yet");
        for free in [None, Some(0), Some(10 + 3 * BYTES - 1)] {
            ballast.restore(free, 10);
            assert!(!ballast.is_whole(), "{free:?}");
        }
        ballast.restore(Some(10 + 3 * BYTES), 10);
        assert!(ballast.is_whole());
        let made = folder.path().join("ballast").metadata().expect("a file");
        assert_eq!(made.len(), BYTES);
        assert!(made.blocks() * 512 >= BYTES, "its room is taken");

        // The next process finds it.
        let ballast = Ballast::find(folder.path(), BYTES);
        assert!(ballast.is_whole());
        assert!(!ballast.release_if_short(Some(100), 100) && !ballast.release_if_short(None, 100));
        assert!(ballast.release_if_short(Some(99), 100) && !ballast.release_if_short(Some(99), 100));
        assert!(!folder.path().join("ballast").exists());
    }

    #[test]
    fn what_was_given_up_or_could_not_be_made_stays_away_for_a_while() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ballast = Ballast::find(folder.path(), BYTES);
        let all = Some(u64::MAX);
        ballast.restore(all, 0);
        assert!(ballast.release());
        // A disk that is full and does not say so would be filled again at once.
        ballast.restore(all, 0);
        assert!(!ballast.is_whole() && !ballast.release());
        // It cannot be made either.
        std::fs::create_dir(folder.path().join("ballast")).expect("writable");
        let later = Instant::now() + PAUSE;
        ballast.restore_at(later, all, 0);
        std::fs::remove_dir(folder.path().join("ballast")).expect("our own");
        ballast.restore_at(later, all, 0);
        assert!(!ballast.is_whole());
        ballast.restore_at(later + PAUSE, all, 0);
        assert!(ballast.is_whole());
    }

    #[test]
    fn another_size_replaces_it_and_none_removes_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Ballast::find(folder.path(), BYTES).restore(Some(u64::MAX), 0);
        for size in [2 * BYTES, BYTES / 2] {
            let ballast = Ballast::find(folder.path(), size);
            assert!(!ballast.is_whole());
            ballast.restore(Some(u64::MAX), 0);
            assert_eq!(folder.path().join("ballast").metadata().expect("a file").len(), size);
        }
        Ballast::find(folder.path(), 0).restore(Some(u64::MAX), 0);
        assert!(!folder.path().join("ballast").exists());
    }
}
