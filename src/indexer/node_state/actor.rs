//! The node_state actor: keeps the sampler and the keeper going. What they have in hand is on the board, so that a restarted one
//! goes on with it.

use super::{keeper, sampler};
use crate::board::Board;
use crate::config::Config;
use crate::index::actor::Index;
use crate::outside::Turns;
use crate::supervisor::{Ended, Life, Stop, watched};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// For the last batch.
const LAST_BATCH: Duration = Duration::from_secs(3);

/// What the actor is made from.
#[derive(Clone)]
pub struct NodeStateArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// What the others publish, and where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who keeps what it measures.
    pub index: ActorRef<Index>,
    /// For work at the files.
    pub turns: Turns,
    /// Whether files that are not ours were told of.
    pub told: Arc<AtomicBool>,
}

/// The actor.
pub struct NodeState {
    args: NodeStateArgs,
    work: Option<AbortOnDropHandle<()>>,
}

impl Actor for NodeState {
    type Args = NodeStateArgs;
    type Error = Infallible;

    async fn on_start(args: NodeStateArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let (sampler, keeper) = (sampler::run(args.clone()), keeper::run(args.clone()));
        let work = watched(&me, async {
            tokio::join!(sampler, keeper);
        });
        args.life.runs();
        Ok(NodeState { args, work: Some(work) })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        // At once: the next incarnation starts before this one is dropped.
        self.work = None;
        self.args.life.panicked(error)
    }
}

impl Message<Ended> for NodeState {
    type Reply = ();

    async fn handle(&mut self, ended: Ended, _: &mut Context<Self, ()>) {
        ended.pass_on();
    }
}

impl Message<Stop> for NodeState {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.work = None;
        // An index that failed for good takes none, and the stop goes on.
        let _ = tokio::time::timeout(LAST_BATCH, keeper::batch(&self.args)).await;
    }
}
