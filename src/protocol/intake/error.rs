//! Why a body was refused, in S3's words.

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::model::ChecksumAlgorithm;
use crate::protocol::body::BodyError;
use crate::sigv4::chunked::DecodeError;
use crate::store;

/// Why a body was refused. `Display` is the message that S3 sends; each variant is one of its
/// codes, named where the variant's name is not the code.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The request does not say how long its body is.
    #[error("You must provide the Content-Length HTTP header.")]
    MissingContentLength,
    /// `NotImplemented`: only the end of the body would tell its length.
    #[error("A header you provided implies functionality that is not implemented")]
    TransferEncoding,
    /// The body would be larger than one PUT may be.
    #[error("Your proposed upload exceeds the maximum allowed object size.")]
    EntityTooLarge {
        /// `ProposedSize`, in bytes.
        proposed_bytes: u64,
        /// `MaxSizeAllowed`, in bytes.
        max_bytes: u64,
    },
    /// `MaxMessageLengthExceeded`: a document is larger than documents may be.
    #[error("Your request was too big.")]
    DocumentTooLarge {
        /// `MaxMessageLengthBytes`.
        max_bytes: usize,
    },
    /// `SlowDown`: the documents of other requests fill the memory that there is for them.
    #[error("Please reduce your request rate: too many large documents are under way.")]
    TooManyDocuments,
    /// `Content-MD5` is not the base64 of 16 bytes.
    #[error("The Content-MD5 you specified was invalid.")]
    InvalidDigest {
        /// `Content-MD5`: what the header holds.
        content_md5: String,
    },
    /// The headers contradict each other, or ask for what does not exist.
    #[error("{0}")]
    InvalidRequest(String),
    /// The bytes are not those of `Content-MD5`.
    #[error("The Content-MD5 you specified did not match what we received.")]
    BadDigest {
        /// `ExpectedDigest`: base64 of the header's value.
        expected: String,
        /// `CalculatedDigest`: base64 of the MD5 of what came.
        calculated: String,
    },
    /// `BadDigest`: the bytes are not those of the additional checksum.
    #[error("The {} you specified did not match the calculated checksum.", .0.name())]
    ChecksumMismatch(ChecksumAlgorithm),
    /// The bytes are not those that the signature is about.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    XAmzContentSHA256Mismatch {
        /// `ClientComputedContentSHA256`, in hexadecimal.
        client: String,
        /// `S3ComputedContentSHA256`, in hexadecimal.
        computed: String,
    },
    /// More or fewer bytes than `Content-Length` says.
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    IncompleteBody,
    /// `MalformedTrailerError`: the announced trailer did not come.
    #[error(
        "The request contained trailing data that was not well-formed or did not conform to our published schema."
    )]
    MalformedTrailer,
    /// The framing of a chunked body, or a signature in it.
    #[error(transparent)]
    Chunked(#[from] DecodeError),
    /// `IncompleteBody` or `RequestTimeout`: the connection broke or fell silent.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The bytes could not be kept.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl IntakeError {
    pub(super) fn bad_digest(expected: [u8; 16], calculated: [u8; 16]) -> Self {
        Self::BadDigest {
            expected: BASE64_STANDARD.encode(expected),
            calculated: BASE64_STANDARD.encode(calculated),
        }
    }

    pub(super) fn sha256_mismatch(client: [u8; 32], computed: &[u8]) -> Self {
        Self::XAmzContentSHA256Mismatch { client: hex::encode(client), computed: hex::encode(computed) }
    }

    /// A header of the checksum family that cannot be read.
    pub(super) fn invalid_value(header: &str) -> Self {
        Self::InvalidRequest(format!("Value for {header} header is invalid."))
    }

    /// S3: more than one additional checksum, whether as headers or trailers.
    pub(super) fn several_checksums() -> Self {
        Self::InvalidRequest(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.".to_owned(),
        )
    }
}
