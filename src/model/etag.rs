//! Entity tags.
//!
//! AWS: "Common response headers", `ETag`: the MD5 of the bytes for an object written in one
//! request, and "MD5 of the parts' MD5s, dash, number of parts" for a multipart upload.

use std::fmt;

use super::Timestamp;

/// The entity tag of an object or a part, without its quotes.
///
/// Invariant: 1 to 128 visible ASCII characters other than `"`, so that it is always a valid
/// header value and quoting it is always unambiguous.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ETag(Box<str>);

/// Why a text is not an entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an ETag is 1 to 128 visible ASCII characters other than a quotation mark")]
pub struct InvalidETag;

impl ETag {
    /// The tag of bytes written in one request.
    pub fn of_md5(md5: [u8; 16]) -> Self {
        Self(hex::encode(md5).into())
    }

    /// The tag of a completed multipart upload.
    ///
    /// `md5_of_md5s` is the MD5 of the parts' binary MD5s, in order.
    pub fn of_parts(md5_of_md5s: [u8; 16], parts: usize) -> Self {
        Self(format!("{}-{parts}", hex::encode(md5_of_md5s)).into())
    }

    /// The tag of an object that has none of its own, made of its time and, where it is known, its size.
    ///
    /// The hyphen keeps it from being taken for an MD5.
    pub fn of_time_and_size(modified: Timestamp, size_bytes: Option<u64>) -> Self {
        let size = size_bytes.map_or_else(|| "unsized".to_owned(), |size| format!("{size:x}"));
        Self(format!("{:x}-{size}", modified.as_seconds()).into())
    }

    /// Reads a tag with or without its quotes. Weak tags (`W/"…"`) are not S3's.
    pub fn parse(text: &str) -> Result<Self, InvalidETag> {
        let text = text.trim();
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let visible = bare.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if (1..=128).contains(&bare.len()) && visible { Ok(Self(bare.into())) } else { Err(InvalidETag) }
    }

    /// The tag without quotes, as it is compared and stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    /// With quotes, as it stands in headers and XML.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ETag({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ETag;

    #[test]
    fn quotes_are_optional_on_the_way_in_and_present_on_the_way_out() {
        for text in ["\"abc-2\"", "abc-2", " \"abc-2\" "] {
            assert_eq!(ETag::parse(text).map(|tag| tag.to_string()), Ok("\"abc-2\"".to_owned()));
        }
    }

    #[test]
    fn what_could_break_out_of_its_quotes_is_refused() {
        for text in ["", "\"\"", "a\"b", "a b", "a\r\nb", "é"] {
            assert!(ETag::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn multipart_tags_count_their_parts() {
        assert_eq!(ETag::of_parts([0xab; 16], 3).as_str(), format!("{}-3", "ab".repeat(16)));
    }
}
