//! The indexer actor: when a refresh runs, one at a time, and who waits for it.
//!
//! The refresh is a task, so the actor always takes messages; it ends with its incarnation, and a refresh that was cut off has
//! changed nothing or everything.

use super::cycle::{self, Found};
use super::diff::Suspects;
use super::pace;
use crate::board::{Board, RefreshState};
use crate::config::Config;
use crate::index::actor::{Index, dated};
use crate::supervisor::{Life, Stop};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::{DelegatedReply, ReplySender};
use proto_msgs::daemon::{IndexRefresh, IndexRefreshed};
use proto_msgs::{Fault, FaultKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Even with equal sums, pins are compared one by one so often.
const FULL: Duration = Duration::from_secs(3600);

/// What the actor is made from.
#[derive(Clone)]
pub struct IndexerArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// What the others publish, and where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who applies what it finds.
    pub index: ActorRef<Index>,
}

type Waiter = ReplySender<Result<IndexRefreshed, Fault>>;

/// The actor.
pub struct Indexer {
    args: IndexerArgs,
    me: WeakActorRef<Indexer>,
    /// They wait for a refresh that begins from now on.
    waiting: Vec<Waiter>,
    running: Option<Running>,
    suspects: Suspects,
    last_full: Option<Instant>,
    due: Option<AbortOnDropHandle<()>>,
    watching: Option<AbortOnDropHandle<()>>,
    stopped: bool,
}

struct Running {
    _task: AbortOnDropHandle<()>,
    began: Instant,
    waiters: Vec<Waiter>,
    /// What the listing before this one found, when this one was taken at once after it.
    before: Option<Found>,
}

struct Due;
struct KuboChanged;
struct Finished(Result<Found, Fault>, Suspects);

impl Actor for Indexer {
    type Args = IndexerArgs;
    type Error = Infallible;

    async fn on_start(args: IndexerArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let me = me.downgrade();
        let watching = AbortOnDropHandle::new(tokio::spawn(watch_kubo(args.board.clone(), me.clone())));
        let interval = args.config.borrow().interval;
        args.board.refresh.send_modify(|refresh| refresh.interval = interval);
        let mut indexer = Indexer {
            args,
            me,
            waiting: Vec::new(),
            running: None,
            suspects: Suspects::default(),
            last_full: None,
            due: None,
            watching: Some(watching),
            stopped: false,
        };
        indexer.begin(None);
        Ok(indexer)
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.args.life.failed(&error);
        // At once: the next incarnation starts before this one is dropped. Whoever waits is told by the end of its sender.
        (self.running, self.due, self.watching) = (None, None, None);
        self.waiting.clear();
        Ok(ControlFlow::Break(ActorStopReason::Panicked(error)))
    }
}

async fn watch_kubo(board: Arc<Board>, me: WeakActorRef<Indexer>) {
    let mut rpc = board.rpc.subscribe();
    while rpc.changed().await.is_ok() {
        let Some(me) = me.upgrade() else { return };
        if me.tell(KuboChanged).await.is_err() {
            return;
        }
    }
}

impl Indexer {
    /// Begins a refresh unless one is under way or Kubo is not ready.
    fn begin(&mut self, before: Option<Found>) {
        if self.running.is_some() || self.stopped {
            return;
        }
        let Some(rpc) = self.args.board.rpc.borrow().clone() else { return };
        self.due = None;
        let full = self.last_full.is_none_or(|at| at.elapsed() >= FULL);
        if full {
            self.last_full = Some(Instant::now());
        }
        let (index, state) = (self.args.index.clone(), self.args.board.index.clone());
        let (me, mut suspects) = (self.me.clone(), self.suspects.clone());
        let task = tokio::spawn(async move {
            let found = cycle::run(&rpc, &index, &state, &mut suspects, full).await;
            if let Some(me) = me.upgrade() {
                // The actor that is gone has been replaced, and the next one refreshes anew.
                let _ = me.tell(Finished(found, suspects)).await;
            }
        });
        self.running = Some(Running {
            _task: AbortOnDropHandle::new(task),
            began: Instant::now(),
            waiters: std::mem::take(&mut self.waiting),
            before,
        });
    }

    fn finished(&mut self, found: Result<Found, Fault>, suspects: Suspects) {
        let Some(running) = self.running.take() else { return };
        self.suspects = suspects;
        let took = running.began.elapsed();
        let wait = self.publish(&found, took);
        let again = match &found {
            // Once: what the second listing leaves open waits for the next turn.
            Ok(found) if running.before.is_none() => {
                found.look_again || (found.missing > 0 && !running.waiters.is_empty())
            }
            _ => false,
        };
        if again {
            self.waiting.splice(0..0, running.waiters);
            self.begin(found.ok());
            return;
        }
        let found = found.map(|found| match running.before {
            Some(before) => {
                Found { added: before.added + found.added, changed: before.changed + found.changed, ..found }
            }
            None => found,
        });
        for waiter in running.waiters {
            waiter.send(found.clone().map(|found| self.answer(found, true)));
        }
        if self.waiting.is_empty() {
            self.wait(wait.saturating_sub(took));
        } else {
            self.begin(None);
        }
    }

    /// Publishes how it went; answers when the next one is due, from the start of this one.
    fn publish(&self, found: &Result<Found, Fault>, took: Duration) -> Duration {
        let config = self.args.config.borrow().clone();
        let mut wait = config.interval;
        if let Err(fault) = found {
            self.args.life.error(format!("the refresh failed: {}", fault.detail));
        }
        self.args.board.refresh.send_modify(|refresh| match found {
            Ok(_) => {
                wait = pace::after_success(config.interval, took, config.busy_share);
                let finished = refresh.finished + 1;
                *refresh = RefreshState { interval: wait, last: Some(took), failed: 0, last_error: None, finished };
            }
            Err(fault) => {
                refresh.failed += 1;
                refresh.last_error = Some(fault.detail.clone());
                wait = pace::after_failure(config.interval, took, config.busy_share, refresh.failed);
                refresh.interval = wait;
            }
        });
        wait
    }

    fn wait(&mut self, wait: Duration) {
        let me = self.me.clone();
        self.due = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(me) = me.upgrade() {
                let _ = me.tell(Due).await;
            }
        })));
    }

    fn answer(&self, found: Found, done: bool) -> IndexRefreshed {
        let dated = dated(&self.args.board);
        IndexRefreshed {
            as_of: dated.as_of,
            age_s: dated.age_s,
            generation: dated.generation,
            complete: dated.complete,
            source: dated.source,
            done,
            added: found.added,
            removed: found.removed,
            changed: found.changed,
            missing: found.missing,
        }
    }

    fn refuse_waiting(&mut self, fault: &Fault) {
        for waiter in std::mem::take(&mut self.waiting) {
            waiter.send(Err(fault.clone()));
        }
    }
}

impl Message<IndexRefresh> for Indexer {
    type Reply = DelegatedReply<Result<IndexRefreshed, Fault>>;

    async fn handle(&mut self, ask: IndexRefresh, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (delegated, reply) = ctx.reply_sender();
        let Some(reply) = reply else { return delegated };
        if let Err(fault) = self.args.board.kubo_rpc() {
            reply.send(Err(fault));
        } else if ask.wait {
            self.waiting.push(reply);
            self.begin(None);
        } else {
            reply.send(Ok(self.answer(Found::default(), false)));
            self.begin(None);
        }
        delegated
    }
}

impl Message<Due> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Due, _: &mut Context<Self, ()>) {
        self.args.life.fault_point("cycle");
        self.begin(None);
    }
}

impl Message<KuboChanged> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: KuboChanged, _: &mut Context<Self, ()>) {
        match self.args.board.kubo_rpc() {
            Ok(_) => self.begin(None),
            Err(fault) => self.refuse_waiting(&fault),
        }
    }
}

impl Message<Finished> for Indexer {
    type Reply = ();

    async fn handle(&mut self, Finished(found, suspects): Finished, _: &mut Context<Self, ()>) {
        self.finished(found, suspects);
    }
}

impl Message<Stop> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.stopped = true;
        let fault = Fault::new(FaultKind::NotReady, "the daemon is stopping");
        if let Some(running) = self.running.take() {
            self.waiting.extend(running.waiters);
        }
        self.refuse_waiting(&fault);
        (self.due, self.watching) = (None, None);
    }
}
