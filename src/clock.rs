//! The one place that asks what time it is.

use crate::model::Timestamp;

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
            Self::System => Timestamp::from_ms(jiff::Timestamp::now().as_millisecond()),
            Self::Fixed(time) => time,
        }
    }
}
