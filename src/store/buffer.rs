//! Large buffers that are used again: a fresh one for each read would cost more than the read.

use std::sync::{Arc, Mutex, PoisonError};

/// What `O_DIRECT` may ask of addresses, offsets and lengths.
pub(super) const ALIGNMENT: usize = 4096;

/// A body whose first buffer holds so much is written directly.
pub(super) const DIRECT_BYTES_MIN: usize = 512 << 10;

/// Buffers of one size. It keeps a few that nobody uses.
#[derive(Debug)]
pub(super) struct Pool {
    size: usize,
    kept_max: usize,
    kept: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer whose first bytes are filled. It goes back to its pool when dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Larger than the buffer by one alignment, so that an aligned one lies within.
    memory: Box<[u8]>,
    start: usize,
    filled: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// Buffers of `size` bytes, of which at most `kept_max` wait unused.
    pub(super) fn new(size: usize, kept_max: usize) -> Arc<Self> {
        Arc::new(Self { size, kept_max, kept: Mutex::new(Vec::new()) })
    }

    /// An empty buffer.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = kept.unwrap_or_else(|| vec![0; self.size + ALIGNMENT].into_boxed_slice());
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Buffer { memory, start, filled: 0, pool: Arc::clone(self) }
    }
}

impl Buffer {
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
        &mut self.memory[self.start + self.filled..self.start + self.pool.size]
    }

    /// The next `count` bytes of the room were filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.filled = self.pool.size.min(self.filled + count);
    }

    /// Whether nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.filled == self.pool.size
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut kept = self.pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < self.pool.kept_max {
            kept.push(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_take_what_fits() {
        let pool = Pool::new(8192, 1);
        let mut buffer = pool.take();
        assert_eq!(buffer.room().as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(buffer.fill_from(&[1; 8000]), 8000);
        assert_eq!(buffer.fill_from(&[2; 8000]), 192);
        assert!(buffer.is_full());
        assert_eq!(buffer.as_ref()[7999..8001], [1, 2]);
    }

    #[test]
    fn a_dropped_buffer_is_used_again_and_begins_empty() {
        let pool = Pool::new(4096, 1);
        let (mut first, second) = (pool.take(), pool.take());
        first.fill_from(b"left over");
        drop((first, second));
        assert_eq!(pool.kept.lock().expect("no panic").len(), 1, "no more than kept_max wait");
        assert!(pool.take().as_ref().is_empty());
    }
}
