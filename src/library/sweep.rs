//! What a sweep does with a stage that should be back. Pure.
//!
//! A sweep takes one step at a time with each stage, so that one that runs again after a long time
//! begins with the warning, too.

use std::time::Duration;

use serde::Serialize;

use super::card::Card;
use super::lease::after;
use crate::model::Timestamp;

/// What a sweep does with a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It says that it should be back.
    Warn,
    /// It stops it; nothing is lost.
    Stop,
    /// It returns it.
    Return,
}

/// What a sweep does now: it warns when the stage is due, stops it after half of the time of grace,
/// and returns it when that is over. `None`: nothing, or nothing yet.
pub fn action(card: &Card, now: Timestamp, grace: Duration) -> Option<Action> {
    let late = |span: Duration| now >= after(card.due, span);
    match (card.warned, card.stopped) {
        (_, Some(_)) => late(grace).then_some(Action::Return),
        (Some(_), None) => late(grace / 2).then_some(Action::Stop),
        (None, None) => late(Duration::ZERO).then_some(Action::Warn),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Action, action};
    use crate::library::card::Card;
    use crate::model::Timestamp;

    #[test]
    fn one_step_at_a_time() {
        let time = |text: &str| Timestamp::parse_iso(text).expect("a time");
        let fresh = Card::first(time("2026-11-20T00:00:00Z"));
        let warned = fresh.with_warning(time("2026-11-20T01:00:00Z"));
        let stopped = warned.with_stop(time("2026-11-22T00:00:00Z"));
        let grace = Duration::from_hours(96);
        for (card, now, expected) in [
            (&fresh, "2026-11-19T23:59:59Z", None),
            (&fresh, "2026-11-20T00:00:00Z", Some(Action::Warn)),
            (&fresh, "2027-11-20T00:00:00Z", Some(Action::Warn)),
            (&warned, "2026-11-21T23:59:59Z", None),
            (&warned, "2026-11-22T00:00:00Z", Some(Action::Stop)),
            (&warned, "2027-11-22T00:00:00Z", Some(Action::Stop)),
            (&stopped, "2026-11-23T23:59:59Z", None),
            (&stopped, "2026-11-24T00:00:00Z", Some(Action::Return)),
        ] {
            assert_eq!(action(card, time(now), grace), expected, "{now}");
        }
        let now = time("2026-11-20T00:00:00Z");
        for (card, expected) in [(&fresh, Action::Warn), (&warned, Action::Stop), (&stopped, Action::Return)]
        {
            assert_eq!(action(card, now, Duration::ZERO), Some(expected));
        }
        assert_eq!(action(&stopped.renewed(time("2026-12-01T00:00:00Z")), now, grace), None);
    }
}
