//! Tables and settings of the index file.
//!
//! `pins` has no key and no index, on purpose: an index on the CID makes loads and checkpoints several times dearer, and the
//! set in memory finds a row's `id` in a microsecond. The diff keeps CIDs unique; opening checks it.

use duckdb::{Config, Connection};
use jiff::Timestamp;
use std::path::Path;

/// Version of the tables. A file with a higher one is refused and left as it is.
pub const VERSION: i64 = 3;

/// `pins`, `gone` and `changes` together are the whole history: what was pinned at a generation is what was added at or before
/// it and not yet gone, and `changes` says what it was called then. `generations` dates it.
const TABLES: &str = "
CREATE TABLE pins(
  id BIGINT NOT NULL,            -- given by the daemon, rising, never used again
  cid BLOB NOT NULL,
  type UTINYINT NOT NULL,        -- 0 recursive, 1 direct
  name VARCHAR,                  -- NULL, never empty
  first_seen TIMESTAMP NOT NULL, -- UTC
  codec UBIGINT NOT NULL,        -- the CID's, for sorting and counting
  generation BIGINT NOT NULL,    -- the one that added it; 0: before generations were kept
  size BIGINT,                   -- bytes
  size_kind UTINYINT NOT NULL,   -- 0 unknown, 1 estimated, 2 exact
  kind UTINYINT                  -- 0 file, 1 directory, 2 raw, 3 other; NULL: nobody has looked
);
CREATE TABLE gone(               -- tombstones: the row as it was, and when it went
  id BIGINT NOT NULL, cid BLOB NOT NULL, type UTINYINT NOT NULL, name VARCHAR,
  first_seen TIMESTAMP NOT NULL, codec UBIGINT NOT NULL, generation BIGINT NOT NULL,
  size BIGINT, size_kind UTINYINT NOT NULL, kind UTINYINT,
  gone_at TIMESTAMP NOT NULL, gone_generation BIGINT NOT NULL
);
CREATE TABLE changes(            -- renamed and retyped pins
  generation BIGINT NOT NULL, changed_at TIMESTAMP NOT NULL, id BIGINT NOT NULL, cid BLOB NOT NULL,
  type_before UTINYINT NOT NULL, name_before VARCHAR, type UTINYINT NOT NULL, name VARCHAR
);
CREATE TABLE generations(        -- when each began; the first row is the oldest of which the pins are known
  generation BIGINT NOT NULL, began TIMESTAMP NOT NULL
);
CREATE TABLE marks(              -- what people said of a CID, pinned or not
  cid BLOB NOT NULL, tags VARCHAR[] NOT NULL, note VARCHAR, tier VARCHAR,
  marked_at TIMESTAMP NOT NULL, seq BIGINT NOT NULL
);
CREATE TABLE legacy(             -- rows of files of the old system; nothing here is a pin
  cid BLOB NOT NULL, source VARCHAR NOT NULL, form VARCHAR NOT NULL, name VARCHAR, pin_type VARCHAR, size BIGINT,
  recorded_at TIMESTAMP, last_access TIMESTAMP, access_count BIGINT, tier VARCHAR, vfs_path VARCHAR, is_directory BOOLEAN,
  integrity VARCHAR, imported_at TIMESTAMP NOT NULL
);
CREATE TABLE legacy_sources(     -- the files that were imported, by the SHA-256 of their content
  source VARCHAR NOT NULL, digest VARCHAR NOT NULL, form VARCHAR NOT NULL, imported_at TIMESTAMP NOT NULL,
  read BIGINT NOT NULL, taken BIGINT NOT NULL
);
CREATE TABLE vfs(                -- MFS: a row an entry; the root's parent and name are empty
  parent VARCHAR NOT NULL,       -- the path of its directory
  name VARCHAR NOT NULL,
  cid BLOB NOT NULL,
  kind UTINYINT,                 -- as in pins; NULL: the block is not here
  size BIGINT,                   -- of a file
  state UTINYINT NOT NULL        -- 0 being read for the first time, 1 all below it is here, 2 not readable, 3 being compared
);
CREATE TABLE vfs_journal(
  seq BIGINT NOT NULL, seen_at TIMESTAMP NOT NULL, op UTINYINT NOT NULL, -- 0 added, 1 changed, 2 removed, 3 unread,
  -- 4 no line: what was told before is not known any more
   path VARCHAR NOT NULL, cid BLOB, cid_before BLOB
);
CREATE TABLE vfs_meta(as_of_us BIGINT NOT NULL); -- a row when a walk has ended
CREATE TABLE state_system(       -- the node as it was measured; NULL: could not be
  measured_at TIMESTAMP NOT NULL, kubo_version VARCHAR, kubo_cpu DOUBLE, kubo_memory BIGINT, kubo_uptime_s DOUBLE,
  load DOUBLE, memory_total BIGINT, memory_available BIGINT
);
CREATE TABLE state_network(
  measured_at TIMESTAMP NOT NULL, peers BIGINT, bytes_in BIGINT, bytes_out BIGINT, rate_in DOUBLE, rate_out DOUBLE
);
CREATE TABLE state_storage(
  measured_at TIMESTAMP NOT NULL, repo_size BIGINT, storage_max BIGINT, disk_total BIGINT, disk_free BIGINT, pins BIGINT
);
CREATE TABLE state_files(measured_at TIMESTAMP NOT NULL, root VARCHAR, size BIGINT, entries BIGINT);
CREATE TABLE meta(
  schema_version BIGINT NOT NULL, peer_id VARCHAR, generation BIGINT NOT NULL,
  as_of_us BIGINT, complete BOOLEAN NOT NULL, next_id BIGINT NOT NULL,
  journal_seq BIGINT NOT NULL    -- the newest record of the journal that `marks` has
);
";

/// What was read: the one thing here that neither Kubo nor a snapshot can tell again. A backup that takes the place of the rest leaves
/// it as it is.
const ACCESSES: &str = "
CREATE TABLE access(
  seq BIGINT NOT NULL,           -- rising, given when it was settled what keeps the CID; rows are stored in this order
  read_at TIMESTAMP NOT NULL,    -- UTC
  cid BLOB NOT NULL, path VARCHAR,
  pin BLOB,                      -- what keeps it, where that is another CID
  keeper UTINYINT NOT NULL,      -- 0 pinned itself, 1 within `pin`, 2 MFS, 3 nothing, 4 nobody has looked
  op VARCHAR, bytes BIGINT, first_byte BIGINT,
  source UTINYINT NOT NULL,      -- 0 record, 1 Kubo, 2 gateway, 3 MFS
  said_by VARCHAR
);
CREATE TABLE access_cursor(      -- up to where each source was read
  source VARCHAR NOT NULL, place VARCHAR NOT NULL, moved_at TIMESTAMP NOT NULL,
  since TIMESTAMP NOT NULL       -- the earliest that it could tell of
);
CREATE TABLE access_batch(       -- what applications called what they told, for a day
  name VARCHAR NOT NULL, told_at TIMESTAMP NOT NULL
);
CREATE TABLE access_keeper(      -- what was looked up; without a pin: nothing was found
  cid BLOB NOT NULL, pin BLOB, looked_at TIMESTAMP NOT NULL, generation BIGINT NOT NULL
);
CREATE TABLE access_meta(begin BIGINT NOT NULL); -- every number is above it, and it above those of an index that was lost
INSERT INTO access_meta VALUES ({NOW});
";

/// The tables of [`ACCESSES`].
pub(super) const ACCESS_TABLES: [&str; 5] = ["access", "access_cursor", "access_batch", "access_keeper", "access_meta"];

/// From version 2, which knew no accesses.
const FROM_2: &str = "{ACCESSES} UPDATE meta SET schema_version = {VERSION};";

/// From version 1, which knew neither sizes nor generations of rows, and forgot what a pin was called before.
const FROM_1: &str = "
ALTER TABLE pins RENAME TO pins_1;
ALTER TABLE gone RENAME TO gone_1;
ALTER TABLE meta RENAME TO meta_1;
{TABLES} {ACCESSES}
INSERT INTO pins SELECT id, cid, type, name, first_seen, codec, 0, NULL, 0, NULL FROM pins_1 ORDER BY id;
INSERT INTO gone SELECT id, cid, type, name, first_seen, 0, 0, NULL, 0, NULL, gone_at, generation FROM gone_1 ORDER BY id;
INSERT INTO meta SELECT {VERSION}, peer_id, generation, as_of_us, complete, next_id, 0 FROM meta_1;
INSERT INTO generations SELECT generation, make_timestamp({NOW}) FROM meta;
DROP TABLE pins_1; DROP TABLE gone_1; DROP TABLE meta_1;
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
    /// The newest record of the journal that `marks` has.
    pub journal_seq: u64,
}

/// Opens the file with the daemon's settings; DuckDB itself may reach nothing else.
pub fn open(file: &Path, temp: &Path) -> duckdb::Result<Connection> {
    let config = config("256MB")?
        .with("temp_directory", temp.display().to_string())?
        .with("max_temp_directory_size", "3GB")?
        .with("allocator_background_threads", "true")?;
    locked(Connection::open_with_flags(file, config)?, "SET checkpoint_threshold='32MB';")
}

/// A place for tables in memory alone: DuckDB writes to no file and reads none.
pub(super) fn in_memory(most: &str) -> duckdb::Result<Connection> {
    locked(Connection::open_in_memory_with_flags(config(most)?.with("temp_directory", "")?)?, "")
}

fn config(memory: &str) -> duckdb::Result<Config> {
    Config::default()
        .threads(2)?
        .max_memory(memory)?
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("allow_community_extensions", "false")
}

fn locked(connection: Connection, settings: &str) -> duckdb::Result<Connection> {
    connection.execute_batch(&format!("{settings} SET enable_external_access=false; SET lock_configuration=true;"))?;
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

/// Statements with what they do not know yet.
fn filled(statements: &str) -> String {
    let now = Timestamp::now().as_microsecond().to_string();
    let whole = statements.replace("{TABLES}", TABLES).replace("{ACCESSES}", ACCESSES);
    whole.replace("{VERSION}", &VERSION.to_string()).replace("{NOW}", &now)
}

/// Makes the tables of a new file; the first generation is this one.
pub fn create(connection: &Connection, generation: u64) -> duckdb::Result<()> {
    connection.execute_batch(&filled(&format!(
        "BEGIN; {{TABLES}} {{ACCESSES}} INSERT INTO meta VALUES ({{VERSION}}, NULL, {generation}, NULL, false, 1, 0);
         INSERT INTO generations VALUES ({generation}, make_timestamp({{NOW}})); COMMIT;"
    )))
}

/// Within a transaction: the tables without any rows, whatever was there before, and a `meta` that is to be written. What was read
/// stays: no export has it.
pub(super) fn clear(connection: &Connection) -> duckdb::Result<()> {
    let mut statement =
        connection.prepare("SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<duckdb::Result<Vec<_>>>()?;
    let (kept, old): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| ACCESS_TABLES.contains(&name.as_str()));
    // They are names of ours.
    let drops: String = old.iter().map(|name| format!("DROP TABLE \"{name}\"; ")).collect();
    let accesses = if kept.is_empty() { "{ACCESSES}" } else { "" };
    connection.execute_batch(&filled(&format!(
        "{drops} {{TABLES}} {accesses} INSERT INTO meta VALUES ({{VERSION}}, NULL, 0, NULL, false, 1, 0)"
    )))
}

/// Brings the tables of an older version to this one, all or nothing; `false` when there is no way from there.
pub fn migrate(connection: &Connection, from: i64) -> duckdb::Result<bool> {
    let steps = match from {
        1 => FROM_1,
        2 => FROM_2,
        _ => return Ok(false),
    };
    connection.execute_batch(&filled(&format!("BEGIN; {steps} COMMIT;")))?;
    Ok(true)
}

/// Reads `meta`.
pub fn read_meta(connection: &Connection) -> duckdb::Result<Meta> {
    let sql = "SELECT peer_id, generation, as_of_us, complete, next_id, journal_seq FROM meta";
    connection.query_row(sql, [], |row| {
        Ok(Meta {
            peer_id: row.get(0)?,
            generation: row.get::<_, i64>(1)?.cast_unsigned(),
            as_of_us: row.get(2)?,
            complete: row.get(3)?,
            next_id: row.get::<_, i64>(4)?.cast_unsigned(),
            journal_seq: row.get::<_, i64>(5)?.cast_unsigned(),
        })
    })
}

/// Writes `meta`, within the transaction that it describes.
pub fn write_meta(connection: &Connection, meta: &Meta) -> duckdb::Result<()> {
    let sql = "UPDATE meta SET peer_id = ?, generation = ?, as_of_us = ?, complete = ?, next_id = ?, journal_seq = ?";
    let values = duckdb::params![
        meta.peer_id,
        meta.generation.cast_signed(),
        meta.as_of_us,
        meta.complete,
        meta.next_id.cast_signed(),
        meta.journal_seq.cast_signed()
    ];
    connection.execute(sql, values).map(drop)
}
