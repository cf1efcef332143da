//! The journal of marks: what people said, on disk before they are answered, and enough by itself to bring every mark back.
//!
//! One file, only ever appended to, until it is written anew from its own newest records ([`Journal::compact`]). It is owned by
//! the index's writer. Nothing that may have been acknowledged is ever deleted: what cannot be read is moved to
//! `damaged-<time>.log` beside it. After an error the file is put back to where it was good, or nothing more is taken until the
//! next start; a descriptor whose `fdatasync` failed is not used again, since its pages may be gone although a second try succeeds.

mod look;

use self::look::{Found, Spoilt, look};
use super::mark::Mark;
use super::record::{self, Entry, Next, Reader, Record};
use crate::cid::Key;
use crate::snapshot::atomic;
use crate::{fault, instance};
use jiff::Timestamp;
use nix::libc;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Below this size it is never written anew.
pub const FLOOR: u64 = 8 << 20;
/// It is written anew when it is so many times as long as it was after the last time.
const GROWTH: u64 = 4;
/// Of what is damaged, so many things are told.
const TOLD: usize = 3;
const FILE: &str = "marks.log";

/// Why a mark is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file could not be written, and is as it was before.
    #[error("the journal in {dir} cannot be written: {error}")]
    Write {
        /// Its directory.
        dir: PathBuf,
        /// What the kernel says.
        error: io::Error,
    },
    /// What is in it could not be read or written anew.
    #[error("the journal cannot be read or written anew: {0}")]
    Whole(io::Error),
    /// It could not be put right after an error.
    #[error("the journal in {dir} takes nothing more until the daemon is started again: {why}")]
    Closed {
        /// Its directory.
        dir: PathBuf,
        /// What happened.
        why: String,
    },
}

impl JournalError {
    /// Whether room on the disk would help.
    pub fn wants_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, JournalError::Write { error, .. } | JournalError::Whole(error)
            if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }
}

/// The journal, open.
pub struct Journal {
    dir: PathBuf,
    floor: u64,
    file: Option<File>,
    epoch: u64,
    seq: u64,
    end: u64,
    /// It is written anew when it is longer than this.
    limit: u64,
    /// From this record on it holds everything that counts.
    compacted: Option<u64>,
    spoilt: bool,
    closed: Option<String>,
    report: Option<String>,
}

impl Journal {
    /// Opens what is in this directory, and mends it; `floor` is [`FLOOR`]. It always opens: one that cannot be mended takes
    /// nothing, and says why.
    pub fn open(dir: &Path, floor: u64) -> Journal {
        let mut journal = Journal {
            dir: dir.to_owned(),
            floor,
            file: None,
            epoch: 1,
            seq: 0,
            end: 0,
            limit: floor,
            compacted: None,
            spoilt: false,
            closed: None,
            report: None,
        };
        if let Err(error) = journal.recover() {
            let why = format!("it could not be opened: {error}");
            tracing::error!("the journal in {} takes no marks: {why}", dir.display());
            journal.report(format!("the journal of marks takes none until the next start: {why}"));
            journal.closed = Some(why);
        }
        journal
    }

    /// The sequence of the newest record; 0 before the first.
    pub fn last(&self) -> u64 {
        self.seq
    }

    /// The record from which on it holds all that was said, whatever was said before: blank marks are not written anew.
    pub fn compacted(&self) -> Option<u64> {
        self.compacted
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// Reads all of it; `Err` says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.admit().map_err(|error| error.to_string())?;
        let Some(file) = &self.file else { return Ok(()) };
        let found = look(file).map_err(|error| format!("the journal cannot be read: {error}"))?;
        if let Some(Spoilt { why, .. }) = found.spoilt.first() {
            return Err(format!("the journal is damaged: {why}"));
        }
        match found.tail {
            Next::End if (found.seq, found.end) == (self.seq, self.end) => Ok(()),
            Next::End => Err(format!("the journal ends with record {} instead of {}", found.seq, self.seq)),
            other => Err(format!("the journal is damaged behind record {}: {other:?}", found.seq)),
        }
    }

    /// Refuses when it takes nothing more.
    pub fn admit(&self) -> Result<(), JournalError> {
        match self.closed.clone() {
            Some(why) => Err(JournalError::Closed { dir: self.dir.clone(), why }),
            None => Ok(()),
        }
    }

    /// Takes nothing more until the next start.
    pub fn close(&mut self, why: String) {
        tracing::error!("the journal in {} takes no marks: {why}", self.dir.display());
        self.closed = Some(why);
    }

    /// Why it takes no marks, if it takes none.
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// Whether a record in it does not say any more what it said; to be written anew from who knows.
    pub fn is_spoilt(&self) -> bool {
        self.spoilt
    }

    /// What was done about damage, once.
    pub fn take_report(&mut self) -> Option<String> {
        self.report.take()
    }

    fn report(&mut self, text: String) {
        self.report = Some(self.report.take().map_or_else(|| text.clone(), |before| format!("{before}; {text}")));
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn recover(&mut self) -> io::Result<()> {
        instance::private_dir(&self.dir, false).map_err(|error| io::Error::other(fault::chain(&error)))?;
        atomic::sweep(&self.dir);
        let path = self.path();
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(found) if !found.is_file() => {
                let aside = self.aside();
                fs::rename(&path, &aside)?;
                atomic::sync_dir(&self.dir)?;
                self.report(format!("the journal of marks was no file; it was moved to {}", aside.display()));
                return Ok(());
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let file = open(&path)?;
        let found = look(&file)?;
        // Known also when it cannot be mended: what is good of it still counts.
        self.follow(&found);
        // No journal gets there by being written to; and what is written now is to be read again.
        if found.epoch.max(found.seq) > record::HIGHEST / 2 {
            return Err(io::Error::other(format!(
                "record {} of epoch {}: its numbers are used up",
                found.seq, found.epoch
            )));
        }
        self.epoch = found.epoch + 1;
        let length = file.metadata()?.len();
        if let Some(text) = self.put_aside(&file, &found, length)? {
            tracing::error!("{text}");
            self.report(text);
        } else if length > found.end {
            let bytes = length - found.end;
            tracing::warn!(bytes, after = found.seq, "cut off what a crash had left of an unfinished mark");
        }
        if length > found.end {
            cut(&file, found.end)?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Keeps the bytes of what is damaged; says what it was.
    fn put_aside(&self, file: &File, found: &Found, length: u64) -> io::Result<Option<String>> {
        let records = found.spoilt.iter().map(|spoilt| (spoilt.offset, spoilt.length, &spoilt.why));
        let tail = match &found.tail {
            Next::Damaged(why) => Some((found.end, length - found.end, why)),
            _ => None,
        };
        let parts: Vec<_> = records.chain(tail).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let aside = self.aside();
        atomic::replace_with(&aside, 0o600, |mut out| {
            let mut file = file;
            parts.iter().try_for_each(|(offset, length, _)| {
                file.seek(SeekFrom::Start(*offset))?;
                io::copy(&mut file.take(*length), &mut out).map(drop)
            })
        })?;
        let why: Vec<_> = parts.iter().take(TOLD).map(|(.., why)| why.as_str()).collect();
        let more = if parts.len() > TOLD { ", …" } else { "" };
        let what = match (found.spoilt.len(), tail) {
            (0, _) => format!("what follows record {} was", found.seq),
            (1, None) => "this record was".to_owned(),
            (n, None) => format!("these {n} records were"),
            (n, Some(_)) => format!("{n} of its records, and what follows record {}, were", found.seq),
        };
        let (why, aside) = (why.join(", "), aside.display());
        Ok(Some(format!("the journal of marks was damaged ({why}{more}); {what} moved to {aside}")))
    }

    /// Takes over where the file stands.
    fn follow(&mut self, found: &Found) {
        (self.seq, self.end, self.compacted) = (found.seq, found.end, found.compacted);
        self.spoilt = !found.spoilt.is_empty();
        self.limit = self.floor.max(GROWTH * found.base);
    }

    fn aside(&self) -> PathBuf {
        self.dir.join(format!("damaged-{}.log", Timestamp::now().as_microsecond()))
    }

    /// Records a mark; when this returns, it is on disk under the sequence that it answers. After an error it is not recorded,
    /// unless the journal is closed: then the next start knows.
    pub fn append(&mut self, mark: &Mark) -> Result<u64, JournalError> {
        self.admit()?;
        let seq = self.seq + 1;
        let bytes = record::encode(self.epoch, seq, &record::mark(mark));
        match self.write(&bytes) {
            Ok(()) => {
                (self.seq, self.end) = (seq, self.end + bytes.len() as u64);
                Ok(seq)
            }
            Err(error) => {
                tracing::warn!(%error, "a mark could not be recorded");
                self.put_right(Some(self.end));
                match self.closed.clone() {
                    Some(why) => Err(JournalError::Closed { dir: self.dir.clone(), why: format!("{error}; {why}") }),
                    None => Err(JournalError::Write { dir: self.dir.clone(), error }),
                }
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let path = self.path();
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = create(&path)?;
                atomic::sync_dir(&self.dir)?;
                // The directory itself may be new.
                atomic::sync_parent(&self.dir)?;
                none.insert(file)
            }
        };
        // A file that has lost its name would take everything and keep nothing.
        let (named, ours) = (fs::symlink_metadata(&path)?, file.metadata()?);
        if (named.dev(), named.ino()) != (ours.dev(), ours.ino()) {
            return Err(io::Error::other("another file was put in its place"));
        }
        file.write_all_at(bytes, self.end)?;
        file.sync_data()
    }

    /// After an error: a new descriptor, cut to where all was good if that is known, read again, and synced. If that fails,
    /// nothing more is taken.
    fn put_right(&mut self, end: Option<u64>) {
        self.file = None;
        let again = || {
            let file = match open(&self.path()) {
                // The first mark did not even make the file.
                Err(error) if error.kind() == io::ErrorKind::NotFound && end == Some(0) => return Ok(None),
                file => file?,
            };
            if let Some(end) = end {
                file.set_len(end)?;
            }
            let found = look(&file)?;
            if found.tail != Next::End || found.seq < self.seq {
                return Err(io::Error::other(format!("its records end with {} instead of {}", found.seq, self.seq)));
            }
            file.sync_data()?;
            atomic::sync_dir(&self.dir)?;
            Ok(Some((file, found)))
        };
        match again() {
            Ok(Some((file, found))) => {
                self.follow(&found);
                self.file = Some(file);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "the journal takes no marks until the next start");
                self.closed = Some(format!("it could not be read again after an error: {error}"));
            }
        }
    }

    /// Gives every mark after this sequence, in order; the newest of a CID is the one that counts.
    pub fn replay<E: From<io::Error>>(
        &self,
        after: u64,
        mut take: impl FnMut(u64, Mark) -> Result<(), E>,
    ) -> Result<(), E> {
        read(&self.path(), self.end, |record| match record.entry {
            Entry::Mark(mark) if record.seq > after => take(record.seq, mark),
            _ => Ok(()),
        })
    }

    /// Whether it has grown so much that it is to be written anew.
    pub fn is_large(&self) -> bool {
        self.end > self.limit && self.closed.is_none()
    }

    /// Writes it anew from the newest record of each CID, at once and as a whole. The records get new numbers.
    pub fn compact(&mut self) -> io::Result<()> {
        // 44 bytes a mark, while this goes on.
        let mut newest: HashMap<Key, u64> = HashMap::new();
        let mut others = 0;
        let (path, end) = (self.path(), self.end);
        read(&path, end, |record| {
            match record.entry {
                Entry::Mark(mark) if mark.is_blank() => drop(newest.remove(&Key::of(&mark.cid))),
                Entry::Mark(mark) => drop(newest.insert(Key::of(&mark.cid), record.seq)),
                Entry::Other => others += 1,
                Entry::Compacted { .. } => {}
            }
            io::Result::Ok(())
        })?;
        let records = newest.len() as u64 + others;
        self.renew(self.seq, records, |put| {
            read(&path, end, |record| {
                let counts = match &record.entry {
                    Entry::Mark(mark) => newest.get(&Key::of(&mark.cid)) == Some(&record.seq),
                    Entry::Other => true,
                    Entry::Compacted { .. } => false,
                };
                if counts { put(&record.payload) } else { Ok(()) }
            })
        })
    }

    /// Puts a new file in its place, with so many records after sequence `after`: those that `fill` gives.
    pub fn renew(
        &mut self,
        after: u64,
        records: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (epoch, mut seq) = (self.epoch, after);
        let renewed = atomic::replace_with(&self.path(), 0o600, |file| {
            let mut out = BufWriter::new(file);
            let mut put = |payload: &[u8]| {
                seq += 1;
                out.write_all(&record::encode(epoch, seq, payload))
            };
            put(&record::compacted(records))?;
            fill(&mut put)?;
            out.flush()
        });
        // Whichever file is there now is the one to go on with.
        self.put_right(None);
        if renewed.is_err() {
            // Not again at once.
            self.limit = 2 * self.end.max(self.floor);
        }
        // What is there now may not be what was written.
        renewed.and_then(|()| self.closed.clone().map_or(Ok(()), |why| Err(io::Error::other(why))))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options
}

fn open(path: &Path) -> io::Result<File> {
    options().open(path)
}

fn create(path: &Path) -> io::Result<File> {
    options().create_new(true).open(path)
}

fn cut(file: &File, end: u64) -> io::Result<()> {
    file.set_len(end)?;
    file.sync_data()
}

/// Reads again what was found good.
fn read<E: From<io::Error>>(path: &Path, end: u64, mut take: impl FnMut(Record) -> Result<(), E>) -> Result<(), E> {
    if end == 0 {
        return Ok(());
    }
    let mut reader = Reader::new(open(path)?.take(end));
    loop {
        match reader.read_one()? {
            Next::Record(record) => take(record)?,
            Next::Spoilt { .. } => {}
            Next::End | Next::Torn | Next::Damaged(_) => break,
        }
    }
    let whole = reader.offset() == end;
    if whole { Ok(()) } else { Err(io::Error::other("the journal does not read as it was written").into()) }
}
