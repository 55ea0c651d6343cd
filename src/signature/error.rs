//! Why a signature was refused, in S3's words.
//!
//! `Display` is the message that S3 sends; the fields are those of its error documents. No secret
//! and no signing key is ever part of an error.
//!
//! AWS: "Error responses", "Signature Calculations for the Authorization Header", "Authenticating
//! Requests: Using Query Parameters".

use crate::model::{AccessKeyId, Timestamp};

/// The signature is not the one that the secret gives: what we computed, so that a person can see
/// which byte differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Whose secret was used.
    pub access_key_id: AccessKeyId,
    /// What we signed.
    pub string_to_sign: String,
    /// What its last line is the hash of; version 2 and chunks have none.
    pub canonical_request: Option<String>,
    /// What the client sent.
    pub signature_provided: String,
}

/// Why a request's signature was refused. Each variant is one of S3's codes (named where the
/// variant's name is not the code), with the fields of its document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// `SignatureDoesNotMatch`.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    DoesNotMatch(Box<Mismatch>),
    /// `AccessDenied`: a presigned link is too old.
    #[error("Request has expired")]
    Expired {
        /// `Expires`: the last moment it was good for.
        expires: Timestamp,
        /// `ServerTime`.
        server_time: Timestamp,
        /// `X-Amz-Expires`, in seconds; version 2 has none.
        x_amz_expires: Option<u32>,
    },
    /// `AccessDenied`: a presigned link was dated more than 15 minutes ahead.
    #[error("Request is not yet valid")]
    NotYetValid {
        /// The date of the link.
        valid_from: Timestamp,
        /// `ServerTime`.
        server_time: Timestamp,
    },
    /// `RequestTimeTooSkewed`.
    #[error("The difference between the request time and the current time is too large.")]
    RequestTimeTooSkewed {
        /// `RequestTime`: the date as the client wrote it.
        request_time: String,
        /// `ServerTime`.
        server_time: Timestamp,
        /// `MaxAllowedSkewMilliseconds`.
        max_allowed_skew_ms: i64,
    },
    /// `AuthorizationHeaderMalformed`: the header of version 4.
    #[error("The authorization header is malformed; {0}")]
    AuthorizationHeaderMalformed(String),
    /// `AuthorizationQueryParametersError`: the query of version 4.
    #[error("{0}")]
    AuthorizationQueryParametersError(String),
    /// `InvalidArgument`.
    #[error("{message}")]
    InvalidArgument {
        /// What is wrong.
        message: &'static str,
        /// `ArgumentName`.
        name: &'static str,
        /// `ArgumentValue`.
        value: String,
    },
    /// `InvalidRequest`.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// `AccessDenied`: a version 2 query or a date that cannot be read.
    #[error("{0}")]
    AccessDenied(String),
    /// `AccessDenied`: an `x-amz-…` header, or `host`, is not among the signed headers.
    #[error("There were headers present in the request which were not signed")]
    HeadersNotSigned {
        /// `HeadersNotSigned`: their names, joined by `, `.
        headers: String,
    },
    /// `InvalidAccessKeyId`: it could not be the id of any credential.
    #[error("The AWS Access Key Id you provided does not exist in our records.")]
    InvalidAccessKeyId {
        /// `AWSAccessKeyId`: what the client sent.
        provided: String,
    },
    /// `InvalidToken`: a session token, and none is ever issued here.
    #[error("The provided token is malformed or otherwise invalid.")]
    InvalidToken,
    /// `NotImplemented`: a signature or payload scheme that is not supported (ECDSA, SigV4A).
    #[error("A header you provided implies functionality that is not implemented")]
    NotImplemented {
        /// `Header`: which header or parameter.
        header: &'static str,
        /// What it asks for.
        value: String,
    },
}

/// The longest piece of a client's text that an error repeats.
const QUOTED_CHARS_MAX: usize = 1024;

/// The beginning of a client's text, for an error: a hostile one may be megabytes.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}
