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

/// How a body keeps to its limits.
#[derive(Debug)]
pub(super) struct Patience {
    limits: Limits,
    waiting: Option<Waiting>,
    /// Of the window that is judged next: how long was waited in it, and what came.
    waited: Duration,
    bytes: u64,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    over: Pin<Box<Sleep>>,
}

impl Patience {
    /// For a body that begins.
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, waiting: None, waited: Duration::ZERO, bytes: 0 }
    }

    /// Nothing has come: ready once that was too long.
    pub(super) fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Limits { stall, until, .. } = self.limits;
        let waiting = self.waiting.get_or_insert_with(|| {
            let since = Instant::now();
            let over = until.map_or(since + stall, |until| until.min(since + stall));
            Waiting { since, over: Box::pin(sleep_until(over)) }
        });
        waiting.over.as_mut().poll(cx)
    }

    /// So many bytes have come, perhaps none.
    pub(super) fn arrived(&mut self, bytes: usize) -> Result<(), Failure> {
        let now = Instant::now();
        if self.limits.until.is_some_and(|until| now >= until) {
            return Err(Failure::TimedOut);
        }
        self.bytes += bytes as u64;
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        self.waited += now.saturating_duration_since(waiting.since);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{Failure, Limits, Patience};

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits and takes bytes again and again; says after how many times it was too slow.
    async fn drip(mut patience: Patience, pause: Duration, bytes: usize) -> Option<usize> {
        for time in 0..100 {
            tokio::select! {
                () = std::future::poll_fn(|cx| patience.poll_exhausted(cx)) => panic!("it has stalled"),
                () = sleep(pause) => {}
            }
            match patience.arrived(bytes) {
                Ok(()) => {}
                Err(Failure::TooSlow { .. } | Failure::TimedOut) => return Some(time),
                Err(other) => panic!("{other}"),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_and_one_that_flows_is_not() {
        let limits = Limits { stall: 30 * SECOND, rate_min_bytes: 1000, until: None };
        for (pause, bytes, expected) in [
            (SECOND, 1, Some(9)),
            (SECOND, 990, Some(9)),
            (SECOND, 1010, None),
            (29 * SECOND, 28_000, Some(0)),
            (29 * SECOND, 30_000, None),
            (SECOND / 100, 1, Some(999)),
        ] {
            let found = drip(Patience::new(limits), pause, bytes).await;
            assert_eq!(found, expected.filter(|at| *at < 100), "{bytes} bytes each {pause:?}");
        }
        let any = Limits { rate_min_bytes: 0, ..limits };
        assert_eq!(drip(Patience::new(any), SECOND, 1).await, None, "0 is for any rate");
    }

    #[tokio::test(start_paused = true)]
    async fn what_must_have_come_by_a_time_is_given_up_then_however_fast_it_is() {
        let until = Some(Instant::now() + 5 * SECOND);
        let limits = Limits { stall: 30 * SECOND, rate_min_bytes: 0, until };
        assert_eq!(drip(Patience::new(limits), SECOND / 2, 1 << 20).await, Some(9));
        let mut patience = Patience::new(Limits { until: Some(Instant::now() + SECOND), ..limits });
        let begun = Instant::now();
        std::future::poll_fn(|cx| patience.poll_exhausted(cx)).await;
        assert_eq!(begun.elapsed(), SECOND, "silence ends then too");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_client_takes_does_not_count() {
        let limits = Limits { stall: 30 * SECOND, rate_min_bytes: 1000, until: None };
        let mut patience = Patience::new(limits);
        for _ in 0..100 {
            // The bytes were there when they were asked for.
            sleep(20 * SECOND).await;
            patience.arrived(1).expect("nothing was waited for");
        }
    }
}
