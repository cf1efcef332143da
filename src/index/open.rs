//! How the index file is opened: once, under a claim on its directory that lasts as long as the handle. A damaged file is
//! moved aside, never deleted, and a new one made; a file that is in use, newer than this program, or merely out of reach is
//! left as it is.

use super::access::known::Known;
use super::apply::State;
use super::damage;
use super::journal::{self, Journal};
use super::marks::Marks;
use super::migrate;
use super::recover;
use super::rows;
use super::schema;
use super::set::{Entry, Keyed, PinSet, Sums};
use crate::cid::{Cid, Key, text};
use crate::instance::{self, Claim, InstanceError};
use crate::snapshot::atomic;
use crate::snapshot::place::Place;
use arrow_array::StructArray;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use duckdb::{Connection, Statement};
use jiff::Timestamp;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

const FILE: &str = "pins.duckdb";
/// Batches of rows that wait to be hashed.
const AHEAD: usize = 4;

/// Why the index cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its directory is in use, perhaps by this very process, or not safe to use.
    #[error("cannot claim the directory of the index")]
    Claim(#[from] InstanceError),
    /// Another process has it open.
    #[error("the index {path} is open in another process: {detail}")]
    Locked {
        /// The file.
        path: PathBuf,
        /// DuckDB's words, which name the process.
        detail: String,
    },
    /// Made by a newer version; nothing was changed.
    #[error(
        "the index {path} was made by a newer version: {detail}; use that version, or give this one another data dir"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// What is newer.
        detail: String,
    },
    /// The file system or the machine refuses; the file may be sound.
    #[error("cannot open the index {path}: {detail}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// DuckDB's words.
        detail: String,
    },
    /// The file is damaged. [`open`] moves it aside; this shows when even a new one is.
    #[error("the index {path} is damaged: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Something else failed.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl OpenError {
    /// Whether a restart of this version cannot help.
    pub fn needs_newer_version(&self) -> bool {
        matches!(self, OpenError::Newer { .. })
    }
}

/// An open index, and the claim that is to be held until the last connection is closed.
pub(super) fn open(dir: &Path, journal: &Path, snapshots: &Path) -> Result<(Connection, State, Claim), OpenError> {
    let claim = instance::claim(dir)?;
    let path = dir.join(FILE);
    let mut lost = None;
    let noted =
        damage::noted(dir).map_err(|source| OpenError::Io { action: "read what is noted of damage", source })?;
    if let Some(why) = noted {
        lost = Some(format!("the index was damaged ({why}); it was moved to {}", move_aside(dir)?.display()));
    } else if !path.exists() && wal(&path).exists() {
        // DuckDB would delete it.
        lost = Some(format!("the index file was gone; its log was moved to {}", move_aside(dir)?.display()));
    }
    let old = migrate::kept(&path);
    let opened = match open_file(&path, journal, snapshots, lost) {
        Err(OpenError::Damaged { detail, .. }) => {
            let first = detail.lines().next().unwrap_or_default();
            tracing::error!("the index is damaged: {detail}");
            let lost = format!("the index was damaged ({first}); it was moved to {}", move_aside(dir)?.display());
            open_file(&path, journal, snapshots, Some(lost))
        }
        opened => opened,
    };
    let (connection, state) = opened?;
    // This file was opened before, and now once more.
    migrate::forget(&old);
    Ok((connection, state, claim))
}

/// Where DuckDB keeps what is not yet in the file.
pub(super) fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".wal");
    name.into()
}

/// `lost` says what became of the file before.
fn open_file(
    path: &Path,
    journal: &Path,
    snapshots: &Path,
    lost: Option<String>,
) -> Result<(Connection, State), OpenError> {
    let named = |error: duckdb::Error| classify(path, &error.to_string());
    let damaged = |detail| OpenError::Damaged { path: path.to_owned(), detail };
    for file in [path, &wal(path)] {
        // DuckDB would wait for who is at the other end of a pipe, and follow a link.
        match file.symlink_metadata() {
            Ok(found) if !found.is_file() => return Err(damaged(format!("{} is no regular file", file.display()))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Unreadable { path: file.to_owned(), detail: error.to_string() });
            }
            _ => {}
        }
    }
    let connection = schema::open(path, &path.with_file_name("tmp")).map_err(named)?;
    let version = schema::version(&connection).map_err(named)?;
    let mut recovery = None;
    match version {
        None => recovery = recover::create(&connection, path, &Place::at(snapshots), lost)?,
        Some(schema::VERSION) => {}
        Some(version) if version > schema::VERSION => {
            let detail = format!("its tables have version {version}, this program knows {}", schema::VERSION);
            // Closed, it would be checkpointed. The process ends without a change.
            std::mem::forget(connection);
            return Err(OpenError::Newer { path: path.to_owned(), detail });
        }
        Some(version) => {
            connection.close().map_err(|(_, error)| named(error))?;
            if !migrate::migrate(path, version)? {
                return Err(damaged(format!("its tables have the unknown version {version}")));
            }
            return open_file(path, journal, snapshots, lost);
        }
    }
    let mut meta = schema::read_meta(&connection).map_err(named)?;
    if let Some(newer) = recover::newer(&Place::at(snapshots), &meta) {
        return Err(damaged(format!("it ends with generation {}, and the snapshot {newer} has more", meta.generation)));
    }
    let keyed = Keyed::random();
    let set = load(&connection, &keyed).map_err(named)?.map_err(damaged)?;
    // Not before: what a newer version has made is left as it is, the journal too.
    let journal = Journal::open(journal, journal::FLOOR);
    let (marks, told) = Marks::recover(&connection, journal, &mut meta, version.is_none()).map_err(named)?;
    let accesses = Known::load(&connection, &keyed).map_err(named)?;
    let recovery = [recovery, told].into_iter().flatten().reduce(|all, text| format!("{all}; {text}"));
    let home = Home::of(path).map_err(|source| OpenError::Io { action: "look at the index file", source })?;
    Ok((connection, State::new(keyed, set, &meta, (marks, accesses), recovery, home)))
}

/// The file that DuckDB has open, by which it is known again.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    identity: (u64, u64),
}

impl Home {
    /// The file that has this name now.
    pub(super) fn of(path: &Path) -> io::Result<Home> {
        let found = std::fs::metadata(path)?;
        Ok(Home { path: path.to_owned(), identity: (found.dev(), found.ino()) })
    }

    /// What has become of it, if it does not have its name any more: what is written into it now, nobody will find.
    pub(super) fn lost(&self) -> Option<String> {
        let gone = match std::fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => return None,
            Ok(_) => "another file was put in its place",
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                "it was taken away"
            }
            // Not to be reached for the moment; DuckDB will say so, too.
            Err(_) => return None,
        };
        Some(format!("{}: {gone} while it was in use", self.path.display()))
    }
}

/// What DuckDB says when there is no room.
const FULL: &[&str] = &["No space left", "Disk quota"];
/// What it says of damage, and of which errors: in others there may be words of whoever asked.
const DAMAGE: &[&str] = &[
    "orrupt database file",
    "Corrupted ",
    "appears to be corrupted",
    "Data corruption",
    "Could not read enough bytes",
];
const TELLING: &[&str] = &["IO Error", "INTERNAL Error", "FATAL Error", "Serialization Error"];
/// Of files that are no part of the index.
const ELSEWHERE: &[&str] = &["temporary file", "duckdb_temp"];

fn says(detail: &str, words: &[&str]) -> bool {
    words.iter().any(|word| detail.contains(word))
}

/// Whether what DuckDB has stored does not read as it was written. Never when the machine refuses.
pub(super) fn is_damage(detail: &str) -> bool {
    let telling = TELLING.iter().any(|kind| detail.starts_with(kind));
    telling && says(detail, DAMAGE) && !says(detail, ELSEWHERE) && !says(detail, REFUSED) && !says(detail, FULL)
}

/// Whether there is no room.
pub(super) fn is_full(error: &duckdb::Error) -> bool {
    says(&error.to_string(), FULL)
}

const NEWER: &[&str] = &["we can only read versions", "newer version of DuckDB"];
const REFUSED: &[&str] = &[
    "Cannot open file",
    "Cannot open directory",
    "Permission denied",
    "Too many open files",
    "Read-only file system",
    "Input/output error",
    "Out of Memory",
    "Cannot allocate memory",
];

/// Tells the kinds of refusal apart by DuckDB's own words, which is all that it gives. What it says nothing special about is
/// damage: then the daemon starts, and the file is kept for whoever knows better.
pub(super) fn classify(path: &Path, detail: &str) -> OpenError {
    let (path, detail) = (path.to_owned(), detail.to_owned());
    if says(&detail, &["Conflicting lock"]) {
        OpenError::Locked { path, detail }
    } else if says(&detail, NEWER) {
        OpenError::Newer { path, detail }
    } else if says(&detail, REFUSED) || says(&detail, FULL) {
        OpenError::Unreadable { path, detail }
    } else {
        OpenError::Damaged { path, detail }
    }
}

/// Reads the set; the inner error says what no sound index has. Rows come as a stream, since all at once would take memory twice,
/// and every processor hashes them, which is most of the work.
pub(super) fn load(connection: &Connection, keyed: &Keyed) -> duckdb::Result<Result<PinSet, String>> {
    let mut statement = connection.prepare("SELECT id, cid, type, name FROM pins")?;
    // The iterator would panic at an error; `step` returns it.
    drop(statement.stream_arrow([])?);
    let (send, batches) = mpsc::sync_channel::<StructArray>(AHEAD);
    // The workers' alone, so that nothing is sent in vain when all of them have ended.
    let batches = Arc::new(Mutex::new(batches));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let parts = thread::scope(|scope| {
        let workers = (0..threads).map(|_| {
            let batches = batches.clone();
            scope.spawn(move || {
                let next = || batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let (mut entries, mut sums) = (Vec::new(), Sums::default());
                while let Ok(rows) = next() {
                    add_rows(&rows, keyed, &mut entries, &mut sums)?;
                }
                Ok((entries, sums))
            })
        });
        let workers: Vec<_> = workers.collect();
        drop(batches);
        let read = read(&mut statement, send);
        let panicked = |_| Err("reading its pins panicked".to_owned());
        let parts = workers.into_iter().map(|worker| worker.join().unwrap_or_else(panicked));
        let parts: Result<Vec<_>, String> = parts.collect();
        read.map(|()| parts)
    })?;
    let parts = match parts {
        Ok(parts) => parts,
        Err(why) => return Ok(Err(why)),
    };
    let sums = parts.iter().fold(Sums::default(), |all, (_, sums)| all.plus(sums));
    let mut entries = Vec::with_capacity(parts.iter().map(|(entries, _)| entries.len()).sum());
    parts.into_iter().for_each(|(part, _)| entries.extend(part));
    entries.sort_unstable_by_key(Entry::key);
    if let Some(twice) = entries.windows(2).find(|pair| pair[0].key() == pair[1].key()) {
        return Ok(Err(format!("rows {} and {} have the same CID", twice[0].id(), twice[1].id())));
    }
    Ok(Ok(PinSet::from_sorted(entries, sums)))
}

fn read(statement: &mut Statement<'_>, send: mpsc::SyncSender<StructArray>) -> duckdb::Result<()> {
    // Nobody takes any more rows once all workers have met a bad one.
    while let Some(rows) = statement.step()?
        && send.send(rows).is_ok()
    {}
    Ok(())
}

fn add_rows(rows: &StructArray, keyed: &Keyed, entries: &mut Vec<Entry>, sums: &mut Sums) -> Result<(), String> {
    let strange = || "its pins are not the columns that they should be".to_owned();
    let ids = rows.column(0).as_primitive_opt::<Int64Type>().ok_or_else(strange)?;
    let cids = rows.column(1).as_binary_opt::<i32>().ok_or_else(strange)?;
    let types = rows.column(2).as_primitive_opt::<UInt8Type>().ok_or_else(strange)?;
    let names = rows.column(3).as_string_opt::<i32>().ok_or_else(strange)?;
    for (((id, cid), pin_type), name) in ids.values().iter().zip(cids).zip(types.values()).zip(names) {
        let cid = cid.and_then(|bytes| Cid::try_from(bytes).ok()).ok_or_else(|| format!("row {id} has no CID"))?;
        let pin_type = rows::pin_type(*pin_type);
        sums.add(keyed, &text(&cid), pin_type, name);
        entries.push(Entry::new(Key::of(&cid), pin_type, id.cast_unsigned(), keyed.name_hash(name)));
    }
    Ok(())
}

/// Moves the file and what DuckDB keeps beside it into a directory of their own. The file goes first: a log without it is seen for
/// what it is, while a file without its log would pass for a whole one.
fn move_aside(dir: &Path) -> Result<PathBuf, OpenError> {
    let io = |action| move |source| OpenError::Io { action, source };
    let aside = dir.join(format!("damaged-{}", Timestamp::now().as_microsecond()));
    std::fs::create_dir(&aside).map_err(io("make a place for the damaged index"))?;
    let names = std::fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
    let mut names = names.map_err(io("list the index directory"))?;
    names.retain(|name| name.to_string_lossy().starts_with(FILE));
    names.sort();
    // Last, so that whoever is killed here does it again.
    names.extend(dir.join(damage::NOTE).is_file().then(|| damage::NOTE.into()));
    for name in names {
        std::fs::rename(dir.join(&name), aside.join(&name)).map_err(io("move the damaged index aside"))?;
    }
    atomic::sync_parent(&aside.join(FILE))
        .and_then(|()| atomic::sync_parent(&aside))
        .map_err(io("sync the index directory"))?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_store_itself_says_of_its_own_file_is_damage() {
        for (detail, expected) in [
            ("IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2", true),
            (
                "IO Error: Could not read enough bytes from file \"x\": attempted to read 4096 bytes from location 0",
                true,
            ),
            (
                "FATAL Error: Failed: database has been invalidated because of a previous fatal error. \
Original error: \"IO Error: Corrupt database file: x\"",
                true,
            ),
            ("INTERNAL Error: Bitpacking offset is out of range at block \"7\" - corrupt database file", true),
            ("Invalid Input Error: missing ): (Corrupt database file", false),
            ("Conversion Error: Could not convert string 'IO Error: Corrupt database file'", false),
            ("IO Error: Corrupt temporary file: compressed block claims 7 bytes", false),
            ("IO Error: Could not read enough bytes from file \"duckdb_temp_storage\"", false),
            ("IO Error: Could not read from file \"/corrupt/x\": Input/output error", false),
            ("IO Error: Could not write file \"/corrupt/x\": No space left on device", false),
            ("Out of Memory Error: failed to allocate data of size 256.0 KiB", false),
        ] {
            assert_eq!(is_damage(detail), expected, "{detail}");
        }
    }

    #[test]
    fn refusals_are_told_apart_by_duckdbs_words() {
        let kind = |detail| match classify(Path::new("x"), detail) {
            OpenError::Locked { .. } => "locked",
            OpenError::Newer { .. } => "newer",
            OpenError::Unreadable { .. } => "unreadable",
            OpenError::Damaged { .. } => "damaged",
            _ => "other",
        };
        let cases = [
            ("IO Error: Could not set lock on file \"x\": Conflicting lock is held in /bin/duckdb (PID 7)", "locked"),
            (
                "IO Error: Trying to read a database file with version number 69, but we can only read versions between 64 and 68",
                "newer",
            ),
            ("IO Error: Cannot open file \"x\": Permission denied", "unreadable"),
            ("IO Error: Could not write file \"x\": No space left on device", "unreadable"),
            ("Out of Memory Error: could not allocate block", "unreadable"),
            ("IO Error: Corrupt database file: computed checksum 1 does not match stored checksum 2", "damaged"),
        ];
        for (detail, expected) in cases {
            assert_eq!(kind(detail), expected, "{detail}");
        }
    }
}
