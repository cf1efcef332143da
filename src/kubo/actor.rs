//! The kubo actor: feeds the state machine, does what it says, publishes what it is.
//!
//! The machine and what else must survive a restart of the actor is in `memory`, as old as the process; the child is with the
//! spawner thread, and `signs` tells of it. A new incarnation rebinds the notify socket, compares the machine with the child that is there, and goes on.

use super::attach;
use super::end;
use super::goal::Goal;
use super::memory::{Memory, notify_socket};
use super::process::{ChildState, Spawner};
use super::repo::{self, Found, Repo};
use super::rpc::{Rpc, RpcError};
use super::signs::{Marks, PROBE_DEADLINE, bind_notify, listen, marks, probe, watch_cause, watch_child};
use super::state::{Effect, Event, Limits, Machine, Want};
use crate::board::Board;
use crate::config::Config;
use crate::fault::chain;
use crate::supervisor::{Life, Stop};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::{DelegatedReply, ReplySender};
use proto_msgs::Fault;
use proto_msgs::event::KuboChange;
use proto_msgs::kubo::{Held, KuboReport, KuboState};
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::task::AbortOnDropHandle;

/// What the actor is made from.
#[derive(Clone)]
pub struct KuboArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// Where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who holds the child.
    pub spawner: Spawner,
    /// What survives a restart of the actor.
    pub memory: Arc<Mutex<Memory>>,
}

/// The actor.
pub struct Kubo {
    pub(super) args: KuboArgs,
    /// A weak one could not be upgraded after a restart: kameo keeps no strong reference of a later incarnation's.
    me: ActorRef<Kubo>,
    pub(super) waiting: Vec<(Goal, ReplySender<Result<KuboReport, Fault>>)>,
    stopping: Vec<ReplySender<()>>,
    timer: Option<AbortOnDropHandle<()>>,
    work: Option<AbortOnDropHandle<()>>,
    _watching: Vec<AbortOnDropHandle<()>>,
}

pub(super) struct Happened(pub(super) Event);
pub(super) struct ChildChanged;
struct Judged(Result<Judgement, Held>, Marks);

/// What may be started, or followed.
enum Judgement {
    Ours(Found),
    Theirs(Repo),
}

pub(super) struct Probed(pub(super) Result<String, RpcError>);
pub(super) struct Peers(pub(super) Option<u64>);
struct Version(String);

impl Actor for Kubo {
    type Args = KuboArgs;
    type Error = Infallible;

    async fn on_start(args: KuboArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let look = Arc::new(Notify::new());
        let probe = probe(args.board.clone(), args.memory.clone(), look.clone(), me.clone());
        let mut watching = vec![
            AbortOnDropHandle::new(tokio::spawn(watch_child(args.spawner.child(), me.clone()))),
            AbortOnDropHandle::new(tokio::spawn(probe)),
            AbortOnDropHandle::new(tokio::spawn(watch_cause(
                args.config.clone(),
                args.board.clone(),
                args.memory.clone(),
                me.clone(),
            ))),
        ];
        match bind_notify(&notify_socket(&args.config.borrow())) {
            Ok(socket) => watching.push(AbortOnDropHandle::new(tokio::spawn(listen(socket, look)))),
            // Kubo's readiness shows by its API, too.
            Err(error) => args.life.error(format!("cannot listen for Kubo's readiness: {error}")),
        }
        let mut kubo =
            Kubo { args, me, waiting: Vec::new(), stopping: Vec::new(), timer: None, work: None, _watching: watching };
        // One look for both: an exit between two would be taken for one without a cause. What comes after it, `watch_child`
        // tells.
        let child = kubo.args.spawner.child().borrow().clone();
        let alive = matches!(child, ChildState::Running { .. });
        kubo.child_is(child);
        let limits = kubo.limits();
        kubo.step(|machine, now, jitter| machine.resume(now, alive, jitter, limits));
        kubo.args.life.runs();
        Ok(kubo)
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        // At once: the next incarnation starts before this one is dropped.
        self._watching.clear();
        (self.timer, self.work) = (None, None);
        self.args.life.panicked(error)
    }
}

impl Kubo {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.args.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> Limits {
        let config = self.args.config.borrow();
        let Config { stop_grace, start_timeout, hang_limit, .. } = **config;
        Limits { stop_grace, start_timeout, hang_limit }
    }

    pub(super) fn happened(&mut self, event: Event) {
        let limits = self.limits();
        self.step(|machine, now, jitter| machine.on(event, now, jitter, limits));
    }

    fn step(&mut self, step: impl FnOnce(&mut Machine, Duration, f64) -> Vec<Effect>) {
        let (effects, changes) = self.memory().step(step);
        self.act(effects);
        // After the publishing: whoever is woken by an event finds the state that it speaks of.
        for change in changes {
            self.changed(change);
        }
    }

    fn changed(&mut self, change: KuboChange) {
        if change.to == KuboState::Running {
            self.ask_version();
        }
        self.args.board.kubo_changed(change);
    }

    /// Does what the machine says, then tells everybody.
    fn act(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Judge => self.judge(),
                Effect::Spawn => self.spawn(),
                Effect::Terminate => self.args.spawner.terminate(),
                Effect::Kill => self.args.spawner.kill(),
            }
        }
        self.arm_timer();
        let report = self.publish();
        self.answer(&report);
    }

    fn judge(&mut self) {
        let config = self.args.config.borrow().clone();
        let index_peer = self.args.board.index.borrow().peer_id.clone();
        let (me, life) = (self.me.clone(), self.args.life.clone());
        let (turns, looks) = {
            let memory = self.memory();
            (memory.turns.clone(), memory.looks.clone())
        };
        self.work = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let (judged, marks) = match config.attach.clone() {
                Some(attach) => {
                    let found = attach::find(config, attach, index_peer, &turns).await;
                    (found.map(Judgement::Theirs), Marks::default())
                }
                None => {
                    let of = config.clone();
                    let look = move || {
                        life.fault_point("look");
                        let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
                        (repo::look(&of, index_peer.as_deref(), &mut looks).map(Judgement::Ours), marks(&of))
                    };
                    let looked = turns.take(repo::DEADLINE, look).await;
                    looked.unwrap_or_else(|error| (Err(repo::unanswered(&config, error)), Marks::default()))
                }
            };
            // The actor that is gone is replaced by one that judges again.
            let _ = me.tell(Judged(judged, marks)).await;
        })));
    }

    fn spawn(&mut self) {
        let config = self.args.config.borrow().clone();
        let (memory, spawner, me) = (self.args.memory.clone(), self.args.spawner.clone(), self.me.clone());
        self.work = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            // What the machine knows of children it learns from the spawner's watch alone.
            if let Err(held) = start(config, &memory, &spawner).await {
                let _ = me.tell(Happened(Event::NotSpawned(held))).await;
            }
        })));
    }

    fn ask_version(&self) {
        let Some(rpc) = self.memory().rpc() else { return };
        let me = self.me.clone();
        tokio::spawn(async move {
            if let Ok(version) = rpc.version(PROBE_DEADLINE).await {
                let _ = me.tell(Version(version)).await;
            }
        });
    }

    /// Compares the machine with the child that the spawner thread has.
    fn child_is(&mut self, child: ChildState) {
        match child {
            ChildState::None => {}
            ChildState::Running { run, .. } => self.met(run),
            ChildState::Exited { run, code, signal, asked, out_of_memory, at, last_words } => {
                self.met(run);
                if !self.memory().machine.has_child() {
                    return;
                }
                let exit = end::of(code, signal, asked, out_of_memory, at, last_words);
                let event = {
                    let mut memory = self.memory();
                    let program = memory.repo.as_ref().and_then(|repo| repo.program.as_deref());
                    let event = Event::Exited { how: end::told(&exit), permanent: end::permanent(&exit, program) };
                    memory.last_exit = Some(exit);
                    memory.peers = None;
                    event
                };
                self.happened(event);
            }
        }
    }

    /// A child is there, or was: the machine hears of its start before it hears of its end.
    fn met(&mut self, run: u64) {
        let new = {
            let mut memory = self.memory();
            std::mem::replace(&mut memory.run, run) < run
        };
        if new {
            // The program may be another one by now.
            self.memory().version = None;
            self.happened(Event::Spawned);
        }
    }

    fn arm_timer(&mut self) {
        let wait = {
            let memory = self.memory();
            memory.machine.timer().map(|due| due.saturating_sub(memory.now()))
        };
        self.timer = wait.map(|wait| {
            let me = self.me.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                // A millisecond more: the machine ignores a timer that comes too early.
                tokio::time::sleep(wait + Duration::from_millis(1)).await;
                let _ = me.tell(Happened(Event::Timer)).await;
            }))
        });
    }

    pub(super) fn report(&self) -> KuboReport {
        let config = self.args.config.borrow().clone();
        let child = self.args.spawner.child().borrow().clone();
        self.memory().report(&config, &child)
    }

    fn publish(&self) -> KuboReport {
        let report = self.report();
        // By the machine and not by the state: a Kubo that never became ready is degraded, too.
        let usable = self.memory().machine.takes_calls();
        let rpc = |rpc: Option<Rpc>| {
            self.args.board.rpc.send_if_modified(|present| {
                let changed = *present != rpc;
                *present = rpc;
                changed
            })
        };
        // Whoever sees that Kubo runs finds its RPC, whoever finds that knows of which run it is, and whoever finds none sees why.
        if usable {
            self.args.board.kubo.send_if_modified(|present| {
                present.restarts = report.restarts;
                false
            });
            rpc(self.memory().rpc());
        }
        self.args.board.kubo.send_if_modified(|present| {
            let changed = *present != report;
            present.clone_from(&report);
            changed
        });
        if !usable {
            rpc(None);
        }
        report
    }

    fn is_lost(&self, error: &RpcError) -> bool {
        matches!(error, RpcError::Unreachable(_) | RpcError::Refused { status: 401 | 403, .. })
            || self.memory().machine.state() == KuboState::Degraded
    }

    /// Somebody else's Kubo is gone, or is another one.
    fn lost(&self, rpc: &Rpc, how: String, error: Option<&RpcError>) -> Event {
        let permanent = match error {
            Some(error) => attach::not_reachable(rpc, error),
            None => repo::held("repo_changed", how.clone(), "see which Kubo listens there"),
        };
        self.memory().peers = None;
        Event::Exited { how, permanent: Some(permanent) }
    }

    /// Answers those whose wish is fulfilled, or can't be.
    fn answer(&mut self, report: &KuboReport) {
        let machine = self.memory().machine.clone();
        let mut waiting = Vec::new();
        for (goal, reply) in std::mem::take(&mut self.waiting) {
            match goal.verdict(&machine, report) {
                Some(answer) => reply.send(answer),
                None => waiting.push((goal, reply)),
            }
        }
        self.waiting = waiting;
        if machine.is_at_rest() {
            for reply in std::mem::take(&mut self.stopping) {
                reply.send(());
            }
        }
    }
}

/// Makes the repo ready that the last look has found, and starts a child on it.
async fn start(config: Arc<Config>, memory: &Mutex<Memory>, spawner: &Spawner) -> Result<(), Held> {
    let memory = || memory.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error: io::Error| {
        repo::held("spawn_failed", format!("Kubo cannot be started: {error}"), "the start is tried again by itself")
    };
    let (found, turns) = {
        let mut memory = memory();
        (memory.found.take(), memory.turns.clone())
    };
    let found = found.ok_or_else(|| failed(io::Error::other("the repo was not looked at")))?;
    let of = config.clone();
    let ready = turns.take(found.deadline(), move || (repo::ready(&of, found), marks(&of))).await;
    let (repo, marks) = ready.map_err(|error| repo::unanswered(&config, error))?;
    let launch = {
        let mut memory = memory();
        // What we have changed ourselves is nobody's mending.
        memory.marks = marks;
        memory.repo = Some(repo?);
        if memory.machine.want() != Want::Run {
            return Err(failed(io::Error::other("a stop was asked for while its repo was made ready")));
        }
        memory.launch(&config).map_err(failed)?
    };
    match spawner.spawn(launch).await {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

impl Message<Stop> for Kubo {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, _: Stop, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (delegated, reply) = ctx.reply_sender();
        self.stopping.extend(reply);
        self.happened(Event::DaemonEnds);
        delegated
    }
}

impl Message<Happened> for Kubo {
    type Reply = ();

    async fn handle(&mut self, Happened(event): Happened, _: &mut Context<Self, ()>) {
        self.args.life.fault_point("event");
        self.happened(event);
    }
}

impl Message<ChildChanged> for Kubo {
    type Reply = ();

    async fn handle(&mut self, _: ChildChanged, _: &mut Context<Self, ()>) {
        let child = self.args.spawner.child().borrow().clone();
        self.child_is(child);
    }
}

impl Message<Judged> for Kubo {
    type Reply = ();

    async fn handle(&mut self, Judged(judged, marks): Judged, _: &mut Context<Self, ()>) {
        let judged = {
            let mut memory = self.memory();
            memory.marks = marks;
            judged.map(|judgement| match judgement {
                Judgement::Ours(found) => memory.found = Some(found),
                Judgement::Theirs(repo) => {
                    // Of somebody else's Kubo a run is what lies between two losses.
                    memory.run += 1;
                    memory.repo = Some(repo);
                }
            })
        };
        self.happened(Event::Judged(judged));
    }
}

impl Message<Probed> for Kubo {
    type Reply = ();

    async fn handle(&mut self, Probed(answer): Probed, _: &mut Context<Self, ()>) {
        let Some(node) = self.memory().repo.clone() else { return };
        let event = match answer {
            Ok(peer) if peer == node.peer_id => {
                if self.memory().version.is_none() {
                    self.ask_version();
                }
                Event::ProbeGood
            }
            Ok(peer) => {
                let why = format!("its API answers as node {peer}, and not as {}", node.peer_id);
                match node.program {
                    Some(_) => Event::ProbeBad(why),
                    // Somebody else's is another one by now; a look says what that means.
                    None => self.lost(&node.rpc, why, None),
                }
            }
            Err(error) if error.is_our_own() => {
                return self.args.life.error(format!("cannot look at Kubo: {}", chain(&error)));
            }
            // Nobody listens where we don't; or it is another one by now, or wants another secret, which a new look finds out.
            Err(error) if node.program.is_none() && self.is_lost(&error) => {
                self.lost(&node.rpc, chain(&error), Some(&error))
            }
            Err(error) => Event::ProbeBad(chain(&error)),
        };
        self.happened(event);
    }
}

impl Message<Peers> for Kubo {
    type Reply = ();

    async fn handle(&mut self, Peers(peers): Peers, _: &mut Context<Self, ()>) {
        if self.memory().machine.takes_calls() {
            self.memory().peers = peers;
            self.publish();
        }
    }
}

impl Message<Version> for Kubo {
    type Reply = ();

    async fn handle(&mut self, Version(version): Version, _: &mut Context<Self, ()>) {
        self.memory().version = Some(version);
        self.publish();
    }
}
