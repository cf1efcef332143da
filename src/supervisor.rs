//! The supervisor: starts the actors by the recipe in `app.rs`, has kameo restart each one alone, and gives up when one fails
//! too often. It does no other work, so it is always there to restart somebody.
//!
//! kameo restarts without delay and counts without a sliding window, so both are done here: every actor owns a [`Life`], which
//! it [begins](Life::begin) at the head of `on_start` (waiting out the backoff there), says at its end that it [runs](Life::runs),
//! and tells of its panics. A restarted actor
//! keeps its `ActorRef` and its mailbox. An actor's ordered end is the [`Stop`] message, never kameo's own stop, after which a
//! permanent child would be started again.

use crate::board::{Board, StopReason};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::Message;
use kameo::prelude::Actor;
use proto_msgs::daemon::{ActorReport, LastError};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// An actor that fails more often than this ...
pub const RESTARTS_ALLOWED: usize = 5;
/// ... within this time makes the daemon give up.
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// Between two looks of a fault point whether it is still to hang.
const HANG_LOOK: Duration = Duration::from_millis(10);

/// Asks an actor to end its work in order. It answers when that is done and takes no work afterwards.
pub struct Stop;

/// A task of an actor has ended, which only a defect does.
pub struct Ended(JoinError);

impl Ended {
    /// Panics as the task did: it is the actor's, so that it is counted, shown and, if it goes on, escalated.
    pub fn pass_on(self) {
        if let Ok(panic) = self.0.try_into_panic() {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Runs a task of an actor, and tells the actor when it panics. Dropped, the task ends.
pub fn watched<A>(me: &ActorRef<A>, task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()>
where
    A: Actor + Message<Ended>,
{
    let (me, task) = (me.clone(), AbortOnDropHandle::new(tokio::spawn(task)));
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = task.await {
            // An actor that takes nothing any more is being replaced.
            let _ = me.tell(Ended(error)).await;
        }
    }))
}

/// The wait before the restart that follows `recent` failures within the window: none, then 50 ms doubling to 2 s.
pub fn backoff(recent: usize) -> Duration {
    match recent {
        0 | 1 => Duration::ZERO,
        n => Duration::from_millis(50 << (n - 2).min(5)).min(Duration::from_secs(2)),
    }
}

/// An actor's life over all its restarts: counted, delayed, published, bounded.
pub struct Life {
    name: &'static str,
    board: Arc<Board>,
    failures: Mutex<VecDeque<Instant>>,
    /// Starts that no failure accounts for yet: 1 while the actor runs.
    starts: AtomicI64,
    faults: Option<std::path::PathBuf>,
}

impl Life {
    /// Enters the actor on the board.
    pub fn new(name: &'static str, board: &Arc<Board>) -> Arc<Life> {
        let entry = ActorReport { name: name.to_owned(), running: false, restarts: 0, last_failure: None };
        board.actors.send_modify(|actors| actors.push(entry));
        let faults = if cfg!(debug_assertions) { std::env::var_os("IPFS_KITD_TEST_FAULTS") } else { None };
        Arc::new(Life {
            name,
            board: board.clone(),
            failures: Mutex::default(),
            starts: AtomicI64::new(0),
            faults: faults.map(Into::into),
        })
    }

    /// The actor's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// To be awaited first in `on_start`: waits out the backoff, and for ever once the daemon is stopping, so that nobody comes
    /// back into what is being taken down.
    pub async fn begin(&self) {
        // kameo tells nobody of a panic in `on_start`; the start after it does.
        if self.starts.fetch_add(1, Ordering::Relaxed) > 0 {
            self.failed_because("it failed while it was starting");
        }
        tokio::time::sleep(backoff(self.recent())).await;
        if self.board.is_stopping() {
            std::future::pending::<()>().await;
        }
        self.fault_point("start");
    }

    /// To be called last in `on_start`.
    pub fn runs(&self) {
        self.publish(|actor| actor.running = true);
    }

    /// The end of `on_panic`: the failure is counted and shown, and another incarnation follows.
    pub fn panicked(&self, error: PanicError) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.failed(&error);
        Ok(ControlFlow::Break(ActorStopReason::Panicked(error)))
    }

    fn failed(&self, error: &PanicError) {
        let text = error.with_str(str::to_owned).unwrap_or_else(|| error.to_string());
        self.failed_because(&text);
    }

    fn failed_because(&self, text: &str) {
        self.starts.fetch_sub(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push_back(now);
        while failures.len() > RESTARTS_ALLOWED + 1 {
            failures.pop_front();
        }
        drop(failures);
        let failure = LastError { at: crate::time::now(), actor: self.name.to_owned(), detail: text.to_owned() };
        self.board.error(self.name, format!("the {} actor failed: {text}", self.name));
        self.publish(|actor| {
            actor.running = false;
            actor.restarts += 1;
            actor.last_failure = Some(failure);
        });
        if self.recent() > RESTARTS_ALLOWED {
            let reason = format!(
                "the {} actor failed more than {RESTARTS_ALLOWED} times in {} s",
                self.name,
                RESTART_WINDOW.as_secs()
            );
            self.board.stop(StopReason::GaveUp(reason));
        }
    }

    /// Records an error that the actor survives.
    pub fn error(&self, detail: impl Into<String>) {
        self.board.error(self.name, detail);
    }

    /// In test builds, panics when the file `<actor>.<point>` lies in `$IPFS_KITD_TEST_FAULTS`, which it removes, and again
    /// and again when `<actor>.<point>.always` lies there; blocks its thread for as long as `<actor>.<point>.hang` lies there.
    /// Release builds have no fault points.
    pub fn fault_point(&self, point: &str) {
        let Some(dir) = &self.faults else { return };
        let once = dir.join(format!("{}.{point}", self.name));
        while once.with_added_extension("hang").exists() {
            std::thread::sleep(HANG_LOOK);
        }
        if std::fs::remove_file(&once).is_ok() || once.with_added_extension("always").exists() {
            panic!("fault point {}.{point}", self.name);
        }
    }

    /// In test builds, where a pipe `<actor>.<point>` lies in `$IPFS_KITD_TEST_FAULTS`, blocks this thread from when a test opens it
    /// for writing to when that is closed.
    pub fn pause_point(&self, point: &str) {
        let Some(dir) = &self.faults else { return };
        if let Ok(mut pipe) = std::fs::File::open(dir.join(format!("{}.{point}", self.name))) {
            // It ends when the test closes it, and nothing is written.
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
    }

    fn recent(&self) -> usize {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.iter().filter(|at| at.elapsed() < RESTART_WINDOW).count()
    }

    fn publish(&self, change: impl FnOnce(&mut ActorReport)) {
        self.board.actors.send_modify(|actors| {
            if let Some(actor) = actors.iter_mut().find(|a| a.name == self.name) {
                change(actor);
            }
        });
    }
}

/// Starts every actor under the supervisor that it is given.
pub type Recipe = Box<dyn FnOnce(ActorRef<Supervisor>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The root actor.
pub struct Supervisor {
    life: Arc<Life>,
}

/// Asks whether the supervisor takes messages.
pub struct Probe;

impl Message<Probe> for Supervisor {
    type Reply = ();
    async fn handle(&mut self, _: Probe, _: &mut kameo::message::Context<Self, ()>) {
        self.life.fault_point("message");
    }
}

impl Actor for Supervisor {
    type Args = (Arc<Life>, Recipe);
    type Error = Infallible;

    async fn on_start((life, recipe): Self::Args, me: ActorRef<Self>) -> Result<Self, Infallible> {
        life.begin().await;
        recipe(me).await;
        life.runs();
        Ok(Supervisor { life })
    }

    // The supervisor has no state that a panic could spoil; ending it would end its children.
    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.life.failed(&error);
        self.life.runs();
        Ok(ControlFlow::Continue(()))
    }

    // kameo has restarted the child, or the daemon is about to end; in neither case does the supervisor follow.
    async fn on_link_died(
        &mut self,
        _: WeakActorRef<Self>,
        _: kameo::actor::ActorId,
        _: ActorStopReason,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        Ok(ControlFlow::Continue(()))
    }
}
