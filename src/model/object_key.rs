//! Object keys.
//!
//! AWS: "Naming Amazon S3 objects": any UTF-8 of at most 1,024 bytes.

use std::fmt;

/// The name of an object within its bucket.
///
/// Invariants: 1 to 1,024 bytes of UTF-8. Nothing else: `//`, `..`, a trailing `/`, control
/// characters and a key that is a prefix of another are all ordinary. Keys never become paths.
///
/// Keys order by their UTF-8 bytes, as S3 lists them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

/// Why a text is not an object key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidObjectKey {
    /// The key has no bytes.
    #[error("an object key must not be empty")]
    Empty,
    /// The key has more bytes than S3 allows.
    #[error("an object key may have at most 1024 bytes of UTF-8, this one has {0}")]
    TooLong(usize),
}

impl ObjectKey {
    /// The longest key, in bytes.
    pub const BYTES_MAX: usize = 1024;

    /// Reads a key from decoded text.
    pub fn parse(text: &str) -> Result<Self, InvalidObjectKey> {
        match text.len() {
            0 => Err(InvalidObjectKey::Empty),
            length if length > Self::BYTES_MAX => Err(InvalidObjectKey::TooLong(length)),
            _ => Ok(Self(text.into())),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectKey({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidObjectKey, ObjectKey};

    #[test]
    fn any_utf8_of_up_to_1024_bytes_is_a_key() {
        let long = "é".repeat(512);
        for text in ["a", "/", "//", "../..", "a/", " ", "%2F", "a+b", "\u{0}", "🦊", long.as_str()] {
            assert_eq!(ObjectKey::parse(text).map(|key| key.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn empty_and_over_long_keys_are_refused() {
        assert_eq!(ObjectKey::parse(""), Err(InvalidObjectKey::Empty));
        assert_eq!(ObjectKey::parse(&"a".repeat(1025)), Err(InvalidObjectKey::TooLong(1025)));
    }
}
