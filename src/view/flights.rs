//! Which keys are being fetched: one flight each, however many ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use super::fill::Fill;
use super::flight::{Flight, Landed};
use super::{Error, Inner, View};
use crate::fallback::Upstream;
use crate::model::{BucketName, ObjectKey};
use crate::store::{self, Content, Lookup, Object};
use crate::upstream::Hops;

/// Flights at a time; more wait, for as long as anybody waits for them. Each takes about 2 MiB for
/// what is digested and written, and one connection. They go at upstream's speed, not at their
/// readers', so that few are enough.
const FLIGHTS_MAX: usize = 16;

/// Names a flight.
type Name = (BucketName, ObjectKey);

/// The flights under way.
#[derive(Debug)]
pub(super) struct Flights {
    entries: Mutex<HashMap<Name, Entry>>,
    permits: Arc<Semaphore>,
}

#[derive(Debug)]
struct Entry {
    flight: Arc<Flight>,
    task: AbortHandle,
}

/// What somebody who wants a key in the store meets.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub(super) enum Joined {
    /// A flight, that of others or a new one.
    Flight(Arc<Flight>),
    /// The object: it has landed, or was written, a moment ago.
    Here(Object, Content),
    /// A tombstone, or no bucket.
    Gone,
}

impl Default for Flights {
    fn default() -> Self {
        Self { entries: Mutex::default(), permits: Arc::new(Semaphore::new(FLIGHTS_MAX)) }
    }
}

impl Flights {
    /// The flight of a key, if there is one.
    pub(super) fn of(&self, bucket: &BucketName, key: &ObjectKey) -> Option<Arc<Flight>> {
        let name = (bucket.clone(), key.clone());
        self.lock().get(&name).map(|entry| Arc::clone(&entry.flight))
    }

    /// How many there are, with those that wait for their turn.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether another one would start at once.
    pub(super) fn has_turns(&self) -> bool {
        self.permits.available_permits() > 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flights {
    /// Nobody could ask for what they bring.
    fn drop(&mut self) {
        for entry in self.lock().values() {
            entry.task.abort();
        }
    }
}

impl View {
    /// Joins the flight of a key, or starts it if the key is not here by now.
    pub(super) fn join(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upstream: &Arc<Upstream>,
        hops: &Hops,
    ) -> Result<Joined, Error> {
        let name = (bucket.clone(), key.clone());
        let mut entries = self.0.flights.lock();
        if let Some(entry) = entries.get(&name) {
            return Ok(Joined::Flight(Arc::clone(&entry.flight)));
        }
        // A flight that ended since the caller looked has committed before it left the map.
        match self.find(bucket, key, None)? {
            Lookup::Here(object, content) => return Ok(Joined::Here(object, content)),
            Lookup::DeleteMarker { .. } | Lookup::Tombstone | Lookup::NoBucket => return Ok(Joined::Gone),
            Lookup::Absent => {}
        }
        let flight = Flight::new();
        let fill = Fill {
            store: self.0.store.clone(),
            client: self.0.upstream.clone(),
            bucket: bucket.clone(),
            key: key.clone(),
            upstream: Arc::clone(upstream),
            hops: hops.clone(),
            allowance: self.0.keeper.allowance.clone(),
        };
        let tower = Tower {
            flight: Arc::clone(&flight),
            name: name.clone(),
            view: Arc::downgrade(&self.0),
            permits: Arc::clone(&self.0.flights.permits),
        };
        let task = tokio::spawn(tower.guide(fill)).abort_handle();
        entries.insert(name, Entry { flight: Arc::clone(&flight), task });
        Ok(Joined::Flight(flight))
    }
}

/// Sees to it that a flight ends, whatever becomes of its task. It does not keep the view alive.
struct Tower {
    flight: Arc<Flight>,
    name: Name,
    view: Weak<Inner>,
    permits: Arc<Semaphore>,
}

impl Tower {
    async fn guide(self, fill: Fill) {
        let at_once = self.permits.try_acquire().ok();
        let has_waited = at_once.is_none();
        let permit = match at_once {
            Some(permit) => permit,
            None => match self.permits.acquire().await {
                Ok(permit) => permit,
                Err(_) => return,
            },
        };
        if has_waited && self.is_forsaken() {
            return;
        }
        self.flight.start();
        let outcome = fill.run(&self.flight).await;
        drop(permit);
        self.leave();
        if let Some(view) = self.view.upgrade() {
            view.count(&outcome);
        }
        log(&fill, &outcome);
        drop(fill);
        let filled = outcome.as_ref().ok().and_then(Option::as_ref).and_then(|landed| landed.kept.clone());
        self.flight.end(outcome);
        let Some((object, view)) = filled.zip(self.view.upgrade()) else { return };
        let Some(due) = View(view).owe_eviction(object.size_bytes) else { return };
        tokio::time::sleep_until(due).await;
        let Some(view) = self.view.upgrade() else { return };
        if let Err(error) = View(view).evict_owed().await {
            tracing::warn!(%error, "cached objects could not be evicted");
        }
    }

    /// Whether nobody holds the flight any more, which is out of the map then, so that nobody joins it.
    fn is_forsaken(&self) -> bool {
        let Some(view) = self.view.upgrade() else { return true };
        let mut entries = view.flights.lock();
        // The map's and ours. Who holds none is given one under the lock only.
        let is_forsaken = Arc::strong_count(&self.flight) <= 2;
        if is_forsaken {
            entries.remove(&self.name);
        }
        is_forsaken
    }

    /// Takes the flight out of the map: who asks from now on looks into the store, or starts anew.
    fn leave(&self) {
        let Some(view) = self.view.upgrade() else { return };
        let mut entries = view.flights.lock();
        if entries.get(&self.name).is_some_and(|entry| Arc::ptr_eq(&entry.flight, &self.flight)) {
            entries.remove(&self.name);
        }
    }
}

impl Drop for Tower {
    /// After a panic, when the view or the runtime ended, or when nobody waits for it.
    fn drop(&mut self) {
        if self.flight.is_over() {
            return;
        }
        self.leave();
        self.flight.end(Err(store::Error::Closed.into()));
    }
}

fn log(fill: &Fill, outcome: &Result<Option<Landed>, Error>) {
    let (bucket, key) = (fill.bucket.as_str(), fill.key.as_str());
    match outcome {
        Ok(Some(Landed { kept: Some(object), .. })) => {
            tracing::info!(bucket, key, size_bytes = object.size_bytes, "kept an object of an upstream");
        }
        Ok(Some(Landed { kept: None, is_certain: false, .. })) => {
            tracing::info!(
                bucket,
                key,
                "an object of an upstream came that may have been cut short, and is not kept: it has no length, no chunks and no digest"
            );
        }
        Ok(Some(Landed { kept: None, is_certain: true, .. })) => {
            tracing::info!(
                bucket,
                key,
                "an object of an upstream came, but what is here was changed meanwhile"
            );
        }
        Ok(None) => tracing::debug!(bucket, key, "there is no such key upstream"),
        Err(error) => tracing::warn!(bucket, key, %error, "an object of an upstream could not be fetched"),
    }
}
