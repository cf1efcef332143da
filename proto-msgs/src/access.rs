//! Accesses: what was read of which CID, when, and who has seen it. Nothing is counted that no source has seen.

use serde::{Deserialize, Serialize};

/// Who has seen an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AccessSource {
    /// An application, by `access record`.
    Record,
    /// Kubo's log of the requests to its RPC, the `ipfs` command among them.
    Kubo,
    /// The access log of a web server before the gateway.
    Gateway,
    /// A change of MFS to this CID.
    Mfs,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl AccessSource {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            AccessSource::Record => "record",
            AccessSource::Kubo => "kubo",
            AccessSource::Gateway => "gateway",
            AccessSource::Mfs => "mfs",
            AccessSource::Unknown => "unknown",
        }
    }
}

/// What keeps the CID of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// It is pinned itself.
    Pin,
    /// It is within what is pinned.
    Inside,
    /// It stands in MFS, and no pin is known to have it.
    Mfs,
    /// Nothing: Kubo was asked for a pin that has it, and knows none.
    Nothing,
    /// Nobody has looked yet, or Kubo could not say in time and is asked again later; or a way that this program does not know.
    #[serde(other)]
    Unknown,
}

impl Keeper {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Keeper::Pin => "pin",
            Keeper::Inside => "inside",
            Keeper::Mfs => "mfs",
            Keeper::Nothing => "nothing",
            Keeper::Unknown => "unknown",
        }
    }
}

/// An access that an application has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccessSeen {
    /// What was read, in any of its forms.
    pub cid: String,
    /// RFC 3339: when; `null`: now. It is not later than now, but for a minute that clocks may differ by.
    pub at: Option<String>,
    /// The path below the CID, without a slash at its beginning; at most [`AccessSeen::PATH`] bytes.
    pub path: Option<String>,
    /// Bytes that were read.
    pub bytes: Option<u64>,
    /// The first of them, counted from the file's beginning.
    pub offset: Option<u64>,
    /// What was done, in a word: `cat`, `get`; at most [`AccessSeen::WORD`] bytes.
    pub op: Option<String>,
    /// Who says so: a name of the application's choosing; at most [`AccessSeen::WORD`] bytes.
    pub by: Option<String>,
}

impl AccessSeen {
    /// Bytes of a path at most.
    pub const PATH: usize = 1024;
    /// Bytes of `op` and `by` at most.
    pub const WORD: usize = 64;
}

/// `access record`: some accesses, all or none of which are taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccessRecord {
    /// At most [`AccessRecord::MAX`].
    pub accesses: Vec<AccessSeen>,
    /// Whether the answer is to come when they are on the disk. Otherwise that is the case within a second.
    pub durable: bool,
    /// A name of the caller's choosing for these accesses: what came under this name before is not counted again, so that a call whose
    /// answer was lost can be made once more. It is known for a day; at most [`AccessSeen::WORD`] bytes.
    pub batch: Option<String>,
}

impl AccessRecord {
    /// Accesses in one call at most.
    pub const MAX: usize = 5_000;
}

/// What became of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessRecorded {
    /// How many were taken; 0 when they are known already.
    pub taken: u64,
    /// Whether they had come under this name before.
    pub repeated: bool,
    /// Whether they are on the disk.
    pub durable: bool,
}

/// `access log`: accesses, newest first, as parts of at most [`AccessRows::MAX`] rows, then an [`AccessPage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccessLog {
    /// Only those of this CID, or of what it keeps.
    pub cid: Option<String>,
    /// Only those that this source has seen: `record`, `kubo`, `gateway`, `mfs`.
    pub source: Option<String>,
    /// RFC 3339: none from before.
    pub since: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
    /// Leaves out so many of the newest.
    pub offset: u64,
}

/// An access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Access {
    /// RFC 3339 UTC: when it took place.
    pub at: String,
    /// What was asked for, as Kubo prints it.
    pub cid: String,
    /// The path below it.
    pub path: Option<String>,
    /// The pin that keeps it; `null` when none is known.
    pub pin: Option<String>,
    /// What keeps it.
    pub keeper: Keeper,
    /// What was done.
    pub op: Option<String>,
    /// Bytes that were read.
    pub bytes: Option<u64>,
    /// The first of them.
    pub offset: Option<u64>,
    /// Who has seen it.
    pub source: AccessSource,
    /// The application or the log that says so.
    pub by: Option<String>,
}

/// Some accesses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessRows {
    /// Newest first.
    pub accesses: Vec<Access>,
}

impl AccessRows {
    /// Rows in one part at most.
    pub const MAX: usize = 500;
}

/// The end of the accesses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessPage {
    /// RFC 3339 UTC: all that was told by this time is here.
    pub as_of: String,
    /// Accesses that fit, before `limit` and `offset`.
    pub total: u64,
    /// RFC 3339 UTC: the oldest access that is kept; `null` when there is none.
    pub oldest: Option<String>,
    /// The sources.
    pub sources: Vec<SourceReport>,
}

/// A source of accesses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceReport {
    /// Which.
    pub source: AccessSource,
    /// Whether it is switched on.
    pub on: bool,
    /// RFC 3339 UTC: since when it could have seen accesses; `null`: it never could.
    pub since: Option<String>,
    /// RFC 3339 UTC: when it was looked at last, or told something.
    pub looked: Option<String>,
    /// Accesses that it has seen since the daemon began.
    pub accesses: u64,
    /// Lines or requests of it that could not be understood, since the daemon began.
    pub wrong: u64,
    /// What is wrong with it now; `null`: nothing.
    pub error: Option<String>,
    /// What it can't see.
    pub blind: String,
}

/// `access import`: lines of the access log of a web server, all or none of which are taken. The caller reads the file. A log is known
/// by its first line, so that no line is counted twice, whether it was followed, imported, rotated or compressed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AccessImport {
    /// The SHA-256 of the log's first line with its end, in hexadecimal digits.
    pub log: String,
    /// What to call it: the name of its file; at most [`AccessSeen::WORD`] bytes.
    pub by: String,
    /// Where the first of the lines begins, in bytes of the log as it was written.
    pub from: u64,
    /// Whole lines, one after the other, each without its end of one byte; none only asks how far the log is known.
    pub lines: Vec<String>,
}

impl AccessImport {
    /// Lines in one call at most.
    pub const MAX: usize = 2_000;
    /// Bytes of one line at most. The caller leaves longer ones out, and begins another call behind each.
    pub const LINE: usize = 64 << 10;
}

/// How far a log is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessImported {
    /// Where the next line begins that is not known: lines from before were passed over.
    pub known: u64,
    /// Accesses that were taken.
    pub taken: u64,
    /// Lines that are about something else than content: other paths, failures, other methods.
    pub others: u64,
    /// Lines that could not be understood.
    pub wrong: u64,
    /// The first of them.
    pub first_wrong: Option<String>,
}
