//! Follows the access logs of web servers: the configured ones, and what they were before they were rotated as far as that was not read
//! to its end. A log is read in pieces, and what it told is kept together with the place up to which it was read.

use super::health;
use super::log_file::{self, Chunk, LogError, LogFile};
use super::web_line::{self, Line};
use crate::analytics::actor::AnalyticsArgs;
use crate::fault::ask;
use crate::index::access::{AskCursor, Once, Seen, Told};
use crate::outside::Turns;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use proto_msgs::Fault;
use proto_msgs::access::{AccessSeen, AccessSource};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many lines that could not be understood, and none that could, are another format.
const STRANGE: u64 = 10;
/// Between two looks at a log that has nothing new.
const LOOK: Duration = Duration::from_secs(1);
/// After one that failed.
const RETRY: Duration = Duration::from_secs(5);
/// For one look at a file.
const DEADLINE: Duration = Duration::from_secs(30);
/// A web server writes to a log that was renamed until it is told of the new one, and longer where a request is under way.
const QUIET: Duration = Duration::from_secs(300);
/// Renamed logs that are read at a time.
const RENAMED: usize = 16;
/// Where nothing of a log is about content, the place up to which it was read is kept so often.
const KEEP: Duration = Duration::from_secs(60);
/// How far clocks may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The name of the cursor of a log, which `access import` uses, too.
pub fn cursor_of(digest: &str) -> String {
    format!("log {digest}")
}

/// What lines say, and how many of them say something else or nothing.
#[derive(Debug, Default)]
pub struct Read {
    /// Accesses.
    pub seen: Vec<Seen>,
    /// Lines about something else.
    pub others: u64,
    /// Lines that could not be understood.
    pub wrong: u64,
    /// The first of them.
    pub first_wrong: Option<String>,
}

/// Reads lines of a log. One that is from the future says nothing that can be trusted.
pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>, by: &Arc<str>, now: Timestamp) -> Read {
    let mut read = Read::default();
    let op: Arc<str> = Arc::from("get");
    let latest = now.checked_add(SKEW).unwrap_or(now);
    for line in lines {
        match web_line::read(line) {
            Line::Read(one) if one.at <= latest => read.seen.push(Seen {
                at: one.at,
                cid: one.named.cid,
                path: one.named.path,
                op: Some(op.clone()),
                bytes: one.bytes,
                offset: one.offset,
                source: AccessSource::Gateway,
                by: Some(by.clone()),
            }),
            Line::Other => read.others += 1,
            Line::Read(_) | Line::Wrong => {
                read.wrong += 1;
                read.first_wrong.get_or_insert_with(|| crate::fault::brief(line));
            }
        }
    }
    read
}

/// Follows what is configured, for as long as it is not dropped.
pub(super) async fn run(args: AnalyticsArgs) {
    let mut config = args.config.clone();
    loop {
        let logs = config.borrow_and_update().analytics.gateway_logs.clone();
        let all = Arc::new(All::default());
        let mut each: Vec<_> = (0..).zip(&logs).map(|(rank, path)| Follower::new(&args, &all, rank, path)).collect();
        // Before any of them is read, so that of two logs with one beginning the first is it after each start. What fails here fails again.
        let _ = tokio::time::timeout(RETRY, join_all(each.iter_mut().map(Follower::find))).await;
        let mut followers: FuturesUnordered<_> = each.into_iter().map(Follower::run).collect();
        loop {
            tokio::select! {
                Some(()) = followers.next() => {}
                changed = config.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    // What is followed already goes on: its open files may have no name any more.
                    if config.borrow_and_update().analytics.gateway_logs != logs {
                        break;
                    }
                }
            }
        }
    }
}

/// What the followers know of each other.
#[derive(Default)]
struct All {
    /// What is wrong with each log.
    errors: Mutex<BTreeMap<PathBuf, String>>,
    /// What each path names, in the order of the configuration.
    named: Mutex<BTreeMap<usize, (PathBuf, Arc<LogFile>)>>,
}

impl All {
    /// All that is wrong, after what is to be said of one.
    fn set(&self, path: &Path, error: Option<String>) -> Option<String> {
        let mut all = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) => drop(all.insert(path.to_owned(), error)),
            None => drop(all.remove(path)),
        }
        let first: Vec<&str> = all.values().take(3).map(String::as_str).collect();
        let more = all.len().saturating_sub(first.len());
        let more = if more > 0 { format!("; and {more} more logs") } else { String::new() };
        (!first.is_empty()).then(|| first.join("; ") + &more)
    }

    /// A path names another log now.
    fn name(&self, rank: usize, path: &Path, file: Arc<LogFile>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.insert(rank, (path.to_owned(), file));
    }

    /// The first path that names a log with the same beginning, where that is further ahead and another file.
    fn twin(&self, rank: usize, file: &LogFile) -> Option<PathBuf> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, (path, first)) = named.range(..rank).find(|(_, (_, other))| other.begins_as(file))?;
        (!first.is(file)).then(|| path.clone())
    }
}

/// One configured log.
struct Follower {
    args: AnalyticsArgs,
    all: Arc<All>,
    /// Its place in the configuration.
    rank: usize,
    path: PathBuf,
    by: Arc<str>,
    turns: Turns,
    /// Oldest first; the last one is what the path named at the last look.
    open: Vec<Reading>,
}

/// A log that is being read.
struct Reading {
    file: Arc<LogFile>,
    of: String,
    /// As it is kept.
    place: Option<String>,
    /// Where the next line begins.
    at: u64,
    /// When it last had something new.
    moved: Instant,
    /// When its place was kept last.
    kept: Instant,
    /// Lines that could not be understood, while none could.
    wrong: u64,
    /// Whether one could.
    understood: bool,
    /// A path that named another log of this beginning: both would read on from where either of them has come to, so this one is let be.
    twin: Option<PathBuf>,
}

/// What one look found.
struct Looked {
    /// What the path names now, where that is another log than before.
    new: Option<LogFile>,
    /// Logs that it may have named meanwhile.
    beside: Vec<LogFile>,
}

impl Follower {
    fn new(args: &AnalyticsArgs, all: &Arc<All>, rank: usize, path: &Path) -> Follower {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let by = Arc::from(&name[..name.floor_char_boundary(AccessSeen::WORD)]);
        let (args, all, path) = (args.clone(), all.clone(), path.to_owned());
        Follower { args, all, rank, path, by, turns: Turns::default(), open: Vec::new() }
    }

    async fn run(mut self) {
        loop {
            let (wrong, failed) = self.look().await;
            let whole = failed.is_none();
            let error = self.all.set(&self.path, failed);
            if whole {
                health::looked(&self.args.board, AccessSource::Gateway, wrong, error);
            } else {
                health::note(&self.args.board, AccessSource::Gateway, |report| report.wrong += wrong);
                health::failed(&self.args.board, AccessSource::Gateway, error);
            }
            tokio::time::sleep(if whole { LOOK } else { RETRY }).await;
        }
    }

    /// Reads everything that is new, as far as that goes; how many lines of it could not be understood, and the first thing that is wrong.
    async fn look(&mut self) -> (u64, Option<String>) {
        let (mut wrong, mut failed) = (0, self.find().await.err());
        let last = self.open.len().saturating_sub(1);
        for at in 0..self.open.len() {
            if let Some(twin) = self.twin(at) {
                // Of what is rotated it was told while it had the name.
                failed = failed.or(Some(twin).filter(|_| at == last));
                continue;
            }
            // A log that is being rotated has no name for a moment, and is there all the same; and one that was rotated and cannot be
            // read any more is no reason to leave the others.
            match self.read(at).await {
                Ok(lines) => wrong += lines,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed = failed.or_else(|| self.strange());
        let mut at = 0;
        self.open.retain(|log| {
            at += 1;
            at > last || log.moved.elapsed() < QUIET
        });
        (wrong, failed)
    }

    /// That the newest log is in no format that is understood.
    fn strange(&self) -> Option<String> {
        let log = self.open.last().filter(|log| !log.understood && log.wrong >= STRANGE)?;
        let path = self.path.display();
        Some(format!("{path} is in no known format: none of {} lines could be understood", log.wrong))
    }

    /// Why a log is let be, where another path further ahead names one with the same beginning.
    fn twin(&mut self, which: usize) -> Option<String> {
        let log = self.open.get_mut(which)?;
        log.twin = log.twin.take().or_else(|| self.all.twin(self.rank, &log.file));
        let (path, twin) = (self.path.display(), log.twin.as_ref()?.display());
        Some(format!("{path} is not followed: its first line, by which a log is known, is the same as that of {twin}"))
    }

    /// Finds out what the path names now.
    async fn find(&mut self) -> Result<(), String> {
        let (path, known) = (self.path.clone(), self.open.last().map(|log| log.file.clone()));
        let found = self.turns.take(DEADLINE, move || look(&path, known.as_deref())).await;
        let found = found.map_err(|error| format!("{}: {error}", self.path.display()))?;
        let Looked { new, beside } = found.map_err(|error| error.to_string())?;
        for file in beside {
            if self.open.len() < RENAMED && !self.open.iter().any(|log| log.file.is(&file)) {
                let reading = self.begin(file).await?;
                // What nobody has begun to read is for whoever wants to import it.
                if reading.place.is_some() {
                    self.open.push(reading);
                }
            }
        }
        if let Some(file) = new {
            let reading = self.begin(file).await?;
            self.all.name(self.rank, &self.path, reading.file.clone());
            self.open.retain(|log| !log.file.is(&reading.file));
            self.open.push(reading);
            let first = self.open.len().saturating_sub(RENAMED);
            self.open.drain(..first);
        }
        Ok(())
    }

    /// Begins to read a log where it was read up to.
    async fn begin(&self, file: LogFile) -> Result<Reading, String> {
        let of = cursor_of(file.digest());
        let cursor = ask(&self.args.index, AskCursor(of.clone())).await.map_err(|fault: Fault| fault.detail)?;
        if let Some(cursor) = &cursor {
            health::since(&self.args.board, AccessSource::Gateway, cursor.since);
        }
        let place = cursor.map(|cursor| cursor.place);
        let at = place.as_deref().and_then(|place| place.parse().ok()).unwrap_or(0);
        let now = Instant::now();
        Ok(Reading {
            file: Arc::new(file),
            of,
            place,
            at,
            moved: now,
            kept: now,
            wrong: 0,
            understood: false,
            twin: None,
        })
    }

    /// Reads one log to its end; how many lines could not be understood.
    async fn read(&mut self, which: usize) -> Result<u64, String> {
        let mut wrong = 0;
        loop {
            let Some(log) = self.open.get(which) else { return Ok(wrong) };
            let (file, at) = (log.file.clone(), log.at);
            let chunk = self.turns.take(DEADLINE, move || file.read(at)).await;
            let chunk = chunk.map_err(|error| format!("{}: {error}", self.path.display()))?;
            // One that was emptied is another log; what it is now the next look finds.
            let Some(chunk) = chunk.map_err(|error: io::Error| format!("{}: {error}", self.path.display()))? else {
                return Ok(wrong);
            };
            let more = chunk.more;
            wrong += self.take(which, chunk).await?;
            if !more {
                return Ok(wrong);
            }
        }
    }

    /// Tells what a piece says.
    async fn take(&mut self, which: usize, chunk: Chunk) -> Result<u64, String> {
        let by = self.by.clone();
        let Some(log) = self.open.get_mut(which) else { return Ok(0) };
        if chunk.to == log.at && log.place.is_some() {
            return Ok(0);
        }
        let (to, long) = (chunk.to, chunk.long);
        // Judged on a thread of its own: some thousand lines take some milliseconds.
        let read = crate::fault::blocking(move || read(chunk.lines.iter().map(String::as_str), &by, Timestamp::now()));
        let Read { seen, wrong, others, .. } = read.await.map_err(|fault| fault.detail)?;
        log.understood |= !seen.is_empty() || others > 0;
        log.wrong += wrong + long;
        if to != log.at {
            log.moved = Instant::now();
        }
        // What is about nothing of ours is read again after a restart, and counts as little then.
        if seen.is_empty() && log.place.is_some() && log.kept.elapsed() < KEEP {
            log.at = to;
            return Ok(wrong + long);
        }
        let first = seen.iter().map(|seen| seen.at).min();
        let once = Once::Cursor { of: log.of.clone(), from: log.place.clone(), to: to.to_string() };
        let told = Told { seen, once: Some(once) };
        let kept = self.args.recorder.record(told, true).await.map_err(|fault| fault.detail)?;
        if kept.repeated {
            // Somebody has imported it meanwhile.
            let cursor = ask(&self.args.index, AskCursor(log.of.clone())).await.map_err(|fault: Fault| fault.detail)?;
            log.place = cursor.map(|cursor| cursor.place);
            log.at = log.place.as_deref().and_then(|place| place.parse().ok()).unwrap_or(0);
            return Ok(0);
        }
        (log.place, log.at, log.kept) = (Some(to.to_string()), to, Instant::now());
        health::since(&self.args.board, AccessSource::Gateway, first.unwrap_or_else(Timestamp::now));
        Ok(wrong + long)
    }
}

/// What the path names, and what it may have named before.
fn look(path: &Path, known: Option<&LogFile>) -> Result<Looked, LogError> {
    let none = Looked { new: None, beside: Vec::new() };
    let Some(file) = LogFile::open(path)? else { return Ok(none) };
    if known.is_some_and(|known| known.is(&file)) {
        return Ok(none);
    }
    let beside = log_file::beside(path);
    Ok(Looked { new: Some(file), beside })
}

#[cfg(test)]
mod tests;
