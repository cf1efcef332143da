//! The state of the node, as the daemon measures it now and then while Kubo is ready. What could not be measured is `null`, never 0.

use serde::{Deserialize, Serialize};

/// Samples in one part at most.
pub const STATE_ROWS: usize = 500;

/// Which samples are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct StateAsk {
    /// The former ones, too, newest first, as parts of at most [`STATE_ROWS`] before the [`StateReport`].
    pub history: bool,
    /// RFC 3339: none from before.
    pub since: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// `state system`: Kubo's process and the machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateSystem(pub StateAsk);

/// `state network`: peers and traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateNetwork(pub StateAsk);

/// `state storage`: the repo and its disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateStorage(pub StateAsk);

/// `state files`: MFS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateFiles(pub StateAsk);

/// Kubo's process and the machine. Of a Kubo that somebody else runs the process is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SystemState {
    /// RFC 3339 UTC: when it was measured.
    pub at: String,
    /// Kubo's version.
    pub kubo_version: Option<String>,
    /// Processors that Kubo has kept busy since the sample before, on average: 1.5 is one and a half.
    pub kubo_cpu: Option<f64>,
    /// Bytes of memory that Kubo has in use (resident).
    pub kubo_memory: Option<u64>,
    /// Seconds since Kubo's process began.
    pub kubo_uptime_s: Option<f64>,
    /// The machine's load, of one minute.
    pub load: Option<f64>,
    /// Bytes of memory of the machine.
    pub memory_total: Option<u64>,
    /// Bytes of it that programs could have.
    pub memory_available: Option<u64>,
}

/// Peers and traffic. All `null` while Kubo is offline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NetworkState {
    /// RFC 3339 UTC: when it was measured.
    pub at: String,
    /// Peers that it is connected to.
    pub peers: Option<u64>,
    /// Bytes received since Kubo began.
    pub bytes_in: Option<u64>,
    /// Bytes sent since Kubo began.
    pub bytes_out: Option<u64>,
    /// Bytes received a second since the sample before, of the same run of Kubo.
    pub rate_in: Option<f64>,
    /// Bytes sent a second since the sample before, of the same run of Kubo.
    pub rate_out: Option<f64>,
}

/// The repo and its disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StorageState {
    /// RFC 3339 UTC: when it was measured.
    pub at: String,
    /// Bytes of the repo, as Kubo counts them.
    pub repo_size: Option<u64>,
    /// Bytes at which Kubo would collect garbage, where that is enabled; `null` when it has no limit, too.
    pub storage_max: Option<u64>,
    /// Bytes of the file system that the repo is on.
    pub disk_total: Option<u64>,
    /// Bytes of it that Kubo could still write.
    pub disk_free: Option<u64>,
    /// Pins in the index; `null` before the first whole listing.
    pub pins: Option<u64>,
}

/// MFS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FilesState {
    /// RFC 3339 UTC: when it was measured.
    pub at: String,
    /// The CID of its root.
    pub root: Option<String>,
    /// Bytes of all blocks below it, as its root says; what occurs twice counts twice.
    pub size: Option<u64>,
    /// Its entries, with the root, as of the last walk; `null` while they are not all known.
    pub entries: Option<u64>,
}

/// Some samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateRows<S> {
    /// Newest first.
    pub samples: Vec<S>,
}

/// The newest sample in which something could be measured, and how old it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateReport<S> {
    /// RFC 3339 UTC: when it was measured; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The sample itself.
    pub newest: Option<S>,
}

/// The answer to `state system`.
pub type SystemReport = StateReport<SystemState>;
/// The answer to `state network`.
pub type NetworkReport = StateReport<NetworkState>;
/// The answer to `state storage`.
pub type StorageReport = StateReport<StorageState>;
/// The answer to `state files`.
pub type FilesReport = StateReport<FilesState>;
