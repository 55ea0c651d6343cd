//! What a source is called on the command line. Pure.

use std::path::{Path, PathBuf};

use crate::fallback::UrlPrefix;
use crate::model::BucketName;

/// Where objects are copied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A folder of files.
    Folder(PathBuf),
    /// A tar file.
    Archive(PathBuf, Packing),
    /// What is below a prefix in a bucket.
    Bucket {
        /// Its name.
        bucket: BucketName,
        /// What keys begin with.
        prefix: String,
    },
    /// What is below a folder of a server that shows what it has.
    Index(UrlPrefix),
}

/// How a tar file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    None,
    /// `.gz`.
    Gzip,
    /// `.zst`.
    Zstd,
}

/// Names of tar files end in one of these.
const ARCHIVES: [(&str, Packing); 5] = [
    (".tar", Packing::None),
    (".tar.gz", Packing::Gzip),
    (".tgz", Packing::Gzip),
    (".tar.zst", Packing::Zstd),
    (".tzst", Packing::Zstd),
];

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let bucket = BucketName::parse(bucket).map_err(|error| error.to_string())?;
            return Ok(Self::Bucket { bucket, prefix: prefix.to_owned() });
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            let url = if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
            return UrlPrefix::parse(&url).map(Self::Index).map_err(|error| error.to_string());
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("{scheme}:// is no source: write s3://, https:// or a path"));
        }
        if text.is_empty() {
            return Err("an empty path is no source: the current folder is called .".to_owned());
        }
        let name = text.to_ascii_lowercase();
        let packing = ARCHIVES.iter().find(|(end, _)| name.ends_with(end)).map(|(_, packing)| *packing);
        Ok(match packing.filter(|_| !Path::new(text).is_dir()) {
            Some(packing) => Self::Archive(text.into(), packing),
            None => Self::Folder(text.into()),
        })
    }
}

impl Source {
    /// What keys begin with here, where nobody says it: as they do there, for what has addresses.
    pub(super) fn own_prefix(&self) -> Result<String, String> {
        match self {
            Self::Folder(_) | Self::Archive(..) => Ok(String::new()),
            Self::Bucket { prefix, .. } => Ok(prefix.clone()),
            Self::Index(url) => {
                let path = url.as_str().splitn(4, '/').nth(3).unwrap_or_default();
                let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
                decoded.map(Into::into).map_err(|_| format!("the path of {url} is not UTF-8"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Packing, Source};
    use crate::fallback::UrlPrefix;
    use crate::model::BucketName;

    #[test]
    fn a_source_is_known_by_its_name() {
        let bucket = |prefix: &str| {
            Some(Source::Bucket {
                bucket: BucketName::parse("prod").expect("a name"),
                prefix: prefix.to_owned(),
            })
        };
        let index = |url: &str| Some(Source::Index(UrlPrefix::parse(url).expect("a prefix")));
        for (text, expected) in [
            ("s3://prod", bucket("")),
            ("s3://prod/", bucket("")),
            ("s3://prod/pub/firefox", bucket("pub/firefox")),
            ("s3://UPPER/", None),
            ("s3://", None),
            ("https://a.example/pub", index("https://a.example/pub/")),
            ("http://a.example:8000/pub/", index("http://a.example:8000/pub/")),
            ("gs://bucket/x", None),
            ("", None),
            ("/none/pub", Some(Source::Folder("/none/pub".into()))),
            (".", Some(Source::Folder(".".into()))),
            ("x.tar", Some(Source::Archive("x.tar".into(), Packing::None))),
            ("x.TAR.GZ", Some(Source::Archive("x.TAR.GZ".into(), Packing::Gzip))),
            ("x.tgz", Some(Source::Archive("x.tgz".into(), Packing::Gzip))),
            ("x.tar.zst", Some(Source::Archive("x.tar.zst".into(), Packing::Zstd))),
            ("x.tzst", Some(Source::Archive("x.tzst".into(), Packing::Zstd))),
            ("x.gz", Some(Source::Folder("x.gz".into()))),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_folder_is_a_folder_whatever_it_is_called() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.tar");
        std::fs::create_dir(&path).expect("writable");
        let source: Source = path.to_str().expect("UTF-8").parse().expect("a source");
        assert_eq!(source, Source::Folder(path));
    }

    #[test]
    fn keys_begin_as_they_do_there() {
        for (text, prefix) in [
            ("s3://prod/pub/fire", "pub/fire"),
            ("https://a.example/", ""),
            ("https://a.example/pub/a%20b", "pub/a b/"),
            ("x.tar", ""),
            ("folder", ""),
        ] {
            let source: Source = text.parse().expect("a source");
            assert_eq!(source.own_prefix().as_deref(), Ok(prefix), "{text}");
        }
    }
}
