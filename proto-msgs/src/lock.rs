//! Locks of the repo, judged by the kernel.

use serde::{Deserialize, Serialize};

/// What a lock file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A process holds it: the kernel says so.
    Live,
    /// Nobody holds it and nothing is in the way of a start.
    Idle,
    /// Nobody holds it and its content blocks a start; the owner is proven dead.
    Dead,
    /// It cannot be decided, so it counts as live.
    Unknown,
}

impl Verdict {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Live => "live",
            Verdict::Idle => "idle",
            Verdict::Dead => "dead",
            Verdict::Unknown => "unknown",
        }
    }
}

/// `lock check`: looks at the lock files of the repo, now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockCheck {}

/// One lock file and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockFile {
    /// The file.
    pub path: String,
    /// What it means.
    pub verdict: Verdict,
    /// The holder, where the kernel names one in our PID namespace.
    pub holder_pid: Option<u32>,
    /// The holder's program, for people.
    pub holder: Option<String>,
    /// Whether the holder is the daemon's own Kubo.
    pub ours: bool,
    /// What the verdict rests on, for people.
    pub evidence: Vec<String>,
}

/// The verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockReport {
    /// RFC 3339 UTC: when it was looked at.
    pub as_of: String,
    /// `repo.lock` first.
    pub locks: Vec<LockFile>,
}
