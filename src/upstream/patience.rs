//! How long a body is waited for. The clock runs only while bytes are waited for: a client that takes
//! its time is not the upstream's fault.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::failure::Failure;

/// After how much waiting the rate of a body is judged, unless [`Limits::stall`] is shorter.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// What a body must keep to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The longest wait for the next bytes.
    pub(super) stall: Duration,
    /// The least bytes for each second of waiting; 0 for any.
    pub(super) rate_min_bytes: u64,
    /// When it must have come whole, if ever.
    pub(super) until: Option<Instant>,
}

/// How a body keeps to its limits, told what happened and when. Pure.
#[derive(Debug)]
struct Pace {
    limits: Limits,
    /// Since when the next bytes are waited for, if they are.
    since: Option<Instant>,
    /// Of the window that is judged next: how long was waited in it, and what came.
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(limits: Limits) -> Self {
        Self { limits, since: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// Nothing is there yet. Says when that will have been too long.
    fn wait(&mut self, now: Instant) -> Instant {
        let Limits { stall, until, .. } = self.limits;
        let stalled = *self.since.get_or_insert(now) + stall;
        until.map_or(stalled, |until| until.min(stalled))
    }

    /// So many bytes have come, perhaps none.
    fn arrive(&mut self, bytes: usize, now: Instant) -> Result<(), Failure> {
        if self.limits.until.is_some_and(|until| now >= until) {
            return Err(Failure::TimedOut);
        }
        self.bytes += bytes as u64;
        let Some(since) = self.since.take() else { return Ok(()) };
        self.waited += now.saturating_duration_since(since);
        if self.waited < RATE_WINDOW.min(self.limits.stall) {
            return Ok(());
        }
        let rate_min_bytes = self.limits.rate_min_bytes;
        let least = self.waited.as_millis().saturating_mul(u128::from(rate_min_bytes)) / 1000;
        if u128::from(self.bytes) < least {
            return Err(Failure::TooSlow { rate_min_bytes });
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

/// The patience with one body.
#[derive(Debug)]
pub(super) struct Patience {
    pace: Pace,
    over: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// For a body that begins.
    pub(super) fn new(limits: Limits) -> Self {
        Self { pace: Pace::new(limits), over: None }
    }

    /// Nothing has come: ready once that was too long.
    pub(super) fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { pace, over } = self;
        over.get_or_insert_with(|| Box::pin(sleep_until(pace.wait(Instant::now())))).as_mut().poll(cx)
    }

    /// So many bytes have come, perhaps none.
    pub(super) fn arrived(&mut self, bytes: usize) -> Result<(), Failure> {
        self.over = None;
        self.pace.arrive(bytes, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Failure, Limits, Pace};

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits and takes bytes again and again; says how often that went well.
    fn drip(limits: Limits, pause: Duration, bytes: usize) -> usize {
        let (mut pace, mut now) = (Pace::new(limits), Instant::now());
        for time in 0..2000 {
            let over = pace.wait(now);
            now += pause;
            if over < now {
                return time;
            }
            match pace.arrive(bytes, now) {
                Ok(()) => {}
                Err(Failure::TooSlow { .. } | Failure::TimedOut) => return time,
                Err(other) => panic!("{other}"),
            }
        }
        2000
    }

    #[test]
    fn a_body_that_drips_is_given_up_and_one_that_flows_is_not() {
        let limits = Limits { stall: 30 * SECOND, rate_min_bytes: 1000, until: None };
        for (pause, bytes, expected) in [
            (SECOND, 1, 9),
            (SECOND, 990, 9),
            (SECOND, 1010, 2000),
            (29 * SECOND, 28_000, 0),
            (29 * SECOND, 30_000, 2000),
            (31 * SECOND, 1 << 30, 0),
            (SECOND / 100, 1, 999),
            (SECOND / 100, 11, 2000),
        ] {
            assert_eq!(drip(limits, pause, bytes), expected, "{bytes} bytes each {pause:?}");
        }
        assert_eq!(drip(Limits { rate_min_bytes: 0, ..limits }, SECOND, 1), 2000, "0 is for any rate");
    }

    #[test]
    fn what_must_have_come_by_a_time_is_given_up_then_however_fast_it_is() {
        let now = Instant::now();
        let until = Some(now + 5 * SECOND);
        let limits = Limits { stall: 30 * SECOND, rate_min_bytes: 0, until };
        let mut pace = Pace::new(limits);
        assert_eq!(pace.wait(now), now + 5 * SECOND, "silence ends then too");
        assert!(pace.arrive(1 << 20, now + 4 * SECOND).is_ok());
        assert!(matches!(pace.arrive(1 << 20, now + 5 * SECOND), Err(Failure::TimedOut)));
    }

    #[test]
    fn the_time_that_a_client_takes_does_not_count() {
        let limits = Limits { stall: 30 * SECOND, rate_min_bytes: 1000, until: None };
        let (mut pace, mut now) = (Pace::new(limits), Instant::now());
        for _ in 0..100 {
            // The bytes were there when they were asked for.
            now += 20 * SECOND;
            pace.arrive(1, now).expect("nothing was waited for");
        }
    }
}
