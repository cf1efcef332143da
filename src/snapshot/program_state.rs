//! `program_state/parquet/*_state.parquet`: the newest state of the node, a row a file, where programs of before look for it: one
//! flat form with real types. What was not measured is NULL.
//!
//! A file there that is not ours, and of which no copy is kept, is somebody's data and is left as it is.

use super::output::FILE_MODE;
use super::place::make_dirs;
use super::publish::STAMP;
use super::{atomic, parquet};
use crate::index::legacy::original;
use crate::index::state::{Kept, Samples};
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use jiff::Timestamp;
use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where they are, below the data dir.
const DIR: &str = "program_state/parquet";
/// What `schema_version` says.
const VERSION: i64 = 1;
/// Columns that programs of before know under another name, and mean the same by.
const NAMES: [(&str, &str); 6] = [
    ("kubo_version", "ipfs_version"),
    ("kubo_uptime_s", "uptime"),
    ("peers", "connected_peers"),
    ("repo_size", "total_size"),
    ("size", "total_size"),
    ("pins", "pin_count"),
];

/// Renews those of which there is a sample; answers with those that are not ours.
pub fn renew(data_dir: &Path, newest: &Samples, now: Timestamp) -> io::Result<Vec<PathBuf>> {
    make_dirs(data_dir, Path::new(DIR))?;
    // Nobody else of this process is at it.
    atomic::sweep(&data_dir.join(DIR));
    let renewed = [
        one::<SystemState>(data_dir, "system", newest, now)?,
        one::<NetworkState>(data_dir, "network", newest, now)?,
        one::<StorageState>(data_dir, "storage", newest, now)?,
        one::<FilesState>(data_dir, "files", newest, now)?,
    ];
    Ok(renewed.into_iter().flatten().collect())
}

/// Its path, if it is not ours and no copy of it is kept.
fn one<S: Kept>(data_dir: &Path, kind: &str, newest: &Samples, now: Timestamp) -> io::Result<Option<PathBuf>> {
    let Some((at, sample)) = S::of(newest).last_key_value() else { return Ok(None) };
    let place = format!("{DIR}/{kind}_state.parquet");
    let path = data_dir.join(&place);
    if !original::may_replace(data_dir, &place)? {
        return Ok(Some(path));
    }
    let number = |n: i64| -> ArrayRef { Arc::new(Int64Array::from_value(n, 1)) };
    let generated = TimestampMicrosecondArray::from_value(now.as_microsecond(), 1).with_timezone("UTC");
    let measured: ArrayRef = Arc::new(Float64Array::from_value(at.as_microsecond() as f64 / 1e6, 1));
    let known = |name| NAMES.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| *theirs);
    let columns = S::columns(std::iter::once(sample)).into_iter().map(|(name, _, column)| (known(name), column));
    let head = [
        ("schema_version", number(VERSION)),
        ("generated_at", Arc::new(generated)),
        ("daemon_pid", number(i64::from(std::process::id()))),
        ("timestamp", measured),
    ];
    let columns = head.into_iter().chain(columns).map(|(name, column)| (name, column, true));
    let row = RecordBatch::try_from_iter_with_nullable(columns).map_err(io::Error::other)?;
    let stamp = [("schema_version", VERSION.to_string()), ("generated_at", crate::time::text(now))];
    let stamp = stamp.map(|(key, value)| (format!("{STAMP}{key}"), value));
    let new = atomic::NewFile::create(&path)?;
    let mut table = parquet::Table::begin(BufWriter::new(new.file()), row.schema(), &stamp)?;
    table.push(&row)?;
    table.end()?.0.into_inner().map_err(io::IntoInnerError::into_error)?;
    if parquet::rows(new.file().try_clone()?)? != 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it has other rows than were written"));
    }
    // Once more: a program of before may have written meanwhile.
    if !original::may_replace(data_dir, &place)? {
        return Ok(Some(path));
    }
    new.commit(FILE_MODE).map(|()| None)
}
