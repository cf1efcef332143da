//! The way back from an export: the tables out of the Parquet files of a snapshot or of a backup, all or nothing. Rows go to DuckDB
//! through its appender, by way of a temporary table in which CIDs are bytes again.

use super::export::TABLES;
use super::open;
use super::rows;
use super::schema::{self, Meta};
use super::set::{Keyed, PinSet};
use super::{sound, vfs};
use crate::cid::{self, Cid};
use crate::fault;
use crate::snapshot::parquet;
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, UInt64Array};
use arrow_schema::{DataType, TimeUnit};
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::snapshot::SnapshotManifest;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// The generation goes on rising from the one that is taken; no number may be above 2^53.
const MOST_GENERATION: u64 = 1 << 52;

/// Why files are not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// They are not what they should be.
    Unfit(String),
    /// DuckDB refuses.
    Duckdb(duckdb::Error),
}

impl From<duckdb::Error> for Refusal {
    fn from(error: duckdb::Error) -> Refusal {
        Refusal::Duckdb(error)
    }
}

/// Makes the tables of a new file with what a snapshot holds. With a generation, begins it: then the file is to go on living, and it is
/// not complete, since Kubo has the newer news.
pub(super) fn from_snapshot(
    connection: &Connection,
    dir: &Path,
    manifest: &SnapshotManifest,
    generation: Option<u64>,
) -> Result<PinSet, Refusal> {
    let attempt = || {
        connection.execute_batch("BEGIN")?;
        let mut meta = fill(connection, dir, manifest)?;
        if let Some(generation) = generation {
            let now = Timestamp::now();
            meta.generation = generation;
            rows::begin(connection, generation, now)?;
            vfs::apply::lose_track(connection, 0, now)?;
        }
        // What the start would refuse is refused here, where an older snapshot may do.
        let set = open::load(connection, &Keyed::random())?.map_err(Refusal::Unfit)?;
        // Behind all changes: a transaction that has failed refuses it, while its COMMIT would be answered with `Ok`.
        schema::write_meta(connection, &meta)?;
        if generation.is_some() {
            check(connection)?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(set)
    };
    // Parquet's reader meets files of which nothing is known but their digests.
    let panicked = |_| Err(Refusal::Unfit("reading it panicked".to_owned()));
    let filled = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(panicked);
    filled.map_err(|refusal| {
        let _ = connection.execute_batch("ROLLBACK");
        match refusal {
            Refusal::Unfit(why) => Refusal::Unfit(fault::brief(&why)),
            refused => refused,
        }
    })
}

/// Within a transaction that has written `meta`: refuses tables that no index of ours has.
pub(super) fn check(connection: &Connection) -> Result<(), Refusal> {
    for (what, sql) in sound::checks() {
        match sound::count(connection, &sql)? {
            0 => {}
            count => return Err(Refusal::Unfit(format!("it has {what}: {count}"))),
        }
    }
    sound::wrong_mark(connection)?.map_or(Ok(()), |why| Err(Refusal::Unfit(why)))
}

/// Within a transaction: new tables with what these files hold, and what they say of themselves.
pub(super) fn fill(connection: &Connection, dir: &Path, manifest: &SnapshotManifest) -> Result<Meta, Refusal> {
    if manifest.schema_version > schema::VERSION {
        let version = manifest.schema_version;
        return Err(Refusal::Unfit(format!(
            "its tables have version {version}, this program knows {}",
            schema::VERSION
        )));
    }
    if manifest.generation > MOST_GENERATION {
        return Err(Refusal::Unfit(format!("it has the generation {}, which cannot be", manifest.generation)));
    }
    schema::clear(connection)?;
    for table in &TABLES {
        let name = format!("{}.parquet", table.name);
        match manifest.rows(&name) {
            Some(expected) => {
                let rows = load(connection, table.name, table.insert, &dir.join(&name))?;
                if rows != expected {
                    return Err(Refusal::Unfit(format!("{name} has {rows} rows where {expected} were written")));
                }
            }
            None if table.name == "pins" => return Err(Refusal::Unfit("it has no pins".to_owned())),
            // The version that wrote it did not have that table yet.
            None => {}
        }
    }
    let last =
        "SELECT max(id) FROM (SELECT id FROM pins UNION ALL SELECT id FROM gone UNION ALL SELECT id FROM changes)";
    let last: Option<i64> = connection.query_row(last, [], |row| row.get(0))?;
    let as_of = manifest.as_of.as_deref().and_then(|as_of| as_of.parse::<Timestamp>().ok());
    Ok(Meta {
        peer_id: manifest.peer_id.clone(),
        generation: manifest.generation,
        as_of_us: as_of.map(Timestamp::as_microsecond),
        complete: false,
        // What it is of ids that none can be does not matter: they are refused.
        next_id: last.unwrap_or_default().cast_unsigned().wrapping_add(1),
        journal_seq: manifest.journal_seq.unwrap_or_default(),
    })
}

/// Puts the rows of a file into a table; how many there were.
fn load(connection: &Connection, table: &str, insert: &str, path: &Path) -> Result<u64, Refusal> {
    let unfit = |error: std::io::Error| Refusal::Unfit(format!("{}: {error}", path.display()));
    let mut count = 0;
    for batch in File::open(path).and_then(parquet::read).map_err(unfit)? {
        let batch = batch.map_err(unfit)?;
        let (columns, arrays) = inside(&batch).map_err(|why| Refusal::Unfit(format!("{}: {why}", path.display())))?;
        rows::fill_temp(connection, &format!("incoming({columns})"), arrays)?;
        connection.execute_batch(&format!("INSERT INTO {table} {insert}")).map_err(|error| {
            match error.to_string() {
                // A value is missing, or of another kind.
                text if text.contains("Constraint Error") || text.contains("Conversion Error") => {
                    Refusal::Unfit(format!("{}: {text}", path.display()))
                }
                _ => Refusal::Duckdb(error),
            }
        })?;
        count += batch.num_rows() as u64;
    }
    Ok(count)
}

/// The columns of a temporary table and what goes into it.
fn inside(rows: &RecordBatch) -> Result<(String, Vec<ArrayRef>), String> {
    let cids = parsed(rows.column_by_name("cid"))?;
    let (mut columns, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let name = field.name();
        if !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return Err(format!("a column {name:?}"));
        }
        let (sql, array): (_, ArrayRef) = match (name.as_str(), column.data_type()) {
            ("cid", _) => ("BLOB", bytes(&cids)),
            ("cid_before", _) => ("BLOB", bytes(&parsed(Some(column))?)),
            ("codec", _) => {
                ("UBIGINT", Arc::new(cids.iter().map(|cid| cid.map(|cid| cid.codec())).collect::<UInt64Array>()))
            }
            (_, DataType::Utf8) => ("VARCHAR", column.clone()),
            (_, DataType::Int64) => ("BIGINT", column.clone()),
            (_, DataType::Boolean) => ("BOOLEAN", column.clone()),
            (_, DataType::Float64) => ("DOUBLE", column.clone()),
            (_, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                let times = column.as_primitive::<TimestampMicrosecondType>().clone();
                ("TIMESTAMP", Arc::new(times.with_timezone_opt(None::<Arc<str>>)))
            }
            (_, DataType::List(of)) if *of.data_type() == DataType::Utf8 => ("VARCHAR", lines(column)?),
            (name, other) => return Err(format!("the column {name} is {other}")),
        };
        columns.push(format!("\"{name}\" {sql}"));
        arrays.push(array);
    }
    Ok((columns.join(", "), arrays))
}

fn parsed(texts: Option<&ArrayRef>) -> Result<Vec<Option<Cid>>, String> {
    let Some(texts) = texts else { return Ok(Vec::new()) };
    let texts = texts.as_string_opt::<i32>().ok_or("its CIDs are no text")?;
    texts.iter().map(|text| text.map(cid::parse).transpose().map_err(|fault| fault.detail)).collect()
}

fn bytes(cids: &[Option<Cid>]) -> ArrayRef {
    Arc::new(cids.iter().map(|cid| cid.map(|cid| cid.to_bytes())).collect::<BinaryArray>())
}

/// Lists of words as lines.
fn lines(column: &ArrayRef) -> Result<ArrayRef, String> {
    let mut texts = StringBuilder::new();
    for list in column.as_list::<i32>().iter() {
        let Some(list) = list else {
            texts.append_null();
            continue;
        };
        let words: Option<Vec<&str>> = list.as_string_opt::<i32>().and_then(|words| words.iter().collect());
        let words = words.filter(|words| words.iter().all(|word| !word.is_empty() && !word.contains(char::is_control)));
        texts.append_value(words.ok_or("a word in a list is none, or has control characters")?.join("\n"));
    }
    Ok(Arc::new(texts.finish()))
}
