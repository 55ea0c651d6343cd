//! Rows of a listing: local keys, tombstones and upstream keys, merged in order.

use super::{Error, View};
use crate::model::BucketName;
use crate::store::{Listed, Scan};
use crate::upstream::{Hops, Remote};

/// One row of a merged listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// An object here.
    Here(Listed),
    /// An object that only production has.
    Upstream(Box<Remote>),
    /// Keys of production that begin with this and of which at least one is seen here; it ends in
    /// the delimiter.
    Rolled(String),
}

impl Row {
    /// The key, or the prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Here(listed) => listed.key.as_str(),
            Self::Upstream(remote) => remote.key.as_str(),
            Self::Rolled(prefix) => prefix,
        }
    }
}

/// The rows of one page of one client.
#[derive(Debug)]
pub struct Listing<'a> {
    view: &'a View,
}

impl View {
    /// Whether listings of a bucket show anything but local rows; if not, they need not wait.
    pub fn merges(&self, bucket: &BucketName) -> bool {
        !self.fallback().listings(bucket).is_empty()
    }

    /// Begins to list. `delimiter` lets upstreams roll up; local rows never are.
    pub fn listing<'a>(
        &'a self,
        bucket: &'a BucketName,
        delimiter: Option<&'a str>,
        hops: &'a Hops,
    ) -> Listing<'a> {
        let _ = (bucket, delimiter, hops);
        Listing { view: self }
    }
}

impl Listing<'_> {
    /// The first `scan.limit` rows of a range, in the order of the bytes of their keys. Fewer mean
    /// that no more follow.
    pub async fn rows(&mut self, scan: &Scan) -> Result<Vec<Row>, Error> {
        let _ = (scan, self.view);
        unimplemented!("helper E")
    }
}
