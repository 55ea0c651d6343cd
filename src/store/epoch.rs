//! Who is still reading, and so what the sweep must leave alone.
//!
//! A reader takes a pin before it looks at the index. The pin remembers the last committed sequence
//! number. Content that became garbage at a sequence number N was invisible to whoever pinned at N or
//! later, so it may go once no earlier pin is left. When the reader knows which content it will read,
//! the pin is narrowed to that one, so that a client that takes hours keeps nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// How many pins that are not narrowed were taken at each sequence number.
    held: BTreeMap<u64, usize>,
    /// How many pins are narrowed to each content.
    contents: HashMap<i64, usize>,
    /// Contents that are garbage and that the sweep found held.
    blocked: HashSet<i64>,
    /// When the oldest content that the sweep may find became garbage.
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

/// Keeps what its holder reads.
#[derive(Debug)]
pub(super) struct Pin {
    pins: Arc<Pins>,
    on: On,
}

#[derive(Debug, Clone, Copy)]
enum On {
    /// Every content that could be seen from this sequence number on.
    Everything(u64),
    /// One content.
    Content(i64),
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

    /// Gives a pin back. Says whether there may be more to sweep now.
    fn release(&mut self, on: On) -> bool {
        match on {
            On::Everything(at) => {
                let last = self.held.get(&at).is_none_or(|count| *count <= 1);
                if last {
                    self.held.remove(&at);
                } else {
                    self.held.entry(at).and_modify(|count| *count -= 1);
                }
                last && self.garbage.is_some()
            }
            On::Content(content_id) => {
                let last = self.contents.get(&content_id).is_none_or(|count| *count <= 1);
                if !last {
                    self.contents.entry(content_id).and_modify(|count| *count -= 1);
                    return false;
                }
                self.contents.remove(&content_id);
                let due = self.blocked.remove(&content_id);
                if due {
                    self.garbage = Some(0);
                }
                due
            }
        }
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
        Pin { pins: Arc::clone(self), on: On::Everything(at) }
    }

    /// A pin of one content alone.
    pub(super) fn pin_content(self: &Arc<Self>, content_id: i64) -> Pin {
        *self.lock().contents.entry(content_id).or_insert(0) += 1;
        Pin { pins: Arc::clone(self), on: On::Content(content_id) }
    }

    /// Whether a pin is narrowed to this content.
    pub(super) fn hold(&self, content_id: i64) -> bool {
        self.lock().contents.contains_key(&content_id)
    }

    /// The sweep found these contents held: they are due as soon as they are not.
    pub(super) fn blocked(&self, contents: &[i64]) {
        let mut state = self.lock();
        for content_id in contents {
            if state.contents.contains_key(content_id) {
                state.blocked.insert(*content_id);
            } else {
                state.garbage = Some(0);
            }
        }
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

impl Pin {
    /// Keeps only this content from now on.
    pub(super) fn narrow(mut self, content_id: i64) -> Self {
        let pins = Arc::clone(&self.pins);
        let mut state = pins.lock();
        *state.contents.entry(content_id).or_insert(0) += 1;
        if state.release(self.on) {
            pins.changed.notify_one();
        }
        self.on = On::Content(content_id);
        self
    }

    /// Keeps only these contents from now on, each for as long as its own pin lives.
    pub(super) fn split(self, contents: impl IntoIterator<Item = i64>) -> Vec<Self> {
        contents.into_iter().map(|content_id| self.pins.pin_content(content_id)).collect()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if self.pins.lock().release(self.on) {
            self.pins.changed.notify_one();
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
    fn a_narrowed_pin_keeps_its_content_only_and_says_when_it_is_done() {
        let pins = Pins::new(1);
        pins.next(Duration::ZERO);
        let (first, second) = (pins.pin().narrow(7), pins.pin().narrow(7));
        pins.committed(2, Some(2));
        assert_eq!(up_to(&pins), Some(2), "others are not held up");
        assert!(pins.hold(7) && !pins.hold(8));
        pins.next(Duration::ZERO);
        pins.blocked(&[7]);
        assert_eq!(up_to(&pins), None);
        drop(first);
        assert_eq!(up_to(&pins), None);
        drop(second);
        assert_eq!(up_to(&pins), Some(2));
        assert!(!pins.hold(7));
    }

    #[test]
    fn a_pin_that_is_split_keeps_each_content_for_itself() {
        let pins = Pins::new(1);
        pins.next(Duration::ZERO);
        let mut split = pins.pin().split([7, 8]);
        pins.committed(2, Some(2));
        assert_eq!(up_to(&pins), Some(2), "others are not held up");
        assert!(pins.hold(7) && pins.hold(8) && !pins.hold(9));
        split.pop();
        assert!(pins.hold(7) && !pins.hold(8));
        drop(split);
        assert!(!pins.hold(7));
    }

    #[test]
    fn a_content_that_was_let_go_while_the_sweep_looked_is_due_at_once() {
        let pins = Pins::new(1);
        pins.next(Duration::ZERO);
        let pin = pins.pin().narrow(7);
        assert!(pins.hold(7));
        drop(pin);
        pins.blocked(&[7]);
        assert_eq!(up_to(&pins), Some(1));
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
