//! Answers of the verbs of analytics, out of the last look. Whoever asks waits for no look; sorting a million pins is done on a thread
//! of its own, and names are read for the rows that are shown.
//!
//! ```text
//! lists  hot, cold, patterns, predict     unpin  what to unpin first
//! tiers  where pins are and should be     disk   when it is full
//! report the summary, and the score
//! ```

mod disk;
mod lists;
mod report;
mod tiers;
mod unpin;

pub(super) use disk::disk;
pub(super) use lists::{cold, hot, patterns, predict};
pub(super) use report::{score, summary};
pub(super) use tiers::tiers;
pub(super) use unpin::unpin_first;

use super::actor::AnalyticsArgs;
use super::forecast::HORIZONS;
use super::look::{Look, time};
use super::pattern::Class;
use super::score::Use;
use crate::fault::{ask, blocking};
use crate::index::held::AskRows;
use proto_msgs::Fault;
use proto_msgs::analytics::{ForecastUse, PatternCount, Used};
use proto_msgs::pin::Pin;
use std::collections::HashMap;
use std::sync::Arc;

/// The largest number that every reader of JSON gets back exactly.
const EXACT: u64 = (1 << 53) - 1;

/// Which look an answer comes from.
struct Dated {
    as_of: Option<String>,
    age_s: Option<f64>,
    generation: u64,
}

/// The last look, and what is said of its age.
fn last(args: &AnalyticsArgs) -> (Option<Arc<Look>>, Dated) {
    let look = args.board.looked();
    let dated = Dated {
        as_of: look.as_ref().map(|look| crate::time::text(look.at)),
        age_s: look.as_ref().and_then(|look| crate::time::age_s(look.at)),
        generation: look.as_ref().map_or_else(|| args.board.index.borrow().generation, |look| look.generation),
    };
    (look, dated)
}

/// Makes something of the look, on a thread of its own.
async fn of<T: Send + 'static>(look: &Arc<Look>, work: impl FnOnce(&Look) -> T + Send + 'static) -> Result<T, Fault> {
    let look = look.clone();
    blocking(move || work(&look)).await
}

/// The rows of these places, by place; those that are gone meanwhile are not there.
async fn rows(
    args: &AnalyticsArgs,
    look: &Look,
    places: impl Iterator<Item = usize>,
) -> Result<HashMap<usize, Pin>, Fault> {
    let ids: Vec<u64> = places.map(|place| look.held()[place].id()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = ask(&args.index, AskRows(ids)).await?;
    Ok(rows.into_iter().filter_map(|(id, pin)| Some((look.place(id)?, pin))).collect())
}

/// A time in seconds since the Unix epoch, for an answer.
fn at(seconds: f64) -> Option<String> {
    time(seconds).map(crate::time::text)
}

fn used(used: Use) -> Used {
    match used {
        Use::Model => Used::Model,
        Use::BaseRate => Used::BaseRate,
        Use::Nothing => Used::Nothing,
    }
}

fn forecasts(look: Option<&Look>) -> Vec<ForecastUse> {
    let of = |(horizon, horizon_s): (usize, f64)| {
        let horizon = look.map(|look| &look.horizons[horizon]);
        let (used, outcomes) = horizon.map_or((Used::Nothing, 0), |known| (used(known.used), known.outcomes));
        ForecastUse { horizon_s, used, outcomes }
    };
    HORIZONS.into_iter().enumerate().map(of).collect()
}

fn classes(look: Option<&Look>) -> Vec<PatternCount> {
    let counts = look.map(|look| look.classes).unwrap_or_default();
    let counted = Class::ALL.into_iter().map(|class| (class, counts[class as usize]));
    let told = counted.filter(|(_, (pins, _))| *pins > 0);
    told.map(|(class, (pins, bytes))| PatternCount { pattern: class.name().to_owned(), pins, bytes: bytes.min(EXACT) })
        .collect()
}
