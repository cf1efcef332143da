//! The analytics actor: keeps the cycle going, hands questions to whoever answers them, and has totals by type, codec, size and age, counted once for each generation of the pin set and each time that
//! sizes were measured (ages once a minute).

use super::answer;
use super::cycle::{self, Desk};
use super::evidence;
use super::evidence::recorder::Recorder;
use crate::board::Board;
use crate::config::Config;
use crate::fault::ask;
use crate::index::actor::{AskTotals, Index, dated};
use crate::index::query::Totals;
use crate::outside::Turns;
use crate::supervisor::{Ended, Life, Stop, watched};
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use proto_msgs::Fault;
use proto_msgs::analytics::{
    AnalyticsCold, AnalyticsDisk, AnalyticsHot, AnalyticsPatterns, AnalyticsPredict, AnalyticsReport, AnalyticsScore,
    AnalyticsSummary, AnalyticsTiers, AnalyticsUnpinFirst, DiskReport, ForecastPage, HeatPage, PatternPage,
    ScoreReport, TierPage, UnpinPage,
};
use proto_msgs::daemon::{Metrics, MetricsReport};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio_util::task::AbortOnDropHandle;

/// Age classes move with time although nothing changes.
const FRESH: Duration = Duration::from_secs(60);
/// For saving what was counted, at the end; what is not saved is counted again.
const LAST_SAVE: Duration = Duration::from_secs(4);

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
    /// What the cycle works on, over restarts of the actor.
    pub desk: Desk,
    /// For looks at the repo's files.
    pub turns: Turns,
}

/// Totals, when they were counted, and how often sizes had been written by then.
type Counted = Option<(Totals, Instant, u64)>;

/// The actor.
pub struct Analytics {
    args: AnalyticsArgs,
    counted: Arc<Mutex<Counted>>,
    /// The sources of accesses, and the cycle.
    work: Option<AbortOnDropHandle<()>>,
}

impl Actor for Analytics {
    type Args = AnalyticsArgs;
    type Error = Infallible;

    async fn on_start(args: AnalyticsArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let (sources, cycle) = (evidence::run(args.clone()), cycle::run(args.clone()));
        let work = watched(&me, async {
            tokio::join!(sources, cycle);
        });
        args.life.runs();
        Ok(Analytics { args, counted: Arc::default(), work: Some(work) })
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
        self.work = None;
        if tokio::time::timeout(LAST_SAVE, cycle::end(&self.args)).await.is_err() {
            tracing::info!("what analytics has counted was not saved in time; the next start counts it again");
        }
    }
}

impl Message<Ended> for Analytics {
    type Reply = ();

    async fn handle(&mut self, ended: Ended, _: &mut Context<Self, ()>) {
        ended.pass_on();
    }
}

/// A question that is answered from the last look.
macro_rules! answered {
    ($ask:ty => $reply:ty, $by:path) => {
        impl Message<$ask> for Analytics {
            type Reply = DelegatedReply<Result<$reply, Fault>>;

            async fn handle(&mut self, ask: $ask, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
                self.args.life.fault_point("message");
                ctx.spawn($by(self.args.clone(), ask))
            }
        }
    };
}

answered!(AnalyticsSummary => AnalyticsReport, answer::summary);
answered!(AnalyticsHot => HeatPage, answer::hot);
answered!(AnalyticsCold => HeatPage, answer::cold);
answered!(AnalyticsPatterns => PatternPage, answer::patterns);
answered!(AnalyticsTiers => TierPage, answer::tiers);
answered!(AnalyticsPredict => ForecastPage, answer::predict);
answered!(AnalyticsDisk => DiskReport, answer::disk);
answered!(AnalyticsUnpinFirst => UnpinPage, answer::unpin_first);
answered!(AnalyticsScore => ScoreReport, answer::score);
