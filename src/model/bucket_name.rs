//! Bucket names.
//!
//! AWS: "Bucket naming rules" (general purpose buckets).

use std::fmt;

/// A valid bucket name.
///
/// Names that S3 or Google keep for themselves are names all the same: who reads may meet them (an
/// access point's alias stands in the place of a bucket), and only who makes a bucket is refused.
///
/// Invariants: 3 to 63 bytes of `a-z`, `0-9`, `.` and `-`; begins and ends with a letter or a
/// digit; no two adjacent periods; not shaped like an IPv4 address; not starting with `xn--`.
///
/// A name is therefore a DNS label sequence: it needs no escaping in a path, a host or XML.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(Box<str>);

/// Why a text is not a bucket name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a bucket name: it {rule}")]
pub struct InvalidBucketName {
    name: String,
    rule: &'static str,
}

impl BucketName {
    /// Reads a bucket name.
    pub fn parse(text: &str) -> Result<Self, InvalidBucketName> {
        match broken_rule(text) {
            None => Ok(Self(text.into())),
            Some(rule) => Err(InvalidBucketName { name: shortened(text), rule }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why S3 would make no bucket of this name. `xn--` in front is no name at all.
    ///
    /// AWS: "General purpose bucket naming rules".
    pub fn reserved_by_s3(&self) -> Option<InvalidBucketName> {
        const PREFIXES: [&str; 2] = ["sthree-", "amzn-s3-demo-"];
        const SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
        let begins = PREFIXES.into_iter().any(|prefix| self.0.starts_with(prefix));
        let ends = SUFFIXES.into_iter().any(|suffix| self.0.ends_with(suffix));
        let rule = match (begins, ends) {
            (true, _) => "has a prefix that S3 reserves",
            (_, true) => "has a suffix that S3 reserves",
            (false, false) => return None,
        };
        Some(InvalidBucketName { name: self.0.to_string(), rule })
    }

    /// Why Google would make no bucket of this name.
    ///
    /// GCS: "Bucket names": no `goog` in front, and neither `google` nor close misspellings in it.
    pub fn reserved_by_google(&self) -> Option<InvalidBucketName> {
        let rule = if self.0.starts_with("goog") {
            "must not begin with 'goog'"
        } else if ["google", "g00gle"].into_iter().any(|name| self.0.contains(name)) {
            "must not contain 'google' or a close misspelling of it"
        } else {
            return None;
        };
        Some(InvalidBucketName { name: self.0.to_string(), rule })
    }
}

/// A hostile name may be megabytes; an error message carries only its beginning.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

fn broken_rule(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !(3..=63).contains(&bytes.len()) {
        return Some("must be 3 to 63 characters long");
    }
    if !bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'-')) {
        return Some("may hold only a-z, 0-9, '.' and '-'");
    }
    if !(bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric)) {
        return Some("must begin and end with a letter or a digit");
    }
    if text.contains("..") {
        return Some("must not hold two adjacent periods");
    }
    if text.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some("must not be formatted as an IP address");
    }
    if text.starts_with("xn--") {
        return Some("must not start with 'xn--'");
    }
    None
}

impl fmt::Display for BucketName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for BucketName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BucketName({})", self.0)
    }
}

impl std::str::FromStr for BucketName {
    type Err = InvalidBucketName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl<'de> serde::Deserialize<'de> for BucketName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for BucketName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::BucketName;

    #[test]
    fn names_that_s3_takes_are_taken() {
        let long = "a".repeat(63);
        for name in [
            "abc",
            "net-mozaws-stage-delivery-firefox",
            "moz-fx-productdelivery-no-7d6a-productdelivery",
            "my.bucket.with.dots",
            "1bucket",
            "a-.b",
            long.as_str(),
        ] {
            assert_eq!(BucketName::parse(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn reserved_names_can_be_read_and_not_made() {
        let name = |text: &str| BucketName::parse(text).expect("a name");
        for text in [
            "sthree-a",
            "sthree-configurator-a",
            "amzn-s3-demo-bucket",
            "access-point-1234567890-s3alias",
            "a--ol-s3",
            "abc.mrap",
            "a--usw2-az1--x-s3",
            "a--table-s3",
        ] {
            assert!(name(text).reserved_by_s3().is_some(), "{text}");
            assert_eq!(name(text).reserved_by_google(), None, "{text}");
        }
        for text in ["goog", "googa", "my-google-bucket", "a-g00gle"] {
            assert!(name(text).reserved_by_google().is_some(), "{text}");
            assert_eq!(name(text).reserved_by_s3(), None, "{text}");
        }
        for text in [
            "net-mozaws-stage-delivery-firefox",
            "moz-fx-productdelivery-pr-38b5-productdelivery",
            "sthree",
            "my-amzn-s3-demo-bucket",
            "s3alias",
            "mrap",
            "x-s3",
            "a-goog",
        ] {
            assert_eq!(name(text).reserved_by_s3(), None, "{text}");
            assert_eq!(name(text).reserved_by_google(), None, "{text}");
        }
    }

    #[test]
    fn names_that_s3_refuses_are_refused() {
        let long = "a".repeat(64);
        for name in [
            "",
            "ab",
            "Abc",
            "under_score",
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "a..b",
            "192.168.0.1",
            "xn--bucket",
            "sp ace",
            "a/b",
            "ümlaut",
            "abc\0",
            long.as_str(),
        ] {
            assert!(BucketName::parse(name).is_err(), "{name:?} was taken");
        }
    }
}
