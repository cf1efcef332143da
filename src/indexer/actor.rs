//! The indexer actor: when a refresh runs, one at a time, and who waits for it.
//!
//! ```text
//!            due, asked for, Kubo ready
//!   idle ───────────────────────────────► refreshing ──► publish, answer, set the next time ──► idle
//!    ▲                                        │
//!    └── Kubo gone: dropped, no failure ◄─────┘
//! ```
//! The refresh is a task, so the actor always takes messages. It ends with its incarnation; whoever waited is told by the end
//! of the reply's sender. While Kubo is not there nothing is tried and nothing counts as failed.

use super::cycle::{self, Ends, Found, Plan};
use super::diff::Suspects;
use super::pace;
use crate::board::{Board, RefreshState};
use crate::config::Config;
use crate::fault;
use crate::index::actor::{Index, dated};
use crate::index::prune::Forget;
use crate::supervisor::{Life, Stop};
use crate::time;
use jiff::{SignedDuration, Timestamp};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::{DelegatedReply, ReplySender};
use proto_msgs::daemon::{IndexPause, IndexPaused, IndexRefresh, IndexRefreshed, IndexResume};
use proto_msgs::event::{RefreshChange, What};
use proto_msgs::kubo::{KuboReport, KuboState};
use proto_msgs::{Fault, FaultKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// Pins are compared one by one so often, however equal the sums are.
const FULL: Duration = Duration::from_secs(3600);
/// Pins that one unstreamed answer may have.
const STREAM_ABOVE: u64 = 1_500_000;
/// Callers that may wait at a time.
const WAITERS: usize = 1024;
/// Kubo's end breaks a call a moment before the board says that it is gone; then the refresh did not fail.
pub(super) const WITHDRAWAL: Duration = Duration::from_millis(250);

/// Numbers the refreshes of this process: what a former incarnation's task has to say is not taken for this one's.
static ROUNDS: AtomicU64 = AtomicU64::new(0);

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
    /// A weak one could not be upgraded after a restart: kameo keeps no strong reference of a later incarnation's.
    me: ActorRef<Indexer>,
    refreshing: Option<Refreshing>,
    /// They wait for a refresh that begins from now on.
    waiting: Vec<Waiter>,
    /// Another refresh is to follow at once, though nobody waits for it.
    wanted: bool,
    /// And the next one is to compare names.
    names_wanted: bool,
    suspects: Suspects,
    compared: Option<Instant>,
    /// The last refresh with names: when it began (at first: when this actor did), and how long it took.
    named: (Instant, Option<Duration>),
    due: Option<AbortOnDropHandle<()>>,
    forgetting: Option<AbortOnDropHandle<()>>,
    watching: Option<AbortOnDropHandle<()>>,
    stopped: bool,
}

struct Refreshing {
    round: u64,
    began: Instant,
    /// The run of Kubo that is listed.
    run: u64,
    /// Pin by pin.
    full: bool,
    waiters: Vec<Waiter>,
    /// Names came with it although they are too dear to come always.
    for_names: bool,
    at: Timestamp,
    _task: AbortOnDropHandle<()>,
}

/// The time of the next refresh has come.
struct Due;
/// Kubo has come or gone, or the configuration is another one.
struct Changed;
struct Finished {
    round: u64,
    outcome: Result<(Result<Found, Fault>, Suspects), JoinError>,
}

impl Actor for Indexer {
    type Args = IndexerArgs;
    type Error = Infallible;

    async fn on_start(args: IndexerArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let (board, config) = (args.board.clone(), args.config.clone());
        let (rpc, kubo) = (board.rpc.subscribe(), board.kubo.subscribe());
        let interval = args.config.borrow().interval;
        args.board.refresh.send_modify(|refresh| refresh.interval = interval);
        let mut indexer = Indexer {
            args,
            me: me.clone(),
            refreshing: None,
            waiting: Vec::new(),
            wanted: false,
            names_wanted: false,
            suspects: Suspects::default(),
            compared: None,
            named: (Instant::now(), None),
            due: None,
            forgetting: None,
            watching: None,
            stopped: false,
        };
        // Subscribed before the first look, so that no change falls between the two.
        indexer.begin();
        indexer.watching = Some(AbortOnDropHandle::new(tokio::spawn(watch_others(rpc, kubo, config, me))));
        indexer.args.life.runs();
        Ok(indexer)
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        // At once: the next incarnation starts before this one is dropped.
        (self.refreshing, self.due, self.watching) = (None, None, None);
        self.waiting.clear();
        self.args.life.panicked(error)
    }
}

async fn watch_others<R>(
    mut rpc: watch::Receiver<R>,
    mut kubo: watch::Receiver<KuboReport>,
    mut config: watch::Receiver<Arc<Config>>,
    me: ActorRef<Indexer>,
) {
    let mut state = kubo.borrow_and_update().state;
    loop {
        // The board is as old as the process; the configuration may be fixed.
        tokio::select! {
            changed = rpc.changed() => if changed.is_err() { return },
            Ok(()) = kubo.changed() => {
                let before = std::mem::replace(&mut state, kubo.borrow_and_update().state);
                // It has recovered; its start shows in `rpc`.
                if !(before == KuboState::Degraded && state == KuboState::Running) {
                    continue;
                }
            }
            Ok(()) = config.changed() => {}
        }
        if me.tell(Changed).await.is_err() {
            return;
        }
    }
}

impl Indexer {
    /// Begins a refresh, unless one is under way or Kubo is not there.
    fn begin(&mut self) {
        if self.refreshing.is_some() || self.stopped {
            return;
        }
        let asked_for = self.wanted || !self.waiting.is_empty();
        if self.args.board.refresh.borrow().paused && !asked_for {
            return;
        }
        let Some(rpc) = self.args.board.rpc.borrow().clone() else { return };
        (self.due, self.wanted) = (None, false);
        let waiters = std::mem::take(&mut self.waiting);
        let plan = self.plan(!waiters.is_empty());
        let for_names = plan.names && !self.names_are_cheap();
        let ends = Ends { rpc, index: self.args.index.clone(), state: self.args.board.index.clone() };
        let (me, life, mut suspects) = (self.me.clone(), self.args.life.clone(), self.suspects.clone());
        let full = plan.full;
        let refreshing = self.args.board.refreshing();
        let mut gone = self.args.board.rpc.subscribe();
        let refresh = AbortOnDropHandle::new(tokio::spawn(async move {
            let _refreshing = refreshing;
            life.fault_point("cycle");
            let found = cycle::run(&ends, plan, &mut suspects).await;
            if found.is_err() {
                // Then this task is dropped before it has anything to say.
                let _ = tokio::time::timeout(WITHDRAWAL, gone.wait_for(Option::is_none)).await;
            }
            (found, suspects)
        }));
        let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
        let task = tokio::spawn(async move {
            let outcome = refresh.await;
            // An actor that takes nothing any more is being replaced, and the next one refreshes anew.
            let _ = me.tell(Finished { round, outcome }).await;
        });
        let (began, at, run) = (Instant::now(), Timestamp::now(), self.args.board.kubo.borrow().restarts);
        self.refreshing =
            Some(Refreshing { round, began, run, full, waiters, for_names, at, _task: AbortOnDropHandle::new(task) });
    }

    fn plan(&mut self, confirm: bool) -> Plan {
        let wanted = std::mem::take(&mut self.names_wanted);
        let board = &self.args.board;
        let (pins, complete) = {
            let index = board.index.borrow();
            (index.set.len(), index.complete)
        };
        let (since, interval) = (self.named.0.elapsed(), self.args.config.borrow().interval);
        Plan {
            full: self.compared.is_none_or(|at| at.elapsed() >= FULL),
            confirm,
            names: wanted || !complete || pace::with_names(pins, self.named.1, since, interval),
            stream_above: STREAM_ABOVE,
        }
    }

    fn names_are_cheap(&self) -> bool {
        let (pins, interval) = (self.args.board.index.borrow().set.len(), self.args.config.borrow().interval);
        pace::with_names(pins, self.named.1, Duration::ZERO, interval)
    }

    fn finished(&mut self, round: u64, outcome: Result<(Result<Found, Fault>, Suspects), JoinError>) {
        let Some(done) = self.refreshing.take_if(|refreshing| refreshing.round == round) else { return };
        let (found, suspects) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                // A defect. It is this actor's, so that it is counted, shown and, if it goes on, escalated.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return,
            },
        };
        self.suspects = suspects;
        if found.as_ref().is_ok_and(|found| found.compared) {
            self.compared = Some(done.began);
        }
        let took = done.began.elapsed();
        if found.as_ref().is_ok_and(|found| found.named) {
            self.named = (done.began, Some(took));
        }
        let next = self.publish(&found, &done);
        if found.is_ok() && done.full {
            self.forget();
        }
        for waiter in done.waiters {
            waiter.send(found.clone().map(|found| self.answer(&found, true)));
        }
        if self.wanted || !self.waiting.is_empty() {
            self.begin();
        } else {
            self.wait(next.saturating_sub(took));
        }
    }

    /// Publishes how it went; the time from the start of this refresh to the start of the next.
    fn publish(&self, found: &Result<Found, Fault>, done: &Refreshing) -> Duration {
        let config = self.args.config.borrow().clone();
        let before = self.args.board.refresh.borrow().clone();
        let took = done.began.elapsed();
        // Names on a cycle of their own have a share of their own, and are no reason to look for new pins less often.
        let cost = before.last.filter(|_| done.for_names).map_or(took, |plain| plain.min(took));
        let after = match found {
            Ok(found) => RefreshState {
                interval: pace::after_success(config.interval, cost, config.busy_share),
                last: Some(cost),
                failed: 0,
                last_error: found.left_out.clone(),
                finished: before.finished + 1,
                // What it missed once may be there all the same.
                run: (found.missing == 0).then_some(done.run),
                left_out: found.left_out.is_some(),
                names_as_of: if found.named { Some(done.at) } else { before.names_as_of },
                paused: before.paused,
            },
            Err(fault) => {
                let failed = before.failed + 1;
                RefreshState {
                    interval: pace::after_failure(config.interval, took, config.busy_share, failed),
                    failed,
                    last_error: Some(fault.detail.clone()),
                    ..before.clone()
                }
            }
        };
        if let Some(error) = &after.last_error {
            let what = if found.is_ok() { "not all pins are in the index" } else { "the refresh failed" };
            self.args.life.error(format!("{what}: {error}"));
        }
        if (before.failed == 0) != (after.failed == 0) {
            let failing = after.failed > 0;
            let error = after.last_error.clone().filter(|_| failing);
            let change = RefreshChange { failing, failed: before.failed.max(after.failed), error };
            self.args.board.events.push(What::Refresh(change));
        }
        let interval = after.interval;
        self.args.board.refresh.send_replace(after);
        interval
    }

    /// Has the index forget what is over for long enough. Nobody waits for it.
    fn forget(&mut self) {
        let keep = SignedDuration::try_from(self.args.config.borrow().history_keep).unwrap_or(SignedDuration::MAX);
        let before = time::settled().checked_sub(keep).unwrap_or(Timestamp::MIN);
        let (index, life) = (self.args.index.clone(), self.args.life.clone());
        self.forgetting = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(fault) = fault::ask(&index, Forget { before }).await {
                life.error(format!("old history stays: {}", fault.detail));
            }
        })));
    }

    fn pause(&self, paused: bool) {
        self.args.board.refresh.send_modify(|refresh| refresh.paused = paused);
    }

    fn wait(&mut self, time: Duration) {
        let me = self.me.clone();
        self.due = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(time).await;
            let _ = me.tell(Due).await;
        })));
    }

    /// Ends what is under way; everybody who waits gets this fault.
    fn drop_all(&mut self, fault: &Fault) {
        (self.due, self.wanted) = (None, false);
        let waiters = self.refreshing.take().map(|refreshing| refreshing.waiters).unwrap_or_default();
        for waiter in waiters.into_iter().chain(std::mem::take(&mut self.waiting)) {
            waiter.send(Err(fault.clone()));
        }
    }

    /// Whether a refresh can be asked for.
    fn open(&self) -> Result<(), Fault> {
        if self.stopped {
            return Err(stopping());
        }
        if self.waiting.len() >= WAITERS {
            return Err(
                Fault::new(FaultKind::Busy, "too many callers wait for a refresh").hint("ask again in a moment")
            );
        }
        self.args.board.kubo_rpc().map(drop)
    }

    fn answer(&self, found: &Found, done: bool) -> IndexRefreshed {
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
}

fn stopping() -> Fault {
    Fault::new(FaultKind::NotReady, "the daemon is stopping")
}

impl Message<IndexRefresh> for Indexer {
    type Reply = DelegatedReply<Result<IndexRefreshed, Fault>>;

    /// With `wait`, answered when a refresh that began after this is over; a refresh under way began before.
    async fn handle(&mut self, ask: IndexRefresh, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (delegated, reply) = ctx.reply_sender();
        let Some(reply) = reply else { return delegated };
        self.names_wanted |= ask.names && self.open().is_ok();
        match self.open() {
            Err(fault) => reply.send(Err(fault)),
            Ok(()) if ask.wait => self.waiting.push(reply),
            Ok(()) => {
                self.wanted = true;
                reply.send(Ok(self.answer(&Found::default(), false)));
            }
        }
        if self.wanted || !self.waiting.is_empty() {
            self.begin();
        }
        delegated
    }
}

impl Message<IndexPause> for Indexer {
    type Reply = Result<IndexPaused, Fault>;

    /// A refresh under way goes on to its end.
    async fn handle(&mut self, _: IndexPause, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        self.pause(true);
        Ok(IndexPaused { paused: true })
    }
}

impl Message<IndexResume> for Indexer {
    type Reply = Result<IndexPaused, Fault>;

    async fn handle(&mut self, _: IndexResume, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        self.pause(false);
        self.begin();
        Ok(IndexPaused { paused: false })
    }
}

impl Message<Due> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Due, _: &mut Context<Self, ()>) {
        self.begin();
    }
}

impl Message<Changed> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Changed, _: &mut Context<Self, ()>) {
        match self.args.board.kubo_rpc() {
            Ok(_) => self.begin(),
            Err(fault) => self.drop_all(&fault),
        }
    }
}

impl Message<Finished> for Indexer {
    type Reply = ();

    async fn handle(&mut self, Finished { round, outcome }: Finished, _: &mut Context<Self, ()>) {
        self.finished(round, outcome);
    }
}

impl Message<Stop> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        (self.stopped, self.watching) = (true, None);
        self.drop_all(&stopping());
    }
}

#[cfg(test)]
mod tests;
