//! Words of the command line as the values that they mean.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use proto_msgs::daemon::Condition;
use proto_msgs::log::LogLevel;
use proto_msgs::pin::PinType;
use std::time::Duration;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = span(text).and_then(|d| Duration::try_from(d).ok());
    parsed.ok_or_else(|| "a duration looks like 500ms, 30s, 5m, 1h, 7d or 2w".to_owned())
}

/// A day has 24 hours, a week seven days; no month has a length.
fn span(text: &str) -> Option<SignedDuration> {
    text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

/// Bytes, with units of thousands (k, kB, M, MB …) or of 1024 (Ki, KiB …), in any case.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let read = || {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
        let unit = unit.trim().to_ascii_lowercase();
        let unit = unit.strip_suffix('b').unwrap_or(&unit);
        let (prefix, base) = unit.strip_suffix('i').map_or((unit, 1000_u64), |prefix| (prefix, 1024));
        let power = match prefix {
            "" if base == 1000 => 0,
            "k" => 1,
            "m" => 2,
            "g" => 3,
            "t" => 4,
            "p" => 5,
            _ => return None,
        };
        times(number, base.pow(power))
    };
    read().ok_or_else(|| {
        "a size looks like 512, 1.5MB or 1GiB: bytes, or k, M, G, T, P of thousands, or Ki, Mi, Gi, Ti, Pi of 1024, with or \
without B"
            .to_owned()
    })
}

/// A decimal number times this, rounded down to whole bytes.
fn times(number: &str, factor: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let (digits, scale) = (decimals.parse::<u64>().ok()?, 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?);
    let part = u128::from(digits) * u128::from(factor) / scale;
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    whole.checked_add(u64::try_from(part).ok()?)
}

/// A time, in UTC where it says nothing else, or a span before now.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    let utc = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let ago = || Timestamp::now().checked_sub(span(text)?.abs()).ok();
    text.parse().ok().or_else(utc).or_else(ago).ok_or_else(|| {
        "a time looks like 10m, 48h or 7d (ago), 2026-11-21 or 2026-11-21T19:45 (UTC), or 2026-11-21T08:00:00+01:00"
            .to_owned()
    })
}

/// From where on events are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Seq(u64),
    Time(Timestamp),
}

pub(super) fn after(text: &str) -> Result<After, String> {
    let time =
        || since(text).map(After::Time).map_err(|error| format!("it can be an event's number, or a time: {error}"));
    text.parse().map(After::Seq).or_else(|_| time())
}

pub(super) fn condition(text: &str) -> Result<Condition, String> {
    let found = Condition::ALL.into_iter().find(|condition| condition.name() == text);
    found.ok_or_else(|| "it can be kubo=running, kubo=stopped, index=fresh or index=complete".to_owned())
}

pub(super) fn level(text: &str) -> Result<LogLevel, String> {
    let found = LogLevel::ALL.into_iter().find(|level| level.name() == text);
    found.ok_or_else(|| "it can be error, warn, info, debug or trace".to_owned())
}

pub(super) fn pin_type(text: &str) -> Result<PinType, String> {
    [PinType::Recursive, PinType::Direct]
        .into_iter()
        .find(|pin_type| pin_type.name() == text)
        .ok_or_else(|| "it can be recursive or direct (indirect pins are not in the index)".to_owned())
}

/// The ways in which pins are read.
pub(crate) const PATTERNS: [&str; 9] =
    ["unknown", "cold", "single", "sporadic", "steady", "bursty", "periodic", "sequential", "streaming"];

pub(super) fn pattern(text: &str) -> Result<String, String> {
    if PATTERNS.contains(&text) { Ok(text.to_owned()) } else { Err(format!("it can be {}", PATTERNS.join(", "))) }
}

/// A column, and whether the other way round.
pub(crate) fn order(text: &str) -> Result<(String, bool), String> {
    match text.split_once(':') {
        None => Ok((text.to_owned(), false)),
        Some((column, "asc")) => Ok((column.to_owned(), false)),
        Some((column, "desc")) => Ok((column.to_owned(), true)),
        Some(_) => Err("behind the colon stands asc or desc".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_may_have_days_and_weeks_and_no_months() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs_f64());
        let read = ["500ms", "30s", "1.5h", "7d", "2w", "1d12h"].map(seconds);
        assert_eq!(read, [0.5, 30.0, 5400.0, 604_800.0, 1_209_600.0, 129_600.0].map(Ok));
        for wrong in ["30", "1mo", "1y", "-5s", "soon", ""] {
            assert!(duration(wrong).is_err_and(|error| error.contains("7d or 2w")), "{wrong}");
        }
    }

    #[test]
    fn sizes_may_have_decimals_and_units_in_any_case() {
        let pairs = [
            ("512", 512),
            ("512b", 512),
            ("1k", 1000),
            ("1kB", 1000),
            ("1KB", 1000),
            ("1KiB", 1024),
            ("1ki", 1024),
            ("1.5MB", 1_500_000),
            ("1.5mib", 1_572_864),
            ("0.1", 0),
            ("2 GiB", 2 << 30),
            ("3t", 3_000_000_000_000),
        ];
        for (text, bytes) in pairs {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "k", ".5M", "1.", "1.2.3k", "1i", "1ib", "1x", "-1", "99999999P", "1,5MB"] {
            assert!(size(wrong).is_err_and(|error| error.contains("1.5MB")), "{wrong}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc_and_one_without_a_day_is_a_span_before_now() {
        let at = |text| since(text).map(|at| at.to_string());
        assert_eq!(at("2026-11-21"), Ok("2026-11-21T00:00:00Z".to_owned()));
        assert_eq!(at("2026-11-21T19:45"), Ok("2026-11-21T19:45:00Z".to_owned()));
        assert_eq!(at("2026-11-21 19:45:06"), Ok("2026-11-21T19:45:06Z".to_owned()));
        assert_eq!(at("2026-11-21T19:45+01:00"), Ok("2026-11-21T18:45:00Z".to_owned()));
        let before = |text| Timestamp::now().duration_since(since(text).expect("a time")).as_secs_f64().round();
        assert_eq!(["7d", "10m ago"].map(before), [604_800.0, 600.0]);
        for wrong in ["yesterday", "2026-13-01", "1mo", ""] {
            assert!(since(wrong).is_err_and(|error| error.contains("2026-11-21T19:45 (UTC)")), "{wrong}");
        }
    }

    #[test]
    fn sort_keys_are_read_with_their_way() {
        assert_eq!(order("name:desc"), Ok(("name".to_owned(), true)));
        assert_eq!(order("first_seen"), Ok(("first_seen".to_owned(), false)));
        assert_eq!(order("cid:asc"), Ok(("cid".to_owned(), false)));
        assert!(order("cid:down").is_err());
    }
}
