//! The enricher actor: keeps the two lanes going.

use super::lane::{self, Ends, Roots};
use crate::board::Board;
use crate::config::Config;
use crate::index::actor::Index;
use crate::index::sizes::Look;
use crate::supervisor::{Life, Stop};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use std::ops::ControlFlow;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinError;
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
    lanes: Vec<AbortOnDropHandle<()>>,
}

/// A lane has ended, which only a defect does.
struct Ended(JoinError);

impl Actor for Enricher {
    type Args = EnricherArgs;
    type Error = Infallible;

    async fn on_start(args: EnricherArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let ends = Ends {
            life: args.life.clone(),
            board: args.board.clone(),
            config: args.config.clone(),
            index: args.index.clone(),
            roots: watch::Sender::new(Roots::default()),
        };
        let lane = |look| {
            let lane = AbortOnDropHandle::new(tokio::spawn(lane::run(ends.clone(), look)));
            let me = me.clone();
            AbortOnDropHandle::new(tokio::spawn(async move {
                if let Err(error) = lane.await {
                    // An actor that takes nothing any more is being replaced.
                    let _ = me.tell(Ended(error)).await;
                }
            }))
        };
        let lanes = vec![lane(Look::Root), lane(Look::Whole)];
        args.life.runs();
        Ok(Enricher { args, lanes })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.args.life.failed(&error);
        // At once: the next incarnation starts before this one is dropped.
        self.lanes.clear();
        Ok(ControlFlow::Break(ActorStopReason::Panicked(error)))
    }
}

impl Message<Ended> for Enricher {
    type Reply = ();

    async fn handle(&mut self, Ended(error): Ended, _: &mut Context<Self, ()>) {
        // It is this actor's, so that it is counted, shown and, if it goes on, escalated.
        if let Ok(panic) = error.try_into_panic() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Message<Stop> for Enricher {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.lanes.clear();
    }
}
