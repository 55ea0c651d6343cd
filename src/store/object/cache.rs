//! Objects of an upstream that are kept here: put, used, evicted, and how much they are.
//!
//! A cached row is an object like any other but for its origin. Whatever a client writes to it
//! (bytes, metadata, tags) makes it written, and then it is never evicted.

use rusqlite::params;

use super::find;
use super::put::{default_checksum, give_up_content, insert_content, replace};
use super::{CacheObject, Object, Origin};
use crate::model::{BucketName, ObjectKey, Owner, Tags, Timestamp, VersionId};
use crate::store::change::{Change, find as first_row, i64_of};
use crate::store::error::Error;
use crate::store::job::Job;
use crate::store::tally::Counted;
use crate::store::{Store, row, statement};

/// How many rows one transaction evicts, so that writes behind it do not wait long.
pub(in crate::store) const EVICTED_AT_ONCE: usize = 256;

/// How many keys one transaction notes or undeletes.
const KEYS_AT_ONCE: usize = 500;

/// How much of what is here came from upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cached {
    /// Cached objects.
    pub objects: u64,
    /// Their bytes: the sizes of their rows, also where a copy has the same bytes and keeps them.
    pub bytes: u64,
}

/// Which cached objects go.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Eviction {
    /// Those that were fetched before this time.
    FetchedBefore(Timestamp),
    /// The least recently used until so many bytes are gone.
    LeastUsed {
        /// How many bytes are too many.
        excess_bytes: u64,
    },
}

impl Store {
    /// Keeps an object of an upstream; `None` if there is an object or a tombstone by now, or the store
    /// went back to a snapshot since the fetch began: that state had nothing there.
    pub async fn cache_object(&self, object: CacheObject) -> Result<Option<Object>, Error> {
        self.0.writer.ask(|reply| Job::CacheObject(Box::new(object), reply)).await
    }

    /// Notes that cached objects were read, for [`Store::evict`]. Losing it in a crash does no harm.
    pub async fn note_used(&self, used: Vec<(BucketName, ObjectKey)>) -> Result<(), Error> {
        self.0.shared.folder.check_index_room(0)?;
        for used in used.chunks(KEYS_AT_ONCE) {
            self.0.writer.ask(|reply| Job::NoteUsed(used.to_vec(), reply)).await?;
        }
        Ok(())
    }

    /// Removes cached objects: those fetched before `fetched_before`, then the least recently used
    /// until at most `max_bytes` are left. Says how many went.
    ///
    /// An evicted key is as if it had never been fetched. Bytes are counted as [`Cached`] says: those
    /// that a copy or a reader holds stay on disk until it lets them go.
    pub async fn evict(
        &self,
        fetched_before: Option<Timestamp>,
        max_bytes: Option<u64>,
    ) -> Result<Cached, Error> {
        // Two at once would both remove what is too much, and so twice as much.
        let _alone = self.0.evicting.lock().await;
        let mut gone = Cached::default();
        if let Some(before) = fetched_before {
            self.evict_all(Eviction::FetchedBefore(before), &mut gone).await?;
        }
        if let Some(max_bytes) = max_bytes {
            // The sum may take long, and this thread serves others.
            let store = self.clone();
            let sum = tokio::task::spawn_blocking(move || store.cached()).await;
            let excess_bytes = sum.unwrap_or(Err(Error::Closed))?.bytes.saturating_sub(max_bytes);
            self.evict_all(Eviction::LeastUsed { excess_bytes }, &mut gone).await?;
        }
        Ok(gone)
    }

    async fn evict_all(&self, mut eviction: Eviction, gone: &mut Cached) -> Result<(), Error> {
        loop {
            let batch = self.0.writer.ask(|reply| Job::Evict(eviction, reply)).await?;
            gone.objects += batch.objects;
            gone.bytes += batch.bytes;
            if let Eviction::LeastUsed { excess_bytes } = &mut eviction {
                *excess_bytes = excess_bytes.saturating_sub(batch.bytes);
            }
            if batch.objects == 0 {
                return Ok(());
            }
        }
    }

    /// How much is cached. Costs a look at each cached object's entry in an index.
    pub fn cached(&self) -> Result<Cached, Error> {
        self.0.shared.readers.read(|connection| {
            let sum = first_row(connection, statement::SUM_CACHED, [], |sum| {
                Ok(Cached { objects: row::number(sum, 0)?, bytes: row::number(sum, 1)? })
            })?;
            Ok(sum.unwrap_or_default())
        })
    }

    /// Removes tombstones; says of each key whether it had one.
    pub async fn undelete(&self, bucket: &BucketName, keys: Vec<ObjectKey>) -> Result<Vec<bool>, Error> {
        if keys.is_empty() {
            let found = self.find_bucket(bucket)?;
            return found.map(|_| Vec::new()).ok_or_else(|| Error::NoSuchBucket(bucket.clone()));
        }
        let mut had = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_AT_ONCE) {
            had.extend(self.0.writer.ask(|reply| Job::Undelete(bucket.clone(), keys.to_vec(), reply)).await?);
        }
        Ok(had)
    }
}

/// Writes an object of an upstream, unless its key has a row.
pub(in crate::store) fn cache(change: &mut Change, cache: CacheObject) -> Result<Option<Object>, Error> {
    let current = find::current(change.connection(), &cache.bucket, &cache.key)?;
    // Whatever came meanwhile is newer than the fetch, or another fetch of the same.
    if current.row.is_some() || change.restores() != cache.restores {
        return Ok(None);
    }
    let digests = cache.staged.digests();
    let object = Object {
        md5: Some(digests.md5),
        crc32c: Some(digests.crc32c()),
        bucket: cache.bucket,
        key: cache.key,
        version_id: VersionId::Null,
        generation: change.next_sequence(),
        metageneration: 1,
        modified: cache.modified,
        size_bytes: cache.staged.size_bytes(),
        etag: cache.etag,
        checksum: default_checksum(&cache.staged),
        metadata: cache.metadata,
        tags: Tags::default(),
        owner: Owner::anonymous(),
        parts: None,
        updated: None,
        origin: Origin::Cached,
        content_id: 0,
    };
    let content_id = insert_content(change, object.generation, cache.staged)?;
    let object = Object { content_id, ..object };
    replace(change, &current, &object, None)?;
    change.count_of(Counted::Fetched, cache.upstream, object.size_bytes);
    Ok(Some(object))
}

/// Notes that cached objects were read now.
pub(in crate::store) fn note_used(
    change: &mut Change,
    used: &[(BucketName, ObjectKey)],
) -> Result<(), Error> {
    let now = change.now().as_ms();
    for (bucket, key) in used {
        change.execute(statement::NOTE_USED, params![bucket.as_str(), key.as_str().as_bytes(), now])?;
    }
    Ok(())
}

/// A row that may be evicted.
struct Row {
    bucket_id: i64,
    key: Vec<u8>,
    sequence: i64,
    size_bytes: u64,
    content_id: i64,
}

/// Removes some cached objects and says how many. None: there are no more to remove.
pub(in crate::store) fn evict(change: &mut Change, eviction: Eviction) -> Result<Cached, Error> {
    let mut gone = Cached::default();
    let rows = match eviction {
        Eviction::LeastUsed { excess_bytes: 0 } => return Ok(gone),
        Eviction::LeastUsed { .. } => {
            rows(change, statement::LEAST_USED, params![i64_of(EVICTED_AT_ONCE as u64)])?
        }
        Eviction::FetchedBefore(before) => {
            let bounds = params![i64_of(EVICTED_AT_ONCE as u64), before.as_ms()];
            rows(change, statement::FETCHED_BEFORE, bounds)?
        }
    };
    if rows.is_empty() {
        return Ok(gone);
    }
    let sequence = change.next_sequence();
    for row in rows {
        if matches!(eviction, Eviction::LeastUsed { excess_bytes } if gone.bytes >= excess_bytes) {
            break;
        }
        change.execute(statement::DELETE_OBJECT, params![row.bucket_id, row.key, row.sequence])?;
        give_up_content(change, row.content_id, sequence)?;
        gone.objects += 1;
        gone.bytes += row.size_bytes;
    }
    Ok(gone)
}

fn rows(change: &Change, sql: &'static str, params: impl rusqlite::Params) -> Result<Vec<Row>, Error> {
    let mut statement = change.connection().prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(Row {
            bucket_id: row.get(0)?,
            key: row.get(1)?,
            sequence: row.get(2)?,
            size_bytes: row::number(row, 3)?,
            content_id: row.get(4)?,
        });
    }
    Ok(rows)
}

/// Removes tombstones; says of each key whether it had one.
pub(in crate::store) fn undelete(
    change: &mut Change,
    bucket: &BucketName,
    keys: &[ObjectKey],
) -> Result<Vec<bool>, Error> {
    let bucket_id = crate::store::bucket::id(change.connection(), bucket)?;
    let mut had = Vec::with_capacity(keys.len());
    for key in keys {
        let gone = change.execute(statement::UNDELETE, params![bucket_id, key.as_str().as_bytes()])? > 0;
        if gone {
            change.count(Counted::Undeleted, 0);
        }
        had.push(gone);
    }
    Ok(had)
}
