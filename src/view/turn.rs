//! How much of a long piece of work is done before others may run.
//!
//! Reading what is here never waits, so a listing that looks at many rows, or that matches a long pattern
//! against them, would keep its thread for itself. Work is counted in steps, whatever it is made of.

/// The turn of one task: the steps that it may do before it lets others run.
#[derive(Debug)]
pub struct Turn {
    left: usize,
}

impl Default for Turn {
    fn default() -> Self {
        Self { left: Self::STEPS }
    }
}

impl Turn {
    /// The steps of a turn: a fraction of a millisecond.
    pub const STEPS: usize = 30_000;

    /// What reading a row costs, in steps.
    const ROW_STEPS: usize = 160;

    /// The steps that are left. Whoever does some takes them off, and [rests](Turn::rest) at 0.
    pub fn left(&mut self) -> &mut usize {
        &mut self.left
    }

    /// Takes note that rows were read, and lets others run where the turn is over.
    pub async fn rows(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows.saturating_mul(Self::ROW_STEPS));
        if self.left == 0 {
            self.rest().await;
        }
    }

    /// Lets others run, and begins a new turn.
    pub async fn rest(&mut self) {
        self.left = Self::STEPS;
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::Turn;

    /// How often a task rests that reads so many rows at a time, so often.
    fn rests(rows: usize, times: usize) -> usize {
        let mut turn = Turn::default();
        let mut work = pin!(async {
            for _ in 0..times {
                turn.rows(rows).await;
            }
        });
        let mut context = Context::from_waker(Waker::noop());
        let mut rests = 0;
        while work.as_mut().poll(&mut context) == Poll::Pending {
            rests += 1;
        }
        rests
    }

    #[tokio::test]
    async fn a_turn_ends_after_its_steps_however_they_come() {
        let rows_of_a_turn = Turn::STEPS.div_ceil(Turn::ROW_STEPS);
        assert_eq!(rests(1, rows_of_a_turn - 1), 0);
        assert_eq!(rests(1, rows_of_a_turn), 1);
        assert_eq!(rests(1, 10 * rows_of_a_turn), 10);
        assert_eq!(rests(usize::MAX, 3), 3);
    }
}
