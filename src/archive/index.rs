//! What is below a prefix, over all buckets of a path: the directory index as data, and as JSON.
//!
//! mozilla-services/product-delivery-tools, `bucketlister`: the shape of the JSON and the way that
//! sizes are written. HTML is in `page`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{BucketName, Timestamp};
use crate::protocol::listing::{self, Entry, ListQuery};
use crate::store;
use crate::upstream::Hops;
use crate::view::{self, Row, View};

/// The most entries of one index.
pub(super) const ENTRIES_MAX: usize = 100_000;

/// How many entries are read before others get their turn on the thread.
const PAGE_ENTRIES: usize = 1000;

/// A directory's index, ordered by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Names of directories, each ending in `/`.
    pub(super) directories: BTreeSet<String>,
    /// Names of files.
    pub(super) files: BTreeMap<String, File>,
    /// Whether there is something below the prefix, even if it has no name of its own here.
    pub(super) exists: bool,
    /// Whether there was more than an index holds.
    pub(super) cut: bool,
}

/// A file in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct File {
    pub(super) size_bytes: u64,
    pub(super) modified: Timestamp,
}

impl Index {
    /// Reads what `buckets` have below `prefix`, here and in production. Of a file in several, the
    /// first bucket's counts.
    pub(super) async fn read(
        view: &View,
        hops: &Hops,
        buckets: &[BucketName],
        prefix: &str,
    ) -> Result<Self, view::Error> {
        let mut index = Self::default();
        for bucket in buckets {
            let mut query = ListQuery {
                prefix: prefix.to_owned(),
                delimiter: Some("/".to_owned()),
                start: None,
                keys_max: PAGE_ENTRIES,
            };
            loop {
                let page = match listing::objects(view, bucket, &query, hops).await {
                    Err(view::Error::Store(store::Error::NoSuchBucket(_))) => break,
                    page => page?,
                };
                for entry in &page.entries {
                    index.add(prefix, entry);
                }
                query.start = page.next;
                if query.start.is_none() {
                    break;
                }
                if index.directories.len() + index.files.len() >= ENTRIES_MAX {
                    index.cut = true;
                    return Ok(index);
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(index)
    }

    fn add(&mut self, prefix: &str, entry: &Entry<Row>) {
        self.exists = true;
        let (key, file) = match entry {
            Entry::CommonPrefix(whole) | Entry::Row(Row::Rolled(whole)) => {
                self.directories.extend(whole.strip_prefix(prefix).map(str::to_owned));
                return;
            }
            Entry::Row(Row::Here(listed)) => {
                (&listed.key, File { size_bytes: listed.size_bytes, modified: listed.modified })
            }
            Entry::Row(Row::Upstream(remote)) => {
                (&remote.key, File { size_bytes: remote.size_bytes.unwrap_or(0), modified: remote.modified })
            }
        };
        // A key that is the prefix itself marks the directory and has no name in it.
        if let Some(name) = key.as_str().strip_prefix(prefix).filter(|name| !name.is_empty()) {
            self.files.entry(name.to_owned()).or_insert(file);
        }
    }

    /// `{"prefixes": ["a/"], "files": [{"name", "last_modified", "size"}]}`.
    pub(super) fn json(&self) -> String {
        let files: Vec<_> = self.files.iter().map(|(name, file)| file.json(name)).collect();
        serde_json::json!({ "prefixes": self.directories, "files": files }).to_string()
    }
}

impl File {
    /// Whole seconds, as the archive writes them: scripts read `%Y-%m-%dT%H:%M:%SZ`.
    fn json(&self, name: &str) -> serde_json::Value {
        let modified = self.modified.truncated_to_seconds().iso().to_string().replace(".000Z", "Z");
        serde_json::json!({ "name": name, "last_modified": modified, "size": self.size_bytes })
    }

    /// `999`, `10K`, `80M`: rounded down, and nothing larger than M.
    pub(super) fn size(&self) -> String {
        match self.size_bytes {
            bytes if bytes < 1 << 10 => bytes.to_string(),
            bytes if bytes < 1 << 20 => format!("{}K", bytes >> 10),
            bytes => format!("{}M", bytes >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{File, Index};
    use crate::model::Timestamp;

    fn file(size_bytes: u64) -> File {
        File { size_bytes, modified: Timestamp::from_ms(1_795_209_619_123) }
    }

    #[test]
    fn sizes_are_written_as_the_archive_writes_them() {
        for (bytes, expected) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1K"),
            (2047, "1K"),
            (1024 * 1024 - 1, "1023K"),
            (1024 * 1024, "1M"),
            (5 * 1024 * 1024 * 1024, "5120M"),
        ] {
            assert_eq!(file(bytes).size(), expected);
        }
    }

    #[test]
    fn json_has_the_shape_that_the_archive_gives() {
        let mut index = Index::default();
        assert_eq!(index.json(), r#"{"files":[],"prefixes":[]}"#);
        index.directories.insert("firefox/".to_owned());
        index.files.insert("a \"b\".txt".to_owned(), file(7));
        assert_eq!(
            index.json(),
            r#"{"files":[{"last_modified":"2026-11-20T21:20:19Z","name":"a \"b\".txt","size":7}],"prefixes":["firefox/"]}"#
        );
    }
}
