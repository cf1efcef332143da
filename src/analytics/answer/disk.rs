//! When the disk is full.

use super::at;
use crate::analytics::actor::AnalyticsArgs;
use crate::analytics::disk::{Outlook, SAMPLES, SPAN, Used as Point, outlook};
use crate::analytics::look::seconds;
use crate::fault::{ask, blocking};
use crate::index::disk::{AskDisk, MOST, Used};
use crate::index::state::AskSamples;
use jiff::Timestamp;
use proto_msgs::Fault;
use proto_msgs::analytics::{AnalyticsDisk, DiskReport, DiskSample};
use proto_msgs::state::StorageState;
use std::marker::PhantomData;

/// `analytics disk`.
pub(in crate::analytics) async fn disk(args: AnalyticsArgs, _: AnalyticsDisk) -> Result<DiskReport, Fault> {
    let mut samples = ask(&args.index, AskDisk).await?;
    let newest = newest(&args).await?;
    if let Some((at, newest)) = &newest
        && let (Some(total), Some(free)) = (newest.disk_total, newest.disk_free)
        && samples.last().is_none_or(|last| last.at < *at)
    {
        samples.push(Used { at: *at, used: total.saturating_sub(free), repo_size: newest.repo_size });
    }
    let more = samples.len().saturating_sub(MOST);
    samples.drain(..more);
    let (newest_at, newest) = newest.unzip();
    let newest = newest.unwrap_or_default();
    let points: Vec<Point> =
        samples.iter().map(|sample| Point { at: seconds(sample.at), bytes: sample.used as f64 }).collect();
    let found = match newest.disk_free {
        Some(free) => blocking(move || outlook(&points, free as f64)).await?,
        None => Outlook::Unknown,
    };
    let report = DiskReport {
        as_of: newest_at.map(crate::time::text),
        total: newest.disk_total,
        free: newest.disk_free,
        repo_size: newest.repo_size,
        storage_max: newest.storage_max,
        without: Some(without(&samples)),
        growth: None,
        growth_least: None,
        growth_most: None,
        full: None,
        full_earliest: None,
        full_latest: None,
        until: None,
        samples: samples.iter().map(told).collect(),
    };
    let Outlook::Known { growth, least, most, full, earliest, latest, until } = found else { return Ok(report) };
    Ok(DiskReport {
        without: None,
        growth: Some(growth),
        growth_least: Some(least),
        growth_most: Some(most),
        full: full.and_then(at),
        full_earliest: earliest.and_then(at),
        full_latest: latest.and_then(at),
        until: at(until),
        ..report
    })
}

/// The newest sample, which need not be in the index yet.
async fn newest(args: &AnalyticsArgs) -> Result<Option<(Timestamp, StorageState)>, Fault> {
    let measured = {
        let shelf = args.board.state.borrow();
        shelf.newest().storage.last_key_value().map(|(at, sample)| (*at, sample.clone()))
    };
    if measured.is_some() {
        return Ok(measured);
    }
    let ask_one = AskSamples::<StorageState> { before: None, since: None, most: 1, of: PhantomData };
    Ok(ask(&args.index, ask_one).await?.pop())
}

fn told(sample: &Used) -> DiskSample {
    DiskSample { at: crate::time::text(sample.at), used: sample.used, repo_size: sample.repo_size }
}

fn without(samples: &[Used]) -> String {
    let days = match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => (seconds(last.at) - seconds(first.at)) / 86_400.0,
        _ => return "the disk was never measured: that needs the path of Kubo's repo".to_owned(),
    };
    format!(
        "a forecast needs {SAMPLES} samples from {:.0} days; there are {} from {days:.1} days",
        SPAN / 86_400.0,
        samples.len()
    )
}
