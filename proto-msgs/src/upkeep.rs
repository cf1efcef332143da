//! Upkeep of the index: a backup and its restoring, a look at everything, and the giving back of room.

use crate::snapshot::{SnapshotCheck, SnapshotManifest};
use serde::{Deserialize, Serialize};

/// What [`SnapshotManifest::format`] says in a backup.
pub const BACKUP_FORMAT: &str = "ipfs-kitd-backup";

/// `index backup`: everything that Kubo cannot tell again, in one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexBackup {
    /// Where to: absolute, outside the data dir or in its `backups/`.
    pub path: String,
    /// A file that is there is replaced.
    #[serde(default)]
    pub force: bool,
}

/// The backup is on disk, and was read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexBackedUp {
    /// Where it is.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// What is in it.
    pub manifest: SnapshotManifest,
}

/// `index restore`: puts a backup in the place of the index, marks and history included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexRestore {
    /// The backup: absolute.
    pub path: String,
    /// Also when it is of another node; the index stays that of the present one.
    #[serde(default)]
    pub force: bool,
}

/// The index is what the backup held. It is complete after the next listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexRestored {
    /// What was in the backup.
    pub manifest: SnapshotManifest,
    /// The index as it was before, as a backup.
    pub kept: String,
    /// The generation that the index has now: above all before.
    pub generation: u64,
    /// Pins that it has now.
    pub pins: u64,
    /// Marks that it has now.
    pub marks: u64,
}

/// `index verify`: reads all of it, the journal and every snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexVerify {}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexVerified {
    /// The generation that was read.
    pub generation: u64,
    /// Pins; null when they could not be read.
    pub pins: Option<u64>,
    /// Tombstones; null as above.
    pub gone: Option<u64>,
    /// Renamed and retyped pins; null as above.
    pub changes: Option<u64>,
    /// CIDs of which people have said something; null as above.
    pub marks: Option<u64>,
    /// The newest record of the journal.
    pub journal_seq: u64,
    /// Each snapshot, newest first.
    pub snapshots: Vec<SnapshotCheck>,
    /// What is wrong, but for the snapshots; nothing when all is well.
    pub problems: Vec<String>,
}

/// `index compact`: a checkpoint of the file, and a journal without what was said again later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexCompact {}

/// What it saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct IndexCompacted {
    /// Bytes of the index file and its log, before.
    pub index_before: u64,
    /// The same after.
    pub index_after: u64,
    /// Bytes of the journal, before.
    pub journal_before: u64,
    /// The same after.
    pub journal_after: u64,
    /// Why there was no checkpoint: reads that went on.
    pub put_off: Option<String>,
}
