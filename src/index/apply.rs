//! What changes the index: a listing that came whole, or one pin that was changed through the daemon. One transaction each;
//! the set in memory follows only a commit that had no error on its way (DuckDB answers `Ok` to the COMMIT of a transaction
//! that has failed, so no error may be passed over).
//!
//! A listing never overrides a CID that was changed singly since the listing began: such CIDs are [`State::touched`].

use super::query;
use super::schema::{self, Meta};
use super::set::{Entry, Keyed, PinSet, Sums};
use super::store::{IndexError, pin_type, type_code};
use crate::board::IndexState;
use crate::cid::{self, Key};
use ::cid::Cid;
use duckdb::arrow::array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array,
};
use duckdb::{Connection, params};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::pin::{Pin, PinType};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::watch;

/// A pin that comes back so soon is the same one: Kubo renames by unpinning and pinning again.
const SAME_PIN: SignedDuration = SignedDuration::from_hours(1);
/// Rows that go to DuckDB at a time.
const BATCH: usize = 10_000;

/// Names one listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub(super) u64);

/// A pin that the listing has and the index has not.
#[derive(Clone, Debug)]
pub struct NewPin {
    /// What is pinned.
    pub cid: Cid,
    /// How.
    pub pin_type: PinType,
    /// Its name.
    pub name: Option<String>,
}

/// A pin whose type or name the listing has otherwise.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which pin.
    pub key: Key,
    /// Its type.
    pub pin_type: PinType,
    /// Its name.
    pub name: Option<String>,
}

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
    pub added: Vec<NewPin>,
    /// Renamed and retyped ones.
    pub changed: Vec<Change>,
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

/// What the writer knows beside the file.
pub struct State {
    pub(super) keyed: Keyed,
    pub(super) published: IndexState,
    pub(super) publish: watch::Sender<IndexState>,
    pub(super) next_id: u64,
    pub(super) token: u64,
    pub(super) touched: HashSet<Key>,
}

/// A pin as the index had it.
struct Row {
    id: u64,
    cid: Cid,
    pin_type: PinType,
    name: Option<String>,
}

impl State {
    /// What `meta` is to hold.
    pub(super) fn meta(&self) -> Meta {
        Meta {
            peer_id: self.published.peer_id.clone(),
            generation: self.published.generation,
            as_of_us: self.published.as_of.map(Timestamp::as_microsecond),
            complete: self.published.complete,
            next_id: self.next_id,
        }
    }

    fn set(&self) -> &PinSet {
        &self.published.set
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

    fn current(&self, token: Token, peer_id: &str) -> Result<(), IndexError> {
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

/// Notes that the index equals Kubo. Only memory changes, but for the first time.
pub fn unchanged(connection: &Connection, state: &mut State, listing: &Unchanged) -> Result<(), IndexError> {
    state.current(listing.token, &listing.peer_id)?;
    let mut meta = state.meta();
    let first = !meta.complete || meta.peer_id.is_none();
    meta.as_of_us = Some(listing.as_of.as_microsecond());
    meta.complete = true;
    meta.peer_id = Some(listing.peer_id.clone());
    if first {
        schema::write_meta(connection, &meta)?;
    }
    let set = state.published.set.clone();
    state.publish(set, &meta);
    Ok(())
}

/// Applies a listing.
pub fn listing(connection: &Connection, state: &mut State, mut changes: ListingChanges) -> Result<Applied, IndexError> {
    state.current(changes.token, &changes.peer_id)?;
    changes.added.retain(|pin| !state.touched.contains(&Key::of(&pin.cid)));
    changes.changed.retain(|change| !state.touched.contains(&change.key));
    changes.removed.retain(|key| !state.touched.contains(key));

    let mut meta = state.meta();
    let any = !(changes.added.is_empty() && changes.changed.is_empty() && changes.removed.is_empty());
    meta.generation += u64::from(any);
    if changes.whole {
        meta.as_of_us = Some(changes.as_of.as_microsecond());
        meta.complete = true;
    }
    meta.peer_id = Some(changes.peer_id.clone());
    let first_id = meta.next_id;
    meta.next_id += changes.added.len() as u64;

    let ids = |keys: &mut dyn Iterator<Item = &Key>| -> Vec<u64> {
        keys.filter_map(|key| state.set().get(key)).map(|entry| entry.id()).collect()
    };
    let removed_ids = ids(&mut changes.removed.iter());
    let changed_ids = ids(&mut changes.changed.iter().map(|change| &change.key));
    let rows = transaction(connection, || {
        let removed = pick(connection, &removed_ids)?;
        bury(connection, changes.as_of, meta.generation)?;
        let changed = pick(connection, &changed_ids)?;
        alter(connection, state.set(), &changes.changed)?;
        insert(connection, first_id, changes.as_of, &changes.added)?;
        restore_first_seen(connection, first_id, changes.as_of)?;
        schema::write_meta(connection, &meta)?;
        Ok((removed, changed))
    })?;

    let applied = Applied {
        generation: meta.generation,
        added: changes.added.len() as u64,
        changed: rows.1.len() as u64,
        removed: rows.0.len() as u64,
    };
    let set = if any { Arc::new(merge(state, &changes, first_id, &rows)) } else { state.published.set.clone() };
    state.publish(set, &meta);
    Ok(applied)
}

/// Applies one pin that Kubo has confirmed.
pub fn added(connection: &Connection, state: &mut State, pin: &ApplyAdded) -> Result<(u64, Pin), IndexError> {
    let key = Key::of(&pin.cid);
    // A listing that is under way began before this, whether or not anything changes.
    state.touched.insert(key);
    let name = pin.name.as_deref();
    let wanted = |id| Entry::new(key, pin.pin_type, id, state.keyed.name_hash(name));
    let mut meta = state.meta();
    let mut sums = state.set().sums();
    let before = state.set().get(&key);
    let entry = match before {
        Some(entry) if entry == wanted(entry.id()) => entry,
        Some(entry) => {
            let old = pick(connection, &[entry.id()])?;
            meta.generation += 1;
            transaction(connection, || {
                let values = params![type_code(pin.pin_type), name, entry.id().cast_signed()];
                connection.execute("UPDATE pins SET type = ?, name = ? WHERE id = ?", values)?;
                schema::write_meta(connection, &meta)?;
                Ok(())
            })?;
            old.iter().for_each(|row| forget(&mut sums, &state.keyed, row));
            wanted(entry.id())
        }
        None => {
            let (now, id) = (Timestamp::now(), meta.next_id);
            meta.generation += 1;
            meta.next_id += 1;
            transaction(connection, || {
                let new = NewPin { cid: pin.cid, pin_type: pin.pin_type, name: pin.name.clone() };
                insert(connection, id, now, std::slice::from_ref(&new))?;
                restore_first_seen(connection, id, now)?;
                schema::write_meta(connection, &meta)?;
                Ok(())
            })?;
            wanted(id)
        }
    };
    if before != Some(entry) {
        sums.add(&state.keyed, &cid::text(&pin.cid), pin.pin_type, name);
        let set = Arc::new(state.set().with(key, Some(entry), sums));
        state.publish(set, &meta);
    }
    let row = query::by_id(connection, entry.id())?.ok_or(duckdb::Error::QueryReturnedNoRows)?;
    Ok((meta.generation, row))
}

/// Applies that one pin is gone.
pub fn removed(connection: &Connection, state: &mut State, pin: &ApplyRemoved) -> Result<u64, IndexError> {
    let key = Key::of(&pin.cid);
    state.touched.insert(key);
    let Some(entry) = state.set().get(&key) else { return Ok(state.published.generation) };
    let mut meta = state.meta();
    meta.generation += 1;
    let rows = transaction(connection, || {
        let rows = pick(connection, &[entry.id()])?;
        bury(connection, Timestamp::now(), meta.generation)?;
        schema::write_meta(connection, &meta)?;
        Ok(rows)
    })?;
    let mut sums = state.set().sums();
    rows.iter().for_each(|row| forget(&mut sums, &state.keyed, row));
    let set = Arc::new(state.set().with(key, None, sums));
    state.publish(set, &meta);
    Ok(meta.generation)
}

/// All or nothing: after an error no COMMIT is tried, since DuckDB would answer `Ok` to it and store nothing.
fn transaction<R>(connection: &Connection, work: impl FnOnce() -> Result<R, IndexError>) -> Result<R, IndexError> {
    connection.execute_batch("BEGIN")?;
    match work() {
        Ok(result) => {
            connection.execute_batch("COMMIT")?;
            Ok(result)
        }
        Err(error) => {
            connection.execute_batch("ROLLBACK")?;
            Err(error)
        }
    }
}

/// Puts ids into the temporary table `picked` and reads their rows. The table is made anew each time: a refilled one keeps its
/// dead rows in the planner's estimates, which turns joins round.
fn pick(connection: &Connection, ids: &[u64]) -> Result<Vec<Row>, IndexError> {
    connection.execute_batch("CREATE OR REPLACE TEMP TABLE picked(id BIGINT NOT NULL)")?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut appender = connection.appender("picked")?;
    for chunk in ids.chunks(BATCH) {
        let ids = Int64Array::from_iter_values(chunk.iter().map(|id| id.cast_signed()));
        appender.append_record_batch(batch(vec![("id", Arc::new(ids))])?)?;
    }
    appender.flush()?;
    drop(appender);
    let mut statement = connection.prepare("SELECT p.id, p.cid, p.type, p.name FROM pins p JOIN picked USING (id)")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::with_capacity(ids.len());
    while let Some(row) = rows.next()? {
        let id = row.get::<_, i64>(0)?.cast_unsigned();
        let cid = Cid::try_from(row.get::<_, Vec<u8>>(1)?)
            .map_err(|error| duckdb::Error::FromSqlConversionFailure(1, duckdb::types::Type::Blob, Box::new(error)))?;
        found.push(Row { id, cid, pin_type: pin_type(row.get(2)?), name: row.get(3)? });
    }
    Ok(found)
}

/// Turns the picked pins into tombstones.
fn bury(connection: &Connection, at: Timestamp, generation: u64) -> Result<(), IndexError> {
    connection.execute(
        "INSERT INTO gone SELECT p.id, p.cid, p.type, p.name, p.first_seen, make_timestamp(?), ? FROM pins p JOIN picked USING (id)",
        params![at.as_microsecond(), generation.cast_signed()],
    )?;
    connection.execute_batch("DELETE FROM pins USING picked WHERE pins.id = picked.id")?;
    Ok(())
}

fn alter(connection: &Connection, set: &PinSet, changes: &[Change]) -> Result<(), IndexError> {
    if changes.is_empty() {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE OR REPLACE TEMP TABLE altered(id BIGINT NOT NULL, type UTINYINT NOT NULL, name VARCHAR)",
    )?;
    let mut appender = connection.appender("altered")?;
    for chunk in changes.chunks(BATCH) {
        let known: Vec<_> = chunk.iter().filter_map(|change| Some((set.get(&change.key)?.id(), change))).collect();
        let ids = Int64Array::from_iter_values(known.iter().map(|(id, _)| id.cast_signed()));
        let types = UInt8Array::from_iter_values(known.iter().map(|(_, change)| type_code(change.pin_type)));
        let names: StringArray = known.iter().map(|(_, change)| change.name.as_deref()).collect();
        appender.append_record_batch(batch(vec![
            ("id", Arc::new(ids)),
            ("type", Arc::new(types)),
            ("name", Arc::new(names)),
        ])?)?;
    }
    appender.flush()?;
    drop(appender);
    connection.execute_batch("UPDATE pins SET type = a.type, name = a.name FROM altered a WHERE pins.id = a.id")?;
    Ok(())
}

fn insert(connection: &Connection, first_id: u64, seen: Timestamp, pins: &[NewPin]) -> Result<(), IndexError> {
    if pins.is_empty() {
        return Ok(());
    }
    let mut appender = connection.appender("pins")?;
    for (number, chunk) in pins.chunks(BATCH).enumerate() {
        let first = first_id.cast_signed() + (number * BATCH) as i64;
        let ids = Int64Array::from_iter_values(first..first + chunk.len() as i64);
        let cids = BinaryArray::from_iter_values(chunk.iter().map(|pin| pin.cid.to_bytes()));
        let types = UInt8Array::from_iter_values(chunk.iter().map(|pin| type_code(pin.pin_type)));
        let names: StringArray = chunk.iter().map(|pin| pin.name.as_deref()).collect();
        let seen = TimestampMicrosecondArray::from_value(seen.as_microsecond(), chunk.len());
        // By position: the appender ignores the names.
        appender.append_record_batch(batch(vec![
            ("id", Arc::new(ids)),
            ("cid", Arc::new(cids)),
            ("type", Arc::new(types)),
            ("name", Arc::new(names)),
            ("first_seen", Arc::new(seen)),
        ])?)?;
    }
    appender.flush()?;
    Ok(())
}

/// A pin that comes back soon keeps the time of its first sight.
fn restore_first_seen(connection: &Connection, first_id: u64, now: Timestamp) -> Result<(), IndexError> {
    let since = now.checked_sub(SAME_PIN).unwrap_or(now).as_microsecond();
    connection.execute(
        "UPDATE pins SET first_seen = g.first_seen FROM
           (SELECT cid, min(first_seen) AS first_seen FROM gone WHERE gone_at >= make_timestamp(?) GROUP BY cid) g
         WHERE pins.id >= ? AND pins.cid = g.cid",
        params![since, first_id.cast_signed()],
    )?;
    Ok(())
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, IndexError> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    batch.map_err(|error| {
        IndexError::Duckdb(duckdb::Error::ArrowTypeToDuckdbType(
            error.to_string(),
            duckdb::arrow::datatypes::DataType::Null,
        ))
    })
}

fn forget(sums: &mut Sums, keyed: &Keyed, row: &Row) {
    sums.remove(keyed, &cid::text(&row.cid), row.pin_type, row.name.as_deref());
}

/// The set after the listing.
fn merge(state: &State, changes: &ListingChanges, first_id: u64, (removed, changed): &(Vec<Row>, Vec<Row>)) -> PinSet {
    let keyed = &state.keyed;
    let mut sums = state.set().sums();
    removed.iter().chain(changed).for_each(|row| forget(&mut sums, keyed, row));
    let cids: HashMap<Key, &Cid> = changed.iter().map(|row| (Key::of(&row.cid), &row.cid)).collect();
    let removed: HashSet<u64> = removed.iter().map(|row| row.id).collect();
    let altered: HashMap<Key, &Change> = changes
        .changed
        .iter()
        .filter(|change| cids.contains_key(&change.key))
        .map(|change| (change.key, change))
        .collect();
    for (key, change) in &altered {
        if let Some(cid) = cids.get(key) {
            sums.add(keyed, &cid::text(cid), change.pin_type, change.name.as_deref());
        }
    }
    let mut new: Vec<Entry> = Vec::with_capacity(changes.added.len());
    for (id, pin) in (first_id..).zip(&changes.added) {
        sums.add(keyed, &cid::text(&pin.cid), pin.pin_type, pin.name.as_deref());
        new.push(Entry::new(Key::of(&pin.cid), pin.pin_type, id, keyed.name_hash(pin.name.as_deref())));
    }
    let kept = state.set().iter().filter(|entry| !removed.contains(&entry.id())).map(|entry| {
        match altered.get(&entry.key()) {
            Some(change) => {
                Entry::new(entry.key(), change.pin_type, entry.id(), keyed.name_hash(change.name.as_deref()))
            }
            None => entry,
        }
    });
    let mut entries: Vec<Entry> = kept.collect();
    entries.extend(new);
    // Two sorted runs at most, which the stable sort merges.
    entries.sort_by_key(Entry::key);
    PinSet::from_sorted(entries, sums)
}
