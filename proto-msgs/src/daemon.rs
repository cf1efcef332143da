//! The daemon itself: its state, its index as a whole, its configuration, its end.

use crate::access::SourceReport;
use crate::kubo::KuboReport;
use crate::lock::LockFile;
use crate::pin::{PinsUnderWay, Source};
use crate::snapshot::SnapshotBrief;
use serde::{Deserialize, Serialize};

/// `status`: everything on one screen. Never waits behind work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusReport {
    /// The daemon.
    pub daemon: DaemonReport,
    /// Its child.
    pub kubo: KuboReport,
    /// Its index.
    pub index: IndexReport,
    /// `repo.lock` as the janitor saw it last; `null` before the first look, and where no repo is known.
    pub lock: Option<LockFile>,
    /// Where accesses come from.
    #[serde(default)]
    pub accesses: Vec<SourceReport>,
    /// Pins that were begun with `pin add --detach` and have not come to their end.
    #[serde(default)]
    pub detached: PinsUnderWay,
    /// The newest error of any part since the daemon began.
    pub last_error: Option<LastError>,
}

/// An error and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastError {
    /// RFC 3339 UTC.
    pub at: String,
    /// Which actor.
    pub actor: String,
    /// One sentence.
    pub detail: String,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DaemonReport {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// RFC 3339 UTC.
    pub started: String,
    /// Seconds.
    pub uptime_s: f64,
    /// Where it keeps its files.
    pub data_dir: String,
    /// Where it listens.
    pub socket: String,
    /// Whether it is on its way down.
    pub stopping: bool,
    /// Its actors.
    pub actors: Vec<ActorReport>,
}

/// One actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActorReport {
    /// `supervisor`, `index`, `kubo`, `janitor`, `indexer`, `enricher`, `analytics`, `snapshot`, `server`.
    pub name: String,
    /// Whether it takes work now.
    pub running: bool,
    /// Restarts since the daemon began.
    pub restarts: u64,
    /// Why it was restarted last.
    pub last_failure: Option<LastError>,
}

/// The index as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexReport {
    /// RFC 3339 UTC: the index held what Kubo held at this time; `null` before the first refresh of this index.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// Counts changes of the pin set.
    pub generation: u64,
    /// Whether a whole listing of Kubo's pins has been applied to this index.
    pub complete: bool,
    /// Where answers come from now.
    pub source: Source,
    /// Pins.
    pub pins: u64,
    /// Recursive ones among them.
    pub recursive: u64,
    /// Direct ones among them.
    pub direct: u64,
    /// The node that the index belongs to; `null` until its first refresh.
    pub peer_id: Option<String>,
    /// Seconds from the start of one refresh to the start of the next, as the present pace has it.
    pub interval_s: f64,
    /// How long the last whole refresh took, in seconds; one that came with names although they are dear counts without them.
    pub last_refresh_s: Option<f64>,
    /// Refreshes that failed since the last good one.
    pub failed_refreshes: u64,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// What was done about a damaged index file at this start.
    pub recovery: Option<String>,
    /// RFC 3339 UTC: the newest refresh of this process that compared names began then. Above some ten thousand pins names are
    /// dear, and are compared less often than pins.
    pub names_as_of: Option<String>,
    /// Whether refreshes begin only when somebody asks for one.
    pub paused: bool,
    /// Why no mark can be recorded until the daemon is started again.
    pub journal_closed: Option<String>,
    /// Why the last try to make a snapshot failed; `null` when it did not.
    pub snapshot_failed: Option<String>,
    /// How far the sizes are measured; `null` before the first count.
    pub sizes: Option<SizesReport>,
    /// The newest snapshot; `null` while none is known.
    pub snapshot: Option<SnapshotBrief>,
}

/// `index pause`: no refresh begins by itself until `index resume`, or the next start of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexPause {}

/// `index resume`: refreshes begin by themselves again, the first one at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexResume {}

/// What holds now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexPaused {
    /// Whether refreshes begin only when somebody asks for one.
    pub paused: bool,
}

/// How far the sizes of pins are measured. A pin's size is that of all that its CID stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SizesReport {
    /// Pins whose every block was counted once.
    pub exact: u64,
    /// Pins whose size is what the root block says of it.
    pub estimated: u64,
    /// Pins without a size.
    pub unknown: u64,
    /// Looks that failed and are tried again, since the daemon began.
    pub failed: u64,
    /// RFC 3339 UTC: when the next of them is due.
    pub next_retry: Option<String>,
    /// Why the last one failed.
    pub last_failure: Option<String>,
}

/// `index info`: everything about the index as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexInfo {}

/// The answer to `index info`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexInfoReport {
    /// As in [`IndexReport`].
    pub as_of: Option<String>,
    /// As in [`IndexReport`].
    pub age_s: Option<f64>,
    /// As in [`IndexReport`].
    pub generation: u64,
    /// As in [`IndexReport`].
    pub complete: bool,
    /// As in [`IndexReport`].
    pub source: Source,
    /// As in [`IndexReport`].
    pub peer_id: Option<String>,
    /// Pins.
    pub pins: u64,
    /// Recursive ones among them.
    pub recursive: u64,
    /// Direct ones among them.
    pub direct: u64,
    /// Tombstones of pins that are gone.
    pub gone: u64,
    /// Renamed and retyped pins in the history.
    pub changes: u64,
    /// The oldest generation that `pin diff` takes.
    pub oldest_generation: u64,
    /// Bytes of the index file and its log.
    pub file_bytes: Option<u64>,
    /// Seconds from the start of one refresh to the start of the next, as configured.
    pub wanted_interval_s: f64,
    /// The same, as the present pace has it.
    pub interval_s: f64,
    /// As in [`IndexReport`].
    pub last_refresh_s: Option<f64>,
    /// Seconds by which the index is older than the present pace has it; 0 when it is on time.
    pub lag_s: Option<f64>,
    /// As in [`IndexReport`].
    pub failed_refreshes: u64,
    /// As in [`IndexReport`].
    pub last_error: Option<String>,
    /// As in [`IndexReport`].
    pub recovery: Option<String>,
    /// As in [`IndexReport`].
    pub names_as_of: Option<String>,
    /// As in [`IndexReport`].
    pub paused: bool,
    /// How far the sizes are measured.
    pub sizes: SizesReport,
    /// What it has of MFS.
    pub mfs: MfsReport,
    /// What was imported from the old system.
    pub legacy: LegacyReport,
}

/// What was imported from the old system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LegacyReport {
    /// Rows of the table `legacy`.
    pub rows: u64,
    /// Files that they are from.
    pub files: u64,
}

/// What the index has of MFS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MfsReport {
    /// RFC 3339 UTC: it held what MFS held at this time; `null` before the first walk has ended.
    pub as_of: Option<String>,
    /// Whether it has all of MFS.
    pub complete: bool,
    /// Files and directories, with the root.
    pub entries: u64,
    /// Those whose blocks are not in the repo; what is below them is not known.
    pub unread: u64,
    /// Why the last look failed; `null` when it did not.
    pub error: Option<String>,
}

/// `index refresh`: lists Kubo's pins soon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct IndexRefresh {
    /// Answer when a refresh that began after this call is over; otherwise when it is asked for.
    pub wait: bool,
    /// Compare names too, however dear that is.
    pub names: bool,
}

/// The refresh is over (or, without `wait`, asked for).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexRefreshed {
    /// As in [`IndexReport`].
    pub as_of: Option<String>,
    /// As in [`IndexReport`].
    pub age_s: Option<f64>,
    /// As in [`IndexReport`].
    pub generation: u64,
    /// As in [`IndexReport`].
    pub complete: bool,
    /// As in [`IndexReport`].
    pub source: Source,
    /// Whether the refresh is over.
    pub done: bool,
    /// Pins that it found new.
    pub added: u64,
    /// Pins that it found gone.
    pub removed: u64,
    /// Pins whose name or type had changed.
    pub changed: u64,
    /// Pins that this listing missed, and that count as gone when the next one misses them too.
    pub missing: u64,
}

/// `metrics`: totals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metrics {}

/// A key and how many pins have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Count {
    /// A type, a codec, a class of age or size.
    pub key: String,
    /// Pins.
    pub pins: u64,
}

/// Totals over all pins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetricsReport {
    /// As in [`IndexReport`].
    pub as_of: Option<String>,
    /// As in [`IndexReport`].
    pub age_s: Option<f64>,
    /// As in [`IndexReport`].
    pub generation: u64,
    /// As in [`IndexReport`].
    pub complete: bool,
    /// As in [`IndexReport`].
    pub source: Source,
    /// Pins.
    pub pins: u64,
    /// Named pins.
    pub named: u64,
    /// By type.
    pub by_type: Vec<Count>,
    /// By codec, most first.
    pub by_codec: Vec<Count>,
    /// By time since the first sight: `<1h`, `1h-1d`, `1d-7d`, `7d-30d`, `>=30d`.
    pub by_age: Vec<Count>,
    /// By how well the size is known: `exact`, `estimated`, `unknown`.
    pub by_size_kind: Vec<Count>,
    /// By size: `<1KiB`, `1KiB-1MiB`, `1MiB-1GiB`, `1GiB-1TiB`, `>=1TiB`; pins of unknown size are in none.
    pub by_size: Vec<Count>,
    /// Bytes of the pins whose size is known; what several pins share counts for each. `null` while no size is known.
    pub bytes: Option<u64>,
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Kubo is ready.
    KuboRunning,
    /// Kubo is stopped, by a person or held.
    KuboStopped,
    /// A refresh that began after the call was applied.
    IndexFresh,
    /// A whole listing has been applied to the index, at any time.
    IndexComplete,
}

impl Condition {
    /// All of them.
    pub const ALL: [Condition; 4] =
        [Condition::KuboRunning, Condition::KuboStopped, Condition::IndexFresh, Condition::IndexComplete];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Condition::KuboRunning => "kubo=running",
            Condition::KuboStopped => "kubo=stopped",
            Condition::IndexFresh => "index=fresh",
            Condition::IndexComplete => "index=complete",
        }
    }
}

/// `wait --for=…`: answers when it is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Wait {
    /// The condition.
    #[serde(rename = "for")]
    pub condition: Condition,
}

/// The condition holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Waited {
    /// The condition.
    #[serde(rename = "for")]
    pub condition: Condition,
    /// Seconds until it held.
    pub waited_s: f64,
}

/// `config show --effective`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigShow {}

/// One setting and where its value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Setting {
    /// As in the configuration file.
    pub key: String,
    /// In TOML's notation.
    pub value: String,
    /// `flag --interval`, `environment IPFS_KITD_INTERVAL`, `file /etc/…`, `default`.
    pub source: String,
}

/// The configuration in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigReport {
    /// Every setting.
    pub settings: Vec<Setting>,
}

/// `shutdown`: stops the daemon in order. The end of the connection is the end of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shutdown {}

/// The stop has begun; the connection ends with the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShuttingDown {
    /// The process that is ending.
    pub pid: u32,
}

/// Gives up another call of the same connection; that call is answered with a `cancelled` fault unless it is over already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cancel {
    /// The other call.
    pub id: u64,
}

/// The answer to `cancel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cancelled {
    /// The other call.
    pub id: u64,
    /// Whether it was still under way.
    pub was_running: bool,
}
