//! Percent-encoding as S3 defines it for signatures.
//!
//! AWS: "Create a signed AWS API request", `UriEncode`: everything but the unreserved characters
//! of RFC 3986 is escaped with upper-case digits, a space is `%20`; `/` stays in paths alone.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

const ALL_BUT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ALL_BUT_PATH: &AsciiSet = &ALL_BUT_UNRESERVED.remove(b'/');

/// Encodes a decoded path, keeping `/`. Nothing is normalised: `//` and `..` stay.
pub fn encode_path(path: &[u8]) -> String {
    percent_encode(path, ALL_BUT_PATH).to_string()
}

/// Encodes a decoded name or value of a query.
pub fn encode_component(text: &[u8]) -> String {
    percent_encode(text, ALL_BUT_UNRESERVED).to_string()
}

/// Decodes a raw path once. `+` stands for itself; a `%` that begins no escape stays.
pub fn decode_path(path: &str) -> Cow<'_, [u8]> {
    percent_decode_str(path).into()
}

/// A path that names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// A `%` that two hexadecimal digits do not follow: taken literally, it would be a second
    /// spelling of the key in which it is escaped.
    #[error("a '%' in the path is not followed by two hexadecimal digits: write '%25' for a '%'")]
    BrokenEscape,
    /// The decoded bytes are not text.
    #[error("the path is not UTF-8 when decoded")]
    NotUtf8,
}

/// Reads a raw path, or a piece of one, into the text that it names. It is decoded once.
pub fn read_path(raw: &str) -> Result<String, InvalidPath> {
    let digits = |rest: &str| {
        rest.as_bytes().first_chunk().is_some_and(|two: &[u8; 2]| two.iter().all(u8::is_ascii_hexdigit))
    };
    if !raw.split('%').skip(1).all(digits) {
        return Err(InvalidPath::BrokenEscape);
    }
    String::from_utf8(decode_path(raw).into_owned()).map_err(|_| InvalidPath::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::{InvalidPath, read_path};

    #[test]
    fn a_path_has_one_reading_or_none() {
        for (raw, expected) in [
            ("/a%20b+c//..%2F", Ok("/a b+c//../")),
            ("/%25", Ok("/%")),
            ("/%2525", Ok("/%25")),
            ("/%C3%A9", Ok("/é")),
            ("/%", Err(InvalidPath::BrokenEscape)),
            ("/%4", Err(InvalidPath::BrokenEscape)),
            ("/%zz", Err(InvalidPath::BrokenEscape)),
            ("/%é", Err(InvalidPath::BrokenEscape)),
            ("/%FF", Err(InvalidPath::NotUtf8)),
        ] {
            assert_eq!(read_path(raw), expected.map(str::to_owned), "{raw}");
        }
    }
}
