//! The janitor actor: looks when asked, when Kubo's state changes, and now and then; publishes what `repo.lock` is.

use super::evidence;
use crate::board::Board;
use crate::config::Config;
use crate::supervisor::{Life, Stop};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use proto_msgs::lock::{LockCheck, LockReport};
use proto_msgs::{Fault, FaultKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

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
    /// One look at a time: one that hangs keeps its thread, and must stay the only one.
    pub looking: Arc<Semaphore>,
}

/// The actor.
pub struct Janitor {
    args: JanitorArgs,
    looking: Option<AbortOnDropHandle<()>>,
}

impl Actor for Janitor {
    type Args = JanitorArgs;
    type Error = Infallible;

    async fn on_start(args: JanitorArgs, _: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let looking = tokio::spawn(look_now_and_then(args.clone()));
        args.life.runs();
        Ok(Janitor { args, looking: Some(AbortOnDropHandle::new(looking)) })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.args.life.failed(&error);
        self.looking = None;
        Ok(ControlFlow::Break(ActorStopReason::Panicked(error)))
    }
}

async fn look_now_and_then(args: JanitorArgs) {
    let mut kubo = args.board.kubo.subscribe();
    loop {
        if let Err(fault) = look(&args).await {
            args.life.error(fault.detail);
        }
        tokio::select! {
            changed = kubo.changed() => if changed.is_err() { return },
            () = sleep(LOOK) => {}
        }
    }
}

/// Looks now and publishes.
async fn look(args: &JanitorArgs) -> Result<LockReport, Fault> {
    let repo = args.config.borrow().ipfs_path.clone();
    let ours = args.board.kubo.borrow().pid;
    let slow = |_| {
        let detail = format!("{} did not answer within {} s", repo.display(), DEADLINE.as_secs());
        Fault::new(FaultKind::Timeout, detail).hint("see whether its file system is mounted and alive")
    };
    let failed = |error| Fault::new(FaultKind::Internal, format!("looking at the locks failed: {error}"));
    let path = repo.clone();
    let turn = args.looking.clone().acquire_owned();
    let report = timeout(DEADLINE, async {
        let turn = turn.await;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            evidence::look(&path, ours)
        })
        .await
    });
    let report = report.await.map_err(slow)?.map_err(failed)?;
    args.board.lock.send_replace(report.locks.first().cloned());
    Ok(report)
}

impl Message<LockCheck> for Janitor {
    type Reply = DelegatedReply<Result<LockReport, Fault>>;

    async fn handle(&mut self, _: LockCheck, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move { look(&args).await })
    }
}

impl Message<Stop> for Janitor {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.looking = None;
    }
}
