//! Large buffers that are used again: a fresh one for each read would cost more than the read.
//!
//! There are only so many of them. Who finds none goes on in small pieces: nobody waits for
//! memory, so that nobody who is slow with it can make others wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What `O_DIRECT` may ask of addresses, offsets and lengths.
pub(super) const ALIGNMENT: usize = 4096;

/// A body whose first buffer holds so much is written directly.
pub(super) const DIRECT_BYTES_MIN: usize = 512 << 10;

/// How much goes at once where no large buffer is to be had. Each transfer may hold so much.
pub(super) const SMALL_BYTES: usize = 8 << 10;

/// How many bytes the buffers of some pools may take together.
#[derive(Debug)]
pub(super) struct Budget {
    max_bytes: usize,
    taken_bytes: AtomicUsize,
}

/// Buffers of one size. It keeps a few that nobody uses.
#[derive(Debug)]
pub(super) struct Pool {
    size: usize,
    kept_max: usize,
    budget: Arc<Budget>,
    kept: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer whose first bytes are filled. It goes back to its pool when dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Larger than the buffer by one alignment, so that an aligned one lies within.
    memory: Box<[u8]>,
    start: usize,
    filled: usize,
    size: usize,
    /// None of a small one.
    pool: Option<Arc<Pool>>,
}

impl Budget {
    /// Nothing of `max_bytes` is taken.
    pub(super) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, taken_bytes: AtomicUsize::new(0) })
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.max_bytes);
        self.taken_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Pool {
    /// Buffers of `size` bytes within a budget, of which at most `kept_max` wait unused.
    pub(super) fn new(size: usize, kept_max: usize, budget: &Arc<Budget>) -> Arc<Self> {
        let kept = Mutex::default();
        Arc::new(Self { size, kept_max, budget: Arc::clone(budget), kept })
    }

    /// An empty buffer: a large one if there is one.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        self.take_large().unwrap_or_else(Buffer::small)
    }

    /// An empty buffer, if the budget allows it.
    pub(super) fn take_large(self: &Arc<Self>) -> Option<Buffer> {
        if !self.budget.take(self.size) {
            return None;
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = kept.unwrap_or_else(|| vec![0; self.size + ALIGNMENT].into_boxed_slice());
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Some(Buffer { memory, start, filled: 0, size: self.size, pool: Some(Arc::clone(self)) })
    }
}

impl Buffer {
    fn small() -> Self {
        let memory = vec![0; SMALL_BYTES].into_boxed_slice();
        Self { memory, start: 0, filled: 0, size: SMALL_BYTES, pool: None }
    }

    /// Takes as many of `bytes` as fit and says how many that were.
    pub(super) fn fill_from(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }

    /// What is not filled yet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.memory[self.start + self.filled..self.start + self.size]
    }

    /// The next `count` bytes of the room were filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.filled = self.size.min(self.filled + count);
    }

    /// Whether nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.filled == self.size
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(pool) = &self.pool else { return };
        let memory = std::mem::take(&mut self.memory);
        let mut kept = pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < pool.kept_max {
            kept.push(memory);
        }
        drop(kept);
        pool.budget.give_back(self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_take_what_fits() {
        let pool = Pool::new(8192, 1, &Budget::new(8192));
        let mut buffer = pool.take();
        assert_eq!(buffer.room().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(buffer.fill_from(&[1; 8000]), 8000);
        assert_eq!(buffer.fill_from(&[2; 8000]), 192);
        assert!(buffer.is_full());
        assert_eq!(buffer.as_ref()[7999..8001], [1, 2]);
    }

    #[test]
    fn a_dropped_buffer_is_used_again_and_begins_empty() {
        let pool = Pool::new(4096, 1, &Budget::new(8192));
        let (mut first, second) = (pool.take(), pool.take());
        first.fill_from(b"left over");
        drop((first, second));
        assert_eq!(pool.kept.lock().expect("no panic").len(), 1, "no more than kept_max wait");
        assert!(pool.take().as_ref().is_empty());
    }

    #[test]
    fn beyond_the_budget_buffers_are_small_until_one_comes_back() {
        let budget = Budget::new(3 << 20);
        let (large, half) = (Pool::new(2 << 20, 0, &budget), Pool::new(1 << 20, 0, &budget));
        let (first, second) = (large.take(), half.take());
        for pool in [&large, &half] {
            assert!(pool.take_large().is_none());
            assert_eq!(pool.take().room().len(), SMALL_BYTES);
        }
        drop(second);
        assert!(large.take_large().is_none(), "what came back is not enough");
        assert_eq!(half.take().room().len(), 1 << 20);
        drop(first);
        assert_eq!(large.take().room().len(), 2 << 20);
    }
}
