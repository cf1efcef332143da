//! What to unpin first. Nothing acts on it.

use super::{EXACT, at, last, of, rows};
use crate::analytics::actor::AnalyticsArgs;
use proto_msgs::Fault;
use proto_msgs::analytics::{AnalyticsUnpinFirst, PinUnpin, UnpinPage};
use std::time::Duration;

/// Pins whose blocks Kubo is asked to count together: it reads each of them.
const COUNTED: usize = 100;
/// And so many of their bytes.
const BYTES: u64 = 64 << 30;
const COUNTING: Duration = Duration::from_secs(15);

/// `analytics unpin-first`.
pub(in crate::analytics) async fn unpin_first(
    args: AnalyticsArgs,
    ask: AnalyticsUnpinFirst,
) -> Result<UnpinPage, Fault> {
    let (look, dated) = last(&args);
    let mut page = UnpinPage {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        free: ask.free,
        bytes: 0,
        distinct: None,
        enough: ask.free == 0,
        unmeasured: 0,
        unwatched: 0,
        fresh: None,
        in_mfs: 0,
        pins: Vec::new(),
    };
    let Some(look) = look else { return Ok(page) };
    let found = of(&look, move |look| look.unpin_first(ask.free)).await?;
    let mut pins = rows(&args, &look, found.pins.iter().map(|candidate| candidate.place as usize)).await?;
    let told = found.pins.iter().filter_map(|candidate| {
        let place = candidate.place as usize;
        let pin = pins.remove(&place)?;
        Some(PinUnpin {
            cid: pin.cid,
            name: pin.name,
            size: candidate.size,
            size_kind: look.held()[place].size_kind(),
            week: candidate.week,
            hotness: candidate.hotness,
            last_access: look.read_of(place).and_then(|read| at(read.last)),
            reason: candidate.reason(),
        })
    });
    page.pins = told.collect();
    page.bytes = page.pins.iter().fold(0, |sum: u64, pin| sum.saturating_add(pin.size)).min(EXACT);
    page.distinct = distinct(&args, &page).await;
    page.enough = page.distinct.unwrap_or(page.bytes) >= ask.free;
    (page.unmeasured, page.in_mfs) = (found.unmeasured, found.in_mfs);
    (page.unwatched, page.fresh) = (found.unwatched, Some(found.fresh));
    Ok(page)
}

/// Bytes of all their blocks, each counted once, where that is soon counted.
async fn distinct(args: &AnalyticsArgs, page: &UnpinPage) -> Option<u64> {
    if page.pins.is_empty() || page.pins.len() > COUNTED || page.bytes > BYTES {
        return None;
    }
    let rpc = args.board.rpc.borrow().clone()?;
    let cids: Vec<&str> = page.pins.iter().map(|pin| pin.cid.as_str()).collect();
    let counted = rpc.whole_size(&cids, COUNTING).await;
    counted.inspect_err(|error| tracing::debug!(%error, "blocks of several pins are not counted")).ok()
}
