//! Whether a pin is read within an hour, a day, a week, and when it is read next. Pure.
//!
//! `memory.rs` is what is remembered of a pin, `features.rs` the models that forecast from it, `mix.rs` how their forecasts become one,
//! `calibration.rs` how that one comes to be as often right as it says, `next.rs` the time of the next access. All that is learnt is
//! learnt from forecasts whose horizon has passed; there are no weights from elsewhere.
//!
//! It is called with the time: `Moment::new`, then `forecast` for each pin. A caller keeps some of the forecasts' `Sample`s until their
//! horizon has passed, tells by `learn` what happened, and calls `fit` before the next round.
//!
//! What it can't know: accesses that no source sees, a reader's plans, and what has never happened yet.

mod calibration;
mod features;
mod memory;
mod mix;
mod next;

pub use features::chance_by_rate;
pub use memory::{Memory, exposure};
pub use next::Next;

use calibration::Calibration;
use features::{Features, context, features};
use memory::{DAY, HOUR, WAVES, WEEK, mean_waves};
use mix::Mix;
use serde::{Deserialize, Serialize};

/// Seconds.
pub const HORIZONS: [f64; 3] = [HOUR, DAY, WEEK];
/// A pin that is watched for less has no forecast.
pub const WATCHED: f64 = DAY;
/// Outcomes that have to be learnt before there is a forecast within a horizon.
pub const OUTCOMES: u64 = 500;

/// What is the same for all pins at a time.
#[derive(Clone, Debug)]
pub struct Moment {
    now: f64,
    means: [[[f64; 2]; WAVES.len()]; HORIZONS.len()],
}

impl Moment {
    /// `now` in seconds since the Unix epoch.
    pub fn new(now: f64) -> Self {
        Moment { now, means: HORIZONS.map(|horizon| mean_waves(now, horizon)) }
    }
}

/// What a pin was forecast from; to be kept until the horizon has passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    context: u8,
    features: Features,
    /// Before the correction.
    forecast: f32,
}

/// All that is learnt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    horizons: [Learnt; HORIZONS.len()],
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Learnt {
    mix: Mix,
    calibration: Calibration,
    outcomes: u64,
}

impl Forecaster {
    /// The probability of an access within each of the horizons, never falling from one to the next. `None` with too little evidence:
    /// on the pin, or of how such forecasts come true.
    pub fn forecast(&self, pin: &Memory, moment: &Moment) -> [Option<f64>; HORIZONS.len()] {
        let evidence = pin.at(moment.now);
        if evidence.watched < WATCHED {
            return [None; _];
        }
        let context = context(&evidence);
        let mut least = 0.0;
        std::array::from_fn(|i| {
            let learnt = &self.horizons[i];
            (learnt.outcomes >= OUTCOMES).then(|| {
                let features = features(&evidence, HORIZONS[i], &moment.means[i]);
                least = learnt.calibration.corrected(learnt.mix.probability(context, &features)).max(least);
                least
            })
        })
    }

    /// How much more is learnt from the outcome of this forecast than from that of one that is nearly certain: most outcomes are of the
    /// latter kind, and a caller that keeps a part of the samples keeps more of the others. Which are kept depends on the forecast
    /// alone and never on the outcome, so that the calibration stays unbiased.
    pub fn interest(forecast: Option<f64>) -> f64 {
        1.0 + forecast.map_or(0.0, |p| 200.0 * p * (1.0 - p))
    }

    /// What `learn` needs later for one of the horizons.
    pub fn sample(&self, pin: &Memory, moment: &Moment, horizon: usize) -> Option<Sample> {
        let evidence = pin.at(moment.now);
        (evidence.watched >= WATCHED).then(|| {
            let context = context(&evidence);
            let features = features(&evidence, HORIZONS[horizon], &moment.means[horizon]);
            let forecast = self.horizons[horizon].mix.probability(context, &features) as f32;
            Sample { context: context as u8, features, forecast }
        })
    }

    /// Learns whether the pin of a sample was read within the horizon.
    pub fn learn(&mut self, horizon: usize, sample: &Sample, happened: bool) {
        let learnt = &mut self.horizons[horizon];
        learnt.mix.learn(sample.context.into(), &sample.features, happened);
        learnt.calibration.learn(sample.forecast.into(), happened);
        learnt.outcomes += 1;
    }

    /// Outcomes that were learnt from.
    pub fn outcomes(&self, horizon: usize) -> u64 {
        self.horizons[horizon].outcomes
    }

    /// Takes what was learnt since the last time into the calibration.
    pub fn fit(&mut self) {
        self.horizons.iter_mut().for_each(|learnt| learnt.calibration.fit());
    }
}

/// When the pin is read next, by its forecast; `None` when that is incomplete.
pub fn next_access(forecast: &[Option<f64>; HORIZONS.len()]) -> Option<Next> {
    let [Some(hour), Some(day), Some(week)] = *forecast else { return None };
    Some(next::next(&HORIZONS, &[hour, day, week]))
}
