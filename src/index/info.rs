//! What the file itself has: rows beside the pins, sizes, bytes.

use super::error::IndexError;
use super::history;
use super::sizes::{self, Known};
use duckdb::Connection;
use proto_msgs::daemon::LegacyReport;
use std::path::PathBuf;

/// Asks for it.
#[derive(Clone, Copy, Debug)]
pub struct AskInfo;

/// What it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Tombstones.
    pub gone: u64,
    /// Renamed and retyped pins.
    pub changes: u64,
    /// The oldest generation of which the pins are known.
    pub oldest: u64,
    /// Bytes of the file and its log.
    pub bytes: Option<u64>,
    /// How many sizes are known.
    pub sizes: Known,
    /// What was imported.
    pub legacy: LegacyReport,
}

/// Bytes of the file and its log. It is not opened, which would drop its lock; and whoever asks may wait for a slow disk.
pub(super) fn bytes(connection: &Connection) -> duckdb::Result<Option<u64>> {
    let file: Option<String> =
        connection.query_row("SELECT path FROM duckdb_databases() WHERE NOT internal", [], |row| row.get(0))?;
    Ok(file.and_then(|file| {
        let log = std::fs::metadata(format!("{file}.wal")).map_or(0, |log| log.len());
        Some(std::fs::metadata(PathBuf::from(file)).ok()?.len() + log)
    }))
}

/// Looks.
pub fn info(connection: &Connection) -> Result<Info, IndexError> {
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    Ok(Info {
        gone: count("SELECT count(*) FROM gone")?,
        changes: count("SELECT count(*) FROM changes")?,
        oldest: history::oldest(connection)?,
        bytes: bytes(connection)?,
        sizes: sizes::known(connection)?,
        legacy: LegacyReport {
            rows: count("SELECT count(*) FROM legacy")?,
            files: count("SELECT count(*) FROM legacy_sources")?,
        },
    })
}
