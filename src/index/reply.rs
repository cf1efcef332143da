//! What an answer says besides its rows, and what is said where there are none: the same of the live index and of a snapshot.

use super::history::NotKept;
use super::query::Totals;
use super::set::{Entry, PinSet};
use crate::cid::{Cid, Key, text};
use proto_msgs::daemon::MetricsReport;
use proto_msgs::pin::{Pin, PinChange, PinChanges, PinInfoReply, PinPage, PinRows, Source};
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};

/// Rows that one query of a listing reads.
pub(super) const PAGE: usize = 2000;

/// How old an answer from the index is.
#[derive(Clone, Debug)]
pub struct Dated {
    /// RFC 3339 UTC.
    pub as_of: Option<String>,
    /// Seconds since then.
    pub age_s: Option<f64>,
    /// Counts changes of the pin set.
    pub generation: u64,
    /// Whether a whole listing has been applied.
    pub complete: bool,
    /// Where the answer comes from.
    pub source: Source,
}

impl Dated {
    /// The end of a listing of so many rows, chosen from this generation.
    pub(super) fn page(self, generation: u64, total: u64) -> PinPage {
        PinPage {
            as_of: self.as_of,
            age_s: self.age_s,
            generation,
            complete: self.complete,
            source: self.source,
            total,
        }
    }

    /// What is known of a CID; without a row it is not pinned.
    pub(super) fn info(self, cid: &Cid, pins: Vec<Pin>) -> Result<PinInfoReply, Fault> {
        if pins.is_empty() {
            return Err(self.not_pinned(cid));
        }
        Ok(PinInfoReply {
            as_of: self.as_of,
            age_s: self.age_s,
            generation: self.generation,
            complete: self.complete,
            source: self.source,
            pins,
        })
    }

    fn not_pinned(&self, cid: &Cid) -> Fault {
        let detail = match (&self.as_of, self.complete) {
            (Some(as_of), true) => format!("{} has no recursive or direct pin, as of {as_of}", text(cid)),
            _ => format!("{} is not in the index, which is not complete yet", text(cid)),
        };
        // Indirect pins are in no index.
        let above = format!("a pinned parent may hold it: `ipfs pin ls {}`", text(cid));
        let hint = match self.source {
            Source::Snapshot => above,
            Source::Live | Source::Index | Source::Unknown => {
                format!("{above}; `ipfs-kitctl index refresh --wait` looks again")
            }
        };
        Fault::new(FaultKind::NotFound, detail).hint(hint)
    }

    /// Totals.
    pub fn metrics(self, totals: Totals) -> MetricsReport {
        MetricsReport {
            as_of: self.as_of,
            age_s: self.age_s,
            generation: totals.generation,
            complete: self.complete,
            source: self.source,
            pins: totals.pins,
            named: totals.named,
            by_type: totals.by_type,
            by_codec: totals.by_codec,
            by_age: totals.by_age,
            by_size_kind: totals.by_size_kind,
            by_size: totals.by_size,
            bytes: totals.bytes,
        }
    }
}

/// The pins of the block of this CID, that of exactly this CID first.
pub(super) fn of_block(set: &PinSet, cid: &Cid) -> Vec<Entry> {
    let key = Key::of(cid);
    let mut found = set.block(&key);
    found.sort_by_key(|entry| (entry.key() != key, entry.key()));
    found
}

/// Nothing is known to have happened to this CID.
pub(super) fn never_pinned(cid: &Cid) -> Fault {
    let detail = format!("{} was never pinned, as far as the index goes back", text(cid));
    Fault::new(FaultKind::NotFound, detail)
}

/// One of the two generations is not there.
pub(super) fn not_kept(NotKept { generation, oldest, newest }: NotKept) -> Fault {
    let detail = if generation > newest {
        format!("there is no generation {generation} yet; the newest is {newest}")
    } else if generation < oldest {
        format!("generation {generation} was not kept; the oldest is {oldest}")
    } else {
        format!("generation {generation} is not in this index's history: the index was restored or recovered after it")
    };
    Fault::new(FaultKind::NotFound, detail).hint("`ipfs-kitctl pin history` shows when which generation began")
}

/// A part of a listing.
pub(super) fn pins(pins: Vec<Pin>) -> Part {
    Part::PinLs(PinRows { pins })
}

/// A part of what happened or differs.
pub(super) fn changes(changes: Vec<PinChange>) -> PinChanges {
    PinChanges { changes }
}
