//! What is known and expected beyond single pins, as text and pictures for people: sources, accesses over time, patterns, tiers, the disk,
//! the score. What is not known is said with the reason.

use super::time::{Series, day, day_at, day_of, minute, trend};
use crate::args::Format;
use crate::ask::Ask;
use crate::cell::Cell;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::output::{Out, Table, ago, due, few, percent, size, span};
use crate::plot::{self, Bar};
use jiff::Timestamp;
use proto_msgs::access::SourceReport;
use proto_msgs::analytics::{
    AnalyticsDisk, AnalyticsReport, AnalyticsSummary, DiskReport, ForecastUse, HorizonScore, MOST, PatternCount,
    ScoreReport, TierPage, UnpinPage, Used,
};

/// Why there is nothing before the first look.
pub(super) const NEVER: &str =
    "no look at all pins has been taken yet: the daemon takes one every `analytics.interval`";
/// Why there is nothing after it.
pub(super) const UNSEEN: &str = "no source has seen an access yet: `ipfs-kitctl analytics summary` shows the sources, `ipfs-kitctl access \
                                 --help` how to tell of accesses";
/// Outcomes that have to be learnt before there is a forecast, as docs/ANALYTICS.md says.
const LEARNT: u64 = 500;
/// Lines of pictures over time.
const HEIGHT: usize = 5;
const DISK_HEIGHT: usize = 9;

pub(super) fn summary(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let report = ask.call(AnalyticsSummary {})?;
    ask.check_look(report.age_s)?;
    match out.format {
        Format::Table => show_summary(out, &report)?,
        _ => out.answer(&report)?,
    }
    Ok(exit::OK)
}

pub(super) fn show_summary(out: &mut Out, report: &AnalyticsReport) -> Result<(), Failure> {
    let mut table = Table::new(None);
    let mut row = |out: &mut Out, key: &str, value: String| table.row(out, [key.to_owned(), value]);
    let counts = [counted(report.pins, "pin"), format!("{} watched", report.watched), format!("{} read", report.read)];
    row(out, "pins", format!("{}, generation {}", counts.join(", "), report.generation))?;
    let took = report.took_s.map(|took| format!(", in {}", span(took))).unwrap_or_default();
    row(
        out,
        "looked",
        report.as_of.as_deref().map_or_else(|| "not yet".to_owned(), |at| format!("{}{took}", ago(at))),
    )?;
    row(out, "hotness", format!("half-life {}", span(report.half_life_s)))?;
    let oldest = report.oldest_access.as_deref().map(|at| format!(", the oldest {}", ago(at))).unwrap_or_default();
    row(out, "accesses", format!("{} kept, of at most {}{oldest}", report.accesses, report.accesses_most))?;
    for (number, source) in report.sources.iter().enumerate() {
        row(out, if number == 0 { "sources" } else { "" }, source_line(source))?;
        if let Some(error) = &source.error {
            row(out, "", format!("wrong with it: {error}"))?;
        }
        if out.wide {
            row(out, "", format!("it can't see: {}", source.blind))?;
        }
    }
    for (number, forecast) in report.forecasts.iter().enumerate() {
        row(out, if number == 0 { "forecasts" } else { "" }, forecast_use(forecast))?;
    }
    table.finish(out)?;
    let now = Timestamp::now();
    let series = [
        ("hour", Series::of_hours(&report.by_hour, &report.sources, now)),
        ("day", Series::of_days(&report.by_day, &report.sources, now)),
    ];
    for (unit, series) in series {
        if let Some(series) = series.filter(|series| series.accesses.len() > 1) {
            out.line("")?;
            accesses(out, unit, &series)?;
        }
    }
    if report.patterns.iter().any(|count| count.pins > 0) {
        out.line("")?;
        patterns(out, &report.patterns)?;
    }
    match report.as_of {
        None => out.note(NEVER),
        Some(_) if report.accesses == 0 => out.note(UNSEEN),
        Some(_) => Ok(()),
    }
}

/// A source in a line.
pub(super) fn source_line(source: &SourceReport) -> String {
    let name = source.source.name();
    if !source.on {
        return format!("{name}: off");
    }
    let mut parts = vec![format!("{name}: {} since the daemon began", counted_es(source.accesses))];
    parts.extend((source.wrong > 0).then(|| format!("{} not understood", source.wrong)));
    parts.extend(source.looked.as_deref().map(|at| format!("looked at {}", ago(at))));
    parts.push(
        source
            .since
            .as_deref()
            .map_or_else(|| "has told of none yet".to_owned(), |at| format!("sees since {}", day_of(at))),
    );
    parts.join(", ")
}

fn counted_es(accesses: u64) -> String {
    if accesses == 1 { "1 access".to_owned() } else { format!("{accesses} accesses") }
}

/// Columns over time, with what stands in the highest one.
fn accesses(out: &mut Out, unit: &str, series: &Series) -> Result<(), Failure> {
    let canvas = out.canvas();
    let total: u64 = series.accesses.iter().sum();
    // The scale is not known before the groups are: there is room for the largest one that could be.
    let (sums, of) = plot::grouped(&series.accesses, plot::beside(&total.to_string(), canvas));
    let most = sums.iter().copied().max().unwrap_or_default().to_string();
    let each = if of == 1 { unit.to_owned() } else { format!("{of} {unit}s") };
    let days = series.accesses.len() as i64 * series.step / 86_400;
    let when = if unit == "hour" { minute } else { day };
    out.line(format!(
        "accesses, a column for each {each}, {total} in {}",
        counted(days.max(1).cast_unsigned(), "day")
    ))?;
    let ends = [when(series.from), "now (UTC)".to_owned()];
    let lines = plot::columns(&sums, &most, [&ends[0], &ends[1]], canvas, HEIGHT);
    lines.iter().try_for_each(|line| out.line(line))
}

/// Which forecasts are in use within a horizon, and why no others.
pub(super) fn forecast_use(forecast: &ForecastUse) -> String {
    let (horizon, outcomes) = (span_of(forecast.horizon_s), forecast.outcomes);
    match forecast.used {
        Used::Model => format!("within {horizon}: the model's, learnt from {outcomes} outcomes"),
        Used::BaseRate => {
            format!("within {horizon}: the base rate for all, since the model is no better than a simple rule")
        }
        Used::Nothing if outcomes < LEARNT => {
            format!(
                "within {horizon}: none yet; forecasts need a day of watching and {LEARNT} outcomes, {outcomes} so far"
            )
        }
        Used::Nothing => format!(
            "within {horizon}: none yet; too few came true, or failed to, to say what {outcomes} of them are worth"
        ),
    }
}

/// `1 hour`, `1 day`, `7 days`.
pub(super) fn span_of(seconds: f64) -> String {
    let hours = (seconds / 3_600.0).round() as u64;
    if hours > 0 && hours.is_multiple_of(24) { counted(hours / 24, "day") } else { counted(hours, "hour") }
}

/// Pins by the way they are read.
pub(super) fn patterns(out: &mut Out, counts: &[PatternCount]) -> Result<(), Failure> {
    let rows: Vec<Bar> = counts
        .iter()
        .filter(|count| count.pins > 0)
        .map(|count| Bar {
            label: crate::output::tame(&count.pattern).into_owned(),
            shown: format!("{}  {:>10}", count.pins, size(Some(count.bytes))),
            value: count.pins as f64,
        })
        .collect();
    out.line("pins by the way they are read, and their bytes")?;
    plot::bars(&rows, out.canvas()).iter().try_for_each(|line| out.line(line))
}

/// The tiers, and what moving would save.
pub(super) fn tiers(out: &mut Out, page: &TierPage) -> Result<(), Failure> {
    let mut table =
        Table::new(Some(&["tier", "known by", "pins", "bytes", "free", "storage", "access", "read", "what"]));
    for tier in &page.tiers {
        let cells = [
            Cell::text(&tier.name),
            Cell::text(&tier.known_by),
            Cell::count(tier.pins),
            Cell::bytes(tier.bytes),
            Cell::bytes(tier.free),
            Cell::few(tier.storage),
            Cell::few(tier.access),
            Cell::few(tier.read),
            Cell::maybe(tier.what.as_deref()),
        ];
        table.row(out, cells.map(Cell::readable))?;
    }
    table.finish(out)?;
    if page.without.is_none() {
        let moves = counted(page.moves, "pin");
        out.line(format!("{moves} would be cheaper elsewhere, by {} a month; nothing is moved", few(page.saved)))?;
    }
    Ok(())
}

/// What is said where more pins could go than an answer has.
pub(super) const FIRST: &str = "these are the first 1,000, and there are more: ask again when they are gone";

/// Whether more pins could go than the answer has.
pub(super) fn is_cut(page: &UnpinPage) -> bool {
    page.candidates.is_some_and(|all| all > MOST)
}

/// What stands below the pins that could go.
pub(super) fn unpin(out: &mut Out, page: &UnpinPage, pins: u64) -> Result<(), Failure> {
    let left = [
        (page.unwatched, "whose accesses no source sees"),
        (page.fresh.unwrap_or(0), "watched for less than a day"),
        (page.unmeasured, "of unknown size"),
        (page.in_mfs, "that MFS keeps anyway"),
    ];
    let left: Vec<_> =
        left.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{} {why}", counted(*n, "pin"))).collect();
    if page.as_of.is_none() {
        return out.note(NEVER);
    }
    let wanted = size(Some(page.free));
    let each = match page.distinct {
        Some(bytes) => format!("; their blocks, each counted once, {}", size(Some(bytes))),
        None => "; what they share with each other counts for each".to_owned(),
    };
    let sum = format!("{} with {}{each}", counted(pins, "pin"), size(Some(page.bytes)));
    let enough = if page.enough { "enough" } else { "not enough" };
    out.note(&format!("{sum}: {enough} for {wanted}"))?;
    if !page.enough && is_cut(page) {
        out.note(FIRST)?;
    }
    if !left.is_empty() {
        out.note(&format!("left out: {}", left.join(", ")))?;
    }
    match page.enough {
        false => Ok(()),
        true => out.note(&format!(
            "nothing was unpinned; what does it: ipfs-kitctl analytics unpin-first --free {} -o cid | ipfs-kitctl pin rm - && \
             ipfs-kitctl kubo gc; blocks that other pins have, too, stay",
            page.free
        )),
    }
}

pub(super) fn disk(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let report = ask.call(AnalyticsDisk {})?;
    ask.check_disk(report.as_of.as_deref())?;
    match out.format {
        Format::Table => show_disk(out, &report)?,
        Format::Csv => {
            out.line("at,used,repo_size")?;
            for sample in &report.samples {
                let repo = sample.repo_size.map(|bytes| bytes.to_string()).unwrap_or_default();
                out.csv([&sample.at, &sample.used.to_string(), &repo])?;
            }
        }
        _ => out.answer(&report)?,
    }
    Ok(exit::OK)
}

pub(super) fn show_disk(out: &mut Out, report: &DiskReport) -> Result<(), Failure> {
    let mut table = Table::new(None);
    let mut row = |out: &mut Out, key: &str, value: String| table.row(out, [key.to_owned(), value]);
    if let (Some(total), Some(free)) = (report.total, report.free) {
        let used =
            report.samples.last().map(|sample| format!("{} in use of ", size(Some(sample.used)))).unwrap_or_default();
        row(out, "disk", format!("{used}{}, {} free", size(Some(total)), size(Some(free))))?;
    }
    if let Some(repo) = report.repo_size {
        let most =
            report.storage_max.map(|most| format!(", and Kubo is to keep to {}", size(Some(most)))).unwrap_or_default();
        row(out, "repo", format!("{}{most}", size(Some(repo))))?;
    }
    if let (Some(growth), Some(least), Some(most)) = (report.growth, report.growth_least, report.growth_most) {
        row(out, "growth", format!("{} a day; 90 %: {} to {}", signed(growth), signed(least), signed(most)))?;
        row(out, "full", full(report))?;
    }
    if let Some(at) = &report.as_of {
        row(out, "as of", ago(at))?;
    }
    table.finish(out)?;
    if let Some(trend) = trend(report) {
        out.line("")?;
        let most = size(Some(trend.ceiling as u64));
        let (from, _) = trend.ends().unwrap_or_default();
        let labels = [day_at(from), "now".to_owned(), day_at(trend.until)];
        let end = if trend.ahead.is_some() { labels[2].as_str() } else { "" };
        let lines = plot::line(&trend, &most, [&labels[0], &labels[1], end], out.canvas(), DISK_HEIGHT);
        lines.iter().try_for_each(|line| out.line(line))?;
    }
    report.without.as_deref().map_or(Ok(()), |without| out.note(&format!("there is no forecast: {without}")))
}

/// Bytes that may have become fewer.
pub(super) fn signed(bytes: f64) -> String {
    let shown = size(Some(bytes.abs() as u64));
    if bytes <= -1.0 { format!("-{shown}") } else { shown }
}

/// When the disk is full, in words.
pub(super) fn full(report: &DiskReport) -> String {
    let until = report
        .until
        .as_deref()
        .map_or_else(|| "as far as can be seen".to_owned(), |at| format!("before {}", day_of(at)));
    let middle =
        report.full.as_deref().map_or_else(|| format!("not {until}"), |at| format!("{} ({})", day_of(at), due(at)));
    match (&report.full_earliest, &report.full_latest) {
        (None, None) => middle,
        (Some(from), None) => format!("{middle}; 90 %: {} at the earliest", day_of(from)),
        (from, Some(to)) => {
            let from = from.as_deref().map_or_else(|| "now".to_owned(), day_of);
            format!("{middle}; 90 %: {from} to {}", day_of(to))
        }
    }
}

pub(super) fn score(out: &mut Out, report: &ScoreReport) -> Result<(), Failure> {
    for (number, horizon) in report.horizons.iter().enumerate() {
        if number > 0 {
            out.line("")?;
        }
        show_horizon(out, horizon)?;
    }
    Ok(())
}

/// What is said of a horizon above its figures.
pub(super) fn verdict(horizon: &HorizonScore) -> String {
    let used = match horizon.used {
        Used::Model => "the model's forecasts are used: they beat every simple rule by both scores",
        Used::BaseRate => "the model is not used, since a simple rule is as good: the base rate is told for all",
        Used::Nothing => "nothing is said yet: there are too few outcomes to know what forecasts are worth",
    };
    let since = horizon.since.as_deref().map(|at| format!(" since {}", day_of(at))).unwrap_or_default();
    let base = horizon.base_rate.map(|rate| format!("; {} of all pins were read", percent(rate))).unwrap_or_default();
    format!(
        "{used}; {} came to their end{since}, {} have not{base}",
        counted(horizon.forecasts, "forecast"),
        horizon.waiting
    )
}

/// The name of a rule, in words.
pub(super) fn rule(name: &str) -> &str {
    match name {
        "base_rate" => "the base rate for all",
        "last_period" => "the same as last period",
        "legacy" => "the rule of ipfs_kit_py",
        other => other,
    }
}

fn show_horizon(out: &mut Out, horizon: &HorizonScore) -> Result<(), Failure> {
    out.line(format!("within {}: {}", span_of(horizon.horizon_s), verdict(horizon)))?;
    let (Some(brier), Some(log_loss)) = (horizon.brier, horizon.log_loss) else { return Ok(()) };
    let mut table = Table::new(Some(&["by", "brier", "log_loss", "skill", "area"]));
    let area = horizon.area.map_or_else(|| "-".to_owned(), |area| format!("{area:.3}"));
    let skill = horizon.skill.map_or_else(|| "-".to_owned(), percent);
    table.row(out, ["the model".to_owned(), few(brier), few(log_loss), skill, area])?;
    for by in &horizon.rules {
        table.row(out, [rule(&by.rule).to_owned(), few(by.brier), few(by.log_loss)])?;
    }
    table.finish(out)?;
    let blocks = out.canvas().blocks;
    let mut table = Table::new(Some(&["forecast", "times", "mean", "happened"]));
    for tenth in horizon.tenths.iter().filter(|tenth| tenth.forecasts > 0) {
        let shown =
            |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let bar = plot::bar(tenth.happened.unwrap_or_default(), 20, blocks);
        let from = (tenth.from * 100.0).round();
        table.row(
            out,
            [
                format!("{from:.0} to {:.0} %", from + 10.0),
                tenth.forecasts.to_string(),
                shown(tenth.forecast),
                shown(tenth.happened),
                bar,
            ],
        )?;
    }
    table.finish(out)
}
