//! What is wrong where the view could not answer, told apart as every face must: our own failure,
//! a condition, or trouble with an upstream, which is never our 404 and never our 500.
//!
//! Deliberately elsewhere: each face's codes and words.

use http::StatusCode;

use crate::fallback::NotMappable;
use crate::model::ConditionFailed;
use crate::{store, upstream, view};

/// A failure of the view, sorted.
#[derive(Debug)]
pub enum Trouble {
    /// Our own store failed.
    Store(store::Error),
    /// A condition of a write does not hold of what production has.
    Condition(ConditionFailed),
    /// No address of production can name the key: it does not exist.
    NotMappable(NotMappable),
    /// Production failed.
    Upstream {
        /// How.
        kind: Kind,
        /// Which one, by its name.
        upstream: String,
        /// The words: they name the upstream and what it did.
        error: view::Error,
    },
}

/// How production failed, and so the status of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 504.
    TimedOut,
    /// 502.
    Bad,
    /// 503.
    Down,
    /// 508.
    Loop,
}

impl Trouble {
    /// Sorts a failure.
    pub fn of(failed: view::Error) -> Self {
        use upstream::Error as E;
        match failed {
            view::Error::Store(failed) => Self::Store(failed),
            view::Error::Condition(failed) => Self::Condition(failed),
            view::Error::Upstream(E::NotMappable(failed)) => Self::NotMappable(failed),
            view::Error::Corrupt { ref upstream, .. }
            | view::Error::Upstream(E::Bad { ref upstream, .. }) => {
                Self::Upstream { kind: Kind::Bad, upstream: upstream.clone(), error: failed }
            }
            view::Error::Upstream(E::TimedOut { ref upstream }) => {
                Self::Upstream { kind: Kind::TimedOut, upstream: upstream.clone(), error: failed }
            }
            view::Error::Upstream(E::Down { ref upstream, .. }) => {
                Self::Upstream { kind: Kind::Down, upstream: upstream.clone(), error: failed }
            }
            view::Error::Upstream(E::Loop { ref upstream }) => {
                Self::Upstream { kind: Kind::Loop, upstream: upstream.clone(), error: failed }
            }
        }
    }
}

impl Kind {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Bad => StatusCode::BAD_GATEWAY,
            Self::Down => StatusCode::SERVICE_UNAVAILABLE,
            Self::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// `Retry-After`, in seconds: about as long as an upstream that is down is left alone.
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Down => Some(10),
            Self::TimedOut | Self::Bad | Self::Loop => None,
        }
    }
}
