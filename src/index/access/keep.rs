//! What the writer does with what sources have told: some of it at a time, in one transaction, each access once.

use super::known::RECORD;
use super::{KeepAccesses, Kept, Once, Seen, Told, keeper, keeper_code, known, read, source_code};
use crate::cid::Key;
use crate::index::apply::State;
use crate::index::error::IndexError;
use crate::index::rows::append;
use arrow_array::{ArrayRef, BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray, UInt8Array};
use duckdb::{Connection, params};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::access::AccessSource;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// For so long it is known what applications have called what they told.
const BATCH_AGE: SignedDuration = SignedDuration::from_hours(24);
/// That is looked at so often.
const FORGET: SignedDuration = SignedDuration::from_hours(1);
/// Of these names so many of the newest at most.
const BATCHES: usize = 1_000_000;
/// Logs of which it is known up to where they were read; beyond, those go that were read longest ago.
const LOGS: u64 = 100_000;
/// Rows that go at a time at most.
const PRUNE: u64 = 1_000_000;

/// Keeps what was told; answers for each telling. After an error nothing of it is kept.
pub fn keep(connection: &Connection, state: &mut State, ask: &KeepAccesses) -> Result<Vec<Kept>, IndexError> {
    let now = Timestamp::now();
    // No statement's error is passed over before the COMMIT, to which DuckDB would answer `Ok` and store nothing.
    connection.execute_batch("BEGIN")?;
    let mut once = Tellings::default();
    let (mut kept, mut seen) = (Vec::with_capacity(ask.told.len()), Vec::new());
    for told in &ask.told {
        let new = once.take(connection, state, told)?;
        kept.push(Kept { taken: if new { told.seen.len() as u64 } else { 0 }, repeated: !new });
        seen.extend(told.seen.iter().filter(|_| new));
    }
    once.recorded(connection, state, &seen)?;
    let rows = insert(connection, state, &seen, now)?;
    once.write(connection, now)?;
    let pruned = prune(connection, state, rows, ask)?;
    let batches = forget(connection, state, now)?;
    connection.execute_batch("COMMIT")?;

    let known = &mut state.accesses;
    known.seq += rows;
    known.rows += rows;
    if let Some((removed, from)) = pruned {
        known.rows = known.rows.saturating_sub(removed);
        known.prune_from = from;
    }
    match batches {
        Some(all) => (known.batches, known.forgot) = (all, Some(now)),
        None => known.batches.extend(once.batches.into_iter().map(|(hash, _)| hash)),
    }
    known.recorded_since = once.cursors.get(RECORD).and_then(|cursor| cursor.since).or(known.recorded_since);
    Ok(kept)
}

/// What one transaction has taken so far.
#[derive(Default)]
struct Tellings<'a> {
    /// New names, with their hashes.
    batches: Vec<(u128, &'a str)>,
    hashes: HashSet<u128>,
    cursors: HashMap<&'a str, Moving>,
}

/// A source, and up to where it is read.
#[derive(Clone, Default)]
struct Moving {
    place: Option<String>,
    since: Option<Timestamp>,
    moved: bool,
    new: bool,
}

impl<'a> Tellings<'a> {
    /// Whether this was not told before.
    fn take(&mut self, connection: &Connection, state: &State, told: &'a Told) -> Result<bool, IndexError> {
        match &told.once {
            None => Ok(true),
            Some(Once::Batch(name)) => {
                let hash = state.keyed().text_hash(name);
                let new = !state.accesses.batches.contains(&hash) && self.hashes.insert(hash);
                if new {
                    self.batches.push((hash, name));
                }
                Ok(new)
            }
            Some(Once::Cursor { of, from, to }) => {
                let cursor = self.cursor(connection, of)?;
                if cursor.place != *from {
                    return Ok(false);
                }
                if cursor.place.as_ref() != Some(to) {
                    cursor.place = Some(to.clone());
                    cursor.moved = true;
                }
                cursor.tell(&told.seen);
                Ok(true)
            }
        }
    }

    fn cursor(&mut self, connection: &Connection, of: &'a str) -> Result<&mut Moving, IndexError> {
        if !self.cursors.contains_key(of) {
            let cursor = match read::cursor_of(connection, of)? {
                Some(cursor) => Moving { place: Some(cursor.place), since: Some(cursor.since), ..Moving::default() },
                None => Moving { new: true, ..Moving::default() },
            };
            self.cursors.insert(of, cursor);
        }
        Ok(self.cursors.entry(of).or_default())
    }

    /// Applications have no place in anything, but a time since when they tell.
    fn recorded(&mut self, connection: &Connection, state: &State, seen: &[&Seen]) -> Result<(), IndexError> {
        let recorded = seen.iter().filter(|seen| seen.source == AccessSource::Record);
        let Some(earliest) = recorded.map(|seen| seen.at).min() else { return Ok(()) };
        if state.accesses.recorded_since.is_none_or(|since| earliest < since) {
            let cursor = self.cursor(connection, RECORD)?;
            cursor.place = Some(String::new());
            (cursor.since, cursor.moved) = (Some(earliest), true);
        }
        Ok(())
    }

    fn write(&self, connection: &Connection, now: Timestamp) -> duckdb::Result<()> {
        if !self.batches.is_empty() {
            let names = StringArray::from_iter_values(self.batches.iter().map(|(_, name)| name));
            let times = TimestampMicrosecondArray::from_value(now.as_microsecond(), self.batches.len());
            put(connection, "access_batch", vec![Arc::new(names), Arc::new(times)])?;
        }
        for (of, cursor) in self.cursors.iter().filter(|(_, cursor)| cursor.moved) {
            if !cursor.new {
                connection.execute("DELETE FROM access_cursor WHERE source = ?", params![of])?;
            }
            let since = cursor.since.map_or(now, |since| since.min(now)).as_microsecond();
            connection.execute(
                "INSERT INTO access_cursor VALUES (?, ?, make_timestamp(?), make_timestamp(?))",
                params![of, cursor.place.as_deref().unwrap_or_default(), now.as_microsecond(), since],
            )?;
        }
        if self.cursors.values().any(|cursor| cursor.moved && cursor.new) {
            connection.execute_batch(&format!(
                "DELETE FROM access_cursor WHERE source LIKE 'log %' AND source IN
                   (SELECT source FROM access_cursor WHERE source LIKE 'log %' ORDER BY moved_at DESC, source OFFSET {LOGS})"
            ))?;
        }
        Ok(())
    }
}

impl Moving {
    fn tell(&mut self, seen: &[Seen]) {
        let earliest = seen.iter().map(|seen| seen.at).min();
        let earlier = earliest.is_some_and(|at| self.since.is_none_or(|since| at < since));
        // What is new has none, and takes the present time at the latest.
        if earlier {
            (self.since, self.moved) = (earliest, true);
        }
    }
}

/// Appends to a table.
fn put(connection: &Connection, table: &str, columns: Vec<ArrayRef>) -> duckdb::Result<()> {
    let mut appender = connection.appender(table)?;
    append(&mut appender, columns)?;
    appender.flush()
}

/// Rows for these accesses, each with what keeps it; how many.
fn insert(connection: &Connection, state: &State, seen: &[&Seen], now: Timestamp) -> Result<u64, IndexError> {
    if seen.is_empty() {
        return Ok(0);
    }
    let cids: HashMap<Key, _> = seen.iter().map(|seen| (Key::of(&seen.cid), seen.cid)).collect();
    let keepers = keeper::of(connection, state, cids, now)?;
    let keepers: Vec<_> = seen.iter().map(|seen| keepers.get(&Key::of(&seen.cid))).collect();
    let first = state.accesses.seq.cast_signed() + 1;
    let pin = |keeper: &Option<&keeper::Held>| keeper.and_then(|held| held.pin);
    let number = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    put(
        connection,
        "access",
        vec![
            Arc::new(Int64Array::from_iter_values((first..).take(seen.len()))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(seen.iter().map(|seen| seen.at.as_microsecond()))),
            Arc::new(BinaryArray::from_iter_values(seen.iter().map(|seen| seen.cid.to_bytes()))),
            Arc::new(seen.iter().map(|seen| seen.path.as_deref()).collect::<StringArray>()),
            Arc::new(keepers.iter().map(|held| pin(held).map(|pin| pin.to_bytes())).collect::<BinaryArray>()),
            Arc::new(UInt8Array::from_iter_values(
                keepers.iter().map(|held| keeper_code(held.map_or(proto_msgs::access::Keeper::Unknown, |h| h.keeper))),
            )),
            Arc::new(seen.iter().map(|seen| seen.op.as_deref()).collect::<StringArray>()),
            Arc::new(seen.iter().map(|seen| number(seen.bytes)).collect::<Int64Array>()),
            Arc::new(seen.iter().map(|seen| number(seen.offset)).collect::<Int64Array>()),
            Arc::new(UInt8Array::from_iter_values(seen.iter().map(|seen| source_code(seen.source)))),
            Arc::new(seen.iter().map(|seen| seen.by.as_deref()).collect::<StringArray>()),
        ],
    )?;
    Ok(seen.len() as u64)
}

/// Lets the oldest go when there are more than wanted by a twentieth, so that it is done rarely: how many went, and with how many rows
/// to look again. Those that are not counted yet stay, until there are twice as many as wanted.
fn prune(
    connection: &Connection,
    state: &State,
    new: u64,
    ask: &KeepAccesses,
) -> Result<Option<(u64, u64)>, IndexError> {
    let rows = state.accesses.rows + new;
    if rows <= ask.most + ask.most / 20 || rows < state.accesses.prune_from {
        return Ok(None);
    }
    let after = |excess: u64| -> duckdb::Result<i64> {
        let Some(last) = excess.min(PRUNE).checked_sub(1) else { return Ok(0) };
        let sql =
            format!("SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM access ORDER BY seq LIMIT 1 OFFSET {last})");
        connection.query_row(&sql, [], |row| row.get(0))
    };
    let counted = i64::try_from(ask.counted).unwrap_or(i64::MAX);
    let last = after(rows - ask.most)?.min(counted).max(after(rows.saturating_sub(2 * ask.most))?);
    let removed = connection.execute("DELETE FROM access WHERE seq <= ?", params![last])? as u64;
    let more = removed == PRUNE;
    Ok(Some((removed, if more { 0 } else { rows - removed + ask.most / 100 })))
}

/// Forgets the names of what was told long ago; the others, if it was time for that.
fn forget(connection: &Connection, state: &State, now: Timestamp) -> Result<Option<HashSet<u128>>, IndexError> {
    let known = &state.accesses;
    let due = known.forgot.is_none_or(|forgot| now.duration_since(forgot).abs() >= FORGET);
    let many = known.batches.len() > BATCHES + BATCHES / 10;
    if !due && !many {
        return Ok(None);
    }
    let settled = crate::time::settled();
    let since = settled.checked_sub(BATCH_AGE).unwrap_or(settled);
    connection
        .execute("DELETE FROM access_batch WHERE told_at < make_timestamp(?)", params![since.as_microsecond()])?;
    if many {
        connection.execute_batch(&format!(
            "DELETE FROM access_batch WHERE told_at <=
               (SELECT told_at FROM access_batch ORDER BY told_at DESC LIMIT 1 OFFSET {BATCHES})"
        ))?;
    }
    Ok(Some(known::batches(connection, state.keyed())?))
}
