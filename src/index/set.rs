//! The current pins in memory: an immutable value behind an `Arc`, 48 bytes a pin, sorted by key.
//!
//! It answers "is it pinned", how many there are, and which row a CID is, in about a microsecond; the diff of a refresh is a
//! merge with it. Changes go into a small overlay, which is folded into a new vector when it has grown.

use crate::cid::{Cid, Key};
use proto_msgs::pin::PinType;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

/// Changes before they are folded.
pub(super) const OVERLAY: usize = 4096;
const DIRECT: u32 = 1 << 31;
const ID_BITS: u32 = 40;

/// One pin. The id has 40 bits, the hash of the name 56.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    digest: [u8; 32],
    id_and_name: u64,
    ident_and_type: u32,
    name: u32,
}

const _: () = assert!(size_of::<Entry>() == 48);

impl Entry {
    /// A pin with the hash of its name ([`Keyed::name_hash`]).
    pub fn new(key: Key, pin_type: PinType, id: u64, name_hash: u64) -> Entry {
        let direct = if pin_type == PinType::Direct { DIRECT } else { 0 };
        Entry {
            digest: key.digest,
            id_and_name: id & ((1 << ID_BITS) - 1) | (name_hash >> 32) << ID_BITS,
            ident_and_type: key.ident | direct,
            name: name_hash as u32,
        }
    }

    /// What it is found by.
    #[inline]
    pub fn key(&self) -> Key {
        Key { digest: self.digest, ident: self.ident_and_type & !DIRECT }
    }

    /// [`key`](Self::key) against another, without a copy of it.
    #[inline]
    pub fn cmp_key(&self, key: &Key) -> Ordering {
        self.digest.cmp(&key.digest).then((self.ident_and_type & !DIRECT).cmp(&key.ident))
    }

    /// Whether this is its [`key`](Self::key): quicker than to ask which of the two is less.
    #[inline]
    pub fn is_at(&self, key: &Key) -> bool {
        self.digest == key.digest && self.ident_and_type & !DIRECT == key.ident
    }

    /// Recursive or direct.
    #[inline]
    pub fn pin_type(&self) -> PinType {
        if self.ident_and_type & DIRECT == 0 { PinType::Recursive } else { PinType::Direct }
    }

    /// Its row.
    pub fn id(&self) -> u64 {
        self.id_and_name & ((1 << ID_BITS) - 1)
    }

    /// Hash of its name.
    pub fn name_hash(&self) -> u64 {
        (self.id_and_name >> ID_BITS) << 32 | u64::from(self.name)
    }
}

/// Hashes under a key that is random for each process, so that nobody can choose names or CIDs that collide.
#[derive(Clone, Debug)]
pub struct Keyed(u64, u64);

impl Keyed {
    /// A new key.
    pub fn random() -> Keyed {
        Keyed(rand::random(), rand::random())
    }

    /// 56 bits of a name's hash; no name has 0.
    pub fn name_hash(&self, name: Option<&str>) -> u64 {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return 0 };
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(name.as_bytes());
        hasher.finish128().h1 & ((1 << 56) - 1)
    }

    /// 128 bits of the hash of any other text.
    pub(super) fn text_hash(&self, text: &str) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(text.as_bytes());
        hasher.finish128().as_u128()
    }

    fn sum(&self, cid_text: &str, tag: u8, rest: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(cid_text.as_bytes());
        // No CID's text has this byte, so text and rest can't run into each other.
        hasher.write(&[0, tag]);
        hasher.write(rest);
        hasher.finish128().as_u128()
    }
}

/// A count of pins and two sums of hashes over them that do not depend on their order: one over CID and type, one over CID and
/// name. Equal sums mean equal sets. Sums and not exclusive-ors: a pin that occurs twice must not cancel out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Pins.
    pub pins: u64,
    /// Over CID and type.
    pub by_cid: u128,
    /// Over CID and name.
    pub by_name: u128,
}

impl Sums {
    /// Adds a pin by its CID as Kubo prints it.
    pub fn add(&mut self, keyed: &Keyed, cid_text: &str, pin_type: PinType, name: Option<&str>) {
        self.add_unnamed(keyed, cid_text, pin_type);
        self.by_name = self.by_name.wrapping_add(keyed.sum(cid_text, 2, name.unwrap_or_default().as_bytes()));
    }

    /// Adds a pin whose name is not known; such sums are good for [`same_pins`](Self::same_pins) only.
    pub fn add_unnamed(&mut self, keyed: &Keyed, cid_text: &str, pin_type: PinType) {
        self.pins += 1;
        self.by_cid = self.by_cid.wrapping_add(keyed.sum(cid_text, 1, pin_type.name().as_bytes()));
    }

    /// Whether these are the same pins, whatever their names.
    pub fn same_pins(&self, other: &Sums) -> bool {
        (self.pins, self.by_cid) == (other.pins, other.by_cid)
    }

    /// Of both together.
    #[must_use]
    pub fn plus(&self, other: &Sums) -> Sums {
        Sums {
            pins: self.pins + other.pins,
            by_cid: self.by_cid.wrapping_add(other.by_cid),
            by_name: self.by_name.wrapping_add(other.by_name),
        }
    }

    /// Takes a pin away that had been added with the same words.
    pub fn remove(&mut self, keyed: &Keyed, cid_text: &str, pin_type: PinType, name: Option<&str>) {
        self.pins = self.pins.wrapping_sub(1);
        self.by_cid = self.by_cid.wrapping_sub(keyed.sum(cid_text, 1, pin_type.name().as_bytes()));
        self.by_name = self.by_name.wrapping_sub(keyed.sum(cid_text, 2, name.unwrap_or_default().as_bytes()));
    }
}

/// A pin as Kubo has it: 64 bytes beside its name, since a listing holds millions of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    key: Key,
    pin_type: PinType,
    /// The CID, where the key has not all of it.
    foreign: Option<Box<Cid>>,
    name: Option<Box<str>>,
}

const _: () = assert!(size_of::<Pinned>() <= 64);

impl Pinned {
    /// A pin; an empty name is none.
    pub fn new(cid: Cid, pin_type: PinType, name: Option<&str>) -> Pinned {
        let key = Key::of(&cid);
        let foreign = key.cid().is_none().then(|| Box::new(cid));
        Pinned { key, pin_type, foreign, name: name.filter(|name| !name.is_empty()).map(Box::from) }
    }

    /// What it is found by.
    #[inline]
    pub fn key(&self) -> Key {
        self.key
    }

    /// What is pinned.
    pub fn cid(&self) -> Cid {
        match &self.foreign {
            Some(cid) => **cid,
            None => self.key.cid().unwrap_or_default(),
        }
    }

    /// How.
    #[inline]
    pub fn pin_type(&self) -> PinType {
        self.pin_type
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The same pin with this name.
    #[must_use]
    pub fn named(self, name: Option<&str>) -> Pinned {
        Pinned { name: name.filter(|name| !name.is_empty()).map(Box::from), ..self }
    }
}

/// The current pins.
#[derive(Clone, Debug, Default)]
pub struct PinSet {
    base: Arc<Vec<Entry>>,
    overlay: BTreeMap<Key, Option<Entry>>,
    direct: u64,
    sums: Sums,
}

impl PinSet {
    /// A set of these entries, which are sorted by key and have no key twice.
    pub fn from_sorted(entries: Vec<Entry>, sums: Sums) -> PinSet {
        let direct = entries.iter().filter(|e| e.pin_type() == PinType::Direct).count() as u64;
        PinSet { base: Arc::new(entries), overlay: BTreeMap::new(), direct, sums }
    }

    /// This set with pins added, changed or (`None`) removed.
    #[must_use]
    pub fn with(&self, changes: BTreeMap<Key, Option<Entry>>, sums: Sums) -> PinSet {
        let mut set = self.clone();
        let is_direct = |e: &Option<Entry>| u64::from(e.is_some_and(|e| e.pin_type() == PinType::Direct));
        for (key, entry) in changes {
            set.direct = set.direct + is_direct(&entry) - is_direct(&self.get(&key));
            set.overlay.insert(key, entry);
        }
        set.sums = sums;
        if set.overlay.len() > OVERLAY {
            let folded = set.iter().copied().collect();
            set = PinSet::from_sorted(folded, sums);
        }
        set
    }

    /// Pins.
    pub fn len(&self) -> u64 {
        self.sums.pins
    }

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.sums.pins == 0
    }

    /// Recursive pins.
    pub fn recursive(&self) -> u64 {
        self.sums.pins - self.direct
    }

    /// Direct pins.
    pub fn direct(&self) -> u64 {
        self.direct
    }

    /// What [`Sums`] the pins have.
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// The pin with this key.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        if let Some(changed) = self.overlay.get(key) {
            return *changed;
        }
        self.base.binary_search_by(|entry| entry.cmp_key(key)).ok().map(|at| self.base[at])
    }

    /// The pins of the same block: other versions, other codecs, and itself.
    pub fn block(&self, key: &Key) -> Vec<Entry> {
        let range = key.block();
        let first = self.base.partition_point(|e| e.cmp_key(range.start()).is_lt());
        let base = self.base[first..].iter().take_while(|e| range.contains(&e.key()));
        let mut found: Vec<_> = base.filter(|e| !self.overlay.contains_key(&e.key())).copied().collect();
        found.extend(self.overlay.range(range).filter_map(|(_, entry)| *entry));
        found
    }

    /// All pins, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.runs().flat_map(|(run, changed)| run.iter().chain(changed))
    }

    /// The same as long runs, each up to a change of the overlay and with what it put there, the last one to the end.
    pub fn runs(&self) -> impl Iterator<Item = (&[Entry], Option<&Entry>)> {
        let mut rest = self.base.as_slice();
        self.overlay.iter().map(Some).chain([None]).map(move |change| {
            let Some((key, entry)) = change else { return (std::mem::take(&mut rest), None) };
            let (run, after) = rest.split_at(rest.partition_point(|entry| entry.cmp_key(key).is_lt()));
            let replaced = usize::from(after.first().is_some_and(|entry| entry.cmp_key(key).is_eq()));
            rest = &after[replaced..];
            (run, entry.as_ref())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> Key {
        Key { digest: [n / 4; 32], ident: u32::from(n % 4) | 0x55 << 2 }
    }

    fn entry(n: u8, id: u64) -> Entry {
        let pin_type = if n.is_multiple_of(3) { PinType::Direct } else { PinType::Recursive };
        Entry::new(key(n), pin_type, id, u64::from(n) << 40 | 7)
    }

    #[test]
    fn an_entry_gives_back_what_it_was_made_of() {
        let made = Entry::new(key(9), PinType::Direct, (1 << 40) - 1, (1 << 56) - 2);
        let parts = (made.key(), made.pin_type(), made.id(), made.name_hash());
        assert_eq!(parts, (key(9), PinType::Direct, (1 << 40) - 1, (1 << 56) - 2));
    }

    #[test]
    fn sums_do_not_depend_on_order_and_see_every_change() {
        let keyed = Keyed::random();
        let sums = |pins: &[(&str, PinType, Option<&str>)]| {
            let mut sums = Sums::default();
            pins.iter().for_each(|(cid, pin_type, name)| sums.add(&keyed, cid, *pin_type, *name));
            sums
        };
        let (a, b) = (("a", PinType::Recursive, None), ("b", PinType::Direct, Some("x")));
        assert_eq!(sums(&[a, b]), sums(&[b, a]));
        assert_ne!(sums(&[a, b]).by_cid, sums(&[a, ("b", PinType::Recursive, Some("x"))]).by_cid);
        assert_ne!(sums(&[a, b]).by_name, sums(&[a, ("b", PinType::Direct, Some("y"))]).by_name);
        assert_ne!(sums(&[a, a]), sums(&[]));
        let mut less = sums(&[a, b]);
        less.remove(&keyed, "b", PinType::Direct, Some("x"));
        assert_eq!(less, sums(&[a]));
    }

    proptest! {
        #[test]
        fn a_set_is_a_sorted_map(base in prop::collection::btree_set(any::<u8>(), 0..60), changes in prop::collection::vec((any::<u8>(), any::<bool>()), 0..60)) {
            let mut model: BTreeMap<Key, Entry> = base.iter().map(|n| (key(*n), entry(*n, 1))).collect();
            let sums = |model: &BTreeMap<Key, Entry>| Sums { pins: model.len() as u64, ..Sums::default() };
            let mut set = PinSet::from_sorted(model.values().copied().collect(), sums(&model));
            for (n, add) in changes {
                let new = add.then(|| entry(n, 2));
                match new {
                    Some(new) => drop(model.insert(key(n), new)),
                    None => drop(model.remove(&key(n))),
                }
                set = set.with([(key(n), new)].into(), sums(&model));
            }
            prop_assert_eq!(set.iter().copied().collect::<Vec<_>>(), model.values().copied().collect::<Vec<_>>());
            let direct = model.values().filter(|e| e.pin_type() == PinType::Direct).count() as u64;
            prop_assert_eq!((set.len(), set.direct()), (model.len() as u64, direct));
            for n in 0..=255 {
                prop_assert_eq!(set.get(&key(n)), model.get(&key(n)).copied());
                let mut block = set.block(&key(n));
                block.sort_by_key(Entry::key);
                prop_assert_eq!(block, model.range(key(n).block()).map(|(_, e)| *e).collect::<Vec<_>>());
            }
        }
    }
}
