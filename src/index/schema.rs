//! Tables and settings of the index file.
//!
//! `pins` has no key and no index, on purpose: an index on the CID makes loads and checkpoints several times dearer, and the
//! set in memory finds a row's `id` in a microsecond. The diff keeps CIDs unique; opening checks it.

use duckdb::{Config, Connection};
use std::path::Path;

/// Version of the tables. A file with a higher one is refused and left as it is.
pub const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE pins(
  id BIGINT NOT NULL,            -- given by the daemon, rising, never used again
  cid BLOB NOT NULL,
  type UTINYINT NOT NULL,        -- 0 recursive, 1 direct
  name VARCHAR,                  -- NULL, never empty
  first_seen TIMESTAMP NOT NULL, -- UTC
  codec UBIGINT NOT NULL         -- the CID's, for sorting and counting
);
CREATE TABLE gone(               -- tombstones
  id BIGINT NOT NULL, cid BLOB NOT NULL, type UTINYINT NOT NULL, name VARCHAR,
  first_seen TIMESTAMP NOT NULL, gone_at TIMESTAMP NOT NULL, generation BIGINT NOT NULL
);
CREATE TABLE meta(
  schema_version BIGINT NOT NULL, peer_id VARCHAR, generation BIGINT NOT NULL,
  as_of_us BIGINT, complete BOOLEAN NOT NULL, next_id BIGINT NOT NULL
);
";

/// What `meta` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The node that the index belongs to.
    pub peer_id: Option<String>,
    /// Counts changes of the pin set.
    pub generation: u64,
    /// Microseconds since 1970: when the index last held what Kubo held.
    pub as_of_us: Option<i64>,
    /// Whether a whole listing has been applied.
    pub complete: bool,
    /// The next pin's id.
    pub next_id: u64,
}

/// Opens the file with the daemon's settings; DuckDB itself may reach nothing else.
pub fn open(file: &Path, temp: &Path) -> duckdb::Result<Connection> {
    let config = Config::default()
        .threads(2)?
        .max_memory("256MB")?
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("allow_community_extensions", "false")?
        .with("temp_directory", temp.display().to_string())?
        .with("max_temp_directory_size", "3GB")?
        .with("allocator_background_threads", "true")?;
    let connection = Connection::open_with_flags(file, config)?;
    connection.execute_batch(
        "SET checkpoint_threshold='32MB'; SET enable_external_access=false; SET lock_configuration=true;",
    )?;
    Ok(connection)
}

/// The file's schema version; `None` for a new file.
pub fn version(connection: &Connection) -> duckdb::Result<Option<i64>> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM duckdb_tables() WHERE NOT internal", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(None);
    }
    connection.query_row("SELECT schema_version FROM meta", [], |row| row.get(0)).map(Some)
}

/// Makes the tables of a new file.
pub fn create(connection: &Connection) -> duckdb::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {TABLES} INSERT INTO meta VALUES ({VERSION}, NULL, 0, NULL, false, 1); COMMIT;"
    ))
}

/// Reads `meta`.
pub fn read_meta(connection: &Connection) -> duckdb::Result<Meta> {
    connection.query_row("SELECT peer_id, generation, as_of_us, complete, next_id FROM meta", [], |row| {
        Ok(Meta {
            peer_id: row.get(0)?,
            generation: row.get::<_, i64>(1)?.cast_unsigned(),
            as_of_us: row.get(2)?,
            complete: row.get(3)?,
            next_id: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    })
}

/// Writes `meta`, within the transaction that it describes.
pub fn write_meta(connection: &Connection, meta: &Meta) -> duckdb::Result<()> {
    let sql = "UPDATE meta SET peer_id = ?, generation = ?, as_of_us = ?, complete = ?, next_id = ?";
    let values = duckdb::params![
        meta.peer_id,
        meta.generation.cast_signed(),
        meta.as_of_us,
        meta.complete,
        meta.next_id.cast_signed()
    ];
    connection.execute(sql, values).map(drop)
}
