//! What changes the index: a listing that came whole, or one pin that was changed through the daemon. One transaction each;
//! the set in memory follows only a commit that stored something, with no error on its way.
//!
//! A listing never overrides a CID that was changed singly since the listing began: such CIDs are [`State::touched`].

mod edit;

use super::access::known;
use super::error::IndexError;
use super::fresh::Fresh;
use super::marks::Marks;
use super::open::Home;
use super::query;
use super::rows;
use super::schema::{self, Meta};
use super::set::{Entry, Keyed, PinSet, Pinned};
use super::sizes::{self, ApplySizes};
use crate::board::{Counts, IndexState};
use crate::cid::{Cid, Key};
use duckdb::Connection;
use edit::Edit;
use jiff::Timestamp;
use proto_msgs::pin::{Pin, PinType};
use std::collections::HashSet;
use std::sync::{Arc, Weak};
use tokio::sync::watch;

/// Names one listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub(super) u64);

/// What a listing that came whole changes.
#[derive(Clone, Debug)]
pub struct ListingChanges {
    /// Which listing.
    pub token: Token,
    /// When it began.
    pub as_of: Timestamp,
    /// Whose it is.
    pub peer_id: String,
    /// New pins.
    pub added: Vec<Pinned>,
    /// Renamed and retyped ones, as they are now.
    pub changed: Vec<Pinned>,
    /// Pins that are gone, confirmed.
    pub removed: Vec<Key>,
    /// Whether the listing leaves nothing open: with it the index holds what Kubo held.
    pub whole: bool,
}

/// A listing that equals the index.
#[derive(Clone, Debug)]
pub struct Unchanged {
    /// Which listing.
    pub token: Token,
    /// When it began.
    pub as_of: Timestamp,
    /// Whose it is.
    pub peer_id: String,
}

/// Begins a listing: what is changed singly from now on is not touched by it.
#[derive(Clone, Copy, Debug)]
pub struct BeginListing;

/// Kubo has confirmed a pin.
#[derive(Clone, Debug)]
pub struct ApplyAdded {
    /// What is pinned.
    pub cid: Cid,
    /// How.
    pub pin_type: PinType,
    /// Its name.
    pub name: Option<String>,
}

/// Kubo has confirmed that a pin is gone.
#[derive(Clone, Debug)]
pub struct ApplyRemoved {
    /// What was pinned.
    pub cid: Cid,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The generation that has it.
    pub generation: u64,
    /// New pins.
    pub added: u64,
    /// Changed ones.
    pub changed: u64,
    /// Removed ones.
    pub removed: u64,
}

/// What the writer knows beside the file. It changes only after a commit.
pub struct State {
    keyed: Keyed,
    published: IndexState,
    publish: watch::Sender<IndexState>,
    next_id: u64,
    token: u64,
    touched: HashSet<Key>,
    /// Of the copies of `pins` that somebody reads.
    copies: Vec<Weak<Fresh>>,
    pub(super) marks: Marks,
    pub(super) accesses: known::Known,
    /// The file that all this is in.
    pub(super) home: Home,
}

impl State {
    /// The state of an index as it was read from the file.
    pub(super) fn new(
        keyed: Keyed,
        set: PinSet,
        meta: &Meta,
        (marks, accesses): (Marks, known::Known),
        recovery: Option<String>,
        home: Home,
    ) -> State {
        let published = IndexState {
            set: Arc::new(set),
            as_of: meta.as_of_us.and_then(|us| Timestamp::from_microsecond(us).ok()),
            generation: meta.generation,
            complete: meta.complete,
            peer_id: meta.peer_id.clone(),
            recovery,
            journal_closed: marks.journal.closed().map(str::to_owned),
            changes: 0,
            restored: 0,
            counts: Counts::default(),
        };
        let publish = watch::Sender::new(published.clone());
        State {
            keyed,
            published,
            publish,
            next_id: meta.next_id,
            token: 0,
            touched: HashSet::new(),
            copies: Vec::new(),
            marks,
            accesses,
            home,
        }
    }

    /// Where it is published.
    pub(super) fn published(&self) -> watch::Sender<IndexState> {
        self.publish.clone()
    }

    /// What `meta` is to hold.
    pub(super) fn meta(&self) -> Meta {
        Meta {
            peer_id: self.published.peer_id.clone(),
            generation: self.published.generation,
            as_of_us: self.published.as_of.map(Timestamp::as_microsecond),
            complete: self.published.complete,
            next_id: self.next_id,
            journal_seq: self.marks.applied(),
        }
    }

    /// How names and CIDs are hashed in this process.
    pub(super) fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Another index is in the file. A listing that is under way was compared with the one before.
    pub(super) fn replace(&mut self, set: PinSet, meta: &Meta) {
        begin_listing(self);
        // The copies answer for nothing any more.
        self.copies.drain(..).filter_map(|copy| copy.upgrade()).for_each(|copy| copy.end());
        self.marks.replaced(meta.journal_seq);
        self.published.changes += 1;
        self.published.restored += 1;
        self.publish(Arc::new(set), meta);
    }

    /// The pin of this block in whatever form: the same CID, or another one with the same bytes.
    pub(super) fn pin_of(&self, cid: &Cid) -> Option<Cid> {
        let key = Key::of(cid);
        if self.set().get(&key).is_some() {
            return Some(*cid);
        }
        self.set().block(&key).iter().find_map(|entry| entry.key().cid_like(cid))
    }

    /// Whether this CID is pinned.
    pub(super) fn holds(&self, cid: &Cid) -> bool {
        self.set().get(&Key::of(cid)).is_some()
    }

    /// The generation of the pin set.
    pub(super) fn generation(&self) -> u64 {
        self.published.generation
    }

    fn set(&self) -> &PinSet {
        &self.published.set
    }

    fn entry(&self, pin: &Pinned, id: u64) -> Entry {
        Entry::new(pin.key(), pin.pin_type(), id, self.keyed.name_hash(pin.name()))
    }

    fn publish(&mut self, set: Arc<PinSet>, meta: &Meta) {
        self.next_id = meta.next_id;
        self.published.set = set;
        self.published.generation = meta.generation;
        self.published.as_of = meta.as_of_us.and_then(|us| Timestamp::from_microsecond(us).ok());
        self.published.complete = meta.complete;
        self.published.peer_id.clone_from(&meta.peer_id);
        self.publish.send_replace(self.published.clone());
    }

    /// To be called after a commit that changed something beside the pin set that a snapshot holds.
    pub fn changed(&mut self) {
        self.published.changes += 1;
        self.publish.send_replace(self.published.clone());
    }

    /// Says whether marks can be recorded; to be called after every job.
    pub(super) fn tell_of_journal(&mut self) {
        let closed = self.marks.journal.closed();
        if self.published.journal_closed.as_deref() != closed {
            self.published.journal_closed = closed.map(str::to_owned);
            self.publish.send_replace(self.published.clone());
        }
    }

    /// Says which rows have changed; to be called after the commit.
    fn touch(&self, ids: impl Iterator<Item = u64>) {
        let copies: Vec<_> = self.copies.iter().filter_map(Weak::upgrade).collect();
        if !copies.is_empty() {
            ids.for_each(|id| copies.iter().for_each(|copy| copy.touch(id)));
        }
    }

    /// Says that something else is said of this CID; to be called after the commit.
    pub(super) fn touch_marked(&self, cid: &Cid) {
        self.touch(self.set().get(&Key::of(cid)).iter().map(Entry::id));
    }

    /// Refuses a listing that is not the last one begun, and one of another node.
    fn admit(&self, token: Token, peer_id: &str) -> Result<(), IndexError> {
        if token.0 != self.token {
            return Err(IndexError::StaleListing);
        }
        match &self.published.peer_id {
            Some(owner) if owner != peer_id => {
                Err(IndexError::OtherNode { listed: peer_id.to_owned(), owner: owner.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// Begins a listing; every older one is void.
pub fn begin_listing(state: &mut State) -> (Token, Keyed) {
    state.token += 1;
    state.touched.clear();
    (Token(state.token), state.keyed.clone())
}

/// Begins to note which rows of `pins` change, for a copy of the table that is made from now on. A row that people have said
/// something of is never fresh: what they say is in another table.
pub fn begin_copy(connection: &Connection, state: &mut State) -> Result<Arc<Fresh>, IndexError> {
    let fresh = Arc::new(Fresh::below(state.next_id));
    rows::all_marks(connection, |mark| {
        state.set().get(&Key::of(&mark.cid)).iter().for_each(|entry| fresh.touch(entry.id()));
        Ok::<_, IndexError>(())
    })?;
    state.copies.retain(|copy| copy.strong_count() > 0);
    state.copies.push(Arc::downgrade(&fresh));
    Ok(fresh)
}

/// Notes that the index equals Kubo.
pub fn unchanged(connection: &Connection, state: &mut State, listing: Unchanged) -> Result<(), IndexError> {
    state.admit(listing.token, &listing.peer_id)?;
    let meta = listed(state, listing.as_of, &listing.peer_id, true);
    note(connection, state, &meta)
}

/// Applies a listing.
pub fn listing(connection: &Connection, state: &mut State, mut changes: ListingChanges) -> Result<Applied, IndexError> {
    state.admit(changes.token, &changes.peer_id)?;
    let meta = listed(state, changes.as_of, &changes.peer_id, changes.whole);
    let edit = state.edit(&mut changes);
    if edit.len() == 0 {
        note(connection, state, &meta)?;
        return Ok(Applied { generation: meta.generation, ..Applied::default() });
    }
    commit(connection, state, meta, &edit)
}

/// Applies one pin that Kubo has confirmed; answers with the generation that has it, and its row.
pub fn added(connection: &Connection, state: &mut State, pin: ApplyAdded) -> Result<(u64, Pin), IndexError> {
    let new = [Pinned::new(pin.cid, pin.pin_type, pin.name.as_deref())];
    let key = new[0].key();
    // A listing that is under way began before this, whether or not anything changes.
    state.touched.insert(key);
    let before = state.set().get(&key);
    let id = before.map_or(state.next_id, |entry| entry.id());
    let entry = state.entry(&new[0], id);
    if before != Some(entry) {
        let mut edit = Edit::at(Timestamp::now(), state.next_id);
        match before {
            Some(_) => drop(edit.altered.insert(id, (new[0].pin_type(), new[0].name()))),
            None => edit.added = &new,
        }
        let meta = state.meta();
        commit(connection, state, meta, &edit)?;
    }
    let row = query::by_id(connection, id)?.ok_or(duckdb::Error::QueryReturnedNoRows)?;
    Ok((state.published.generation, row))
}

/// Applies that one pin is gone; answers with the generation without it.
pub fn removed(connection: &Connection, state: &mut State, pin: ApplyRemoved) -> Result<u64, IndexError> {
    let key = Key::of(&pin.cid);
    state.touched.insert(key);
    if let Some(entry) = state.set().get(&key) {
        let mut edit = Edit::at(Timestamp::now(), state.next_id);
        edit.removed.insert(entry.id());
        let meta = state.meta();
        commit(connection, state, meta, &edit)?;
    }
    Ok(state.published.generation)
}

/// Writes what was measured of pins. It is no change of the pin set, so the generation stays.
pub fn sizes(connection: &Connection, state: &mut State, measured: ApplySizes) -> Result<(), IndexError> {
    transaction(connection, &state.meta(), || Ok(sizes::write(connection, &measured.0)?))?;
    state.touch(measured.0.iter().map(|of| of.id));
    state.changed();
    Ok(())
}

/// `meta` after a listing.
fn listed(state: &State, as_of: Timestamp, peer_id: &str, whole: bool) -> Meta {
    let mut meta = state.meta();
    meta.peer_id = Some(peer_id.to_owned());
    if whole {
        meta.as_of_us = Some(as_of.as_microsecond());
        meta.complete = true;
    }
    meta
}

/// Publishes a listing that changes no pin. Its age alone is not worth a write: the file learns of it with the next change and
/// at the end.
fn note(connection: &Connection, state: &mut State, meta: &Meta) -> Result<(), IndexError> {
    if meta.peer_id != state.published.peer_id || meta.complete != state.published.complete {
        schema::write_meta(connection, meta)?;
    }
    let set = state.published.set.clone();
    state.publish(set, meta);
    Ok(())
}

/// One generation further: rows, `meta` and set.
fn commit(connection: &Connection, state: &mut State, mut meta: Meta, edit: &Edit<'_>) -> Result<Applied, IndexError> {
    meta.generation += 1;
    meta.next_id += edit.added.len() as u64;
    // The set is made before the commit, so that nothing can fail between commit and publication.
    let (set, removed, altered) = transaction(connection, &meta, || {
        let removed = rows::bury(connection, &edit.removed, edit.at, meta.generation)?;
        let altered = rows::alter(connection, &edit.altered, edit.at, meta.generation)?;
        rows::insert(connection, edit.first_id, edit.added, edit.at, meta.generation)?;
        rows::begin(connection, meta.generation, edit.at)?;
        let sums = edit.sums(state.set().sums(), &state.keyed, &removed, &altered);
        let set = state.after(edit, &removed, &altered, sums)?;
        let rows = rows::count(connection)?;
        if rows != set.len() {
            return Err(IndexError::Fatal(format!("the file has {rows} pins where {} were expected", set.len())));
        }
        Ok((set, removed.len(), altered.len()))
    })?;
    state.touch(edit.altered.keys().copied());
    let (added, changed, removed) = (edit.added.len() as u64, altered as u64, removed as u64);
    let counts = &mut state.published.counts;
    counts.added += added;
    counts.changed += changed;
    counts.removed += removed;
    state.published.changes += 1;
    state.publish(Arc::new(set), &meta);
    Ok(Applied { generation: meta.generation, added, changed, removed })
}

/// All or nothing. To the COMMIT of a transaction that has failed DuckDB answers `Ok` and stores nothing; so no COMMIT is tried
/// after an error, and `meta` is written last, which a transaction that has failed refuses.
pub(super) fn transaction<R>(
    connection: &Connection,
    meta: &Meta,
    work: impl FnOnce() -> Result<R, IndexError>,
) -> Result<R, IndexError> {
    connection.execute_batch("BEGIN")?;
    // The store rolls back after every error.
    let result = work()?;
    schema::write_meta(connection, meta)?;
    connection.execute_batch("COMMIT")?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_has_failed_is_not_taken_for_a_commit() {
        let connection = Connection::open_in_memory().expect("in memory");
        schema::create(&connection, 0).expect("tables");
        connection.execute_batch("CREATE TABLE once(n INTEGER PRIMARY KEY)").expect("a table with a key");
        let rows = || connection.query_row("SELECT count(*) FROM once", [], |row| row.get::<_, i64>(0));

        connection.execute_batch("BEGIN; INSERT INTO once VALUES (1)").expect("begun");
        assert!(connection.execute_batch("INSERT INTO once VALUES (1)").is_err());
        assert!(connection.execute_batch("COMMIT").is_ok(), "the trap: DuckDB says Ok");
        assert_eq!(rows(), Ok(0), "and has stored nothing");

        let meta = Meta { generation: 1, ..Meta::default() };
        let swallowed = transaction(&connection, &meta, || {
            connection.execute_batch("INSERT INTO once VALUES (1)")?;
            // An error that somebody forgets.
            let _ = connection.execute_batch("INSERT INTO once VALUES (1)");
            Ok(())
        });
        assert!(swallowed.is_err());
        connection.execute_batch("ROLLBACK").expect("still open");
        assert_eq!((rows(), schema::read_meta(&connection).expect("meta").generation), (Ok(0), 0));
    }
}
