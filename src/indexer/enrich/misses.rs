//! Looks that failed: who is tried again, and when. Bounded; whoever finds no place is met again by going through all pins.
//! Pure.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Pins that are remembered, some 5 MB.
const MOST: usize = 50_000;
/// After the first failure; five times as long after each further one.
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The failed looks of one lane, by the ids of the pins.
#[derive(Debug)]
pub struct Misses {
    most: usize,
    tries: HashMap<u64, (u32, Instant)>,
    by_time: BTreeSet<(Instant, u64)>,
    overflown: bool,
}

impl Default for Misses {
    fn default() -> Misses {
        Misses::with_places(MOST)
    }
}

impl Misses {
    fn with_places(most: usize) -> Misses {
        Misses { most, tries: HashMap::new(), by_time: BTreeSet::new(), overflown: false }
    }

    /// How often a pin was tried in vain.
    pub fn tries(&self, id: u64) -> u32 {
        self.tries.get(&id).map_or(0, |(tries, _)| *tries)
    }

    /// Whether a pin waits for its next try.
    pub fn contains(&self, id: u64) -> bool {
        self.tries.contains_key(&id)
    }

    /// Another try has failed.
    pub fn missed(&mut self, id: u64, now: Instant) {
        let tries = self.tries(id).saturating_add(1);
        self.forget(id);
        if self.tries.len() >= self.most {
            self.overflown = true;
            return;
        }
        let due = now + wait(tries);
        self.tries.insert(id, (tries, due));
        self.by_time.insert((due, id));
    }

    /// It was measured, or is no longer pinned.
    pub fn forget(&mut self, id: u64) {
        if let Some((_, due)) = self.tries.remove(&id) {
            self.by_time.remove(&(due, id));
        }
    }

    /// Those whose time has come, the first ones.
    pub fn due(&self, now: Instant, most: usize) -> Vec<u64> {
        self.by_time.iter().take_while(|(due, _)| *due <= now).take(most).map(|(_, id)| *id).collect()
    }

    /// The first ones that wait.
    pub fn some(&self, most: usize) -> Vec<u64> {
        self.by_time.iter().take(most).map(|(_, id)| *id).collect()
    }

    /// When the next one's time comes.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(due, _)| *due)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.tries.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.tries.is_empty()
    }

    /// Whether somebody found no place since the last time that this was asked.
    pub fn take_overflown(&mut self) -> bool {
        std::mem::take(&mut self.overflown)
    }

    /// Whether somebody found no place.
    pub fn overflown(&self) -> bool {
        self.overflown
    }
}

/// From a failure to the next try.
fn wait(tries: u32) -> Duration {
    SHORTEST.saturating_mul(5_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_grow_from_a_minute_to_a_day() {
        let minutes: Vec<u64> = [1, 2, 3, 4, 5, 6, u32::MAX].map(|tries| wait(tries).as_secs() / 60).to_vec();
        assert_eq!(minutes, [1, 5, 25, 125, 625, 1440, 1440]);
    }

    #[test]
    fn who_finds_no_place_is_not_remembered_and_that_is() {
        let (mut misses, now) = (Misses::with_places(2), Instant::now());
        [1, 2, 3].iter().for_each(|id| misses.missed(*id, now));
        assert_eq!((misses.len(), misses.contains(3)), (2, false));
        assert!(misses.take_overflown() && !misses.overflown());
        misses.missed(1, now);
        assert_eq!((misses.tries(1), misses.overflown()), (2, false), "one that has its place keeps it");
    }

    proptest! {
        /// Against a plain map.
        #[test]
        fn each_is_due_when_its_wait_is_over_and_never_twice(steps in prop::collection::vec((0..6_u64, any::<bool>(), 0..10_000_u64), 0..80)) {
            let start = Instant::now();
            let (mut misses, mut model) = (Misses::with_places(4), HashMap::<u64, (u32, Instant)>::new());
            let mut now = start;
            for (id, fails, later) in steps {
                now += Duration::from_secs(later);
                if fails {
                    let tries = model.remove(&id).map_or(1, |(tries, _)| tries + 1);
                    if model.len() < 4 {
                        model.insert(id, (tries, now + wait(tries)));
                    }
                    misses.missed(id, now);
                } else {
                    model.remove(&id);
                    misses.forget(id);
                }
                let mut due = misses.due(now, 10);
                due.sort_unstable();
                let mut expected: Vec<u64> = model.iter().filter(|(_, (_, due))| *due <= now).map(|(id, _)| *id).collect();
                expected.sort_unstable();
                prop_assert_eq!(due, expected);
                prop_assert_eq!(misses.len(), model.len());
                prop_assert_eq!(misses.next(), model.values().map(|(_, due)| *due).min());
            }
        }
    }
}
