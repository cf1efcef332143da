//! Samples that are not in the index yet, and when they are to be written. Bounded. Pure.

use crate::index::state::{Kept, Samples};
use jiff::Timestamp;
use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};
use std::time::{Duration, Instant};

/// From a sample until it is written, with all that came meanwhile.
pub const BATCH: Duration = Duration::from_secs(300);
/// Samples of a kind that wait; when the index takes none for so long, the oldest go.
const MOST: usize = 1000;

/// One look at everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Kubo's process and the machine.
    pub system: SystemState,
    /// Peers and traffic.
    pub network: NetworkState,
    /// The repo and its disk.
    pub storage: StorageState,
    /// MFS.
    pub files: FilesState,
}

/// What was measured by this process, as far as it is needed.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    newest: Samples,
    waiting: Samples,
    since: Option<Instant>,
}

impl Shelf {
    /// The newest sample of each kind.
    pub fn newest(&self) -> &Samples {
        &self.newest
    }

    /// Those that are not in the index yet.
    pub fn waiting(&self) -> &Samples {
        &self.waiting
    }

    /// When they are to be written; `None` when there are none.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + BATCH)
    }

    /// Takes a sample; of a kind of which nothing could be measured there is none.
    pub fn add(&mut self, at: Timestamp, sample: Sample, now: Instant) {
        let text = crate::time::text(at);
        self.add_kind(at, SystemState { at: text.clone(), ..sample.system }, now);
        self.add_kind(at, NetworkState { at: text.clone(), ..sample.network }, now);
        self.add_kind(at, StorageState { at: text.clone(), ..sample.storage }, now);
        self.add_kind(at, FilesState { at: text, ..sample.files }, now);
    }

    fn add_kind<S: Kept>(&mut self, at: Timestamp, sample: S, now: Instant) {
        if sample.is_blank() {
            return;
        }
        *S::of_mut(&mut self.newest) = [(at, sample.clone())].into();
        let waiting = S::of_mut(&mut self.waiting);
        waiting.insert(at, sample);
        if waiting.len() > MOST {
            waiting.pop_first();
        }
        self.since.get_or_insert(now);
    }

    /// These are in the index.
    pub fn written(&mut self, samples: &Samples, now: Instant) {
        self.written_kind::<SystemState>(samples);
        self.written_kind::<NetworkState>(samples);
        self.written_kind::<StorageState>(samples);
        self.written_kind::<FilesState>(samples);
        self.since = (self.waiting != Samples::default()).then_some(now);
    }

    fn written_kind<S: Kept>(&mut self, samples: &Samples) {
        let written = S::of(samples);
        S::of_mut(&mut self.waiting).retain(|at, _| !written.contains_key(at));
    }

    /// They could not be written; the next try comes with the next batch.
    pub fn put_off(&mut self, now: Instant) {
        self.since = self.since.map(|_| now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn sample(peers: Option<u64>, pins: u64) -> Sample {
        Sample {
            network: NetworkState { peers, ..NetworkState::default() },
            storage: StorageState { pins: Some(pins), ..StorageState::default() },
            ..Sample::default()
        }
    }

    #[test]
    fn of_what_could_not_be_measured_there_is_no_sample_and_the_newest_one_stays() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        shelf.add(at(1), Sample::default(), now);
        assert_eq!((shelf.due(), shelf.waiting()), (None, &Samples::default()));
        shelf.add(at(2), sample(Some(5), 1), now);
        shelf.add(at(3), sample(None, 2), now);
        let newest = shelf.newest();
        assert_eq!(
            newest.network.values().map(|of| (of.peers, &*of.at)).collect::<Vec<_>>(),
            [(Some(5), "1970-01-01T00:00:02.000Z")]
        );
        assert_eq!(newest.storage.values().map(|of| of.pins).collect::<Vec<_>>(), [Some(2)]);
        assert!(newest.system.is_empty() && newest.files.is_empty());
        assert_eq!((shelf.waiting().network.len(), shelf.waiting().storage.len()), (1, 2));
    }

    #[test]
    fn samples_are_written_five_minutes_after_the_first_of_them_and_those_that_came_meanwhile_later() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        shelf.add(at(1), sample(None, 1), now);
        shelf.add(at(61), sample(None, 2), later(60));
        assert_eq!(shelf.due(), Some(later(300)));
        let batch = shelf.waiting().clone();
        shelf.add(at(301), sample(None, 3), later(300));
        shelf.put_off(later(301));
        assert_eq!((shelf.due(), shelf.waiting().storage.len()), (Some(later(601)), 3), "it failed");
        shelf.written(&batch, later(302));
        assert_eq!((shelf.due(), shelf.waiting().storage.len()), (Some(later(602)), 1));
        let rest = shelf.waiting().clone();
        shelf.written(&rest, later(602));
        assert_eq!((shelf.due(), shelf.waiting()), (None, &Samples::default()));
        assert_eq!(shelf.newest().storage.len(), 1, "it is still the newest one");
        shelf.put_off(later(603));
        assert_eq!(shelf.due(), None, "nothing waits");
    }

    #[test]
    fn an_index_that_takes_nothing_costs_the_oldest_samples_and_not_the_memory() {
        let (mut shelf, now) = (Shelf::default(), Instant::now());
        (0..3 * MOST).for_each(|n| shelf.add(at(n as i64), sample(Some(1), 1), now));
        assert_eq!((shelf.waiting().network.len(), shelf.waiting().storage.len()), (MOST, MOST));
        assert_eq!(shelf.waiting().network.first_key_value().map(|(first, _)| *first), Some(at(2 * MOST as i64)));
        assert_eq!(shelf.due(), Some(now + BATCH));
    }
}
