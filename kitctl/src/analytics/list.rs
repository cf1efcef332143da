//! Lists of pins: hot and cold ones, how they are read, where they would be cheaper, what to expect of them, which to give up first.
//!
//! The daemon has the order of each and answers in pages, which are written as they come; only another order needs all rows first.

use super::screen;
use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{self, Listing, Row, Shape};
use crate::output::{Out, size};
use crate::pin::size_kind;
use proto_msgs::analytics::{
    AnalyticsPatterns, AnalyticsPredict, AnalyticsScore, AnalyticsTiers, AnalyticsUnpinFirst, ForecastPage, HeatPage,
    HorizonScore, MOST, PatternPage, PinForecast, PinHeat, PinPattern, PinTierAdvice, PinUnpin, Rows, TierPage, Used,
};
use proto_msgs::pin::SizeKind;
use proto_msgs::verb::Verb;
use serde::Serialize;
use serde_json::Value;
use std::io;

/// Rows of a table for which nobody has set a limit: whoever looks wants the first ones.
const FIRST: u64 = 20;

pub(crate) const HEAT: Shape = Shape {
    all: &["cid", "name", "size", "hotness", "accesses", "last_access", "pattern", "day"],
    table: &["cid", "hotness", "accesses", "last_access", "pattern", "size", "name"],
    wide: &["cid", "hotness", "accesses", "last_access", "pattern", "day", "size", "name"],
};

pub(crate) const PATTERNS: Shape = Shape {
    all: &["cid", "name", "pattern", "accesses", "last_access", "gap_s", "burstiness", "next", "onward"],
    table: &["cid", "pattern", "accesses", "last_access", "gap_s", "burstiness", "name"],
    wide: &["cid", "pattern", "accesses", "last_access", "gap_s", "burstiness", "next", "onward", "name"],
};

pub(crate) const TIERS: Shape = Shape {
    all: &["cid", "name", "size", "hotness", "tier", "advice", "saved", "reason"],
    table: &["cid", "tier", "advice", "saved", "name", "reason"],
    wide: &["cid", "tier", "advice", "saved", "size", "hotness", "name", "reason"],
};

pub(crate) const FORECASTS: Shape = Shape {
    all: &["cid", "name", "hour", "day", "week", "next", "next_earliest", "next_latest"],
    table: &["cid", "hour", "day", "week", "next", "name"],
    wide: &["cid", "hour", "day", "week", "next", "next_earliest", "next_latest", "name"],
};

pub(crate) const UNPIN: Shape = Shape {
    all: &["cid", "name", "size", "size_kind", "week", "hotness", "last_access", "reason"],
    table: &["cid", "size", "week", "hotness", "last_access", "name"],
    wide: &["cid", "size", "size_kind", "week", "hotness", "last_access", "name", "reason"],
};

const SCORED: &[&str] =
    &["horizon_s", "used", "since", "forecasts", "waiting", "base_rate", "brier", "skill", "log_loss", "area"];
pub(crate) const HORIZONS: Shape = Shape { all: SCORED, table: SCORED, wide: SCORED };

/// An answer with rows of one look at all pins.
trait Page: Serialize {
    type Row: Row;
    fn rows(&mut self) -> &mut Vec<Self::Row>;
    fn total(&self) -> u64;
    fn age(&self) -> Option<f64>;
}

macro_rules! page {
    ($page:ty, $row:ty) => {
        impl Page for $page {
            type Row = $row;

            fn rows(&mut self) -> &mut Vec<$row> {
                &mut self.pins
            }

            fn total(&self) -> u64 {
                self.total
            }

            fn age(&self) -> Option<f64> {
                self.age_s
            }
        }
    };
}
page!(HeatPage, PinHeat);
page!(PatternPage, PinPattern);
page!(TierPage, PinTierAdvice);
page!(ForecastPage, PinForecast);

/// Asks for rows, a page at a time, and writes each as it comes. `before`: what stands above a table. The first answer, without its rows.
fn rows<V>(
    ask: &mut Ask,
    out: &mut Out,
    (shape, show): (&Shape, &Show),
    verb: impl Fn(Rows) -> V,
    before: impl FnOnce(&mut Out, &V::Reply) -> Result<(), Failure>,
) -> Result<V::Reply, Failure>
where
    V: Verb,
    V::Reply: Page,
{
    let table = out.format == Format::Table;
    let limit = show.limit.unwrap_or(if table { FIRST } else { MOST });
    let cut = Show { limit: Some(limit), ..show.clone() };
    let (mut list, (most, mut offset)) = Listing::cut_there(out, shape, &cut, "pins", |_| false)?;
    let mut left = most.unwrap_or(u64::MAX);
    let mut first = ask.call(verb(Rows { limit: Some(left.min(MOST)), offset }))?;
    ask.check_look(first.age())?;
    if table && first.total() > 0 {
        before(out, &first)?;
    }
    let (total, mut some) = (first.total(), std::mem::take(first.rows()));
    loop {
        let came = some.len();
        some.into_iter().try_for_each(|row| list.row(out, row))?;
        out.finish()?;
        // By what was asked for: a pin that is gone since that look has no row, and keeps its place.
        let asked = left.min(MOST);
        (offset, left) = (offset.saturating_add(asked), left - asked);
        if came == 0 || left == 0 || offset >= total {
            break;
        }
        some = std::mem::take(ask.call(verb(Rows { limit: Some(left.min(MOST)), offset }))?.rows());
    }
    if table && total == 0 {
        // No header over nothing.
        return Ok(first);
    }
    match out.format {
        Format::Json => list.end(out, &without_rows(&first)?)?,
        _ => list.rest(out)?,
    }
    let shown = total.saturating_sub(show.offset).min(limit);
    if show.limit.is_none() && show.offset.saturating_add(shown) < total && out.format != Format::Json {
        out.note(&format!("{shown} of {total}; --limit shows more"))?;
    }
    Ok(first)
}

/// The fields of an answer but its rows, which have been written.
fn without_rows(page: &impl Serialize) -> Result<Value, Failure> {
    let mut page = serde_json::to_value(page).map_err(io::Error::from)?;
    page.as_object_mut().and_then(|page| page.remove("pins"));
    Ok(page)
}

/// Whether a table has its pictures: not where its columns were chosen for a program.
fn has_pictures(show: &Show) -> bool {
    show.columns.is_none() && !show.no_header
}

/// Why a list has nothing in it, for people.
fn tell_nothing(out: &mut Out, as_of: Option<&str>, otherwise: &str) -> Result<(), Failure> {
    match (out.format, as_of) {
        (Format::Table, None) => out.note(screen::NEVER),
        (Format::Table, Some(_)) => out.note(otherwise),
        _ => Ok(()),
    }
}

pub(super) fn hot<V: Verb<Reply = HeatPage>>(
    ask: &mut Ask,
    out: &mut Out,
    show: &Show,
    verb: fn(Rows) -> V,
) -> Result<u8, Failure> {
    let mut unread = false;
    let page = rows(ask, out, (&HEAT, show), verb, |_, page| {
        unread = page.pins.iter().all(|pin| pin.accesses == 0) && show.offset == 0;
        Ok(())
    })?;
    if page.total == 0 {
        tell_nothing(out, page.as_of.as_deref(), screen::UNSEEN)?;
    } else if unread && show.limit != Some(0) {
        out.note("no source has seen an access to these yet")?;
    }
    Ok(exit::OK)
}

pub(super) fn patterns(ask: &mut Ask, out: &mut Out, show: &Show, pattern: Option<&str>) -> Result<u8, Failure> {
    let verb = |rows| AnalyticsPatterns { pattern: pattern.map(str::to_owned), rows };
    let page = rows(ask, out, (&PATTERNS, show), verb, |out, page| match has_pictures(show) && pattern.is_none() {
        true => screen::patterns(out, &page.patterns).and_then(|()| out.line("")),
        false => Ok(()),
    })?;
    if page.total == 0 {
        let otherwise = if pattern.is_some() { "no pin is read in this way" } else { screen::UNSEEN };
        tell_nothing(out, page.as_of.as_deref(), otherwise)?;
    }
    Ok(exit::OK)
}

pub(super) fn tiers(ask: &mut Ask, out: &mut Out, show: &Show, all: bool) -> Result<u8, Failure> {
    let page = rows(
        ask,
        out,
        (&TIERS, show),
        |rows| AnalyticsTiers { all, rows },
        |out, page| {
            if has_pictures(show) { screen::tiers(out, page).and_then(|()| out.line("")) } else { Ok(()) }
        },
    )?;
    if out.format == Format::Table && page.total == 0 && has_pictures(show) {
        screen::tiers(out, &page)?;
    }
    if page.total == 0 {
        let otherwise = page.without.as_deref().unwrap_or("no pin would be cheaper elsewhere; --all shows why");
        tell_nothing(out, page.as_of.as_deref(), otherwise)?;
    } else if out.format == Format::Table {
        page.without.as_deref().map_or(Ok(()), |without| out.note(without))?;
    }
    Ok(exit::OK)
}

pub(super) fn predict(ask: &mut Ask, out: &mut Out, show: &Show, cid: Option<&str>) -> Result<u8, Failure> {
    let verb = |rows| AnalyticsPredict { cid: cid.map(str::to_owned), rows };
    let page = rows(ask, out, (&FORECASTS, show), verb, |_, _| Ok(()))?;
    if page.total == 0 {
        tell_nothing(out, page.as_of.as_deref(), "no pin has a forecast")?;
    }
    if out.format == Format::Table && page.as_of.is_some() {
        // What is in use needs no words.
        let others = page.forecasts.iter().filter(|forecast| forecast.used != Used::Model);
        others.map(screen::forecast_use).try_for_each(|text| out.note(&text))?;
    }
    Ok(exit::OK)
}

pub(super) fn unpin_first(ask: &mut Ask, out: &mut Out, show: &Show, free: u64) -> Result<u8, Failure> {
    list::known(out, &UNPIN, show)?;
    let mut page = ask.call_slowly(AnalyticsUnpinFirst { free }, "looking")?;
    ask.check_look(page.age_s)?;
    let (pins, table) = (page.pins.len() as u64, out.format == Format::Table);
    // What goes into `pin rm` is all of it or nothing: there an exit code is lost.
    let to_unpin = out.format == Format::Cid && !page.enough;
    if !(table && pins == 0 || to_unpin) {
        list::whole(out, &UNPIN, show, &mut page, ("pins", |page| &mut page.pins))?;
    }
    if table {
        screen::unpin(out, &page, pins)?;
    } else if !page.enough && out.format != Format::Json {
        let (some, wanted) = (size(Some(page.distinct.unwrap_or(page.bytes))), size(Some(free)));
        match screen::is_cut(&page) {
            true => out.note(&format!("{some} of {wanted}; {}", screen::FIRST))?,
            false => out.note(&format!("{some} of {wanted} is all that could be freed"))?,
        }
        if to_unpin {
            out.note("so none is listed; ask for less, or look at them without -o cid")?;
        }
    }
    Ok(if page.enough { exit::OK } else { exit::FAILED })
}

/// Rows that have come, as a table.
pub(super) fn table<R: Row>(out: &mut Out, shape: &Shape, rows: Vec<R>) -> Result<(), Failure> {
    let mut list = Listing::cut_here(out, shape, &Show::default(), "")?;
    rows.into_iter().try_for_each(|row| list.row(out, row))?;
    list.rest(out)
}

pub(super) fn score(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &HORIZONS, show)?;
    let mut report = ask.call(AnalyticsScore {})?;
    ask.check_look(report.age_s)?;
    if report.horizons.is_empty() {
        tell_nothing(out, report.as_of.as_deref(), "no forecast has been made yet")?;
    }
    if out.format == Format::Table && !out.wide && show.columns.is_none() {
        return screen::score(out, &report).map(|()| exit::OK);
    }
    list::whole(out, &HORIZONS, show, &mut report, ("horizons", |report| &mut report.horizons))?;
    Ok(exit::OK)
}

impl Row for PinHeat {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "name" => Cell::maybe(self.name.as_deref()),
            "size" => Cell::bytes(self.size),
            "hotness" => Cell::Few(self.hotness),
            "accesses" => Cell::Count(self.accesses),
            "last_access" => Cell::time(self.last_access.as_deref()),
            "pattern" => Cell::text(&self.pattern),
            "day" => Cell::share(self.day),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

impl Row for PinPattern {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "name" => Cell::maybe(self.name.as_deref()),
            "pattern" => Cell::text(&self.pattern),
            "accesses" => Cell::Count(self.accesses),
            "last_access" => Cell::time(self.last_access.as_deref()),
            "gap_s" => self.gap_s.map_or(Cell::None, Cell::Seconds),
            "burstiness" => self.burstiness.map_or(Cell::None, Cell::Number),
            "next" => Cell::share(self.next),
            "onward" => Cell::share(self.onward),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

impl Row for PinTierAdvice {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "name" => Cell::maybe(self.name.as_deref()),
            "size" => Cell::bytes(self.size),
            "hotness" => Cell::few(self.hotness),
            "tier" => Cell::text(&self.tier),
            "advice" if self.advice == self.tier => Cell::Both((&self.advice).into(), "stay".into()),
            "advice" => Cell::text(&self.advice),
            "saved" => Cell::few(self.saved),
            "reason" => Cell::text(&self.reason),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

impl Row for PinForecast {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "name" => Cell::maybe(self.name.as_deref()),
            "hour" => Cell::share(self.hour),
            "day" => Cell::share(self.day),
            "week" => Cell::share(self.week),
            "next" => Cell::due(self.next.as_deref()),
            "next_earliest" => Cell::due(self.next_earliest.as_deref()),
            "next_latest" => Cell::due(self.next_latest.as_deref()),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

impl Row for PinUnpin {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "name" => Cell::maybe(self.name.as_deref()),
            "size" if self.size_kind == SizeKind::Estimated => Cell::About(self.size),
            "size" => Cell::Bytes(self.size),
            "size_kind" => Cell::text(size_kind(self.size_kind)),
            "week" => Cell::share(self.week),
            "hotness" => Cell::Few(self.hotness),
            "last_access" => Cell::time(self.last_access.as_deref()),
            "reason" => Cell::text(&self.reason),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

impl Row for HorizonScore {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "horizon_s" => Cell::Seconds(self.horizon_s),
            "used" => Cell::text(used(self.used)),
            "since" => Cell::time(self.since.as_deref()),
            "forecasts" => Cell::Count(self.forecasts),
            "waiting" => Cell::Count(self.waiting),
            "base_rate" => Cell::share(self.base_rate),
            "brier" => Cell::few(self.brier),
            "skill" => Cell::share(self.skill),
            "log_loss" => Cell::few(self.log_loss),
            "area" => self.area.map_or(Cell::None, Cell::Number),
            _ => Cell::None,
        }
    }
}

/// As in JSON.
fn used(used: Used) -> &'static str {
    match used {
        Used::Model => "model",
        Used::BaseRate => "base_rate",
        Used::Nothing => "nothing",
    }
}
