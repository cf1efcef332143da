//! The index actor: a thin front before the store. Every message is handed on and answered when the store has done it, so the
//! mailbox never waits; the writer's queue keeps the order of writes.

use super::apply::{self, Applied, ApplyAdded, ApplyRemoved, BeginListing, ListingChanges, State, Token, Unchanged};
use super::disk::{self, AskDisk, Used};
use super::error::IndexError;
use super::held::{self, AskHeld, AskRows, Held};
use super::history;
use super::info::{self, AskInfo, Info};
use super::listed::{All, Listed, is_window, is_worth_it};
use super::listing;
use super::marks::{self, Say};
use super::pages;
use super::prune::{self, Forget};
use super::query::{self, Totals};
use super::reply::{self, Dated, PAGE};
use super::seen;
use super::set::{Entry, Keyed};
use super::sizes::{self, ApplySizes, AskLacking, AskSizes, Known, Lacking};
use super::state::{self, AskSamples, KeepSamples, Kept};
use super::store::Store;
use crate::board::Board;
use crate::cid;
use crate::snapshot::bulk::Encoder;
use crate::snapshot::lookup::{self, Disk};
use crate::supervisor::{Life, Stop};
use duckdb::Connection;
use jiff::Timestamp;
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError, SendError};
use kameo::message::{BoxReply, Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use proto_msgs::Fault;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{Pin, PinChanges, PinDiff, PinHistory, PinInfo, PinInfoReply, PinLs, PinMarked, PinPage, Source};
use proto_msgs::verb::Part;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
    listed: Listed,
}

/// The age of an answer that is given now. It is live when Kubo runs, and the newest refresh has found the index equal to
/// this run of it, or made it so, and another one is to follow by itself.
pub fn dated(board: &Board) -> Dated {
    let run = {
        let kubo = board.kubo.borrow();
        (kubo.state == KuboState::Running).then_some(kubo.restarts)
    };
    let (refreshed, left_out) = {
        let refresh = board.refresh.borrow();
        (!refresh.paused && refresh.failed == 0 && refresh.run.is_some() && refresh.run == run, refresh.left_out)
    };
    let index = board.index.borrow();
    let complete = index.complete && !left_out;
    Dated {
        as_of: index.as_of.map(crate::time::text),
        age_s: index.as_of.and_then(crate::time::age_s),
        generation: index.generation,
        complete,
        source: if complete && refreshed { Source::Live } else { Source::Index },
    }
}

/// What is known of a CID, when it can be told without waiting for anything; otherwise the actor is to be asked.
pub fn pin_at_once(board: &Board, ask: &PinInfo) -> Result<Option<PinInfoReply>, Fault> {
    let cid = cid::parse(&ask.cid)?;
    let dated = dated(board);
    let found = reply::of_block(&board.index.borrow().set, &cid);
    let file = board.pin_file.borrow().clone();
    let pins = match file {
        _ if found.is_empty() => Some(Vec::new()),
        // Whatever is wrong, the actor meets it too.
        Some(file) => file.pins(&found, Disk::Cached).unwrap_or_default(),
        None => None,
    };
    let seen = |pins| seen::fill(board.looked().as_deref(), &found, pins);
    pins.map(|pins| dated.info(&cid, seen(pins))).transpose()
}

/// The pins of the block of a CID in any of its forms; when there is none, the same fault as of `pin info`.
pub fn pinned(board: &Board, cid: &str) -> Result<Vec<Entry>, Fault> {
    let cid = cid::parse(cid)?;
    let found = reply::of_block(&board.index.borrow().set, &cid);
    if found.is_empty() {
        dated(board).info(&cid, Vec::new())?;
    }
    Ok(found)
}

/// Asks for totals as of now.
pub struct AskTotals;

/// Asks whether the actor and the writer behind it answer.
pub struct Probe;

/// The rows of a listing as they are read.
pub type Rows<P> = mpsc::Receiver<Result<P, Fault>>;

impl Actor for Index {
    type Args = IndexArgs;
    type Error = Infallible;

    async fn on_start(args: IndexArgs, _: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        args.life.runs();
        Ok(Index { args, listed: Listed::default() })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.args.life.panicked(error)
    }
}

fn fault(args: &IndexArgs, action: &str, error: &IndexError) -> Fault {
    super::fault::fault(&args.board, "index", action, error)
}

/// Has the writer do it; in its queue before the next message is looked at, so that writes keep the order of the messages.
fn write<M, R: Send + 'static>(
    args: &IndexArgs,
    ctx: &mut Context<Index, DelegatedReply<Result<R, Fault>>>,
    action: &'static str,
    message: M,
    work: fn(&Connection, &mut State, M) -> Result<R, IndexError>,
) -> DelegatedReply<Result<R, Fault>>
where
    M: Send + 'static,
{
    args.life.fault_point("message");
    let done = args.store.write(move |connection, state| work(connection, state, message));
    let args = args.clone();
    // The task may outlive this incarnation: a write that is queued takes place, and its asker is to be told.
    ctx.spawn(async move { done.await.map_err(|error| fault(&args, action, &error)) })
}

/// Answers when the work is done, and gives it up (and DuckDB's part of it) when nobody waits for it any more. The task may
/// outlive this incarnation, since it touches none of its state.
fn answer<A: Actor, R: Send + 'static>(
    ctx: &mut Context<A, DelegatedReply<Result<R, Fault>>>,
    work: impl Future<Output = Result<R, Fault>> + Send + 'static,
) -> DelegatedReply<Result<R, Fault>> {
    let (delegated, reply) = ctx.reply_sender();
    if let Some(reply) = reply {
        let mut reply = reply.boxed();
        tokio::spawn(async move {
            tokio::select! {
                result = work => {
                    let result = result.map(|value| Box::new(value) as BoxReply);
                    let _ = reply.send(result.map_err(|fault| SendError::HandlerError(Box::new(fault) as _)));
                }
                () = reply.closed() => {}
            }
        });
    }
    delegated
}

/// A message that the writer answers.
macro_rules! written {
    ($message:ty => $reply:ty, $action:literal, $work:expr) => {
        impl Message<$message> for Index {
            type Reply = DelegatedReply<Result<$reply, Fault>>;

            async fn handle(&mut self, message: $message, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
                write(&self.args, ctx, $action, message, $work)
            }
        }
    };
}

written!(Probe => (), "answer", |_, _, _| Ok(()));
written!(BeginListing => (Token, Keyed), "begin a listing", |_, state, _| Ok(apply::begin_listing(state)));
written!(Unchanged => (), "note that nothing changed", apply::unchanged);
written!(ListingChanges => Applied, "apply a listing", apply::listing);
written!(ApplyAdded => (u64, Pin), "add a pin to the index", apply::added);
written!(ApplyRemoved => u64, "remove a pin from the index", apply::removed);
written!(Say => PinMarked, "record what is said of a CID", marks::say);
written!(Forget => u64, "forget old history", prune::forget);
written!(ApplySizes => (), "write sizes", apply::sizes);
written!(KeepSamples => (), "keep what was measured of the node", state::keep);

impl Message<PinLs> for Index {
    type Reply = DelegatedReply<Result<(PinPage, Rows<Part>), Fault>>;

    async fn handle(&mut self, ask: PinLs, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (args, listed) = (self.args.clone(), self.listed.clone());
        answer(ctx, async move {
            // Before the rows are chosen: they are at least so new.
            let dated = dated(&args.board);
            let since = ask.since.as_deref().map(crate::time::parse).transpose()?;
            if let Some(all) = all(&args, &listed, &ask).await? {
                return Ok((dated.page(all.generation, all.pins.len() as u64), all.rows(&ask)));
            }
            let asked = ask.clone();
            let choose = move |connection: &Connection| {
                let columns = asked.bulk.map(|_| listing::read(connection, &[])).transpose()?.map(|none| none.schema());
                Ok((query::choose(connection, &asked, since)?, columns))
            };
            let chosen = args.store.read(choose).await;
            let (chosen, columns) = chosen.map_err(|error| fault(&args, "list pins", &error))?;
            let page = dated.page(chosen.generation, chosen.total);
            let rows = match ask.bulk.zip(columns) {
                None => {
                    let look = args.board.looked();
                    let read = move |connection: &Connection, ids: &[u64]| seen::rows(connection, ids, look.as_deref());
                    pages::rows(args, chosen.keys, listing::PAGE, read, reply::pins)
                }
                Some((form, columns)) => {
                    pages::bulk(args, chosen.keys, Encoder::begin(form, &columns, &ask.columns, &page)?)
                }
            };
            Ok((page, rows))
        })
    }
}

/// All rows, where they are known or few, and nothing but some of them in their usual order is asked for.
async fn all(args: &IndexArgs, listed: &Listed, ask: &PinLs) -> Result<Option<All>, Fault> {
    if !is_window(ask) {
        return Ok(None);
    }
    let (changes, pins) = {
        let index = args.board.index.borrow();
        (index.changes, index.set.len())
    };
    let look = args.board.looked();
    let looked = look.as_ref().map(|look| look.at);
    if let Some(all) = listed.get(changes, looked) {
        return Ok(Some(all));
    }
    if !is_worth_it(ask, pins) {
        return Ok(None);
    }
    let read = move |connection: &Connection| {
        let chosen = query::choose(connection, &PinLs::default(), None)?;
        let pins = seen::rows(connection, &chosen.keys, look.as_deref())?.into();
        Ok(All { changes, looked, generation: chosen.generation, pins })
    };
    let all = args.store.read(read).await.map_err(|error| fault(args, "list pins", &error))?;
    listed.keep(all.clone());
    Ok(Some(all))
}

impl Message<PinHistory> for Index {
    type Reply = DelegatedReply<Result<(PinPage, Rows<PinChanges>), Fault>>;

    async fn handle(&mut self, ask: PinHistory, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let dated = dated(&args.board);
            let of = ask.cid.as_deref().map(cid::parse).transpose()?;
            let choose = move |connection: &Connection| history::choose(connection, of.as_ref(), ask.limit, ask.offset);
            let chosen = args.store.read(choose).await.map_err(|error| fault(&args, "read the history", &error))?;
            if let Some(cid) = of.filter(|_| chosen.total == 0) {
                return Err(reply::never_pinned(&cid));
            }
            let page = dated.page(chosen.generation, chosen.total);
            Ok((page, pages::rows(args, chosen.keys, PAGE, history::rows, reply::changes)))
        })
    }
}

impl Message<PinDiff> for Index {
    type Reply = DelegatedReply<Result<(PinPage, Rows<PinChanges>), Fault>>;

    async fn handle(&mut self, ask: PinDiff, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let dated = dated(&args.board);
            let asked = ask.clone();
            let chosen = args.store.read(move |connection| history::choose_differing(connection, &asked)).await;
            let chosen = chosen.map_err(|error| fault(&args, "compare generations", &error))?;
            let chosen = chosen.map_err(reply::not_kept)?;
            let page = dated.page(chosen.generation, chosen.total);
            let read = move |connection: &Connection, keys: &[_]| history::differing(connection, &ask, keys);
            Ok((page, pages::rows(args, chosen.keys, PAGE, read, reply::changes)))
        })
    }
}

impl Message<PinInfo> for Index {
    type Reply = DelegatedReply<Result<PinInfoReply, Fault>>;

    async fn handle(&mut self, ask: PinInfo, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let cid = cid::parse(&ask.cid)?;
            let dated = dated(&args.board);
            let found = reply::of_block(&args.board.index.borrow().set, &cid);
            let file = args.board.pin_file.borrow().clone();
            let pins = match lookup::pins(file, found.clone()).await {
                Some(pins) => seen::fill(args.board.looked().as_deref(), &found, pins),
                None => {
                    let ids: Vec<u64> = found.iter().map(Entry::id).collect();
                    let look = args.board.looked();
                    let read = move |connection: &Connection| seen::rows(connection, &ids, look.as_deref());
                    args.store.read(read).await.map_err(|error| fault(&args, "look a pin up", &error))?
                }
            };
            dated.info(&cid, pins)
        })
    }
}

/// A message that a reader answers.
macro_rules! read {
    ($message:ty => $reply:ty, $action:literal, $work:expr) => {
        impl Message<$message> for Index {
            type Reply = DelegatedReply<Result<$reply, Fault>>;

            async fn handle(&mut self, message: $message, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
                self.args.life.fault_point("message");
                let args = self.args.clone();
                answer(ctx, async move {
                    let read = args.store.read(move |connection| $work(connection, message)).await;
                    read.map_err(|error| fault(&args, $action, &error))
                })
            }
        }
    };
}

// Behind the macros, which they use.
mod access;
pub mod vfs;

read!(AskTotals => Totals, "count pins", |connection, _| query::totals(connection, Timestamp::now()));
read!(AskLacking => Lacking, "look for pins without a size", |connection, ask| sizes::lacking(connection, &ask));
read!(AskSizes => Known, "count sizes", |connection, _| sizes::known(connection));
read!(AskInfo => Info, "look at the index", |connection, _| info::info(connection));
read!(AskHeld => Vec<Held>, "look at all pins", |connection, _| held::all(connection));
read!(AskRows => Vec<(u64, Pin)>, "read rows of pins", |connection, AskRows(ids)| held::rows(connection, &ids));
read!(AskDisk => Vec<Used>, "read how full the disk was", |connection, _| disk::samples(connection));

impl<S: Kept> Message<AskSamples<S>> for Index {
    type Reply = DelegatedReply<Result<Vec<(Timestamp, S)>, Fault>>;

    async fn handle(&mut self, ask: AskSamples<S>, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let read = args.store.read(move |connection| state::samples(connection, ask)).await;
            read.map_err(|error| fault(&args, "read what was measured of the node", &error))
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

#[cfg(test)]
mod tests {
    use super::*;
    use kameo::actor::Spawn;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[derive(Actor)]
    struct Endless;

    /// Reports through its end that the work was begun and given up.
    struct Work(Option<oneshot::Sender<()>>, Option<oneshot::Sender<()>>);

    impl Drop for Work {
        fn drop(&mut self) {
            let _ = self.1.take().map(|given_up| given_up.send(()));
        }
    }

    impl Message<Work> for Endless {
        type Reply = DelegatedReply<Result<(), Fault>>;

        async fn handle(&mut self, mut work: Work, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
            answer(ctx, async move {
                let _ = work.0.take().map(|begun| begun.send(()));
                std::future::pending::<()>().await;
                drop(work);
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_given_up() {
        let actor = Endless::spawn(Endless);
        let ((begin, begun), (give_up, given_up)) = (oneshot::channel(), oneshot::channel());
        let asker = tokio::spawn(async move { actor.ask(Work(Some(begin), Some(give_up))).await.is_ok() });
        begun.await.expect("it runs");
        asker.abort();
        tokio::time::timeout(Duration::from_secs(60), given_up).await.expect("in time").expect("given up");
    }
}
