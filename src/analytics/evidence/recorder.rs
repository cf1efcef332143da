//! What all sources tell, on its way into the index: whatever waits goes there in one transaction, and while that is written the next
//! one gathers. So nobody waits for a timer, and many small tellings cost little more than a large one.
//!
//! It is as old as the process and asks the store itself: no restart of an actor loses what is on its way.

use crate::board::Board;
use crate::config::Config;
use crate::index::access::keep::keep;
use crate::index::access::{KeepAccesses, Kept, Seen, Told};
use crate::index::error::IndexError;
use crate::index::fault::fault;
use crate::index::store::Store;
use jiff::Timestamp;
use proto_msgs::access::AccessSource;
use proto_msgs::{Fault, FaultKind};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Bytes that may be on their way.
const ROOM: usize = 32 << 20;
/// What a telling takes of that besides its accesses.
const TELLING: usize = 256;
/// Accesses in one transaction, but for a single telling that has more: what others write waits for it.
const GROUP: usize = 20_000;
/// Between two tries while there is no room on the disk.
const AGAIN: Duration = Duration::from_secs(1);
/// For what is on its way when somebody wants to see it.
const CATCH_UP: Duration = Duration::from_secs(2);

/// A handle on it.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    /// `None`: nothing is taken any more.
    queue: Mutex<Option<mpsc::UnboundedSender<Waiting>>>,
    room: Arc<Semaphore>,
    told: Mutex<BTreeMap<AccessSource, Heard>>,
    caught_up: watch::Sender<Timestamp>,
    board: Arc<Board>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What was kept of a source since the daemon began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Accesses.
    pub accesses: u64,
    /// When it told of some last.
    pub last: Option<Timestamp>,
}

/// Something that was told and is not kept yet.
struct Waiting {
    told: Told,
    /// Whoever waits for it to be on the disk.
    reply: Option<oneshot::Sender<Result<Kept, Fault>>>,
    room: OwnedSemaphorePermit,
}

impl Recorder {
    /// Begins it.
    pub fn start(store: Store, board: Arc<Board>, config: watch::Receiver<Arc<Config>>) -> Recorder {
        let (queue, waiting) = mpsc::unbounded_channel();
        let recorder = Recorder(Arc::new(Inner {
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(ROOM)),
            told: Mutex::default(),
            caught_up: watch::Sender::new(Timestamp::now()),
            board,
            task: Mutex::new(None),
        }));
        let task = tokio::spawn(run(recorder.clone(), store, config, waiting));
        *lock(&recorder.0.task) = Some(task);
        recorder
    }

    /// Takes what a source tells. `durable` answers when it is on the disk; otherwise the answer comes at once, what was told before is
    /// found out later, and the disk has it within a second.
    pub async fn record(&self, told: Told, durable: bool) -> Result<Kept, Fault> {
        let bytes = (TELLING + told.seen.iter().map(weight).sum::<usize>()).min(ROOM);
        let room = u32::try_from(bytes).ok().and_then(|bytes| self.0.room.clone().try_acquire_many_owned(bytes).ok());
        let Some(room) = room else {
            return Err(Fault::new(FaultKind::Busy, "too many accesses wait to be written")
                .hint("nothing was recorded; record them again in a moment, some thousand in a call"));
        };
        let accepted = Kept { taken: told.seen.len() as u64, repeated: false };
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { told, reply: durable.then_some(reply), room };
        let sent = lock(&self.0.queue).as_ref().is_some_and(|queue| queue.send(waiting).is_ok());
        match (sent, durable) {
            (false, _) => Err(stopping()),
            (true, false) => Ok(accepted),
            (true, true) => answer.await.unwrap_or_else(|_| Err(stopping())),
        }
    }

    /// Waits until what was told so far is in the index; answers a time by which all that was told is there.
    pub async fn catch_up(&self) -> Timestamp {
        let now = Timestamp::now();
        let nothing = Told { seen: Vec::new(), once: None };
        if let Ok(Ok(_)) = tokio::time::timeout(CATCH_UP, self.record(nothing, true)).await {
            self.0.caught_up.send_if_modified(|at| {
                let moved = *at < now;
                *at = now.max(*at);
                moved
            });
        }
        *self.0.caught_up.borrow()
    }

    /// What was kept of a source since the daemon began.
    pub fn heard(&self, source: AccessSource) -> Heard {
        lock(&self.0.told).get(&source).copied().unwrap_or_default()
    }

    /// Takes nothing any more, and writes what was taken.
    pub async fn end(&self, deadline: Duration) {
        drop(lock(&self.0.queue).take());
        let task = lock(&self.0.task).take();
        if let Some(task) = task
            && tokio::time::timeout(deadline, task).await.is_err()
        {
            self.0.board.error("analytics", "accesses that were accepted are not written yet, and the daemon stops");
        }
    }

    /// Keeps these, or what of them can be kept; answers who waits. `false`: there is no room on the disk.
    async fn write(&self, store: &Store, config: &Config, held: &mut VecDeque<Waiting>) -> bool {
        let mut most = GROUP;
        while !held.is_empty() {
            let (told, waiting) = take(held, most);
            // Without a look at the accesses nobody counts them anywhere else.
            let counted = if config.analytics.interval.is_zero() { u64::MAX } else { *self.0.board.counted.borrow() };
            let ask = Arc::new(KeepAccesses { told, most: config.analytics.keep, counted });
            let asked = ask.clone();
            let kept = store.write(move |connection, state| keep(connection, state, &asked)).await;
            let error = match kept {
                Ok(kept) => {
                    self.note(&ask.told, &kept);
                    for ((reply, _), kept) in waiting.into_iter().zip(kept) {
                        // Whoever waited may be gone.
                        reply.map(|reply| reply.send(Ok(kept)));
                    }
                    continue;
                }
                Err(error) => error,
            };
            let ask = Arc::try_unwrap(ask).unwrap_or_else(|ask| KeepAccesses::clone(&ask));
            let back = ask.told.into_iter().zip(waiting);
            let back = back.map(|(told, (reply, room))| Waiting { told, reply, room }).collect::<Vec<_>>();
            if error.wants_room() || matches!(error, IndexError::Busy) {
                let fault = fault(&self.0.board, "analytics", "record accesses", &error);
                let accepted = back.into_iter().filter_map(|mut waiting| match waiting.reply.take() {
                    Some(reply) => {
                        let _ = reply.send(Err(fault.clone()));
                        None
                    }
                    None => Some(waiting),
                });
                accepted.collect::<Vec<_>>().into_iter().rev().for_each(|waiting| held.push_front(waiting));
                self.0.board.error("analytics", fault.detail);
                return false;
            }
            if back.len() > 1 {
                // Each for itself: what ails one of them is not the others' matter.
                back.into_iter().rev().for_each(|waiting| held.push_front(waiting));
                most = 0;
                continue;
            }
            let fault = fault(&self.0.board, "analytics", "record accesses", &error);
            for waiting in back {
                match waiting.reply {
                    Some(reply) => drop(reply.send(Err(fault.clone()))),
                    None => {
                        let lost = waiting.told.seen.len();
                        self.0.board.error("analytics", format!("{lost} accesses are lost: {}", fault.detail));
                    }
                }
            }
        }
        true
    }

    fn note(&self, told: &[Told], kept: &[Kept]) {
        let now = Timestamp::now();
        let mut heard = lock(&self.0.told);
        for (told, _) in told.iter().zip(kept).filter(|(_, kept)| !kept.repeated) {
            for seen in &told.seen {
                let heard = heard.entry(seen.source).or_default();
                heard.accesses += 1;
                heard.last = Some(now);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stopping() -> Fault {
    Fault::new(FaultKind::NotReady, "the daemon is stopping").hint("record it again when it is back")
}

/// Bytes that an access takes while it waits, at most about.
fn weight(seen: &Seen) -> usize {
    size_of::<Seen>() + seen.path.as_ref().map_or(0, String::capacity)
}

type Owed = (Option<oneshot::Sender<Result<Kept, Fault>>>, OwnedSemaphorePermit);

/// The first of them, up to so many accesses; at least one telling.
fn take(held: &mut VecDeque<Waiting>, most: usize) -> (Vec<Told>, Vec<Owed>) {
    let (mut told, mut owed, mut accesses) = (Vec::new(), Vec::new(), 0);
    while let Some(next) = held.front() {
        accesses += next.told.seen.len();
        if accesses > most && !told.is_empty() {
            break;
        }
        let Some(Waiting { told: next, reply, room }) = held.pop_front() else { break };
        told.push(next);
        owed.push((reply, room));
        if most == 0 {
            break;
        }
    }
    (told, owed)
}

/// Writes until nobody can tell anything any more.
async fn run(
    recorder: Recorder,
    store: Store,
    config: watch::Receiver<Arc<Config>>,
    mut queue: mpsc::UnboundedReceiver<Waiting>,
) {
    let mut held = VecDeque::new();
    loop {
        if held.is_empty() {
            match queue.recv().await {
                Some(waiting) => held.push_back(waiting),
                None => return,
            }
        }
        while let Ok(waiting) = queue.try_recv() {
            held.push_back(waiting);
        }
        let now = config.borrow().clone();
        if !recorder.write(&store, &now, &mut held).await {
            if queue.is_closed() {
                let lost: usize = held.iter().map(|waiting| waiting.told.seen.len()).sum();
                recorder.0.board.error("analytics", format!("{lost} accesses that were accepted could not be written"));
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
