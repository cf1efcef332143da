//! What a listing changes, and which absence counts. Pure.

use crate::cid::Key;
use crate::index::set::{Entry, Keyed, PinSet, Pinned};
use std::collections::HashSet;

/// A listing against the set.
#[derive(Debug, Default)]
pub struct Diff {
    /// In the listing alone.
    pub added: Vec<Pinned>,
    /// In both, with another type or name; as the listing has them.
    pub changed: Vec<Pinned>,
    /// In the set alone.
    pub missing: Vec<Key>,
    /// Pins in the set.
    pub before: usize,
}

/// Merges the set with a listing, both sorted by key. What is new is left in the place of the listing, which may be all of it, and
/// moved from there into the answer. A listing without `names` says nothing about them.
pub fn diff(set: &PinSet, listed: &mut Vec<Pinned>, names: bool, keyed: &Keyed) -> Diff {
    let mut missing = Vec::new();
    // Places in the listing, and whether the pin is in the set too.
    let mut differing = Vec::new();
    let mut place = 0;
    let same = |entry: &Entry, pin: &Pinned| {
        entry.pin_type() == pin.pin_type() && (!names || entry.name_hash() == keyed.name_hash(pin.name()))
    };
    let mut step = |entry: &Entry, place: &mut usize| {
        while let Some(pin) = listed.get(*place) {
            let order = entry.cmp_key(&pin.key());
            if order.is_lt() {
                break;
            }
            let new = order.is_gt();
            if new || !same(entry, pin) {
                differing.push((*place, !new));
            }
            *place += 1;
            if !new {
                return;
            }
        }
        missing.push(entry.key());
    };
    for (mut run, changed) in set.runs() {
        loop {
            // Most often all pins are the same, and this is as quick as memory is.
            let equal =
                run.iter().zip(&listed[place..]).take_while(|(entry, pin)| entry.is_at(&pin.key()) && same(entry, pin));
            let equal = equal.count();
            place += equal;
            let Some((entry, rest)) = run[equal..].split_first() else { break };
            step(entry, &mut place);
            run = rest;
        }
        if let Some(entry) = changed {
            step(entry, &mut place);
        }
    }
    differing.extend((place..listed.len()).map(|place| (place, false)));
    let mut diff = Diff { missing, before: set.len() as usize, ..Diff::default() };
    if !differing.is_empty() {
        let (mut differing, mut here) = (differing.into_iter().peekable(), 0..);
        listed.retain(|pin| {
            let here = here.next();
            let differs = differing.next_if(|(place, _)| Some(*place) == here);
            if let Some((_, true)) = differs {
                diff.changed.push(pin.clone());
            }
            matches!(differs, Some((_, false)))
        });
        listed.shrink_to_fit();
        diff.added = std::mem::take(listed);
    }
    diff
}

/// What the listing before this one missed.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    missing: HashSet<Key>,
}

/// What is to be done about the missing pins of a listing.
#[derive(Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Missed by two listings in a row: gone.
    pub gone: Vec<Key>,
    /// Missed once.
    pub waiting: usize,
    /// More than half of the pins are missing for the first time: look again at once.
    pub look_again: bool,
}

impl Suspects {
    /// Judges the missing pins of a listing and remembers them for the next one.
    ///
    /// One absence is no removal: Kubo renames a pin by removing it, walking its DAG, and adding it again. More than half
    /// missing at once needs two *equal* listings: what the second one misses otherwise is not confirmed by it.
    pub fn judge(&mut self, missing: Vec<Key>, before: usize) -> Confirmed {
        let now: HashSet<Key> = missing.iter().copied().collect();
        let many = missing.len() * 2 > before;
        let confirmed = if many && now != self.missing {
            Confirmed { gone: Vec::new(), waiting: missing.len(), look_again: !missing.is_empty() }
        } else {
            let (gone, waiting): (Vec<Key>, Vec<Key>) = missing.into_iter().partition(|key| self.missing.contains(key));
            Confirmed { gone, waiting: waiting.len(), look_again: false }
        };
        self.missing = now;
        for key in &confirmed.gone {
            self.missing.remove(key);
        }
        confirmed
    }

    /// Forgets them: nothing is missing.
    pub fn clear(&mut self) {
        self.missing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid;
    use crate::index::set::{Entry, Sums};
    use proptest::prelude::*;
    use proto_msgs::pin::PinType;
    use std::collections::BTreeMap;

    fn listed(n: u8, name: u8, direct: bool) -> Pinned {
        let hash = ::cid::multihash::Multihash::<128>::wrap(0x12, &[n; 32]).expect("32 bytes");
        let cid = cid::Cid::new_v1(0x55, hash);
        let pin_type = if direct { PinType::Direct } else { PinType::Recursive };
        let name = (name > 0).then(|| name.to_string());
        Pinned::new(cid, pin_type, name.as_deref())
    }

    fn set_of(pins: &[Pinned], keyed: &Keyed) -> PinSet {
        let mut sums = Sums::default();
        let mut entries: Vec<_> = pins
            .iter()
            .map(|pin| {
                sums.add(keyed, &cid::text(&pin.cid()), pin.pin_type(), pin.name());
                Entry::new(pin.key(), pin.pin_type(), 1, keyed.name_hash(pin.name()))
            })
            .collect();
        entries.sort_by_key(Entry::key);
        PinSet::from_sorted(entries, sums)
    }

    fn keys(range: std::ops::Range<u8>) -> Vec<Key> {
        range.map(|n| listed(n, 0, false).key()).collect()
    }

    #[test]
    fn one_absence_is_no_removal_and_two_in_a_row_are() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.judge(keys(0..2), 10), Confirmed { gone: vec![], waiting: 2, look_again: false });
        assert_eq!(suspects.judge(keys(1..3), 10), Confirmed { gone: keys(1..2), waiting: 1, look_again: false });
        assert_eq!(suspects.judge(vec![], 9), Confirmed { gone: vec![], waiting: 0, look_again: false });
        assert_eq!(suspects.judge(keys(2..3), 9).gone, vec![], "it was back in between");
    }

    #[test]
    fn more_than_half_missing_needs_two_equal_listings() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.judge(keys(0..8), 10), Confirmed { gone: vec![], waiting: 8, look_again: true });
        assert_eq!(suspects.judge(keys(0..9), 10), Confirmed { gone: vec![], waiting: 9, look_again: true });
        assert_eq!(suspects.judge(keys(0..9), 10), Confirmed { gone: keys(0..9), waiting: 0, look_again: false });
    }

    #[test]
    fn an_empty_set_that_is_confirmed_is_data() {
        let mut suspects = Suspects::default();
        assert!(suspects.judge(keys(0..1), 1).look_again);
        assert_eq!(suspects.judge(keys(0..1), 1).gone, keys(0..1));
    }

    proptest! {
        #[test]
        fn only_what_two_listings_in_a_row_missed_is_gone(
            listings in prop::collection::vec(prop::collection::btree_set(0u8..12, 0..12), 1..8),
        ) {
            let mut suspects = Suspects::default();
            let mut set: std::collections::BTreeSet<u8> = (0..12).collect();
            let mut last = set.clone();
            for listing in listings {
                let missing = set.difference(&listing).map(|n| listed(*n, 0, false).key()).collect();
                let confirmed = suspects.judge(missing, set.len());
                let gone: Vec<u8> = set.iter().copied().filter(|n| confirmed.gone.contains(&listed(*n, 0, false).key())).collect();
                prop_assert_eq!(gone.len(), confirmed.gone.len());
                prop_assert!(gone.iter().all(|n| !listing.contains(n) && !last.contains(n)));
                prop_assert_eq!(confirmed.waiting, set.difference(&listing).count() - gone.len());
                set.retain(|n| !gone.contains(n));
                set.extend(&listing);
                last = listing;
            }
            // The same listing twice more, and once again for a majority that it misses: then the set is that listing.
            for _ in 0..3 {
                let missing = set.difference(&last).map(|n| listed(*n, 0, false).key()).collect();
                let gone = suspects.judge(missing, set.len()).gone;
                set.retain(|n| !gone.contains(&listed(*n, 0, false).key()));
            }
            prop_assert_eq!(set, last);
        }

        #[test]
        fn applying_the_diff_to_the_set_gives_the_listing(
            before in prop::collection::btree_map(any::<u8>(), (0u8..3, any::<bool>()), 0..40),
            after in prop::collection::btree_map(any::<u8>(), (0u8..3, any::<bool>()), 0..40),
            names: bool,
        ) {
            let pins = |map: &BTreeMap<u8, (u8, bool)>| -> Vec<Pinned> {
                let mut pins: Vec<_> = map.iter().map(|(n, (name, direct))| listed(*n, *name, *direct)).collect();
                pins.sort_by_key(Pinned::key);
                pins
            };
            let keyed = Keyed::random();
            let diff = diff(&set_of(&pins(&before), &keyed), &mut pins(&after), names, &keyed);
            prop_assert_eq!(diff.before, before.len());
            let mut model: BTreeMap<Key, Pinned> = pins(&before).into_iter().map(|pin| (pin.key(), pin)).collect();
            for key in diff.missing {
                prop_assert!(model.remove(&key).is_some());
            }
            for pin in diff.changed {
                let old = model.insert(pin.key(), pin.clone());
                prop_assert!(old.is_some_and(|old| old != pin && (names || old.pin_type() != pin.pin_type())));
            }
            for pin in diff.added {
                prop_assert!(model.insert(pin.key(), pin).is_none());
            }
            let mut wanted: BTreeMap<Key, Pinned> = pins(&after).into_iter().map(|pin| (pin.key(), pin)).collect();
            if !names {
                for (key, pin) in &mut wanted {
                    let old = model[key].clone();
                    prop_assert_eq!(old.pin_type(), pin.pin_type());
                    *pin = old;
                }
            }
            prop_assert_eq!(model, wanted);
        }
    }
}
