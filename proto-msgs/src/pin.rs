//! Pins: listing them, asking about one, adding and removing.

mod work;

use crate::bulk::Bulk;
use serde::{Deserialize, Serialize};
pub use work::{
    BrokenBlock, BrokenPin, PinBegin, PinBegun, PinUnderWay, PinUpdate, PinUpdated, PinVerified, PinVerify,
    PinsUnderWay,
};

/// How Kubo holds a CID. Indirect pins are not in the index: every block below a recursive pin is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PinType {
    /// The block and everything below it.
    Recursive,
    /// The block alone.
    Direct,
}

impl PinType {
    /// The name as in JSON and in Kubo's RPC.
    pub fn name(self) -> &'static str {
        match self {
            PinType::Recursive => "recursive",
            PinType::Direct => "direct",
        }
    }
}

/// How well a size is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SizeKind {
    /// Every block was counted once.
    Exact,
    /// The root says so; blocks that occur twice count twice.
    Estimated,
    /// Not measured yet, or in a way that this program does not know.
    #[serde(other)]
    Unknown,
}

/// What a CID is the root of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// A UnixFS file.
    File,
    /// A UnixFS directory.
    Directory,
    /// One raw block.
    Raw,
    /// Anything else, such as dag-cbor.
    #[serde(other)]
    Other,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The index, equal to Kubo as of a listing while Kubo was running; `as_of` says when.
    Live,
    /// The index, while Kubo is not running.
    Index,
    /// A published snapshot, read without the daemon.
    Snapshot,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl Source {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Source::Live => "live",
            Source::Index => "index",
            Source::Snapshot => "snapshot",
            Source::Unknown => "unknown",
        }
    }
}

/// One pin. `null` means: not measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pin {
    /// As Kubo prints it: v0 in base58, v1 in base32.
    pub cid: String,
    /// The name that Kubo holds; `null` when it has none.
    pub name: Option<String>,
    /// Recursive or direct.
    #[serde(rename = "type")]
    pub pin_type: PinType,
    /// Bytes.
    pub size: Option<u64>,
    /// How well `size` is known.
    pub size_kind: SizeKind,
    /// The multicodec name: `dag-pb`, `raw`, `dag-cbor`; `0x…` for a code without a name here.
    pub codec: String,
    /// What the CID is the root of.
    pub kind: Option<ContentKind>,
    /// RFC 3339 UTC: when the daemon saw the pin for the first time, which is not when it was made.
    pub first_seen: String,
    /// Accesses seen.
    pub access_count: Option<u64>,
    /// RFC 3339 UTC.
    pub last_access: Option<String>,
    /// Decayed count of accesses.
    pub hotness: Option<f64>,
    /// Class of the access pattern.
    pub pattern: Option<String>,
    /// Storage tier.
    pub tier: Option<String>,
    /// What people tagged it with.
    pub tags: Vec<String>,
    /// What people noted of it.
    pub note: Option<String>,
}

/// `pin ls`: the pins, as parts of at most [`PinRows::MAX`] rows, or as bytes, then a [`PinPage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PinLs {
    /// Only this type.
    #[serde(rename = "type")]
    pub pin_type: Option<PinType>,
    /// Only pins whose name contains this.
    pub name: Option<String>,
    /// Only pins with this tag.
    pub tag: Option<String>,
    /// Only pins that people put into this tier.
    pub tier: Option<String>,
    /// Only pins of at least so many bytes; those of unknown size are left out.
    pub min_size: Option<u64>,
    /// Only pins first seen at or after this time, RFC 3339.
    pub since: Option<String>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Leave out so many rows first.
    pub offset: u64,
    /// Order of the rows; `null`: the order in which the daemon saw them.
    pub sort: Option<PinSort>,
    /// The other way round.
    pub descending: bool,
    /// The rows as bytes of this form, in parts that are [`BulkBytes`](crate::bulk::BulkBytes).
    pub bulk: Option<Bulk>,
    /// Only these columns of such rows; none stands for all.
    pub columns: Vec<String>,
}

/// Columns that `pin ls` sorts by; equal rows keep the order in which the daemon saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PinSort {
    /// By the bytes of the CID.
    Cid,
    /// By name, pins without one last.
    Name,
    /// By type.
    Type,
    /// By codec.
    Codec,
    /// By size, unknown last.
    Size,
    /// By the time of the first sight.
    FirstSeen,
}

/// Some rows of a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinRows {
    /// In the order asked for.
    pub pins: Vec<Pin>,
}

impl PinRows {
    /// Rows in one part at most.
    pub const MAX: usize = 500;
}

/// The end of a listing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinPage {
    /// RFC 3339 UTC: the index held what Kubo held at this time; `null` before the first refresh.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// Counts changes of the pin set.
    pub generation: u64,
    /// Whether a whole listing of Kubo's pins has been applied to this index.
    pub complete: bool,
    /// Where the rows come from.
    pub source: Source,
    /// Rows that the filter lets through, before `limit` and `offset`.
    pub total: u64,
}

/// `pin history [CID]`: what has happened to the pins, newest first, as parts of at most [`PinRows::MAX`] rows, then a
/// [`PinPage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct PinHistory {
    /// Only of this CID, in any form, pinned or not.
    pub cid: Option<String>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Leave out so many rows first.
    pub offset: u64,
}

/// `pin diff FROM TO`: in which pins two generations differ, as parts of at most [`PinRows::MAX`] rows, then a [`PinPage`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinDiff {
    /// What counts as before.
    pub from: u64,
    /// What counts as after; it may be the older one.
    pub to: u64,
    /// At most so many rows.
    #[serde(default)]
    pub limit: Option<u64>,
    /// Leave out so many rows first.
    #[serde(default)]
    pub offset: u64,
}

/// What happened to a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PinEvent {
    /// Kubo holds it.
    Added,
    /// It has another name.
    Renamed,
    /// It has another type, and perhaps another name.
    Retyped,
    /// Kubo no longer holds it.
    Removed,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl PinEvent {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            PinEvent::Added => "added",
            PinEvent::Renamed => "renamed",
            PinEvent::Retyped => "retyped",
            PinEvent::Removed => "removed",
            PinEvent::Unknown => "unknown",
        }
    }
}

/// One line of `pin history` and `pin diff`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinChange {
    /// What happened.
    pub event: PinEvent,
    /// The generation that has it; `null` from before generations were kept, and in `pin diff`.
    pub generation: Option<u64>,
    /// RFC 3339 UTC: when the daemon saw it; `null` in `pin diff`.
    pub at: Option<String>,
    /// As Kubo prints it.
    pub cid: String,
    /// Type then; of a removed pin, its last one.
    #[serde(rename = "type")]
    pub pin_type: PinType,
    /// Name then; of a removed pin, its last one.
    pub name: Option<String>,
    /// Type before, of a pin that was renamed or retyped.
    pub type_before: Option<PinType>,
    /// Name before, of a pin that was renamed or retyped.
    pub name_before: Option<String>,
}

/// Some rows of `pin history` and `pin diff`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinChanges {
    /// In order.
    pub changes: Vec<PinChange>,
}

/// `pin info CID`: one pin, found by any form of its CID.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinInfo {
    /// In any form: v0, v1, any base.
    pub cid: String,
}

/// What is known of one CID. A v0 and a v1 pin of the same block stand side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinInfoReply {
    /// As in [`PinPage`].
    pub as_of: Option<String>,
    /// As in [`PinPage`].
    pub age_s: Option<f64>,
    /// As in [`PinPage`].
    pub generation: u64,
    /// As in [`PinPage`].
    pub complete: bool,
    /// As in [`PinPage`].
    pub source: Source,
    /// At least one: the pin of exactly this CID first, then those of the same block in another form.
    pub pins: Vec<Pin>,
}

/// `pin add CID`: has Kubo pin it, fetching what is missing, and answers when the index holds it too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinAdd {
    /// What to pin, in any form.
    pub cid: String,
    /// At most 255 bytes.
    #[serde(default)]
    pub name: Option<String>,
    /// Pin the block alone.
    #[serde(default)]
    pub direct: bool,
}

/// How far a long call has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// Blocks handled so far; of `pin_verify` pins.
    pub blocks: u64,
    /// Bytes handled so far, where Kubo says so.
    pub bytes: Option<u64>,
}

/// Kubo holds the pin and the index knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinAdded {
    /// The generation that has it.
    pub generation: u64,
    /// Its row.
    pub pin: Pin,
}

/// `pin rm CID`: has Kubo unpin it and answers when the index has let it go too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinRm {
    /// What to unpin, in any form.
    pub cid: String,
}

/// Kubo no longer holds the pin and the index has a tombstone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinRemoved {
    /// The generation without it.
    pub generation: u64,
    /// The CID as Kubo prints it.
    pub cid: String,
    /// Whether a pin of it that was begun with `pin add --detach` was under way, and is given up.
    #[serde(default)]
    pub given_up: bool,
}

/// `pin tag CID +a -b`: tags of a CID, pinned or not; with nothing to add or remove it only tells them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinTag {
    /// In any form; what is said of v0 is not said of v1.
    pub cid: String,
    /// Tags that come: 1 to 64 bytes each, without control characters and semicolons, not beginning with `+` or `-`, at most 64
    /// of one CID.
    #[serde(default)]
    pub add: Vec<String>,
    /// Tags that go.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// `pin note CID TEXT`: a note on a CID, pinned or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinNote {
    /// As in [`PinTag`].
    pub cid: String,
    /// One line of at most 4096 bytes; empty takes the note away, `null` only tells it.
    #[serde(default)]
    pub note: Option<String>,
}

/// `pin tier CID TIER`: the storage tier that people want for a CID, pinned or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinTier {
    /// As in [`PinTag`].
    pub cid: String,
    /// At most 32 letters a-z, digits, `_` and `-`; empty takes the tier away, `null` only tells it.
    #[serde(default)]
    pub tier: Option<String>,
}

/// All that people said of a CID. What is new of it is on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinMarked {
    /// The CID as Kubo prints it.
    pub cid: String,
    /// Sorted.
    pub tags: Vec<String>,
    /// The note.
    pub note: Option<String>,
    /// The tier.
    pub tier: Option<String>,
    /// Rises with each change of any mark; `null` when there is no mark.
    pub seq: Option<u64>,
    /// Whether listings show it; otherwise they do with the next change of the index.
    pub shown: bool,
}
