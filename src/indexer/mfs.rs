//! The lane of MFS, beside the refresh: keeps the tree of paths in the index equal to Kubo's.
//!
//! A look asks for the root's CID; unchanged, that is all. Otherwise `walk` reads what has changed.

mod walk;

use super::actor::WITHDRAWAL;
use super::pace;
use crate::board::{Board, MfsState};
use crate::cid::{self, Cid};
use crate::config::Config;
use crate::fault::ask;
use crate::index::actor::Index;
use crate::index::actor::vfs::{AskEntry, AskUnread};
use crate::index::vfs::{Place, State};
use crate::kubo::rpc::Rpc;
use crate::supervisor::Life;
use jiff::Timestamp;
use kameo::actor::ActorRef;
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;
use walk::{Stop, Walk};

/// For short answers, and between two pieces of a long one.
const DEADLINE: Duration = Duration::from_secs(60);
/// Entries of MFS that the index takes; what is below other directories is not read.
pub const MOST: u64 = 5_000_000;
/// What was not here is looked for again so often.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// Whom the lane asks, and where it tells.
#[derive(Clone)]
pub struct Lane {
    /// Where errors are told.
    pub life: Arc<Life>,
    /// What the others publish, and where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who applies what it finds.
    pub index: ActorRef<Index>,
    /// Entries that the tree may have, about: [`MOST`].
    pub most: u64,
}

/// What the lane remembers between two looks.
#[derive(Default)]
struct Memory {
    /// The root whose walk has ended.
    root: Option<Cid>,
    /// When missing blocks were looked for last.
    again: Option<Instant>,
    /// The directory that failed last, and how often one time after the other.
    stuck: Option<(Cid, u32)>,
}

/// Looks at MFS again and again, for as long as the future is not dropped.
pub async fn run(lane: Lane) {
    let (mut memory, mut failed) = (Memory::default(), 0);
    remember(&lane).await;
    loop {
        // The board is as old as the process, so the senders can't be gone.
        let _ = lane.board.refresh.subscribe().wait_for(|refresh| !refresh.paused).await;
        let mut rpcs = lane.board.rpc.subscribe();
        let Ok(Some(rpc)) = rpcs.wait_for(Option::is_some).await.map(|rpc| rpc.clone()) else { return };
        let gone = async { drop(rpcs.wait_for(|now| now.as_ref() != Some(&rpc)).await) };
        tokio::pin!(gone);
        let began = Instant::now();
        let looked = tokio::select! {
            looked = look(&lane, &rpc, &mut memory) => looked,
            () = &mut gone => continue,
        };
        let took = began.elapsed();
        let (interval, busy_share) = {
            let config = lane.config.borrow();
            (config.interval, config.busy_share)
        };
        let next = match looked {
            Ok(()) => {
                failed = 0;
                pace::after_success(interval, took, busy_share)
            }
            // Kubo's end breaks a call a moment before the board says that it is gone; then nothing has failed.
            Err(_) if timeout(WITHDRAWAL, &mut gone).await.is_ok() => continue,
            Err(fault) => {
                failed += 1;
                lane.life.error(format!("MFS could not be read: {}", fault.detail));
                lane.board.mfs.send_modify(|mfs| mfs.error = Some(fault.detail));
                pace::after_failure(interval, took, busy_share, failed)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(next.saturating_sub(took)) => {}
            // Another run of Kubo may have another tree.
            () = &mut gone => {}
        }
    }
}

/// Publishes what the file has, for answers before the first look.
async fn remember(lane: &Lane) {
    let (root, unread) = tokio::join!(ask(&lane.index, AskEntry(Place::root())), ask(&lane.index, AskUnread(0)));
    if let (Ok(root), Ok((_, counts))) = (root, unread) {
        let whole = root.is_some_and(|root| root.put.state == State::Whole);
        let (entries, unread, as_of) = (counts.entries, counts.unread, counts.as_of);
        lane.board.mfs.send_modify(|mfs| *mfs = MfsState { entries, unread, as_of, whole, ..mfs.clone() });
    }
}

/// One look, and a walk where something has changed.
async fn look(lane: &Lane, rpc: &Rpc, memory: &mut Memory) -> Result<(), Fault> {
    let (at, run) = (Timestamp::now(), lane.board.kubo.borrow().restarts);
    let root = cid::parse(&rpc.mfs_root(DEADLINE).await?.cid)?;
    let again = memory.again.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
    if memory.root.as_ref() != Some(&root) || (again && lane.board.mfs.borrow().unread > 0) {
        owned(lane, rpc).await?;
        let mut walk = Walk::new(lane, rpc, memory.stuck);
        let counts = match walk.all(&root, at, again).await {
            Ok(counts) => counts,
            Err(Stop::Failed(fault)) => return Err(fault),
            Err(Stop::Stuck(cid, error)) => {
                let times = memory.stuck.filter(|(before, _)| *before == *cid).map_or(0, |(_, times)| times);
                memory.stuck = Some((*cid, times + 1));
                return Err(error.into());
            }
        };
        (memory.root, memory.stuck) = (Some(root), None);
        if again {
            memory.again = Some(Instant::now());
        }
        lane.board.mfs.send_modify(|mfs| (mfs.entries, mfs.unread) = (counts.entries, counts.unread));
    }
    lane.board.mfs.send_modify(|mfs| {
        *mfs = MfsState { as_of: Some(at), whole: true, run: Some(run), error: None, ..mfs.clone() };
    });
    Ok(())
}

/// Whether it is the tree of the node whose the index is, which the first listing of pins says.
async fn owned(lane: &Lane, rpc: &Rpc) -> Result<(), Fault> {
    let mut index = lane.board.index.subscribe();
    let owner = index.wait_for(|index| index.peer_id.is_some()).await.ok().and_then(|index| index.peer_id.clone());
    let node = rpc.id(DEADLINE).await?;
    if owner.as_ref() == Some(&node.peer_id) {
        return Ok(());
    }
    let detail = format!("MFS is that of node {}, and the index belongs to another one", node.peer_id);
    Err(Fault::new(FaultKind::Conflict, detail))
}

#[cfg(test)]
mod tests;
