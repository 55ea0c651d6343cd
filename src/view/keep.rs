//! What is kept of production: counted, noted when it is read, and evicted beyond the bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::allowance::Allowance;
use super::flight::Landed;
use super::uses::{Call, Uses};
use super::{Config, Error, Inner, View};
use crate::model::{BucketName, ObjectKey, Timestamp};

/// How long uses are gathered before the store is told.
const GATHER: Duration = Duration::from_secs(10);

/// How often objects are looked for that have become too old, or were too large for the cache.
const LOOK: Duration = Duration::from_mins(1);

/// How far apart evictions after fills are at least: each of them sums up all that is cached.
const EVICTIONS_APART: Duration = Duration::from_secs(1);

/// What the view has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups that a cached object answered.
    pub hits: u64,
    /// Objects that were fetched and kept.
    pub fills: u64,
    /// Their bytes.
    pub fill_bytes: u64,
    /// Fetches that failed, or whose bytes did not fit what was announced.
    pub failures: u64,
    /// Objects that were evicted.
    pub evictions: u64,
    /// Fetches under way, with those that wait for their turn.
    pub flights: u64,
}

/// The bookkeeping of a view.
#[derive(Debug)]
pub(super) struct Keeper {
    config: Config,
    /// For bodies whose length is not known.
    pub(super) allowance: Allowance,
    uses: Uses,
    /// Held while uses are on their way to the store: who evicts must not go before them.
    telling: tokio::sync::Mutex<()>,
    hits: AtomicU64,
    fills: AtomicU64,
    fill_bytes: AtomicU64,
    failures: AtomicU64,
    evictions: AtomicU64,
    owed: Mutex<Owed>,
    /// The first uses are here: they are gathered from now on.
    soon: Arc<Notify>,
    /// They have become many.
    now: Arc<Notify>,
    /// The task, once there is something to do for one.
    task: Mutex<Option<AbortHandle>>,
}

impl Keeper {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            allowance: Allowance::new(config.max_bytes),
            uses: Uses::default(),
            telling: tokio::sync::Mutex::default(),
            hits: AtomicU64::new(0),
            fills: AtomicU64::new(0),
            fill_bytes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            owed: Mutex::default(),
            soon: Arc::default(),
            now: Arc::default(),
            task: Mutex::new(None),
        }
    }

    fn is_bounded(&self) -> bool {
        self.config.max_bytes.is_some() || self.config.max_age.is_some()
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An eviction that somebody is about to do after a fill, and the one before.
#[derive(Debug, Default)]
struct Owed {
    is_due: bool,
    largest_bytes: u64,
    last: Option<Instant>,
}

impl Owed {
    /// Notes a fill. Says when who calls has to evict, if nobody else is about to.
    fn note(&mut self, size_bytes: u64, now: Instant) -> Option<Instant> {
        self.largest_bytes = self.largest_bytes.max(size_bytes);
        if std::mem::replace(&mut self.is_due, true) {
            return None;
        }
        Some(self.last.map_or(now, |last| now.max(last + EVICTIONS_APART)))
    }

    /// Begins to evict for all fills so far. Says how large the largest was.
    fn begin(&mut self, now: Instant) -> u64 {
        self.is_due = false;
        self.last = Some(now);
        std::mem::take(&mut self.largest_bytes)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Inner {
    /// Counts how a flight ended.
    pub(super) fn count(&self, outcome: &Result<Option<Landed>, Error>) {
        let kept = match outcome {
            Ok(Some(Landed { kept: Some(object), .. })) => object,
            Ok(_) => return,
            Err(_) => {
                self.keeper.failures.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        self.keeper.fills.fetch_add(1, Ordering::Relaxed);
        self.keeper.fill_bytes.fetch_add(kept.size_bytes, Ordering::Relaxed);
    }

    /// Whether an object of this size may be kept at all.
    pub(super) fn has_room_for(&self, size_bytes: Option<u64>) -> bool {
        let max_bytes = self.keeper.config.max_bytes.unwrap_or(u64::MAX);
        size_bytes.unwrap_or(0) <= max_bytes
    }
}

impl View {
    /// What was done since the view was made.
    pub fn stats(&self) -> Stats {
        let keeper = &self.0.keeper;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: read(&keeper.hits),
            fills: read(&keeper.fills),
            fill_bytes: read(&keeper.fill_bytes),
            failures: read(&keeper.failures),
            evictions: read(&keeper.evictions),
            flights: self.0.flights.count() as u64,
        }
    }

    /// Removes cached objects beyond the bounds; called after fills and from time to time.
    pub async fn evict(&self) -> Result<(), Error> {
        self.evict_to(0).await
    }

    /// Notes that an object was kept. Says when the caller has to evict for it and for those that are
    /// kept until then; `None` if somebody else will, or if there is no bound.
    pub(super) fn owe_eviction(&self, size_bytes: u64) -> Option<Instant> {
        if self.0.keeper.is_bounded() { self.0.keeper.owed().note(size_bytes, Instant::now()) } else { None }
    }

    /// Does what is owed. The whole of an object that is larger than all that may be kept stays until
    /// the next look, so that a copy that waited for it finds it.
    pub(super) async fn evict_owed(&self) -> Result<(), Error> {
        let largest_bytes = self.0.keeper.owed().begin(Instant::now());
        self.evict_to(largest_bytes).await
    }

    /// The same, leaving room for one object of this size where that is more than the bound.
    async fn evict_to(&self, size_bytes: u64) -> Result<(), Error> {
        let keeper = &self.0.keeper;
        if !keeper.is_bounded() {
            return Ok(());
        }
        self.tell_uses().await?;
        let now = self.0.clock.now();
        let before = keeper.config.max_age.map(|age| earlier(now, age));
        let max_bytes = keeper.config.max_bytes.map(|bytes| bytes.max(size_bytes));
        let gone = self.0.store.evict(before, max_bytes).await?;
        keeper.evictions.fetch_add(gone.objects, Ordering::Relaxed);
        Ok(())
    }

    /// Notes that a cached object answered a lookup.
    pub(super) fn note_hit(&self, bucket: &BucketName, key: &ObjectKey) {
        let keeper = &self.0.keeper;
        keeper.hits.fetch_add(1, Ordering::Relaxed);
        match keeper.uses.note(bucket, key) {
            Call::Nobody => {}
            Call::Soon => {
                self.start_keeping();
                keeper.soon.notify_one();
            }
            Call::Now => keeper.now.notify_one(),
        }
    }

    /// Tells the store what was read.
    pub(super) async fn tell_uses(&self) -> Result<(), Error> {
        let _telling = self.0.keeper.telling.lock().await;
        let used = self.0.keeper.uses.take();
        if !used.is_empty() {
            self.0.store.note_used(used).await?;
        }
        Ok(())
    }

    /// Starts the task, unless it runs or there is no runtime to run it.
    pub(super) fn start_keeping(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let keeper = &self.0.keeper;
        let mut task = keeper.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            let (soon, now) = (Arc::clone(&keeper.soon), Arc::clone(&keeper.now));
            let work = keep(Arc::downgrade(&self.0), soon, now, keeper.is_bounded());
            *task = Some(runtime.spawn(work).abort_handle());
        }
    }

    /// Starts the task if objects of earlier runs may become too old.
    pub(super) fn keep_bounds(&self) {
        if self.0.keeper.is_bounded() {
            self.start_keeping();
        }
    }
}

/// Tells the store of uses, and looks for what has become too old. It ends with the view.
async fn keep(view: Weak<Inner>, soon: Arc<Notify>, now: Arc<Notify>, is_bounded: bool) {
    let mut look = Instant::now() + LOOK;
    loop {
        let is_time_to_look = tokio::select! {
            () = soon.notified() => {
                tokio::select! {
                    () = sleep(GATHER) => {}
                    () = now.notified() => {}
                }
                false
            }
            () = sleep_until(look), if is_bounded => true,
        };
        let Some(inner) = view.upgrade() else { return };
        let view = View(inner);
        let done = if is_time_to_look { view.evict().await } else { view.tell_uses().await };
        if let Err(error) = done {
            tracing::warn!(%error, "the uses of cached objects could not be noted, or none evicted");
        }
        if is_time_to_look {
            look = Instant::now() + LOOK;
        }
    }
}

/// The time so long before.
fn earlier(now: Timestamp, age: Duration) -> Timestamp {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_ms(now.as_ms().saturating_sub(age_ms))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{EVICTIONS_APART, Owed, earlier};
    use crate::model::Timestamp;

    #[test]
    fn many_fills_share_an_eviction() {
        let mut owed = Owed::default();
        let begin = Instant::now();
        assert_eq!(owed.note(5, begin), Some(begin), "the first one need not wait");
        assert_eq!(owed.note(7, begin), None, "the other one evicts for it");
        assert_eq!(owed.begin(begin), 7);
        let soon = begin + EVICTIONS_APART / 4;
        assert_eq!(owed.note(3, soon), Some(begin + EVICTIONS_APART));
        assert_eq!(owed.note(2, soon), None);
        assert_eq!(owed.begin(begin + EVICTIONS_APART), 3, "those before count no more");
        let late = begin + 9 * EVICTIONS_APART;
        assert_eq!(owed.note(1, late), Some(late));
    }

    #[test]
    fn ages_go_back_to_1970_at_most() {
        let now = Timestamp::from_seconds(1000);
        assert_eq!(earlier(now, Duration::from_secs(10)), Timestamp::from_seconds(990));
        assert_eq!(earlier(now, Duration::MAX), Timestamp::from_seconds(0));
    }
}
