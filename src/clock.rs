//! The one place that asks what time it is.

use std::time::{Duration, SystemTime};

use crate::model::Timestamp;

/// The machine's clock gives a time that no HTTP answer can be dated with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this machine's clock is outside the years 1970 to 9999, so that no answer could be dated: set the clock"
)]
pub struct ClockOutOfRange;

/// Where a part of the server gets its time from. Pure code takes a [`Timestamp`] instead.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Always the same time, so that tests can say what they expect.
    Fixed(Timestamp),
}

impl Clock {
    /// The time now.
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::from_system(SystemTime::now()),
            Self::Fixed(time) => time,
        }
    }
}

/// Refuses to start where the machine's clock is outside the calendar of HTTP: hyper panics in every
/// connection there, since it dates each answer.
pub fn check_machine() -> Result<(), ClockOutOfRange> {
    check(SystemTime::now())
}

fn check(time: SystemTime) -> Result<(), ClockOutOfRange> {
    let nearest = Timestamp::from_system(time).to_system();
    let is_within = time.duration_since(nearest).is_ok_and(|past| past < Duration::from_millis(1));
    if is_within { Ok(()) } else { Err(ClockOutOfRange) }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{ClockOutOfRange, check};

    #[test]
    fn a_clock_outside_the_calendar_of_http_is_refused() {
        let second = Duration::from_secs(1);
        for time in [UNIX_EPOCH, UNIX_EPOCH + Duration::from_nanos(1), UNIX_EPOCH + 1_795_209_619 * second] {
            assert_eq!(check(time), Ok(()), "{time:?}");
        }
        for time in [UNIX_EPOCH - second, UNIX_EPOCH + Duration::from_hours(70_389_528)] {
            assert_eq!(check(time), Err(ClockOutOfRange), "{time:?}");
        }
    }
}
