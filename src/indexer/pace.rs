//! When the next refresh is due. Pure.

use std::time::Duration;

/// The longest wait after failures.
const LONGEST: Duration = Duration::from_secs(300);

/// From the start of a refresh that took `took` to the start of the next: never more often than `interval`, and never more
/// than `busy_share` of wall time. A refresh that took longer than the interval is not caught up on.
pub fn after_success(interval: Duration, took: Duration, busy_share: f64) -> Duration {
    interval.max(took.div_f64(busy_share.clamp(0.01, 1.0)))
}

/// From the start of a failed refresh to the next try: the interval, doubled for each failure in a row, or as after a success,
/// whichever is longer; but never more than five minutes, or the interval if that is longer. A listing that hung until its
/// deadline is no reason to stay away for the time that its busy share would ask for.
pub fn after_failure(interval: Duration, took: Duration, busy_share: f64, failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1).min(10)).unwrap_or(10);
    let doubled = interval.saturating_mul(1 << doublings);
    doubled.max(after_success(interval, took, busy_share)).min(LONGEST.max(interval))
}

/// Names come with every listing while that takes no more than this share of wall time.
const NAMES_ALWAYS: f64 = 0.03;
/// And otherwise so often that they take this share.
const NAMES_SHARE: f64 = 0.05;
/// What a pin costs with its name, until it was measured: 76 s for a million with Kubo 0.43.
const NAMED_PIN: Duration = Duration::from_micros(76);

/// Whether the next listing of so many pins is to come with names. `took` is how long the last such refresh took, `since` the
/// time since it began (or since there was none), `interval` the time between refreshes.
pub fn with_names(pins: u64, took: Option<Duration>, since: Duration, interval: Duration) -> bool {
    let cost = took.unwrap_or_else(|| NAMED_PIN.mul_f64(pins as f64));
    cost <= interval.mul_f64(NAMES_ALWAYS) || since >= cost.div_f64(NAMES_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn d17_quick_refreshes_keep_the_interval_and_slow_ones_their_share() {
        assert_eq!(after_success(s(30), s(1), 0.2), s(30));
        assert_eq!(after_success(s(30), s(31), 0.2), s(155));
        assert_eq!(after_success(s(30), s(40), 1.0), s(40));
    }

    #[test]
    fn failures_slow_down_to_five_minutes() {
        let waits: Vec<_> = (1..7).map(|n| after_failure(s(30), s(0), 0.2, n).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 300, 300]);
        assert_eq!(after_failure(s(900), s(0), 0.2, 9), s(900));
        assert_eq!(after_failure(s(30), s(31), 0.2, 1), s(155), "never sooner than after a success");
        assert_eq!(after_failure(s(30), s(600), 0.2, 1), s(300), "a listing that hung");
    }

    #[test]
    fn names_come_always_while_they_are_cheap_and_on_a_cycle_of_their_own_when_dear() {
        assert!(with_names(10_000, None, s(0), s(30)));
        assert!(with_names(10, Some(s(1)), s(0), s(60)));
        assert!(!with_names(1_000_000, None, s(1000), s(30)));
        assert!(with_names(1_000_000, None, s(1520), s(30)), "76 s every 25 minutes");
        assert!(!with_names(1_000_000, Some(s(100)), s(1999), s(30)), "what was measured counts");
        assert!(with_names(1_000_000, Some(s(100)), s(2000), s(30)));
    }
}
