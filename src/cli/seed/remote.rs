//! Sources on the network: a bucket, or a server that shows what it has.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::found::{Finder, Found};
use super::item::{From, Item};
use super::plan::Known;
use crate::cli::failure::{Failure, chain};
use crate::cli::upstream::crawl::Site;
use crate::fallback::{Place, Upstream, UrlPrefix};
use crate::model::ObjectKey;
use crate::upstream::{Client, Hops, ListAsk, ListEntry};

/// Finds every key below a prefix of a bucket.
pub(super) async fn bucket(client: Client, upstream: Arc<Upstream>, prefix: &str, finder: &Finder) {
    let mut ask =
        ListAsk { prefix: prefix.to_owned(), delimiter: None, start_after: String::new(), keys_max: 1000 };
    loop {
        let page = match client.list(&upstream, &ask, &Hops::default()).await {
            Ok(page) => page,
            Err(error) => {
                finder.tell(Found::Failed(upstream.name() + prefix, chain(&error))).await;
                return;
            }
        };
        for entry in &page.entries {
            let ListEntry::Object(remote) = entry else { continue };
            let there = &remote.key;
            there.as_str().clone_into(&mut ask.start_after);
            let name = upstream.name() + there.as_str();
            // Folders that a console has made are keys that end in a slash: objects like any other.
            let below = there.as_str().strip_prefix(prefix).unwrap_or(there.as_str());
            let known = Known {
                size_bytes: remote.size_bytes.unwrap_or(0),
                etag: Some(remote.etag.clone()),
                md5: remote.md5,
            };
            let from = From::Upstream(client.clone(), Arc::clone(&upstream), there.clone());
            if !finder.tell(found(finder, name, below, known, from)).await {
                return;
            }
        }
        if !page.truncated {
            return;
        }
    }
}

/// Follows a server's index from folder to folder.
pub(super) async fn index(client: Client, url: UrlPrefix, jobs: usize, finder: &Finder) {
    let upstream = Arc::new(Upstream::new(Place::Url(url), Vec::new()));
    let site = Site {
        client: client.clone(),
        upstream: Arc::clone(&upstream),
        turns: Arc::new(Semaphore::new(jobs.min(Semaphore::MAX_PERMITS))),
    };
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        // Rows are asked for by the names that they have there.
        let found_there = match site.look("", &folder).await {
            Ok(found) => found,
            Err(failure) => {
                let (name, told) = (upstream.name() + &folder, chain(&failure));
                let told = told.strip_prefix(&format!("{name}: ")).unwrap_or(&told).to_owned();
                if !finder.tell(Found::Failed(name, told)).await {
                    return;
                }
                continue;
            }
        };
        folders.extend(found_there.folders.iter().rev().map(|name| format!("{folder}{name}/")));
        for row in found_there.rows {
            let name = upstream.name() + row.key.as_str();
            let known = Known { size_bytes: row.size_bytes, etag: row.etag, md5: row.md5 };
            let from = From::Upstream(client.clone(), Arc::clone(&upstream), row.key.clone());
            if !finder.tell(found(finder, name, row.key.as_str(), known, from)).await {
                return;
            }
        }
    }
}

fn found(finder: &Finder, name: String, below: &str, known: Known, from: From) -> Found {
    match ObjectKey::parse(&format!("{}{below}", finder.prefix())) {
        Ok(key) => Found::Item(Box::new(Item { key, name, known, from })),
        Err(error) => Found::Failed(name, error.to_string()),
    }
}

impl Item {
    /// Asks the source what its index did not say: a digest.
    pub(super) async fn look_closer(&mut self) -> Result<(), Failure> {
        let From::Upstream(client, upstream, there) = &self.from else { return Ok(()) };
        if let Some(remote) = client.head(upstream, there, &Hops::default()).await? {
            self.known.etag = Some(remote.etag);
            self.known.md5 = remote.md5.or(self.known.md5);
        }
        Ok(())
    }
}
