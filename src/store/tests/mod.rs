//! The store on a real folder. Here: what the tests share.

mod cache;
mod concurrency;
mod content;
mod failures;
mod folder;
mod fsck;
mod health;
mod holds;
mod identity;
mod imports;
mod in_memory;
mod inventory;
mod migration;
mod objects;
mod plans;
mod scans;
mod sessions;
mod setting;
mod snapshot_damage;
mod snapshot_meanwhile;
mod snapshot_model;
mod snapshots;
mod tail;
mod tally;
mod transfer;
mod uploads;

use bytes::Bytes;

use super::*;
use crate::model::{ByteRange, ETag, ETagMatch, Metadata, Owner, Tags, Timestamp, WriteConditions};

/// A store in a folder of its own, with the bucket `bucket`.
pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) options: Options,
    pub(super) folder: tempfile::TempDir,
}

pub(super) fn bucket() -> BucketName {
    BucketName::parse("bucket").expect("a valid name")
}

pub(super) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a valid key")
}

pub(super) fn owner() -> Owner {
    Owner { id: "a".repeat(64), display_name: "tester".to_owned() }
}

/// Bytes that differ from place to place.
pub(super) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index.wrapping_mul(31) ^ (index >> 9)).to_le_bytes()[0]).collect()
}

impl Fixture {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other options than the usual ones for tests: nothing is synced, time stands still.
    pub(super) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options {
            durability: Durability::Ephemeral,
            reserve_bytes: 0,
            part_min_bytes: 10,
            clock: Clock::Fixed(Timestamp::from_seconds(1_700_000_000)),
            ..Options::new(folder.path())
        };
        change(&mut options);
        let store = Store::open(options.clone()).expect("a store");
        let new = NewBucket { name: bucket(), region: "us-east-1".to_owned(), owner: owner() };
        store.create_bucket(new).await.expect("a new bucket");
        Self { store, options, folder }
    }

    /// The same folder after the process ended in order.
    pub(super) async fn reopened(self) -> Self {
        self.store.close().await;
        let Self { options, folder, store } = self;
        drop(store);
        let store = Store::open(options.clone()).expect("the folder is free again");
        Self { store, options, folder }
    }

    pub(super) async fn stage(&self, bytes: &[u8]) -> Staged {
        let mut staging = self.store.stage(&[], None);
        for piece in bytes.chunks(100_000) {
            staging.write(Bytes::copy_from_slice(piece)).await.expect("room");
        }
        staging.finish().await.expect("room")
    }

    pub(super) async fn put(&self, name: &str, bytes: &[u8]) -> Object {
        self.put_if(name, bytes, WriteConditions::default()).await.expect("written")
    }

    pub(super) async fn put_if(
        &self,
        name: &str,
        bytes: &[u8],
        conditions: WriteConditions,
    ) -> Result<Object, Error> {
        let staged = self.stage(bytes).await;
        let put = PutObject {
            bucket: bucket(),
            key: key(name),
            staged,
            metadata: Metadata::default(),
            tags: Tags::default(),
            owner: owner(),
            checksum: None,
            conditions,
        };
        self.store.put_object(put).await
    }

    /// Keeps an object of an upstream with its own tag, time and metadata.
    pub(super) async fn cache(&self, name: &str, bytes: &[u8]) -> Option<Object> {
        let mut metadata = Metadata::default();
        metadata.set_system(crate::model::SystemHeader::ContentType, "text/upstream").expect("valid");
        let cache = CacheObject {
            bucket: bucket(),
            key: key(name),
            staged: self.stage(bytes).await,
            upstream: "https://upstream.example/".to_owned(),
            etag: ETag::parse("upstream-3").expect("a tag"),
            modified: Timestamp::from_seconds(1_500_000_000),
            metadata,
            restores: self.store.restores(),
        };
        self.store.cache_object(cache).await.expect("written")
    }

    /// Runs SQL on the writing connection.
    pub(super) async fn sql(&self, sql: &str) {
        self.store.0.writer.ask(|reply| Job::Sql(sql.to_owned(), reply)).await.expect("valid SQL");
    }

    pub(super) fn find(&self, name: &str) -> Lookup {
        self.store.find_object(&bucket(), &key(name), None).expect("the index answers")
    }

    /// The bytes of an object; `None` if there is none.
    pub(super) async fn get(&self, name: &str) -> Option<Vec<u8>> {
        match self.find(name) {
            Lookup::Here(object, content) => {
                Some(read(&content, ByteRange::whole(object.size_bytes)).await.expect("readable"))
            }
            Lookup::Absent | Lookup::Tombstone | Lookup::DeleteMarker { .. } | Lookup::NoBucket => None,
        }
    }

    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<Object, Error> {
        self.store.copy_object(copy_of(from, to)).await
    }

    pub(super) async fn delete(&self, name: &str, tombstone: bool) -> bool {
        let outcomes = self.store.delete_objects(&bucket(), vec![deletion(name, tombstone)]).await;
        outcomes.expect("committed")[0].as_ref().expect("no condition").existed
    }

    /// Everything under every key of the bucket: what is known of it, and its bytes.
    pub(super) async fn state(&self) -> Vec<(Object, Vec<u8>)> {
        let mut state = Vec::new();
        for object in self.store.scan_whole_objects(&bucket(), &scan_all()).expect("the index answers").0 {
            let bytes = self.get(object.key.as_str()).await.expect("it is listed");
            state.push((object, bytes));
        }
        state
    }

    pub(super) fn keys(&self, scan: &Scan) -> Vec<String> {
        let listed = self.store.scan_objects(&bucket(), scan).expect("the index answers");
        listed.into_iter().map(|listed| listed.key.as_str().to_owned()).collect()
    }

    /// The files below `blobs/` and `staging/`.
    pub(super) fn files(&self) -> usize {
        let count = |folder: &std::path::Path| std::fs::read_dir(folder).expect("a folder").count();
        let blobs = self.folder.path().join("blobs");
        let shelves = std::fs::read_dir(blobs).expect("a folder").filter_map(Result::ok);
        shelves.map(|shelf| count(&shelf.path())).sum::<usize>() + count(&self.folder.path().join("staging"))
    }

    /// Waits until there are so many files.
    pub(super) async fn files_become(&self, files: usize) {
        eventually(|| self.files() == files).await;
    }

    /// Waits until nothing is garbage any more and there are so many files.
    pub(super) async fn swept_to(&self, files: usize) {
        self.swept().await;
        self.files_become(files).await;
    }

    /// Waits until nothing is garbage any more and the files of what was are gone.
    pub(super) async fn swept(&self) {
        const LEFT: &str = "
            SELECT (SELECT count(*) FROM garbage) + (SELECT count(*) FROM gone_upload)
                   + (SELECT count(*) FROM gone_bucket)";
        let count = |connection: &rusqlite::Connection| {
            Ok(connection.query_row(LEFT, [], |row| row.get::<_, i64>(0))?)
        };
        eventually(|| self.store.0.shared.readers.read(count).expect("the index answers") == 0).await;
        // The sweep holds this from when the rows go until the files do.
        drop(self.store.0.shared.snapshots.lock().expect("no other thread panicked"));
    }
}

/// Waits for another thread, but not for ever.
async fn eventually(mut condition: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed().as_secs() < 60, "it does not come true");
        tokio::task::yield_now().await;
    }
}

pub(super) fn scan_all() -> Scan {
    Scan { start: Start::At(String::new()), prefix: String::new(), limit: usize::MAX, tombstones: false }
}

pub(super) fn source(name: &str) -> Source {
    Source {
        bucket: bucket(),
        key: key(name),
        version: None,
        conditions: crate::model::ReadConditions::default(),
        generation: None,
    }
}

pub(super) fn copy_of(from: &str, to: &str) -> CopyObject {
    CopyObject {
        source: source(from),
        bucket: bucket(),
        key: key(to),
        metadata: None,
        tags: None,
        checksum: None,
        owner: owner(),
        conditions: WriteConditions::default(),
    }
}

pub(super) fn deletion(name: &str, tombstone: bool) -> DeleteObject {
    DeleteObject { key: key(name), version: None, conditions: WriteConditions::default(), tombstone }
}

pub(super) fn if_none_match_any() -> WriteConditions {
    WriteConditions { if_none_match: Some(ETagMatch::Any), ..WriteConditions::default() }
}

pub(super) fn if_match(etag: &ETag) -> WriteConditions {
    WriteConditions { if_match: Some(ETagMatch::OneOf(vec![etag.clone()])), ..WriteConditions::default() }
}

pub(super) async fn read(content: &Content, range: ByteRange) -> Result<Vec<u8>, Error> {
    let mut reader = content.reader(range);
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next().await {
        bytes.extend_from_slice(&chunk?);
        assert_eq!(reader.remaining() + bytes.len() as u64, range.len());
    }
    Ok(bytes)
}
