//! The imported index: what production holds, as somebody wrote it down.
//!
//! A bucket has one or none. Its rows, its covers (prefixes below which it knows everything) and the
//! crawls that are not done hang on a number of their own and not on the bucket's, so that ten million
//! rows are dropped by one change: the number belongs to no bucket from then on, and the sweep removes
//! the rows a few at a time.

mod read;
mod write;

pub(super) use read::row;
pub(super) use write::{add, begin_import, cover, drop_part, drop_whole, import, keep, sweep};

use super::Store;
use super::error::Error;
use super::job::Job;
use super::scan::Scan;
use crate::model::{BucketName, ETag, ObjectKey, Timestamp};

/// How many rows one transaction adds, so that writes behind it do not wait long.
const ADDED_AT_ONCE: usize = 512;

/// About how many bytes of the index a row takes.
const ROW_BYTES: u64 = 200;

/// One key of production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryRow {
    /// Its key.
    pub key: ObjectKey,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written.
    pub modified: Option<Timestamp>,
    /// Its tag, where that is not its MD5.
    pub etag: Option<ETag>,
    /// The MD5 of its bytes.
    pub md5: Option<[u8; 16]>,
    /// The CRC-32C of its bytes.
    pub crc32c: Option<u32>,
}

/// What the imported index says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It exists.
    Here(InventoryRow),
    /// It lies below a covered prefix and is not there: it does not exist.
    Absent,
    /// The index does not cover it.
    Unknown,
}

/// A crawl of an upstream that is not done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crawl {
    /// Folders that are still to be looked at, at most 1,000 of them, in order.
    pub pending: Vec<String>,
    /// How many there are in all.
    pub pending_count: u64,
    /// How many were looked at.
    pub done_count: u64,
}

/// What a step of a crawl came to.
#[derive(Debug)]
pub(super) struct CrawlStep {
    pub(super) bucket: BucketName,
    pub(super) prefix: String,
    pub(super) rows: Vec<InventoryRow>,
    pub(super) done: Vec<String>,
    pub(super) found: Vec<String>,
}

/// An import under way that is to cover a prefix.
///
/// Each step leaves a mark that the next one must find. So it ends without a cover where its rows were
/// dropped meanwhile, taken back by a snapshot, or are another import's or a crawl's by now.
#[derive(Debug)]
pub struct Import {
    bucket: BucketName,
    prefix: String,
    /// The mark of the step before: a number of the store's sequence, so that none comes twice.
    mark: u64,
}

/// What a step of an import came to.
#[derive(Debug)]
pub(super) struct ImportStep {
    pub(super) bucket: BucketName,
    pub(super) prefix: String,
    /// The mark that the step before has left.
    pub(super) mark: u64,
    pub(super) rows: Vec<InventoryRow>,
    /// As of when the prefix is covered, if this is the last step.
    pub(super) taken: Option<Timestamp>,
}

/// What one step of dropping rows came to.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) rows: u64,
    pub(super) more: bool,
}

impl Store {
    /// Adds rows to a bucket's imported index, in the place of earlier ones of the same keys.
    ///
    /// They are added a few hundred at a time, so that other writes are not held up: if it fails, some
    /// may be there. In the order of their keys they take the least time.
    ///
    /// Rows of keys that are gone upstream stay until [`Store::drop_inventory`]: do that before a prefix
    /// is imported or crawled anew.
    pub async fn add_inventory(&self, bucket: &BucketName, rows: Vec<InventoryRow>) -> Result<(), Error> {
        let mut rows = rows.into_iter().peekable();
        loop {
            let batch: Vec<_> = rows.by_ref().take(ADDED_AT_ONCE).collect();
            self.check_inventory_room(batch.len())?;
            self.0.writer.ask(|reply| Job::AddInventory(bucket.clone(), batch, reply)).await?;
            if rows.peek().is_none() {
                return Ok(());
            }
        }
    }

    /// Says that a bucket's imported index knows all that is below `prefix` as of `taken`: what it
    /// does not have there does not exist.
    pub async fn cover_inventory(
        &self,
        bucket: &BucketName,
        prefix: String,
        taken: Timestamp,
    ) -> Result<(), Error> {
        self.check_inventory_room(1)?;
        self.0.writer.ask(|reply| Job::CoverInventory(bucket.clone(), prefix, taken, reply)).await
    }

    /// Begins an import that is to cover `prefix`: what was known below it is forgotten, as by
    /// [`Store::drop_inventory`]. An import or a crawl of it that is under way cannot go on.
    pub async fn begin_import(&self, bucket: &BucketName, prefix: String) -> Result<Import, Error> {
        self.check_inventory_room(1)?;
        loop {
            let (step, of) = (prefix.clone(), bucket.clone());
            let mark = self.0.writer.ask(|reply| Job::BeginImport(of, step, reply)).await?;
            if let Some(mark) = mark {
                return Ok(Import { bucket: bucket.clone(), prefix, mark });
            }
        }
    }

    /// Adds rows to an import, as [`Store::add_inventory`] would.
    pub async fn keep_import(&self, import: &mut Import, rows: Vec<InventoryRow>) -> Result<(), Error> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            self.step_import(import, rows.by_ref().take(ADDED_AT_ONCE).collect(), None).await?;
        }
        Ok(())
    }

    /// Ends an import: its prefix is covered as of `taken`.
    pub async fn end_import(&self, mut import: Import, taken: Timestamp) -> Result<(), Error> {
        self.step_import(&mut import, Vec::new(), Some(taken)).await
    }

    async fn step_import(
        &self,
        import: &mut Import,
        rows: Vec<InventoryRow>,
        taken: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.check_inventory_room(rows.len())?;
        let Import { bucket, prefix, mark } = &import;
        let (bucket, prefix, mark) = (bucket.clone(), prefix.clone(), *mark);
        let step = ImportStep { bucket, prefix, mark, rows, taken };
        let mark = self.0.writer.ask(|reply| Job::KeepImport(Box::new(step), reply)).await?;
        import.mark = mark.unwrap_or(import.mark);
        Ok(())
    }

    /// Forgets a bucket's imported index below `prefix`: rows, covers and crawls. Says how many rows.
    ///
    /// Covers and crawls of a wider prefix go too: with a hole in it, the index does not know any more
    /// what does not exist there. Their other rows stay.
    pub async fn drop_inventory(&self, bucket: &BucketName, prefix: String) -> Result<u64, Error> {
        let mut rows = 0;
        loop {
            let step = (bucket.clone(), prefix.clone());
            let dropped = self.0.writer.ask(|reply| Job::DropInventory(step.0, step.1, reply)).await?;
            rows += dropped.rows;
            if !dropped.more {
                return Ok(rows);
            }
        }
    }

    /// What a bucket's imported index says of a key.
    pub fn find_inventory(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Known, Error> {
        self.0.shared.readers.read(|connection| read::find(connection, bucket, key))
    }

    /// Rows of a bucket's imported index in the order of their keys' bytes (`tombstones` means
    /// nothing here). Costs what it returns.
    pub fn scan_inventory(&self, bucket: &BucketName, scan: &Scan) -> Result<Vec<InventoryRow>, Error> {
        self.0.shared.readers.read(|connection| read::scan(connection, bucket, scan))
    }

    /// Which prefixes of a bucket its imported index covers, and how many rows it has.
    pub fn inventory_covers(&self, bucket: &BucketName) -> Result<(Vec<(String, Timestamp)>, u64), Error> {
        self.0.shared.readers.read(|connection| read::covers(connection, bucket))
    }

    /// A crawl that was begun before, if it is not done.
    pub fn find_crawl(&self, bucket: &BucketName, prefix: &str) -> Result<Option<Crawl>, Error> {
        self.0.shared.readers.read(|connection| read::crawl(connection, bucket, prefix))
    }

    /// Keeps a step of a crawl in one transaction: rows that were found, folders that are done and
    /// folders that are to be looked at. Without any of these left, the prefix is covered and the
    /// crawl is forgotten.
    ///
    /// The first step begins the crawl, and the prefix is covered as of then. A folder that is both
    /// found and done in one step is done. A step that goes on from what is not kept any more is
    /// [refused](Error::Forgotten): without what was found before, the prefix must not be covered.
    pub async fn keep_crawl(
        &self,
        bucket: &BucketName,
        prefix: String,
        rows: Vec<InventoryRow>,
        done: Vec<String>,
        found: Vec<String>,
    ) -> Result<Crawl, Error> {
        self.check_inventory_room(rows.len() + found.len())?;
        let step = CrawlStep { bucket: bucket.clone(), prefix: prefix.clone(), rows, done, found };
        let kept = self.0.writer.ask(|reply| Job::KeepCrawl(Box::new(step), reply)).await?;
        // The folders are read here, where no other write waits for it.
        let pending = self.find_crawl(bucket, &prefix)?.map(|crawl| crawl.pending);
        Ok(Crawl { pending: pending.unwrap_or_default(), ..kept })
    }

    fn check_inventory_room(&self, rows: usize) -> Result<(), Error> {
        self.0.shared.folder.check_index_room((rows as u64).saturating_mul(ROW_BYTES))
    }
}
