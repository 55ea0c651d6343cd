//! A copy-on-write view of production: what is here, over what production has.
//!
//! Reads look here first, then where the rules say; writes stay here. This room joins `store`,
//! `fallback` and `upstream`: it finds, lists, fills the cache and materialises. What must not be
//! here: HTTP answers (`protocol`, the faces), SQL (`store`), sockets (`upstream`).

mod allowance;
mod fill;
mod flight;
mod flights;
mod keep;
mod listing;
mod miss;
mod offline;
mod reader;
mod remote;
#[cfg(test)]
mod tests;
mod turn;
mod uses;
mod write;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

pub use keep::Stats;
pub use listing::{Behind, Listing, Row, Sources};
pub use reader::{FlightReader, Flying};
pub use remote::{as_object, generation_of};
pub use turn::Turn;

use self::flights::Flights;
use self::keep::Keeper;
use crate::clock::Clock;
use crate::fallback::{Asker, Decision, Fallback, ReadMethod, Redirect};
use crate::model::{BucketName, ConditionFailed, ObjectKey, VersionId};
use crate::store::{self, Lookup, Object, Origin, Store};
use crate::upstream::{self, Answer, Hops, Remote};

/// How much is kept of what was fetched: `[cache]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Config {
    /// Bytes of cached objects; above, the least recently used go. Written objects never count.
    pub max_bytes: Option<u64>,
    /// Age after which a cached object goes.
    pub max_age: Option<Duration>,
}

/// The view. Clones share one.
#[derive(Debug, Clone)]
pub struct View(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    fallback: Arc<Fallback>,
    upstream: upstream::Client,
    clock: Clock,
    keeper: Keeper,
    // Dropped with the view: that ends the tasks of its flights.
    flights: Flights,
}

/// What a view is made of.
#[derive(Debug)]
pub struct Parts {
    /// What is here.
    pub store: Store,
    /// Where to look for what is not.
    pub fallback: Arc<Fallback>,
    /// Who asks there.
    pub upstream: upstream::Client,
    /// How much is kept.
    pub config: Config,
    /// For ages.
    pub clock: Clock,
}

/// A read of a key that is not here.
#[derive(Debug, Clone, Copy)]
pub struct Miss<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// GET or HEAD.
    pub method: ReadMethod,
    /// Who asks, and where the stage was found.
    pub asker: Asker<'a>,
    /// The client's headers: range and conditions count.
    pub headers: &'a HeaderMap,
    /// Which stages asked us.
    pub hops: &'a Hops,
    /// Whether who asks may write the key, and so may want to know whether it must.
    pub may_write: bool,
}

/// What becomes of a miss.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request and taken apart at once")]
pub enum Reply<'a> {
    /// There is no such key: by this decision, or because upstream says so.
    Absent(Decision<'a>),
    /// The client is sent there. A probe, if the rule wants one, has found the key.
    Redirect(Redirect<'a>),
    /// Upstream's answer passes through.
    Proxied(Answer),
    /// The key is being fetched into the store; the client reads along. Range and conditions are
    /// the caller's to apply, as with an object that is here.
    Flying(Flying),
    /// A HEAD, answered from the imported index without a call.
    Known(Remote),
}

/// Why the view could not answer.
///
/// It is `Clone` because a flight that failed is the answer to everybody who followed it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Upstream failed.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// What upstream sent is not what its head had promised.
    #[error("{upstream} sent {key} with {problem}: nothing of it was kept")]
    Corrupt {
        /// The upstream's name.
        upstream: String,
        /// Which key.
        key: ObjectKey,
        /// What does not fit.
        problem: String,
    },
    /// What upstream sends without its length is more than may be kept.
    #[error(
        "{upstream} sent {key} without its length and with more than {bytes} bytes, which is more than may be kept of it: raise max_size in [cache], or free as much of the disk again"
    )]
    TooLong {
        /// The upstream's name.
        upstream: String,
        /// Which key.
        key: ObjectKey,
        /// How much of it came.
        bytes: u64,
    },
    /// A condition of a write does not hold of the object upstream.
    #[error("a condition of the write does not hold")]
    Condition(ConditionFailed),
}

impl View {
    /// Puts a view together.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, fallback, upstream, config, clock } = parts;
        let (keeper, flights) = (Keeper::new(config), Flights::default());
        let view = Self(Arc::new(Inner { store, fallback, upstream, clock, keeper, flights }));
        view.keep_bounds();
        view
    }

    /// A view with the usual settings, for tests of the rooms above.
    #[cfg(test)]
    pub(crate) fn over(store: Store, fallback: Fallback) -> Self {
        let upstream = upstream::Client::new(upstream::Config::default(), Clock::System).expect("a client");
        let fallback = Arc::new(fallback);
        Self::new(Parts { store, fallback, upstream, config: Config::default(), clock: Clock::System })
    }

    /// What is here, and where writes go.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The rules.
    pub fn fallback(&self) -> &Fallback {
        &self.0.fallback
    }

    /// Who asks production.
    pub fn upstream(&self) -> &upstream::Client {
        &self.0.upstream
    }

    /// What is here under a key. A cached object that no rule shows any more counts as absent; of
    /// any other it is noted that it was used.
    pub fn find(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&VersionId>,
    ) -> Result<Lookup, store::Error> {
        Ok(match self.0.store.find_object(bucket, key, version)? {
            Lookup::Here(object, _) if self.is_out_of_sight(&object) => Lookup::Absent,
            found @ Lookup::Here(Object { origin: Origin::Cached, .. }, _) => {
                self.note_hit(bucket, key);
                found
            }
            found @ (Lookup::Here(..)
            | Lookup::DeleteMarker { .. }
            | Lookup::Tombstone
            | Lookup::Absent
            | Lookup::NoBucket) => found,
        })
    }

    /// Whether it was kept of what production has, and production is not looked at for it any more.
    fn is_out_of_sight(&self, object: &Object) -> bool {
        object.origin == Origin::Cached && self.0.fallback.source(&object.bucket, &object.key).is_none()
    }
}

/// What a delete finds upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteSees {
    /// Whether a rule could show the key, now or later: a tombstone is left.
    pub covered: bool,
    /// Whether upstream has it.
    pub exists: bool,
}
