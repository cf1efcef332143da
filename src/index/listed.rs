//! The rows of a small index as they were read last: while nothing changes, whoever lists all of them does not wait for DuckDB.

use super::actor::Rows;
use super::listing;
use super::pages::{AHEAD, in_parts};
use super::reply;
use jiff::Timestamp;
use proto_msgs::pin::{Pin, PinLs, PinRows};
use proto_msgs::verb::Part;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Rows of the first part: whoever reads them has something to do while the others are made.
const FIRST: usize = 50;
/// Rows at most: some megabytes.
const MOST: u64 = listing::PAGE as u64;

/// What is kept for the next listing.
#[derive(Clone, Default)]
pub(super) struct Listed(Arc<Mutex<Option<All>>>);

/// All rows in the order of their ids.
#[derive(Clone)]
pub(super) struct All {
    /// Of the index when they were read, or of an earlier one; see [`crate::board::IndexState::changes`].
    pub(super) changes: u64,
    /// When the look at all pins was taken whose figures are in them.
    pub(super) looked: Option<Timestamp>,
    pub(super) generation: u64,
    pub(super) pins: Arc<[Pin]>,
}

impl Listed {
    /// The rows, if they are of an index after so many changes and have the figures of this look.
    pub(super) fn get(&self, changes: u64, looked: Option<Timestamp>) -> Option<All> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone().filter(|all| (all.changes, all.looked) == (changes, looked))
    }

    pub(super) fn keep(&self, all: All) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(all);
    }
}

/// Whether it asks for nothing but some or all of the rows in their usual order.
pub(super) fn is_window(ask: &PinLs) -> bool {
    PinLs { limit: None, offset: 0, ..ask.clone() } == PinLs::default()
}

/// Whether all rows are asked for, and are few enough to be kept.
pub(super) fn is_worth_it(ask: &PinLs, pins: u64) -> bool {
    ask.offset == 0 && pins <= MOST && ask.limit.is_none_or(|limit| limit >= pins)
}

impl All {
    /// The rows that are asked for.
    pub(super) fn rows(&self, ask: &PinLs) -> Rows<Part> {
        let (pins, window) = (self.pins.clone(), window(ask, self.pins.len()));
        let (send, rows) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let (first, others) = pins[window.clone()].split_at(FIRST.min(window.len()));
            for some in std::iter::once(first).chain(others.chunks(PinRows::MAX)) {
                for part in in_parts(some.to_vec(), reply::pins) {
                    if send.send(Ok(part)).await.is_err() {
                        return;
                    }
                }
            }
        });
        rows
    }
}

fn window(ask: &PinLs, rows: usize) -> Range<usize> {
    let within = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(rows);
    let end = ask.limit.map_or(u64::MAX, |limit| ask.offset.saturating_add(limit));
    within(ask.offset)..within(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::pin::PinSort;

    #[test]
    fn a_window_is_what_limit_and_offset_leave() {
        let ask = |limit, offset| PinLs { limit, offset, ..PinLs::default() };
        assert_eq!(window(&ask(None, 0), 5), 0..5);
        assert_eq!(window(&ask(Some(2), 1), 5), 1..3);
        assert_eq!(window(&ask(Some(u64::MAX), 4), 5), 4..5);
        assert_eq!(window(&ask(None, 9), 5), 5..5);
    }

    #[test]
    fn an_order_or_a_filter_is_left_to_duckdb() {
        assert!(is_window(&PinLs { limit: Some(1), offset: 7, ..PinLs::default() }));
        assert!(!is_window(&PinLs { sort: Some(PinSort::Cid), ..PinLs::default() }));
        assert!(!is_window(&PinLs { name: Some(String::new()), ..PinLs::default() }));
        assert!(!is_window(&PinLs { descending: true, ..PinLs::default() }));
    }
}
