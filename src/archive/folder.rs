//! Directories of which nothing is here: production's own, as its files are.
//!
//! A crawl (mozdownload, mozregression, `wget --recursive`) that is redirected to files must find the
//! directories too. Where a client is redirected for files, it is for the directory, but only if all
//! that production shows there may be seen: whoever reads production's page follows its links there,
//! past the release under test and what was deleted here. Otherwise the page is fetched and made
//! anew of what may be seen.

use serde::Deserialize;

use super::index::{File, Index};
use super::{Call, Failure, page, wants_json};
use crate::fallback::{Below, Decision, Redirect, Upstream};
use crate::model::{BucketName, ObjectKey, Timestamp};
use crate::protocol::miss;
use crate::protocol::outcome::{Answered, Outcome};
use crate::protocol::request::Response;
use crate::store::{Lookup, Scan, Start};

/// A directory as production's archive tells programs of it.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    prefixes: Vec<String>,
    #[serde(default)]
    files: Vec<ToldFile>,
}

#[derive(Debug, Deserialize)]
struct ToldFile {
    name: String,
    size: Option<u64>,
    last_modified: Option<String>,
}

impl Call<'_> {
    /// What production has of a directory of which nothing is here; `None` for nothing.
    pub(super) async fn folder(
        &self,
        prefix: &str,
        buckets: &[BucketName],
        outcome: &mut Outcome,
    ) -> Result<Option<Response>, Failure> {
        let Ok(folder) = ObjectKey::parse(prefix) else { return Ok(None) };
        for bucket in buckets {
            let fallback = self.service.view.fallback();
            let decision = self.decide(bucket, &folder);
            let Some((upstream, below)) = fallback.folder(bucket, &folder, &decision) else { continue };
            let below = if self.hides_some(bucket, prefix)? { Below::Mixed } else { below };
            let response = match (&decision, below) {
                (Decision::Redirect(Redirect { .. }), Below::Shown) => {
                    self.missed(bucket, &folder, outcome).await?
                }
                _ => self.fetched(bucket, prefix, (upstream, below)).await?.inspect(|_| {
                    miss::note_source(fallback, bucket, &folder, outcome);
                    outcome.answered = Answered::Proxy;
                }),
            };
            if response.is_some() {
                outcome.bucket = Some(bucket.clone());
                return Ok(response);
            }
        }
        outcome.look_elsewhere();
        Ok(None)
    }

    /// Whether anything below a prefix was deleted here, so that production must not show it. Of
    /// objects there are none.
    fn hides_some(&self, bucket: &BucketName, prefix: &str) -> Result<bool, Failure> {
        let start = Start::At(prefix.to_owned());
        let scan = Scan { start, prefix: prefix.to_owned(), limit: 1, tombstones: true };
        Ok(!self.service.view.store().scan_objects(bucket, &scan)?.is_empty())
    }

    /// Production's page, made anew of what may be seen of it. One that no program can read is passed
    /// on where all of it may be seen.
    async fn fetched(
        &self,
        bucket: &BucketName,
        prefix: &str,
        (upstream, below): (&Upstream, Below),
    ) -> Result<Option<Response>, Failure> {
        let client = self.service.view.upstream();
        let found = client.index_page(upstream, prefix, &self.context.hops).await;
        let Some(found) = found.map_err(crate::view::Error::from)? else { return Ok(None) };
        match serde_json::from_slice::<Told>(&found.text) {
            Ok(told) if found.json => {
                let index = self.seen(bucket, prefix, told)?;
                Ok(index.exists.then(|| page::index_response(wants_json(self.headers), prefix, &index)))
            }
            Ok(_) | Err(_) => Ok((below == Below::Shown && !found.json).then(|| page::passed_on(found.text))),
        }
    }

    /// What of production's directory is not hidden, by the release under test, the rules, or because
    /// it was deleted here.
    fn seen(&self, bucket: &BucketName, prefix: &str, told: Told) -> Result<Index, Failure> {
        let mut index = Index::default();
        let reads =
            |key: &ObjectKey| matches!(self.decide(bucket, key), Decision::Redirect(_) | Decision::Fetch(_));
        for name in told.prefixes.into_iter().filter(|name| is_step(name.trim_end_matches('/'))) {
            let name = format!("{}/", name.trim_end_matches('/'));
            let Ok(below) = ObjectKey::parse(&format!("{prefix}{name}")) else { continue };
            if reads(&below) {
                index.directories.insert(name);
            }
        }
        for file in told.files.into_iter().filter(|file| is_step(&file.name)) {
            let Ok(key) = ObjectKey::parse(&format!("{prefix}{}", file.name)) else { continue };
            let is_deleted = matches!(
                self.service.view.find(bucket, &key, None)?,
                Lookup::Tombstone | Lookup::DeleteMarker { .. }
            );
            if !is_deleted && reads(&key) {
                let modified = file.last_modified.as_deref().and_then(Timestamp::parse_iso);
                let modified = modified.unwrap_or(Timestamp::from_seconds(0));
                index.files.insert(file.name, File { size_bytes: file.size.unwrap_or(0), modified });
            }
        }
        index.exists = !index.directories.is_empty() || !index.files.is_empty();
        Ok(index)
    }
}

/// Whether a name is one step of a path: anything else would be a link to somewhere else.
fn is_step(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains('/')
}
