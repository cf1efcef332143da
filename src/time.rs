//! Times as the outside sees them: RFC 3339 UTC with milliseconds. Durations inside are `Instant`, never the wall clock.

use jiff::{SignedDuration, Timestamp, Unit};
use proto_msgs::{Fault, FaultKind};

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

/// Seconds since `at`; 0 when the wall clock was set back behind it.
pub fn age_s(at: Timestamp) -> f64 {
    Timestamp::now().duration_since(at).max(SignedDuration::ZERO).as_secs_f64()
}
