//! What a person wants of Kubo, over restarts of the daemon: `kubo stop` lasts until `kubo start`. The file `kubo-stopped` is there
//! exactly while Kubo is to stay stopped, and says since when.

use crate::config::Config;
use crate::outside;
use crate::snapshot::atomic;
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For a note; a disk that takes longer must not keep Kubo waiting.
const DEADLINE: Duration = Duration::from_secs(5);

static WRITING: Mutex<()> = Mutex::new(());
static NEWEST: AtomicU64 = AtomicU64::new(0);

fn path(config: &Config) -> PathBuf {
    config.data_dir.join("kubo-stopped")
}

/// Since when Kubo is to stay stopped, if it is.
pub fn stopped(config: &Config) -> Option<Timestamp> {
    let text = match outside::read_text(&path(config)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        read => read.unwrap_or_default(),
    };
    // That it is there counts, whatever has become of what it says.
    Some(text.trim().parse().unwrap_or_else(|_| Timestamp::now()))
}

/// Notes the wish; on return it is on disk.
pub(super) async fn note(config: &Config, stop: bool) -> io::Result<()> {
    let path = path(config);
    let wish = NEWEST.fetch_add(1, Ordering::SeqCst) + 1;
    let noted = tokio::task::spawn_blocking(move || {
        let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        // One that a slow disk has held up must not undo a newer one.
        if wish == NEWEST.load(Ordering::SeqCst) { write(&path, stop) } else { Ok(()) }
    });
    match tokio::time::timeout(DEADLINE, noted).await {
        Ok(noted) => noted.map_err(io::Error::other)?,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn write(path: &Path, stop: bool) -> io::Result<()> {
    if stop {
        return atomic::replace(path, format!("{}\n", crate::time::now()).as_bytes());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => atomic::sync_parent(path),
    }
}
