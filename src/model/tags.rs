//! Object tags.
//!
//! AWS: "Categorizing your objects using tags": at most 10 a object, keys of 1 to 128 and values
//! of 0 to 256 characters, keys unique.

/// The tags of an object, ordered by key.
///
/// Invariants: at most 10; unique keys of 1 to 128 characters; values of at most 256 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Tags(std::collections::BTreeMap<String, String>);

/// Why tags were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// More than ten.
    #[error("Object tags cannot be greater than 10")]
    TooMany,
    /// The same key twice.
    #[error("Cannot provide multiple Tags with the same key: {0:?}")]
    Duplicate(String),
    /// A key of 0 or more than 128 characters.
    #[error("The TagKey you have provided is invalid: {0:?}")]
    Key(String),
    /// A value of more than 256 characters.
    #[error("The TagValue you have provided is invalid: {0:?}")]
    Value(String),
    /// The header is not a query string.
    #[error(
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates."
    )]
    Header,
}

impl Tags {
    /// Checks a list of tags.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidTags> {
        let mut tags = std::collections::BTreeMap::new();
        for (key, value) in pairs {
            if !(1..=128).contains(&key.chars().count()) {
                return Err(InvalidTags::Key(key));
            }
            if value.chars().count() > 256 {
                return Err(InvalidTags::Value(value));
            }
            if tags.contains_key(&key) {
                return Err(InvalidTags::Duplicate(key));
            }
            tags.insert(key, value);
        }
        if tags.len() > 10 { Err(InvalidTags::TooMany) } else { Ok(Self(tags)) }
    }

    /// Reads the header `x-amz-tagging`: `key=value` pairs as in a query string.
    pub fn parse_header(header: &str) -> Result<Self, InvalidTags> {
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(&text.replace('+', " "))
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| InvalidTags::Header)
        };
        let pairs = header
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(key)?, decode(value)?))
            })
            .collect::<Result<Vec<_>, InvalidTags>>()?;
        Self::new(pairs)
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
        let eleven = (0..11).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join("&");
        for (header, expected) in [
            (eleven.as_str(), InvalidTags::TooMany),
            ("a=1&a=2", InvalidTags::Duplicate("a".to_owned())),
            ("=1", InvalidTags::Key(String::new())),
            ("a=%FF", InvalidTags::Header),
        ] {
            assert_eq!(Tags::parse_header(header), Err(expected), "{header}");
        }
    }
}
