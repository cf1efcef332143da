//! Forecasts, and how good they were.

use super::Rows;
use serde::{Deserialize, Serialize};

/// Which forecasts are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Used {
    /// The model's: it was better than each simple rule by both scores.
    Model,
    /// The base rate for all pins: the model was no better than something simpler.
    BaseRate,
    /// None: too few outcomes to say, or in a way that this program does not know.
    #[serde(other)]
    Nothing,
}

/// The forecasts of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForecastUse {
    /// Seconds.
    pub horizon_s: f64,
    /// Which are in use.
    pub used: Used,
    /// Outcomes that were learnt from.
    pub outcomes: u64,
}

/// `analytics predict`: what is to be expected of a pin, or of all, first those that are likeliest read within a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct AnalyticsPredict {
    /// Only this pin.
    pub cid: Option<String>,
    /// Which rows.
    pub rows: Rows,
}

/// Forecasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForecastPage {
    /// RFC 3339 UTC: when the forecasts were made; `null` before the first time.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that they were made of.
    pub generation: u64,
    /// What they are worth: see `analytics score`.
    pub forecasts: Vec<ForecastUse>,
    /// Pins with a forecast, before `limit` and `offset`.
    pub total: u64,
    /// The pins.
    pub pins: Vec<PinForecast>,
}

/// What is to be expected of a pin; `null`: nobody can say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinForecast {
    /// The pin.
    pub cid: String,
    /// Its name.
    pub name: Option<String>,
    /// The probability of an access within an hour after `as_of`.
    pub hour: Option<f64>,
    /// Within a day.
    pub day: Option<f64>,
    /// Within a week.
    pub week: Option<f64>,
    /// RFC 3339 UTC: the next access is as likely before as after this time; `null` also when that is more than a year away.
    pub next: Option<String>,
    /// RFC 3339 UTC: it comes sooner with a chance of 1 in 10.
    pub next_earliest: Option<String>,
    /// RFC 3339 UTC: it comes later with a chance of 1 in 10.
    pub next_latest: Option<String>,
}

/// `analytics score`: how good forecasts were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalyticsScore {}

/// How good forecasts were, by horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScoreReport {
    /// RFC 3339 UTC: when the look at all pins was taken; `null` before the first one.
    pub as_of: Option<String>,
    /// Seconds since `as_of`.
    pub age_s: Option<f64>,
    /// The generation of the pin set that it was taken of.
    pub generation: u64,
    /// Each horizon.
    pub horizons: Vec<HorizonScore>,
}

/// How good the forecasts of one horizon were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HorizonScore {
    /// Seconds.
    pub horizon_s: f64,
    /// Which forecasts are in use.
    pub used: Used,
    /// RFC 3339 UTC: when the oldest of these forecasts was made.
    pub since: Option<String>,
    /// Forecasts whose horizon has passed.
    pub forecasts: u64,
    /// Forecasts whose horizon has not.
    pub waiting: u64,
    /// How often it happened, of all pins; `null` here and below: too few to say.
    pub base_rate: Option<f64>,
    /// The model's mean squared error.
    pub brier: Option<f64>,
    /// Its share of the base rate's error that it does without.
    pub skill: Option<f64>,
    /// The model's mean logarithmic loss.
    pub log_loss: Option<f64>,
    /// The chance that what happened was forecast higher than what did not.
    pub area: Option<f64>,
    /// What simple rules would have had: `base_rate`, `last_period`, `legacy`.
    pub rules: Vec<RuleScore>,
    /// The calibration table.
    pub tenths: Vec<TenthScore>,
}

/// What a simple rule would have had on the same forecasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RuleScore {
    /// Its name.
    pub rule: String,
    /// Mean squared error.
    pub brier: f64,
    /// Mean logarithmic loss.
    pub log_loss: f64,
}

/// Forecasts of one tenth of all probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TenthScore {
    /// From this probability on, up to a tenth more.
    pub from: f64,
    /// Forecasts in it.
    pub forecasts: u64,
    /// Their mean.
    pub forecast: Option<f64>,
    /// How often it happened.
    pub happened: Option<f64>,
}
