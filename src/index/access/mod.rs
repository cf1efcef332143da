//! Accesses in the index: `keep` is what the writer does with what sources have told, `read` what readers ask.
//!
//! Rows are numbered in the order in which it was settled what keeps them, so that whoever has counted up to a number has counted each
//! of them once. What a source was read up to is kept in the transaction that keeps what it told.

use crate::cid::{Cid, Key};
use jiff::Timestamp;
use proto_msgs::access::AccessSource;
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

/// Asks where the source with this name was read up to.
#[derive(Clone, Debug)]
pub struct AskCursor(pub String);

/// Asks for CIDs of which nobody knows what keeps them, oldest first, at most so many: each once, and none that was looked for in vain.
#[derive(Clone, Copy, Debug)]
pub struct AskUnsettled(pub usize);

/// Says what keeps CIDs: the pin that they are within, or nothing. Their accesses get new numbers.
#[derive(Clone, Debug)]
pub struct Settle(pub Vec<(Cid, Option<Cid>)>);

/// Asks for accesses to pins behind a number, in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub struct AskCounted {
    /// The number up to which they are known.
    pub after: u64,
    /// At most so many.
    pub most: usize,
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
