//! Multipart uploads: their ids and their part numbers.
//!
//! AWS: "Multipart upload overview", "Amazon S3 multipart upload limits".

use std::fmt;

/// Names one multipart upload.
///
/// Invariant: 1 to 128 characters of `A-Z`, `a-z`, `0-9`, `-`, `_`, so it needs no escaping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(Box<str>);

/// Why a text is not an upload id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an upload id is 1 to 128 characters of A-Z, a-z, 0-9, '-' and '_'")]
pub struct InvalidUploadId;

impl UploadId {
    /// Reads the query parameter `uploadId`.
    pub fn parse(text: &str) -> Result<Self, InvalidUploadId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=128).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidUploadId)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The number of a part: 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u16);

/// Why a number is not a part number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Part number must be an integer between 1 and 10000, inclusive")]
pub struct InvalidPartNumber;

impl PartNumber {
    /// The highest part number.
    pub const MAX: u16 = 10_000;

    /// Checks a number.
    pub fn new(number: u16) -> Result<Self, InvalidPartNumber> {
        if (1..=Self::MAX).contains(&number) { Ok(Self(number)) } else { Err(InvalidPartNumber) }
    }

    /// Reads the query parameter `partNumber`.
    pub fn parse(text: &str) -> Result<Self, InvalidPartNumber> {
        text.parse().map_err(|_| InvalidPartNumber).and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::{PartNumber, UploadId};

    #[test]
    fn part_numbers_run_from_1_to_10000() {
        for (text, expected) in [
            ("1", Some(1)),
            ("10000", Some(10_000)),
            ("0", None),
            ("10001", None),
            ("", None),
            ("-1", None),
            ("99999999", None),
        ] {
            assert_eq!(PartNumber::parse(text).ok().map(PartNumber::get), expected, "{text}");
        }
    }

    #[test]
    fn upload_ids_need_no_escaping() {
        assert!(UploadId::parse("Ab-9_").is_ok());
        for text in ["", "a b", "a/b", "a&b", "é"] {
            assert!(UploadId::parse(text).is_err(), "{text:?} was taken");
        }
    }
}
