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
    /// A version of a versioned bucket: 1 to 1,024 visible ASCII characters.
    Id(Box<str>),
}

/// Why a text is not a version id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version id is 1 to 1024 visible ASCII characters")]
pub struct InvalidVersionId;

impl VersionId {
    /// Reads the query parameter `versionId`.
    pub fn parse(text: &str) -> Result<Self, InvalidVersionId> {
        match text {
            "null" => Ok(Self::Null),
            _ if (1..=1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self::Id(text.into()))
            }
            _ => Err(InvalidVersionId),
        }
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
