//! What is not the same in two states.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rusqlite::{Connection, Row, Rows, params};

use super::catalogue::open_reading;
use crate::model::{BucketName, ETag, ObjectKey, SnapshotName};
use crate::store::error::Error;
use crate::store::object::Kind;
use crate::store::open::Inner;
use crate::store::{Origin, row};

/// Keys that one page looks at, however few of them differ.
const KEYS_MAX: usize = 200_000;

/// What a key is in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Is {
    /// Nothing is here: production is looked at.
    Absent,
    /// Deleted here, and so hidden although production may have it.
    Hidden,
    /// An object that was written here.
    Object {
        /// Its size.
        size_bytes: u64,
        /// Its tag.
        etag: ETag,
    },
}

/// A key that is not the same in two states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// What it is in the first state.
    pub from: Is,
    /// What it is in the second one.
    pub to: Is,
}

/// Some differences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferencePage {
    /// In the order of buckets and keys.
    pub differences: Vec<Difference>,
    /// Behind which key the next page begins; without it there is none.
    pub next: Option<(BucketName, ObjectKey)>,
}

/// The differences behind a key.
pub(super) fn page(
    inner: &Inner,
    from: &SnapshotName,
    to: Option<&SnapshotName>,
    after: Option<&(BucketName, ObjectKey)>,
    limit: usize,
) -> Result<DifferencePage, Error> {
    let connect = |name: &SnapshotName| {
        // Opened under the lock, it may be deleted afterwards: an open file can still be read.
        let kept = inner.shared.snapshots.lock()?;
        kept.get(name)?;
        let connection = open_reading(&kept.path(name))?;
        connection.execute_batch("BEGIN; SELECT 1 FROM bucket LIMIT 1")?;
        Ok::<_, Error>(connection)
    };
    let _reading = inner.shared.copies.begin();
    let from = connect(from)?;
    let to = if let Some(to) = to {
        connect(to)?
    } else {
        let present = open_reading(&inner.shared.folder.index())?;
        present.execute_batch("BEGIN")?;
        present
    };
    let mut work = Work { page: DifferencePage { differences: Vec::new(), next: None }, limit, keys: 0 };
    let mut buckets: BTreeMap<BucketName, (i64, i64)> = BTreeMap::new();
    // No row has a negative id.
    for (name, id) in bucket_ids(&from)? {
        buckets.entry(name).or_insert((-1, -1)).0 = id;
    }
    for (name, id) in bucket_ids(&to)? {
        buckets.entry(name).or_insert((-1, -1)).1 = id;
    }
    for (bucket, ids) in buckets {
        let behind = match after {
            Some((last, _)) if bucket < *last => continue,
            Some((last, key)) if bucket == *last => key.as_str(),
            _ => "",
        };
        if work.bucket(&bucket, (&from, ids.0), (&to, ids.1), behind)? {
            break;
        }
    }
    Ok(work.page)
}

fn bucket_ids(connection: &Connection) -> Result<Vec<(BucketName, i64)>, Error> {
    let mut statement = connection.prepare("SELECT name, id FROM bucket ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row::bucket_name(row, 0)?, row.get(1)?));
    }
    Ok(found)
}

struct Work {
    page: DifferencePage,
    limit: usize,
    keys: usize,
}

/// The current rows of a bucket, one for each key.
struct Keys<'a> {
    rows: Rows<'a>,
    last: Option<ObjectKey>,
}

impl Keys<'_> {
    /// The next key. Older versions of a key come behind its current one and are passed over.
    fn next(&mut self) -> Result<Option<(ObjectKey, Is)>, Error> {
        while let Some(found) = self.rows.next()? {
            let key = row::key(found, 0)?;
            if self.last.as_ref() == Some(&key) {
                continue;
            }
            self.last = Some(key.clone());
            return Ok(Some((key, is(found)?)));
        }
        Ok(None)
    }
}

fn is(found: &Row<'_>) -> Result<Is, Error> {
    Ok(match (Kind::read(found, 1)?, Origin::read(found, 4)?) {
        (Kind::Object, Origin::Written) => {
            Is::Object { size_bytes: row::number(found, 2)?, etag: row::etag(found, 3)? }
        }
        (Kind::Object, Origin::Cached) => Is::Absent,
        (Kind::DeleteMarker | Kind::Tombstone, _) => Is::Hidden,
    })
}

impl Work {
    /// Compares a bucket from behind a key; says whether the page is full.
    fn bucket(
        &mut self,
        bucket: &BucketName,
        from: (&Connection, i64),
        to: (&Connection, i64),
        behind: &str,
    ) -> Result<bool, Error> {
        const KEYS: &str = "SELECT key, kind, size, etag, origin FROM object
                            WHERE bucket_id = ?1 AND key > ?2 ORDER BY key, sequence DESC";
        let (mut ours, mut theirs) = (from.0.prepare(KEYS)?, to.0.prepare(KEYS)?);
        let mut ours = Keys { rows: ours.query(params![from.1, behind.as_bytes()])?, last: None };
        let mut theirs = Keys { rows: theirs.query(params![to.1, behind.as_bytes()])?, last: None };
        let (mut one, mut other) = (ours.next()?, theirs.next()?);
        loop {
            let order = match (&one, &other) {
                (None, None) => return Ok(false),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.as_str().as_bytes().cmp(other.as_str().as_bytes()),
            };
            let was = if order.is_le() { std::mem::replace(&mut one, ours.next()?) } else { None };
            let became = if order.is_ge() { std::mem::replace(&mut other, theirs.next()?) } else { None };
            let key = was.as_ref().or(became.as_ref()).map(|(key, _)| key.clone());
            let Some(key) = key else { return Ok(false) };
            let (from, to) = (was.map_or(Is::Absent, |(_, is)| is), became.map_or(Is::Absent, |(_, is)| is));
            self.keys += 1;
            if from != to {
                self.page.differences.push(Difference { bucket: bucket.clone(), key: key.clone(), from, to });
            }
            if self.page.differences.len() >= self.limit || self.keys >= KEYS_MAX {
                self.page.next = Some((bucket.clone(), key));
                return Ok(true);
            }
        }
    }
}
