//! The enricher actor: keeps the two lanes of sizes going, and the one of MFS.

use super::lane::{self, Ends, Roots};
use crate::board::Board;
use crate::config::Config;
use crate::index::actor::Index;
use crate::index::sizes::Look;
use crate::indexer::mfs;
use crate::supervisor::{Ended, Life, Stop, watched};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What the actor is made from.
#[derive(Clone)]
pub struct EnricherArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// What the others publish, and where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who keeps what it finds.
    pub index: ActorRef<Index>,
}

/// The actor.
pub struct Enricher {
    args: EnricherArgs,
    /// A weak one could not be upgraded after a restart: kameo keeps no strong reference of a later incarnation's.
    me: ActorRef<Enricher>,
    lanes: Vec<AbortOnDropHandle<()>>,
    restores: AbortOnDropHandle<()>,
}

/// Another index is in the place of the one that the lanes know.
struct Restored;

impl Actor for Enricher {
    type Args = EnricherArgs;
    type Error = Infallible;

    async fn on_start(args: EnricherArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        // Before the lanes look at the index.
        let restores = restores(&args, &me);
        let lanes = lanes(&args, &me);
        args.life.runs();
        Ok(Enricher { args, me, lanes, restores })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        // At once: the next incarnation starts before this one is dropped.
        self.lanes.clear();
        self.args.life.panicked(error)
    }
}

fn lanes(args: &EnricherArgs, me: &ActorRef<Enricher>) -> Vec<AbortOnDropHandle<()>> {
    let EnricherArgs { life, board, config, index } = args.clone();
    let ends = Ends {
        life: life.clone(),
        board: board.clone(),
        config: config.clone(),
        index: index.clone(),
        roots: watch::Sender::new(Roots::default()),
    };
    let mfs = mfs::Lane { life, board, config, index, most: mfs::MOST };
    vec![
        watched(me, lane::run(ends.clone(), Look::Root)),
        watched(me, lane::run(ends, Look::Whole)),
        watched(me, mfs::run(mfs)),
    ]
}

/// Tells the actor of the next restore.
fn restores(args: &EnricherArgs, me: &ActorRef<Enricher>) -> AbortOnDropHandle<()> {
    let (mut index, me) = (args.board.index.subscribe(), me.clone());
    let known = index.borrow().restored;
    AbortOnDropHandle::new(tokio::spawn(async move {
        // The board is as old as the process, so the sender can't be gone.
        let _ = index.wait_for(|index| index.restored != known).await;
        let _ = me.tell(Restored).await;
    }))
}

impl Message<Ended> for Enricher {
    type Reply = ();

    async fn handle(&mut self, ended: Ended, _: &mut Context<Self, ()>) {
        ended.pass_on();
    }
}

impl Message<Restored> for Enricher {
    type Reply = ();

    async fn handle(&mut self, _: Restored, _: &mut Context<Self, ()>) {
        // The old ones end before the new ones begin.
        self.lanes.clear();
        self.restores = restores(&self.args, &self.me);
        self.lanes = lanes(&self.args, &self.me);
    }
}

impl Message<Stop> for Enricher {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.lanes.clear();
    }
}
