//! Snapshots, as settings: the table `[snapshot]`.

use super::ConfigError;
use super::layers::{Key, Layers, duration, duration_text, parsed, setting};
use crate::snapshot::pace::Budget;
use proto_msgs::daemon::Setting;
use serde::Deserialize;
use std::time::Duration;

/// What is published, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whether snapshots are made without being asked for.
    pub enabled: bool,
    /// What they may cost.
    pub budget: Budget,
    /// So many of the newest stay, however old.
    pub keep: u64,
    /// One stays for so long after the next one was made.
    pub keep_age: Duration,
    /// Up to so many pins, `pins.arrow` is among the files.
    pub arrow_max_rows: u64,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        Snapshot {
            enabled: true,
            budget: Budget { share: 0.02, bytes_per_day: 10_000_000_000 },
            keep: 2,
            keep_age: Duration::from_secs(600),
            arrow_max_rows: 20_000_000,
        }
    }
}

/// As in the file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    enabled: Option<bool>,
    share: Option<f64>,
    bytes_per_day: Option<u64>,
    keep: Option<u64>,
    keep_age: Option<String>,
    arrow_max_rows: Option<u64>,
}

/// With each setting as text. All of them can be changed while the daemon runs.
pub(super) fn resolve(layers: &Layers<'_>, file: Option<File>) -> Result<(Snapshot, Vec<Setting>), ConfigError> {
    let (file, default) = (file.unwrap_or_default(), Snapshot::default());
    let enabled = parsed(layers, KEYS[0], file.enabled, default.enabled, |_| true)?;
    let share = parsed(layers, KEYS[1], file.share, default.budget.share, |share| *share > 0.0 && *share <= 1.0)?;
    let bytes_per_day = parsed(layers, KEYS[2], file.bytes_per_day, default.budget.bytes_per_day, |bytes| *bytes > 0)?;
    let keep = parsed(layers, KEYS[3], file.keep, default.keep, |keep| (2..=1000).contains(keep))?;
    let (key, wanted) = KEYS[4];
    let usual = duration_text(default.keep_age);
    let keep_age = duration(layers, key, (None, file.keep_age), &usual, wanted, Duration::ZERO)?;
    let arrow_max_rows = parsed(layers, KEYS[5], file.arrow_max_rows, default.arrow_max_rows, |_| true)?;
    let settings = vec![
        setting(KEYS[0].0, &enabled, bool::to_string),
        setting(KEYS[1].0, &share, f64::to_string),
        setting(KEYS[2].0, &bytes_per_day, u64::to_string),
        setting(KEYS[3].0, &keep, u64::to_string),
        setting(KEYS[4].0, &keep_age, |d| toml::Value::from(duration_text(*d)).to_string()),
        setting(KEYS[5].0, &arrow_max_rows, u64::to_string),
    ];
    let snapshot = Snapshot {
        enabled: enabled.value,
        budget: Budget { share: share.value, bytes_per_day: bytes_per_day.value },
        keep: keep.value,
        keep_age: keep_age.value,
        arrow_max_rows: arrow_max_rows.value,
    };
    Ok((snapshot, settings))
}

const KEYS: [Key; 6] = [
    ("snapshot.enabled", "true or false"),
    ("snapshot.share", "a share of wall time above 0 and at most 1"),
    ("snapshot.bytes_per_day", "a number of bytes above 0"),
    ("snapshot.keep", "a number from 2 to 1000"),
    ("snapshot.keep_age", "a duration up to 8760h, such as 10m"),
    ("snapshot.arrow_max_rows", "a number of pins"),
];
