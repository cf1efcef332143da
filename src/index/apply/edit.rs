//! What one transaction does to the pins: which rows come, change and go, and the set in memory after it.

use super::super::error::IndexError;
use super::super::rows::Row;
use super::super::set::{Entry, Keyed, OVERLAY, PinSet, Pinned, Sums};
use super::{ListingChanges, State};
use crate::cid::{self, Key};
use jiff::Timestamp;
use proto_msgs::pin::PinType;
use std::collections::{BTreeMap, BTreeSet};

/// New, altered and removed rows.
pub(super) struct Edit<'a> {
    pub(super) at: Timestamp,
    /// The first new pin's id; the others follow.
    pub(super) first_id: u64,
    pub(super) added: &'a [Pinned],
    pub(super) altered: BTreeMap<u64, (PinType, Option<&'a str>)>,
    pub(super) removed: BTreeSet<u64>,
}

impl Edit<'_> {
    /// Nothing yet.
    pub(super) fn at(at: Timestamp, first_id: u64) -> Self {
        Edit { at, first_id, added: &[], altered: BTreeMap::new(), removed: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.added.len() + self.altered.len() + self.removed.len()
    }

    pub(super) fn sums(&self, mut sums: Sums, keyed: &Keyed, removed: &[Row], altered: &[Row]) -> Sums {
        for row in removed.iter().chain(altered) {
            sums.remove(keyed, &cid::text(&row.cid), row.pin_type, row.name.as_deref());
        }
        for row in altered {
            if let Some((pin_type, name)) = self.altered.get(&row.id) {
                sums.add(keyed, &cid::text(&row.cid), *pin_type, *name);
            }
        }
        for pin in self.added {
            sums.add(keyed, &cid::text(&pin.cid()), pin.pin_type(), pin.name());
        }
        sums
    }
}

impl State {
    /// What of a listing changes anything: CIDs that were touched meanwhile are left out, and so is what is so already.
    pub(super) fn edit<'a>(&self, changes: &'a mut ListingChanges) -> Edit<'a> {
        changes.added.retain(|pin| !self.touched.contains(&pin.key()));
        let at = changes.as_of;
        let entry = |key: &Key| self.set().get(key).filter(|_| !self.touched.contains(key));
        let altered = changes.changed.iter().filter_map(|pin| {
            let before = entry(&pin.key())?;
            let after = self.entry(pin, before.id());
            (before != after).then_some((before.id(), (pin.pin_type(), pin.name())))
        });
        let removed = changes.removed.iter().filter_map(|key| Some(entry(key)?.id()));
        Edit {
            at,
            first_id: self.next_id,
            added: &changes.added,
            altered: altered.collect(),
            removed: removed.collect(),
        }
    }

    /// The set after an edit of these rows.
    pub(super) fn after(
        &self,
        edit: &Edit<'_>,
        removed: &[Row],
        altered: &[Row],
        sums: Sums,
    ) -> Result<PinSet, IndexError> {
        let new = (edit.first_id..).zip(edit.added).map(|(id, pin)| self.entry(pin, id));
        let set = if edit.len() <= OVERLAY {
            let gone = removed.iter().map(|row| (Key::of(&row.cid), None));
            let altered = altered.iter().filter_map(|row| {
                let (pin_type, name) = edit.altered.get(&row.id)?;
                let key = Key::of(&row.cid);
                Some((key, Some(Entry::new(key, *pin_type, row.id, self.keyed.name_hash(*name)))))
            });
            let changes = gone.chain(altered).chain(new.map(|entry| (entry.key(), Some(entry))));
            let twice = edit.added.iter().any(|pin| self.set().get(&pin.key()).is_some());
            let changes: BTreeMap<Key, Option<Entry>> = changes.collect();
            if twice || changes.len() != edit.len() {
                return Err(IndexError::Twice);
            }
            self.set().with(changes, sums)
        } else {
            let kept = self.set().iter().filter(|entry| !edit.removed.contains(&entry.id()));
            let kept = kept.map(|entry| match edit.altered.get(&entry.id()) {
                Some((pin_type, name)) => Entry::new(entry.key(), *pin_type, entry.id(), self.keyed.name_hash(*name)),
                None => *entry,
            });
            let mut entries: Vec<Entry> = kept.chain(new).collect();
            // Sorted runs, which the stable sort merges.
            entries.sort_by_key(Entry::key);
            if entries.windows(2).any(|pair| pair[0].key() == pair[1].key()) {
                return Err(IndexError::Twice);
            }
            PinSet::from_sorted(entries, sums)
        };
        Ok(set)
    }
}
