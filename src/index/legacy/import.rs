//! The import: which files, one after the other, each read by a worker and written in one transaction, and the report.

use super::keep::{self, Import};
use super::original::{self, PLACES};
use super::report::Reading;
use super::rules::Taken;
use super::worker;
use crate::board::Board;
use crate::fault::blocking;
use crate::index;
use crate::index::error::IndexError;
use crate::index::store::Store;
use crate::kubo::command;
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::legacy::{IndexImport, IndexImported, LegacyOutcome, LegacySource};
use proto_msgs::{Fault, FaultKind};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// For one file. It is held in memory and has half a million rows at most.
const DEADLINE: Duration = Duration::from_secs(180);
/// How the directories begin that workers have for themselves.
const SCRATCH: &str = ".legacy-";

/// Where the old system kept pins and its state, below its directory.
const TREE: [&str; 12] = [
    "pin_metadata/parquet_storage/pins.parquet",
    "enhanced_pin_index/enhanced_pins.parquet",
    "pin_metadata/enhanced_pins.parquet",
    "pin_metadata/pins.parquet",
    "pin_metadata/pin_metadata.parquet",
    "pin_metadata/pin_metadata.duckdb",
    "enhanced_pin_index/enhanced_pin_metadata.duckdb",
    "program_state/parquet/system_state.parquet",
    "program_state/parquet/network_state.parquet",
    "program_state/parquet/storage_state.parquet",
    "program_state/parquet/files_state.parquet",
    "program_state/parquet/daemon_state.parquet",
];

/// Who imports. One import at a time.
pub struct Importer {
    store: Store,
    board: Arc<Board>,
    data_dir: PathBuf,
    program: PathBuf,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Importer {
    /// For this index. `program` is `ipfs-kitd`, which is its own worker.
    pub fn new(store: Store, board: Arc<Board>, data_dir: PathBuf, program: PathBuf) -> Importer {
        Importer { store, board, data_dir, program, turn: Arc::default() }
    }

    /// Imports a file, or what is known below a directory. Once begun it goes on, be there somebody who waits for it or not.
    pub async fn import(self: Arc<Self>, ask: IndexImport) -> Result<IndexImported, Fault> {
        let path = PathBuf::from(&ask.path);
        if !path.is_absolute() {
            return Err(Fault::new(FaultKind::Invalid, format!("{:?} is not an absolute path", ask.path)));
        }
        let turn = self.turn.clone().lock_owned().await;
        let done = tokio::spawn(async move {
            let _turn = turn;
            let files = blocking(move || files(path)).await?.map_err(|(kind, detail)| Fault::new(kind, detail))?;
            let mut sources = Vec::new();
            for file in files {
                // Whoever names one of our own places wants its file kept and the name free.
                let data_dir = self.data_dir.canonicalize().unwrap_or_else(|_| self.data_dir.clone());
                let place = PLACES.into_iter().find(|place| data_dir.join(place) == file);
                sources.push(self.file(file, place).await?);
            }
            Ok::<_, Fault>(IndexImported { sources })
        });
        let defect =
            |error| Fault::new(FaultKind::Internal, format!("a defect of the daemon ended the import: {error}"));
        done.await.map_err(defect)?
    }

    /// Imports what lies where files of ours go, and keeps a copy, so that ours may take the name. A file that was written again
    /// since then is imported too, but stays: somebody else still writes there.
    pub async fn at_start(&self) {
        let _turn = self.turn.lock().await;
        let data_dir = self.data_dir.clone();
        let found = blocking(move || {
            sweep(&data_dir);
            PLACES.map(|place| (place, original::look(&data_dir, place)))
        });
        for (place, found) in found.await.into_iter().flatten() {
            let imported = match found {
                Ok(original::Found::Foreign { again }) => {
                    self.file(self.data_dir.join(place), Some(place).filter(|_| !again)).await
                }
                Ok(_) => continue,
                Err(error) => Err(Fault::new(FaultKind::Internal, format!("cannot look at {place}: {error}"))),
            };
            match imported {
                Ok(source) if source.kept || source.outcome != LegacyOutcome::Failed => tracing::info!(
                    path = source.path,
                    rows = source.rows,
                    taken = source.taken,
                    kept = source.kept,
                    detail = source.detail.as_deref(),
                    "a file of the old system: {}",
                    source.outcome.name()
                ),
                Ok(source) => {
                    let why = source.detail.unwrap_or_default();
                    self.board.error("index", format!("{} was not imported: {why}", source.path));
                }
                Err(_) if self.board.is_stopping() => return,
                Err(fault) => {
                    self.board.error("index", format!("cannot import files of the old system: {}", fault.detail))
                }
            }
        }
    }

    /// One file, which is kept when it lies in one of our places. What is wrong with it is in the report; a fault is about us.
    async fn file(&self, path: PathBuf, place: Option<&'static str>) -> Result<LegacySource, Fault> {
        let mut report = self.rows(path).await?;
        // Last: from now on ours may take the name.
        if let (Some(place), Some(digest)) = (place, report.digest.clone()) {
            let data_dir = self.data_dir.clone();
            match blocking(move || original::keep(&data_dir, place, &digest)).await? {
                Ok(kept) => report.kept = kept,
                Err(error) => report.detail = Some(format!("no copy of it is kept: {error}")),
            }
            if report.kept {
                // The next snapshot takes the name.
                self.changed(|_| Ok(())).await?;
            }
        }
        Ok(report)
    }

    /// Its rows.
    async fn rows(&self, path: PathBuf) -> Result<LegacySource, Fault> {
        let (program, data_dir) = (self.program.clone(), self.data_dir.clone());
        let (report, taken) = blocking(move || read(&program, &data_dir, &path)).await?;
        let (Some(digest), LegacyOutcome::Imported) = (&report.digest, report.outcome) else { return Ok(report) };
        let wanted = digest.clone();
        let known = self.store.read(move |connection| keep::known(connection, &wanted)).await;
        if let Some(known) = known.map_err(|error| self.fault(&error))? {
            let detail = match known.source == report.path {
                true => "it was imported before, and has not changed".to_owned(),
                false => format!("its content was imported before, from {}", known.source),
            };
            return Ok(LegacySource {
                outcome: LegacyOutcome::Known,
                detail: Some(detail),
                form: Some(known.form),
                rows: known.rows,
                taken: known.taken,
                nulled: Vec::new(),
                refused: Vec::new(),
                ..report
            });
        }
        let (source, digest, form) = (report.path.clone(), digest.clone(), report.form.clone().unwrap_or_default());
        let import = Import { source, digest, form, rows: report.rows, taken, at: Timestamp::now() };
        self.changed(move |connection| keep::replace(connection, &import)).await?;
        Ok(report)
    }

    /// Has the writer do it, and snapshots made of what is then.
    async fn changed(
        &self,
        job: impl FnOnce(&Connection) -> Result<(), IndexError> + Send + 'static,
    ) -> Result<(), Fault> {
        let written = self.store.write(move |connection, state| job(connection).map(|()| state.changed()));
        written.await.map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &IndexError) -> Fault {
        index::fault::fault(&self.board, "index", "keep what was imported", error)
            .hint("nothing of this file was kept; import it again")
    }
}

/// The same place by its one path. A directory may be named by a link; a link in the place of a file is refused later.
fn located(path: PathBuf) -> PathBuf {
    let known = match (path.is_dir(), path.parent(), path.file_name()) {
        (true, ..) | (_, None, _) | (_, _, None) => path.canonicalize(),
        (false, Some(parent), Some(name)) => parent.canonicalize().map(|parent| parent.join(name)),
    };
    known.unwrap_or(path)
}

/// The files that a path stands for.
fn files(path: PathBuf) -> Result<Vec<PathBuf>, (FaultKind, String)> {
    let shown = path.display().to_string();
    let path = located(path);
    let metadata = path.symlink_metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => (FaultKind::NotFound, format!("{shown} does not exist")),
        ErrorKind::PermissionDenied => (FaultKind::Denied, format!("the daemon's account may not look at {shown}")),
        _ => (FaultKind::Invalid, format!("cannot look at {shown}: {error}")),
    })?;
    if !metadata.is_dir() {
        return Ok(vec![path]);
    }
    let there: Vec<_> =
        TREE.iter().map(|place| path.join(place)).filter(|file| file.symlink_metadata().is_ok()).collect();
    if there.is_empty() {
        let detail = format!("{shown} has none of the files of the old system, such as {}; name one file", TREE[0]);
        return Err((FaultKind::NotFound, detail));
    }
    Ok(there)
}

/// Removes what a killed process has left.
fn sweep(data_dir: &Path) {
    for entry in std::fs::read_dir(data_dir).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            // What stays is tried again at the next start.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Has a worker read a file, and judges its rows.
fn read(program: &Path, data_dir: &Path, path: &Path) -> (LegacySource, Vec<Taken>) {
    let mut reading = Reading::new(path);
    if let Err(why) = run(program, data_dir, path).and_then(|said| reading.hear(said)) {
        reading.fail(why);
    }
    reading.end()
}

fn run(program: &Path, data_dir: &Path, path: &Path) -> Result<File, String> {
    let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir_in(data_dir);
    let scratch = scratch.map_err(|error| format!("cannot make a directory for its reader: {error}"))?;
    let args = [worker::MODE.into(), path.into(), scratch.path().into()];
    command::apart(program, &args, scratch.path(), DEADLINE).map_err(|why| match why.contains("SIGXFSZ") {
        true => "it holds more than is taken from one file".to_owned(),
        false => format!("reading it failed: {why}"),
    })
}
