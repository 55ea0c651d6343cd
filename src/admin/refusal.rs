//! What a client of the API is told when something is wrong: a status and one sentence.

use http::{HeaderValue, StatusCode, header};

use super::api::Refused;
use super::response;
use crate::protocol::body::BodyError;
use crate::protocol::intake::IntakeError;
use crate::protocol::outcome::{Answered, Outcome};
use crate::protocol::query::InvalidQuery;
use crate::protocol::request::Response;
use crate::store;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// 400.
    #[error("{0}")]
    Malformed(String),
    /// 401, with the question who it is.
    #[error("{0}")]
    Unauthenticated(String),
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 405.
    #[error("{path} knows {allowed}")]
    NotAllowed {
        /// What was asked.
        path: String,
        /// What could be, joined by `, `.
        allowed: String,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The body was not what it was declared to be.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl From<InvalidQuery> for Refusal {
    fn from(invalid: InvalidQuery) -> Self {
        Self::Malformed(invalid.to_string())
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::NotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Store(error) | Self::Intake(IntakeError::Store(error)) => of_store(error),
            Self::Intake(IntakeError::Body(BodyError::TimedOut)) => StatusCode::REQUEST_TIMEOUT,
            Self::Intake(IntakeError::DocumentTooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Intake(IntakeError::TooManyDocuments) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Malformed(_) | Self::Intake(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer. What we could not do is told to the log with its causes.
    pub(super) fn render(&self, outcome: Option<&mut Outcome>) -> Response {
        let status = self.status();
        if let Some(outcome) = outcome {
            if status == StatusCode::INTERNAL_SERVER_ERROR {
                outcome.fail(self);
            } else if !status.is_server_error() && outcome.answered == Answered::Unanswered {
                outcome.answered = match self {
                    Self::Unauthenticated(_) | Self::Forbidden(_) => Answered::Refused,
                    Self::NotFound(_) => Answered::Absent,
                    Self::Malformed(_) | Self::NotAllowed { .. } | Self::Store(_) | Self::Intake(_) => {
                        Answered::Rejected
                    }
                };
            }
        }
        let error = if status == StatusCode::INTERNAL_SERVER_ERROR {
            "the store failed; its log says why".to_owned()
        } else {
            self.to_string()
        };
        let mut response = response::json(status, &Refused { error });
        let headers = response.headers_mut();
        if matches!(self, Self::Unauthenticated(_)) {
            let ask = HeaderValue::from_static("Basic realm=\"understudy\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, ask);
        }
        if let Self::NotAllowed { allowed, .. } = self
            && let Ok(allowed) = HeaderValue::from_str(allowed)
        {
            headers.insert(header::ALLOW, allowed);
        }
        response
    }
}

fn of_store(error: &store::Error) -> StatusCode {
    if matches!(error, store::Error::NoSuchBucket(_) | store::Error::NoSuchSnapshot(_)) {
        StatusCode::NOT_FOUND
    } else if matches!(
        error,
        store::Error::SnapshotExists(_) | store::Error::BadSnapshot { .. } | store::Error::Forgotten { .. }
    ) {
        StatusCode::CONFLICT
    } else if matches!(error, store::Error::Full { .. }) {
        StatusCode::INSUFFICIENT_STORAGE
    } else if matches!(error, store::Error::Closed) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}
