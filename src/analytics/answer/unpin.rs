//! What to unpin first. Nothing acts on it.

use super::{EXACT, at, last, of, rows};
use crate::analytics::actor::AnalyticsArgs;
use crate::analytics::look::Look;
use crate::analytics::rank::{Candidate, further};
use proto_msgs::Fault;
use proto_msgs::analytics::{AnalyticsUnpinFirst, PinUnpin, UnpinPage};
use std::time::{Duration, Instant};

/// Pins whose blocks Kubo is asked to count together: it reads each of them.
const COUNTED: usize = 100;
/// And so many of their bytes.
const BYTES: u64 = 64 << 30;
/// For all counts of one answer.
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
        candidates: None,
        unmeasured: 0,
        unwatched: 0,
        fresh: None,
        in_mfs: 0,
        pins: Vec::new(),
    };
    let Some(look) = look else { return Ok(page) };
    let found = of(&look, Look::unpin_first).await?;
    let (began, mut wanted) = (Instant::now(), ask.free);
    loop {
        let first = found.to_free(wanted);
        page.pins = told(&args, &look, first).await?;
        page.bytes = page.pins.iter().fold(0, |sum: u64, pin| sum.saturating_add(pin.size)).min(EXACT);
        page.distinct = distinct(&args, &page, COUNTING.saturating_sub(began.elapsed())).await;
        // What they share stays until the last of them goes: then it takes more of them.
        match page.distinct {
            Some(distinct) if distinct < ask.free && first.len() < found.pins.len() => {
                let bytes = first.iter().fold(0, |sum: u64, candidate| sum.saturating_add(candidate.size));
                wanted = further(bytes, distinct, ask.free);
            }
            _ => break,
        }
    }
    page.enough = page.distinct.unwrap_or(page.bytes) >= ask.free;
    page.candidates = Some(found.candidates);
    (page.unmeasured, page.in_mfs) = (found.unmeasured, found.in_mfs);
    (page.unwatched, page.fresh) = (found.unwatched, Some(found.fresh));
    Ok(page)
}

async fn told(args: &AnalyticsArgs, look: &Look, candidates: &[Candidate]) -> Result<Vec<PinUnpin>, Fault> {
    let mut pins = rows(args, look, candidates.iter().map(|candidate| candidate.place as usize)).await?;
    let told = candidates.iter().filter_map(|candidate| {
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
    Ok(told.collect())
}

/// Bytes of all their blocks, each counted once, where that is counted in time.
async fn distinct(args: &AnalyticsArgs, page: &UnpinPage, deadline: Duration) -> Option<u64> {
    if page.pins.is_empty() || page.pins.len() > COUNTED || page.bytes > BYTES {
        return None;
    }
    let rpc = args.board.rpc.borrow().clone()?;
    let cids: Vec<&str> = page.pins.iter().map(|pin| pin.cid.as_str()).collect();
    let counted = rpc.whole_size(&cids, deadline).await;
    counted.inspect_err(|error| tracing::debug!(%error, "blocks of several pins are not counted")).ok()
}
