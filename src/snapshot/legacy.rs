//! `pin_metadata/parquet_storage/pins.parquet`: the pins in the form that programs of before look for: its nineteen columns, with
//! real types, and nothing made up. What is not known is NULL.
//!
//! It is made from a sealed snapshot. A file there that is not ours is somebody's data, and stays until a copy of it is kept.

use super::output::FILE_MODE;
use super::place::{make_dirs, regular};
use super::publish::STAMP;
use super::{atomic, parquet};
use crate::index::legacy::original;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use proto_msgs::snapshot::SnapshotManifest;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where it is, below the data dir.
const PLACE: &str = original::PLACES[0];

/// Its columns, in their order.
const COLUMNS: [(&str, DataType); 19] = [
    ("cid", DataType::Utf8),
    ("name", DataType::Utf8),
    ("pin_type", DataType::Utf8),
    ("timestamp", DataType::Float64),
    ("size_bytes", DataType::Int64),
    ("access_count", DataType::Int64),
    ("last_accessed", DataType::Float64),
    ("vfs_path", DataType::Utf8),
    ("mount_point", DataType::Utf8),
    ("is_directory", DataType::Boolean),
    ("storage_tiers", DataType::Utf8),
    ("primary_tier", DataType::Utf8),
    ("replication_factor", DataType::Int64),
    ("content_hash", DataType::Utf8),
    ("last_verified", DataType::Float64),
    ("integrity_status", DataType::Utf8),
    ("access_pattern", DataType::Utf8),
    ("hotness_score", DataType::Float64),
    ("predicted_access_time", DataType::Float64),
];

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is as new as the snapshot, in so many bytes.
    Written(u64),
    /// A file that is not ours is there, and no copy of it is kept.
    Foreign,
}

/// The file of this data dir.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(PLACE)
}

/// Renews it from the snapshot in this directory.
pub fn renew(data_dir: &Path, snapshot: &Path, manifest: &SnapshotManifest) -> io::Result<Renewed> {
    let path = path(data_dir);
    if !original::may_replace(data_dir, PLACE)? {
        return Ok(Renewed::Foreign);
    }
    make_dirs(data_dir, Path::new(PLACE).parent().unwrap_or(Path::new("")))?;
    let pins = ParquetRecordBatchReaderBuilder::try_new(regular(&snapshot.join("pins.parquet"))?);
    let pins = pins.and_then(ParquetRecordBatchReaderBuilder::build).map_err(parquet::plain)?;
    let fields: Vec<_> = COLUMNS.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let stamp = [
        ("generation", manifest.generation.to_string()),
        ("snapshot", manifest.name.clone()),
        ("created_at", manifest.created_at.clone()),
    ];
    let stamp = stamp.map(|(key, value)| (format!("{STAMP}{key}"), value));
    let new = atomic::NewFile::create(&path)?;
    let mut table = parquet::Table::begin(BufWriter::new(new.file()), schema.clone(), &stamp)?;
    for rows in pins {
        table.push(&translated(&rows.map_err(io::Error::other)?, &schema).map_err(io::Error::other)?)?;
    }
    let (written, rows) = table.end()?;
    written.into_inner().map_err(io::IntoInnerError::into_error)?;
    if parquet::rows(new.file().try_clone()?)? != rows {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "pins.parquet has other rows than were written"));
    }
    let bytes = new.file().metadata()?.len();
    // Once more: that took its time, and a program of before may have written meanwhile.
    if !original::may_replace(data_dir, PLACE)? {
        return Ok(Renewed::Foreign);
    }
    new.commit(FILE_MODE)?;
    Ok(Renewed::Written(bytes))
}

/// Removes what a process that was killed has left beside it.
pub fn sweep(data_dir: &Path) {
    path(data_dir).parent().into_iter().for_each(atomic::sweep);
}

fn translated(pins: &RecordBatch, schema: &Arc<Schema>) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| {
        pins.column_by_name(name).cloned().ok_or_else(|| ArrowError::SchemaError(format!("the pins have no {name}")))
    };
    let seconds = |micros: i64| micros as f64 / 1e6;
    let columns = COLUMNS.iter().map(|(name, data_type)| {
        let translated: ArrayRef = match *name {
            "cid" | "name" => column(name)?,
            "pin_type" => column("type")?,
            // The first sight: when it was pinned nobody knows.
            "timestamp" => {
                let seen = column("first_seen")?;
                let seen = seen.as_primitive::<TimestampMicrosecondType>();
                Arc::new(seen.iter().map(|at| at.map(seconds)).collect::<Float64Array>())
            }
            "size_bytes" => Arc::new(column("size")?.as_primitive::<Int64Type>().iter().collect::<Int64Array>()),
            "is_directory" => {
                let kinds = column("kind")?;
                let kinds = kinds.as_string::<i32>();
                Arc::new(kinds.iter().map(|kind| kind.map(|kind| kind == "directory")).collect::<BooleanArray>())
            }
            _ => new_null_array(data_type, pins.num_rows()),
        };
        Ok(translated)
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, ArrowError>>()?)
}
