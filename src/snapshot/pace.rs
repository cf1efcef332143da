//! When the next snapshot may be made: small ones soon after each change, big ones rarely. Pure.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// The longest wait that a budget of bytes asks for.
const LONGEST_DAYS: f64 = 365.0;
/// The wait after a first failure; it doubles with each further one.
const RETRY: Duration = Duration::from_secs(60);
/// The longest wait after failures.
const LONGEST: Duration = Duration::from_secs(3600);

/// What making snapshots may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// The largest share of wall time.
    pub share: f64,
    /// Bytes in any day, that of one snapshot more at most.
    pub bytes_per_day: u64,
}

/// From the start of a snapshot that took so long and wrote so much to the start of the next: at least `least`.
pub fn after_success(budget: Budget, least: Duration, took: Duration, bytes: u64) -> Duration {
    let by_time = took.div_f64(budget.share.clamp(0.001, 1.0));
    let by_bytes = DAY.mul_f64((bytes as f64 / budget.bytes_per_day.max(1) as f64).min(LONGEST_DAYS));
    least.max(by_time).max(by_bytes)
}

/// From the start of a snapshot that failed to the next try.
pub fn after_failure(budget: Budget, took: Duration, failures: u32) -> Duration {
    let doubled = RETRY * (1 << failures.saturating_sub(1).min(6));
    doubled.min(LONGEST).max(after_success(budget, Duration::ZERO, took, 0).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Budget = Budget { share: 0.02, bytes_per_day: 10_000_000_000 };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn small_sets_follow_each_change_and_big_ones_keep_to_the_budget() {
        assert_eq!(after_success(DEFAULT, s(30), Duration::from_millis(80), 1_000_000), s(30));
        assert_eq!(after_success(DEFAULT, s(30), s(5), 100_000_000), s(864), "a hundredth of a day's bytes");
        assert_eq!(after_success(DEFAULT, s(30), s(60), 1_000_000), s(3000), "a fiftieth of the time");
        assert!(after_success(Budget { share: 1.0, bytes_per_day: 0 }, s(1), s(1), u64::MAX) <= DAY * 365);
    }

    #[test]
    fn a_days_snapshots_stay_within_a_days_bytes() {
        for bytes in [1_000, 10_000_000, 700_000_000, 30_000_000_000] {
            let wait = after_success(DEFAULT, s(30), s(1), bytes);
            let written = (DAY.as_secs_f64() / wait.as_secs_f64()).ceil() * bytes as f64;
            assert!(written <= DEFAULT.bytes_per_day as f64 + bytes as f64, "{bytes}");
        }
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely() {
        let waits: Vec<_> = (1..10).map(|failures| after_failure(DEFAULT, s(0), failures).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(after_failure(DEFAULT, s(600), 1), s(3600));
    }
}
