//! One directory as the tree has it, in little memory. Pure.

use super::{Put, State};
use crate::cid::Cid;
use proto_msgs::pin::ContentKind;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// A directory's entries as the tree has them, 48 bytes each whatever their names, to be compared with a listing.
#[derive(Debug)]
pub struct Known {
    keys: (u64, u64),
    entries: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    name: (u64, u64),
    entry: KnownEntry,
    seen: bool,
}

/// An entry that the tree has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownEntry {
    cid: u64,
    size: u64,
    kind: Option<ContentKind>,
    /// How far it was read.
    pub state: State,
}

impl KnownEntry {
    /// What it is, as far as anybody has looked.
    pub fn kind(&self) -> Option<ContentKind> {
        self.kind
    }

    /// Bytes of a file.
    pub fn size(&self) -> Option<u64> {
        (self.size != u64::MAX).then_some(self.size)
    }
}

impl Default for Known {
    fn default() -> Known {
        Known { keys: (rand::random(), rand::random()), entries: Vec::new() }
    }
}

impl Known {
    /// Tells names apart, for as long as this is there.
    pub fn hash(&self, bytes: &[u8]) -> (u64, u64) {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        hasher.write(bytes);
        let hash = hasher.finish128();
        (hash.h1, hash.h2)
    }

    pub(super) fn add(&mut self, name: &str, put: &Put) {
        let entry = self.entry(put);
        self.entries.push(Slot { name: self.hash(name.as_bytes()), entry, seen: false });
    }

    /// Ready to be asked.
    pub(super) fn sorted(mut self) -> Known {
        self.entries.sort_unstable_by_key(|slot| slot.name);
        self
    }

    /// An entry in the form that [`Known::see`] gives.
    pub fn entry(&self, put: &Put) -> KnownEntry {
        let cid = self.hash(&put.cid.to_bytes()).0;
        KnownEntry { cid, size: put.size.unwrap_or(u64::MAX), kind: put.kind, state: put.state }
    }

    /// What the tree has under a name that the listing has, too.
    pub fn see(&mut self, name: &str) -> Option<KnownEntry> {
        let hash = self.hash(name.as_bytes());
        let at = self.entries.binary_search_by_key(&hash, |slot| slot.name).ok()?;
        self.entries[at].seen = true;
        Some(self.entries[at].entry)
    }

    /// Whether an entry has this CID.
    pub fn same(&self, entry: &KnownEntry, cid: &Cid) -> bool {
        entry.cid == self.hash(&cid.to_bytes()).0
    }

    /// Whether the listing had all of them.
    pub fn all_seen(&self) -> bool {
        self.entries.iter().all(|slot| slot.seen)
    }

    pub(super) fn is_unseen(&self, name: &str) -> bool {
        let hash = self.hash(name.as_bytes());
        self.entries.binary_search_by_key(&hash, |slot| slot.name).is_ok_and(|at| !self.entries[at].seen)
    }
}
