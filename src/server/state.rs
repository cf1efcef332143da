//! `state`: the newest sample from the board, or from the index when this process has none yet; former ones from both.

use super::out::Parts;
use super::route::{LISTINGS, Routes};
use crate::fault::ask;
use crate::index::state::{AskSamples, Kept, Series};
use jiff::Timestamp;
use proto_msgs::state::{STATE_ROWS, StateAsk, StateReport, StateRows};
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};
use std::marker::PhantomData;

/// Samples that one query reads.
const PAGE: usize = 2000;

/// Answers one of the four verbs.
pub(super) async fn answer<S: Kept>(
    routes: &Routes,
    verb: StateAsk,
    part: fn(StateRows<S>) -> Part,
    parts: &Parts,
) -> Result<StateReport<S>, Fault> {
    let since = verb.since.as_deref().map(crate::time::parse).transpose()?;
    // Before the index is read: what is written meanwhile is met twice, and not missed.
    let (newest, waiting) = {
        let shelf = routes.board.state.borrow();
        let newest = S::of(shelf.newest()).last_key_value().map(|(at, sample)| (*at, sample.clone()));
        (newest, S::of(shelf.waiting()).clone())
    };
    let newest = match newest {
        Some(newest) => Some(newest),
        None => read::<S>(routes, None, None, 1).await?.pop(),
    };
    if verb.history {
        history(routes, waiting, since, verb.limit, part, parts).await?;
    }
    let at = newest.as_ref().map(|(at, _)| *at);
    Ok(StateReport {
        as_of: at.map(crate::time::text),
        age_s: at.and_then(crate::time::age_s),
        newest: newest.map(|(_, sample)| sample),
    })
}

async fn read<S: Kept>(
    routes: &Routes,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    most: usize,
) -> Result<Vec<(Timestamp, S)>, Fault> {
    ask(&routes.index, AskSamples { before, since, most, of: PhantomData }).await
}

/// Newest first: each page with what waits beside it, whatever the clock did meanwhile.
async fn history<S: Kept>(
    routes: &Routes,
    mut held: Series<S>,
    since: Option<Timestamp>,
    limit: Option<u64>,
    part: fn(StateRows<S>) -> Part,
    parts: &Parts,
) -> Result<(), Fault> {
    let Ok(_listing) = routes.listings.try_acquire() else {
        let detail = format!("{LISTINGS} listings are being read");
        return Err(Fault::new(FaultKind::Busy, detail).hint("ask again when one of them has ended"));
    };
    held = held.split_off(&since.unwrap_or(Timestamp::MIN));
    let mut left = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut before = None;
    while left > 0 {
        let page = read::<S>(routes, before, since, PAGE).await?;
        let last = page.last().map(|(at, _)| *at).filter(|_| page.len() == PAGE);
        held.extend(page);
        let ready: Vec<S> = held.split_off(&last.unwrap_or(Timestamp::MIN)).into_values().rev().take(left).collect();
        left -= ready.len();
        for samples in ready.chunks(STATE_ROWS) {
            let rows = StateRows { samples: samples.to_vec() };
            if parts.send(part(rows)).await.is_err() {
                return Err(Fault::new(FaultKind::Cancelled, "the client hung up"));
            }
        }
        if last.is_none() {
            break;
        }
        before = last;
    }
    Ok(())
}
