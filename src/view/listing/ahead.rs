//! The listing of one upstream: its pages, fetched when they are needed and at most one ahead, their
//! order checked.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Sources;
use super::text::{before, behind, common_prefix, successor};
use crate::upstream::{Error, ListAsk, ListEntry, ListPage, Remote};

/// The least page to ask for: some of its keys may be hidden.
const ENTRIES_MIN: usize = 16;
/// AWS: `ListObjectsV2`, `max-keys`: at most 1,000.
const ENTRIES_MAX: usize = 1000;
/// How fast pages grow where most of what they bring is hidden.
const GROWTH: usize = 4;
/// The most pages for one page of a client: a listing of which nothing is seen need not have an end.
const PAGES_MAX: usize = 1000;

/// What is listed of an upstream.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// Only keys that begin with this.
    pub(super) prefix: String,
    /// What rolls keys up, if anything.
    pub(super) delimiter: Option<String>,
}

/// Entries of an upstream in order. A page on its way is given up when this is dropped.
#[derive(Debug)]
pub(super) struct Ahead {
    upstream: usize,
    entries: VecDeque<ListEntry>,
    /// Where the next page begins; `None` if nothing is left.
    next: Option<String>,
    /// The last text that was listed, so that each page goes on behind the one before it.
    last: String,
    /// The last common prefix: a page may begin with it once more.
    rolled: Option<String>,
    on_its_way: Option<Page>,
    size: usize,
    pages: usize,
}

/// A page on its way.
#[derive(Debug)]
struct Page {
    start_after: String,
    fetch: JoinHandle<Result<Arc<ListPage>, Error>>,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.fetch.abort();
    }
}

impl Ahead {
    /// Nothing fetched yet.
    pub(super) fn new(upstream: usize) -> Self {
        Self {
            upstream,
            entries: VecDeque::new(),
            next: Some(String::new()),
            last: String::new(),
            rolled: None,
            on_its_way: None,
            size: ENTRIES_MIN,
            pages: 0,
        }
    }

    /// Which upstream.
    pub(super) fn upstream(&self) -> usize {
        self.upstream
    }

    /// Goes on at the first entry whose text is `from` or greater.
    pub(super) fn seek(&mut self, from: &str) {
        let before = self.entries.partition_point(|entry| text(entry) < from);
        self.entries.drain(..before);
        if self.next.as_deref().is_some_and(|next| next < from) {
            self.next = Some(from.to_owned());
        }
    }

    /// The next entry, if one was fetched.
    pub(super) fn peek(&self) -> Option<&ListEntry> {
        self.entries.front()
    }

    /// The next entry's key or prefix.
    pub(super) fn peek_text(&self) -> Option<&str> {
        self.entries.front().map(text)
    }

    /// Takes the next entry if it is the object of this key.
    pub(super) fn take(&mut self, key: &str) -> Option<Box<Remote>> {
        match self.entries.pop_front_if(|entry| text(entry) == key)? {
            ListEntry::Object(remote) => Some(remote),
            ListEntry::CommonPrefix(_) => None,
        }
    }

    /// Begins to fetch the next page, if it is needed for `wanted` more entries and is not on its
    /// way.
    pub(super) fn begin(&mut self, sources: &impl Sources, whole: &Whole, wanted: usize) {
        if self.entries.len() >= wanted.max(1) || self.on_its_way.is_some() {
            return;
        }
        self.next = self.next.take().and_then(|from| uncovered(from, sources.covers(), &whole.prefix));
        let Some(from) = &self.next else { return };
        let at_prefix = from.as_str() <= whole.prefix.as_str();
        let start_after = if at_prefix { String::new() } else { before(from).max(self.last.clone()) };
        let ask = ListAsk {
            prefix: whole.prefix.clone(),
            delimiter: whole.delimiter.clone(),
            start_after: start_after.clone(),
            keys_max: wanted.clamp(self.size, ENTRIES_MAX),
        };
        self.size = (self.size * GROWTH).min(ENTRIES_MAX);
        self.on_its_way = Some(Page { start_after, fetch: sources.begin(self.upstream, ask) });
    }

    /// Waits until the next entry is here or nothing is left.
    pub(super) async fn fill(
        &mut self,
        sources: &impl Sources,
        whole: &Whole,
        wanted: usize,
    ) -> Result<(), Error> {
        loop {
            self.begin(sources, whole, wanted);
            if !self.entries.is_empty() {
                return Ok(());
            }
            let Some(mut page) = self.on_its_way.take() else { return Ok(()) };
            self.pages += 1;
            if self.pages > PAGES_MAX {
                let problem = format!(
                    "lists {PAGES_MAX} pages of which hardly anything is seen here: list below a longer prefix"
                );
                return Err(bad(sources, self.upstream, problem));
            }
            let listed = match (&mut page.fetch).await {
                Ok(listed) => listed?,
                Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                Err(_) => {
                    return Err(bad(sources, self.upstream, "was not asked: the server stops".to_owned()));
                }
            };
            self.accept(sources, whole, &page.start_after, &listed)
                .map_err(|problem| bad(sources, self.upstream, problem))?;
        }
    }

    /// Takes a page. What is out of order would be missed or doubled, so it is an error.
    fn accept(
        &mut self,
        sources: &impl Sources,
        whole: &Whole,
        start_after: &str,
        page: &ListPage,
    ) -> Result<(), String> {
        let from = self.next.take().unwrap_or_default();
        let mut last: &str = start_after;
        for entry in &page.entries {
            let name = text(entry);
            if !name.starts_with(&whole.prefix) {
                return Err(format!("lists {name:?}, asked for what begins with {:?}", whole.prefix));
            }
            if name <= last {
                // S3: some servers show the common prefix that the listing begins in.
                if matches!(entry, ListEntry::CommonPrefix(prefix) if start_after.starts_with(prefix)) {
                    continue;
                }
                return Err(format!("lists {name:?} behind {last:?}, which is not the order of their bytes"));
            }
            last = name;
            self.add(entry, whole, &from, sources.covers())?;
        }
        if page.truncated {
            let begins = self.rolled.as_deref().filter(|rolled| last.starts_with(rolled));
            self.next = match begins {
                Some(rolled) => successor(rolled),
                None => Some(behind(last)),
            };
            if last == start_after {
                return Err("says that its listing goes on, and lists nothing".to_owned());
            }
            self.next = self.next.take().map(|next| next.max(from));
            last.clone_into(&mut self.last);
        }
        Ok(())
    }

    /// Adds an entry, unless it lies before `from` or the imported index speaks for it. Upstreams
    /// that do not know delimiters are rolled up here.
    fn add(&mut self, entry: &ListEntry, whole: &Whole, from: &str, covers: &[String]) -> Result<(), String> {
        let name = text(entry);
        let rolled = common_prefix(name, &whole.prefix, whole.delimiter.as_deref());
        let entry = match (rolled, entry) {
            (Some(rolled), _) if self.rolled.as_deref() == Some(rolled) => return Ok(()),
            (Some(rolled), _) => {
                self.rolled = Some(rolled.to_owned());
                ListEntry::CommonPrefix(rolled.to_owned())
            }
            (None, ListEntry::Object(_)) => entry.clone(),
            (None, ListEntry::CommonPrefix(prefix)) => {
                return Err(format!("lists {prefix:?} as a common prefix, which it is not"));
            }
        };
        let name = text(&entry);
        if name >= from && !covers.iter().any(|cover| name.starts_with(cover)) {
            self.entries.push_back(entry);
        }
        Ok(())
    }
}

/// The key or prefix of an entry.
fn text(entry: &ListEntry) -> &str {
    match entry {
        ListEntry::Object(remote) => remote.key.as_str(),
        ListEntry::CommonPrefix(prefix) => prefix,
    }
}

fn bad(sources: &impl Sources, upstream: usize, problem: String) -> Error {
    Error::Bad { upstream: sources.name(upstream), problem }
}

/// `from`, moved behind what is covered; `None` if nothing is left of the prefix.
fn uncovered(mut from: String, covers: &[String], prefix: &str) -> Option<String> {
    from = from.max(prefix.to_owned());
    while let Some(cover) = covers.iter().find(|cover| from.starts_with(cover.as_str())) {
        from = successor(cover)?;
    }
    from.starts_with(prefix).then_some(from)
}
