//! `analytics`: lists of pins from a look at all of them, what is known and expected beyond single pins, and a report of it all. What
//! is `null` is said in words: why it is not known, and what would change that.

mod list;
mod markup;
mod page;
mod report;
mod screen;
mod section;
mod svg;
mod time;

use crate::args;
use crate::ask::Ask;
use crate::exit::Failure;
use crate::output::Out;
pub(crate) use list::{FORECASTS, HEAT, HORIZONS, PATTERNS, TIERS, UNPIN};
use proto_msgs::analytics::{AnalyticsCold, AnalyticsHot};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Analytics) -> Result<u8, Failure> {
    match verb {
        args::Analytics::Summary => screen::summary(ask, out),
        args::Analytics::Hot(show) => list::hot(ask, out, &show, AnalyticsHot),
        args::Analytics::Cold(show) => list::hot(ask, out, &show, AnalyticsCold),
        args::Analytics::Patterns { pattern, show } => list::patterns(ask, out, &show, pattern.as_deref()),
        args::Analytics::Tiers { all, show } => list::tiers(ask, out, &show, all),
        args::Analytics::Predict { cid, show } => list::predict(ask, out, &show, cid.as_deref()),
        args::Analytics::Disk => screen::disk(ask, out),
        args::Analytics::UnpinFirst { free, show } => list::unpin_first(ask, out, &show, free),
        args::Analytics::Score(show) => list::score(ask, out, &show),
        args::Analytics::Report { rows } => report::report(ask, out, rows),
    }
}
