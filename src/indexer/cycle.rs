//! One refresh: list, compare, and only on a difference parse, diff, confirm and apply. Nothing is parsed or written while
//! Kubo's pins are what the index holds.
//!
//! It can be dropped at any point: nothing is changed before the index takes the whole difference in one transaction, and a
//! listing that is never applied is void with the next one that begins.

use super::diff::{Diff, Suspects, diff};
use super::listing::{self, ListingError};
use crate::board::IndexState;
use crate::fault;
use crate::index::actor::Index;
use crate::index::apply::{BeginListing, ListingChanges, Unchanged};
use crate::index::set::{Keyed, PinSet, Sums};
use crate::kubo::rpc::Rpc;
use bytes::Bytes;
use jiff::Timestamp;
use kameo::actor::ActorRef;
use kameo::message::Message;
use kameo::reply::Reply;
use proto_msgs::pin::PinType;
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// For one listing: 13,000 pins a second with names, on a slow machine, make some millions.
const LISTING_DEADLINE: Duration = Duration::from_secs(600);
/// For both listings together, in bytes: a million pins whose names are as long as they may be.
const LISTING_LIMIT: usize = 384 << 20;
const ID_DEADLINE: Duration = Duration::from_secs(10);
/// For one message to the index; the longest is the first listing of a large node.
const INDEX_DEADLINE: Duration = Duration::from_secs(300);

/// What a refresh found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// New pins.
    pub added: u64,
    /// Renamed and retyped ones.
    pub changed: u64,
    /// Confirmed removals.
    pub removed: u64,
    /// Pins that the last listing missed for the first time.
    pub missing: u64,
    /// Whether the pins were compared one by one and not by their sums.
    pub compared: bool,
    /// A sentence about pins that the index cannot hold.
    pub left_out: Option<String>,
}

/// Where a refresh reads from and writes to.
#[derive(Clone)]
pub struct Ends {
    /// Kubo.
    pub rpc: Rpc,
    /// The index.
    pub index: ActorRef<Index>,
    /// What the index published last.
    pub state: watch::Sender<IndexState>,
}

/// How a refresh goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Compares pin by pin although the sums are equal.
    pub full: bool,
    /// Takes a second listing at once when the first one misses pins: somebody waits to see them gone.
    pub confirm: bool,
}

/// Runs one refresh, of one listing or two. `suspects` holds what the last whole listing missed, also after an error.
pub async fn run(ends: &Ends, plan: Plan, suspects: &mut Suspects) -> Result<Found, Fault> {
    let (first, look_again) = list(ends, plan.full, suspects).await?;
    if !(look_again || plan.confirm && first.missing > 0) {
        return Ok(first);
    }
    let (second, _) = list(ends, false, suspects).await?;
    Ok(Found {
        added: first.added + second.added,
        changed: first.changed + second.changed,
        removed: first.removed + second.removed,
        compared: true,
        ..second
    })
}

/// One listing, applied; and whether only another one, taken at once, can say what it means.
async fn list(ends: &Ends, full: bool, suspects: &mut Suspects) -> Result<(Found, bool), Fault> {
    let peer_id = ends.rpc.id(ID_DEADLINE).await?.peer_id;
    let (token, keyed) = ask(&ends.index, BeginListing).await?;
    let as_of = Timestamp::now();
    // With names always: one pass per refresh costs Kubo five times as much with them, and the pace keeps that within the
    // share of time that refreshes may take.
    let recursive = ends.rpc.pin_ls(PinType::Recursive, true, LISTING_DEADLINE, LISTING_LIMIT).await?;
    let limit = LISTING_LIMIT - recursive.len();
    let direct = ends.rpc.pin_ls(PinType::Direct, true, LISTING_DEADLINE, limit).await?;
    if ends.rpc.id(ID_DEADLINE).await?.peer_id != peer_id {
        let detail = "another node began to answer in the middle of a listing, which is discarded";
        return Err(Fault::new(FaultKind::Kubo, detail));
    }
    // Any set that the index has had since `BeginListing` would do. They differ in pins that were changed singly since then,
    // which the index drops from what a listing changes, and in nothing else; and of all others the listing is the newer news,
    // because a change that the index had before `BeginListing` was Kubo's before that. The set after the listing is the one
    // that most often equals it.
    let set = ends.state.borrow().set.clone();
    if !full && equal(recursive.clone(), direct.clone(), set.sums(), keyed.clone()).await? {
        suspects.clear();
        ask(&ends.index, Unchanged { token, as_of, peer_id }).await?;
        return Ok((Found::default(), false));
    }
    let (Diff { added, changed, missing, before }, left_out) = compare(recursive, direct, set, keyed).await?;
    let confirmed = suspects.judge(missing, before);
    let whole = confirmed.waiting == 0;
    let changes = ListingChanges { token, as_of, peer_id, added, changed, removed: confirmed.gone, whole };
    let applied = ask(&ends.index, changes).await?;
    let found = Found {
        added: applied.added,
        changed: applied.changed,
        removed: applied.removed,
        missing: confirmed.waiting as u64,
        compared: true,
        left_out,
    };
    Ok((found, confirmed.look_again))
}

async fn ask<M, R>(index: &ActorRef<Index>, message: M) -> Result<R, Fault>
where
    Index: Message<M>,
    <Index as Message<M>>::Reply: Reply<Ok = R, Error = Fault>,
    M: Send + Sync + 'static,
    R: Send + 'static,
{
    let late = || Fault::new(FaultKind::Timeout, "the index did not take the listing in time");
    tokio::time::timeout(INDEX_DEADLINE, fault::ask(index, message)).await.unwrap_or_else(|_| Err(late()))
}

async fn equal(recursive: Bytes, direct: Bytes, sums: Sums, keyed: Keyed) -> Result<bool, Fault> {
    blocking(move || {
        let mut listed = Sums::default();
        listing::fold(&recursive, PinType::Recursive, &keyed, &mut listed)?;
        listing::fold(&direct, PinType::Direct, &keyed, &mut listed)?;
        Ok(listed == sums)
    })
    .await
}

async fn compare(
    recursive: Bytes,
    direct: Bytes,
    set: Arc<PinSet>,
    keyed: Keyed,
) -> Result<(Diff, Option<String>), Fault> {
    blocking(move || {
        let listing = listing::parse(&recursive, &direct)?;
        let left_out = listing.odd.first().map(|first| {
            let count = listing.odd.len();
            format!("{count} of Kubo's pins have CIDs that this version cannot read, the first is {first:?}")
        });
        Ok((diff(set.iter(), listing.pins, &keyed), left_out))
    })
    .await
}

/// A listing of a million pins is read for as long as a second, which is too long for a thread that others need.
async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, ListingError> + Send + 'static,
) -> Result<R, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    let read = done.map_err(|_| Fault::new(FaultKind::Internal, "a defect: reading a listing panicked"))?;
    read.map_err(|error| Fault::new(FaultKind::Kubo, fault::chain(&error)))
}
