//! Rows of a listing: local keys, tombstones, the imported index and upstream keys, merged in the
//! order of the bytes of their keys.
//!
//! `merge` is the logic, over whatever [`Sources`] stand behind it; `ahead` reads the pages of one
//! upstream; here is what really stands behind a bucket. Deliberately elsewhere: pages of a client,
//! roll-up and tokens (`protocol::listing`), which keys are seen (`fallback`).

mod ahead;
mod buffer;
mod merge;
mod text;

use std::sync::Arc;

use tokio::task::JoinHandle;

pub use merge::Listing;

use super::{Error, Turn, View};
use crate::fallback::{self, Below};
use crate::model::BucketName;
use crate::store::{self, InventoryRow, Listed, ListedKind, Origin, Scan, Start};
use crate::upstream::{self, Hops, ListAsk, ListPage, Remote};

/// One row of a merged listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// An object here.
    Here(Listed),
    /// An object that only production has.
    Upstream(Box<Remote>),
    /// Keys that begin with this, of which at least one is seen here; it ends in the delimiter.
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

/// What a listing is merged of. Upstreams are counted from 0.
pub trait Sources: Sync {
    /// Local rows, with tombstones and delete markers.
    fn here(&self, scan: &Scan) -> Result<Vec<Listed>, store::Error>;

    /// Rows of the imported index.
    fn index(&self, scan: &Scan) -> Result<Vec<InventoryRow>, store::Error>;

    /// Prefixes below which only the imported index speaks: what it lacks does not exist.
    fn covers(&self) -> &[String];

    /// Which upstreams are asked.
    fn live(&self) -> Vec<usize>;

    /// Begins to fetch a page of an upstream.
    fn begin(&self, upstream: usize, ask: ListAsk) -> JoinHandle<Result<Arc<ListPage>, upstream::Error>>;

    /// The name of an upstream, for errors.
    fn name(&self, upstream: usize) -> String;

    /// Whether a key is seen through an upstream; through any, if none is named.
    fn lists(&self, key: &str, upstream: Option<usize>) -> bool;

    /// The same for all keys that begin with `prefix`.
    fn below(&self, prefix: &str, upstream: usize) -> Below;
}

/// What stands behind a bucket.
#[derive(Debug)]
pub struct Behind<'a> {
    view: &'a View,
    bucket: &'a BucketName,
    hops: &'a Hops,
    listings: Vec<fallback::Listing<'a>>,
    covers: Vec<String>,
    /// Whether there is an imported index.
    indexed: bool,
    /// Whether upstreams may be asked.
    asks: bool,
}

impl View {
    /// Whether listings of a bucket show anything but what was written here; if not, they need not
    /// wait.
    pub fn merges(&self, bucket: &BucketName) -> bool {
        !self.fallback().listings(bucket).is_empty()
    }

    /// Begins to list. `delimiter` lets upstreams roll up; local rows never are. `keys_max` is how
    /// many entries the client wants, so that upstream is asked for about as many.
    pub fn listing<'a>(
        &'a self,
        bucket: &'a BucketName,
        delimiter: Option<&str>,
        keys_max: usize,
        hops: &'a Hops,
    ) -> Result<Listing<Behind<'a>>, Error> {
        Ok(Listing::new(self.behind(bucket, hops)?, delimiter, keys_max))
    }

    /// What stands behind a bucket.
    fn behind<'a>(&'a self, bucket: &'a BucketName, hops: &'a Hops) -> Result<Behind<'a>, Error> {
        let (covers, rows) = self.store().inventory_covers(bucket)?;
        Ok(Behind {
            view: self,
            bucket,
            hops,
            listings: self.fallback().listings(bucket),
            covers: covers.into_iter().map(|(prefix, _)| prefix).collect(),
            indexed: rows > 0,
            asks: true,
        })
    }

    /// Whether a listing of a bucket shows anything below a prefix, as far as that is known without
    /// a request, or with as few as it takes.
    pub async fn has_below(
        &self,
        bucket: &BucketName,
        prefix: &str,
        hops: &Hops,
        asking: bool,
    ) -> Result<bool, Error> {
        let behind = self.behind(bucket, hops)?;
        let sources = Behind { asks: asking, ..behind };
        let first = Scan {
            start: Start::At(prefix.to_owned()),
            prefix: prefix.to_owned(),
            limit: 1,
            tombstones: true,
        };
        Ok(!Listing::new(sources, None, 1).rows(&first).await?.is_empty())
    }

    /// The first `scan.limit` rows of a bucket that does not merge, without what is only cached.
    /// Fewer mean that no more follow.
    pub async fn scan_written(
        &self,
        bucket: &BucketName,
        scan: &Scan,
        turn: &mut Turn,
    ) -> Result<Vec<Listed>, store::Error> {
        // What was deleted counts as read, so that a scan is bounded whatever it finds.
        let scan = Scan { tombstones: true, ..scan.clone() };
        let shown = |listed: &Listed| (listed.kind, listed.origin) == (ListedKind::Object, Origin::Written);
        written(
            &scan,
            turn,
            |listed: &Listed| (listed.key.as_str(), shown(listed)),
            |scan| Ok((self.store().scan_objects(bucket, scan)?, None)),
        )
        .await
    }

    /// The same, each with all that is known of it.
    pub async fn scan_written_whole(
        &self,
        bucket: &BucketName,
        scan: &Scan,
        turn: &mut Turn,
    ) -> Result<Vec<store::Object>, store::Error> {
        let shown = |object: &store::Object| object.origin == Origin::Written;
        written(
            scan,
            turn,
            |object: &store::Object| (object.key.as_str(), shown(object)),
            |scan| self.store().scan_whole_objects(bucket, scan),
        )
        .await
    }
}

/// The most rows of a scan that goes on where much is cached or deleted.
const FURTHER_ROWS_MAX: usize = 4096;

/// Scans until `scan.limit` rows are there that were written here. Where nothing is cached, one scan
/// is enough; where much is, the scans grow, so that few are.
///
/// `about` gives a row's key and whether it is shown. `rows_of` gives rows and, where it stopped before it
/// had as many as it was asked for, the key behind which to go on.
async fn written<R>(
    scan: &Scan,
    turn: &mut Turn,
    about: impl Fn(&R) -> (&str, bool),
    rows_of: impl Fn(&Scan) -> Result<(Vec<R>, Option<String>), store::Error>,
) -> Result<Vec<R>, store::Error> {
    let mut found = Vec::new();
    let mut further = scan.clone();
    loop {
        let (rows, stopped) = rows_of(&further)?;
        turn.rows(rows.len() + if stopped.is_some() { store::PASSED_OVER_MAX } else { 0 }).await;
        let full = rows.len() >= further.limit;
        let last = stopped.or_else(|| rows.last().filter(|_| full).map(|row| about(row).0.to_owned()));
        found.extend(rows.into_iter().filter(|row| about(row).1));
        let Some(last) = last.filter(|_| found.len() < scan.limit) else {
            found.truncate(scan.limit);
            return Ok(found);
        };
        further.start = Start::After(last);
        further.limit = further.limit.saturating_mul(4).min(FURTHER_ROWS_MAX.max(scan.limit));
    }
}

impl Sources for Behind<'_> {
    fn here(&self, scan: &Scan) -> Result<Vec<Listed>, store::Error> {
        self.view.store().scan_objects(self.bucket, scan)
    }

    fn index(&self, scan: &Scan) -> Result<Vec<InventoryRow>, store::Error> {
        if self.indexed { self.view.store().scan_inventory(self.bucket, scan) } else { Ok(Vec::new()) }
    }

    fn covers(&self) -> &[String] {
        &self.covers
    }

    fn live(&self) -> Vec<usize> {
        (0..self.listings.len()).filter(|&at| self.asks && self.listings[at].live).collect()
    }

    fn begin(&self, upstream: usize, ask: ListAsk) -> JoinHandle<Result<Arc<ListPage>, upstream::Error>> {
        let (client, hops) = (self.view.upstream().clone(), self.hops.clone());
        let upstream = Arc::clone(self.listings[upstream].upstream);
        tokio::spawn(async move { client.list(&upstream, &ask, &hops).await })
    }

    fn name(&self, upstream: usize) -> String {
        self.listings[upstream].upstream.name()
    }

    fn lists(&self, key: &str, upstream: Option<usize>) -> bool {
        let seen =
            |listing: &fallback::Listing<'_>| self.view.fallback().lists(self.bucket, key, listing.upstream);
        match upstream {
            Some(at) => seen(&self.listings[at]),
            None => self.listings.iter().any(seen),
        }
    }

    fn below(&self, prefix: &str, upstream: usize) -> Below {
        self.view.fallback().below(self.bucket, prefix, self.listings[upstream].upstream)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use tokio::task::JoinHandle;

    use super::{Listing, Sources, written};
    use crate::fallback::Below;
    use crate::model::{ETag, Metadata, ObjectKey, Timestamp};
    use crate::store::{InventoryRow, Listed, Origin, Scan, Start};
    use crate::upstream::{self, ListAsk, ListEntry, ListPage, Remote};
    use crate::view::Turn;

    /// An upstream whose listing never ends, and of which nothing is seen.
    struct Endless;

    impl Sources for Endless {
        fn here(&self, _: &Scan) -> Result<Vec<Listed>, crate::store::Error> {
            Ok(Vec::new())
        }

        fn index(&self, _: &Scan) -> Result<Vec<InventoryRow>, crate::store::Error> {
            Ok(Vec::new())
        }

        fn covers(&self) -> &[String] {
            &[]
        }

        fn live(&self) -> Vec<usize> {
            vec![0]
        }

        fn begin(&self, _: usize, ask: ListAsk) -> JoinHandle<Result<Arc<ListPage>, upstream::Error>> {
            let number = ask.start_after.get(..9).and_then(|digits| digits.parse::<u64>().ok());
            let entry = ListEntry::Object(Box::new(Remote {
                key: ObjectKey::parse(&format!("{:09}", number.unwrap_or(0) + 1)).expect("a key"),
                size_bytes: Some(1),
                etag: ETag::of_md5([0; 16]),
                modified: Timestamp::from_ms(0),
                metadata: Metadata::default(),
                md5: None,
                crc32c: None,
            }));
            tokio::spawn(async { Ok(Arc::new(ListPage { entries: vec![entry], truncated: true })) })
        }

        fn name(&self, _: usize) -> String {
            "https://endless.example/".to_owned()
        }

        fn lists(&self, _: &str, _: Option<usize>) -> bool {
            false
        }

        fn below(&self, _: &str, _: usize) -> Below {
            Below::Mixed
        }
    }

    #[tokio::test]
    async fn a_listing_without_end_of_which_nothing_is_seen_is_given_up() {
        let first =
            Scan { start: Start::At(String::new()), prefix: String::new(), limit: 1, tombstones: true };
        let listed = Listing::new(Endless, None, 1).rows(&first).await;
        let told = listed.expect_err("it never ends").to_string();
        assert!(told.contains("https://endless.example/ lists 1000 pages"), "{told}");
    }

    /// Scans rows, and counts how often.
    async fn scanned(rows: &[(String, Origin)], limit: usize) -> (Vec<String>, usize) {
        let scans = Cell::new(0);
        let first = Scan { start: Start::At(String::new()), prefix: String::new(), limit, tombstones: false };
        let found = written(
            &first,
            &mut Turn::default(),
            |row: &(String, Origin)| (row.0.as_str(), row.1 == Origin::Written),
            |scan| {
                scans.set(scans.get() + 1);
                let is_in = |row: &&(String, Origin)| match &scan.start {
                    Start::At(key) => row.0 >= *key,
                    Start::After(key) => row.0 > *key,
                };
                Ok((rows.iter().filter(is_in).take(scan.limit).cloned().collect(), None))
            },
        )
        .await;
        (found.expect("nothing fails").into_iter().map(|row| row.0).collect(), scans.get())
    }

    #[tokio::test]
    async fn a_scan_finds_the_first_rows_that_were_written() {
        let origin = |at: usize| if at % 7 == 3 { Origin::Written } else { Origin::Cached };
        let rows: Vec<_> = (0..500).map(|at| (format!("{at:06}"), origin(at))).collect();
        let all: Vec<_> =
            rows.iter().filter(|row| row.1 == Origin::Written).map(|row| row.0.clone()).collect();
        for limit in [1, 2, 8, 70, 71, 72, 500, 1000] {
            assert_eq!(scanned(&rows, limit).await.0, all[..limit.min(all.len())], "{limit}");
        }
    }

    #[tokio::test]
    async fn scans_grow_where_much_is_cached() {
        let mut rows: Vec<_> = (0..20_000).map(|at| (format!("{at:06}"), Origin::Cached)).collect();
        rows.push(("z".to_owned(), Origin::Written));
        let (found, scans) = scanned(&rows, 8).await;
        assert_eq!(found, ["z"]);
        assert!(scans < 12, "{scans}");
    }
}
