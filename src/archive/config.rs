//! `[[archive]]`: which buckets stand behind which plain paths.

use crate::model::{BucketName, HostName, InvalidHostName};

/// One tree of plain paths, and the buckets whose keys it shows.
///
/// Invariants: hosts are in lower case, without port and final period; the path begins and ends
/// in `/` and needs no percent-encoding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(try_from = "RawConfig")]
pub struct Config {
    /// Requests to these hosts see this tree and no tree of other hosts.
    pub(super) hosts: Vec<String>,
    /// Paths below this one are keys of the buckets; keys keep the whole path but its first `/`.
    pub(super) path: String,
    /// In this order, the first that has a key answers. Empty: every bucket, by name.
    pub(super) buckets: Vec<BucketName>,
}

/// Why a tree was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// Not a host's name.
    #[error(transparent)]
    Host(#[from] InvalidHostName),
    /// Not a path that keys can be below.
    #[error(
        "{0:?} is not a path for `archive`: begin and end it with '/' and use A-Z a-z 0-9 - . _ ~ between, such as \"/pub/\""
    )]
    Path(String),
}

/// A tree as it is written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default = "default_path")]
    path: String,
    #[serde(default)]
    buckets: Vec<BucketName>,
}

/// The root of Mozilla's tree.
fn default_path() -> String {
    "/pub/".to_owned()
}

impl Default for Config {
    /// `/pub/` on any host, over every bucket.
    fn default() -> Self {
        Self { hosts: Vec::new(), path: default_path(), buckets: Vec::new() }
    }
}

impl Config {
    /// Puts a tree together.
    pub fn new(
        hosts: impl IntoIterator<Item = String>,
        path: &str,
        buckets: Vec<BucketName>,
    ) -> Result<Self, InvalidConfig> {
        let hosts = hosts.into_iter().map(|host| HostName::parse(&host).map(String::from));
        let hosts = hosts.collect::<Result<_, _>>()?;
        if !is_tree(path) {
            return Err(InvalidConfig::Path(path.to_owned()));
        }
        Ok(Self { hosts, path: path.to_owned(), buckets })
    }

    /// The hosts that this face answers for whatever the path.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = InvalidConfig;

    fn try_from(raw: RawConfig) -> Result<Self, InvalidConfig> {
        Self::new(raw.hosts, &raw.path, raw.buckets)
    }
}

fn is_tree(path: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let steps = |step: &str| !matches!(step, "" | "." | "..");
    let between = path.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    path == "/" || (path.bytes().all(allowed) && between.is_some_and(|path| path.split('/').all(steps)))
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn trees_are_read_and_misspelt_ones_refused() {
        for (text, expected) in [
            ("", true),
            ("hosts = [\"Archive.Mozilla.org.\"]\npath = \"/pub/\"\nbuckets = [\"stage\"]", true),
            ("path = \"/\"", true),
            ("path = \"/a/b-c/\"", true),
            ("hosts = [\"https://archive.mozilla.org\"]", false),
            ("hosts = [\"archive.mozilla.org:80\"]", false),
            ("hosts = [\"\"]", false),
            ("path = \"pub/\"", false),
            ("path = \"/pub\"", false),
            ("path = \"\"", false),
            ("path = \"//\"", false),
            ("path = \"/a//b/\"", false),
            ("path = \"/../\"", false),
            ("path = \"/a b/\"", false),
            ("buckets = [\"UPPER\"]", false),
            ("bucket = [\"stage\"]", false),
        ] {
            assert_eq!(toml::from_str::<Config>(text).is_ok(), expected, "{text}");
        }
        let config: Config = toml::from_str("hosts = [\"Archive.Mozilla.org.\"]").expect("a tree");
        assert_eq!(config.hosts(), ["archive.mozilla.org"]);
        assert_eq!(config.path, "/pub/");
    }
}
