//! Damage that is met at work, long after the start: noted beside the file, so that the next start takes the file for damaged although
//! it opens.

use super::error::IndexError;
use super::open;
use crate::snapshot::atomic;
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::watch;

/// The note, in the directory of the index.
pub(super) const NOTE: &str = "damaged";
/// Of what is said of the damage, so many characters are kept.
const LONGEST: usize = 300;

/// What the threads of a store have met.
#[derive(Clone)]
pub(super) struct Damage {
    note: PathBuf,
    met: watch::Sender<Option<String>>,
}

impl Damage {
    /// None yet.
    pub(super) fn of(dir: &Path) -> Damage {
        Damage { note: dir.join(NOTE), met: watch::Sender::new(None) }
    }

    /// Whether some was met.
    pub(super) fn is_met(&self) -> bool {
        self.met.borrow().is_some()
    }

    /// Resolves when some is met, with what was said of it.
    pub(super) async fn wait(self) -> String {
        let mut met = self.met.subscribe();
        let met = met.wait_for(Option::is_some).await;
        met.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// Makes of an error what it means: damage is noted, and only a new process can help.
    pub(super) fn judge(&self, error: IndexError) -> IndexError {
        match error {
            IndexError::Duckdb(error) => {
                let detail = error.to_string();
                if self.look(&detail) || detail.contains("FATAL") { IndexError::Fatal(detail) } else { error.into() }
            }
            error => error,
        }
    }

    /// Notes what DuckDB has said, if it is of damage; whether it is.
    pub(super) fn look(&self, detail: &str) -> bool {
        let damage = open::is_damage(detail);
        if !damage || self.is_met() {
            return damage;
        }
        let why: String = detail.lines().next().unwrap_or_default().chars().take(LONGEST).collect();
        tracing::error!("the index is damaged, and the next start fills it again: {why}");
        if let Err(error) = atomic::replace(&self.note, format!("{why}\n").as_bytes()) {
            tracing::error!(%error, "that could not be noted in {}; the next start may take the file for sound", self.note.display());
        }
        self.met.send_replace(Some(why));
        true
    }
}

/// What an earlier process has met.
pub(super) fn noted(dir: &Path) -> io::Result<Option<String>> {
    let note = dir.join(NOTE);
    match note.symlink_metadata() {
        Ok(found) if found.is_file() => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(None),
    }
    let text = String::from_utf8_lossy(&std::fs::read(note)?).into_owned();
    Ok(Some(text.lines().next().unwrap_or_default().chars().take(LONGEST).collect()))
}
