//! Why one try failed, and what follows from it.

use std::error::Error as StdError;
use std::io;

use http::StatusCode;

use super::Error;

/// How one try of a request failed. Holds nothing secret: no address beyond a host's name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No answer, or no further bytes of one, in the time allowed.
    #[error("did not answer within the time allowed")]
    TimedOut,
    /// A body that came, but hardly.
    #[error("sent its body at less than {rate_min_bytes} bytes a second (min_rate in [upstream])")]
    TooSlow {
        /// What it should have brought.
        rate_min_bytes: u64,
    },
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
    /// A status that is not an answer.
    #[error("answered with status {0}")]
    Status(StatusCode),
    /// An answer that makes no sense, or a redirect that is not followed.
    #[error("{0}")]
    Unusable(String),
}

impl Failure {
    /// What became of a request that hyper could not get answered.
    pub(super) fn of_request(error: &hyper_util::client::legacy::Error) -> Self {
        match is_timeout(error) {
            true => Self::TimedOut,
            false if error.is_connect() => {
                Self::Broken(format!("cannot be connected to: {}", root_cause(error)))
            }
            false => Self::Broken(format!("broke off instead of answering: {}", root_cause(error))),
        }
    }

    /// What became of a body that hyper could not read.
    pub(super) fn of_body(error: &hyper::Error) -> Self {
        Self::Broken(format!("broke off within the body: {}", root_cause(error)))
    }

    /// Whether the same request may do better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut | Self::TooSlow { .. } | Self::Broken(_) => true,
            Self::Unusable(_) => false,
            Self::Status(status) => matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504),
        }
    }

    /// Whether it says that upstream is in trouble, which the breaker counts.
    pub(super) fn is_trouble(&self) -> bool {
        match self {
            Self::TimedOut | Self::TooSlow { .. } | Self::Broken(_) => true,
            Self::Unusable(_) => false,
            Self::Status(status) => status.is_server_error() && *status != StatusCode::LOOP_DETECTED,
        }
    }

    /// The status, where there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.as_u16()),
            Self::TimedOut | Self::TooSlow { .. } | Self::Broken(_) | Self::Unusable(_) => None,
        }
    }

    /// What the caller hears.
    pub(super) fn into_error(self, upstream: &str) -> Error {
        let upstream = upstream.to_owned();
        match self {
            Self::TimedOut => Error::TimedOut { upstream },
            Self::Status(StatusCode::LOOP_DETECTED) => Error::Loop { upstream },
            Self::Status(_) | Self::TooSlow { .. } | Self::Broken(_) | Self::Unusable(_) => {
                Error::Bad { upstream, problem: self.to_string() }
            }
        }
    }
}

/// Whether a time-out of ours, or of the network, is at the bottom.
fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    })
}

/// The innermost cause: those above it only say "client error".
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::Failure;
    use crate::upstream::Error;

    #[test]
    fn what_passes_is_tried_again_and_what_is_trouble_is_counted() {
        let status = |code| Failure::Status(StatusCode::from_u16(code).expect("a status"));
        for (failure, passing, trouble) in [
            (Failure::TimedOut, true, true),
            (Failure::Broken(String::new()), true, true),
            (Failure::TooSlow { rate_min_bytes: 1 }, true, true),
            (Failure::Unusable(String::new()), false, false),
            (status(403), false, false),
            (status(429), true, false),
            (status(500), true, true),
            (status(501), false, true),
            (status(502), true, true),
            (status(503), true, true),
            (status(504), true, true),
            (status(508), false, false),
        ] {
            assert_eq!((failure.is_passing(), failure.is_trouble()), (passing, trouble), "{failure:?}");
        }
    }

    #[test]
    fn errors_name_the_upstream() {
        let status = |code| Failure::Status(StatusCode::from_u16(code).expect("a status"));
        let error = status(403).into_error("https://prod.example/");
        assert_eq!(error.to_string(), "https://prod.example/ answered with status 403 Forbidden");
        assert!(matches!(status(508).into_error("x"), Error::Loop { .. }));
    }
}
