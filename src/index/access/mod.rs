//! Accesses in the index: `keep` is what the writer does with what sources have told, `keeper` finds what keeps a CID, `settle` takes
//! what was looked up later, `known` is what the writer need not ask the file for, `read` what readers ask.
//!
//! Rows are numbered in the order in which it was settled what keeps them, so that whoever has counted up to a number has counted each
//! of them once. What a source was read up to is kept in the transaction that keeps what it told.

pub mod keep;
mod keeper;
pub(super) mod known;
pub mod read;
pub mod settle;

use crate::cid::{Cid, Key};
use jiff::Timestamp;
use proto_msgs::access::{AccessSource, Keeper};
use std::sync::Arc;

/// An access as a source tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// When it took place.
    pub at: Timestamp,
    /// What was asked for.
    pub cid: Cid,
    /// The path below it, without a slash at its beginning.
    pub path: Option<String>,
    /// What was done.
    pub op: Option<Arc<str>>,
    /// Bytes that were read.
    pub bytes: Option<u64>,
    /// The first of them.
    pub offset: Option<u64>,
    /// Who has seen it.
    pub source: AccessSource,
    /// The application or the log that says so.
    pub by: Option<Arc<str>>,
}

/// What makes sure that something is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// A name of the teller's choosing, which is known for a day.
    Batch(String),
    /// Where the source with this name was read from, and up to: it is only taken while the source stands where it was read from.
    Cursor {
        /// The source's name, as in `kubo` or `log <first line's digest>`.
        of: String,
        /// Where reading began; `None`: it was never read.
        from: Option<String>,
        /// Where reading goes on.
        to: String,
    },
}

/// What one source tells at one time; all or none of it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// May be none: the cursor moves all the same.
    pub seen: Vec<Seen>,
    /// Without, it may be told twice.
    pub once: Option<Once>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Accesses that were kept.
    pub taken: u64,
    /// Whether it had been told before, or the source stands elsewhere: nothing was kept.
    pub repeated: bool,
}

/// Keeps what several sources have told, in one transaction; answered with a [`Kept`] for each when it is on the disk.
#[derive(Clone, Debug)]
pub struct KeepAccesses {
    /// What they told.
    pub told: Vec<Told>,
    /// Of all accesses so many of the newest stay, but none goes that is behind `counted`.
    pub most: u64,
    /// The number up to which they are counted in what is kept elsewhere.
    pub counted: u64,
}

/// Asks where the source with this name was read up to; answered with a [`Cursor`], or `None` when it never was.
#[derive(Clone, Debug)]
pub struct AskCursor(pub String);

/// Up to where a source was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Where reading goes on, in words of the source.
    pub place: String,
    /// When it came there.
    pub at: Timestamp,
    /// When it was read first, or the earliest access that it told of.
    pub since: Timestamp,
}

/// Asks for CIDs of which nobody knows what keeps them, in the order in which they were read first; answered with [`Unsettled`].
#[derive(Clone, Copy, Debug)]
pub struct AskUnsettled {
    /// The number up to which they are known.
    pub after: u64,
    /// At most so many.
    pub most: usize,
}

/// CIDs of which nobody knows what keeps them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unsettled {
    /// Each once.
    pub cids: Vec<Cid>,
    /// All up to this number have been told; `None`: there are no more.
    pub through: Option<u64>,
}

/// Says what keeps CIDs: the pin that they are within, or nothing. Their accesses get new numbers. A CID that is pinned itself by now is
/// taken for that, and one within a pin that is gone meanwhile stays unsettled.
#[derive(Clone, Debug)]
pub struct Settle(pub Vec<(Cid, Option<Cid>)>);

/// Asks for accesses to pins behind a number, in the order of their numbers; answered with [`CountedRows`].
#[derive(Clone, Copy, Debug)]
pub struct AskCounted {
    /// The number up to which they are known.
    pub after: u64,
    /// At most so many.
    pub most: usize,
}

/// Accesses to pins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CountedRows {
    /// In the order of their numbers.
    pub rows: Vec<Counted>,
    /// All that are kept up to this number have been told, whatever keeps them; the one that was asked with when there are no more.
    pub through: u64,
    /// Every number is above this one, and this one is above those of an index that was lost: whoever has counted up to a lower one,
    /// but for 0, has counted accesses that are not kept any more.
    pub begin: u64,
}

/// Asks for figures over all accesses, as of a time.
#[derive(Clone, Copy, Debug)]
pub struct AskFigures(pub Timestamp);

/// Figures over all accesses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Accesses that are kept.
    pub accesses: u64,
    /// When the oldest of them took place.
    pub oldest: Option<Timestamp>,
    /// Those of each source, and when the first and the last of them took place.
    pub by_source: Vec<(AccessSource, u64, Timestamp, Timestamp)>,
    /// Of each of the last 168 hours with one, oldest first.
    pub by_hour: Vec<Figure>,
    /// Of each of the last 90 days with one, by UTC, oldest first.
    pub by_day: Vec<Figure>,
}

/// Accesses of an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// When it began.
    pub at: Timestamp,
    /// Accesses.
    pub accesses: u64,
    /// Bytes that were read, as far as the sources say.
    pub bytes: u64,
}

/// An access to a pin, or to something within it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Its number.
    pub seq: u64,
    /// When it took place, in seconds since the Unix epoch.
    pub at: f64,
    /// The pin.
    pub pin: Key,
    /// The path below it, where that is known.
    pub path: Option<String>,
    /// The first byte that was read.
    pub offset: Option<u64>,
    /// Who has seen it.
    pub source: AccessSource,
}

fn source_code(source: AccessSource) -> u8 {
    match source {
        AccessSource::Record => 0,
        AccessSource::Kubo => 1,
        AccessSource::Gateway => 2,
        AccessSource::Mfs => 3,
        AccessSource::Unknown => 255,
    }
}

fn source_of(code: u8) -> AccessSource {
    match code {
        0 => AccessSource::Record,
        1 => AccessSource::Kubo,
        2 => AccessSource::Gateway,
        3 => AccessSource::Mfs,
        _ => AccessSource::Unknown,
    }
}

fn keeper_code(keeper: Keeper) -> u8 {
    match keeper {
        Keeper::Pin => 0,
        Keeper::Inside => 1,
        Keeper::Mfs => 2,
        Keeper::Nothing => 3,
        Keeper::Unknown => 4,
    }
}

fn keeper_of(code: u8) -> Keeper {
    match code {
        0 => Keeper::Pin,
        1 => Keeper::Inside,
        2 => Keeper::Mfs,
        3 => Keeper::Nothing,
        _ => Keeper::Unknown,
    }
}
