//! What is wrong where the view could not answer, told apart as every face must: our own failure,
//! a condition, or trouble with an upstream, which is never our 404 and never our 500.
//!
//! Deliberately elsewhere: each face's codes and words.

use http::StatusCode;

use super::outcome::Outcome;
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
        let (kind, upstream) = match failed {
            view::Error::Store(failed) => return Self::Store(failed),
            view::Error::Condition(failed) => return Self::Condition(failed),
            view::Error::Upstream(E::NotMappable(failed)) => return Self::NotMappable(failed),
            view::Error::Corrupt { ref upstream, .. }
            | view::Error::TooLong { ref upstream, .. }
            | view::Error::Upstream(E::Bad { ref upstream, .. }) => (Kind::Bad, upstream),
            view::Error::Upstream(E::TimedOut { ref upstream } | E::Busy { ref upstream, .. }) => {
                (Kind::TimedOut, upstream)
            }
            view::Error::Upstream(E::Down { ref upstream, .. }) => (Kind::Down, upstream),
            view::Error::Upstream(E::Loop { ref upstream }) => (Kind::Loop, upstream),
        };
        let upstream = upstream.clone();
        Self::Upstream { kind, upstream, error: failed }
    }

    /// Tells the request log of a failure that came too late to be answered.
    pub fn note(failed: &view::Error, outcome: &mut Outcome) {
        use upstream::Error as E;
        match failed {
            view::Error::Store(_) | view::Error::Condition(_) | view::Error::Upstream(E::NotMappable(_)) => {
                outcome.fail(failed);
            }
            view::Error::Corrupt { upstream, .. }
            | view::Error::TooLong { upstream, .. }
            | view::Error::Upstream(
                E::Bad { upstream, .. }
                | E::TimedOut { upstream }
                | E::Busy { upstream, .. }
                | E::Down { upstream, .. }
                | E::Loop { upstream },
            ) => outcome.upstream_failed(upstream, failed),
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

#[cfg(test)]
mod tests {
    use super::Trouble;
    use crate::model::{ConditionFailed, ObjectKey};
    use crate::upstream::Error as E;
    use crate::{store, view};

    #[test]
    fn trouble_of_production_has_a_status_of_its_own_and_names_it() {
        let upstream = || "https://production.example/".to_owned();
        let text = || "it".to_owned();
        let key = ObjectKey::parse("a").expect("a key");
        for (error, status, retry_after) in [
            (E::TimedOut { upstream: upstream() }.into(), 504, None),
            (E::Busy { upstream: upstream(), setting: "connections" }.into(), 504, None),
            (E::Bad { upstream: upstream(), problem: text() }.into(), 502, None),
            (E::Down { upstream: upstream(), last: text() }.into(), 503, Some(10)),
            (E::Loop { upstream: upstream() }.into(), 508, None),
            (view::Error::Corrupt { upstream: upstream(), key, problem: text() }, 502, None),
        ] {
            let Trouble::Upstream { kind, upstream, error } = Trouble::of(error) else {
                panic!("{status} is production's")
            };
            assert_eq!((kind.status().as_u16(), kind.retry_after()), (status, retry_after));
            assert!(error.to_string().contains(&upstream), "{error}");
        }
    }

    #[test]
    fn what_is_ours_is_not_productions() {
        let store = Trouble::of(view::Error::Store(store::Error::Closed));
        assert!(matches!(store, Trouble::Store(store::Error::Closed)), "{store:?}");
        let condition = Trouble::of(view::Error::Condition(ConditionFailed::Missing));
        assert!(matches!(condition, Trouble::Condition(ConditionFailed::Missing)), "{condition:?}");
        let key = Trouble::of(E::NotMappable(crate::fallback::NotMappable).into());
        assert!(matches!(key, Trouble::NotMappable(_)), "{key:?}");
    }
}
