//! Snapshots: what the daemon publishes as files, for every program that reads Parquet or Arrow.

use serde::{Deserialize, Serialize};

/// What [`SnapshotManifest::format`] says.
pub const SNAPSHOT_FORMAT: &str = "ipfs-kitd-snapshot";
/// What [`SnapshotManifest::format_version`] says; higher ones may have changed what stands in the files.
pub const SNAPSHOT_FORMAT_VERSION: u32 = 1;

/// `manifest.json`: of one snapshot in its directory, of the newest one beside the directories.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotManifest {
    /// `ipfs-kitd-snapshot`.
    pub format: String,
    /// Version of the files' form.
    pub format_version: u32,
    /// Version of the index's tables that they were taken from.
    pub schema_version: i64,
    /// The directory with the files, beside the manifest of the newest: `gen-<generation>.<serial>`.
    pub name: String,
    /// The generation of the pin set.
    pub generation: u64,
    /// Rises with each snapshot, also when the generation stays or begins anew.
    pub serial: u64,
    /// RFC 3339 UTC: the index held what Kubo held at this time.
    pub as_of: Option<String>,
    /// RFC 3339 UTC: when it was read.
    pub created_at: String,
    /// Whether the index held all pins of the node.
    pub complete: bool,
    /// The node.
    pub peer_id: Option<String>,
    /// The journal's sequence number up to which marks are in it; `null` while there are none.
    pub journal_seq: Option<u64>,
    /// Seconds that its making took.
    pub took_s: f64,
    /// The files, each as it has to be.
    pub files: Vec<SnapshotFile>,
}

impl SnapshotManifest {
    /// Rows of this file.
    pub fn rows(&self, file: &str) -> Option<u64> {
        self.files.iter().find(|f| f.name == file).map(|f| f.rows)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// One file of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotFile {
    /// Its name in the directory.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// The newest snapshot, as `status` shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotBrief {
    /// Its directory.
    pub name: String,
    /// Its generation.
    pub generation: u64,
    /// RFC 3339 UTC: when it was made.
    pub created_at: String,
    /// RFC 3339 UTC: its pins were what Kubo held at this time; `null`: not known.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// Whether anything that it should hold may have changed since it was made: pins, sizes, marks, MFS.
    pub behind: bool,
}

/// `snapshot now`: publishes one, whatever the budget says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SnapshotNow {
    /// With `pins.arrow`, however many pins there are.
    pub arrow: bool,
}

/// A snapshot and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotAt {
    /// Its directory.
    pub path: String,
    /// Its manifest.
    pub manifest: SnapshotManifest,
    /// Newer ones that are not good, and why: they were passed over.
    pub passed_over: Vec<String>,
    /// Whether it was made for this call: `snapshot now` answers with the newest where nothing has changed since.
    #[serde(default)]
    pub made: bool,
}

/// `snapshot ls`: the snapshots that there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotLs {}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotRow {
    /// Its directory's name.
    pub name: String,
    /// Its generation.
    pub generation: u64,
    /// RFC 3339 UTC; `null` without a manifest that can be read.
    pub created_at: Option<String>,
    /// RFC 3339 UTC: the index held what Kubo held at this time.
    pub as_of: Option<String>,
    /// Pins in it.
    pub pins: Option<u64>,
    /// Bytes of its files.
    pub bytes: Option<u64>,
    /// Whether the newest manifest names it.
    pub newest: bool,
    /// What a look at names and lengths shows to be wrong with it; `snapshot verify` reads every byte.
    pub problem: Option<String>,
}

/// The snapshots, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotList {
    /// Where they are.
    pub dir: String,
    /// Each of them.
    pub snapshots: Vec<SnapshotRow>,
}

/// `snapshot path`: the newest one of which every digest is right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotPath {}

/// `snapshot fd`: the newest one, and with the answer its `pins.arrow` as a descriptor for reading (`SCM_RIGHTS`), in the message that has
/// the first byte of `done`. For a connection of its own, on which nothing else is under way: whoever reads the answer by other
/// means than `recvmsg` loses the descriptor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotFd {}

/// `snapshot verify`: reads every byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SnapshotVerify {
    /// A generation, or the name of a snapshot; otherwise all.
    pub snapshot: Option<String>,
}

/// What was found in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotCheck {
    /// Its name.
    pub name: String,
    /// Files that were read.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is wrong with it; nothing when it is good.
    pub problems: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotVerified {
    /// Newest first.
    pub snapshots: Vec<SnapshotCheck>,
    /// What is wrong with the manifest of the newest.
    pub problem: Option<String>,
}
