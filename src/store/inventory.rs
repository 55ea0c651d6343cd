//! The imported index: what production holds, as somebody wrote it down.

use crate::model::{ETag, ObjectKey, Timestamp};

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
