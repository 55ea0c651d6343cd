//! Snapshots: copies of the index in `DATA/snapshots`, over the blobs that the present has too.
//!
//! A blob is never copied and never changed, so its file may be named by the index, by any number of
//! snapshots, or by both. The present forgets what it does not need as if there were no snapshots; only
//! where a file would be removed, the snapshots are asked whether one of them names it.
//!
//! Whoever removes files or changes which snapshots there are holds the lock of [`Snapshots`]: so
//! nobody removes a file that somebody else is about to name.

mod catalogue;
mod create;
mod delete;
mod diff;
mod merge;
mod prepare;
mod restore;
mod step;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) use catalogue::{
    FILE_ENDING, Kept, Snapshots, journal, open_reading, remove_file, snapshot_names,
};
pub(super) use create::{COUNT_AGAIN, Copies};
pub use diff::{Difference, DifferencePage, Is};
pub(super) use prepare::Prepared;
pub(super) use restore::restore;
#[cfg(test)]
pub(super) use restore::tables;
pub(super) use step::{Step, step};

use super::Store;
use super::error::Error;
use super::open::Inner;
use crate::model::{BucketName, ObjectKey, SnapshotName, Timestamp};

/// A state that the store can go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// When it was taken.
    pub created: Timestamp,
    /// How many objects it has, cached ones among them.
    pub objects: u64,
    /// Their sizes. How much of it the snapshot alone keeps on disk is another matter.
    pub bytes: u64,
    /// How large its copy of the index is.
    pub index_bytes: u64,
    /// Where the counter was.
    pub(super) sequence: u64,
}

impl Store {
    /// Takes a snapshot: everything that was answered before this is called, and nothing that begins
    /// after it has answered. Writes go on meanwhile. Costs a copy of the index, and no blob.
    pub async fn create_snapshot(&self, name: SnapshotName) -> Result<Snapshot, Error> {
        self.blocking(move |inner| create::create(inner, name)).await
    }

    /// All snapshots, the earliest first.
    pub async fn list_snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        self.blocking(|inner| Ok(inner.shared.snapshots.lock()?.list())).await
    }

    /// Goes back to a snapshot, at once for everybody: a request sees all of the old state or all of the
    /// new one. What is being read meanwhile is read to its end. The snapshot stays.
    ///
    /// Costs what is different, and a look at each object. Writes go on meanwhile; at the end they wait
    /// until the objects that differ are replaced.
    pub async fn restore_snapshot(&self, name: SnapshotName) -> Result<Snapshot, Error> {
        self.blocking(move |inner| restore::run(inner, &name, || ())).await
    }

    /// The same for tests of what happens in the middle of it.
    #[cfg(test)]
    pub(super) async fn restore_snapshot_while(
        &self,
        name: SnapshotName,
        meanwhile: impl FnOnce() + Send + 'static,
    ) -> Result<Snapshot, Error> {
        self.blocking(move |inner| restore::run(inner, &name, meanwhile)).await
    }

    /// How often this process went back to a snapshot.
    pub fn restores(&self) -> u64 {
        self.0.shared.restores.load(Ordering::Acquire)
    }

    /// Forgets a snapshot, and removes the files that only it named.
    pub async fn delete_snapshot(&self, name: SnapshotName) -> Result<(), Error> {
        self.blocking(move |inner| delete::delete(inner, &name)).await
    }

    /// Which keys are not the same in two states (`None` is the present), in the order of buckets and
    /// keys, from behind `after`: about `limit` of them. A page may be empty and not be the last.
    ///
    /// What is cached counts as not there: that somebody has read it is no change.
    pub async fn diff_snapshots(
        &self,
        from: SnapshotName,
        to: Option<SnapshotName>,
        after: Option<(BucketName, ObjectKey)>,
        limit: usize,
    ) -> Result<DifferencePage, Error> {
        self.blocking(move |inner| diff::page(inner, &from, to.as_ref(), after.as_ref(), limit)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        // The runtime drops blocking work only while it shuts down.
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or(Err(Error::Closed))
    }
}
