//! How one setting gets its value: the first of flag, environment and file that is there, with where it came from; and what
//! paths and durations have to look like.

use super::ConfigError;
use jiff::SignedDuration;
use proto_msgs::daemon::Setting;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a value comes from that nobody has set.
pub(super) const DEFAULT: &str = "default";
/// The longest duration, a year.
const LONGEST: Duration = Duration::from_secs(8760 * 3600);

/// A value and where it came from.
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) source: String,
}

impl<T> Sourced<T> {
    pub(super) fn from_default(value: T) -> Sourced<T> {
        Sourced { value, source: DEFAULT.to_owned() }
    }

    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: f(self.value), source: self.source }
    }
}

/// The first of flag, environment and file that is there.
pub(super) struct Layers<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: Option<&'a Path>,
}

impl Layers<'_> {
    /// Of a setting whose variable is named after it: `snapshot.keep` in `IPFS_KITD_SNAPSHOT_KEEP`.
    pub(super) fn pick<T>(
        &self,
        key: &'static str,
        flag: Option<T>,
        from_env: impl Fn(String) -> T,
        file: Option<T>,
    ) -> Option<Sourced<T>> {
        let variable = format!("IPFS_KITD_{}", key.replace('.', "_").to_uppercase());
        self.pick_from(key, flag, &[&variable], from_env, file)
    }

    /// Of one with other variables, the first of which that is set counts.
    pub(super) fn pick_from<T>(
        &self,
        key: &'static str,
        flag: Option<T>,
        variables: &[&str],
        from_env: impl Fn(String) -> T,
        file: Option<T>,
    ) -> Option<Sourced<T>> {
        if let Some(value) = flag {
            return Some(Sourced { value, source: format!("flag --{}", key.replace('_', "-")) });
        }
        for variable in variables {
            if let Some(text) = (self.env)(variable).filter(|t| !t.is_empty()) {
                return Some(Sourced { value: from_env(text), source: format!("environment {variable}") });
            }
        }
        let path = self.file.map(|p| p.display().to_string()).unwrap_or_default();
        file.map(|value| Sourced { value, source: format!("file {path}") })
    }
}

pub(super) fn words(text: String) -> Vec<String> {
    text.split([',', ' ']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

pub(super) fn some(list: &[String]) -> Option<Vec<String>> {
    if list.is_empty() { None } else { Some(list.to_vec()) }
}

/// A path of flag or environment is relative to the working directory; one of the file would be relative to wherever the
/// daemon happens to be started.
pub(super) fn located(key: &'static str, path: Sourced<PathBuf>) -> Result<Sourced<PathBuf>, ConfigError> {
    let wrong = |wanted| {
        let (value, source_text) = (path.value.display().to_string(), path.source.clone());
        Err(ConfigError::Value { key, value, source_text, wanted })
    };
    if path.value.as_os_str().is_empty() || path.value.as_os_str().as_bytes().contains(&0) {
        return wrong("a path");
    }
    if path.source.starts_with("file ") && !path.value.is_absolute() {
        return wrong("an absolute path (`~` and variables mean nothing here)");
    }
    Ok(path.map(|path| std::path::absolute(&path).unwrap_or(path)))
}

/// Key, and what could stand there.
pub(super) type Key = (&'static str, &'static str);

/// A value whose text says all of it.
pub(super) fn parsed<T: std::str::FromStr + std::fmt::Display>(
    layers: &Layers<'_>,
    (key, wanted): Key,
    file: Option<T>,
    default: T,
    fits: impl Fn(&T) -> bool,
) -> Result<Sourced<T>, ConfigError> {
    let picked = layers.pick(key, None, |text| text.parse().map_err(|_| text), file.map(Ok));
    let Some(Sourced { value, source }) = picked else { return Ok(Sourced::from_default(default)) };
    match value {
        Ok(value) if fits(&value) => Ok(Sourced { value, source }),
        wrong => {
            let value = wrong.map_or_else(|text| text, |value| value.to_string());
            Err(ConfigError::Value { key, value, source_text: source, wanted })
        }
    }
}

pub(super) fn duration(
    layers: &Layers<'_>,
    key: &'static str,
    (flag, file): (Option<String>, Option<String>),
    default: &str,
    wanted: &'static str,
    least: Duration,
) -> Result<Sourced<Duration>, ConfigError> {
    let picked = layers.pick(key, flag, std::convert::identity, file);
    let text = picked.unwrap_or_else(|| Sourced::from_default(default.to_owned()));
    let parsed = text.value.parse::<SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    match parsed.filter(|d| (least..=LONGEST).contains(d)) {
        Some(value) => Ok(Sourced { value, source: text.source }),
        None => Err(ConfigError::Value { key, value: text.value, source_text: text.source, wanted }),
    }
}

pub(super) fn duration_text(d: Duration) -> String {
    SignedDuration::try_from(d).map(|d| format!("{d:#}")).unwrap_or_default()
}

pub(super) fn setting<T>(key: &str, value: &Sourced<T>, show: impl Fn(&T) -> String) -> Setting {
    Setting { key: key.to_owned(), value: show(&value.value), source: value.source.clone() }
}
