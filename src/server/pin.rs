//! `pin add`, `rm` and `update`: first Kubo, then the index, then the reply, so that the next `pin ls` has it. And `pin verify`.

use super::detached::{DETACHED, Detached};
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
use proto_msgs::pin::{Pin, PinAdd, PinAdded, PinRemoved, PinRm, PinType, PinUpdate, PinUpdated, PinVerify, Progress};
use proto_msgs::verb::{Done, Part, Verb};
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Kubo's limit, in bytes.
const NAME: usize = 255;
const RPC_DEADLINE: Duration = Duration::from_secs(50);
/// Changes under way in the whole daemon that somebody waits for, where there are descriptors for them: each holds a connection to Kubo.
const CHANGES: usize = 1024;
/// CIDs that share a lock only wait for each other's short last step.
const LOCKS: usize = 32;

/// The changes of pins that are under way. Each is a task that outlives its call: whatever happens to the client, the index
/// is told what Kubo made of it.
#[derive(Clone)]
pub struct Changes {
    most: usize,
    places: Arc<Semaphore>,
    pub(super) detached: Detached,
    running: TaskTracker,
    settling: Arc<[Mutex<()>; LOCKS]>,
}

impl Changes {
    /// None yet; as many at a time as this process has descriptors for.
    #[expect(clippy::new_without_default, reason = "it asks the kernel")]
    pub fn new() -> Changes {
        let all = quarter_of_descriptors();
        let detached = DETACHED.min(all / 4);
        let most = CHANGES.min(all - detached);
        let (places, detached) = (Arc::new(Semaphore::new(most)), Detached::new(detached));
        Changes { most, places, detached, running: TaskTracker::new(), settling: Arc::default() }
    }

    /// Returns when none is under way.
    pub async fn done(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Carries a change of these CIDs out and then tells the index what Kubo holds of each. Dropped early it cancels the change, but
    /// not the rest.
    async fn carry_out(
        &self,
        routes: &Routes,
        cids: Vec<Cid>,
        rpc: Rpc,
        change: impl Future<Output = Result<(), RpcError>> + Send + 'static,
    ) -> Result<Vec<Settled>, Fault> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{} changes of pins are under way", self.most);
            Fault::new(FaultKind::Busy, detail).hint("wait for one of them to end")
        })?;
        let Begun { task, cancel } = self.begin(routes, cids, rpc, place, change)?;
        let _cancelled = cancel.drop_guard();
        task.await.unwrap_or_else(|_| Err(panicked()))
    }

    /// Begins it, as a task that nobody has to wait for.
    pub(super) fn begin(
        &self,
        routes: &Routes,
        cids: Vec<Cid>,
        rpc: Rpc,
        place: OwnedSemaphorePermit,
        change: impl Future<Output = Result<(), RpcError>> + Send + 'static,
    ) -> Result<Begun, Fault> {
        if routes.board.is_stopping() {
            return Err(Fault::new(FaultKind::NotReady, "the daemon is stopping"));
        }
        let (settling, index, indexer) = (self.settling.clone(), routes.index.clone(), routes.indexer.clone());
        let board = routes.board.clone();
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        let task = self.running.spawn(async move {
            let _place = place;
            let change = async {
                expected(&rpc, &board).await?;
                change.await.map_err(Fault::from)
            };
            let changed = tokio::select! {
                changed = change => changed,
                // One that Kubo has not begun waits in our listener's queue, for the next Kubo.
                () = board.kubo_gone() => Err(kubo::gone(&board)),
                () = cancelled.cancelled() => Err(Fault::new(FaultKind::Cancelled, "the call was given up")),
            };
            // Also after an error: an answer that never came does not say that nothing happened.
            let mut settled = Ok(Vec::with_capacity(cids.len()));
            for cid in cids {
                match (settle(&settling, &index, &rpc, &board, cid).await, &mut settled) {
                    (Ok(one), Ok(all)) => all.push(one),
                    (Err(fault), Ok(_)) => settled = Err(fault),
                    (_, Err(_)) => {}
                }
            }
            let given_up = |fault: &Fault| matches!(fault.kind, FaultKind::Cancelled | FaultKind::Timeout);
            if settled.is_err() || changed.as_ref().is_err_and(given_up) {
                // The index may lack what Kubo did, or still does; the refresh mends that, or is seen to fail.
                drop(ask(&indexer, IndexRefresh { wait: false, names: false }).await);
            }
            changed.and(settled.map_err(behind))
        });
        Ok(Begun { task, cancel })
    }

    /// A task that the end of the daemon waits for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.running.spawn(task));
    }
}

/// The generation that has it, and the pin, where there is one.
pub(super) type Settled = (u64, Option<Pin>);

pub(super) struct Begun {
    pub(super) task: JoinHandle<Result<Vec<Settled>, Fault>>,
    pub(super) cancel: CancellationToken,
}

pub(super) fn panicked() -> Fault {
    Fault::new(FaultKind::Internal, "a defect: the change of a pin panicked")
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

/// What is to be pinned, as Kubo is asked for it.
pub(super) struct Wanted {
    pub(super) cid: Cid,
    pub(super) text: String,
    pub(super) name: Option<String>,
    pub(super) pin_type: PinType,
    pub(super) rpc: Rpc,
}

impl Wanted {
    pub(super) fn new(routes: &Routes, PinAdd { cid, name, direct }: PinAdd) -> Result<Wanted, Fault> {
        let cid = crate::cid::parse(&cid)?;
        let rpc = routes.board.kubo_rpc()?;
        let pin_type = if direct { PinType::Direct } else { PinType::Recursive };
        let name = name.filter(|name| !name.is_empty());
        if let Some(name) = name.as_ref().filter(|name| name.len() > NAME) {
            let detail = format!("a pin's name is at most {NAME} bytes long, and this one has {}", name.len());
            return Err(Fault::new(FaultKind::Invalid, detail));
        }
        Ok(Wanted { cid, text: crate::cid::text(&cid), name, pin_type, rpc })
    }

    pub(super) fn change(&self, parts: Option<Parts>) -> impl Future<Output = Result<(), RpcError>> + Send + 'static {
        let (rpc, text, name, pin_type) = (self.rpc.clone(), self.text.clone(), self.name.clone(), self.pin_type);
        let on_progress = move |at| parts.iter().for_each(|parts| parts.offer(Part::Progress(Progress::clone(&at))));
        async move { rpc.pin_add(&text, name.as_deref(), pin_type, on_progress).await }
    }

    /// The end of it.
    pub(super) fn end(text: &str, settled: Vec<Settled>) -> Result<(u64, Pin), Fault> {
        match settled.into_iter().next() {
            Some((generation, Some(pin))) => Ok((generation, pin)),
            _ => Err(undone(text, "pinned", "unpinned")),
        }
    }
}

pub(super) async fn add(routes: &Routes, verb: PinAdd, parts: &Parts) -> Result<Done, Fault> {
    let wanted = Wanted::new(routes, verb)?;
    let change = wanted.change(Some(parts.clone()));
    let settled = routes.changes.carry_out(routes, vec![wanted.cid], wanted.rpc, change).await?;
    let (generation, pin) = Wanted::end(&wanted.text, settled)?;
    Ok(PinAdd::done(PinAdded { generation, pin }))
}

pub(super) async fn update(routes: &Routes, verb: PinUpdate) -> Result<Done, Fault> {
    let (from, to) = (crate::cid::parse(&verb.from)?, crate::cid::parse(&verb.to)?);
    let (old, new) = (crate::cid::text(&from), crate::cid::text(&to));
    if old == new {
        return Err(Fault::new(FaultKind::Invalid, format!("{new} can't take its own place")));
    }
    let rpc = routes.board.kubo_rpc()?;
    let change = {
        let (rpc, old, new, keep) = (rpc.clone(), old.clone(), new.clone(), verb.keep);
        async move { rpc.pin_update(&old, &new, keep).await }
    };
    let settled = routes.changes.carry_out(routes, vec![from, to], rpc, change).await?;
    let mut settled = settled.into_iter();
    match (settled.next(), settled.next()) {
        (Some((_, before)), Some((generation, Some(pin)))) => {
            Ok(PinUpdate::done(PinUpdated { generation, from: old, kept: before.is_some(), pin }))
        }
        _ => Err(undone(&new, "pinned", "unpinned")),
    }
}

/// A client that hangs up ends it: its connection to Kubo is closed.
pub(super) async fn verify(routes: &Routes, parts: &Parts) -> Result<Done, Fault> {
    let rpc = routes.board.kubo_rpc()?;
    let verify = rpc.pin_verify(|pins| parts.offer(Part::Progress(Progress { blocks: pins, bytes: None })));
    tokio::select! {
        found = verify => Ok(PinVerify::done(found?)),
        () = routes.board.kubo_gone() => Err(kubo::gone(&routes.board)),
    }
}

/// A pin of this CID that nobody waits for is given up first: it would come after all.
pub(super) async fn rm(routes: &Routes, verb: PinRm) -> Result<Done, Fault> {
    let cid = crate::cid::parse(&verb.cid)?;
    let text = crate::cid::text(&cid);
    let rpc = routes.board.kubo_rpc()?;
    let given_up = Arc::new(AtomicBool::new(false));
    let change = {
        let (rpc, text, given_up) = (rpc.clone(), text.clone(), given_up.clone());
        let detached = routes.changes.detached.clone();
        async move {
            let ended = detached.give_up(&cid).await;
            given_up.store(ended, Ordering::Relaxed);
            match rpc.pin_rm(&text, RPC_DEADLINE).await {
                // It had not got that far.
                Err(error) if ended && error.is_not_pinned() => Ok(()),
                removed => removed,
            }
        }
    };
    match routes.changes.carry_out(routes, vec![cid], rpc, change).await?.into_iter().next() {
        Some((generation, None)) => {
            Ok(PinRm::done(PinRemoved { generation, cid: text, given_up: given_up.load(Ordering::Relaxed) }))
        }
        _ => Err(undone(&text, "unpinned", "pinned")),
    }
}

fn undone(cid: &str, done: &str, undone: &str) -> Fault {
    Fault::new(FaultKind::Conflict, format!("Kubo {done} {cid}, and another caller {undone} it at once"))
}
