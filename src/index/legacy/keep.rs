//! The tables of what was imported. One transaction a source: its rows, and that it was imported.

use super::rules::Taken;
use crate::index::error::IndexError;
use duckdb::types::{TimeUnit, Value};
use duckdb::{Connection, OptionalExt, params};
use jiff::Timestamp;

/// A source that was imported before.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) source: String,
    pub(super) form: String,
    pub(super) rows: u64,
    pub(super) taken: u64,
}

/// A source and what was taken from it.
pub(super) struct Import {
    pub(super) source: String,
    pub(super) digest: String,
    pub(super) form: String,
    pub(super) rows: u64,
    pub(super) taken: Vec<Taken>,
    pub(super) at: Timestamp,
}

/// Whether a file with this content was imported.
pub(super) fn known(connection: &Connection, digest: &str) -> Result<Option<Known>, IndexError> {
    let sql = "SELECT source, form, read, taken FROM legacy_sources WHERE digest = ?";
    let known = connection.query_row(sql, [digest], |row| {
        Ok(Known {
            source: row.get(0)?,
            form: row.get(1)?,
            rows: row.get::<_, i64>(2)?.cast_unsigned(),
            taken: row.get::<_, i64>(3)?.cast_unsigned(),
        })
    });
    Ok(known.optional()?)
}

/// Puts the rows in place of those that this source had before.
pub(super) fn replace(connection: &Connection, import: &Import) -> Result<(), IndexError> {
    connection.execute_batch("BEGIN")?;
    for table in ["legacy", "legacy_sources"] {
        connection.execute(&format!("DELETE FROM {table} WHERE source = ?"), [&import.source])?;
    }
    let time = |micros: i64| Value::Timestamp(TimeUnit::Microsecond, micros);
    let at = time(import.at.as_microsecond());
    let mut appender = connection.appender("legacy")?;
    for row in &import.taken {
        appender.append_row(params![
            row.cid.to_bytes(),
            import.source,
            import.form,
            row.name,
            row.pin_type,
            row.size,
            row.recorded_at.map(time),
            row.last_access.map(time),
            row.access_count,
            row.tier,
            row.vfs_path,
            row.is_directory,
            row.integrity,
            at,
        ])?;
    }
    appender.flush()?;
    drop(appender);
    // Last, and with an effect: to the COMMIT of a transaction that has failed DuckDB answers `Ok` and stores nothing.
    let (read, taken) = (import.rows.cast_signed(), import.taken.len() as i64);
    connection.execute(
        "INSERT INTO legacy_sources VALUES (?, ?, ?, ?, ?, ?)",
        params![import.source, import.digest, import.form, at, read, taken],
    )?;
    // The store rolls back after every error.
    connection.execute_batch("COMMIT")?;
    Ok(())
}
