//! What was looked up: accesses of which nobody knew what keeps their CID get that, and a new number.

use super::keeper::{Held, pinned};
use super::known::Looked;
use super::{Settle, keeper_code};
use crate::cid::{Cid, Key};
use crate::index::apply::State;
use crate::index::error::IndexError;
use crate::index::rows::fill_temp;
use arrow_array::{BinaryArray, UInt8Array};
use duckdb::{Connection, params};
use jiff::Timestamp;
use proto_msgs::access::Keeper;
use std::sync::Arc;

/// Rows that one transaction renumbers at most.
const ROWS: u64 = 100_000;

/// Settles them, and remembers what was looked up for accesses to come.
pub fn settle(connection: &Connection, state: &mut State, ask: Settle) -> Result<(), IndexError> {
    let settled: Vec<(Cid, Held)> =
        ask.0.into_iter().filter_map(|(cid, pin)| Some((cid, held(state, &cid, pin)?))).collect();
    if settled.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    fill_temp(
        connection,
        "settled(cid BLOB NOT NULL, pin BLOB, keeper UTINYINT NOT NULL)",
        vec![
            Arc::new(BinaryArray::from_iter_values(settled.iter().map(|(cid, _)| cid.to_bytes()))),
            Arc::new(settled.iter().map(|(_, held)| held.pin.map(|pin| pin.to_bytes())).collect::<BinaryArray>()),
            Arc::new(UInt8Array::from_iter_values(settled.iter().map(|(_, held)| keeper_code(held.keeper)))),
        ],
    )?;
    while renumber(connection, state)? == ROWS {}

    let looked = settled.iter().filter(|(_, held)| matches!(held.keeper, Keeper::Inside | Keeper::Nothing));
    let generation = state.generation();
    let looked = looked.map(|(cid, held)| {
        let pin = held.pin.map(|pin| pin.to_bytes().into_boxed_slice());
        (Key::of(cid), Looked { pin, at: now, generation })
    });
    connection.execute_batch("BEGIN; DELETE FROM access_keeper WHERE cid IN (SELECT cid FROM settled)")?;
    connection.execute(
        "INSERT INTO access_keeper SELECT cid, pin, make_timestamp(?), ? FROM settled WHERE keeper IN (1, 3)",
        params![now.as_microsecond(), generation.cast_signed()],
    )?;
    connection.execute_batch("COMMIT")?;
    // What is forgotten here and not there is forgotten by the next process.
    if let Some(last) = state.accesses.remember(looked) {
        let sql = "DELETE FROM access_keeper WHERE looked_at <= make_timestamp(?)";
        connection.execute(sql, params![last.as_microsecond()])?;
    }
    Ok(())
}

/// What keeps it now, after a look-up that found this; `None` when that does not hold any more.
fn held(state: &State, cid: &Cid, found: Option<Cid>) -> Option<Held> {
    match (pinned(state, cid), found) {
        (Some(pinned), _) => Some(pinned),
        (None, Some(pin)) => state.pin_of(&pin).map(|pin| Held { keeper: Keeper::Inside, pin: Some(pin) }),
        (None, None) => Some(Held { keeper: Keeper::Nothing, pin: None }),
    }
}

/// Moves rows of what is settled to the end; how many.
fn renumber(connection: &Connection, state: &mut State) -> Result<u64, IndexError> {
    connection.execute_batch("BEGIN")?;
    connection.execute_batch(&format!(
        "CREATE OR REPLACE TEMP TABLE moved AS
         SELECT {} + row_number() OVER (ORDER BY a.seq) AS new_seq, a.seq AS old_seq, a.read_at, a.cid, a.path, s.pin, s.keeper, a.op,
           a.bytes, a.first_byte, a.source, a.said_by
         FROM access a JOIN settled s USING (cid) WHERE a.keeper = 4 ORDER BY a.seq LIMIT {ROWS}",
        state.accesses.seq
    ))?;
    connection.execute_batch("DELETE FROM access USING moved WHERE access.seq = moved.old_seq")?;
    let moved =
        connection.execute("INSERT INTO access SELECT * EXCLUDE (old_seq) FROM moved ORDER BY new_seq", [])? as u64;
    connection.execute_batch("COMMIT")?;
    state.accesses.seq += moved;
    Ok(moved)
}
