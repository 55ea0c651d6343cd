//! How long to wait before a request is tried again.
//!
//! Exponential back-off with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"):
//! many clients that failed together do not come back together.

use std::time::Duration;

/// The longest pause before the second try.
const FIRST_MAX: Duration = Duration::from_millis(100);

/// The longest pause before any.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The pause after `failed` tries, of which there was at least one; `random` is any number.
pub(super) fn pause(failed: u32, random: u32) -> Duration {
    let doublings = failed.saturating_sub(1).min(16);
    let longest = FIRST_MAX.saturating_mul(1 << doublings).min(PAUSE_MAX);
    longest.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// A random number, or half of the largest where there is no randomness.
pub(super) fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;

    #[test]
    fn pauses_double_up_to_a_bound_and_are_anything_below() {
        for (failed, longest_ms) in
            [(1, 100), (2, 200), (3, 400), (5, 1600), (6, 2000), (40, 2000), (u32::MAX, 2000)]
        {
            assert_eq!(pause(failed, u32::MAX), Duration::from_millis(longest_ms), "after {failed}");
            assert_eq!(pause(failed, 0), Duration::ZERO, "after {failed}");
            let half = pause(failed, u32::MAX / 2).as_millis();
            assert!(half.abs_diff(u128::from(longest_ms / 2)) <= 1, "after {failed}: {half} ms");
        }
    }
}
