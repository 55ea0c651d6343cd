//! Version ids.
//!
//! AWS: "Using versioning": opaque ids of at most 1,024 bytes; `null` in a bucket that has never
//! had versioning, and while it is suspended.

use std::fmt;

/// Names one version of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VersionId {
    /// The version without an id, written `null`.
    Null,
    /// A version of a versioned bucket: 32 to 1,024 letters, digits and `. _ - +`.
    ///
    /// S3: ids have 32 characters, and those in its documentation up to 64. What is shorter, such as
    /// `foo`, it refuses and does not look for.
    Id(Box<str>),
}

/// Why a text is not a version id, in S3's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersionId {
    /// It is empty.
    #[error("Version id cannot be the empty string")]
    Empty,
    /// No version can have it.
    #[error("Invalid version id specified")]
    Malformed,
}

impl VersionId {
    /// Reads the query parameter `versionId`.
    pub fn parse(text: &str) -> Result<Self, InvalidVersionId> {
        let taken = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
        match text {
            "null" => Ok(Self::Null),
            "" => Err(InvalidVersionId::Empty),
            _ if (32..=1024).contains(&text.len()) && text.bytes().all(taken) => Ok(Self::Id(text.into())),
            _ => Err(InvalidVersionId::Malformed),
        }
    }

    /// Whether the current object is meant: none is named, or `null`, which it is in a bucket without
    /// versioning.
    pub fn is_current(version: Option<&Self>) -> bool {
        !matches!(version, Some(Self::Id(_)))
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Id(id) => id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidVersionId, VersionId};

    #[test]
    fn version_ids_are_shaped_as_s3_makes_them() {
        let longest = "a".repeat(1024);
        for id in ["null", "Eb73HiZyMhLVW54mshpqth8FAh.dY._I", &longest] {
            let parsed = VersionId::parse(id).expect("a version id");
            assert_eq!(parsed.to_string(), id);
            assert_eq!(VersionId::is_current(Some(&parsed)), id == "null", "{id}");
        }
        let too_long = "a".repeat(1025);
        let spaced = format!("{} {}", "a".repeat(16), "a".repeat(16));
        for id in ["foo", "abc", "NULL", &longest[..31], &too_long, &spaced] {
            assert_eq!(VersionId::parse(id), Err(InvalidVersionId::Malformed), "{id}");
        }
        assert_eq!(VersionId::parse(""), Err(InvalidVersionId::Empty));
        assert!(VersionId::is_current(None));
    }
}
