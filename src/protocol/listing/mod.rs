//! A page of a listing: roll-up, seeking past what was rolled up, and where the next page begins.
//! Pure but for `merged`: reading rows is handed in, so that one store, or a store merged with
//! production, or a test's vector can stand behind it.
//!
//! AWS: `ListObjects`, `ListObjectsV2`, `ListMultipartUploads`, "Organizing objects using prefixes".
//!
//! Deliberately elsewhere: XML, `encoding-type` and the limit of `max-keys` (the faces), SQL
//! (`store`).

mod cursor;
mod merged;
mod pace;
#[cfg(test)]
mod tests;

pub use cursor::{Cursor, InvalidToken};
pub use merged::{merged, objects};

use pace::Pace;

use crate::model::UploadId;
use crate::store;
use crate::view::Turn;

/// What a client wants listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that share what stands up to this text, behind the prefix, are one common prefix.
    /// It may have many characters; an empty one counts as none.
    pub delimiter: Option<String>,
    /// Where the page begins; `None` for the beginning.
    pub start: Option<Cursor>,
    /// The most entries of the page. Common prefixes count.
    pub keys_max: usize,
}

/// A row of what is listed. Rows come ordered by the UTF-8 bytes of their keys; uploads of one key
/// come in any order that does not change.
pub trait Row {
    /// The key.
    fn key(&self) -> &str;

    /// The upload, where one key may have several rows.
    fn upload_id(&self) -> Option<&UploadId> {
        None
    }
}

/// Where a scan begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// At the first row whose key is this or greater.
    At(String),
    /// At the first row whose key is greater.
    After(String),
    /// At the first row behind this upload of this key.
    AfterUpload(String, UploadId),
}

/// Which rows a scan must return: the first `limit` rows from `start` on whose keys begin with
/// `prefix`.
///
/// Fewer rows than `limit` mean that no further row follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window<'query> {
    /// Where to begin; never before the prefix.
    pub start: Start,
    /// What every key begins with.
    pub prefix: &'query str,
    /// The most rows to return; at least 1.
    pub limit: usize,
}

impl Window<'_> {
    /// The same window over the objects of a bucket.
    pub fn objects(&self) -> store::Scan {
        let start = match &self.start {
            Start::At(key) => store::Start::At(key.clone()),
            Start::After(key) | Start::AfterUpload(key, _) => store::Start::After(key.clone()),
        };
        store::Scan { start, prefix: self.prefix.to_owned(), limit: self.limit, tombstones: false }
    }

    /// The same window over the uploads of a bucket.
    pub fn uploads(&self) -> store::UploadScan {
        let start = match &self.start {
            Start::At(key) => store::UploadStart::At(key.clone()),
            Start::After(key) => store::UploadStart::After(key.clone()),
            Start::AfterUpload(key, id) => store::UploadStart::AfterUpload(key.clone(), id.clone()),
        };
        store::UploadScan { start, prefix: self.prefix.to_owned(), limit: self.limit }
    }
}

impl Row for store::Listed {
    fn key(&self) -> &str {
        self.key.as_str()
    }
}

impl Row for store::Object {
    fn key(&self) -> &str {
        self.key.as_str()
    }
}

impl Row for store::Upload {
    fn key(&self) -> &str {
        self.key.as_str()
    }

    fn upload_id(&self) -> Option<&UploadId> {
        Some(&self.id)
    }
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<R> {
    /// A key of its own.
    Row(R),
    /// All keys that begin with this.
    CommonPrefix(String),
}

/// A page of a listing, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<R> {
    /// At most `keys_max` entries.
    pub entries: Vec<Entry<R>>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<Cursor>,
}

impl<R> Page<R> {
    /// `IsTruncated`: whether another page follows.
    pub fn truncated(&self) -> bool {
        self.next.is_some()
    }

    /// The same page of other rows.
    pub fn map<T>(self, change: impl Fn(R) -> T) -> Page<T> {
        let changed = self.entries.into_iter().map(|entry| match entry {
            Entry::Row(row) => Entry::Row(change(row)),
            Entry::CommonPrefix(prefix) => Entry::CommonPrefix(prefix),
        });
        Page { entries: changed.collect(), next: self.next }
    }

    /// The rows, without the common prefixes.
    pub fn rows(&self) -> impl Iterator<Item = &R> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Row(row) => Some(row),
            Entry::CommonPrefix(_) => None,
        })
    }

    /// The common prefixes.
    pub fn common_prefixes(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Row(_) => None,
            Entry::CommonPrefix(prefix) => Some(prefix.as_str()),
        })
    }
}

/// Makes a page out of scans that do not wait, such as those of the store. It lets others run where it
/// reads much.
pub async fn page<R: Row, E>(
    query: &ListQuery,
    mut scan: impl FnMut(&Window<'_>) -> Result<Vec<R>, E>,
) -> Result<Page<R>, E> {
    let mut pager = Pager::new(query);
    let mut turn = Turn::default();
    while let Some(window) = pager.window() {
        let rows = scan(&window)?;
        turn.rows(rows.len()).await;
        pager.take(rows);
    }
    Ok(pager.finish())
}

/// A page in the making: it says which rows it needs, and takes them. Whoever reads the rows may
/// wait for them, as when they come from production as well.
///
/// The rows that it asks for are in proportion to the page, whatever the number of keys below a
/// common prefix.
#[derive(Debug)]
pub struct Pager<'query, R> {
    query: &'query ListQuery,
    pace: Pace,
    /// Where the next scan begins; `None` once the page is done.
    next: Option<Start>,
    entries: Vec<Entry<R>>,
    /// The common prefix that the last row rolled up into.
    rolled: Option<String>,
    truncated: bool,
}

impl<'query, R: Row> Pager<'query, R> {
    /// Begins a page.
    ///
    /// S3: `max-keys=0` gives an empty page that is not truncated.
    pub fn new(query: &'query ListQuery) -> Self {
        Self {
            query,
            pace: Pace::new(query.delimiter().is_some()),
            next: query.first().filter(|_| query.keys_max > 0),
            entries: Vec::new(),
            rolled: None,
            truncated: false,
        }
    }

    /// The rows that are needed next; `None` once the page is done.
    pub fn window(&self) -> Option<Window<'query>> {
        let start = self.next.clone()?;
        Some(Window { start, prefix: &self.query.prefix, limit: self.limit() })
    }

    /// Takes the rows of the last window.
    pub fn take(&mut self, rows: Vec<R>) {
        let (limit, scanned, listed) = (self.limit(), rows.len(), self.entries.len());
        let behind = rows.last().map(Start::after);
        self.truncated = !self.add(rows);
        self.next =
            behind.filter(|_| scanned >= limit && !self.truncated).and_then(|behind| self.resume(behind));
        self.pace.learn(scanned, self.entries.len() - listed);
    }

    /// The page, once no window is needed any more.
    pub fn finish(self) -> Page<R> {
        let last = self.entries.last().filter(|_| self.truncated);
        let next = last.map(|entry| match entry {
            Entry::CommonPrefix(prefix) => Cursor::AfterPrefix(prefix.clone()),
            Entry::Row(row) => Cursor::after(row),
        });
        Page { entries: self.entries, next }
    }

    fn limit(&self) -> usize {
        self.pace.limit(self.query.keys_max.saturating_sub(self.entries.len()))
    }

    /// Adds rows until one has no room; says whether all had.
    fn add(&mut self, rows: Vec<R>) -> bool {
        for row in rows {
            if self.rolled.as_ref().is_some_and(|prefix| row.key().starts_with(prefix)) {
                continue;
            }
            if self.entries.len() == self.query.keys_max {
                return false;
            }
            self.rolled = self.query.common_prefix(row.key()).map(str::to_owned);
            self.entries.push(match &self.rolled {
                None => Entry::Row(row),
                Some(prefix) => Entry::CommonPrefix(prefix.clone()),
            });
        }
        true
    }

    /// Where the next scan begins: behind the last row, or behind all that it was rolled up with.
    fn resume(&self, behind: Start) -> Option<Start> {
        match &self.rolled {
            None => Some(behind),
            Some(prefix) => self.query.within_prefix(Start::At(successor(prefix)?)),
        }
    }
}

impl ListQuery {
    fn delimiter(&self) -> Option<&str> {
        self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())
    }

    /// The common prefix that `key` rolls up into.
    fn common_prefix<'key>(&self, key: &'key str) -> Option<&'key str> {
        let delimiter = self.delimiter()?;
        let rest = key.strip_prefix(&self.prefix)?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }

    /// Where the first scan begins; `None` if nothing can be there.
    fn first(&self) -> Option<Start> {
        let start = match &self.start {
            None => Start::At(self.prefix.clone()),
            Some(Cursor::AfterPrefix(prefix)) => Start::At(successor(prefix)?),
            Some(cursor) => match (self.common_prefix(cursor.key()), cursor.upload_id()) {
                // S3: a marker that is a common prefix, or lies below one, is behind all of it.
                (Some(prefix), _) => Start::At(successor(prefix)?),
                (None, None) => Start::After(cursor.key().to_owned()),
                (None, Some(id)) => Start::AfterUpload(cursor.key().to_owned(), id.clone()),
            },
        };
        self.within_prefix(start)
    }

    /// The same start, moved up to the prefix; `None` if it is behind all that begins with it.
    fn within_prefix(&self, start: Start) -> Option<Start> {
        if start.key() < self.prefix.as_str() {
            return Some(Start::At(self.prefix.clone()));
        }
        start.key().starts_with(&self.prefix).then_some(start)
    }
}

impl Start {
    fn key(&self) -> &str {
        match self {
            Self::At(key) | Self::After(key) | Self::AfterUpload(key, _) => key,
        }
    }

    /// Behind a row.
    fn after(row: &impl Row) -> Self {
        match row.upload_id() {
            None => Self::After(row.key().to_owned()),
            Some(id) => Self::AfterUpload(row.key().to_owned(), id.clone()),
        }
    }
}

/// The smallest text greater than every text that begins with `prefix`; `None` if there is none.
///
/// UTF-8 orders texts by their characters, so the last character that has a successor gets it, and
/// what stands behind it goes.
fn successor(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}
