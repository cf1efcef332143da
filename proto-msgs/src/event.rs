//! What has happened: numbered, kept for a while, and told as it comes.

use crate::daemon::LastError;
use crate::kubo::KuboState;
use serde::{Deserialize, Serialize};

/// `events`: what is kept of what has happened since the daemon began, or since an event that the caller has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Events {
    /// Only events with a greater number; all that are kept when `null`.
    pub since: Option<u64>,
    /// The epoch of `since`. Numbers of another epoch mean nothing, so that all events are sent when it is not the present one;
    /// `null` stands for the present one.
    pub epoch: Option<String>,
    /// Go on: each event that comes is sent in a part, until the client hangs up or the daemon stops.
    pub follow: bool,
}

/// Events in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// This life of the daemon: numbers begin anew with the next one.
    pub epoch: String,
    /// Events between those asked for and the first one here, that are no longer kept.
    pub gap: u64,
    /// Oldest first.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Counts from 1 in each epoch, without gaps.
    pub seq: u64,
    /// RFC 3339 UTC.
    pub at: String,
    /// What has happened.
    pub what: What,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Kubo came to another state.
    Kubo(KuboChange),
    /// A part of the daemon met an error; of a series of the same the first.
    Error(LastError),
    /// The pins changed; of changes in quick succession one event tells.
    Index(IndexChange),
}

/// Changes of the pin set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexChange {
    /// The generation before.
    pub from: u64,
    /// The generation after: `pin diff FROM TO` says in what they differ.
    pub to: u64,
    /// Pins that were added between the two.
    pub added: u64,
    /// Times that a pin was renamed or retyped.
    pub changed: u64,
    /// Pins that were removed.
    pub removed: u64,
    /// Pins after.
    pub pins: u64,
    /// Whether an index was restored between the two: the counts do not say in what that one differs.
    pub restored: bool,
}

/// A change of Kubo's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboChange {
    /// The state before.
    pub from: KuboState,
    /// The state after.
    pub to: KuboState,
    /// For programs: `ready`, `exited`, `stop_asked`, `hung` …; of a held Kubo the cause that it is held for.
    pub cause: String,
    /// For people: what it rests on.
    pub evidence: String,
}
