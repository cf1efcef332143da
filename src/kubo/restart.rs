//! When Kubo is started again after it ended by itself. Pure: time and jitter come from the caller.

use std::collections::VecDeque;
use std::time::Duration;

/// The first retry, which also covers a lock that is just being released.
const FIRST: Duration = Duration::from_millis(200);
/// The second; each further one doubles it up to [`LONGEST`].
const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A run that was ready for so long starts the count anew.
pub const HEALTHY: Duration = Duration::from_secs(600);
/// An exit so soon after ready counts as a failed start.
pub const SOON: Duration = Duration::from_secs(10);
/// So many failed starts ...
pub const FAILED_STARTS: usize = 5;
/// ... within this time are a crash loop, ...
pub const WINDOW: Duration = Duration::from_secs(600);
/// ... which is retried so slowly.
const CRASH_LOOP: Duration = Duration::from_secs(300);

/// What the past says about the next try.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    tries: u32,
    failed_starts: VecDeque<Duration>,
    /// A crash loop lasts until a run was ready for [`SOON`]: its own pauses are longer than the window.
    looping: bool,
}

/// The next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The wait.
    pub after: Duration,
    /// Whether this is a crash loop.
    pub crash_loop: bool,
}

impl Restarts {
    /// A run ended by itself at `now`, having been ready for `ready` (`None`: never). `jitter` in 0..1 spreads the wait by
    /// ±20 %.
    pub fn ended(&mut self, now: Duration, ready: Option<Duration>, jitter: f64) -> Retry {
        if ready.is_some_and(|ready| ready >= HEALTHY) {
            *self = Restarts::default();
        }
        if ready.is_none_or(|ready| ready < SOON) {
            self.failed_starts.push_back(now);
        }
        while self.failed_starts.front().is_some_and(|at| now.saturating_sub(*at) > WINDOW) {
            self.failed_starts.pop_front();
        }
        self.looping =
            self.failed_starts.len() >= FAILED_STARTS || self.looping && ready.is_none_or(|ready| ready < SOON);
        let crash_loop = self.looping;
        let wait = match self.tries {
            _ if crash_loop => CRASH_LOOP,
            0 => FIRST,
            n => (SECOND * 2u32.saturating_pow((n - 1).min(6))).min(LONGEST),
        };
        self.tries = self.tries.saturating_add(1);
        Retry { after: wait.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0)), crash_loop }
    }

    /// Whether nothing has ended yet that counts.
    pub fn is_new(&self) -> bool {
        self.tries == 0
    }

    /// A person asked for a start: the past no longer counts.
    pub fn forgive(&mut self) {
        *self = Restarts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waits_grow_from_200_ms_to_a_minute_while_kubo_runs_well_in_between() {
        let mut restarts = Restarts::default();
        let waits: Vec<_> = (0..9).map(|i| restarts.ended(s(100 * i), Some(s(60)), MIDDLE).after).collect();
        let want = [FIRST, s(1), s(2), s(4), s(8), s(16), s(32), s(60), s(60)];
        assert_eq!(waits, want);
    }

    #[test]
    fn five_failed_starts_in_ten_minutes_are_a_crash_loop_and_healthy_time_ends_it() {
        let mut restarts = Restarts::default();
        let loops: Vec<_> = (0..5).map(|i| restarts.ended(s(i), None, MIDDLE).crash_loop).collect();
        assert_eq!(loops, [false, false, false, false, true]);
        let after_health = restarts.ended(s(2000), Some(HEALTHY), MIDDLE);
        assert_eq!(after_health, Retry { after: FIRST, crash_loop: false });
    }

    #[test]
    fn failed_starts_that_are_long_past_do_not_count() {
        let mut restarts = Restarts::default();
        for i in 0..20 {
            assert!(!restarts.ended(s(200 * i), None, MIDDLE).crash_loop, "start {i}");
        }
    }

    #[test]
    fn a_crash_loop_lasts_until_a_run_was_ready_for_a_while() {
        let (mut restarts, mut now) = (Restarts::default(), Duration::ZERO);
        for i in 0..50 {
            let retry = restarts.ended(now, None, MIDDLE);
            assert_eq!(retry.crash_loop, i >= 4, "end {i}");
            now += retry.after;
        }
        assert!(!restarts.ended(now + s(700), Some(s(60)), MIDDLE).crash_loop);
    }

    #[test]
    fn jitter_spreads_by_a_fifth() {
        assert_eq!(Restarts::default().ended(s(0), None, 0.0).after, Duration::from_millis(160));
        assert_eq!(Restarts::default().ended(s(0), None, 1.0).after, Duration::from_millis(240));
    }
}
