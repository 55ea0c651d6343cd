//! The header `x-amz-copy-source`. Pure.
//!
//! AWS: `CopyObject`, `x-amz-copy-source`: `bucket/key`, with or without a leading slash,
//! URL-encoded, with `?versionId=` behind it for a version.

use percent_encoding::percent_decode_str;

use super::error::Error;
use crate::model::{BucketName, ObjectKey, VersionId};

/// What a copy reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CopySource {
    /// The bucket.
    pub(super) bucket: BucketName,
    /// The key.
    pub(super) key: ObjectKey,
    /// The version; `None` for the current one.
    pub(super) version: Option<VersionId>,
}

impl CopySource {
    /// Reads the header.
    ///
    /// S3: the version is split off before decoding, so that a key may hold an encoded `?`; a `+` is
    /// a space, as in a form, so that clients write `%2B` (aws-cli issue 614).
    ///
    /// # Errors
    /// `InvalidArgument` naming the header.
    pub(super) fn parse(header: &str) -> Result<Self, Error> {
        let invalid = |why: String| Error::invalid_argument("x-amz-copy-source", header, why);
        let (path, version) = match header.split_once("?versionId=") {
            None => (header, None),
            Some((path, version)) => {
                let version = VersionId::parse(version).map_err(|reason| invalid(reason.to_string()))?;
                (path, Some(version))
            }
        };
        let path = path.replace('+', " ");
        let path = percent_decode_str(&path)
            .decode_utf8()
            .map_err(|_| invalid("Invalid copy source encoding: it is not UTF-8".to_owned()))?;
        // S3: with its slashes encoded too (`bucket%2Fkey`, `%2Fbucket%2Fkey`) the source is still understood.
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').ok_or_else(|| {
            invalid("Invalid copy source object key: write BUCKET/KEY, percent-encoded".to_owned())
        })?;
        Ok(Self {
            bucket: BucketName::parse(bucket)
                .map_err(|reason| invalid(format!("Invalid copy source bucket name: {reason}")))?,
            key: ObjectKey::parse(key)
                .map_err(|reason| invalid(format!("Invalid copy source object key: {reason}")))?,
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::CopySource;

    #[test]
    fn sources_as_clients_write_them() {
        for (header, key, version) in [
            ("bucket/a/b", "a/b", None),
            ("/bucket/a/b", "a/b", None),
            ("bucket%2Fa%2Fb", "a/b", None),
            ("%2Fbucket%2Fa%2Fb", "a/b", None),
            ("%2fbucket/a/b", "a/b", None),
            ("/bucket/%2Fa", "/a", None),
            ("bucket/Firefox%20Setup%20141.0.exe", "Firefox Setup 141.0.exe", None),
            ("bucket//a", "/a", None),
            ("bucket/a+b", "a b", None),
            ("bucket/a%2Bb", "a+b", None),
            ("bucket/a%3FversionId%3Db", "a?versionId=b", None),
            ("bucket/a?versionId=null", "a", Some("null")),
            (
                "bucket/a?versionId=Eb73HiZyMhLVW54mshpqth8FAh.dY._I",
                "a",
                Some("Eb73HiZyMhLVW54mshpqth8FAh.dY._I"),
            ),
        ] {
            let source = CopySource::parse(header).expect("a source");
            assert_eq!(source.bucket.as_str(), "bucket", "{header}");
            assert_eq!(source.key.as_str(), key, "{header}");
            assert_eq!(source.version.map(|version| version.to_string()).as_deref(), version, "{header}");
        }
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for header in [
            "",
            "/",
            "//bucket/key",
            "/%2Fbucket/key",
            "bucket",
            "bucket/",
            "/bucket/",
            "UPPER/key",
            "bucket/%FF",
            "bucket/a?versionId=",
            "bucket/a?versionId=foo",
        ] {
            assert!(CopySource::parse(header).is_err(), "{header:?} was taken");
        }
    }
}
