//! MFS, Kubo's file system of paths, as the index has it: what stands where, whether a pin keeps it, and what has changed.

use crate::pin::{ContentKind, PinType, Source};
use serde::{Deserialize, Serialize};

/// One entry of MFS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsEntry {
    /// From the root on: `/photos/2026`.
    pub path: String,
    /// The last part of the path; empty for the root.
    pub name: String,
    /// File, directory, or other, such as a symbolic link; `null` when its block is not in the repo.
    pub kind: Option<ContentKind>,
    /// Bytes of a file.
    pub size: Option<u64>,
    /// As Kubo prints it: v0 in base58, v1 in base32.
    pub cid: String,
    /// How this CID itself is pinned now; `null` when no pin has it as its root, so that MFS alone may be what keeps it.
    pub pin: Option<PinType>,
    /// Of a directory: whether all that is below it is in the index. Of anything else: whether it was looked at.
    pub whole: bool,
}

/// `vfs ls`: what a directory of MFS holds, as parts of at most [`VfsRows::MAX`] rows in the order of their names, then a
/// [`VfsPage`]. A path of anything else gives that one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsLs {
    /// From the root on.
    pub path: String,
    /// At most so many rows.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Only names behind this one.
    #[serde(default)]
    pub after: Option<String>,
}

/// Some rows of a directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsRows {
    /// In the order of their names.
    pub entries: Vec<VfsEntry>,
}

impl VfsRows {
    /// Rows in one part at most.
    pub const MAX: usize = 500;
}

/// The end of a directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsPage {
    /// RFC 3339 UTC: the index held what MFS held at this time; `null` before the first walk has ended.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// Counts changes of the pin set, from which `pin` comes.
    pub generation: u64,
    /// Whether the index has all of MFS: a walk has ended, none is half done, and every block was there to be read.
    pub complete: bool,
    /// Where the answer comes from.
    pub source: Source,
    /// Entries whose blocks are not in the repo; what is below them is not known.
    pub unread: u64,
    /// Why the last walk failed; `null` when it did not.
    pub error: Option<String>,
    /// What was asked for.
    pub entry: VfsEntry,
    /// Entries that it has, before `after` and `limit`.
    pub total: u64,
}

/// `vfs info PATH`: one entry of MFS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsInfo {
    /// From the root on.
    pub path: String,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsInfoReply {
    /// As in [`VfsPage`].
    pub as_of: Option<String>,
    /// As in [`VfsPage`].
    pub age_s: Option<f64>,
    /// As in [`VfsPage`].
    pub generation: u64,
    /// As in [`VfsPage`].
    pub complete: bool,
    /// As in [`VfsPage`].
    pub source: Source,
    /// As in [`VfsPage`].
    pub unread: u64,
    /// As in [`VfsPage`].
    pub error: Option<String>,
    /// The entry.
    pub entry: VfsEntry,
    /// Entries directly below it.
    pub children: u64,
}

/// `vfs journal`: what has changed in MFS, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsJournal {
    /// Only changes after this number.
    #[serde(default)]
    pub since: u64,
    /// At most so many, and never more than [`VfsJournal::MAX`].
    #[serde(default)]
    pub limit: Option<u64>,
}

impl VfsJournal {
    /// Changes in one answer at most.
    pub const MAX: u64 = 1000;
}

/// What happened at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VfsOp {
    /// It is new with all that is below it, whatever was told of this path before.
    Added,
    /// Another CID stands there. Of a directory that was one before, what has changed in it is told by itself.
    Changed,
    /// It is gone, with all that was below it.
    Removed,
    /// A directory whose blocks are not in the repo, so that what is below it is not known any more.
    Unread,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl VfsOp {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            VfsOp::Added => "added",
            VfsOp::Changed => "changed",
            VfsOp::Removed => "removed",
            VfsOp::Unread => "unread",
            VfsOp::Unknown => "unknown",
        }
    }
}

/// One change of MFS. What is below a directory that came or went has no line of its own: the directory's CID says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsChange {
    /// Rises with each change.
    pub seq: u64,
    /// RFC 3339 UTC: when it was seen, which is after it was made.
    pub at: String,
    /// What happened.
    pub op: VfsOp,
    /// Where.
    pub path: String,
    /// What stands there since; `null` when it is gone.
    pub cid: Option<String>,
    /// What stood there before; `null` when it is new.
    pub cid_before: Option<String>,
}

/// Some changes of MFS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VfsJournalPage {
    /// As in [`VfsPage`].
    pub as_of: Option<String>,
    /// As in [`VfsPage`].
    pub age_s: Option<f64>,
    /// As in [`VfsPage`].
    pub generation: u64,
    /// As in [`VfsPage`].
    pub complete: bool,
    /// As in [`VfsPage`].
    pub source: Source,
    /// As in [`VfsPage`].
    pub unread: u64,
    /// As in [`VfsPage`].
    pub error: Option<String>,
    /// Whether changes after `since` are missing here: they are no longer kept, or the index was made anew.
    pub gap: bool,
    /// Whether there are more: ask again with `since` of the last one.
    pub more: bool,
    /// Oldest first.
    pub changes: Vec<VfsChange>,
}
