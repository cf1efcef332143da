//! The daemon's own log.

use serde::{Deserialize, Serialize};

/// `log`: the newest lines of the daemon's own log; what Kubo writes is `kubo logs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Log {
    /// How many; 100 when `null`, 2,000 at most.
    pub lines: Option<u32>,
    /// RFC 3339: only lines of this time or later.
    pub since: Option<String>,
    /// Only lines of this level, and of worse ones.
    pub level: Option<LogLevel>,
    /// Go on: each line that comes is sent in a part, until the client hangs up or the daemon stops.
    pub follow: bool,
}

/// How much a line matters. What the daemon's filter leaves out is not kept either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something may fail, or did and was dealt with.
    Warn,
    /// What happens.
    Info,
    /// For whoever looks for a defect.
    Debug,
    /// The same in detail.
    Trace,
}

impl LogLevel {
    /// All of them, the worst first.
    pub const ALL: [LogLevel; 5] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// RFC 3339 UTC.
    pub at: String,
    /// How much it matters.
    pub level: LogLevel,
    /// The part of the daemon that says it; `audit` for calls that change something.
    pub target: String,
    /// The message, then its fields; cut at 64 KiB.
    pub text: String,
}

/// Lines, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogPage {
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Lines of this daemon's life that are no longer kept; in a part, those that were missed since the part before.
    pub dropped: u64,
}
