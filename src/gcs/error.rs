//! What a client of the JSON face is told when something is wrong: one closed table of reasons,
//! one rendering.
//!
//! GCS: "HTTP status and error codes for JSON".

use std::error::Error as StdError;

use http::StatusCode;
use serde_json::json;

use super::fields::InvalidMask;
use super::mime::MalformedMultipart;
use super::response;
use crate::model::{BucketName, ConditionFailed, InvalidMetadata, ObjectKey};
use crate::protocol::body::{BodyError, SendError};
use crate::protocol::intake::IntakeError;
use crate::protocol::miss;
use crate::protocol::outcome::Outcome;
use crate::protocol::query::InvalidQuery;
use crate::protocol::request::Response;
use crate::protocol::trouble::{Kind, Trouble};
use crate::{store, view};

/// Defines [`Reason`] and its table in one place, so that name, status and words cannot drift
/// apart.
macro_rules! reasons {
    ($($name:ident = $wire:literal, $status:literal, $message:literal;)*) => {
        /// Why a request was refused, as `errors[].reason` says it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Reason {
            $(
                #[doc = $message]
                $name,
            )*
        }

        impl Reason {
            /// Every reason.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The HTTP status, also `error.code`.
            pub(super) fn status(self) -> StatusCode {
                let status = match self { $(Self::$name => $status,)* };
                StatusCode::from_u16(status).expect("the table holds valid statuses, which a test checks")
            }

            /// Google's words, for where nothing more precise is known.
            pub(super) fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

reasons! {
    AuthError = "authError", 401, "Invalid Credentials";
    BackendError = "backendError", 503, "We encountered an internal error. Please try again.";
    BadGateway = "badGateway", 502, "Production could not be asked.";
    BadRequest = "badRequest", 400, "Bad Request";
    ClientClosed = "clientClosedRequest", 499, "The upload was cancelled.";
    ConditionNotMet = "conditionNotMet", 412, "At least one of the pre-conditions you specified did not hold.";
    Conflict = "conflict", 409, "Your previous request to create the named bucket succeeded and you already own it.";
    Forbidden = "forbidden", 403, "Access denied.";
    GatewayTimeout = "gatewayTimeout", 504, "Production did not answer in time.";
    InsufficientStorage = "insufficientStorage", 507, "There is not enough free space to store this. Free some space on the data folder's volume, or delete objects, and try again.";
    InsufficientPermissions = "insufficientPermissions", 403, "Request had insufficient authentication scopes.";
    InternalError = "internalError", 500, "We encountered an internal error. Please try again.";
    Invalid = "invalid", 400, "Invalid Value";
    InvalidParameter = "invalidParameter", 400, "Invalid value for a parameter.";
    LoopDetected = "loopDetected", 508, "The request has been here before.";
    MethodNotAllowed = "httpMethodNotAllowed", 405, "The HTTP verb is not supported by the URL endpoint.";
    NotFound = "notFound", 404, "Not Found";
    NotImplemented = "notImplemented", 400, "This is not implemented by understudy.";
    NotModified = "notModified", 304, "The object was not modified.";
    ParseError = "parseError", 400, "Parse Error";
    RangeNotSatisfiable = "requestedRangeNotSatisfiable", 416, "The requested range cannot be satisfied.";
    Required = "required", 400, "Required parameter is missing.";
    LoginRequired = "required", 401, "Anonymous caller does not have access.";
    UploadBroken = "uploadBrokenConnection", 503, "The request was interrupted before its body had come.";
    UploadTooLarge = "uploadTooLarge", 413, "The uploaded object is larger than objects may be.";
}

/// An answer of the JSON face that is not a success.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", reason.name())]
pub(super) struct Error {
    reason: Reason,
    message: String,
    /// Which parameter or header it is about: `locationType` and `location`.
    location: Option<(&'static str, String)>,
    /// The size of the object, of a 416.
    size_bytes: Option<u64>,
    /// Which upstream has failed, and how, if one has.
    upstream: Option<Box<(Kind, String)>>,
    /// Logged, never sent.
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error in Google's own words.
    pub(super) fn new(reason: Reason) -> Self {
        Self::with_message(reason, reason.message())
    }

    /// An error in more precise words: what was wrong, with which value, and what to do.
    pub(super) fn with_message(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            location: None,
            size_bytes: None,
            upstream: None,
            source: None,
        }
    }

    /// A query parameter with a value that it cannot have.
    pub(super) fn parameter(name: &str, value: &str, wanted: &str) -> Self {
        let value: String = value.chars().take(200).collect();
        Self {
            location: Some(("parameter", name.to_owned())),
            ..Self::with_message(
                Reason::InvalidParameter,
                format!("Invalid value '{value}' for {name}: it must be {wanted}."),
            )
        }
    }

    /// A query parameter that must be there.
    pub(super) fn required(name: &'static str) -> Self {
        Self {
            location: Some(("parameter", name.to_owned())),
            ..Self::with_message(Reason::Required, format!("Required parameter: {name}"))
        }
    }

    /// A member of a document with a value that it cannot have.
    pub(super) fn field(name: &str, value: impl std::fmt::Display) -> Self {
        let value: String = value.to_string().chars().take(200).collect();
        Self::with_message(Reason::Invalid, format!("Invalid value for field {name}: {value}"))
    }

    /// A query parameter that Google knows, with an operation that would not honour it.
    pub(super) fn not_taken(name: &str, operation: &str) -> Self {
        Self {
            location: Some(("parameter", name.to_owned())),
            ..Self::with_message(
                Reason::InvalidParameter,
                format!("The parameter {name} cannot be used with {operation}: leave it out."),
            )
        }
    }

    /// A header with an operation that would not honour it.
    pub(super) fn header_not_taken(name: &str, operation: &str) -> Self {
        let name: String = name.chars().take(200).collect();
        Self {
            location: Some(("header", name.clone())),
            ..Self::with_message(
                Reason::Invalid,
                format!("The header {name} cannot be used with {operation} of the JSON API: leave it out."),
            )
        }
    }

    /// Something that Google serves and this does not. It is a 400, since clients try a 501 again.
    pub(super) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::with_message(Reason::NotImplemented, format!("{what} is not implemented by understudy."))
    }

    /// There is no such object.
    pub(super) fn no_such_object(bucket: &BucketName, key: &ObjectKey) -> Self {
        Self::with_message(Reason::NotFound, format!("No such object: {bucket}/{key}"))
    }

    /// There is no such bucket.
    pub(super) fn no_such_bucket() -> Self {
        Self::with_message(Reason::NotFound, "The specified bucket does not exist.")
    }

    /// A condition did not hold. A read whose client has the object already is told 304.
    pub(super) fn condition(failed: ConditionFailed) -> Self {
        let location = match failed {
            ConditionFailed::NotModified => return Self::new(Reason::NotModified),
            ConditionFailed::Precondition(name) => name,
            ConditionFailed::Missing => "If-Match",
        };
        let kind = if location.starts_with("if") { "parameter" } else { "header" };
        Self { location: Some((kind, location.to_owned())), ..Self::new(Reason::ConditionNotMet) }
    }

    /// No byte of the range exists in an object of this size, where that is known.
    pub(super) fn range(size_bytes: Option<u64>) -> Self {
        Self { size_bytes, ..Self::new(Reason::RangeNotSatisfiable) }
    }

    /// Keeps what caused it, for the log alone.
    pub(super) fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Why.
    pub(super) fn reason(&self) -> Reason {
        self.reason
    }

    /// Renders the document. Of a 304 there is none.
    pub(super) fn render(&self) -> Response {
        let status = self.reason.status();
        if status == StatusCode::NOT_MODIFIED {
            return response::empty(status);
        }
        let mut error = json!({
            "message": self.message,
            "domain": "global",
            "reason": self.reason.name(),
        });
        if let Some((kind, location)) = &self.location {
            error["locationType"] = json!(kind);
            error["location"] = json!(location);
        }
        let document = json!({
            "error": { "code": status.as_u16(), "message": self.message, "errors": [error] },
        });
        let mut answer = response::json(status, &document);
        if let Some(size) = self.size_bytes {
            response::insert(answer.headers_mut(), "content-range", format_args!("bytes */{size}"));
        }
        if let Some(seconds) = self.upstream.as_ref().and_then(|upstream| upstream.0.retry_after()) {
            response::insert(answer.headers_mut(), "retry-after", seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            response::insert(
                answer.headers_mut(),
                "www-authenticate",
                "Bearer realm=\"https://accounts.google.com/\"",
            );
        }
        answer
    }

    /// Tells the request log what happened: a 5xx with its causes.
    pub(super) fn note(&self, outcome: &mut Outcome) {
        outcome.code = Some(self.reason.name());
        if let Some(upstream) = &self.upstream {
            outcome.upstream_failed(&upstream.1, self);
        } else if self.reason.status().is_server_error() {
            outcome.fail(self);
        }
    }
}

impl From<InvalidQuery> for Error {
    fn from(invalid: InvalidQuery) -> Self {
        Self::with_message(Reason::InvalidParameter, invalid.to_string())
    }
}

impl From<InvalidMask> for Error {
    fn from(invalid: InvalidMask) -> Self {
        Self {
            location: Some(("parameter", "fields".to_owned())),
            ..Self::with_message(Reason::InvalidParameter, invalid.to_string())
        }
    }
}

impl From<MalformedMultipart> for Error {
    fn from(malformed: MalformedMultipart) -> Self {
        Self::with_message(Reason::BadRequest, malformed.to_string())
    }
}

impl From<InvalidMetadata> for Error {
    fn from(invalid: InvalidMetadata) -> Self {
        Self::with_message(Reason::Invalid, invalid.to_string())
    }
}

impl From<IntakeError> for Error {
    fn from(refused: IntakeError) -> Self {
        let words = refused.to_string();
        match refused {
            IntakeError::EntityTooLarge { .. } => Self::with_message(Reason::UploadTooLarge, words),
            IntakeError::DocumentTooLarge { max_bytes } => Self::with_message(
                Reason::UploadTooLarge,
                format!("A document may have at most {max_bytes} bytes here."),
            ),
            IntakeError::TooManyDocuments => Self::with_message(Reason::BackendError, words),
            IntakeError::Body(BodyError::Interrupted(source)) => {
                Self::new(Reason::UploadBroken).caused_by(source)
            }
            IntakeError::Body(BodyError::TimedOut) => {
                Self::with_message(Reason::UploadBroken, BodyError::TimedOut.to_string())
            }
            IntakeError::IncompleteBody => Self::with_message(
                Reason::BadRequest,
                "The body has more or fewer bytes than Content-Length says.",
            ),
            IntakeError::MissingContentLength
            | IntakeError::TransferEncoding
            | IntakeError::InvalidDigest { .. }
            | IntakeError::InvalidRequest(_)
            | IntakeError::BadDigest { .. }
            | IntakeError::ChecksumMismatch(_)
            | IntakeError::XAmzContentSHA256Mismatch { .. }
            | IntakeError::MalformedTrailer
            | IntakeError::Chunked(_) => Self::with_message(Reason::Invalid, words),
            IntakeError::Store(failed) => failed.into(),
        }
    }
}

impl From<store::Error> for Error {
    fn from(failed: store::Error) -> Self {
        use store::Error as E;
        let words = failed.to_string();
        match failed {
            E::NoSuchBucket(_) => Self::no_such_bucket(),
            E::BucketExists { .. } => Self::new(Reason::Conflict),
            E::BucketNotEmpty(_) => {
                Self::with_message(Reason::Conflict, "The bucket you tried to delete is not empty.")
            }
            E::NoSuchObject { bucket, key } | E::NoSuchVersion { bucket, key } => {
                Self::no_such_object(&bucket, &key)
            }
            E::NoSuchUpload(_) => {
                Self::with_message(Reason::NotFound, "There is no upload session of this upload_id.")
            }
            E::Condition(failed) | E::SourceCondition(failed) => Self::condition(failed),
            // Between reading the source and using it, somebody else wrote it: the client may try again.
            E::SourceChanged => Self::with_message(Reason::BackendError, words),
            E::BadMove { .. }
            | E::InvalidPart { .. }
            | E::InvalidPartOrder
            | E::PartTooSmall { .. }
            | E::ChecksumMismatch { .. }
            | E::SizeMismatch { .. } => Self::with_message(Reason::Invalid, words),
            E::Full { .. } => Self::new(Reason::InsufficientStorage).caused_by(failed),
            // The last ones are said to the admin API only.
            E::Index(_)
            | E::Damaged(_)
            | E::NoSuchSnapshot(_)
            | E::SnapshotExists(_)
            | E::Forgotten { .. }
            | E::BadSnapshot { .. } => Self::new(Reason::InternalError).caused_by(failed),
            // GCS: 503 backendError is what clients try again; a disk may be put right meanwhile.
            E::File { .. } | E::Closed => Self::new(Reason::BackendError).caused_by(failed),
        }
    }
}

impl From<miss::Failed> for Error {
    fn from(failed: miss::Failed) -> Self {
        match failed {
            miss::Failed::View(failed) => failed.into(),
            miss::Failed::Presign(failed) => Self::new(Reason::InternalError).caused_by(failed),
        }
    }
}

impl From<SendError> for Error {
    fn from(failed: SendError) -> Self {
        match failed {
            SendError::Store(failed) => failed.into(),
            SendError::View(failed) => failed.into(),
        }
    }
}

impl From<view::Error> for Error {
    fn from(failed: view::Error) -> Self {
        match Trouble::of(failed) {
            Trouble::Store(failed) => failed.into(),
            Trouble::Condition(failed) => Self::condition(failed),
            Trouble::NotMappable(_) => Self::new(Reason::NotFound),
            Trouble::Upstream { kind, upstream, error } => {
                let reason = match kind {
                    Kind::TimedOut => Reason::GatewayTimeout,
                    Kind::Bad => Reason::BadGateway,
                    Kind::Down => Reason::BackendError,
                    Kind::Loop => Reason::LoopDetected,
                };
                Self {
                    upstream: Some(Box::new((kind, upstream))),
                    ..Self::with_message(reason, error.to_string())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Error, Reason};
    use crate::model::ConditionFailed;

    #[test]
    fn every_status_of_the_table_is_an_error_or_304() {
        for reason in Reason::ALL {
            let status = reason.status();
            let refused = status.is_client_error() || status.is_server_error();
            assert!(refused || status == StatusCode::NOT_MODIFIED, "{}", reason.name());
        }
    }

    #[test]
    fn a_condition_that_fails_is_412_and_names_itself() {
        let error = Error::condition(ConditionFailed::Precondition("ifGenerationMatch"));
        assert_eq!(error.reason().status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(error.location, Some(("parameter", "ifGenerationMatch".to_owned())));
        let read = Error::condition(ConditionFailed::NotModified);
        assert_eq!(read.reason().status(), StatusCode::NOT_MODIFIED);
    }
}
