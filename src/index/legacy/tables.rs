//! Rows of a foreign DuckDB file: its copy is opened, read-only, in the worker. The original is never given to DuckDB: a Python
//! program may hold it.

use super::form;
use super::source::Source;
use super::wire::{self, Kind, Line, ROWS, Table};
use duckdb::types::{TimeUnit, ValueRef};
use duckdb::{AccessMode, Config, Connection};
use serde_json::Value;
use std::path::Path;

/// The tables that have held pins, the newer first: beside `pins` the other one is a view of it.
const TABLES: [&str; 2] = ["pins", "enhanced_pins"];

/// Tells the table of pins in a DuckDB file.
pub(super) fn tell(
    source: &Source,
    scratch: &Path,
    say: &mut dyn FnMut(&Line) -> Result<(), String>,
) -> Result<(), String> {
    let copy = scratch.join("copy.duckdb");
    let written = std::fs::write(&copy, &source.bytes).and_then(|()| match &source.log {
        Some(log) => std::fs::write(scratch.join("copy.duckdb.wal"), log),
        None => Ok(()),
    });
    written.map_err(|error| format!("cannot copy it: {error}"))?;
    let unreadable = |error: duckdb::Error| {
        let text = error.to_string();
        format!("DuckDB cannot read it: {}", text.lines().next().unwrap_or_default())
    };
    let connection = open(&copy).map_err(unreadable)?;
    for name in TABLES {
        if let Some(table) = look(&connection, name).map_err(unreadable)? {
            return tell_table(&connection, name, table, say).map_err(|error| match error {
                Failure::Duckdb(error) => unreadable(error),
                Failure::Said(text) => text,
            });
        }
    }
    Err("it has no table `pins` or `enhanced_pins`".to_owned())
}

fn open(copy: &Path) -> duckdb::Result<Connection> {
    let config = Config::default()
        .access_mode(AccessMode::ReadOnly)?
        .threads(1)?
        .max_memory("1GB")?
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?
        .with("allow_community_extensions", "false")?;
    let connection = Connection::open_with_flags(copy, config)?;
    connection.execute_batch("SET enable_external_access=false; SET lock_configuration=true;")?;
    Ok(connection)
}

/// What this table is, if it is one and not a view.
fn look(connection: &Connection, name: &str) -> duckdb::Result<Option<Table>> {
    let is: i64 = connection.query_row(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = ?",
        [name],
        |row| row.get(0),
    )?;
    if is == 0 {
        return Ok(None);
    }
    let columns = |table: &str| {
        let sql = "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'main' AND table_name = ?
                   ORDER BY column_index";
        let mut statement = connection.prepare(sql)?;
        let columns = statement.query_map([table], |row| Ok((row.get(0)?, kind(&row.get::<_, String>(1)?))))?;
        columns.collect::<duckdb::Result<Vec<(String, Kind)>>>()
    };
    // An index of ipfs-kitd itself.
    let ours = columns("meta")?.iter().any(|(column, _)| column == "schema_version");
    let columns = columns(name)?;
    let read = columns.iter().map(|(column, _)| column).filter(|column| form::wanted(column)).cloned().collect();
    let rows: i64 = connection.query_row(&format!("SELECT count(*) FROM main.{name}"), [], |row| row.get(0))?;
    Ok(Some(Table { columns, read, rows: rows.cast_unsigned(), ours }))
}

enum Failure {
    Duckdb(duckdb::Error),
    Said(String),
}

fn tell_table(
    connection: &Connection,
    name: &str,
    table: Table,
    say: &mut dyn FnMut(&Line) -> Result<(), String>,
) -> Result<(), Failure> {
    let line = Line::Table(table);
    say(&line).map_err(Failure::Said)?;
    let Line::Table(table) = line else { return Ok(()) };
    if table.rows > ROWS || table.read.is_empty() || table.ours {
        return say(&Line::End).map_err(Failure::Said);
    }
    // The names are some of our own list.
    let sql = format!("SELECT \"{}\" FROM main.{name}", table.read.join("\", \""));
    let mut statement = connection.prepare(&sql).map_err(Failure::Duckdb)?;
    let mut rows = statement.query([]).map_err(Failure::Duckdb)?;
    while let Some(row) = rows.next().map_err(Failure::Duckdb)? {
        let values = (0..table.read.len()).map(|column| row.get_ref(column).map(value)).collect::<Result<_, _>>();
        say(&Line::Row(values.map_err(Failure::Duckdb)?)).map_err(Failure::Said)?;
    }
    say(&Line::End).map_err(Failure::Said)
}

fn kind(data_type: &str) -> Kind {
    match data_type {
        "VARCHAR" => Kind::Text,
        "BOOLEAN" => Kind::Bool,
        "DOUBLE" | "FLOAT" => Kind::Real,
        "\"NULL\"" | "NULL" => Kind::Null,
        of if of.starts_with("TIMESTAMP") => Kind::Time,
        of if of.ends_with("INT") || of.ends_with("INTEGER") => Kind::Int,
        _ => Kind::Other,
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Boolean(is) => Value::from(is),
        ValueRef::TinyInt(number) => Value::from(number),
        ValueRef::SmallInt(number) => Value::from(number),
        ValueRef::Int(number) => Value::from(number),
        ValueRef::BigInt(number) => Value::from(number),
        ValueRef::UTinyInt(number) => Value::from(number),
        ValueRef::USmallInt(number) => Value::from(number),
        ValueRef::UInt(number) => Value::from(number),
        ValueRef::UBigInt(number) => Value::from(number),
        ValueRef::Float(number) => Value::from(number),
        ValueRef::Double(number) => Value::from(number),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or_else(|_| wire::other(), wire::text),
        ValueRef::Timestamp(TimeUnit::Second, at) => wire::time(at.saturating_mul(1_000_000)),
        ValueRef::Timestamp(TimeUnit::Millisecond, at) => wire::time(at.saturating_mul(1000)),
        ValueRef::Timestamp(TimeUnit::Microsecond, at) => wire::time(at),
        ValueRef::Timestamp(TimeUnit::Nanosecond, at) => wire::time(at / 1000),
        _ => wire::other(),
    }
}
