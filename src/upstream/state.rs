//! What is known of one upstream: its budget, how it is, and what it said a moment ago.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::budget::{Admission, Breaker};
use super::failure::Failure;
use super::list::Pages;
use super::memory::Memory;
use super::turns::Turns;
use super::{Config, Error, Health, Remote};
use crate::model::ObjectKey;

/// The most memory for answers to HEAD.
const HEADS_BYTES_MAX: usize = 4 << 20;

/// One upstream, by its name. Rules that name the same share it.
#[derive(Debug)]
pub(super) struct State {
    name: String,
    /// One for each request, from before it is sent until its body ends.
    pub(super) turns: Turns,
    /// Pages of listings.
    pub(super) pages: Pages,
    breaker: Mutex<Breaker>,
    heads: Mutex<Memory<ObjectKey, Found>>,
    last_error: Mutex<Option<String>>,
    /// When it was in trouble, if nothing has come of it since.
    trouble: Mutex<Option<Instant>>,
    requests: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
}

impl State {
    pub(super) fn new(name: String, config: &Config) -> Self {
        Self {
            name,
            turns: Turns::new(config),
            pages: Pages::new(config.list_ttl),
            breaker: Mutex::new(Breaker::new(config.breaker_failures, config.breaker_pause)),
            heads: Mutex::new(Memory::new(config.absent_ttl, HEADS_BYTES_MAX)),
            last_error: Mutex::new(None),
            trouble: Mutex::new(None),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Fails while the breaker is open, before anything else is waited for.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        if lock(&self.breaker).refuses(Instant::now()) { Err(self.down()) } else { Ok(()) }
    }

    /// Asks the breaker for leave to send one request.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Attempt, Error> {
        let admission = lock(&self.breaker).admit(Instant::now()).ok_or_else(|| self.down())?;
        Ok(Attempt { state: Arc::clone(self), admission, is_settled: false })
    }

    /// Whether the last that was heard of it is trouble, and not longer ago than `time`.
    pub(super) fn is_in_trouble(&self, time: std::time::Duration) -> bool {
        lock(&self.trouble).is_some_and(|since| since.elapsed() <= time)
    }

    fn down(&self) -> Error {
        let last = lock(&self.last_error).clone().unwrap_or_else(|| "it failed too often".to_owned());
        Error::Down { upstream: self.name.clone(), last }
    }

    /// Counts a request that goes out.
    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of a body.
    pub(super) fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A body did not come whole.
    pub(super) fn fail_body(&self, failure: &Failure) {
        self.note(failure, Admission::Ordinary);
    }

    fn note(&self, failure: &Failure, admission: Admission) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *lock(&self.last_error) = Some(failure.to_string());
        *lock(&self.trouble) = failure.is_trouble().then(Instant::now);
        let mut breaker = lock(&self.breaker);
        if failure.is_trouble() {
            let was_open = breaker.is_open();
            breaker.fail(admission, Instant::now());
            if breaker.is_open() && !was_open {
                tracing::warn!(upstream = %self.name, %failure, "upstream is down and is left alone for a while");
            }
        } else {
            // It answered, if only to refuse.
            breaker.succeed();
        }
    }

    fn succeed(&self) {
        *lock(&self.last_error) = None;
        *lock(&self.trouble) = None;
        let mut breaker = lock(&self.breaker);
        if breaker.is_open() {
            tracing::info!(upstream = %self.name, "upstream is back");
        }
        breaker.succeed();
    }

    /// What a HEAD said a moment ago: that there is nothing, or what there is.
    pub(super) fn remembered(&self, key: &ObjectKey) -> Option<Found> {
        lock(&self.heads).get(key, Instant::now())
    }

    /// Remembers what there is under a key, or that there is nothing.
    pub(super) fn remember(&self, key: &ObjectKey, found: Found) {
        let of_found = match &found {
            Found::Nothing => 0,
            Found::Object(remote) => footprint(remote),
        };
        let bytes = 2 * key.as_str().len() + 128 + of_found;
        lock(&self.heads).put(key.clone(), found, bytes, Instant::now());
    }

    pub(super) fn health(&self) -> Health {
        Health {
            name: self.name.clone(),
            down: lock(&self.breaker).is_open(),
            last_error: lock(&self.last_error).clone(),
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// What there is under a key.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// No object.
    Nothing,
    /// An object.
    Object(Arc<Remote>),
}

/// One request that the breaker has let through. One that is dropped on the way, because its client
/// left, says nothing of upstream.
#[derive(Debug)]
pub(super) struct Attempt {
    state: Arc<State>,
    admission: Admission,
    is_settled: bool,
}

impl Attempt {
    /// Upstream has answered.
    pub(super) fn succeed(mut self) {
        self.is_settled = true;
        self.state.succeed();
    }

    /// Upstream has not, or not usefully.
    pub(super) fn fail(mut self, failure: &Failure) {
        self.is_settled = true;
        self.state.note(failure, self.admission);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_settled {
            lock(&self.state.breaker).abandon(self.admission, Instant::now());
        }
    }
}

/// About how much memory a description of an object takes.
pub(super) fn footprint(remote: &Remote) -> usize {
    let system = remote.metadata.system_headers().map(|(_, value)| value.len() + 64);
    let user = remote.metadata.user().map(|(name, value)| name.len() + value.len() + 96);
    let metadata: usize = system.chain(user).sum();
    size_of::<Remote>() + remote.key.as_str().len() + remote.etag.as_str().len() + metadata
}

/// The locks of this room are held for a few statements that cannot panic half-way.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
