//! How each lower room's refusal is said in S3's words: one exhaustive match each, so that a new
//! variant does not compile until it is mapped.

use super::{Code, Error};
use crate::model::{ConditionFailed, InvalidChecksum, InvalidTags};
use crate::protocol::access::Denied;
use crate::protocol::auth::AuthError;
use crate::protocol::body::BodyError;
use crate::protocol::conditions::InvalidCondition;
use crate::protocol::intake::IntakeError;
use crate::protocol::miss;
use crate::protocol::query::InvalidQuery;
use crate::protocol::trouble::{Kind, Trouble};
use crate::signature::{Mismatch, SignatureError};
use crate::sigv4::chunked::DecodeError;
use crate::store;
use crate::view;
use crate::xml::MalformedXml;

impl From<AuthError> for Error {
    fn from(refused: AuthError) -> Self {
        match refused {
            AuthError::InvalidAccessKeyId(id) => {
                Self::new(Code::InvalidAccessKeyId).field("AWSAccessKeyId", id.as_str())
            }
            AuthError::Signature(refused) => refused.into(),
        }
    }
}

impl From<SignatureError> for Error {
    fn from(refused: SignatureError) -> Self {
        let words = refused.to_string();
        let error = |code| Self::with_message(code, words.clone());
        match refused {
            SignatureError::DoesNotMatch(mismatch) => (*mismatch).into(),
            SignatureError::Expired { expires, server_time, x_amz_expires } => {
                let error = match x_amz_expires {
                    Some(seconds) => error(Code::AccessDenied).field("X-Amz-Expires", seconds.to_string()),
                    None => error(Code::AccessDenied),
                };
                error
                    .field("Expires", expires.iso().to_string())
                    .field("ServerTime", server_time.iso().to_string())
            }
            SignatureError::NotYetValid { valid_from, server_time } => error(Code::AccessDenied)
                .field("ValidFrom", valid_from.iso().to_string())
                .field("ServerTime", server_time.iso().to_string()),
            SignatureError::RequestTimeTooSkewed { request_time, server_time, max_allowed_skew_ms } => {
                error(Code::RequestTimeTooSkewed)
                    .field("RequestTime", request_time)
                    .field("ServerTime", server_time.iso().to_string())
                    .field("MaxAllowedSkewMilliseconds", max_allowed_skew_ms.to_string())
            }
            SignatureError::AuthorizationHeaderMalformed(_) => error(Code::AuthorizationHeaderMalformed),
            SignatureError::AuthorizationQueryParametersError(_) => {
                error(Code::AuthorizationQueryParametersError)
            }
            SignatureError::InvalidArgument { name, value, .. } => {
                Self::invalid_argument(name, &value, words)
            }
            SignatureError::InvalidRequest(_) => error(Code::InvalidRequest),
            SignatureError::AccessDenied(_) => error(Code::AccessDenied),
            SignatureError::HeadersNotSigned { headers } => {
                error(Code::AccessDenied).field("HeadersNotSigned", headers)
            }
            SignatureError::InvalidAccessKeyId { provided } => {
                error(Code::InvalidAccessKeyId).field("AWSAccessKeyId", provided)
            }
            SignatureError::InvalidToken => error(Code::InvalidToken),
            SignatureError::NotImplemented { header, value } => {
                error(Code::NotImplemented).field("Header", header).field("Value", value)
            }
        }
    }
}

/// S3: the document shows what was signed, and both texts byte by byte, so that a person can see
/// which byte differs.
impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        let bytes = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let error = Self::new(Code::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", mismatch.access_key_id.as_str())
            .field("StringToSignBytes", bytes(&mismatch.string_to_sign))
            .field("StringToSign", mismatch.string_to_sign)
            .field("SignatureProvided", mismatch.signature_provided);
        match mismatch.canonical_request {
            None => error,
            Some(canonical) => {
                error.field("CanonicalRequestBytes", bytes(&canonical)).field("CanonicalRequest", canonical)
            }
        }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::new(Code::AccessDenied).caused_by(denied)
    }
}

impl From<InvalidQuery> for Error {
    fn from(invalid: InvalidQuery) -> Self {
        Self::with_message(Code::InvalidURI, invalid.to_string())
    }
}

impl From<MalformedXml> for Error {
    fn from(malformed: MalformedXml) -> Self {
        Self::with_message(Code::MalformedXML, format!("{malformed}: {}", malformed.reason))
    }
}

impl From<InvalidChecksum> for Error {
    fn from(invalid: InvalidChecksum) -> Self {
        Self::with_message(Code::InvalidRequest, invalid.to_string())
    }
}

impl From<InvalidTags> for Error {
    fn from(invalid: InvalidTags) -> Self {
        let words = invalid.to_string();
        let shortened = |text: &str| text.chars().take(1024).collect::<String>();
        let of =
            |key: &str| Self::with_message(Code::InvalidTag, words.clone()).field("TagKey", shortened(key));
        match &invalid {
            InvalidTags::TooMany => Self::with_message(Code::BadRequest, words),
            InvalidTags::Header(header) => Self::invalid_argument("x-amz-tagging", header, words),
            InvalidTags::System(key) | InvalidTags::Duplicate(key) | InvalidTags::Key(key) => of(key),
            InvalidTags::Value { key, value } => of(key).field("TagValue", shortened(value)),
        }
    }
}

impl From<InvalidCondition> for Error {
    fn from(invalid: InvalidCondition) -> Self {
        let words = invalid.to_string();
        match invalid {
            InvalidCondition::Malformed { header, value, .. } => {
                Self::invalid_argument(header, &value, words)
            }
            InvalidCondition::NotImplemented { header } => {
                Self::with_message(Code::NotImplemented, words).field("Header", header)
            }
        }
    }
}

impl From<DecodeError> for Error {
    fn from(broken: DecodeError) -> Self {
        let words = broken.to_string();
        match broken {
            DecodeError::Malformed(_) | DecodeError::Truncated | DecodeError::LengthMismatch { .. } => {
                Self::with_message(Code::IncompleteBody, words)
            }
            DecodeError::InvalidChunkSize { chunk, size } => {
                Self::with_message(Code::InvalidChunkSizeError, words)
                    .field("Chunk", chunk.to_string())
                    .field("BadChunkSize", size.to_string())
            }
            DecodeError::MalformedTrailer => Self::with_message(Code::MalformedTrailerError, words),
            DecodeError::SignatureDoesNotMatch(mismatch) => (*mismatch).into(),
        }
    }
}

impl From<IntakeError> for Error {
    fn from(refused: IntakeError) -> Self {
        let words = refused.to_string();
        let error = |code| Self::with_message(code, words.clone());
        match refused {
            IntakeError::MissingContentLength => error(Code::MissingContentLength),
            IntakeError::TransferEncoding => error(Code::NotImplemented).field("Header", "Transfer-Encoding"),
            IntakeError::EntityTooLarge { proposed_bytes, max_bytes } => error(Code::EntityTooLarge)
                .field("ProposedSize", proposed_bytes.to_string())
                .field("MaxSizeAllowed", max_bytes.to_string()),
            IntakeError::DocumentTooLarge { max_bytes } => {
                error(Code::MaxMessageLengthExceeded).field("MaxMessageLengthBytes", max_bytes.to_string())
            }
            IntakeError::TooManyDocuments => error(Code::SlowDown),
            IntakeError::InvalidDigest { content_md5 } => {
                error(Code::InvalidDigest).field("Content-MD5", content_md5)
            }
            IntakeError::InvalidRequest(_) => error(Code::InvalidRequest),
            IntakeError::BadDigest { expected, calculated } => {
                error(Code::BadDigest).field("ExpectedDigest", expected).field("CalculatedDigest", calculated)
            }
            IntakeError::ChecksumMismatch(_) => error(Code::BadDigest),
            IntakeError::XAmzContentSHA256Mismatch { client, computed } => {
                error(Code::XAmzContentSHA256Mismatch)
                    .field("ClientComputedContentSHA256", client)
                    .field("S3ComputedContentSHA256", computed)
            }
            IntakeError::IncompleteBody => error(Code::IncompleteBody),
            IntakeError::MalformedTrailer => error(Code::MalformedTrailerError),
            IntakeError::Chunked(broken) => broken.into(),
            IntakeError::Body(BodyError::Interrupted(source)) => {
                Self::new(Code::IncompleteBody).caused_by(source)
            }
            IntakeError::Body(BodyError::TimedOut) => Self::new(Code::RequestTimeout),
            IntakeError::Store(failed) => failed.into(),
        }
    }
}

impl From<store::Error> for Error {
    fn from(failed: store::Error) -> Self {
        let words = failed.to_string();
        let error = |code| Self::with_message(code, words.clone());
        match failed {
            store::Error::NoSuchBucket(bucket) => {
                Self::new(Code::NoSuchBucket).field("BucketName", bucket.as_str())
            }
            store::Error::BucketExists { name, .. } => {
                Self::new(Code::BucketAlreadyExists).field("BucketName", name.as_str())
            }
            store::Error::BucketNotEmpty(bucket) => {
                Self::new(Code::BucketNotEmpty).field("BucketName", bucket.as_str())
            }
            store::Error::NoSuchObject { key, .. } => Self::new(Code::NoSuchKey).field("Key", key.as_str()),
            store::Error::NoSuchVersion { key, .. } => {
                Self::new(Code::NoSuchVersion).field("Key", key.as_str())
            }
            store::Error::NoSuchUpload(id) => Self::new(Code::NoSuchUpload).field("UploadId", id.as_str()),
            store::Error::Condition(ConditionFailed::Missing) => Self::new(Code::NoSuchKey),
            store::Error::Condition(ConditionFailed::Precondition(name)) => {
                Self::new(Code::PreconditionFailed).field("Condition", name)
            }
            // A write has no condition that could say so; if one ever does, it did not hold.
            store::Error::Condition(ConditionFailed::NotModified) => Self::new(Code::PreconditionFailed),
            store::Error::SourceCondition(condition) => Self::source_condition(condition),
            // Between reading the source and copying it, somebody else wrote it: the client may try again.
            store::Error::SourceChanged => error(Code::OperationAborted),
            store::Error::InvalidPart { number } => {
                Self::new(Code::InvalidPart).field("PartNumber", number.to_string())
            }
            store::Error::InvalidPartOrder => Self::new(Code::InvalidPartOrder),
            store::Error::PartTooSmall { number, size_bytes, minimum_bytes } => {
                Self::new(Code::EntityTooSmall)
                    .field("ProposedSize", size_bytes.to_string())
                    .field("MinSizeAllowed", minimum_bytes.to_string())
                    .field("PartNumber", number.to_string())
            }
            store::Error::ChecksumMismatch { .. } => error(Code::BadDigest),
            store::Error::BadMove { .. } | store::Error::SizeMismatch { .. } => error(Code::InvalidRequest),
            store::Error::Full { .. } => Self::new(Code::InsufficientStorage).caused_by(failed),
            // The last ones are said to the admin API only.
            store::Error::Index(_)
            | store::Error::Damaged(_)
            | store::Error::File { .. }
            | store::Error::NoSuchSnapshot(_)
            | store::Error::SnapshotExists(_)
            | store::Error::Forgotten { .. }
            | store::Error::BadSnapshot { .. } => Self::new(Code::InternalError).caused_by(failed),
            store::Error::Closed => Self::new(Code::ServiceUnavailable).caused_by(failed),
        }
    }
}

impl From<miss::Failed> for Error {
    fn from(failed: miss::Failed) -> Self {
        match failed {
            miss::Failed::View(failed) => failed.into(),
            miss::Failed::Presign(failed) => Self::new(Code::InternalError).caused_by(failed),
        }
    }
}

impl From<view::Error> for Error {
    fn from(failed: view::Error) -> Self {
        match Trouble::of(failed) {
            Trouble::Store(failed) => failed.into(),
            Trouble::Condition(failed) => store::Error::Condition(failed).into(),
            Trouble::NotMappable(_) => Self::new(Code::NoSuchKey),
            Trouble::Upstream { kind, upstream, error } => {
                let code = match kind {
                    Kind::TimedOut => Code::GatewayTimeout,
                    Kind::Bad => Code::BadGateway,
                    Kind::Down => Code::ServiceUnavailable,
                    Kind::Loop => Code::LoopDetected,
                };
                Self {
                    upstream: Some(Box::new((kind, upstream))),
                    ..Self::with_message(code, error.to_string())
                }
            }
        }
    }
}
