//! Times as the outside sees them: RFC 3339 UTC with milliseconds. Durations inside are `Instant`, never the wall clock.

use jiff::{SignedDuration, Timestamp, Unit};
use proto_msgs::{Fault, FaultKind};
use std::sync::LazyLock;
use std::time::Instant;

/// The present, as text.
pub fn now() -> String {
    text(Timestamp::now())
}

/// `2026-11-21T04:13:07.123Z`.
pub fn text(at: Timestamp) -> String {
    format!("{:.3}", at.round(Unit::Millisecond).unwrap_or(at))
}

/// A time in a caller's question.
pub fn parse(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map_err(|error| {
        Fault::new(FaultKind::Invalid, format!("`{text}` is not a time: {error}"))
            .hint("times look like 2026-11-21T08:00:00Z")
    })
}

/// How far the clock of who wrote a time may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

/// Seconds since `at`; `None` when that is yet to come, because the wall clock was set back: then nobody knows.
pub fn age_s(at: Timestamp) -> Option<f64> {
    let age = Timestamp::now().duration_since(at);
    (age >= -SKEW).then(|| age.max(SignedDuration::ZERO).as_secs_f64())
}

/// The same for a time as the outside has it; `None` also for a text that is no time.
pub fn age_of(text: &str) -> Option<f64> {
    text.parse().ok().and_then(age_s)
}

/// The time by which it is judged what is old enough to be removed: as long after the start of the process as its own clock says,
/// and never later than the wall clock. A wall clock that jumps into the future removes nothing.
pub fn settled() -> Timestamp {
    static START: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| (Timestamp::now(), Instant::now()));
    let (wall, began) = &*START;
    let passed = SignedDuration::try_from(began.elapsed()).unwrap_or(SignedDuration::MAX);
    Timestamp::now().min(wall.checked_add(passed).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_yet_to_come_has_no_age() {
        let at = |seconds| Timestamp::now() + SignedDuration::from_secs(seconds);
        assert!(age_s(at(-10)).is_some_and(|age| (10.0..60.0).contains(&age)));
        assert_eq!(age_s(at(1)), Some(0.0), "clocks are never quite the same");
        assert_eq!(age_s(at(3600)), None);
        assert!(settled() <= Timestamp::now());
    }
}
