//! When to leave an upstream alone: a breaker, as a value that is told what happened and when.

use std::time::{Duration, Instant};

/// Opens after some failures in a row; after a pause it lets one trial through.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    pause: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// All is well, or has been until these failures in a row.
    Closed { failures: u32 },
    /// Left alone until then.
    Open { until: Instant },
    /// One trial is under way.
    HalfOpen,
}

/// That a request may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// As any other.
    Ordinary,
    /// To see whether upstream is back. Its end must be reported.
    Trial,
}

impl Breaker {
    /// A closed one. It never opens where `failures_max` is 0.
    pub(super) fn new(failures_max: u32, pause: Duration) -> Self {
        Self { failures_max, pause, state: State::Closed { failures: 0 } }
    }

    /// Asks for leave to send a request.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Admission> {
        match self.state {
            State::Closed { .. } => Some(Admission::Ordinary),
            State::Open { until } if now >= until => {
                self.state = State::HalfOpen;
                Some(Admission::Trial)
            }
            State::Open { .. } | State::HalfOpen => None,
        }
    }

    /// Whether a request would be refused now.
    pub(super) fn refuses(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } => now < until,
            State::HalfOpen => true,
        }
    }

    /// Whether upstream counts as down. It does until an answer has shown that it is back.
    pub(super) fn is_open(&self) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { .. } | State::HalfOpen => true,
        }
    }

    /// Upstream has answered.
    pub(super) fn succeed(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Upstream is in trouble.
    pub(super) fn fail(&mut self, admission: Admission, now: Instant) {
        let open = State::Open { until: now + self.pause };
        match (self.state, admission) {
            (State::Closed { failures }, _) => {
                let failures = failures.saturating_add(1);
                let opens = self.failures_max > 0 && failures >= self.failures_max;
                self.state = if opens { open } else { State::Closed { failures } };
            }
            (State::HalfOpen, Admission::Trial) => self.state = open,
            // Requests that went out before it opened say nothing new.
            (State::HalfOpen, Admission::Ordinary) | (State::Open { .. }, _) => {}
        }
    }

    /// A request was given up before it showed anything: another may try at once.
    pub(super) fn abandon(&mut self, admission: Admission, now: Instant) {
        if let (State::HalfOpen, Admission::Trial) = (self.state, admission) {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Admission::{Ordinary, Trial};
    use super::Breaker;

    const PAUSE: Duration = Duration::from_secs(10);

    /// One that has opened at `now`.
    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(3, PAUSE);
        for _ in 0..3 {
            assert_eq!(breaker.admit(now), Some(Ordinary));
            breaker.fail(Ordinary, now);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3, PAUSE);
        for _ in 0..5 {
            breaker.fail(Ordinary, now);
            breaker.fail(Ordinary, now);
            assert_eq!(breaker.admit(now), Some(Ordinary));
            breaker.succeed();
        }
        assert!(!breaker.is_open());
        let breaker = opened(now);
        assert!(breaker.is_open() && breaker.refuses(now));
    }

    #[test]
    fn after_the_pause_one_trial_decides() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + PAUSE.mul_f32(0.999)), None);
        assert!(!breaker.refuses(now + PAUSE));
        assert_eq!(breaker.admit(now + PAUSE), Some(Trial));
        assert_eq!(breaker.admit(now + PAUSE), None);
        assert!(breaker.refuses(now + PAUSE) && breaker.is_open());

        breaker.fail(Trial, now + PAUSE);
        assert_eq!(breaker.admit(now + PAUSE.mul_f32(1.999)), None);
        assert_eq!(breaker.admit(now + PAUSE * 2), Some(Trial));
        breaker.succeed();
        assert!(!breaker.is_open());
        assert_eq!(breaker.admit(now + PAUSE * 2), Some(Ordinary));
        breaker.fail(Ordinary, now);
        assert!(!breaker.is_open(), "it counts from the beginning");
    }

    #[test]
    fn late_failures_neither_prolong_the_pause_nor_end_the_trial() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.fail(Ordinary, now + PAUSE / 2);
        assert_eq!(breaker.admit(now + PAUSE), Some(Trial));
        breaker.fail(Ordinary, now + PAUSE);
        breaker.abandon(Ordinary, now + PAUSE);
        assert_eq!(breaker.admit(now + PAUSE), None);
    }

    #[test]
    fn a_trial_that_was_given_up_makes_room_for_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + PAUSE), Some(Trial));
        breaker.abandon(Trial, now + PAUSE);
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(now + PAUSE), Some(Trial));
    }

    #[test]
    fn it_can_be_switched_off() {
        let now = Instant::now();
        let mut breaker = Breaker::new(0, PAUSE);
        for _ in 0..100 {
            breaker.fail(Ordinary, now);
        }
        assert!(!breaker.is_open());
    }
}
