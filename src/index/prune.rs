//! What the index forgets: pins that went, and changes of pins, long ago.

use super::apply::State;
use super::error::IndexError;
use duckdb::{Connection, params};
use jiff::Timestamp;

/// Forgets what is over since before this time.
#[derive(Clone, Copy, Debug)]
pub struct Forget {
    /// The oldest generation of which the pins stay known began before it.
    pub before: Timestamp,
}

/// Removes tombstones and changes of all generations but those that are kept; answers how many rows. Writes nothing where there is
/// nothing to remove.
pub fn forget(connection: &Connection, state: &mut State, ask: Forget) -> Result<u64, IndexError> {
    let oldest: Option<i64> = connection.query_row(
        "SELECT max(generation) FROM generations WHERE began < make_timestamp(?)",
        params![ask.before.as_microsecond()],
        |row| row.get(0),
    )?;
    let Some(oldest) = oldest else { return Ok(0) };
    const OLD: [&str; 3] =
        ["gone WHERE gone_generation <= ?", "changes WHERE generation <= ?", "generations WHERE generation < ?"];
    let mut rows = 0;
    for old in OLD {
        rows += connection
            .query_row(&format!("SELECT count(*) FROM {old}"), params![oldest], |row| row.get::<_, i64>(0))?;
    }
    if rows == 0 {
        return Ok(0);
    }
    super::apply::transaction(connection, &state.meta(), || {
        for old in OLD {
            connection.execute(&format!("DELETE FROM {old}"), params![oldest])?;
        }
        Ok(())
    })?;
    state.changed();
    Ok(rows.cast_unsigned())
}
