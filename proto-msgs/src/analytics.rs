//! What accesses tell of pins: how hot they are, how they are read, what is to be expected, and how good such forecasts were.
//!
//! All answers but that of `analytics_disk` come from one look at all pins, which is taken again and again: `as_of` says when. Lists
//! have at most [`MOST`] rows a call.

mod forecast;

use crate::access::SourceReport;
use crate::pin::SizeKind;
pub use forecast::{
    AnalyticsPredict, AnalyticsScore, ForecastPage, ForecastUse, HorizonScore, PinForecast, RuleScore, ScoreReport,
    TenthScore, Used,
};
use serde::{Deserialize, Serialize};

/// Rows in one answer at most.
pub const MOST: u64 = 1_000;

/// Which rows are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Rows {
    /// At most so many; `null`: [`MOST`].
    pub limit: Option<u64>,
    /// Leaves out so many of the first.
    pub offset: u64,
}

/// `analytics summary`: what is known at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsSummary {}

/// The answer to `analytics summary`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsReport {
    /// RFC 3339 UTC: when the look at all pins was taken; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that it was taken of.
    pub generation: u64,
    /// How long that look took, in seconds.
    pub took_s: Option<f64>,
    /// Pins.
    pub pins: u64,
    /// Pins whose accesses a source could have seen; nobody knows, and it is 0, while `as_of` is `null`.
    pub watched: u64,
    /// The half-life of hotness in seconds, in that look; before the first one, in the next.
    pub half_life_s: f64,
    /// Where accesses come from.
    pub sources: Vec<SourceReport>,
    /// Accesses that are kept.
    pub accesses: u64,
    /// At most so many are.
    pub accesses_most: u64,
    /// RFC 3339 UTC: the oldest of them.
    pub oldest_access: Option<String>,
    /// Pins that were read since they are watched; 0 as `watched` is, and where nothing is watched.
    pub read: u64,
    /// Pins by the way they are read.
    pub patterns: Vec<PatternCount>,
    /// Accesses of each of the last 168 hours with one, oldest first.
    pub by_hour: Vec<AccessCount>,
    /// Accesses of each of the last 90 days with one, oldest first.
    pub by_day: Vec<AccessCount>,
    /// Which forecasts are in use, by horizon.
    pub forecasts: Vec<ForecastUse>,
}

/// Accesses of an hour or a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessCount {
    /// RFC 3339 UTC: when it began.
    pub at: String,
    /// Accesses.
    pub accesses: u64,
    /// Bytes that were read, as far as the sources say; 0 also where none of them said any.
    pub bytes: u64,
}

/// Pins that are read in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PatternCount {
    /// `unknown`, `cold`, `single`, `sporadic`, `steady`, `bursty`, `periodic`, `sequential`, `streaming`.
    pub pattern: String,
    /// Pins.
    pub pins: u64,
    /// Their bytes, as far as they are measured; what several pins share counts for each.
    pub bytes: u64,
}

/// `analytics hot`: the pins that are read most at present, first those.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsHot(pub Rows);

/// `analytics cold`: the watched pins that are read least at present; of equal ones first the largest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsCold(pub Rows);

/// Pins by how hot they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeatPage {
    /// RFC 3339 UTC: when the look at all pins was taken; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that it was taken of.
    pub generation: u64,
    /// Watched pins, before `limit` and `offset`.
    pub total: u64,
    /// The pins.
    pub pins: Vec<PinHeat>,
}

/// How hot a pin is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinHeat {
    /// The pin.
    pub cid: String,
    /// Its name.
    pub name: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Accesses per day at present: see docs/ANALYTICS.md.
    pub hotness: f64,
    /// Accesses since it is watched.
    pub accesses: u64,
    /// RFC 3339 UTC.
    pub last_access: Option<String>,
    /// How it is read.
    pub pattern: String,
    /// The probability that it is read within a day.
    pub day: Option<f64>,
}

/// `analytics patterns`: how pins are read, and the numbers that this was judged by; first the pins with most accesses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AnalyticsPatterns {
    /// Only pins that are read in this way.
    pub pattern: Option<String>,
    /// Which rows.
    pub rows: Rows,
}

/// Pins by the way they are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PatternPage {
    /// RFC 3339 UTC: when the look at all pins was taken; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that it was taken of.
    pub generation: u64,
    /// All pins.
    pub patterns: Vec<PatternCount>,
    /// Pins that were read and fit, before `limit` and `offset`.
    pub total: u64,
    /// The pins.
    pub pins: Vec<PinPattern>,
}

/// How a pin is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinPattern {
    /// The pin.
    pub cid: String,
    /// Its name.
    pub name: Option<String>,
    /// The class.
    pub pattern: String,
    /// Accesses since it is watched.
    pub accesses: u64,
    /// RFC 3339 UTC.
    pub last_access: Option<String>,
    /// The mean time between accesses in seconds.
    pub gap_s: Option<f64>,
    /// From -1 for a clock over 0 for chance to 1 for bursts; `null` with too few accesses.
    pub burstiness: Option<f64>,
    /// The share of accesses that went on to the next file; `null` with too few whose place is known.
    pub next: Option<f64>,
    /// The share of accesses that went on within their file.
    pub onward: Option<f64>,
}

/// `analytics tiers`: where pins are, and where they would be cheaper. Nothing acts on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AnalyticsTiers {
    /// Pins that had better stay, too.
    pub all: bool,
    /// Which rows.
    pub rows: Rows,
}

/// Tiers, and advice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TierPage {
    /// RFC 3339 UTC: when the look at all pins was taken; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that it was taken of.
    pub generation: u64,
    /// The tiers.
    pub tiers: Vec<TierReport>,
    /// Why there is no advice; `null` when there is.
    pub without: Option<String>,
    /// Pins that would be cheaper elsewhere; nobody knows, and it is 0 here and below, while `without` says why or `as_of` is `null`.
    pub moves: u64,
    /// What all moves together would save a month, in the unit of the configured costs.
    pub saved: f64,
    /// Rows, before `limit` and `offset`.
    pub total: u64,
    /// First those that save most.
    pub pins: Vec<PinTierAdvice>,
}

/// A tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TierReport {
    /// Its name.
    pub name: String,
    /// How it is known: `measured`, `configured`, `remote`.
    pub known_by: String,
    /// What it is, in words: the device, the service.
    pub what: Option<String>,
    /// Pins on it; `null`: nobody can tell.
    pub pins: Option<u64>,
    /// Their bytes, as far as they are measured.
    pub bytes: Option<u64>,
    /// Bytes that there is room for.
    pub free: Option<u64>,
    /// What a GiB costs a month.
    pub storage: Option<f64>,
    /// What an access costs.
    pub access: Option<f64>,
    /// What a GiB costs that is read.
    pub read: Option<f64>,
}

/// Advice on one pin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinTierAdvice {
    /// The pin.
    pub cid: String,
    /// Its name.
    pub name: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Accesses per day; `null` without a source.
    pub hotness: Option<f64>,
    /// Where it is.
    pub tier: String,
    /// Where it had better be; the same as `tier`: it stays.
    pub advice: String,
    /// What the move would save a month.
    pub saved: Option<f64>,
    /// Why, with the numbers.
    pub reason: String,
}

/// `analytics disk`: when the disk is full.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsDisk {}

/// What is to be expected of the disk that the repo is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskReport {
    /// RFC 3339 UTC: the newest sample; `null` when there is none.
    pub as_of: Option<String>,
    /// Bytes of the file system.
    pub total: Option<u64>,
    /// Bytes of it that Kubo could still write.
    pub free: Option<u64>,
    /// Bytes of the repo.
    pub repo_size: Option<u64>,
    /// Bytes at which Kubo would collect garbage.
    pub storage_max: Option<u64>,
    /// Why there is no forecast; `null` when there is one.
    pub without: Option<String>,
    /// Bytes a day: the median; the growth of the file system, whoever writes.
    pub growth: Option<f64>,
    /// The least of an interval of 90 %.
    pub growth_least: Option<f64>,
    /// The most of it.
    pub growth_most: Option<f64>,
    /// RFC 3339 UTC: when it is full; `null` here and below: not before `until`.
    pub full: Option<String>,
    /// RFC 3339 UTC: the earliest of an interval of 90 %.
    pub full_earliest: Option<String>,
    /// RFC 3339 UTC: the latest of it.
    pub full_latest: Option<String>,
    /// RFC 3339 UTC: it is not looked further ahead than this.
    pub until: Option<String>,
    /// Samples, oldest first: at most 200, evenly over the time that is kept.
    pub samples: Vec<DiskSample>,
}

/// The disk at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiskSample {
    /// RFC 3339 UTC.
    pub at: String,
    /// Bytes in use.
    pub used: u64,
    /// Bytes of the repo.
    pub repo_size: Option<u64>,
}

/// `analytics unpin-first`: which pins to give up first to free so many bytes. Nothing acts on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AnalyticsUnpinFirst {
    /// Bytes that are wanted.
    pub free: u64,
}

/// What to unpin first: first what is least likely read within a week for the bytes it frees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnpinPage {
    /// RFC 3339 UTC: when the look at all pins was taken; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that it was taken of.
    pub generation: u64,
    /// Bytes that are wanted.
    pub free: u64,
    /// The sum of the sizes of `pins`.
    pub bytes: u64,
    /// Bytes of all their blocks, each counted once; `null`: not measured. Blocks that other pins have, too, stay.
    pub distinct: Option<u64>,
    /// Whether that is enough, by the better of the two figures; no more than [`MOST`] pins are told.
    pub enough: bool,
    /// All pins that could go, of which `pins` has the first.
    pub candidates: Option<u64>,
    /// Pins that are left out because their size is not known.
    pub unmeasured: u64,
    /// Pins that are left out because no source sees their accesses.
    pub unwatched: u64,
    /// Pins that are left out because they are watched for less than a day.
    pub fresh: Option<u64>,
    /// Pins that are left out because MFS has them, so that unpinning frees nothing.
    pub in_mfs: u64,
    /// The pins.
    pub pins: Vec<PinUnpin>,
}

/// A pin that could go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinUnpin {
    /// The pin.
    pub cid: String,
    /// Its name.
    pub name: Option<String>,
    /// Bytes.
    pub size: u64,
    /// How well they are known.
    pub size_kind: SizeKind,
    /// The model's probability that it is read within a week; `null`: the model is not used, and hotness alone decides.
    pub week: Option<f64>,
    /// Accesses per day.
    pub hotness: f64,
    /// RFC 3339 UTC.
    pub last_access: Option<String>,
    /// Why it stands where it stands, with the numbers.
    pub reason: String,
}
