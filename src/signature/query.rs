//! The query string, read the way S3 reads it.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::encode_component;

/// The parameters of a query, decoded, in the order received.
///
/// S3: `+` means a space here, so a literal plus arrives as `%2B`; a name without `=` has the
/// empty value. Names and values may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    /// Reads a raw query, without its `?`. Every text is a query.
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter; `None` if it is absent or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| found == name.as_bytes())?;
        std::str::from_utf8(value).ok()
    }

    /// Whether the parameter is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name.as_bytes())
    }

    /// All parameters.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The canonical query string of version 4, without the parameter `excluded`.
    ///
    /// AWS: encoded first, then sorted by the encoded names and values.
    pub fn canonical(&self, excluded: &str) -> String {
        let mut pairs: Vec<_> = self
            .pairs()
            .filter(|(name, _)| *name != excluded.as_bytes())
            .map(|(name, value)| (encode_component(name), encode_component(value)))
            .collect();
        pairs.sort_unstable();
        let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

fn decode(text: &str) -> Vec<u8> {
    let spaced: Cow<'_, [u8]> = if text.contains('+') {
        text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect::<Vec<_>>().into()
    } else {
        text.as_bytes().into()
    };
    percent_decode(&spaced).collect()
}
