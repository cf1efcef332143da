//! The threads that own the index file: one writer and two readers on clones of the one handle.
//!
//! They are as old as the process. Jobs are closures; each is answered by a oneshot, a panic in one is an error of that job
//! alone, and a read whose asker has gone is interrupted. The writer's [`State`] (set, meta, what was touched) changes only
//! after a commit and is published at once, so a restarted index actor has nothing to restore.

use super::apply::State;
use super::schema::{self, Meta};
use super::set::{Entry, Keyed, PinSet, Sums};
use crate::board::IndexState;
use crate::cid::{self, Key};
use ::cid::Cid;
use duckdb::{Connection, InterruptHandle};
use jiff::Timestamp;
use proto_msgs::pin::PinType;
use proto_msgs::{Fault, FaultKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use std::{io, thread};
use tokio::sync::{oneshot, watch};

const FILE: &str = "pins.duckdb";
const READERS: usize = 2;
/// Jobs that wait for a thread.
const QUEUE: usize = 64;

/// Why the index cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
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
    /// The file system refuses.
    #[error("cannot open the index {path}: {detail}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// DuckDB's words.
        detail: String,
    },
    /// The file is damaged. `Store::open` moves it aside; this shows when even a new one is.
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

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// DuckDB refused.
    #[error("the index failed")]
    Duckdb(#[from] duckdb::Error),
    /// DuckDB has given up on the file; only a new process can open it again.
    #[error("the index failed for good: {0}")]
    Fatal(String),
    /// Too much to do.
    #[error("the index has too much to do")]
    Busy,
    /// It was closed, because the daemon is stopping.
    #[error("the index is closed")]
    Closed,
    /// A defect: the job panicked.
    #[error("the index failed in an unforeseen way")]
    Panicked,
    /// A listing that began before another one.
    #[error("the listing is out of date: a newer one has begun")]
    StaleListing,
    /// A listing of another node.
    #[error("the listing is of node {listed}, and the index belongs to node {owner}")]
    OtherNode {
        /// Whose listing it is.
        listed: String,
        /// Whose index it is.
        owner: String,
    },
}

impl From<IndexError> for Fault {
    fn from(error: IndexError) -> Fault {
        let detail = match &error {
            IndexError::Duckdb(source) => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        let (kind, hint) = match error {
            IndexError::Busy => (FaultKind::Busy, Some("ask again in a moment")),
            IndexError::Closed => (FaultKind::NotReady, None),
            IndexError::StaleListing | IndexError::OtherNode { .. } => (FaultKind::Conflict, None),
            IndexError::Fatal(_) => (FaultKind::Interrupted, Some("the daemon restarts; ask again")),
            IndexError::Duckdb(_) | IndexError::Panicked => (FaultKind::Internal, Some("the log says more")),
        };
        let fault = Fault::new(kind, detail);
        match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

type WriteJob = Box<dyn FnOnce(&Connection, &mut State) + Send>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

enum Order<J> {
    Run(J),
    Close(oneshot::Sender<()>),
}

/// A handle on the threads.
#[derive(Clone)]
pub struct Store {
    writer: mpsc::SyncSender<Order<WriteJob>>,
    readers: mpsc::SyncSender<Order<ReadJob>>,
    state: watch::Sender<IndexState>,
}

impl Store {
    /// Opens the index in this directory, or makes it; a damaged one is moved aside, never deleted, and a new one made.
    pub fn open(dir: &Path) -> Result<Store, OpenError> {
        let path = dir.join(FILE);
        let (opened, recovery) = match open_file(dir, &path) {
            Err(OpenError::Damaged { detail, .. }) => {
                let aside = move_aside(dir)?;
                let text = format!(
                    "the index was damaged ({}); it was moved to {} and is rebuilt from Kubo",
                    detail.lines().next().unwrap_or_default(),
                    aside.display()
                );
                tracing::error!("{text}");
                (open_file(dir, &path)?, Some(text))
            }
            opened => (opened?, None),
        };
        let (connection, mut state) = opened;
        state.published.recovery = recovery;
        let published = watch::Sender::new(state.published.clone());
        state.publish = published.clone();

        let thread = |action| move |source| OpenError::Io { action, source };
        let (readers, jobs) = mpsc::sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..READERS {
            let clone = connection.try_clone();
            let clone = clone.map_err(|e| OpenError::Unreadable { path: path.clone(), detail: e.to_string() })?;
            let jobs = jobs.clone();
            let run = move || read_loop(clone, &jobs);
            let started = thread::Builder::new().name(format!("index-reader-{number}")).spawn(run);
            started.map_err(thread("start a reader thread of the index"))?;
        }
        let (writer, jobs) = mpsc::sync_channel(QUEUE);
        let started =
            thread::Builder::new().name("index-writer".into()).spawn(move || write_loop(connection, state, &jobs));
        started.map_err(thread("start the writer thread of the index"))?;
        Ok(Store { writer, readers, state: published })
    }

    /// What the index is, as it changes. The writer publishes here right after each commit.
    pub fn state(&self) -> watch::Sender<IndexState> {
        self.state.clone()
    }

    /// Has the writer do something; writes happen in the order in which they are asked for.
    pub async fn write<R: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &mut State) -> Result<R, IndexError> + Send + 'static,
    ) -> Result<R, IndexError> {
        let (reply, answer) = oneshot::channel();
        let job: WriteJob = Box::new(move |connection, state| {
            let result = catch_unwind(AssertUnwindSafe(|| job(connection, state))).unwrap_or(Err(IndexError::Panicked));
            if result.is_err() {
                // Whatever transaction a failed job has left open; without one this fails, which is as good.
                let _ = connection.execute_batch("ROLLBACK");
            }
            // The asker may have gone; the write has happened all the same.
            let _ = reply.send(result.map_err(fatal));
        });
        self.writer.try_send(Order::Run(job)).map_err(refused)?;
        answer.await.unwrap_or(Err(IndexError::Closed))
    }

    /// Has a reader do something. When the future is dropped, DuckDB is interrupted.
    pub async fn read<R: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<R, IndexError> + Send + 'static,
    ) -> Result<R, IndexError> {
        let (reply, answer) = oneshot::channel();
        let running = Arc::new(Running::default());
        let _interrupt = InterruptOnDrop(running.clone());
        let job: ReadJob = Box::new(move |connection| {
            if !running.begin(connection) {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(|| job(connection))).unwrap_or(Err(IndexError::Panicked));
            running.end();
            let _ = reply.send(result.map_err(fatal));
        });
        self.readers.try_send(Order::Run(job)).map_err(refused)?;
        answer.await.unwrap_or(Err(IndexError::Closed))
    }

    /// Ends the threads: what is queued is done, the file is checkpointed and closed. Does nothing the second time.
    pub async fn close(&self, deadline: Duration) {
        let close = async {
            let mut ended = Vec::new();
            for _ in 0..READERS {
                let (told, end) = oneshot::channel();
                // A full queue of reads is let go of: only the writer's must be done.
                if self.readers.try_send(Order::Close(told)).is_ok() {
                    ended.push(end);
                }
            }
            let (told, end) = oneshot::channel();
            let writer = self.writer.clone();
            let sent = tokio::task::spawn_blocking(move || writer.send(Order::Close(told))).await;
            if matches!(sent, Ok(Ok(()))) {
                ended.push(end);
            }
            for end in ended {
                let _ = end.await;
            }
        };
        if tokio::time::timeout(deadline, close).await.is_err() {
            tracing::error!("the index did not close within {} s; the next start replays its log", deadline.as_secs());
        }
    }
}

fn refused<T>(error: mpsc::TrySendError<T>) -> IndexError {
    match error {
        mpsc::TrySendError::Full(_) => IndexError::Busy,
        mpsc::TrySendError::Disconnected(_) => IndexError::Closed,
    }
}

fn fatal(error: IndexError) -> IndexError {
    match error {
        IndexError::Duckdb(error) if error.to_string().contains("FATAL") => IndexError::Fatal(error.to_string()),
        error => error,
    }
}

/// A read that can be interrupted exactly while it runs, and never its successor on the same connection.
#[derive(Default)]
struct Running(Mutex<Phase>);

#[derive(Default)]
enum Phase {
    #[default]
    Waiting,
    Now(Arc<InterruptHandle>),
    Over,
}

impl Running {
    fn phase(&self) -> std::sync::MutexGuard<'_, Phase> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, connection: &Connection) -> bool {
        let mut phase = self.phase();
        let wanted = matches!(*phase, Phase::Waiting);
        if wanted {
            *phase = Phase::Now(connection.interrupt_handle());
        }
        wanted
    }

    fn end(&self) {
        *self.phase() = Phase::Over;
    }
}

struct InterruptOnDrop(Arc<Running>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        let mut phase = self.0.phase();
        if let Phase::Now(handle) = &*phase {
            handle.interrupt();
        }
        *phase = Phase::Over;
    }
}

fn read_loop(connection: Connection, jobs: &Mutex<mpsc::Receiver<Order<ReadJob>>>) {
    loop {
        let order = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match order {
            Ok(Order::Run(job)) => job(&connection),
            Ok(Order::Close(told)) => {
                drop(connection);
                let _ = told.send(());
                return;
            }
            Err(mpsc::RecvError) => return,
        }
    }
}

fn write_loop(connection: Connection, mut state: State, jobs: &mpsc::Receiver<Order<WriteJob>>) {
    while let Ok(order) = jobs.recv() {
        match order {
            Order::Run(job) => job(&connection, &mut state),
            Order::Close(told) => {
                let closed = schema::write_meta(&connection, &state.meta())
                    .and_then(|()| connection.execute_batch("CHECKPOINT"))
                    .and_then(|()| connection.close().map_err(|(_, error)| error));
                if let Err(error) = closed {
                    tracing::warn!(%error, "the index was not checkpointed; the next start replays its log");
                }
                let _ = told.send(());
                return;
            }
        }
    }
}

fn open_file(dir: &Path, path: &Path) -> Result<(Connection, State), OpenError> {
    let named = |error: duckdb::Error| classify(path, &error.to_string());
    let damaged = |detail: String| OpenError::Damaged { path: path.to_owned(), detail };
    let connection = schema::open(path, &dir.join("tmp")).map_err(named)?;
    match schema::version(&connection).map_err(|e| damaged(e.to_string()))? {
        None => schema::create(&connection).map_err(named)?,
        Some(schema::VERSION) => {}
        Some(version) if version > schema::VERSION => {
            let detail = format!("its tables have version {version}, this program knows {}", schema::VERSION);
            return Err(OpenError::Newer { path: path.to_owned(), detail });
        }
        Some(version) => return Err(damaged(format!("its tables have the unknown version {version}"))),
    }
    let meta = schema::read_meta(&connection).map_err(|e| damaged(e.to_string()))?;
    let keyed = Keyed::random();
    let set = load(&connection, &keyed).map_err(damaged)?;
    Ok((connection, State::new(keyed, set, &meta)))
}

/// Tells the kinds of refusal apart by DuckDB's own words, which is all that it gives.
fn classify(path: &Path, detail: &str) -> OpenError {
    let (path, says) = (path.to_owned(), |words: &[&str]| words.iter().any(|word| detail.contains(word)));
    let text = detail.to_owned();
    if says(&["Conflicting lock"]) {
        OpenError::Locked { path, detail: text }
    } else if says(&["we can only read versions", "newer version of DuckDB"]) {
        OpenError::Newer { path, detail: text }
    } else if says(&[
        "Cannot open file",
        "No space",
        "Permission denied",
        "Too many open files",
        "Read-only file system",
    ]) {
        OpenError::Unreadable { path, detail: text }
    } else {
        OpenError::Damaged { path, detail: text }
    }
}

/// Reads the set; an error says what no sound index has.
fn load(connection: &Connection, keyed: &Keyed) -> Result<PinSet, String> {
    let mut entries = Vec::new();
    let mut sums = Sums::default();
    let mut each = || -> duckdb::Result<Option<String>> {
        let mut statement = connection.prepare("SELECT id, cid, type, name FROM pins")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)?.cast_unsigned();
            let Ok(cid) = Cid::try_from(row.get::<_, Vec<u8>>(1)?) else {
                return Ok(Some(format!("row {id} has no CID")));
            };
            let pin_type = pin_type(row.get(2)?);
            let name: Option<String> = row.get(3)?;
            sums.add(keyed, &cid::text(&cid), pin_type, name.as_deref());
            entries.push(Entry::new(Key::of(&cid), pin_type, id, keyed.name_hash(name.as_deref())));
        }
        Ok(None)
    };
    match each() {
        Ok(None) => {}
        Ok(Some(wrong)) => return Err(wrong),
        Err(error) => return Err(error.to_string()),
    }
    entries.sort_unstable_by_key(Entry::key);
    if entries.windows(2).any(|pair| pair[0].key() == pair[1].key()) {
        return Err("a CID stands in it twice".to_owned());
    }
    Ok(PinSet::from_sorted(entries, sums))
}

/// The type as the file has it.
pub(super) fn pin_type(code: u8) -> PinType {
    if code == 0 { PinType::Recursive } else { PinType::Direct }
}

/// The file's code of a type.
pub(super) fn type_code(pin_type: PinType) -> u8 {
    match pin_type {
        PinType::Recursive => 0,
        PinType::Direct => 1,
    }
}

/// Moves the file and what DuckDB keeps beside it into a directory of their own.
fn move_aside(dir: &Path) -> Result<PathBuf, OpenError> {
    let io = |action| move |source| OpenError::Io { action, source };
    let stamp = Timestamp::now().as_microsecond();
    let aside = dir.join(format!("damaged-{stamp}"));
    std::fs::create_dir(&aside).map_err(io("make a place for the damaged index"))?;
    for entry in std::fs::read_dir(dir).map_err(io("list the index directory"))? {
        let entry = entry.map_err(io("list the index directory"))?;
        if entry.file_name().to_string_lossy().starts_with(FILE) {
            std::fs::rename(entry.path(), aside.join(entry.file_name())).map_err(io("move the damaged index aside"))?;
        }
    }
    Ok(aside)
}

impl State {
    fn new(keyed: Keyed, set: PinSet, meta: &Meta) -> State {
        let published = IndexState {
            set: Arc::new(set),
            as_of: meta.as_of_us.and_then(|us| Timestamp::from_microsecond(us).ok()),
            generation: meta.generation,
            complete: meta.complete,
            peer_id: meta.peer_id.clone(),
            recovery: None,
        };
        let publish = watch::Sender::new(published.clone());
        State { keyed, published, publish, next_id: meta.next_id, token: 0, touched: Default::default() }
    }
}
