//! Who is still reading, and so what the sweep must leave alone.
//!
//! A reader takes a pin before it looks at the index, and keeps it for as long as it may read bytes.
//! The pin remembers the last committed sequence number. Content that became garbage at a sequence
//! number N was invisible to whoever pinned at N or later, so it may go once no earlier pin is left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a sweep that failed waits before it tries again.
const RETRY: Duration = Duration::from_secs(5);
const FOREVER: Duration = Duration::from_hours(24);

/// The pins of a store, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Pins {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    committed: u64,
    /// How many pins were taken at each sequence number.
    held: BTreeMap<u64, usize>,
    /// When the oldest content that waits became garbage.
    garbage: Option<u64>,
    /// The last sweep did not get through what was due.
    failed: bool,
    /// Files that were staged and not wanted.
    discarded: Vec<PathBuf>,
    stopping: bool,
}

/// What the sweep shall do next.
#[derive(Debug)]
pub(super) struct Work {
    /// Files to remove.
    pub(super) discarded: Vec<PathBuf>,
    /// Content that became garbage at this sequence number or earlier may go.
    pub(super) garbage_up_to: Option<u64>,
    /// Nothing will follow.
    pub(super) last: bool,
}

/// Keeps every content that its holder could have seen.
#[derive(Debug)]
pub(super) struct Pin {
    pins: Arc<Pins>,
    at: u64,
}

impl State {
    /// Contents up to here are seen by nobody.
    fn bound(&self) -> u64 {
        self.held.first_key_value().map_or(self.committed, |(at, _)| *at)
    }

    fn sweepable(&self) -> Option<u64> {
        let bound = self.bound();
        self.garbage.filter(|oldest| *oldest <= bound).map(|_| bound)
    }

    fn idle(&self) -> bool {
        !self.stopping && self.discarded.is_empty() && self.sweepable().is_none()
    }
}

impl Pins {
    /// The pins of a store whose index is at `committed`. What an earlier process left as garbage is
    /// due at once.
    pub(super) fn new(committed: u64) -> Arc<Self> {
        let pins = Self::default();
        pins.lock().committed = committed;
        pins.lock().garbage = Some(0);
        Arc::new(pins)
    }

    /// Every change of the state is complete in itself, so a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a pin. Do it before looking at the index.
    pub(super) fn pin(self: &Arc<Self>) -> Pin {
        let mut state = self.lock();
        let at = state.committed;
        *state.held.entry(at).or_insert(0) += 1;
        Pin { pins: Arc::clone(self), at }
    }

    /// A transaction was committed. `garbage` is when the first content that it gave up became
    /// garbage.
    pub(super) fn committed(&self, sequence: u64, garbage: Option<u64>) {
        let mut state = self.lock();
        state.committed = sequence;
        if let Some(sequence) = garbage {
            Self::add_garbage(&mut state, sequence);
            self.changed.notify_one();
        }
    }

    /// Content that became garbage at `sequence` still waits.
    pub(super) fn still_waiting(&self, sequence: u64) {
        Self::add_garbage(&mut self.lock(), sequence);
    }

    /// The sweep failed: it is due again after a while, or when there is more to sweep.
    pub(super) fn failed(&self) {
        self.lock().failed = true;
    }

    fn add_garbage(state: &mut State, sequence: u64) {
        state.garbage = Some(state.garbage.map_or(sequence, |oldest| oldest.min(sequence)));
    }

    /// A file is not wanted any more. Removing it may take long, so the sweep does it.
    pub(super) fn discard(&self, file: PathBuf) {
        self.lock().discarded.push(file);
        self.changed.notify_one();
    }

    /// Waits until there is something to sweep, and then `linger` for more.
    pub(super) fn next(&self, linger: Duration) -> Work {
        let state = self.lock();
        // After a sweep that failed there is, but not at once.
        let patience = if state.failed { RETRY } else { FOREVER };
        let waited = self.changed.wait_timeout_while(state, patience, |state| state.idle());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.failed) {
            state.garbage = Some(0);
        }
        let lingered = self.changed.wait_timeout_while(state, linger, |state| !state.stopping);
        let (mut state, _) = lingered.unwrap_or_else(PoisonError::into_inner);
        let garbage_up_to = state.sweepable();
        if garbage_up_to.is_some() {
            state.garbage = None;
        }
        Work { discarded: std::mem::take(&mut state.discarded), garbage_up_to, last: state.stopping }
    }

    /// Whether the sweep shall end.
    pub(super) fn stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Ends the sweep.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut state = self.pins.lock();
        if let Some(count) = state.held.get_mut(&self.at) {
            *count -= 1;
            if *count == 0 {
                state.held.remove(&self.at);
                if state.garbage.is_some() {
                    self.pins.changed.notify_one();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(pins: &Pins) -> Option<u64> {
        pins.lock().sweepable()
    }

    #[test]
    fn garbage_waits_for_readers_that_began_before_it() {
        let pins = Pins::new(10);
        assert_eq!(up_to(&pins), Some(10), "what an earlier process left is due at once");
        pins.next(Duration::ZERO);

        let before = pins.pin();
        pins.committed(11, Some(11));
        let after = pins.pin();
        assert_eq!(up_to(&pins), None);
        drop(before);
        assert_eq!(up_to(&pins), Some(11), "a later reader cannot see it");
        drop(after);
    }

    #[test]
    fn a_second_pin_at_the_same_place_counts() {
        let pins = Pins::new(1);
        pins.next(Duration::ZERO);
        let (first, second) = (pins.pin(), pins.pin());
        pins.committed(2, Some(2));
        drop(first);
        assert_eq!(up_to(&pins), None);
        drop(second);
        assert_eq!(up_to(&pins), Some(2));
    }

    #[test]
    fn stopping_ends_the_wait_and_hands_over_what_is_left() {
        let pins = Pins::new(1);
        pins.next(Duration::ZERO);
        pins.discard("file".into());
        pins.stop();
        let work = pins.next(Duration::from_hours(1));
        assert!(work.last);
        assert_eq!(work.discarded, [PathBuf::from("file")]);
        assert_eq!(work.garbage_up_to, None);
    }
}
