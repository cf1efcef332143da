//! The disk of the repo as it was measured, evenly over the time that is kept.

use super::error::IndexError;
use duckdb::Connection;
use jiff::Timestamp;

/// Samples at most.
pub const MOST: usize = 200;

/// Asks for them, oldest first: the last of each of [`MOST`] equal times.
#[derive(Clone, Copy, Debug)]
pub struct AskDisk;

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// When it was measured.
    pub at: Timestamp,
    /// Bytes of the file system that are in use.
    pub used: u64,
    /// Bytes of the repo.
    pub repo_size: Option<u64>,
}

/// Reads them.
pub fn samples(connection: &Connection) -> Result<Vec<Used>, IndexError> {
    let sql = format!(
        "WITH known AS (SELECT epoch_us(measured_at) AS seen, greatest(disk_total - disk_free, 0) AS used, repo_size
             FROM state_storage WHERE disk_total IS NOT NULL AND disk_free IS NOT NULL),
           span AS (SELECT min(seen) AS earliest, max(seen) AS latest FROM known)
         SELECT max(seen), arg_max(used, seen), arg_max(repo_size, seen) FROM known, span
         GROUP BY (seen - earliest) * {MOST} // (latest - earliest + 1) ORDER BY 1"
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([], |row| {
        let at = Timestamp::from_microsecond(row.get(0)?).unwrap_or(Timestamp::UNIX_EPOCH);
        let used = row.get::<_, i64>(1)?.cast_unsigned();
        Ok(Used { at, used, repo_size: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned) })
    })?;
    Ok(found.collect::<duckdb::Result<_>>()?)
}
