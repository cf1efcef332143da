//! The janitor actor: looks when asked, when Kubo's state changes, and now and then; cleans what is proven dead while our own Kubo
//! is at rest, and what a client asks for; publishes what `repo.lock` is.

use super::clean::{self, How};
use super::evidence::{self, Looks};
use super::places::Places;
use crate::board::Board;
use crate::config::Config;
use crate::outside::{Turns, Unanswered};
use crate::supervisor::{Life, Stop};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use proto_msgs::kubo::{KuboReport, KuboState};
use proto_msgs::lock::{LockCheck, LockClean, LockCleaned, LockOutcome, LockReport, LockRole};
use proto_msgs::{Fault, FaultKind};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks that nothing gave rise to, longer than a js-ipfs that lives leaves its lock alone.
const LOOK: Duration = Duration::from_secs(30);
/// For one look; a file system that takes longer, such as a network one that is gone, may never answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the actor is made from.
#[derive(Clone)]
pub struct JanitorArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// Where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// For what touches the files.
    pub turns: Turns,
}

/// The actor.
pub struct Janitor {
    args: JanitorArgs,
    /// Not kept over a restart: a first look more is only a wait more.
    looks: Arc<Mutex<Looks>>,
    looking: Option<AbortOnDropHandle<()>>,
}

impl Actor for Janitor {
    type Args = JanitorArgs;
    type Error = Infallible;

    async fn on_start(args: JanitorArgs, _: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let looks = Arc::<Mutex<Looks>>::default();
        let looking = tokio::spawn(look_now_and_then(args.clone(), looks.clone()));
        args.life.runs();
        Ok(Janitor { args, looks, looking: Some(AbortOnDropHandle::new(looking)) })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.looking = None;
        self.args.life.panicked(error)
    }
}

async fn look_now_and_then(args: JanitorArgs, looks: Arc<Mutex<Looks>>) {
    let mut kubo = args.board.kubo.subscribe();
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A start cleans by itself what would be in its way, so there is no hurry.
    let mut cleaning = false;
    loop {
        // What of somebody else's repo is left over is not ours to clean, unless a person says so.
        let at_rest = is_at_rest(&kubo.borrow_and_update()) && args.config.borrow().attach.is_none();
        let looked = if cleaning && at_rest {
            clean(&args, &looks, How::default(), false).await.map(drop)
        } else {
            look(&args, &looks).await.map(drop)
        };
        if let Err(fault) = looked {
            args.life.error(fault.detail);
        }
        cleaning = tokio::select! {
            changed = kubo.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            _ = tick.tick() => true,
        };
    }
}

/// Whether our own Kubo neither runs nor is being started. One that is started a moment later waits for its lock as long as the
/// janitor may hold it.
fn is_at_rest(kubo: &KuboReport) -> bool {
    use KuboState::{Backoff, CrashLoop, Held, Stopped};
    kubo.pid.is_none() && matches!(kubo.state, Held | Stopped | Backoff | CrashLoop)
}

/// Looks now and publishes.
async fn look(args: &JanitorArgs, looks: &Arc<Mutex<Looks>>) -> Result<LockReport, Fault> {
    let ours = args.board.kubo.borrow().pid;
    let report = at_the_files(args, looks, move |places, looks| evidence::look(places, ours, looks)).await?;
    publish(&args.board, &report);
    Ok(report)
}

/// Cleans now, then looks and publishes.
async fn clean(
    args: &JanitorArgs,
    looks: &Arc<Mutex<Looks>>,
    how: How,
    asked: bool,
) -> Result<Vec<LockOutcome>, Fault> {
    let ours = args.board.kubo.borrow().pid;
    let life = args.life.clone();
    let (files, report) = at_the_files(args, looks, move |places, looks| {
        let between = || {
            if asked {
                life.pause_point("clean")
            }
        };
        let outcomes = clean::clean(places, looks, how, &between);
        (outcomes.iter().map(|outcome| outcome.report(ours)).collect(), evidence::look(places, ours, looks))
    })
    .await?;
    publish(&args.board, &report);
    Ok(files)
}

fn publish(board: &Board, report: &LockReport) {
    board.lock.send_replace(report.locks.iter().find(|lock| lock.role == LockRole::RepoLock).cloned());
}

/// Does what touches files on a thread of its own, in turn and not for ever.
async fn at_the_files<T: Send + 'static>(
    args: &JanitorArgs,
    looks: &Arc<Mutex<Looks>>,
    job: impl FnOnce(&Places, &mut Looks) -> T + Send + 'static,
) -> Result<T, Fault> {
    let config = args.config.borrow().clone();
    let with_repo = args.board.kubo.borrow().repo.is_some();
    let (looks, places) = (looks.clone(), config.clone());
    let job = move || job(&Places::all(&places, with_repo), &mut looks.lock().unwrap_or_else(PoisonError::into_inner));
    args.turns.take(DEADLINE, job).await.map_err(|error| {
        let detail = format!("looking at the locks of {} brought {error}", config.ipfs_path.display());
        match error {
            Unanswered::Late(_) => {
                Fault::new(FaultKind::Timeout, detail).hint("see whether its file system is mounted and alive")
            }
            Unanswered::Failed(_) => Fault::new(FaultKind::Internal, detail),
        }
    })
}

impl Message<LockCheck> for Janitor {
    type Reply = DelegatedReply<Result<LockReport, Fault>>;

    async fn handle(&mut self, _: LockCheck, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (args, looks) = (self.args.clone(), self.looks.clone());
        ctx.spawn(async move { look(&args, &looks).await })
    }
}

impl Message<LockClean> for Janitor {
    type Reply = DelegatedReply<Result<LockCleaned, Fault>>;

    async fn handle(&mut self, asked: LockClean, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (args, looks) = (self.args.clone(), self.looks.clone());
        let LockClean { dry_run, force } = asked;
        ctx.spawn(async move {
            let files = clean(&args, &looks, How { dry_run, force }, true).await?;
            Ok(LockCleaned { as_of: crate::time::now(), dry_run, files })
        })
    }
}

impl Message<Stop> for Janitor {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.looking = None;
    }
}
