//! The threads that own the index file: one writer, two readers, and one for what reads all of it, on clones of the one handle.
//!
//! They are as old as the process. Jobs are closures; each is answered by a oneshot, a panic in one is an error of that job
//! alone, and a read whose asker has gone is interrupted. The writer's [`State`] (set, meta, what was touched) changes only
//! after a commit and is published at once, so a restarted index actor has nothing to restore.

use super::apply::State;
use super::damage::Damage;
use super::error::{IndexError, READ_DEADLINE};
use super::marks;
use super::open::{self, OpenError};
use super::schema;
use crate::board::IndexState;
use crate::instance::Claim;
use duckdb::{Connection, InterruptHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

const READERS: usize = 2;
/// Jobs that wait for a thread: as many as the server takes calls, so that a write which Kubo has confirmed is not refused.
const QUEUE: usize = 4096;
/// Reads of everything that wait for their thread.
const LONG_QUEUE: usize = 4;
const INTERRUPT_AGAIN: Duration = Duration::from_millis(20);

type WriteJob = Box<dyn FnOnce(&Connection, &mut State) + Send>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

enum Order<J> {
    Run(J),
    Close(oneshot::Sender<()>),
}

/// A handle on the threads. When the last one is dropped they end too, and the file is closed.
#[derive(Clone)]
pub struct Store {
    writer: mpsc::SyncSender<Order<WriteJob>>,
    readers: mpsc::SyncSender<Order<ReadJob>>,
    long: mpsc::SyncSender<Order<ReadJob>>,
    state: watch::Sender<IndexState>,
    damage: Damage,
}

impl Store {
    /// Opens the index in this directory, or makes it; a damaged one is moved aside, never deleted, and a new one made. While
    /// any thread of the store lives, the directory is claimed and cannot be opened again. `journal` is the directory of the
    /// journal of marks, which no other store may use; a new file is filled from what there is in `snapshots`.
    pub fn open(dir: &Path, journal: &Path, snapshots: &Path) -> Result<Store, OpenError> {
        let (connection, state, claim) = open::open(dir, journal, snapshots)?;
        let published = state.published();
        let claim = Arc::new(claim);
        let damage = Damage::of(dir);
        let thread = |source| OpenError::Io { action: "start a thread of the index", source };
        let start_reader = |name: String, jobs: &Arc<Mutex<mpsc::Receiver<Order<ReadJob>>>>| {
            let clone = connection.try_clone();
            let clone = clone.map_err(|e| OpenError::Unreadable { path: dir.to_owned(), detail: e.to_string() })?;
            let (claim, jobs) = (claim.clone(), jobs.clone());
            thread::Builder::new().name(name).spawn(move || read_loop(claim, clone, &jobs)).map(drop).map_err(thread)
        };
        let (readers, jobs) = mpsc::sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..READERS {
            start_reader(format!("index-reader-{number}"), &jobs)?;
        }
        let (long, jobs) = mpsc::sync_channel(LONG_QUEUE);
        start_reader("index-long".to_owned(), &Arc::new(Mutex::new(jobs)))?;
        let (writer, jobs) = mpsc::sync_channel(QUEUE);
        let name = thread::Builder::new().name("index-writer".to_owned());
        let met = damage.clone();
        name.spawn(move || write_loop(claim, connection, state, &jobs, &met)).map_err(thread)?;
        Ok(Store { writer, readers, long, state: published, damage })
    }

    /// What the index is, as it changes. The writer publishes here right after each commit.
    pub fn state(&self) -> watch::Sender<IndexState> {
        self.state.clone()
    }

    /// Resolves when it is found that what the file holds does not read as it was written, with what DuckDB says: then only the
    /// next start can help, which fills the file again.
    pub fn damaged(&self) -> impl Future<Output = String> + Send + use<> {
        self.damage.clone().wait()
    }

    /// Has the writer do something, whether or not the future is awaited. It is in the queue when this returns, so writes
    /// happen in the order of the calls.
    pub fn write<R, J>(&self, job: J) -> impl Future<Output = Result<R, IndexError>> + Send + use<R, J>
    where
        R: Send + 'static,
        J: FnOnce(&Connection, &mut State) -> Result<R, IndexError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let damage = self.damage.clone();
        let job: WriteJob = Box::new(move |connection, state| {
            let result = attempt(|| match state.home.lost() {
                // The next start finds what there is, and fills it again.
                Some(why) => Err(IndexError::Fatal(why)),
                None => job(connection, state),
            });
            let result = settled(connection, result, &damage);
            // The asker may have gone; the write has happened all the same.
            let _ = reply.send(result);
        });
        let sent = self.writer.try_send(Order::Run(job)).map_err(refused);
        async move {
            sent?;
            answer.await.unwrap_or(Err(IndexError::Closed))
        }
    }

    /// Has a reader do something, in one transaction. When the future is dropped or takes too long, DuckDB is interrupted.
    pub async fn read<R: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<R, IndexError> + Send + 'static,
    ) -> Result<R, IndexError> {
        let read = read_by(&self.readers, &self.damage, job);
        tokio::time::timeout(READ_DEADLINE, read).await.unwrap_or(Err(IndexError::Slow))
    }

    /// The same for what reads whole tables: on a thread of its own, one at a time, for as long as it takes.
    pub async fn read_long<R: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<R, IndexError> + Send + 'static,
    ) -> Result<R, IndexError> {
        read_by(&self.long, &self.damage, job).await
    }

    /// Notes damage, if that is what a look at everything has found: each problem is what failed, a colon, and DuckDB's words.
    pub(super) fn condemn(&self, problems: &[String]) {
        for (_, words) in problems.iter().filter_map(|problem| problem.split_once(": ")) {
            self.damage.look(words);
        }
    }

    /// Has DuckDB take the mark that the journal alone has, if there is one.
    pub async fn settle(&self) -> Result<(), IndexError> {
        self.write(marks::settle).await
    }

    /// Ends the threads: what is queued is done, the file is checkpointed and closed. Does nothing the second time.
    pub async fn close(&self, deadline: Duration) {
        let close = async {
            // Readers first: DuckDB writes no checkpoint beside an open transaction, and a half of the time is enough for them.
            let readers = [&self.readers; READERS].into_iter().chain([&self.long]);
            let readers = futures_util::future::join_all(readers.map(end));
            if tokio::time::timeout(deadline / 2, readers).await.is_err() {
                tracing::warn!("a read of the index goes on although the daemon stops");
            }
            end(&self.writer).await;
        };
        if tokio::time::timeout(deadline, close).await.is_err() {
            tracing::error!("the index did not close within {} s; the next start replays its log", deadline.as_secs());
        }
    }
}

/// Has a reader of this queue do it, in one transaction, unless the future is dropped.
async fn read_by<R: Send + 'static>(
    queue: &mpsc::SyncSender<Order<ReadJob>>,
    damage: &Damage,
    job: impl FnOnce(&Connection) -> Result<R, IndexError> + Send + 'static,
) -> Result<R, IndexError> {
    let (reply, answer) = oneshot::channel();
    let running = Arc::new(Running::default());
    let _interrupt = InterruptOnDrop(running.clone());
    let damage = damage.clone();
    let job: ReadJob = Box::new(move |connection| {
        if !running.begin(connection) {
            return;
        }
        let result = attempt(|| {
            connection.execute_batch("BEGIN")?;
            let result = job(connection)?;
            connection.execute_batch("COMMIT")?;
            Ok(result)
        });
        // From here on nothing is interrupted, so that a rollback takes place.
        running.end();
        let _ = reply.send(settled(connection, result, &damage));
    });
    queue.try_send(Order::Run(job)).map_err(refused)?;
    answer.await.unwrap_or(Err(IndexError::Closed))
}

/// Ends one of the threads behind a queue, after what is in it.
async fn end<J: Send + 'static>(queue: &mpsc::SyncSender<Order<J>>) {
    let (told, ended) = oneshot::channel();
    let queue = queue.clone();
    // The queue may be full, and the threads may have ended before.
    let _ = tokio::task::spawn_blocking(move || queue.send(Order::Close(told))).await;
    let _ = ended.await;
}

fn attempt<R>(job: impl FnOnce() -> Result<R, IndexError>) -> Result<R, IndexError> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or(Err(IndexError::Panicked))
}

/// Rolls back what a failed job has left open.
fn settled<R>(connection: &Connection, result: Result<R, IndexError>, damage: &Damage) -> Result<R, IndexError> {
    result.map_err(|error| {
        // Without an open transaction this fails, which is as good.
        let _ = connection.execute_batch("ROLLBACK");
        damage.judge(error)
    })
}

fn refused<T>(error: mpsc::TrySendError<T>) -> IndexError {
    match error {
        mpsc::TrySendError::Full(_) => IndexError::Busy,
        mpsc::TrySendError::Disconnected(_) => IndexError::Closed,
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

    /// Interrupts it if it runs, and otherwise keeps it from ever running; whether it runs.
    fn interrupt(&self) -> bool {
        let mut phase = self.phase();
        match &*phase {
            Phase::Now(handle) => {
                handle.interrupt();
                true
            }
            Phase::Waiting | Phase::Over => {
                *phase = Phase::Over;
                false
            }
        }
    }
}

struct InterruptOnDrop(Arc<Running>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        let running = self.0.clone();
        // DuckDB forgets an interrupt that comes just before a statement begins, so it is repeated until the job has ended.
        if running.interrupt()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                while running.interrupt() {
                    tokio::time::sleep(INTERRUPT_AGAIN).await;
                }
            });
        }
    }
}

// The claim is the first parameter, so that it is dropped last, after the connection.
fn read_loop(claim: Arc<Claim>, connection: Connection, jobs: &Mutex<mpsc::Receiver<Order<ReadJob>>>) {
    loop {
        let order = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match order {
            Ok(Order::Run(job)) => job(&connection),
            Ok(Order::Close(told)) => {
                drop((connection, claim));
                let _ = told.send(());
                return;
            }
            Err(mpsc::RecvError) => return,
        }
    }
}

fn write_loop(
    claim: Arc<Claim>,
    connection: Connection,
    mut state: State,
    jobs: &mpsc::Receiver<Order<WriteJob>>,
    damage: &Damage,
) {
    while let Ok(order) = jobs.recv() {
        match order {
            Order::Run(job) if state.home.lost().is_some() => job(&connection, &mut state),
            Order::Run(job) => {
                // Logged when it was met first; whoever marks next is told.
                let _ = marks::settle(&connection, &mut state).map_err(|error| damage.judge(error));
                job(&connection, &mut state);
                marks::tidy(&connection, &mut state);
                state.tell_of_journal();
            }
            Order::Close(told) if state.home.lost().is_some() || damage.is_met() => {
                // Closed, it would write a checkpoint, and remove a log of this name, whoever's it is now. What is damaged is kept
                // as it was met.
                std::mem::forget(connection);
                drop(claim);
                let _ = told.send(());
                return;
            }
            Order::Close(told) => {
                let closed = schema::write_meta(&connection, &state.meta())
                    .and_then(|()| connection.execute_batch("CHECKPOINT"))
                    .and_then(|()| connection.close().map_err(|(_, error)| error));
                if let Err(error) = closed {
                    damage.look(&error.to_string());
                    tracing::warn!(%error, "the index was not checkpointed; the next start replays its log");
                }
                drop(claim);
                let _ = told.send(());
                return;
            }
        }
    }
}
