//! A foreign file as the worker takes it: a regular one, whole, and unchanged meanwhile.

use crate::snapshot::output;
use nix::libc;
use sha2::{Digest, Sha256};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file's bytes at most: it is held in memory.
pub(super) const BYTES: u64 = 256 << 20;
/// Where DuckDB's mark stands.
const DUCKDB: (usize, &[u8]) = (8, b"DUCK");

/// A file and, of a DuckDB file, the log beside it.
pub(super) struct Source {
    pub(super) bytes: Vec<u8>,
    pub(super) log: Option<Vec<u8>>,
}

impl Source {
    /// Reads it; otherwise a sentence that says why not.
    pub(super) fn read(path: &Path) -> Result<Source, String> {
        let (bytes, before) = whole(path)?;
        let mut source = Source { bytes, log: None };
        if source.is_duckdb() {
            let mut log = path.as_os_str().to_owned();
            log.push(".wal");
            let log = PathBuf::from(log);
            if log.symlink_metadata().is_ok() {
                source.log = Some(whole(&log)?.0);
            }
            // The two belong together.
            let after = path.symlink_metadata().map_err(|error| words("look at it again", &error))?;
            unchanged(&before, &after)?;
        }
        Ok(source)
    }

    pub(super) fn is_duckdb(&self) -> bool {
        self.bytes.get(DUCKDB.0..).is_some_and(|rest| rest.starts_with(DUCKDB.1))
    }

    /// SHA-256 of all of it.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(&self.bytes);
        digest.update(self.log.as_deref().unwrap_or_default());
        output::hex(&digest.finalize())
    }
}

/// A regular file's bytes, and what it was when they were read.
fn whole(path: &Path) -> Result<(Vec<u8>, Metadata), String> {
    // Looked at before it is opened: to open a device or a FIFO can have an effect.
    let named = path.symlink_metadata().map_err(|error| words("find it", &error))?;
    regular(&named)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let mut file: File = file.map_err(|error| words("open it", &error))?;
    let before = file.metadata().map_err(|error| words("look at it", &error))?;
    regular(&before)?;
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    Read::by_ref(&mut file).take(BYTES + 1).read_to_end(&mut bytes).map_err(|error| words("read it", &error))?;
    let after = path.symlink_metadata().map_err(|error| words("look at it again", &error))?;
    unchanged(&before, &after)?;
    if bytes.len() as u64 != before.len() {
        return Err("it changed while it was read; is the program that writes it still running?".to_owned());
    }
    Ok((bytes, before))
}

fn regular(metadata: &Metadata) -> Result<(), String> {
    let of = metadata.file_type();
    let what = if of.is_symlink() {
        "a symbolic link; name the file that it points to"
    } else if of.is_dir() {
        "a directory"
    } else if of.is_fifo() {
        "a FIFO"
    } else if of.is_socket() {
        "a socket"
    } else if !of.is_file() {
        "a device"
    } else if metadata.len() > BYTES {
        return Err(format!("it has {} bytes; at most {BYTES} are read", metadata.len()));
    } else {
        return Ok(());
    };
    Err(format!("it is not a regular file but {what}"))
}

fn unchanged(before: &Metadata, after: &Metadata) -> Result<(), String> {
    let of = |file: &Metadata| (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec());
    if of(before) == of(after) {
        return Ok(());
    }
    Err("it changed while it was read; is the program that writes it still running?".to_owned())
}

fn words(action: &str, error: &io::Error) -> String {
    format!("cannot {action}: {error}")
}
