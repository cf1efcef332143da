//! One refresh: list, compare, and only on a difference parse, diff, confirm and apply. Nothing is parsed or written while
//! Kubo's pins are what the index holds.
//!
//! It can be dropped at any point: nothing is changed before the index takes the whole difference in one transaction, and a
//! listing that is never applied is void with the next one that begins.

use super::diff::{Diff, Suspects, diff};
use super::listing::{self, Listing, ListingError, Stream};
use super::names;
use crate::board::IndexState;
use crate::fault::{self, blocking};
use crate::index::actor::Index;
use crate::index::apply::{BeginListing, ListingChanges, Unchanged};
use crate::index::set::{Keyed, PinSet, Sums};
use crate::kubo::rpc::{Rpc, RpcError};
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

/// For one listing, and once more for each million pins: 13,000 a second come with names on a slow machine.
const LISTING_DEADLINE: Duration = Duration::from_secs(600);
/// For both unstreamed listings together, in bytes: a million pins whose names are as long as they may be.
const LISTING_LIMIT: usize = 384 << 20;
/// New pins whose names are asked for by CID; for more of them a listing with names is cheaper.
const LOOKED_UP: usize = 50_000;
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
    /// Whether the listing came with names.
    pub named: bool,
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
    /// Lists with names, so that renamed pins are found.
    pub names: bool,
    /// More pins than these are listed streamed: that takes Kubo twice as long, but nobody has to hold a gigabyte of JSON.
    pub stream_above: u64,
}

/// Runs one refresh, of one listing or two. `suspects` holds what the last whole listing missed, also after an error.
pub async fn run(ends: &Ends, plan: Plan, suspects: &mut Suspects) -> Result<Found, Fault> {
    let (first, look_again) = list(ends, plan, suspects).await?;
    if !(look_again || plan.confirm && first.missing > 0) {
        return Ok(first);
    }
    let (second, _) = list(ends, Plan { full: false, names: false, ..plan }, suspects).await?;
    Ok(Found {
        added: first.added + second.added,
        changed: first.changed + second.changed,
        removed: first.removed + second.removed,
        compared: true,
        named: first.named || second.named,
        ..second
    })
}

/// One listing, applied; and whether only another one, taken at once, can say what it means.
async fn list(ends: &Ends, mut plan: Plan, suspects: &mut Suspects) -> Result<(Found, bool), Fault> {
    let peer_id = ends.rpc.id(ID_DEADLINE).await?.peer_id;
    loop {
        let before = ends.state.borrow().set.clone();
        let (token, keyed) = ask(&ends.index, BeginListing).await?;
        let as_of = Timestamp::now();
        let listed = fetch(ends, plan, &keyed).await?;
        if ends.rpc.id(ID_DEADLINE).await?.peer_id != peer_id {
            let detail = "another node began to answer in the middle of a listing, which is discarded";
            return Err(Fault::new(FaultKind::Kubo, detail));
        }
        // Any set that the index has had since `BeginListing` would do. They differ in pins that were changed singly since
        // then, which the index drops from what a listing changes, and in nothing else; and of all others the listing is the
        // newer news, because a change that the index had before `BeginListing` was Kubo's before that. The set after the
        // listing is the one that most often equals it.
        let set = ends.state.borrow().set.clone();
        let how = Comparison { names: plan.names, full: plan.full, keyed };
        let Some((mut diff, left_out)) = compare(listed, set, how).await? else {
            suspects.clear();
            ask(&ends.index, Unchanged { token, as_of, peer_id }).await?;
            return Ok((Found { named: plan.names, ..Found::default() }, false));
        };
        if !plan.names {
            if diff.added.len() + diff.changed.len() > LOOKED_UP {
                plan.names = true;
                continue;
            }
            for pins in [&mut diff.added, &mut diff.changed] {
                *pins = names::look_up(&ends.rpc, std::mem::take(pins)).await?;
            }
        }
        let mut judge = std::mem::take(suspects);
        let (confirmed, judge) = blocking(move || {
            // What was pinned singly since then, Kubo may not have had yet.
            diff.missing.retain(|key| before.get(key).is_some());
            (judge.judge(diff.missing, diff.before), judge)
        })
        .await?;
        *suspects = judge;
        let whole = confirmed.waiting == 0;
        let (added, changed) = (diff.added, diff.changed);
        let changes = ListingChanges { token, as_of, peer_id, added, changed, removed: confirmed.gone, whole };
        let applied = ask(&ends.index, changes).await?;
        let found = Found {
            added: applied.added,
            changed: applied.changed,
            removed: applied.removed,
            missing: confirmed.waiting as u64,
            compared: true,
            left_out,
            named: plan.names,
        };
        return Ok((found, confirmed.look_again));
    }
}

/// Both listings, as they came.
enum Listed {
    /// In one answer each, recursive and direct.
    Whole(Bytes, Bytes),
    /// Line by line, read already.
    Streamed(Sums, Listing),
}

/// Reads at full speed: while Kubo is read, nothing is compared or written.
async fn fetch(ends: &Ends, plan: Plan, keyed: &Keyed) -> Result<Listed, Fault> {
    let Plan { names, stream_above, .. } = plan;
    let pins = ends.state.borrow().set.len();
    let deadline = LISTING_DEADLINE.mul_f64(1.0 + pins as f64 / 1e6);
    if pins <= stream_above {
        match fetch_whole(&ends.rpc, names, deadline).await {
            Err(RpcError::TooLarge { .. }) => {}
            listed => return Ok(listed?),
        }
    }
    let (mut stream, mut refused) = (Stream::new(keyed.clone(), names), None);
    for pin_type in [PinType::Recursive, PinType::Direct] {
        let take = |line: &[u8]| {
            stream.line(line, pin_type).map_err(|error| {
                let detail = error.to_string();
                refused = Some(error);
                RpcError::Malformed { call: "pin/ls", detail }
            })
        };
        let read = ends.rpc.pin_ls_stream(pin_type, names, deadline, take).await;
        if let Some(error) = refused.take() {
            return Err(malformed(&error));
        }
        read?;
    }
    // Sorting ten million pins takes seconds.
    let (sums, listing) = blocking(move || stream.end()).await?.map_err(|error| malformed(&error))?;
    Ok(Listed::Streamed(sums, listing))
}

async fn fetch_whole(rpc: &Rpc, names: bool, deadline: Duration) -> Result<Listed, RpcError> {
    let recursive = rpc.pin_ls(PinType::Recursive, names, deadline, LISTING_LIMIT).await?;
    let limit = LISTING_LIMIT - recursive.len();
    Ok(Listed::Whole(recursive, rpc.pin_ls(PinType::Direct, names, deadline, limit).await?))
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

struct Comparison {
    names: bool,
    /// Although the sums are equal.
    full: bool,
    keyed: Keyed,
}

/// `None` when the listing is, by its sums, what the index holds; otherwise in what they differ, and what was left out.
async fn compare(
    listed: Listed,
    set: Arc<PinSet>,
    Comparison { names, full, keyed }: Comparison,
) -> Result<Option<(Diff, Option<String>)>, Fault> {
    let compared = blocking(move || {
        let equals = |found: &Sums| if names { *found == set.sums() } else { found.same_pins(&set.sums()) };
        let mut listing = match listed {
            Listed::Streamed(sums, _) if !full && equals(&sums) => return Ok(None),
            Listed::Streamed(_, listing) => listing,
            Listed::Whole(recursive, direct) => {
                if !full {
                    let mut sums = Sums::default();
                    listing::fold(&recursive, PinType::Recursive, names, &keyed, &mut sums)?;
                    listing::fold(&direct, PinType::Direct, names, &keyed, &mut sums)?;
                    if equals(&sums) {
                        return Ok(None);
                    }
                }
                listing::parse(&recursive, &direct)?
            }
        };
        let left_out = listing.odd.first().map(|first| {
            let count = listing.odd.len();
            format!("{count} of Kubo's pins have CIDs that this version cannot read, the first is {first:?}")
        });
        Ok(Some((diff(&set, &mut listing.pins, names, &keyed), left_out)))
    })
    .await?;
    compared.map_err(|error: ListingError| malformed(&error))
}

fn malformed(error: &ListingError) -> Fault {
    Fault::new(FaultKind::Kubo, fault::chain(error))
}
