//! What can go wrong, in terms a caller can act on.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fault {
    /// For programs.
    pub kind: FaultKind,
    /// For people: one sentence, what failed.
    pub detail: String,
    /// What to do next, where there is something.
    pub hint: Option<String>,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The request is wrong and will be wrong again: not JSON, an unknown verb, a CID that is none.
    Invalid,
    /// What was asked for is not there.
    NotFound,
    /// It cannot be done in the present state, for a reason that a retry does not change.
    Conflict,
    /// Not yet, or being stopped: ask again later.
    NotReady,
    /// A limit is reached: ask again later.
    Busy,
    /// The deadline passed; whether the effect happens is unknown.
    Timeout,
    /// The call needs Kubo and Kubo is not running.
    KuboDown,
    /// Kubo refused or failed; its own words are in `detail`.
    Kubo,
    /// Kubo is run by somebody else, so it is not started, stopped or restarted here.
    NotOurs,
    /// The caller may not do this.
    Denied,
    /// The part of the daemon that worked on the call failed and is being restarted; whether the effect happened is unknown.
    Interrupted,
    /// The client cancelled the call.
    Cancelled,
    /// A defect of the daemon.
    Internal,
    /// A kind that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl FaultKind {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Invalid => "invalid",
            FaultKind::NotFound => "not_found",
            FaultKind::Conflict => "conflict",
            FaultKind::NotReady => "not_ready",
            FaultKind::Busy => "busy",
            FaultKind::Timeout => "timeout",
            FaultKind::KuboDown => "kubo_down",
            FaultKind::Kubo => "kubo",
            FaultKind::NotOurs => "not_ours",
            FaultKind::Denied => "denied",
            FaultKind::Interrupted => "interrupted",
            FaultKind::Cancelled => "cancelled",
            FaultKind::Internal => "internal",
            FaultKind::Unknown => "unknown",
        }
    }
}

impl Fault {
    /// A fault without a hint.
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Fault {
        Fault { kind, detail: detail.into(), hint: None }
    }

    /// The same fault with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail)
    }
}

impl std::error::Error for Fault {}
