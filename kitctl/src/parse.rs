//! Words of the command line as the values that they mean.

use jiff::{SignedDuration, Timestamp};
use proto_msgs::daemon::Condition;
use proto_msgs::pin::{PinSort, PinType};
use std::time::Duration;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.ok_or_else(|| "a duration looks like 500ms, 30s, 5m or 1h".to_owned())
}

/// Bytes, with units of thousands (kB, MB) or of 1024 (KiB, MiB).
pub(super) fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 11] = [
        ("", 1),
        ("B", 1),
        ("kB", 1000),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
    let bytes = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.ok_or_else(|| "expected bytes, such as 512, 10MB or 1GiB".to_owned())
}

/// A time, or a span before now.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    let ago = || Timestamp::now().checked_sub(text.parse::<SignedDuration>().ok()?).ok();
    text.parse().ok().or_else(ago).ok_or_else(|| "a time looks like 10m (ago) or 2026-11-21T08:00:00Z".to_owned())
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

pub(super) fn pin_type(text: &str) -> Result<PinType, String> {
    [PinType::Recursive, PinType::Direct]
        .into_iter()
        .find(|pin_type| pin_type.name() == text)
        .ok_or_else(|| "it can be recursive or direct (indirect pins are not in the index)".to_owned())
}

pub(super) fn sort(text: &str) -> Result<(PinSort, bool), String> {
    let (key, descending) = match text.split_once(':') {
        None | Some((_, "asc")) => (text.trim_end_matches(":asc"), false),
        Some((key, "desc")) => (key, true),
        Some(_) => return Err("behind the colon stands asc or desc".to_owned()),
    };
    let key = match key {
        "cid" => PinSort::Cid,
        "name" => PinSort::Name,
        "type" => PinSort::Type,
        "codec" => PinSort::Codec,
        "size" => PinSort::Size,
        "first_seen" => PinSort::FirstSeen,
        _ => return Err("it can be cid, name, type, codec, size or first_seen".to_owned()),
    };
    Ok((key, descending))
}
