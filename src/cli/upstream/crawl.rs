//! Following a directory index from folder to folder, some at a time. Each folder is kept as soon as it
//! is known, with what is still to be looked at, so that a crawl resumes where it stopped.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::page::Page;
use crate::admin::api::{Progress, Rows, Step};
use crate::admin::row;
use crate::cli::failure::Failure;
use crate::cli::stage::{Payload, Stage, of_bucket};
use crate::fallback::Upstream;
use crate::model::{BucketName, ObjectKey};
use crate::store::InventoryRow;
use crate::upstream::{self, Client, Hops};

/// Rows of one step: within what the API takes as one document.
const STEP_ROWS: usize = 2000;

/// A crawl, and what it is kept in.
pub(super) struct Crawl<'a> {
    pub(super) stage: &'a Stage,
    pub(super) bucket: &'a BucketName,
    /// What stands before the keys here, for what is below the address there.
    pub(super) key_prefix: &'a str,
    pub(super) site: Site,
    pub(super) connections: usize,
}

/// The server whose index is followed.
#[derive(Clone)]
pub(in crate::cli) struct Site {
    pub(in crate::cli) client: Client,
    pub(in crate::cli) upstream: Arc<Upstream>,
    /// Requests at a time.
    pub(in crate::cli) turns: Arc<Semaphore>,
}

/// What a folder holds.
pub(in crate::cli) struct Found {
    /// Names of one step.
    pub(in crate::cli) folders: BTreeSet<String>,
    pub(in crate::cli) rows: Vec<InventoryRow>,
}

/// How far a crawl is, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Folders that were looked at, by earlier runs too.
    pub(super) done: u64,
    /// Folders that are known of and were not looked at.
    pub(super) pending: u64,
    /// Rows that this run has found.
    pub(super) rows: u64,
}

impl Crawl<'_> {
    /// Crawls to the end. With `restart`, what an earlier run has found is forgotten first.
    pub(super) async fn run(&self, restart: bool, mut tell: impl FnMut(Seen)) -> Result<Seen, Failure> {
        let mut progress = self.begin(restart).await?;
        let mut seen = Seen::default();
        let mut looking: JoinSet<(String, Result<Found, Failure>)> = JoinSet::new();
        let mut under_way = BTreeSet::new();
        let mut failure = None;
        loop {
            (seen.done, seen.pending) = (progress.done_count, progress.pending_count);
            tell(seen);
            for folder in &progress.pending {
                let may = failure.is_none() && under_way.len() < self.connections;
                if may && under_way.insert(folder.clone()) {
                    let (site, folder) = (self.site.clone(), folder.clone());
                    let prefix = self.key_prefix.to_owned();
                    looking.spawn(async move {
                        let found = site.look(&prefix, &folder).await;
                        (folder, found)
                    });
                }
            }
            let Some(looked) = looking.join_next().await else {
                return failure.map_or(Ok(seen), Err);
            };
            let (folder, found) = looked.map_err(|error| Failure::Refused(error.to_string()))?;
            match found {
                Ok(found) => {
                    seen.rows += found.rows.len() as u64;
                    progress = self.keep(&folder, found).await?;
                    under_way.remove(&folder);
                }
                // What was asked already is waited for and kept: it need not be asked again.
                Err(first) => failure = failure.or(Some(first)),
            }
        }
    }

    async fn begin(&self, restart: bool) -> Result<Progress, Failure> {
        let query = [("prefix", self.key_prefix)];
        let progress: Progress = self.stage.get(&of_bucket(self.bucket, "crawl", &query)).await?;
        if progress.begun && !restart {
            return Ok(progress);
        }
        let inventory = of_bucket(self.bucket, "inventory", &query);
        let _forgotten: Rows = self.stage.ask(Method::DELETE, &inventory, Payload::Nothing).await?;
        let root = vec![self.key_prefix.to_owned()];
        self.step(Step { prefix: self.key_prefix.to_owned(), found: root, ..Step::default() }).await
    }

    /// Keeps what a folder holds. The last step says that it is done.
    async fn keep(&self, folder: &str, found: Found) -> Result<Progress, Failure> {
        let rows: Vec<serde_json::Value> = found
            .rows
            .iter()
            .map(|row| serde_json::from_str(&row::render(row)))
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::Refused(error.to_string()))?;
        let prefix = self.key_prefix.to_owned();
        let mut batches: Vec<_> = rows.chunks(STEP_ROWS).map(<[_]>::to_vec).collect();
        let last = batches.pop().unwrap_or_default();
        for rows in batches {
            self.step(Step { prefix: prefix.clone(), rows, ..Step::default() }).await?;
        }
        let folders = found.folders.iter().map(|name| format!("{folder}{name}/")).collect();
        self.step(Step { prefix, rows: last, done: vec![folder.to_owned()], found: folders }).await
    }

    async fn step(&self, step: Step) -> Result<Progress, Failure> {
        self.stage.post(&of_bucket(self.bucket, "crawl", &[]), &step).await
    }
}

impl Site {
    /// What there is in a folder, which is named by its keys.
    pub(in crate::cli) async fn look(&self, key_prefix: &str, folder: &str) -> Result<Found, Failure> {
        let below = folder.strip_prefix(key_prefix).unwrap_or(folder);
        let turn = self.turn().await;
        let page = self.client.index_page(&self.upstream, below, &Hops::default()).await;
        drop(turn);
        let bad = |told: &dyn std::fmt::Display| {
            Failure::Refused(format!("{}{below}: {told}", self.upstream.name()))
        };
        let page = page.map_err(|error| bad(&error))?;
        let Some(page) = page else {
            if below.is_empty() {
                return Err(Failure::Refused(format!(
                    "{} shows nothing: it answers 404",
                    self.upstream.name()
                )));
            }
            // It went while we were on our way.
            return Ok(Found { folders: BTreeSet::new(), rows: Vec::new() });
        };
        let page = if page.json {
            Page::of_json(&page.text).map_err(|error| bad(&error))?
        } else {
            let url = self.upstream.name() + &encoded(below);
            Page::of_html(&String::from_utf8_lossy(&page.text), &url)
        };
        let mut rows = Vec::with_capacity(page.files.len() + page.names.len());
        for fields in &page.files {
            rows.push(fields.row(folder).map_err(|error| bad(&error))?);
        }
        rows.extend(self.heads(below, folder, page.names).await?);
        Ok(Found { folders: page.folders, rows })
    }

    /// Asks for each file what the page does not say.
    async fn heads(
        &self,
        below: &str,
        folder: &str,
        names: BTreeSet<String>,
    ) -> Result<Vec<InventoryRow>, Failure> {
        let mut asking: JoinSet<Result<Option<InventoryRow>, Failure>> = JoinSet::new();
        for name in names {
            let (site, there, here) = (self.clone(), format!("{below}{name}"), format!("{folder}{name}"));
            asking.spawn(async move { site.head(&there, &here).await });
        }
        let mut rows = Vec::new();
        while let Some(asked) = asking.join_next().await {
            rows.extend(asked.map_err(|error| Failure::Refused(error.to_string()))??);
        }
        Ok(rows)
    }

    async fn head(&self, there: &str, here: &str) -> Result<Option<InventoryRow>, Failure> {
        let key = |text: &str| {
            ObjectKey::parse(text).map_err(|error| Failure::Refused(format!("{text:?}: {error}")))
        };
        let (there, key) = (key(there)?, key(here)?);
        let _turn = self.turn().await;
        let found = self.client.head(&self.upstream, &there, &Hops::default()).await;
        let found = match found {
            // A link to what no address can name is none.
            Err(upstream::Error::NotMappable(_)) => None,
            found => found?,
        };
        let Some(remote) = found else { return Ok(None) };
        let size_bytes = remote.size_bytes.ok_or_else(|| {
            Failure::Refused(format!(
                "{} does not say how large {:?} is",
                self.upstream.name(),
                there.as_str()
            ))
        })?;
        Ok(Some(InventoryRow {
            key,
            size_bytes,
            modified: Some(remote.modified),
            etag: Some(remote.etag),
            md5: remote.md5,
            crc32c: remote.crc32c,
        }))
    }

    async fn turn(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        // Nothing closes the semaphore.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }
}

/// A folder as a step of an address: what links on its page are compared with, decoded again.
fn encoded(folder: &str) -> String {
    percent_encoding::utf8_percent_encode(folder, percent_encoding::NON_ALPHANUMERIC).to_string()
}
