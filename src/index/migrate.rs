//! The file of an older version: brought to this one in a copy that then takes its place. Whoever is killed anywhere leaves the old
//! file or the new one under the name. The old one stays beside it until the new one was opened once more.

use super::open::{OpenError, wal};
use super::schema;
use crate::snapshot::atomic;
use jiff::Timestamp;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Brings the file, which nobody has open, to this version; `false` when there is no way from there.
pub(super) fn migrate(path: &Path, from: i64) -> Result<bool, OpenError> {
    let io = |action| move |source| OpenError::Io { action, source };
    if wal(path).exists() {
        let detail = "its log could not be written into it".to_owned();
        return Err(OpenError::Unreadable { path: path.to_owned(), detail });
    }
    let new = beside(path, "new");
    for left in [wal(&new), new.clone()] {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io("remove an unfinished copy of the index")(error));
            }
            _ => {}
        }
    }
    fs::copy(path, &new).map_err(io("copy the index"))?;
    let attempt = || {
        let connection = schema::open(&new, &path.with_file_name("tmp"))?;
        let migrated = schema::migrate(&connection, from)?;
        connection.execute_batch("CHECKPOINT")?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(migrated)
    };
    let migrated: duckdb::Result<bool> = attempt();
    if !migrated.map_err(|error| super::open::classify(path, &error.to_string()))? {
        return fs::remove_file(&new).map(|()| false).map_err(io("remove a copy of the index"));
    }
    let old = beside(path, &format!("v{from}-{}", Timestamp::now().as_microsecond()));
    // Some file systems have no second names.
    fs::hard_link(path, &old).or_else(|_| fs::copy(path, &old).map(drop)).map_err(io("keep the old index"))?;
    File::open(&new).and_then(|new| new.sync_all()).map_err(io("sync the new index"))?;
    fs::rename(&new, path).and_then(|()| atomic::sync_parent(path)).map_err(io("put the new index in its place"))?;
    tracing::info!(from, to = schema::VERSION, old = %old.display(), "the index has new tables");
    Ok(true)
}

/// The files of older versions that earlier starts have kept.
pub(super) fn kept(path: &Path) -> Vec<PathBuf> {
    let old = beside(path, "v");
    let old = old.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = path.parent().and_then(|dir| dir.read_dir().ok()).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&old)).map(|entry| entry.path()).collect()
}

/// The new file was opened once more: what it was made of is not needed any longer.
pub(super) fn forget(kept: &[PathBuf]) {
    for old in kept {
        // A damaged index takes them along when it is moved aside.
        let _ = fs::remove_file(old);
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    path.with_extension(format!("duckdb.{extension}"))
}
