//! The analytics actor: totals by type, codec, size and age, counted once for each generation of the pin set and each time that
//! sizes were measured (ages once a minute).

use super::evidence::recorder::Recorder;
use super::evidence::{self, Ends};
use crate::board::Board;
use crate::config::Config;
use crate::fault::ask;
use crate::index::actor::{AskTotals, Index, dated};
use crate::index::query::Totals;
use crate::supervisor::{Ended, Life, Stop, watched};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use proto_msgs::Fault;
use proto_msgs::daemon::{Metrics, MetricsReport};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio_util::task::AbortOnDropHandle;

/// Age classes move with time although nothing changes.
const FRESH: Duration = Duration::from_secs(60);

/// What the actor is made from.
#[derive(Clone)]
pub struct AnalyticsArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// What the others publish.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who counts.
    pub index: ActorRef<Index>,
    /// Where accesses go.
    pub recorder: Recorder,
}

/// Totals, when they were counted, and how often sizes had been written by then.
type Counted = Option<(Totals, Instant, u64)>;

/// The actor.
pub struct Analytics {
    args: AnalyticsArgs,
    counted: Arc<Mutex<Counted>>,
    /// What reads the sources of accesses.
    sources: Option<AbortOnDropHandle<()>>,
}

impl Actor for Analytics {
    type Args = AnalyticsArgs;
    type Error = Infallible;

    async fn on_start(args: AnalyticsArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let AnalyticsArgs { life, board, config, index, recorder } = args.clone();
        let sources = watched(&me, evidence::run(Ends { life, board, config, index, recorder }));
        args.life.runs();
        Ok(Analytics { args, counted: Arc::default(), sources: Some(sources) })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        // At once: the next incarnation starts before this one is dropped.
        self.sources = None;
        self.args.life.panicked(error)
    }
}

/// Totals of the present generation; whoever asks while somebody counts waits for that count.
async fn totals(args: &AnalyticsArgs, counted: &Mutex<Counted>) -> Result<Totals, Fault> {
    let mut counted = counted.lock().await;
    let generation = args.board.index.borrow().generation;
    let sizes = args.board.sizes.borrow().written;
    match &*counted {
        Some((totals, at, of)) if totals.generation == generation && *of == sizes && at.elapsed() < FRESH => {
            Ok(totals.clone())
        }
        _ => {
            let totals = ask(&args.index, AskTotals).await?;
            *counted = Some((totals.clone(), Instant::now(), sizes));
            Ok(totals)
        }
    }
}

impl Message<Metrics> for Analytics {
    type Reply = DelegatedReply<Result<MetricsReport, Fault>>;

    async fn handle(&mut self, _: Metrics, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (args, counted) = (self.args.clone(), self.counted.clone());
        ctx.spawn(async move {
            // Before the count, which is at least so new.
            let dated = dated(&args.board);
            let totals = totals(&args, &counted).await?;
            Ok(dated.metrics(totals))
        })
    }
}

impl Message<Stop> for Analytics {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.sources = None;
    }
}

impl Message<Ended> for Analytics {
    type Reply = ();

    async fn handle(&mut self, ended: Ended, _: &mut Context<Self, ()>) {
        ended.pass_on();
    }
}
