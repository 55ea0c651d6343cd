//! A copy-on-write view of production: what is here, over what production has.
//!
//! Reads look here first, then where the rules say; writes stay here. This room joins `store`,
//! `fallback` and `upstream`: it finds, lists, fills the cache and materialises. What must not be
//! here: HTTP answers (`protocol`, the faces), SQL (`store`), sockets (`upstream`).

mod flight;
mod listing;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

pub use flight::{FlightReader, Flying};
pub use listing::{Behind, Listing, Row, Sources};

use crate::clock::Clock;
use crate::fallback::{ClientKind, Decision, Fallback, ReadMethod, Redirect};
use crate::model::{BucketName, ConditionFailed, ObjectKey, VersionId, WriteConditions};
use crate::store::{self, Lookup, Object, Store};
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
    /// Who asks.
    pub client: ClientKind,
    /// The client's headers: range and conditions count.
    pub headers: &'a HeaderMap,
    /// Which stages asked us.
    pub hops: &'a Hops,
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
#[derive(Debug, thiserror::Error)]
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
    /// A condition of a write does not hold of the object upstream.
    #[error("a condition of the write does not hold")]
    Condition(ConditionFailed),
}

impl View {
    /// Puts a view together.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, fallback, upstream, config: _, clock: _ } = parts;
        Self(Arc::new(Inner { store, fallback, upstream }))
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
        self.0.store.find_object(bucket, key, version)
    }

    /// What becomes of a read of a key that [`View::find`] says is absent.
    pub async fn miss<'a>(&'a self, miss: Miss<'a>) -> Result<Reply<'a>, Error> {
        Ok(match self.0.fallback.decide(miss.bucket, miss.key, miss.method, miss.client) {
            Decision::Redirect(redirect) => Reply::Redirect(redirect),
            other => Reply::Absent(other),
        })
    }

    /// What production has under a key that is absent here, whatever the mode of its rule; `None`
    /// for nothing. Asks the imported index first, then upstream.
    pub async fn remote(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<Option<Remote>, Error> {
        let _ = (bucket, key, hops);
        unimplemented!("helper D")
    }

    /// Fetches a key that is absent here into the store, once however many ask; says whether it is
    /// here now. What is there already, and a tombstone, is left alone (`true`, `false`).
    pub async fn materialise(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<bool, Error> {
        let _ = (bucket, key, hops);
        unimplemented!("helper D")
    }

    /// Checks the conditions of a write against an object that only production has, and makes them
    /// "nothing is here" then, so that the store still decides atomically. Conditions of any other
    /// write are left as they are.
    pub async fn check_write(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        conditions: &mut WriteConditions,
        hops: &Hops,
    ) -> Result<(), Error> {
        let _ = (bucket, key, conditions, hops);
        unimplemented!("helper D")
    }

    /// Whether a delete of a key must leave a tombstone, and whether the key exists upstream where
    /// that can be known cheaply (index, probe, proxy, cache); for plain redirects it is assumed.
    pub async fn delete_sees(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<DeleteSees, Error> {
        let _ = (bucket, key, hops);
        unimplemented!("helper D")
    }

    /// Removes cached objects beyond the bounds; called after each fill and from time to time.
    pub async fn evict(&self) -> Result<(), Error> {
        unimplemented!("helper D")
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

/// An object of this bucket and key as the store would describe it, for faces that render objects.
pub fn as_object(bucket: &BucketName, remote: &Remote) -> Object {
    let _ = (bucket, remote);
    unimplemented!("helper D")
}
