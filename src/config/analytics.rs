//! Accesses and what is made of them, as settings: the table `[analytics]`.

use super::ConfigError;
use super::layers::{Key, Layers, Sourced, duration, duration_text, located, parsed, setting};
use crate::analytics::tier::Tier;
use proto_msgs::daemon::Setting;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Where accesses come from, how long they are kept, and what is made of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Analytics {
    /// Whether applications may record accesses.
    pub record: bool,
    /// Whether Kubo's log of requests is read.
    pub kubo: bool,
    /// Access logs of web servers before the gateway, which are followed.
    pub gateway_logs: Vec<PathBuf>,
    /// Whether changes of MFS count as accesses.
    pub mfs: bool,
    /// So many accesses are kept.
    pub keep: u64,
    /// Within this time half of an access is forgotten.
    pub half_life: Duration,
    /// The least time from the start of one look at all pins to the start of the next; zero: none is taken.
    pub interval: Duration,
    /// What tiers cost; of one that has the name of a measured tier, that one.
    pub tiers: Vec<Tier>,
}

impl Default for Analytics {
    fn default() -> Analytics {
        Analytics {
            record: true,
            kubo: true,
            gateway_logs: Vec::new(),
            mfs: true,
            keep: 10_000_000,
            half_life: Duration::from_secs(7 * 86_400),
            interval: Duration::from_secs(60),
            tiers: Vec::new(),
        }
    }
}

/// As in the file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    record: Option<bool>,
    kubo: Option<bool>,
    gateway_logs: Option<Vec<PathBuf>>,
    mfs: Option<bool>,
    keep: Option<u64>,
    half_life: Option<String>,
    interval: Option<String>,
    tiers: Option<Vec<FileTier>>,
}

/// As the costs, the room is told in this.
const GIB: f64 = 1_073_741_824.0;

/// A tier as in the file: `{ name = "hdd", storage = 0.02 }`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileTier {
    name: String,
    storage: f64,
    #[serde(default)]
    access: f64,
    #[serde(default)]
    read: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<f64>,
}

/// With each setting as text. All of them can be changed while the daemon runs.
pub(super) fn resolve(layers: &Layers<'_>, file: Option<File>) -> Result<(Analytics, Vec<Setting>), ConfigError> {
    let (file, default) = (file.unwrap_or_default(), Analytics::default());
    let record = parsed(layers, KEYS[0], file.record, default.record, |_| true)?;
    let kubo = parsed(layers, KEYS[1], file.kubo, default.kubo, |_| true)?;
    let split = |text: String| std::env::split_paths(&text).collect();
    let logs = layers.pick("analytics.gateway_logs", None, split, file.gateway_logs);
    let logs = logs.unwrap_or_else(|| Sourced::from_default(Vec::new()));
    let place = |path: &PathBuf| {
        let path = Sourced { value: path.clone(), source: logs.source.clone() };
        located("analytics.gateway_logs", path).map(|path| path.value)
    };
    let gateway_logs = logs.value.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let gateway_logs = Sourced { value: gateway_logs, source: logs.source };
    let mfs = parsed(layers, KEYS[2], file.mfs, default.mfs, |_| true)?;
    let keep = parsed(layers, KEYS[3], file.keep, default.keep, |keep| (1_000..=100_000_000).contains(keep))?;
    let span = |(key, wanted): Key, file, default: Duration, least| {
        duration(layers, key, (None, file), &duration_text(default), wanted, least)
    };
    let half_life = span(KEYS[4], file.half_life, default.half_life, Duration::from_secs(3600))?;
    let interval = span(KEYS[5], file.interval, default.interval, Duration::ZERO)?;
    let tiers = tiers(layers, file.tiers)?;
    let paths = |paths: &Vec<PathBuf>| {
        toml::Value::from(paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()).to_string()
    };
    let spanned = |span: &Duration| toml::Value::from(duration_text(*span)).to_string();
    let settings = vec![
        setting(KEYS[0].0, &record, bool::to_string),
        setting(KEYS[1].0, &kubo, bool::to_string),
        setting("analytics.gateway_logs", &gateway_logs, paths),
        setting(KEYS[2].0, &mfs, bool::to_string),
        setting(KEYS[3].0, &keep, u64::to_string),
        setting(KEYS[4].0, &half_life, spanned),
        setting(KEYS[5].0, &interval, spanned),
        setting(TIERS.0, &tiers, |tiers| shown(tiers)),
    ];
    let analytics = Analytics {
        record: record.value,
        kubo: kubo.value,
        gateway_logs: gateway_logs.value,
        mfs: mfs.value,
        keep: keep.value,
        half_life: half_life.value,
        interval: interval.value,
        tiers: tiers.value,
    };
    Ok((analytics, settings))
}

fn tiers(layers: &Layers<'_>, file: Option<Vec<FileTier>>) -> Result<Sourced<Vec<Tier>>, ConfigError> {
    // Only a file can hold them: a variable would be a table in a line.
    let Some(Sourced { value: listed, source }) =
        file.and_then(|listed| layers.pick_from(TIERS.0, None, &[], |_| Vec::new(), Some(listed)))
    else {
        return Ok(Sourced::from_default(Vec::new()));
    };
    let cost = |cost: f64| cost.is_finite() && cost >= 0.0;
    let fits = |tier: &FileTier| {
        let named = !tier.name.is_empty() && tier.name.len() <= crate::index::mark::TIER;
        named && [tier.storage, tier.access, tier.read, tier.room.unwrap_or(0.0)].into_iter().all(cost)
    };
    let twice = |name: &str| listed.iter().filter(|tier| tier.name == name).count() > 1;
    if let Some(wrong) = listed.iter().find(|tier| !fits(tier) || twice(&tier.name)) {
        let (value, source_text) = (wrong.name.clone(), source);
        return Err(ConfigError::Value { key: TIERS.0, value, source_text, wanted: TIERS.1 });
    }
    let value = listed.into_iter().map(|tier| {
        let FileTier { name, storage, access, read, room } = tier;
        Tier { name, storage, access, read, room: room.map(|room| room * GIB) }
    });
    Ok(Sourced { value: value.collect(), source })
}

fn shown(tiers: &[Tier]) -> String {
    let rows = tiers.iter().cloned().map(|Tier { name, storage, access, read, room }| {
        let tier = FileTier { name, storage, access, read, room: room.map(|room| room / GIB) };
        toml::Value::try_from(tier).map(|tier| tier.to_string()).unwrap_or_default()
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}

const TIERS: Key = (
    "analytics.tiers",
    "the name of one tier, with costs and a room from 0 on, such as { name = \"hdd\", storage = 0.02, access = 0, read = 0, room = 500 }",
);
const KEYS: [Key; 6] = [
    ("analytics.record", "true or false"),
    ("analytics.kubo", "true or false"),
    ("analytics.mfs", "true or false"),
    ("analytics.keep", "a number of accesses from 1000 to 100000000"),
    ("analytics.half_life", "a duration from 1h to 8760h, such as 168h"),
    ("analytics.interval", "0s for never, or a duration up to 8760h, such as 1m"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str) -> Result<(Analytics, Vec<Setting>), ConfigError> {
        let file = toml::from_str(text).expect("a table");
        resolve(&Layers { env: &|_| None, file: Some(Path::new("/etc/ipfs-kitd/config.toml")) }, Some(file))
    }

    #[test]
    fn what_is_listed_can_be_a_file_again() {
        let text = r#"
            gateway_logs = ["/var/log/nginx/access.log"]
            half_life = "48h"
            tiers = [{ name = "hdd", storage = 0.02 }, { name = "archive", storage = 0.001, access = 0.1, room = 1000 }]
        "#;
        let (analytics, settings) = read(text).expect("it is right");
        assert_eq!((analytics.tiers.len(), analytics.half_life), (2, Duration::from_secs(48 * 3600)));
        assert_eq!(analytics.tiers[1].room, Some(1000.0 * 1024.0 * 1024.0 * 1024.0));
        let lines = settings.iter().map(|s| format!("{} = {}\n", s.key.replace("analytics.", ""), s.value));
        assert_eq!(read(&lines.collect::<String>()).expect("it is right again").0, analytics);
        assert_eq!(read("").expect("nothing is set").0, Analytics::default());
    }

    #[test]
    fn a_tier_has_a_name_of_its_own_and_costs_nothing_below_zero() {
        for wrong in [
            "tiers = [{ name = \"\", storage = 1 }]",
            "tiers = [{ name = \"a\", storage = -1.0 }]",
            "tiers = [{ name = \"a\", storage = nan }]",
            "tiers = [{ name = \"a\", storage = 1 }, { name = \"a\", storage = 2 }]",
            "gateway_logs = [\"access.log\"]",
            "keep = 1",
        ] {
            assert!(matches!(read(wrong), Err(ConfigError::Value { .. })), "{wrong}");
        }
    }
}
