//! A read of a key that is not here: redirected, passed through, or fetched and kept.

use std::time::Duration;

use http::HeaderMap;
use http::header::RANGE;

use super::flight::Flight;
use super::flights::Joined;
use super::reader::Flying;
use super::remote::of_index;
use super::{Error, Miss, Reply, View};
use crate::fallback::{Decision, Fetch, ReadMethod, Redirect};
use crate::model::{BucketName, ObjectKey, RangeSpec};
use crate::store::{self, Known, Lookup};
use crate::upstream::{Hops, Read, Remote};

/// How long a read waits for a flight whose turn has not come. Then it is passed through, since many
/// large flights may go before.
#[cfg(not(test))]
const TURN_WAIT: Duration = Duration::from_secs(3);
#[cfg(test)]
const TURN_WAIT: Duration = Duration::from_millis(20);

impl View {
    /// What becomes of a read of a key that [`View::find`] says is absent.
    ///
    /// The imported index comes before any call: what it says is missing is absent, in every mode,
    /// and a HEAD of what it has is answered from it.
    pub async fn miss<'a>(&'a self, miss: Miss<'a>) -> Result<Reply<'a>, Error> {
        let decision = self.0.fallback.decide(miss.bucket, miss.key, miss.method, miss.asker);
        if !is_elsewhere(&decision) {
            return Ok(Reply::Absent(decision));
        }
        let is_known = match (self.0.store.find_inventory(miss.bucket, miss.key)?, miss.method) {
            (Known::Absent, _) => return Ok(Reply::Absent(decision)),
            (Known::Here(row), ReadMethod::Head) => return Ok(Reply::Known(of_index(row))),
            (Known::Here(_), ReadMethod::Get) => true,
            (Known::Unknown, _) => false,
        };
        match decision {
            Decision::Redirect(redirect) => self.redirect(miss, redirect, is_known).await,
            Decision::Fetch(fetch) if fetch.keep && miss.method == ReadMethod::Get => {
                match range(miss.headers) {
                    None => self.fly(miss, fetch).await,
                    Some(wanted) => self.fly_by(miss, fetch, wanted).await,
                }
            }
            Decision::Fetch(fetch) => self.pass_through(miss, fetch).await,
            decision @ (Decision::NoRule
            | Decision::UnderTest { .. }
            | Decision::Deny { .. }
            | Decision::NotMappable { .. }
            | Decision::NotPrevious { .. }) => Ok(Reply::Absent(decision)),
        }
    }

    async fn redirect<'a>(
        &self,
        miss: Miss<'a>,
        redirect: Redirect<'a>,
        is_known: bool,
    ) -> Result<Reply<'a>, Error> {
        let writer = miss.may_write && miss.method == ReadMethod::Head;
        if let Some(upstream) = redirect.probe.filter(|_| !is_known)
            && if writer {
                self.head_for_writer((upstream, redirect.offline), miss.key, miss.hops).await?
            } else {
                self.0.upstream.head(upstream, miss.key, miss.hops).await?
            }
            .is_none()
        {
            return Ok(Reply::Absent(Decision::Redirect(redirect)));
        }
        Ok(Reply::Redirect(redirect))
    }

    async fn pass_through<'a>(&self, miss: Miss<'a>, fetch: Fetch<'a>) -> Result<Reply<'a>, Error> {
        let Miss { key, method, headers, hops, .. } = miss;
        let read = Read { upstream: fetch.upstream, key, method, headers, hops };
        let answer = if miss.may_write && method == ReadMethod::Head {
            self.read_for_writer(read, fetch.offline).await?
        } else {
            self.0.upstream.read(read).await?
        };
        Ok(answer.map_or(Reply::Absent(Decision::Fetch(fetch)), Reply::Proxied))
    }

    /// Joins the flight of the key. Conditions are for the caller to apply.
    async fn fly<'a>(&self, miss: Miss<'a>, fetch: Fetch<'a>) -> Result<Reply<'a>, Error> {
        self.0.upstream.check_hops(fetch.upstream, miss.hops)?;
        if self.0.keeper.allowance.is_too_long(miss.bucket, miss.key) {
            return self.pass_through(miss, fetch).await;
        }
        let flying = match self.join(miss.bucket, miss.key, fetch.upstream, miss.hops)? {
            Joined::Flight(flight) => {
                let described = tokio::select! {
                    biased;
                    described = flight.described() => described,
                    () = flight.overdue(TURN_WAIT) => {
                        // Whoever else waits for it may still have it fetched.
                        drop(flight);
                        return self.pass_through(miss, fetch).await;
                    }
                };
                if let Err(Error::Store(store::Error::Full { .. }) | Error::TooLong { .. }) = described {
                    // Where nothing more can be kept, production can still be read.
                    return self.pass_through(miss, fetch).await;
                }
                described?.map(|description| Flying::along(flight, miss.bucket, description))
            }
            Joined::Here(object, content) => Some(Flying::landed(object, content)),
            Joined::Gone => None,
        };
        Ok(flying.map_or(Reply::Absent(Decision::Fetch(fetch)), Reply::Flying))
    }

    /// Answers a range at once, and has the whole fetched for the next one who asks, unless others
    /// wait for their turn already.
    async fn fly_by<'a>(
        &self,
        miss: Miss<'a>,
        fetch: Fetch<'a>,
        wanted: RangeSpec,
    ) -> Result<Reply<'a>, Error> {
        self.0.upstream.check_hops(fetch.upstream, miss.hops)?;
        let flight = self.0.flights.of(miss.bucket, miss.key);
        let covering = |flight: std::sync::Arc<Flight>| {
            let description = flight.covers(wanted)?;
            Some(Flying::along(flight, miss.bucket, description))
        };
        if let Some(flying) = flight.and_then(covering) {
            return Ok(Reply::Flying(flying));
        }
        let upstream = fetch.upstream;
        let reply = self.pass_through(miss, fetch).await?;
        if let Reply::Proxied(answer) = &reply
            && answer.status.is_success()
            && self.0.has_room_for(answer.remote.size_bytes)
            && !self.0.keeper.allowance.is_too_long(miss.bucket, miss.key)
            && self.0.flights.has_turns()
        {
            // Nobody waits for it here; it ends by itself, and says in the log how.
            drop(self.join(miss.bucket, miss.key, upstream, miss.hops)?);
        }
        Ok(reply)
    }

    /// What production has under a key that is absent here, whatever the mode of its rule; `None`
    /// for nothing. Asks the imported index first, then upstream.
    ///
    /// What the index says has neither headers nor user metadata.
    pub async fn remote(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<Option<Remote>, Error> {
        let Some(fetch) = self.0.fallback.source(bucket, key) else { return Ok(None) };
        match self.0.store.find_inventory(bucket, key)? {
            Known::Absent => Ok(None),
            Known::Here(row) => Ok(Some(of_index(row))),
            Known::Unknown => Ok(self.0.upstream.head(fetch.upstream, key, hops).await?),
        }
    }

    /// The same for somebody who may write the key: in a short time, and as the rule's `offline` says
    /// while upstream does not answer.
    pub async fn remote_for_writer(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<Option<Remote>, Error> {
        let Some(fetch) = self.0.fallback.source(bucket, key) else { return Ok(None) };
        match self.0.store.find_inventory(bucket, key)? {
            Known::Absent => Ok(None),
            Known::Here(row) => Ok(Some(of_index(row))),
            Known::Unknown => self.head_for_writer((fetch.upstream, fetch.offline), key, hops).await,
        }
    }

    /// Fetches a key that is absent here into the store, once however many ask; says whether it is
    /// here now. What is there already, and a tombstone, is left alone (`true`, `false`).
    pub async fn materialise(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<bool, Error> {
        if let Some(is_here) = self.is_here(bucket, key)? {
            return Ok(is_here);
        }
        let Some(fetch) = self.0.fallback.source(bucket, key) else { return Ok(false) };
        if self.0.store.find_inventory(bucket, key)? == Known::Absent {
            return Ok(false);
        }
        self.0.upstream.check_hops(fetch.upstream, hops)?;
        loop {
            let is_certain = match self.join(bucket, key, fetch.upstream, hops)? {
                Joined::Here(..) => return Ok(true),
                Joined::Gone => return Ok(false),
                Joined::Flight(flight) => match flight.landed().await? {
                    None => return Ok(false),
                    Some(landed) if landed.kept.is_some() => return Ok(true),
                    Some(landed) => landed.is_certain,
                },
            };
            // Something was written or deleted here meanwhile: that counts. If there is nothing again, as
            // after going back to a snapshot, another flight is needed.
            match self.is_here(bucket, key)? {
                Some(is_here) => return Ok(is_here),
                None if is_certain => {}
                None => {
                    return Err(Error::Corrupt {
                        upstream: fetch.upstream.name(),
                        key: key.clone(),
                        problem: "no length, no chunks and no digest, so that it may have been cut short"
                            .to_owned(),
                    });
                }
            }
        }
    }

    /// Whether an object is here, or certainly none; `None` where production has to be asked.
    fn is_here(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Option<bool>, Error> {
        Ok(match self.find(bucket, key, None)? {
            Lookup::Here(..) => Some(true),
            Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => Some(false),
            Lookup::Absent => None,
        })
    }
}

/// Whether a decision is worth a look into the index.
fn is_elsewhere(decision: &Decision<'_>) -> bool {
    matches!(decision, Decision::Redirect(_) | Decision::Fetch(_))
}

/// The range that a client asks for. What S3 ignores counts as none.
fn range(headers: &HeaderMap) -> Option<RangeSpec> {
    RangeSpec::parse(headers.get(RANGE)?.to_str().ok()?)
}
