//! What has happened: numbered, kept for a while, and told as it comes.

use crate::daemon::LastError;
use crate::kubo::KuboState;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

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
///
/// Whoever follows keeps `epoch` and the number of the last event, and goes on with them after a lost connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventPage {
    /// This life of the daemon: numbers begin anew with the next one.
    pub epoch: String,
    /// How things stand; in the first page of an answer and in no other.
    pub state: Option<EventState>,
    /// Events between those asked for and the first one here, that are no longer kept.
    pub gap: u64,
    /// Oldest first.
    pub events: Vec<Event>,
}

/// How things stand, so that whoever follows need not ask for it in a moment of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventState {
    /// RFC 3339 UTC: when it was taken.
    pub at: String,
    /// The newest event then, 0 before the first: what it and those before it tell is in this state already.
    pub seq: u64,
    /// The daemon's version.
    pub version: String,
    /// Whether the daemon is stopping.
    pub stopping: bool,
    /// Kubo's state.
    pub kubo: KuboState,
    /// The generation of the pin set.
    pub generation: u64,
    /// Pins.
    pub pins: u64,
    /// Whether the index holds all pins of the node.
    pub complete: bool,
    /// RFC 3339 UTC: when the index last held what Kubo held.
    pub as_of: Option<String>,
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
    #[serde(deserialize_with = "of_any_kind")]
    pub what: What,
}

/// In JSON an event that this program can't read is one of an unknown kind: a newer daemon has more kinds.
fn of_any_kind<'de, D: Deserializer<'de>>(from: D) -> Result<What, D::Error> {
    if !from.is_human_readable() {
        return What::deserialize(from);
    }
    let value = Value::deserialize(from)?;
    Ok(What::deserialize(&value).unwrap_or_else(|_| {
        let kind = value.as_object().and_then(|what| what.keys().next()).cloned().unwrap_or_default();
        What::Unknown(UnknownEvent { json: value.get(&kind).unwrap_or(&value).to_string(), kind })
    }))
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
    /// A `pin begin` has come to its end.
    Pin(PinEnd),
    /// Refreshes began to fail, or go well again.
    Refresh(RefreshChange),
    /// A snapshot was published.
    Snapshot(SnapshotPublished),
    /// The configuration was read again.
    Reload(Reloaded),
    /// Something that a newer daemon tells of and this program does not know. No daemon sends it.
    Unknown(UnknownEvent),
}

impl What {
    /// The kinds that daemons of this version send, by their names in JSON.
    pub const KINDS: [&str; 7] = ["kubo", "error", "index", "pin", "refresh", "snapshot", "reload"];

    /// Its kind, by its name in JSON.
    pub fn kind(&self) -> &str {
        let [kubo, error, index, pin, refresh, snapshot, reload] = Self::KINDS;
        match self {
            What::Kubo(_) => kubo,
            What::Error(_) => error,
            What::Index(_) => index,
            What::Pin(_) => pin,
            What::Refresh(_) => refresh,
            What::Snapshot(_) => snapshot,
            What::Reload(_) => reload,
            What::Unknown(event) => &event.kind,
        }
    }
}

/// Refreshes fail, or go well again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefreshChange {
    /// Whether they fail now.
    pub failing: bool,
    /// How many have failed one after the other, before now.
    pub failed: u64,
    /// Why the last one failed; `null` when they go well again.
    pub error: Option<String>,
}

/// A snapshot was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotPublished {
    /// Its directory.
    pub name: String,
    /// The generation of the pin set in it.
    pub generation: u64,
    /// Pins in it.
    pub pins: u64,
    /// Bytes of all its files.
    pub bytes: u64,
}

/// The configuration was read again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// Settings that have changed and that only a restart applies.
    pub later: Vec<String>,
}

/// An event of another kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnknownEvent {
    /// The kind's name.
    pub kind: String,
    /// What it says, as JSON.
    pub json: String,
}

/// How a pin that nobody waits for has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinEnd {
    /// The CID as Kubo prints it.
    pub cid: String,
    /// Why it is not pinned; `null` when it is, and the index knows it.
    pub failed: Option<String>,
    /// Whether it is not because `pin rm` has ended it.
    #[serde(default)]
    pub cancelled: bool,
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
