//! `analytics report`: one answer each of the verbs of analytics and of `metrics`, over one connection, as one screen, one document or
//! one page.

use super::{list, page, screen};
use crate::args::Format;
use crate::ask::Ask;
use crate::daemon;
use crate::exit::{self, Failure};
use crate::output::Out;
use jiff::Timestamp;
use proto_msgs::analytics::{
    AnalyticsDisk, AnalyticsHot, AnalyticsPatterns, AnalyticsPredict, AnalyticsReport, AnalyticsScore,
    AnalyticsSummary, AnalyticsTiers, DiskReport, ForecastPage, HeatPage, PatternPage, Rows, ScoreReport, TierPage,
};
use proto_msgs::daemon::{Metrics, MetricsReport};
use serde::Serialize;

/// All of them.
#[derive(Serialize)]
pub(super) struct Report {
    /// When the look at all pins was taken that most of it is from; RFC 3339 UTC.
    pub(super) as_of: Option<String>,
    pub(super) age_s: Option<f64>,
    pub(super) summary: AnalyticsReport,
    pub(super) metrics: MetricsReport,
    pub(super) hot: HeatPage,
    pub(super) patterns: PatternPage,
    pub(super) tiers: TierPage,
    pub(super) predict: ForecastPage,
    pub(super) disk: DiskReport,
    pub(super) score: ScoreReport,
}

/// `rows`: of each list.
pub(super) fn report(ask: &mut Ask, out: &mut Out, rows: u64) -> Result<u8, Failure> {
    let summary = ask.call(AnalyticsSummary {})?;
    ask.check_look(summary.age_s)?;
    let rows = || Rows { limit: Some(rows), offset: 0 };
    let report = Report {
        as_of: summary.as_of.clone(),
        age_s: summary.age_s,
        metrics: ask.call(Metrics {})?,
        hot: ask.call(AnalyticsHot(rows()))?,
        patterns: ask.call(AnalyticsPatterns { pattern: None, rows: rows() })?,
        tiers: ask.call(AnalyticsTiers { all: false, rows: rows() })?,
        predict: ask.call(AnalyticsPredict { cid: None, rows: rows() })?,
        disk: ask.call(AnalyticsDisk {})?,
        score: ask.call(AnalyticsScore {})?,
        summary,
    };
    match out.format {
        Format::Table => show(out, report)?,
        Format::Html => out.raw(&page::page(&report, Timestamp::now()))?,
        _ => out.answer(&report)?,
    }
    Ok(exit::OK)
}

fn show(out: &mut Out, report: Report) -> Result<(), Failure> {
    let heading = |out: &mut Out, text: &str| out.line(format!("\n{}", text.to_uppercase()));
    screen::show_summary(out, &report.summary)?;
    heading(out, "pins")?;
    daemon::metrics_table(out, &report.metrics)?;
    if report.hot.pins.iter().any(|pin| pin.accesses > 0) {
        heading(out, "read most")?;
        list::table(out, &list::HEAT, report.hot.pins)?;
    }
    if !report.patterns.pins.is_empty() {
        heading(out, "how they are read")?;
        list::table(out, &list::PATTERNS, report.patterns.pins)?;
    }
    if !report.predict.pins.is_empty() {
        heading(out, "likely to be read within a day")?;
        list::table(out, &list::FORECASTS, report.predict.pins)?;
    }
    heading(out, "tiers")?;
    screen::tiers(out, &report.tiers)?;
    if !report.tiers.pins.is_empty() {
        list::table(out, &list::TIERS, report.tiers.pins)?;
    }
    heading(out, "disk")?;
    screen::show_disk(out, &report.disk)?;
    heading(out, "score of the forecasts")?;
    screen::score(out, &report.score)
}
