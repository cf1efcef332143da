//! Files as the system of before has left them: each form in each way in which it was written.

use duckdb::Connection;
use duckdb::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, NullArray, RecordBatch,
};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Rows of each file.
pub(crate) const ROWS: usize = 4154;
/// The samples of `pin init` among them.
pub(crate) const DEMO: usize = 3;
/// Rows whose CID is none.
pub(crate) const INVALID: usize = 5;
/// Rows with a CID.
pub(crate) const VALID: usize = ROWS - DEMO - INVALID;
/// Rows that somebody has named: every tenth of the others.
pub(crate) const NAMED: usize = VALID.div_ceil(10);
/// When the indexer ran.
pub(crate) const AT: f64 = 1_753_000_000.25;

const SAMPLES: [&str; 3] = ["sample_document.pdf", "sample_image.jpg", "sample_data.json"];

/// CID and name of each row.
pub(crate) fn pins() -> Vec<(String, String)> {
    let demo = SAMPLES.iter().zip(1..).map(|(name, n)| {
        // 45 characters, and no CID.
        (format!("QmXnnyufdzAWL5CqZ2RnSNgPbvCc1ALT73s6epPrRnZ{n}X"), (*name).to_owned())
    });
    let invalid = (0..INVALID).map(|n| (format!("bafynot{n}"), "broken".to_owned()));
    let valid = (0..VALID).map(|n| {
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let hash = cid::multihash::Multihash::<64>::wrap(0x12, &digest).expect("32 bytes");
        let cid = match n % 2 {
            0 => cid::Cid::new_v0(hash).expect("sha2-256"),
            _ => cid::Cid::new_v1(0x55, hash),
        };
        let cid = cid.to_string();
        let name = if n % 10 == 0 { format!("holiday {n}") } else { format!("pin_{}", &cid[..12]) };
        (cid, name)
    });
    demo.chain(invalid).chain(valid).collect()
}

/// A connection with these rows in a table `rows(n, cid, name)`.
fn rows(file: Option<&Path>) -> Connection {
    let connection = match file {
        Some(path) => Connection::open(path).expect("a DuckDB file"),
        None => Connection::open_in_memory().expect("in memory"),
    };
    connection.execute_batch("CREATE TEMP TABLE rows(n BIGINT, cid VARCHAR, name VARCHAR)").expect("made");
    let mut appender = connection.appender("rows").expect("an appender");
    for ((cid, name), n) in pins().iter().zip(0_i64..) {
        appender.append_row(duckdb::params![n, cid, name]).expect("appended");
    }
    appender.flush().expect("flushed");
    drop(appender);
    connection
}

/// Form A as a query: what was counted is there, every hundredth size too.
pub(crate) const A: &str = "SELECT cid, CASE WHEN n % 100 = 9 THEN 1000 + n ELSE 0 END::BIGINT AS size_bytes,
    'recursive' AS type, name, 1753000000.5::DOUBLE AS last_updated, (n % 2)::INTEGER AS access_count,
    CASE WHEN n % 2 = 1 THEN 1752000000.0 ELSE 0 END::DOUBLE AS last_accessed, NULL::VARCHAR AS vfs_path,
    NULL::VARCHAR AS mount_point, false AS is_directory, '[\"ssd\"]' AS storage_tiers,
    CASE WHEN n % 2 = 1 THEN 'ssd' ELSE 'ipfs' END AS primary_tier, 1 AS replication_factor, NULL::VARCHAR AS content_hash,
    NULL::DOUBLE AS last_verified, 'unknown' AS integrity_status, 'random' AS access_pattern, 0.0::DOUBLE AS hotness_score,
    NULL::DOUBLE AS predicted_access_time FROM rows";

/// Form B as a query: all made up but the names of some.
pub(crate) const B: &str =
    "SELECT cid, name, 'recursive' AS pin_type, 1753000000.25::DOUBLE AS timestamp, 0::BIGINT AS size_bytes,
    0::INTEGER AS access_count, 1753000000.25::DOUBLE AS last_accessed, NULL::VARCHAR AS vfs_path,
    NULL::VARCHAR AS mount_point, false AS is_directory, NULL::VARCHAR AS storage_tiers, 'local' AS primary_tier,
    1::INTEGER AS replication_factor, NULL::VARCHAR AS content_hash, NULL::DOUBLE AS last_verified,
    'unverified' AS integrity_status, NULL::VARCHAR AS access_pattern, 0.0::DOUBLE AS hotness_score,
    NULL::DOUBLE AS predicted_access_time FROM rows";

/// Form C as a query.
pub(crate) const C: &str =
    "SELECT cid, name, n % 2 = 0 AS recursive, 17::BIGINT AS file_size, '/home/u/f' AS source_file,
    '2025-07-20T08:26:40.250000' AS created_at, 'pending' AS status, '{}' AS metadata FROM rows";

/// Form D as a query.
pub(crate) const D: &str = "SELECT cid, 17::BIGINT AS size, 1753000000.25::DOUBLE AS pin_time, 1 AS priority,
    'pending' AS verification_status, 0.0::DOUBLE AS bandwidth_usage, '' AS tags, name FROM rows";

/// A Parquet file as DuckDB writes it.
pub(crate) fn by_duckdb(path: &Path, query: &str) {
    let sql = format!("COPY ({query}) TO '{}' (FORMAT parquet)", path.display());
    rows(None).execute_batch(&sql).expect("written");
}

/// A DuckDB file with this table, and a view of it.
pub(crate) fn duckdb_file(path: &Path, table: &str, query: &str, view: &str) {
    let connection = rows(Some(path));
    let sql = format!(
        "CREATE TABLE {table} AS {query}; CREATE TABLE traffic_analytics(timestamp DOUBLE, cid VARCHAR, operation VARCHAR);
         {view} CHECKPOINT;"
    );
    connection.execute_batch(&sql).expect("made");
}

/// Form B as pandas writes it: large strings, 64-bit counts, columns of type Null, its own key in the metadata.
pub(crate) fn by_pandas(path: &Path) {
    let pins = pins();
    let texts = |of: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(LargeStringArray::from_iter_values((0..pins.len()).map(of)))
    };
    let real = |value: f64| -> ArrayRef { Arc::new(Float64Array::from_value(value, pins.len())) };
    let integer = |value: i64| -> ArrayRef { Arc::new(Int64Array::from_value(value, pins.len())) };
    let null = || -> ArrayRef { Arc::new(NullArray::new(pins.len())) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("cid", texts(&|n| pins[n].0.clone())),
        ("name", texts(&|n| pins[n].1.clone())),
        ("pin_type", texts(&|_| "recursive".to_owned())),
        ("timestamp", real(AT)),
        ("size_bytes", integer(0)),
        ("access_count", integer(0)),
        ("last_accessed", real(AT)),
        ("vfs_path", null()),
        ("mount_point", null()),
        ("is_directory", Arc::new(BooleanArray::from(vec![false; pins.len()]))),
        ("storage_tiers", null()),
        ("primary_tier", texts(&|_| "local".to_owned())),
        ("replication_factor", integer(1)),
        ("content_hash", null()),
        ("last_verified", null()),
        ("integrity_status", texts(&|_| "unverified".to_owned())),
        ("access_pattern", null()),
        ("hotness_score", real(0.0)),
        ("predicted_access_time", null()),
    ];
    write(path, columns, "pandas");
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, key: &str) {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a table");
    let key = KeyValue::new(key.to_owned(), "{}".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![key])).build();
    let mut writer = ArrowWriter::try_new(File::create(path).expect("a file"), batch.schema(), Some(properties));
    writer.as_mut().expect("a writer").write(&batch).expect("written");
    writer.expect("a writer").close().expect("closed");
}
