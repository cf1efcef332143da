//! `pin add` and `pin rm`: first Kubo, then the index, then the reply, so that the next `pin ls` has it.

use super::kubo;
use super::out::Parts;
use super::places::quarter_of_descriptors;
use super::route::Routes;
use crate::board::Board;
use crate::cid::{Cid, Key};
use crate::fault::ask;
use crate::index::actor::Index;
use crate::index::apply::{ApplyAdded, ApplyRemoved};
use crate::kubo::rpc::{Rpc, RpcError};
use kameo::actor::ActorRef;
use proto_msgs::daemon::IndexRefresh;
use proto_msgs::pin::{Pin, PinAdd, PinAdded, PinRemoved, PinRm, PinType};
use proto_msgs::verb::{Done, Part, Verb};
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Kubo's limit, in bytes.
const NAME: usize = 255;
const RPC_DEADLINE: Duration = Duration::from_secs(50);
/// Changes under way in the whole daemon, where there are descriptors for them: each holds a connection to Kubo.
const CHANGES: usize = 1024;
/// CIDs that share a lock only wait for each other's short last step.
const LOCKS: usize = 32;

/// The changes of pins that are under way. Each is a task that outlives its call: whatever happens to the client, the index
/// is told what Kubo made of it.
#[derive(Clone)]
pub struct Changes {
    most: usize,
    running: TaskTracker,
    settling: Arc<[Mutex<()>; LOCKS]>,
}

impl Changes {
    /// None yet; as many at a time as this process has descriptors for.
    #[expect(clippy::new_without_default, reason = "it asks the kernel")]
    pub fn new() -> Changes {
        let most = CHANGES.min(quarter_of_descriptors());
        Changes { most, running: TaskTracker::new(), settling: Arc::default() }
    }

    /// Returns when none is under way.
    pub async fn done(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Carries a change out and then tells the index what Kubo holds. Dropped early it cancels the change, but not the rest.
    async fn carry_out(
        &self,
        routes: &Routes,
        cid: Cid,
        rpc: Rpc,
        change: impl Future<Output = Result<(), RpcError>> + Send + 'static,
    ) -> Result<(u64, Option<Pin>), Fault> {
        if routes.board.is_stopping() {
            return Err(Fault::new(FaultKind::NotReady, "the daemon is stopping"));
        }
        if self.running.len() >= self.most {
            let detail = format!("{} changes of pins are under way", self.most);
            return Err(Fault::new(FaultKind::Busy, detail).hint("wait for one of them to end"));
        }
        let (settling, index, indexer) = (self.settling.clone(), routes.index.clone(), routes.indexer.clone());
        let board = routes.board.clone();
        let cancel = CancellationToken::new();
        let _cancelled = cancel.clone().drop_guard();
        let task = self.running.spawn(async move {
            let change = async {
                expected(&rpc, &board).await?;
                change.await.map_err(Fault::from)
            };
            let changed = tokio::select! {
                changed = change => changed,
                // One that Kubo has not begun waits in our listener's queue, for the next Kubo.
                () = board.kubo_gone() => Err(kubo::gone(&board)),
                () = cancel.cancelled() => Err(Fault::new(FaultKind::Cancelled, "the call was given up")),
            };
            // Also after an error: an answer that never came does not say that nothing happened.
            let settled = settle(&settling, &index, &rpc, &board, cid).await;
            let given_up = |fault: &Fault| matches!(fault.kind, FaultKind::Cancelled | FaultKind::Timeout);
            if settled.is_err() || changed.as_ref().is_err_and(given_up) {
                // The index may lack what Kubo did, or still does; the refresh mends that, or is seen to fail.
                drop(ask(&indexer, IndexRefresh { wait: false, names: false }).await);
            }
            changed.and(settled.map_err(behind))
        });
        task.await.unwrap_or_else(|_| Err(Fault::new(FaultKind::Internal, "a defect: the change of a pin panicked")))
    }
}

/// Kubo has done it, and the index has not heard of it.
fn behind(fault: Fault) -> Fault {
    let detail = format!("Kubo has done it, but the index does not have it yet: {}", fault.detail);
    Fault::new(fault.kind, detail).hint("the next refresh brings it; `ipfs-kitctl index refresh --wait` tries at once")
}

/// Makes the index say of one CID what Kubo says. The lock makes whoever comes last the one who has looked last: of two
/// changes of a CID at the same time, each looks after its own, so the last look has seen both.
async fn settle(
    settling: &[Mutex<()>; LOCKS],
    index: &ActorRef<Index>,
    rpc: &Rpc,
    board: &Board,
    cid: Cid,
) -> Result<(u64, Option<Pin>), Fault> {
    let _lock = settling[usize::from(Key::of(&cid).digest[0]) % LOCKS].lock().await;
    // Kubo keeps a recursive pin where a direct one was asked for, or an older name.
    let text = crate::cid::text(&cid);
    let mut there = board.rpc.subscribe();
    let look = async {
        let pin = rpc.pin_of(&text, RPC_DEADLINE).await?;
        // After the answer, so that it is this node's.
        expected(rpc, board).await?;
        Ok::<_, Fault>(pin)
    };
    let pin = tokio::select! {
        pin = look => pin?,
        // Its socket is ours and outlives it: nobody would answer, and nobody would refuse.
        // The guard is dropped at once: `kubo_rpc` reads the same value.
        () = async { drop(there.wait_for(Option::is_none).await) } => {
            return Err(board.kubo_rpc().err().unwrap_or_else(|| kubo::gone(board)));
        }
    };
    match pin {
        Some((pin_type, name)) => {
            let (generation, pin) = ask(index, ApplyAdded { cid, pin_type, name }).await?;
            Ok((generation, Some(pin)))
        }
        None => Ok((ask(index, ApplyRemoved { cid }).await?, None)),
    }
}

/// Whether the node that answers is still the one that the index belongs to: at the address of somebody else's Kubo another one may
/// listen by now, and the look that finds that out is up to seconds away.
async fn expected(rpc: &Rpc, board: &Board) -> Result<(), Fault> {
    let present = rpc.id(RPC_DEADLINE).await?.peer_id;
    let expected = board.kubo.borrow().peer_id.clone();
    if expected.as_ref() == Some(&present) {
        return Ok(());
    }
    let at = rpc.address();
    let detail =
        format!("node {present} answers at {at}, and not {}", expected.as_deref().unwrap_or("the expected one"));
    Err(Fault::new(FaultKind::Conflict, detail)
        .hint("see which Kubo listens there; `ipfs-kitctl kubo status` says more"))
}

pub(super) async fn add(routes: &Routes, verb: PinAdd, parts: &Parts) -> Result<Done, Fault> {
    let cid = crate::cid::parse(&verb.cid)?;
    let text = crate::cid::text(&cid);
    let rpc = routes.board.kubo_rpc()?;
    let pin_type = if verb.direct { PinType::Direct } else { PinType::Recursive };
    let name = verb.name.filter(|name| !name.is_empty());
    if let Some(name) = name.as_ref().filter(|name| name.len() > NAME) {
        let detail = format!("a pin's name is at most {NAME} bytes long, and this one has {}", name.len());
        return Err(Fault::new(FaultKind::Invalid, detail));
    }
    let change = {
        let (rpc, text, parts) = (rpc.clone(), text.clone(), parts.clone());
        async move { rpc.pin_add(&text, name.as_deref(), pin_type, |at| parts.offer(Part::Progress(at))).await }
    };
    match routes.changes.carry_out(routes, cid, rpc, change).await? {
        (generation, Some(pin)) => Ok(PinAdd::done(PinAdded { generation, pin })),
        (_, None) => Err(undone(&text, "pinned", "unpinned")),
    }
}

pub(super) async fn rm(routes: &Routes, verb: PinRm) -> Result<Done, Fault> {
    let cid = crate::cid::parse(&verb.cid)?;
    let text = crate::cid::text(&cid);
    let rpc = routes.board.kubo_rpc()?;
    let change = {
        let (rpc, text) = (rpc.clone(), text.clone());
        async move { rpc.pin_rm(&text, RPC_DEADLINE).await }
    };
    match routes.changes.carry_out(routes, cid, rpc, change).await? {
        (generation, None) => Ok(PinRm::done(PinRemoved { generation, cid: text })),
        (_, Some(_)) => Err(undone(&text, "unpinned", "pinned")),
    }
}

fn undone(cid: &str, done: &str, undone: &str) -> Fault {
    Fault::new(FaultKind::Conflict, format!("Kubo {done} {cid}, and another caller {undone} it at once"))
}
