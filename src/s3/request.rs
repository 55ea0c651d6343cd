//! Typed reading of the headers that several operations share.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::{Code, Error};
use crate::model::{
    ChecksumAlgorithm, ChecksumKind, InvalidMetadata, Metadata, SystemHeader, Tags, VersionId,
};
use crate::protocol::query::Query;

/// The value of a header as text. Values that are not UTF-8 count as absent.
pub(super) fn text<'headers>(headers: &'headers HeaderMap, name: &str) -> Option<&'headers str> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}

/// Reads what is to be kept with an object: standard headers and user metadata.
///
/// # Errors
/// `MetadataTooLarge`, `InvalidArgument`.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Error> {
    let mut metadata = Metadata::default();
    for header in SystemHeader::ALL {
        let Some(value) = system_value(headers, header) else { continue };
        if !value.is_empty() {
            metadata.set_system(header, &value).map_err(|reason| refused(&reason))?;
        }
    }
    for (name, value) in headers {
        let Some(name) = user_metadata(name.as_str()) else { continue };
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            Error::with_message(Code::InvalidArgument, format!("the value of x-amz-meta-{name} is not UTF-8"))
        })?;
        metadata.add_user(name, value).map_err(|reason| refused(&reason))?;
    }
    Ok(metadata)
}

/// The name of user metadata in a header's name. Google takes a store's own header and S3's alike.
fn user_metadata(header: &str) -> Option<&str> {
    header.strip_prefix("x-amz-meta-").or_else(|| header.strip_prefix("x-goog-meta-"))
}

/// The value of a standard header.
///
/// Several lines of a list are one list (RFC 9110 section 5.3): SDKs send `aws-chunked` on a line of
/// its own beside what the object is encoded with. Of everything else the first line counts, which
/// for Content-Type is the one that signature version 2 covers.
fn system_value(headers: &HeaderMap, header: SystemHeader) -> Option<String> {
    match header {
        SystemHeader::CacheControl | SystemHeader::ContentLanguage => Some(lines(headers, header)),
        SystemHeader::ContentEncoding => Some(without_aws_chunked(&lines(headers, header))),
        SystemHeader::ContentDisposition
        | SystemHeader::ContentType
        | SystemHeader::Expires
        | SystemHeader::WebsiteRedirectLocation => text(headers, header.name()).map(str::to_owned),
    }
}

fn lines(headers: &HeaderMap, header: SystemHeader) -> String {
    let lines = headers.get_all(header.name()).iter();
    let lines: Vec<_> = lines.filter_map(|line| std::str::from_utf8(line.as_bytes()).ok()).collect();
    lines.join(",")
}

/// `aws-chunked` says how the body travelled, not what it is: it is never stored. The rest is stored
/// exactly as it was sent.
fn without_aws_chunked(value: &str) -> String {
    let kept = value.split(',').filter(|coding| !coding.trim().eq_ignore_ascii_case("aws-chunked"));
    kept.collect::<Vec<_>>().join(",").trim().to_owned()
}

/// How metadata that cannot be kept is refused.
pub(super) fn refused(reason: &InvalidMetadata) -> Error {
    match reason {
        InvalidMetadata::TooLarge(size) => Error::with_message(Code::MetadataTooLarge, reason.to_string())
            .field("Size", size.to_string())
            .field("MaxSizeAllowed", Metadata::USER_BYTES_MAX.to_string()),
        InvalidMetadata::CustomTooLarge(_) | InvalidMetadata::NotAHeader(_) => {
            Error::with_message(Code::InvalidArgument, reason.to_string())
        }
    }
}

/// Reads the header `x-amz-tagging`.
///
/// # Errors
/// `InvalidArgument`, `InvalidTag`.
pub(super) fn tags(headers: &HeaderMap) -> Result<Tags, Error> {
    // What is no text is refused for its replacement characters, which no tag may have.
    let header = headers.get("x-amz-tagging").map(|value| String::from_utf8_lossy(value.as_bytes()));
    Ok(Tags::parse_header(&header.unwrap_or_default())?)
}

/// How listings write keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are.
    Plain,
    /// Percent-encoded: for keys that XML cannot carry.
    Url,
}

/// AWS: `encoding-type=url`: what stays as it is, besides letters and digits.
///
/// Clients decode with their `unquote_plus`, so a `+` must be encoded.
const URL_ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'*');

impl Encoding {
    /// A key, prefix, delimiter or marker as it stands in the document.
    pub(super) fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(text),
            Self::Url => utf8_percent_encode(text, URL_ENCODED).into(),
        }
    }

    /// The value of `EncodingType`, without which clients take `%20` literally.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Url => Some("url"),
        }
    }
}

/// Reads `encoding-type`.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn encoding(query: &Query) -> Result<Encoding, Error> {
    match query.get("encoding-type") {
        None | Some("") => Ok(Encoding::Plain),
        Some("url") => Ok(Encoding::Url),
        Some(other) => Err(Error::invalid_argument(
            "encoding-type",
            other,
            "Invalid Encoding Method specified in Request",
        )),
    }
}

/// Reads a count such as `max-keys`: absent means `most`, and more than that is cut to it, as S3
/// does.
///
/// # Errors
/// `InvalidArgument` where it is not a number from 0 on.
pub(super) fn count(query: &Query, name: &'static str, most: usize) -> Result<usize, Error> {
    match query.get(name) {
        None | Some("") => Ok(most),
        Some(text) => match text.parse::<i32>() {
            Ok(count) => usize::try_from(count).map(|count| count.min(most)).map_err(|_| {
                Error::invalid_argument(
                    name,
                    text,
                    format!("Argument {name} must be an integer between 0 and 2147483647"),
                )
            }),
            Err(_) => Err(Error::invalid_argument(
                name,
                text,
                format!("Provided {name} not an integer or within integer range"),
            )),
        },
    }
}

/// Reads `versionId`.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn version_id(query: &Query) -> Result<Option<VersionId>, Error> {
    query.get("versionId").map(parse_version_id).transpose()
}

/// Reads a version id, wherever it stood.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn parse_version_id(text: &str) -> Result<VersionId, Error> {
    VersionId::parse(text).map_err(|reason| Error::invalid_argument("versionId", text, reason.to_string()))
}

/// Reads `x-amz-checksum-algorithm`.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn checksum_algorithm(headers: &HeaderMap) -> Result<Option<ChecksumAlgorithm>, Error> {
    Ok(text(headers, "x-amz-checksum-algorithm").map(ChecksumAlgorithm::parse).transpose()?)
}

/// Reads `x-amz-checksum-type`.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn checksum_kind(headers: &HeaderMap) -> Result<Option<ChecksumKind>, Error> {
    Ok(text(headers, "x-amz-checksum-type").map(ChecksumKind::parse).transpose()?)
}

/// Reads `x-amz-mp-object-size`, in bytes.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn multipart_size(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let Some(text) = text(headers, "x-amz-mp-object-size") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Error::with_message(Code::InvalidRequest, "Value for x-amz-mp-object-size header is invalid.")
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::metadata;
    use crate::model::SystemHeader;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
            (name.parse().expect("a name"), value.parse().expect("a value"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn aws_chunked_is_never_stored() {
        for (sent, stored) in [
            ("aws-chunked", None),
            ("aws-chunked,gzip", Some("gzip")),
            ("gzip, AWS-Chunked", Some("gzip")),
            ("gzip", Some("gzip")),
            ("br, gzip", Some("br, gzip")),
            ("deflate, gzip", Some("deflate, gzip")),
            ("deflate,gzip", Some("deflate,gzip")),
            ("deflate , gzip, aws-chunked", Some("deflate , gzip")),
            ("aws-chunked, deflate, gzip", Some("deflate, gzip")),
            ("deflate, aws-chunked, gzip", Some("deflate, gzip")),
        ] {
            let metadata = metadata(&headers(&[("content-encoding", sent)])).expect("metadata");
            assert_eq!(metadata.system(SystemHeader::ContentEncoding), stored, "{sent}");
        }
    }

    #[test]
    fn a_header_on_several_lines_is_one_list() {
        for lines in [["aws-chunked", "gzip"], ["gzip", "aws-chunked"]] {
            let mut sent = HeaderMap::new();
            for line in lines {
                sent.append("content-encoding", HeaderValue::from_static(line));
            }
            let metadata = metadata(&sent).expect("metadata");
            assert_eq!(metadata.system(SystemHeader::ContentEncoding), Some("gzip"), "{lines:?}");
        }
        let mut sent = headers(&[("content-type", "text/plain")]);
        sent.append("content-type", HeaderValue::from_static("text/html"));
        let metadata = metadata(&sent).expect("metadata");
        assert_eq!(metadata.system(SystemHeader::ContentType), Some("text/plain"), "only this was signed");
    }

    #[test]
    fn user_metadata_loses_its_prefix() {
        let metadata =
            metadata(&headers(&[("x-amz-meta-build", "1"), ("x-amz-date", "2")])).expect("metadata");
        assert_eq!(metadata.user().collect::<Vec<_>>(), [("build", "1")]);
    }
}
