//! Writes and deletes of keys that only production has.

use super::remote::as_object;
use super::{DeleteSees, Error, View};
use crate::fallback::{ClientKind, Decision, ReadMethod};
use crate::model::{BucketName, ObjectKey, WriteConditions};
use crate::store::{self, DeleteObject, Deleted, Known, Lookup};
use crate::upstream::{self, Hops};

impl View {
    /// Checks the conditions of a write against an object that only production has, and makes them
    /// "nothing is here" then, so that the store still decides atomically. Conditions of any other
    /// write are left as they are.
    ///
    /// A cached object that no rule shows any more is removed, so that the store does not compare
    /// with it either. Writes without conditions cost nothing here.
    pub async fn check_write(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        conditions: &mut WriteConditions,
        hops: &Hops,
    ) -> Result<(), Error> {
        if *conditions == WriteConditions::default() {
            return Ok(());
        }
        if !self.is_blank(bucket, key).await? {
            return Ok(());
        }
        let Some(remote) = self.remote_for_writer(bucket, key, hops).await? else { return Ok(()) };
        conditions.check(Some(&as_object(bucket, &remote).state())).map_err(Error::Condition)?;
        if let Some(flight) = self.0.flights.of(bucket, key) {
            // It is about to be kept, and the store can compare with what it keeps. Whether it comes
            // is not what matters.
            drop(flight.landed().await);
            if !self.is_blank(bucket, key).await? {
                return Ok(());
            }
        }
        // GCS: generation 0 means that there must be no object.
        *conditions = WriteConditions { if_generation_match: Some(0), ..WriteConditions::default() };
        Ok(())
    }

    /// Whether nothing is known of a key here, so that production has to be asked.
    async fn is_blank(&self, bucket: &BucketName, key: &ObjectKey) -> Result<bool, Error> {
        match self.0.store.find_object(bucket, key, None)? {
            Lookup::Absent => Ok(true),
            Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => Ok(false),
            Lookup::Here(object, _) => {
                if self.is_out_of_sight(&object) {
                    // Only this very object: another one may take its place at any time.
                    let conditions = WriteConditions {
                        if_generation_match: Some(object.generation),
                        ..WriteConditions::default()
                    };
                    let delete =
                        DeleteObject { key: key.clone(), version: None, conditions, tombstone: false };
                    let deleted = self.0.store.delete_objects(bucket, vec![delete]).await?;
                    for outcome in deleted {
                        ignore_condition(outcome)?;
                    }
                }
                Ok(false)
            }
        }
    }

    /// Whether a delete of a key must leave a tombstone, and whether the key exists upstream where
    /// that can be known cheaply (index, probe, proxy, cache); for plain redirects it is assumed.
    ///
    /// Upstream in trouble does not keep anybody from deleting: then too, it is assumed.
    pub async fn delete_sees(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        hops: &Hops,
    ) -> Result<DeleteSees, Error> {
        let covered = self.0.fallback.covers(bucket, key);
        let Some(source) = self.0.fallback.source(bucket, key) else {
            return Ok(DeleteSees { covered, exists: false });
        };
        let exists = match self.0.store.find_inventory(bucket, key)? {
            Known::Here(_) => true,
            Known::Absent => false,
            Known::Unknown if self.is_plain_redirect(bucket, key) => true,
            Known::Unknown => match self.0.upstream.head(source.upstream, key, hops).await {
                Ok(found) => found.is_some(),
                Err(upstream::Error::NotMappable(_)) => false,
                Err(error @ upstream::Error::Loop { .. }) => return Err(error.into()),
                Err(
                    error @ (upstream::Error::TimedOut { .. }
                    | upstream::Error::Busy { .. }
                    | upstream::Error::Bad { .. }
                    | upstream::Error::Down { .. }),
                ) => {
                    tracing::debug!(%bucket, key = key.as_str(), %error, "a delete assumes that upstream has the key");
                    true
                }
            },
        };
        Ok(DeleteSees { covered, exists })
    }

    fn is_plain_redirect(&self, bucket: &BucketName, key: &ObjectKey) -> bool {
        match self.0.fallback.decide(bucket, key, ReadMethod::Get, ClientKind::Sdk) {
            Decision::Redirect(redirect) => redirect.probe.is_none(),
            Decision::NoRule
            | Decision::UnderTest { .. }
            | Decision::Deny { .. }
            | Decision::NotMappable { .. }
            | Decision::NotPrevious { .. }
            | Decision::Fetch(_) => false,
        }
    }
}

/// That the object is another one by now is not an error here.
fn ignore_condition(outcome: Result<Deleted, store::Error>) -> Result<(), store::Error> {
    match outcome {
        Ok(_) | Err(store::Error::Condition(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
