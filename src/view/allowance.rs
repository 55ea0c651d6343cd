//! How much of the disk bodies may take whose length nobody has told: such a body may never end, so it
//! is bounded while it comes.
//!
//! A body with a length is refused before its first byte where there is no room for it (`store`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::{BucketName, ObjectKey};
use crate::store::Store;

/// After how many bytes the disk is looked at again.
const LOOK_BYTES: u64 = 8 << 20;

/// How long it is remembered that a key was too long to be kept: until then it is passed through, and
/// nothing of it is fetched in vain.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Of how many keys that is remembered.
const KEYS_MAX: usize = 1024;

/// What all bodies of unknown length share. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The most that the cache may hold.
    bytes_max: u64,
    /// What bodies under way have taken.
    taken: AtomicU64,
    too_long: Mutex<HashMap<(BucketName, ObjectKey), Instant>>,
}

/// What one body has taken. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    allowance: Allowance,
    bytes: u64,
    looked_at: u64,
}

impl Allowance {
    /// For a cache of this size; `None` for one that only the disk bounds.
    pub(super) fn new(bytes_max: Option<u64>) -> Self {
        let bytes_max = bytes_max.unwrap_or(u64::MAX);
        Self(Arc::new(Shared { bytes_max, taken: AtomicU64::new(0), too_long: Mutex::default() }))
    }

    /// For a body that begins.
    pub(super) fn begin(&self) -> Taken {
        Taken { allowance: self.clone(), bytes: 0, looked_at: 0 }
    }

    /// Remembers that a key was too long.
    pub(super) fn note_too_long(&self, bucket: &BucketName, key: &ObjectKey) {
        let mut too_long = self.too_long();
        let now = Instant::now();
        too_long.retain(|_, until| now < *until);
        if too_long.len() < KEYS_MAX {
            too_long.insert((bucket.clone(), key.clone()), now + REMEMBERED);
        }
    }

    /// Whether a key was too long a while ago.
    pub(super) fn is_too_long(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        let too_long = self.too_long();
        if too_long.is_empty() {
            return false;
        }
        too_long.get(&(bucket.clone(), key.clone())).is_some_and(|until| Instant::now() < *until)
    }

    fn too_long(&self) -> MutexGuard<'_, HashMap<(BucketName, ObjectKey), Instant>> {
        self.0.too_long.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes so many bytes more. Fails with what the body has taken by now, if that is too much: if all
    /// such bodies together outgrow the cache, or if this one would leave less room on the disk than it
    /// has taken itself. So writes always have room beside it.
    pub(super) fn more(&mut self, bytes: usize, store: &Store) -> Result<(), u64> {
        let bytes = bytes as u64;
        self.bytes += bytes;
        let shared = &self.allowance.0;
        let all = shared.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all > shared.bytes_max {
            return Err(self.bytes);
        }
        if self.bytes - self.looked_at >= LOOK_BYTES {
            self.looked_at = self.bytes;
            if store.room_bytes().is_some_and(|room| room < self.bytes) {
                return Err(self.bytes);
            }
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.allowance.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
