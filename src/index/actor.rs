//! The index actor: a thin front before the store. Every message is handed on and answered when the store has done it, so the
//! mailbox never waits; the writer's queue keeps the order of writes.

use super::apply::{self, Applied, ApplyAdded, ApplyRemoved, BeginListing, ListingChanges, Token, Unchanged};
use super::query::{self, Totals};
use super::set::Keyed;
use super::store::{IndexError, Store};
use crate::board::{Board, StopReason};
use crate::cid::{self, Key};
use crate::supervisor::{Life, Stop};
use jiff::Timestamp;
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{Pin, PinInfo, PinInfoReply, PinLs, PinPage, PinRows, Source};
use proto_msgs::{Fault, FaultKind};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Rows that one query of a listing reads.
const PAGE: usize = 2000;
/// Parts that wait for a client.
const AHEAD: usize = 4;
/// For the last checkpoint.
const CLOSE: Duration = Duration::from_secs(15);

/// What the actor is made from.
#[derive(Clone)]
pub struct IndexArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// What the others publish.
    pub board: Arc<Board>,
    /// The threads that own the file.
    pub store: Store,
}

/// The actor.
pub struct Index {
    args: IndexArgs,
}

/// How old an answer from the index is.
#[derive(Clone, Debug)]
pub struct Dated {
    /// RFC 3339 UTC.
    pub as_of: Option<String>,
    /// Seconds since then.
    pub age_s: Option<f64>,
    /// Counts changes of the pin set.
    pub generation: u64,
    /// Whether a whole listing has been applied.
    pub complete: bool,
    /// Where the answer comes from.
    pub source: Source,
}

/// The age of an answer that is given now.
pub fn dated(board: &Board) -> Dated {
    let kubo = board.kubo.borrow().state;
    let index = board.index.borrow();
    let live = index.complete && matches!(kubo, KuboState::Running | KuboState::Degraded);
    Dated {
        as_of: index.as_of.map(crate::time::text),
        age_s: index.as_of.map(crate::time::age_s),
        generation: index.generation,
        complete: index.complete,
        source: if live { Source::Live } else { Source::Index },
    }
}

/// Asks for totals as of now.
pub struct AskTotals;

/// The rows of a listing as they are read.
pub type Rows = mpsc::Receiver<Result<PinRows, Fault>>;

impl Actor for Index {
    type Args = IndexArgs;
    type Error = Infallible;

    async fn on_start(args: IndexArgs, _: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        Ok(Index { args })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.args.life.failed(&error);
        Ok(ControlFlow::Break(ActorStopReason::Panicked(error)))
    }
}

/// What DuckDB has given up on only a new process can open again.
fn fault(args: &IndexArgs, error: IndexError) -> Fault {
    if let IndexError::Fatal(why) = &error {
        args.board.stop(StopReason::GaveUp(format!("DuckDB has given up on the index: {why}")));
    }
    if matches!(error, IndexError::Duckdb(_) | IndexError::Fatal(_) | IndexError::Panicked) {
        let text = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        args.life.error(text);
    }
    error.into()
}

/// A message that the writer answers.
macro_rules! written {
    ($message:ty => $reply:ty, |$connection:ident, $state:ident, $asked:ident| $work:expr) => {
        impl Message<$message> for Index {
            type Reply = DelegatedReply<Result<$reply, Fault>>;

            async fn handle(&mut self, $asked: $message, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
                self.args.life.fault_point("message");
                let args = self.args.clone();
                ctx.spawn(async move {
                    let done = args.store.write(move |$connection, $state| $work).await;
                    done.map_err(|error| fault(&args, error))
                })
            }
        }
    };
}

written!(BeginListing => (Token, Keyed), |_connection, state, _asked| Ok(apply::begin_listing(state)));
written!(Unchanged => (), |connection, state, asked| apply::unchanged(connection, state, &asked));
written!(ListingChanges => Applied, |connection, state, asked| apply::listing(connection, state, asked));
written!(ApplyAdded => (u64, Pin), |connection, state, asked| apply::added(connection, state, &asked));
written!(ApplyRemoved => u64, |connection, state, asked| apply::removed(connection, state, &asked));

impl Message<PinLs> for Index {
    type Reply = DelegatedReply<Result<(PinPage, Rows), Fault>>;

    async fn handle(&mut self, ask: PinLs, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let dated = dated(&args.board);
            let chosen = args.store.read(move |connection| query::choose(connection, &ask)).await;
            let chosen = chosen.map_err(|error| fault(&args, error))?;
            let page = PinPage {
                as_of: dated.as_of,
                age_s: dated.age_s,
                generation: dated.generation,
                complete: dated.complete,
                source: dated.source,
                total: chosen.total,
            };
            let (send, rows) = mpsc::channel(AHEAD);
            tokio::spawn(read_pages(args, chosen.ids, send));
            Ok((page, rows))
        })
    }
}

/// Ends when the rows are read or nobody wants them any more.
async fn read_pages(args: IndexArgs, ids: Vec<u64>, send: mpsc::Sender<Result<PinRows, Fault>>) {
    for page in ids.chunks(PAGE) {
        let page = page.to_vec();
        let read = tokio::select! {
            read = args.store.read(move |connection| query::rows(connection, &page)) => read,
            () = send.closed() => return,
        };
        let sent = match read {
            Ok(pins) => {
                let mut sent = Ok(());
                for part in pins.chunks(PinRows::MAX) {
                    sent = send.send(Ok(PinRows { pins: part.to_vec() })).await.map_err(drop);
                }
                sent
            }
            Err(error) => {
                // Whether or not the client still listens, nothing more comes.
                drop(send.send(Err(fault(&args, error))).await);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Message<PinInfo> for Index {
    type Reply = DelegatedReply<Result<PinInfoReply, Fault>>;

    async fn handle(&mut self, ask: PinInfo, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let cid = cid::parse(&ask.cid)?;
            let key = Key::of(&cid);
            let dated = dated(&args.board);
            let mut found = args.board.index.borrow().set.block(&key);
            // The exact CID first.
            found.sort_by_key(|entry| (entry.key() != key, entry.key()));
            let ids: Vec<u64> = found.iter().map(|entry| entry.id()).collect();
            let pins = args.store.read(move |connection| query::rows(connection, &ids)).await;
            let pins = pins.map_err(|error| fault(&args, error))?;
            if pins.is_empty() {
                return Err(not_pinned(&cid, &dated));
            }
            Ok(PinInfoReply {
                as_of: dated.as_of,
                age_s: dated.age_s,
                generation: dated.generation,
                complete: dated.complete,
                source: dated.source,
                pins,
            })
        })
    }
}

fn not_pinned(cid: &::cid::Cid, dated: &Dated) -> Fault {
    let detail = match (&dated.as_of, dated.complete) {
        (Some(as_of), true) => format!("{} is not pinned, as of {as_of}", cid::text(cid)),
        _ => format!("{} is not in the index, which is not complete yet", cid::text(cid)),
    };
    Fault::new(FaultKind::NotFound, detail).hint("`ipfs-kitctl index refresh --wait` looks again")
}

impl Message<AskTotals> for Index {
    type Reply = DelegatedReply<Result<Totals, Fault>>;

    async fn handle(&mut self, _: AskTotals, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let totals = args.store.read(|connection| query::totals(connection, Timestamp::now())).await;
            totals.map_err(|error| fault(&args, error))
        })
    }
}

impl Message<Stop> for Index {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, _: Stop, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let store = self.args.store.clone();
        ctx.spawn(async move { store.close(CLOSE).await })
    }
}
