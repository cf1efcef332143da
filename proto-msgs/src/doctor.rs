//! What is wrong or could become so, and the command that mends it.

use serde::{Deserialize, Serialize};

/// `doctor`: looks at Kubo, its repo, the locks and the index, now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Doctor {}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something works, and can fail or harm.
    Warning,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl Severity {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Unknown => "unknown",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// For programs: a cause that Kubo is held for, or `storage_unbounded`, `rpc_open` ….
    pub cause: String,
    /// How bad.
    pub severity: Severity,
    /// For people: what is wrong, with what it rests on.
    pub detail: String,
    /// For people: what ends it.
    pub hint: String,
    /// The command that mends it or shows more, where there is one; what only its reader knows stands in angle brackets.
    pub command: Option<String>,
}

/// The findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// RFC 3339 UTC: when it was looked at.
    pub as_of: String,
    /// Errors first; none: all is well.
    pub findings: Vec<Finding>,
}
