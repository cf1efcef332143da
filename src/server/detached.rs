//! `pin begin`: pins that nobody waits for. Each has a place of its own kind, is told by `status`, ends with an event, and is given up by
//! `pin rm`.

use super::pin::{Wanted, panicked};
use super::route::Routes;
use crate::cid::Cid;
use jiff::Timestamp;
use proto_msgs::event::{PinEnd, What};
use proto_msgs::pin::{PinBegin, PinBegun, PinType, PinUnderWay, PinsUnderWay};
use proto_msgs::verb::{Done, Verb};
use proto_msgs::{Fault, FaultKind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// At a time: with the others of [`super::Changes`] they leave a connection to Kubo for every other change.
pub(super) const DETACHED: usize = 256;
/// Of which `status` tells.
const TOLD: usize = 10;

/// Those that are under way, and places for more.
#[derive(Clone)]
pub(super) struct Detached {
    most: usize,
    places: Arc<Semaphore>,
    under_way: Arc<Mutex<HashMap<Cid, UnderWay>>>,
}

struct UnderWay {
    text: String,
    name: Option<String>,
    pin_type: PinType,
    since: Timestamp,
    cancel: CancellationToken,
    over: CancellationToken,
    /// Whether that was for the sake of `cancel`.
    given_up: Arc<AtomicBool>,
}

impl Detached {
    pub(super) fn new(most: usize) -> Detached {
        Detached { most, places: Arc::new(Semaphore::new(most)), under_way: Arc::default() }
    }

    /// How many, and the oldest of them.
    pub(super) fn report(&self) -> PinsUnderWay {
        let under_way = self.under_way();
        let mut oldest: Vec<_> = under_way.values().map(|pin| (pin.since, &pin.text)).collect();
        oldest.sort_unstable();
        let row =
            |(since, text): (Timestamp, &String)| PinUnderWay { cid: text.clone(), since: crate::time::text(since) };
        PinsUnderWay { count: under_way.len() as u64, oldest: oldest.into_iter().take(TOLD).map(row).collect() }
    }

    /// Ends the one of this CID, if it is under way, and returns when it has ended; whether that kept it from being pinned.
    pub(super) async fn give_up(&self, cid: &Cid) -> bool {
        let under_way = |pin: &UnderWay| (pin.cancel.clone(), pin.over.clone(), pin.given_up.clone());
        let Some((cancel, over, given_up)) = self.under_way().get(cid).map(under_way) else {
            return false;
        };
        cancel.cancel();
        over.cancelled().await;
        given_up.load(Ordering::Acquire)
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Fault> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            let detail = format!("{} pins that nobody waits for are under way", self.most);
            Fault::new(FaultKind::Busy, detail)
                .hint("wait for one of them to end, or give one up with `ipfs-kitctl pin rm`")
        })
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Cid, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// Whether this is what is asked for once more.
    fn is(&self, wanted: &Wanted) -> Result<(), Fault> {
        let text = &self.text;
        if self.cancel.is_cancelled() {
            return Err(Fault::new(FaultKind::Busy, format!("the pin of {text} that is under way is being given up"))
                .hint("ask again in a moment"));
        }
        if (&self.name, self.pin_type) != (&wanted.name, wanted.pin_type) {
            let detail = format!("{text} is being pinned already, by another name or in another way");
            return Err(Fault::new(FaultKind::Conflict, detail)
                .hint("wait for its end, or give it up with `ipfs-kitctl pin rm`"));
        }
        Ok(())
    }
}

/// Begins it, unless it is under way.
pub(super) fn begin(routes: &Routes, PinBegin(verb): PinBegin) -> Result<Done, Fault> {
    let wanted = Wanted::new(routes, verb)?;
    let begun = || Ok(PinBegin::done(PinBegun { cid: wanted.text.clone() }));
    let detached = routes.changes.detached.clone();
    // Kept to the end, so that of two that ask at a time the second finds the first.
    let mut under_way = detached.under_way();
    if let Some(there) = under_way.get(&wanted.cid) {
        there.is(&wanted)?;
        return begun();
    }
    let place = detached.place()?;
    let change = routes.changes.begin(routes, vec![wanted.cid], wanted.rpc.clone(), place, wanted.change(None))?;
    let (over, given_up) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let this = UnderWay {
        text: wanted.text.clone(),
        name: wanted.name.clone(),
        pin_type: wanted.pin_type,
        since: Timestamp::now(),
        cancel: change.cancel,
        over: over.clone(),
        given_up: given_up.clone(),
    };
    under_way.insert(wanted.cid, this);
    drop(under_way);
    let (board, key, cid) = (routes.board.clone(), wanted.cid, wanted.text.clone());
    let registry = detached.clone();
    routes.changes.spawn(async move {
        let settled = change.task.await.unwrap_or_else(|_| Err(panicked()));
        let fault = settled.and_then(|settled| Wanted::end(&cid, settled)).err();
        let cancelled = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Cancelled);
        let failed = fault.map(|fault| fault.detail);
        match &failed {
            None => tracing::info!("{cid} is pinned, as was asked for by a client that did not wait"),
            Some(_) if cancelled => tracing::info!("the pin of {cid} was given up, as was asked for"),
            Some(why) => tracing::warn!("{cid} was not pinned, for a client that did not wait: {why}"),
        }
        registry.under_way().remove(&key);
        board.events.push(What::Pin(PinEnd { cid, failed, cancelled }));
        given_up.store(cancelled, Ordering::Release);
        over.cancel();
    });
    begun()
}
