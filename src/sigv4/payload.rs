//! What `x-amz-content-sha256` says about the body.
//!
//! AWS: "Signature Calculations for the Authorization Header", "Transferring Payload in Multiple
//! Chunks".

use super::chunked::Signing;
use crate::signature::{SignatureError, SignedRequest, shortened};

/// The name of the header and, in a presigned link, of the parameter `X-Amz-Content-Sha256`.
pub(super) const CONTENT_SHA256: &str = "x-amz-content-sha256";
/// Its value for a body that is not signed.
pub(super) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// How the body is protected, once the request's own signature holds.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Not at all: the body may be anything.
    Unsigned,
    /// By the SHA-256 of all of it, which the reader of the body must compare.
    Sha256([u8; 32]),
    /// By a signature for each chunk, and for the trailers if it has any.
    Streaming(Signing),
    /// Not at all, but it comes in chunks, with trailers behind them.
    StreamingUnsignedTrailer,
}

/// A declaration, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    Unsigned,
    Sha256([u8; 32]),
    Streaming { trailer: bool },
    StreamingUnsignedTrailer,
}

impl Declared {
    /// Reads the value of `x-amz-content-sha256` that a request gives or implies.
    ///
    /// S3: a body that is not signed cannot be in chunks (versitygw pull request 2427); taken as it
    /// is, the object would be made of their framing.
    pub(super) fn read(request: &SignedRequest<'_>, value: &str) -> Result<Self, SignatureError> {
        let declared = Self::parse(value)?;
        if declared == Self::Unsigned && is_aws_chunked(request) {
            return Err(SignatureError::InvalidArgument {
                message: "aws-chunked encoding is not supported when x-amz-content-sha256 UNSIGNED-PAYLOAD is supplied.",
                name: "content-encoding",
                value: shortened(request.header("content-encoding").unwrap_or_default()),
            });
        }
        Ok(declared)
    }

    fn parse(value: &str) -> Result<Self, SignatureError> {
        match value {
            UNSIGNED_PAYLOAD => Ok(Self::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::Streaming { trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::Streaming { trailer: true }),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::StreamingUnsignedTrailer),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(SignatureError::NotImplemented { header: CONTENT_SHA256, value: value.to_owned() })
            }
            digits => {
                let mut sha256 = [0; 32];
                hex::decode_to_slice(digits, &mut sha256).map_err(|_| invalid(value))?;
                Ok(Self::Sha256(sha256))
            }
        }
    }
}

fn invalid(value: &str) -> SignatureError {
    SignatureError::InvalidArgument {
        message: "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        name: CONTENT_SHA256,
        value: shortened(value),
    }
}

/// What an anonymous or version 2 request says about its body.
///
/// S3: clients that send a trailing checksum without version 4 (`--no-sign-request`) say so by
/// `Content-Encoding: aws-chunked` alone.
pub fn unsigned_payload(request: &SignedRequest<'_>) -> Result<Payload, SignatureError> {
    let Some(value) = request.header(CONTENT_SHA256) else {
        return Ok(if is_aws_chunked(request) {
            Payload::StreamingUnsignedTrailer
        } else {
            Payload::Unsigned
        });
    };
    match Declared::read(request, value)? {
        Declared::Unsigned => Ok(Payload::Unsigned),
        Declared::Sha256(sha256) => Ok(Payload::Sha256(sha256)),
        Declared::StreamingUnsignedTrailer => Ok(Payload::StreamingUnsignedTrailer),
        Declared::Streaming { .. } => Err(SignatureError::InvalidRequest(
            "Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.",
        )),
    }
}

fn is_aws_chunked(request: &SignedRequest<'_>) -> bool {
    let values = request.headers.get_all(http::header::CONTENT_ENCODING);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked"))
}
