//! Host and path -> what is asked for, and in which trees. Pure.
//!
//! A path is decoded once; everything behind its first `/` is the key. Nothing is normalised:
//! `//` and `..` are as much part of a key as anything else.

use std::collections::BTreeSet;

use super::config::Config;
use crate::model::{BucketName, ObjectKey};
use crate::signature::{encode_path, read_path};

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A key.
    File {
        /// It.
        key: ObjectKey,
        /// The trees that the path lies in, in order.
        trees: Vec<&'a Config>,
        /// Whether the path with a `/` behind it is, or leads to, the root of a tree.
        leads_to_tree: bool,
    },
    /// What is below a prefix: the path ends in `/`.
    Directory {
        /// What the keys begin with; empty for `/`.
        prefix: String,
        /// The trees that the path lies in, in order.
        trees: Vec<&'a Config>,
        /// Steps from here on the way to the roots of further trees, each ending in `/`.
        mounts: BTreeSet<String>,
    },
    /// The path is not UTF-8 when decoded, or holds a broken escape.
    Malformed,
}

/// Finds out what is asked for. `path` is raw, `host` in lower case and without its port.
pub(super) fn route<'a>(configs: &'a [Config], host: &str, path: &str) -> Route<'a> {
    let Ok(decoded) = read_path(path) else { return Route::Malformed };
    let decoded = decoded.as_str();
    let visible = visible(configs, host);
    let trees = visible.iter().copied().filter(|config| decoded.starts_with(&config.path)).collect();
    let key = decoded.strip_prefix('/').unwrap_or(decoded);
    if key.is_empty() || key.ends_with('/') {
        let mounts = visible.iter().filter_map(|config| step(decoded, &config.path)).collect();
        return Route::Directory { prefix: key.to_owned(), trees, mounts };
    }
    let leads_to_tree = visible.iter().any(|config| config.path.starts_with(&format!("{decoded}/")));
    match ObjectKey::parse(key) {
        Ok(key) => Route::File { key, trees, leads_to_tree },
        // A longer path names nothing that could ever have been stored.
        Err(_) => Route::Directory { prefix: key.to_owned(), trees: Vec::new(), mounts: BTreeSet::new() },
    }
}

/// The key that a path names and the buckets of the trees that it lies in, in order; no buckets
/// stand for all of them. `None` for a directory, and for what is not a path. For `explain`.
pub fn file_at<'a>(
    configs: &'a [Config],
    host: &str,
    path: &str,
) -> Option<(ObjectKey, Vec<&'a [BucketName]>)> {
    match route(configs, host, path) {
        Route::File { key, trees, .. } => {
            Some((key, trees.into_iter().map(|tree| tree.buckets.as_slice()).collect()))
        }
        Route::Directory { .. } | Route::Malformed => None,
    }
}

/// The trees of a configured host are its own; any other host sees them all.
fn visible<'a>(configs: &'a [Config], host: &str) -> Vec<&'a Config> {
    let host = host.trim_end_matches('.');
    let own: Vec<_> = configs.iter().filter(|config| config.hosts.iter().any(|name| name == host)).collect();
    if own.is_empty() { configs.iter().collect() } else { own }
}

/// The next step from `path`, which ends in `/`, to a tree below it.
fn step(path: &str, tree: &str) -> Option<String> {
    let rest = tree.strip_prefix(path)?;
    let end = rest.find('/')?;
    Some(rest[..=end].to_owned())
}

/// The path of a key, as it stands in links and in `Location`.
///
/// `//host` would lead to another host; `/.//host` is the path `//host` on this one (WHATWG URL,
/// "path state").
pub(super) fn path_of(key: &str) -> String {
    let root = if key.starts_with('/') { "/./" } else { "/" };
    format!("{root}{}", encode_path(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Route, path_of, route};
    use crate::archive::Config;
    use crate::model::BucketName;

    fn config(hosts: &[&str], path: &str, bucket: &str) -> Config {
        let hosts = hosts.iter().map(|host| (*host).to_owned());
        Config::new(hosts, path, vec![BucketName::parse(bucket).expect("a name")]).expect("a tree")
    }

    /// A route in a few words.
    fn told(configs: &[Config], host: &str, path: &str) -> String {
        let names = |trees: &[&Config]| {
            trees.iter().map(|tree| tree.buckets[0].as_str()).collect::<Vec<_>>().join("+")
        };
        match route(configs, host, path) {
            Route::File { key, trees, leads_to_tree } => {
                format!(
                    "file {key} in {}{}",
                    names(&trees),
                    if leads_to_tree { ", leads to tree" } else { "" }
                )
            }
            Route::Directory { prefix, trees, mounts } => {
                format!("directory {prefix:?} in {} with {mounts:?}", names(&trees))
            }
            Route::Malformed => "malformed".to_owned(),
        }
    }

    #[test]
    fn hosts_and_paths_lead_to_trees() {
        let configs = [
            config(&["ftp.example", "archive.example"], "/pub/", "pub-one"),
            config(&["maven.example"], "/maven2/org/", "maven"),
            config(&[], "/pub/mobile/", "mobile"),
        ];
        for (host, path, expected) in [
            ("ftp.example", "/pub/firefox/a", "file pub/firefox/a in pub-one"),
            ("ftp.example.", "/pub/firefox/a", "file pub/firefox/a in pub-one"),
            ("archive.example", "/pub/firefox/", "directory \"pub/firefox/\" in pub-one with {}"),
            ("archive.example", "/", "directory \"\" in  with {\"pub/\"}"),
            ("archive.example", "/pub", "file pub in , leads to tree"),
            ("archive.example", "/maven2/org/a", "file maven2/org/a in "),
            ("archive.example", "/pub/mobile/a", "file pub/mobile/a in pub-one"),
            ("maven.example", "/maven2/org/a", "file maven2/org/a in maven"),
            ("maven.example", "/", "directory \"\" in  with {\"maven2/\"}"),
            ("maven.example", "/maven2/", "directory \"maven2/\" in  with {\"org/\"}"),
            ("maven.example", "/maven2", "file maven2 in , leads to tree"),
            ("maven.example", "/pub/a", "file pub/a in "),
            ("localhost", "/pub/firefox/a", "file pub/firefox/a in pub-one"),
            ("localhost", "/pub/mobile/a", "file pub/mobile/a in pub-one+mobile"),
            ("localhost", "/pub/", "directory \"pub/\" in pub-one with {\"mobile/\"}"),
            ("ftp.example", "/pub/a%20b+c%2Fd%252F", "file pub/a b+c/d%2F in pub-one"),
            ("ftp.example", "/pub/%2e%2e/../a//b", "file pub/../../a//b in pub-one"),
            ("ftp.example", "/pub/%E2%82%AC", "file pub/€ in pub-one"),
            ("ftp.example", "/pub/100%25", "file pub/100% in pub-one"),
            ("ftp.example", "/pub/100%", "malformed"),
            ("ftp.example", "/pub/a%00", "file pub/a\0 in pub-one"),
            ("ftp.example", "/pub/%FF", "malformed"),
            ("ftp.example", "/public/a", "file public/a in "),
            ("ftp.example", "//pub/a", "file /pub/a in "),
        ] {
            assert_eq!(told(&configs, host, path), expected, "{host} {path}");
        }
    }

    #[test]
    fn over_long_paths_lead_nowhere() {
        let configs = [config(&[], "/pub/", "pub-one")];
        let path = format!("/pub/{}", "a".repeat(1100));
        assert!(told(&configs, "localhost", &path).ends_with("in  with {}"));
    }

    #[test]
    fn links_stay_on_their_host() {
        for (key, expected) in [
            ("pub/a b", "/pub/a%20b"),
            ("pub/a&b\"<c>'d?e#f", "/pub/a%26b%22%3Cc%3E%27d%3Fe%23f"),
            ("/evil.example/", "/.//evil.example/"),
            ("\\evil.example/", "/%5Cevil.example/"),
            ("a\r\nb", "/a%0D%0Ab"),
            ("javascript:x", "/javascript%3Ax"),
            ("", "/"),
        ] {
            assert_eq!(path_of(key), expected);
        }
    }
}
