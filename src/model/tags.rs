//! Object tags.
//!
//! AWS: "Categorizing your objects using tags": at most 10 an object, keys of 1 to 128 and values
//! of 0 to 256 characters, keys unique; "Tag naming limits": which characters, and no `aws:`.

/// The tags of an object, ordered by key.
///
/// Invariants: at most 10; unique keys of 1 to 128 characters, none of which begins with `aws:`;
/// values of at most 256 characters; all of them letters, digits, blanks and `_ . : / = + - @`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Tags(std::collections::BTreeMap<String, String>);

/// Why tags were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// More than ten.
    #[error("Object tags cannot be greater than 10")]
    TooMany,
    /// A key of AWS's own.
    #[error("Your TagKey cannot be prefixed with aws:")]
    System(String),
    /// The same key twice.
    #[error("Cannot provide multiple Tags with the same key")]
    Duplicate(String),
    /// A key of 0 or more than 128 characters, or with one that no tag may have.
    #[error("The TagKey you have provided is invalid")]
    Key(String),
    /// A value of more than 256 characters, or with one that no tag may have.
    #[error("The TagValue you have provided is invalid")]
    Value {
        /// Its key.
        key: String,
        /// The value.
        value: String,
    },
    /// The header is not a query string of tags, or names one twice. It is kept here.
    #[error(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
    )]
    Header(String),
}

impl Tags {
    /// Checks a list of tags.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidTags> {
        let mut tags = std::collections::BTreeMap::new();
        for (key, value) in pairs {
            if tags.contains_key(&key) {
                return Err(InvalidTags::Duplicate(key));
            }
            if key.starts_with("aws:") {
                return Err(InvalidTags::System(key));
            }
            if !(1..=128).contains(&key.chars().count()) || !key.chars().all(is_allowed) {
                return Err(InvalidTags::Key(key));
            }
            if value.chars().count() > 256 || !value.chars().all(is_allowed) {
                return Err(InvalidTags::Value { key, value });
            }
            tags.insert(key, value);
        }
        if tags.len() > 10 { Err(InvalidTags::TooMany) } else { Ok(Self(tags)) }
    }

    /// Reads the header `x-amz-tagging`: `key=value` pairs as in a query string.
    ///
    /// S3: a key that comes twice and a character that no tag may have are faults of the header.
    pub fn parse_header(header: &str) -> Result<Self, InvalidTags> {
        let malformed = || InvalidTags::Header(header.to_owned());
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key)?, decode(value)?);
            key.chars().chain(value.chars()).all(is_allowed).then_some((key, value))
        };
        let pairs = header.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(pair).collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
        Self::new(pairs).map_err(|reason| match reason {
            InvalidTags::Duplicate(_) => malformed(),
            other @ (InvalidTags::TooMany
            | InvalidTags::System(_)
            | InvalidTags::Key(_)
            | InvalidTags::Value { .. }
            | InvalidTags::Header(_)) => other,
        })
    }

    /// The tags, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are, for `x-amz-tagging-count`.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// AWS: `Tag`: `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
fn is_allowed(character: char) -> bool {
    let is_blank = || character.is_whitespace() && !character.is_control();
    character.is_alphanumeric() || is_blank() || "_.:/=+-@".contains(character)
}

/// Undoes the encoding of a form; `None` where a `%` begins no escape, or the bytes are no text.
fn decode(text: &str) -> Option<String> {
    let is_escape = |rest: &str| {
        rest.as_bytes().first_chunk().is_some_and(|digits: &[u8; 2]| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    let decoded =
        percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().ok()?.into_owned();
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::{InvalidTags, Tags};

    #[test]
    fn headers_are_query_strings() {
        let tags = Tags::parse_header("b=2&a=x%20y+z&c").expect("tags");
        assert_eq!(tags.iter().collect::<Vec<_>>(), [("a", "x y z"), ("b", "2"), ("c", "")]);
    }

    #[test]
    fn limits_hold() {
        let header = |text: &str| InvalidTags::Header(text.to_owned());
        let eleven = (0..11).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join("&");
        for (header, expected) in [
            (eleven.as_str(), InvalidTags::TooMany),
            ("a=1&a=2", header("a=1&a=2")),
            ("a=1&%61=2", header("a=1&%61=2")),
            ("=1", InvalidTags::Key(String::new())),
            ("a=%FF", header("a=%FF")),
            ("%zz=1", header("%zz=1")),
            ("a=%", header("a=%")),
            ("a=%4", header("a=%4")),
            ("a=b!", header("a=b!")),
            ("a%0A=b", header("a%0A=b")),
            ("aws:a=1", InvalidTags::System("aws:a".to_owned())),
            ("aws%3Acreated=1", InvalidTags::System("aws:created".to_owned())),
        ] {
            assert_eq!(Tags::parse_header(header), Err(expected), "{header}");
        }
    }

    #[test]
    fn keys_and_values_are_those_that_s3_takes() {
        let pair = |key: &str, value: &str| Tags::new([(key.to_owned(), value.to_owned())]);
        for text in ["a", "Größe", "版本", "a b", "_.:/=+-@", "AWS:a", "xaws:", "1"] {
            assert!(pair(text, text).is_ok(), "{text}");
        }
        let value = |text: &str| InvalidTags::Value { key: "a".to_owned(), value: text.to_owned() };
        for (key, value, expected) in [
            ("aws:", "", InvalidTags::System("aws:".to_owned())),
            ("a!", "", InvalidTags::Key("a!".to_owned())),
            ("a", "b\n", value("b\n")),
            ("a", "<b>", value("<b>")),
        ] {
            assert_eq!(pair(key, value), Err(expected), "{key} {value}");
        }
        let twice = ["a", "a"].map(|key| (key.to_owned(), String::new()));
        assert_eq!(Tags::new(twice), Err(InvalidTags::Duplicate("a".to_owned())));
    }
}
