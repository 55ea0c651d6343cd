//! What the headers say about a chunked body before it comes.

use http::{HeaderMap, HeaderName};

use crate::model::ChecksumAlgorithm;

/// What a chunked body must turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// `x-amz-decoded-content-length`: the number of bytes without the framing.
    pub decoded_length: u64,
    /// `x-amz-trailer`: exactly the trailers that must come.
    pub trailers: Vec<HeaderName>,
}

/// Why the announcement cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnnouncement {
    /// `MissingContentLength`: there is no readable `x-amz-decoded-content-length`.
    #[error("You must provide the Content-Length HTTP header.")]
    DecodedLength,
    /// `InvalidRequest`: a trailer that is not an additional checksum.
    #[error("The value specified in the x-amz-trailer header is not supported")]
    Trailer(String),
}

impl Announced {
    /// Reads `x-amz-decoded-content-length` and `x-amz-trailer`.
    pub fn read(headers: &HeaderMap) -> Result<Self, InvalidAnnouncement> {
        let decoded_length = headers
            .get("x-amz-decoded-content-length")
            .and_then(|value| value.to_str().ok())
            // `u64::from_str` would also take a sign.
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or(InvalidAnnouncement::DecodedLength)?;
        let trailers = headers
            .get_all("x-amz-trailer")
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty())
            .map(trailer_name)
            .collect::<Result<_, _>>()?;
        Ok(Self { decoded_length, trailers })
    }
}

fn trailer_name(name: &[u8]) -> Result<HeaderName, InvalidAnnouncement> {
    let text = String::from_utf8_lossy(name);
    let unsupported = || InvalidAnnouncement::Trailer(text.chars().take(80).collect());
    let algorithm = ChecksumAlgorithm::of_header(&text).ok_or_else(unsupported)?;
    Ok(HeaderName::from_static(algorithm.header()))
}
