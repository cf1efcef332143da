//! One refresh. Nothing is parsed or written while Kubo's pins are what the index holds.

use super::diff::{Suspects, diff};
use super::listing::{self, ListingError};
use crate::fault::ask;
use crate::index::actor::Index;
use crate::index::apply::{BeginListing, ListingChanges, Unchanged};
use crate::index::set::{PinSet, Sums};
use crate::kubo::rpc::Rpc;
use bytes::Bytes;
use jiff::Timestamp;
use kameo::actor::ActorRef;
use proto_msgs::pin::PinType;
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use crate::board::IndexState;

/// For one listing.
const LISTING_DEADLINE: Duration = Duration::from_secs(600);
/// For one listing, in bytes: some millions of pins.
const LISTING_LIMIT: usize = 512 << 20;
const ID_DEADLINE: Duration = Duration::from_secs(10);

/// What a refresh found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// New pins.
    pub added: u64,
    /// Renamed and retyped ones.
    pub changed: u64,
    /// Confirmed removals.
    pub removed: u64,
    /// Pins that this listing missed for the first time.
    pub missing: u64,
    /// Most pins are missing: only another listing, at once, can say whether that is so.
    pub look_again: bool,
}

/// Runs one refresh. With `full`, the listing is compared pin by pin although the sums are equal.
pub async fn run(
    rpc: &Rpc,
    index: &ActorRef<Index>,
    state: &watch::Sender<IndexState>,
    suspects: &mut Suspects,
    full: bool,
) -> Result<Found, Fault> {
    let node = rpc.id(ID_DEADLINE).await?;
    let (token, keyed) = ask(index, BeginListing).await?;
    let as_of = Timestamp::now();
    let recursive = rpc.pin_ls(PinType::Recursive, true, LISTING_DEADLINE, LISTING_LIMIT).await?;
    let direct = rpc.pin_ls(PinType::Direct, true, LISTING_DEADLINE, LISTING_LIMIT).await?;
    // Another daemon may have taken the socket's place meanwhile.
    if rpc.id(ID_DEADLINE).await?.peer_id != node.peer_id {
        return Err(Fault::new(FaultKind::Kubo, "another node answered in the middle of the listing"));
    }
    // The set after the listing: single changes since `BeginListing` are in it, and what the listing says of them is dropped
    // when it is applied. For every other pin it is the set that the changes will meet.
    let set = state.borrow().set.clone();
    let peer_id = node.peer_id;
    let equal = {
        let (recursive, direct, keyed, sums) = (recursive.clone(), direct.clone(), keyed.clone(), set.sums());
        blocking(move || {
            let mut listed = Sums::default();
            listing::fold(&recursive, PinType::Recursive, &keyed, &mut listed)?;
            listing::fold(&direct, PinType::Direct, &keyed, &mut listed)?;
            Ok(listed == sums)
        })
        .await?
    };
    if equal && !full {
        suspects.clear();
        ask(index, Unchanged { token, as_of, peer_id }).await?;
        return Ok(Found::default());
    }
    let (mut diff, odd) = compare(recursive, direct, set, keyed).await?;
    let confirmed = suspects.judge(std::mem::take(&mut diff.missing), diff.before);
    let whole = confirmed.waiting == 0;
    let removed = confirmed.gone;
    let changes = ListingChanges { token, as_of, peer_id, added: diff.added, changed: diff.changed, removed, whole };
    let applied = ask(index, changes).await?;
    if let Some(first) = odd.first() {
        let detail =
            format!("{} of Kubo's pins have CIDs that cannot be read, such as {first:?}; they are left out", odd.len());
        return Err(Fault::new(FaultKind::Kubo, detail));
    }
    Ok(Found {
        added: applied.added,
        changed: applied.changed,
        removed: applied.removed,
        missing: confirmed.waiting as u64,
        look_again: confirmed.look_again,
    })
}

async fn compare(
    recursive: Bytes,
    direct: Bytes,
    set: Arc<PinSet>,
    keyed: crate::index::set::Keyed,
) -> Result<(super::diff::Diff, Vec<String>), Fault> {
    blocking(move || {
        let (listed, odd) = listing::parse(&recursive, &direct)?;
        Ok((diff(set.iter(), listed, &keyed), odd))
    })
    .await
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, ListingError> + Send + 'static,
) -> Result<R, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(error)) => {
            let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Err(Fault::new(FaultKind::Kubo, format!("{error}{why}")))
        }
        Err(_) => Err(Fault::new(FaultKind::Internal, "comparing a listing failed")),
    }
}
