//! Forecasts that wait for their outcome, and the score of those that have one. Pure.
//!
//! Each horizon has a round of forecasts 24 times within its length. Of all pins about [`ROUND`] are chosen, each with a probability that
//! follows from its forecast alone ([`Forecaster::interest`]), so that the uncertain ones are many and the calibration stays
//! unbiased. What happened is learnt from all of them; in the score each counts with the inverse of that probability, so that it is the
//! score of all pins.
//!
//! It happened when a read that took place after the forecast and within the horizon is told by [`GRACE`] after its end. What nobody
//! could have seen has no outcome: where sources looked away for too much of a horizon, and of a pin that is gone by its end. Beside
//! the model three rules are scored: the base rate, "as in the last period", and that of the legacy system. Scores are those of the
//! last four to eight weeks: two windows, the older of which goes when the younger is full.

use super::forecast::{Forecaster, HORIZONS, Sample};
use super::models::Models;
use super::score::{Rule, Score, Use, judge};
use crate::cid::Key;
use crate::index::access::Counted;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Pins in a round, about.
pub const ROUND: f64 = 1_000.0;
/// Rounds within a horizon.
const ROUNDS: f64 = 24.0;
/// A read may be told so many seconds late.
pub const GRACE: f64 = 600.0;
/// Seconds of a window of scores.
const WINDOW: f64 = 28.0 * 86_400.0;
/// A horizon of which a larger share went unseen has no outcome.
const UNSEEN: f64 = 0.1;
/// Above so much the legacy rule expects an access: within an hour, and within the longer horizons.
const LEGACY: [f64; HORIZONS.len()] = [1.0, 0.5, 0.5];

/// A forecast that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    horizon: u8,
    /// When it was made, in seconds since the Unix epoch.
    at: f64,
    sample: Sample,
    /// What was forecast, once there are forecasts.
    forecast: Option<f64>,
    weight: f64,
    last: bool,
    legacy: bool,
    happened: bool,
    /// Seconds of the horizon in which nobody looked.
    unseen: f64,
}

impl Waiting {
    fn end(&self) -> f64 {
        self.at + HORIZONS[usize::from(self.horizon)]
    }
}

/// A chosen pin, as the rules see it.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The pin.
    pub pin: Key,
    /// What it was forecast from.
    pub sample: Sample,
    /// The model's forecast.
    pub forecast: Option<f64>,
    /// The inverse of the probability with which it was chosen.
    pub weight: f64,
    /// The last read before the forecast, in seconds since the Unix epoch.
    pub last: Option<f64>,
    /// The legacy system's hotness.
    pub legacy: f64,
}

/// Scores of one horizon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// When the oldest of these forecasts was made, in seconds since the Unix epoch.
    pub since: Option<f64>,
    /// The model's.
    pub model: Score,
    /// That of "as in the last period".
    pub last: Rule,
    /// That of the legacy rule.
    pub legacy: Rule,
}

impl Tally {
    /// Which forecasts are worth telling.
    pub fn judge(&self) -> Use {
        judge(&self.model, &[self.last, self.legacy])
    }

    fn merge(&mut self, other: &Tally) {
        self.since = [self.since, other.since].into_iter().flatten().reduce(f64::min);
        self.model.merge(&other.model);
        self.last.merge(&other.last);
        self.legacy.merge(&other.legacy);
    }
}

/// One horizon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Course {
    /// When the next round is due; 0: now.
    next: f64,
    /// The window that is being filled, and the one before.
    windows: [Tally; 2],
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trials {
    courses: [Course; HORIZONS.len()],
    waiting: BTreeMap<Key, Vec<Waiting>>,
}

impl Trials {
    /// Whether a round of this horizon is due. A clock that was set back does not keep it from coming.
    pub fn is_due(&self, horizon: usize, now: f64) -> bool {
        let (next, every) = (self.courses[horizon].next, HORIZONS[horizon] / ROUNDS);
        now >= next || now < next - 2.0 * every
    }

    /// Takes a round.
    pub fn begin(&mut self, horizon: usize, now: f64, round: Vec<Chosen>) {
        self.courses[horizon].next = now + HORIZONS[horizon] / ROUNDS;
        for Chosen { pin, sample, forecast, weight, last, legacy } in round {
            // Most pins have one alone, and a list that grows by itself begins with four.
            self.waiting.entry(pin).or_insert_with(|| Vec::with_capacity(1)).push(Waiting {
                horizon: horizon as u8,
                at: now,
                sample,
                forecast,
                weight,
                last: last.is_some_and(|last| last > now - HORIZONS[horizon]),
                legacy: legacy > LEGACY[horizon],
                happened: false,
                unseen: 0.0,
            });
        }
    }

    /// A pin was read at this time.
    pub fn seen(&mut self, pin: &Key, at: f64) {
        for waiting in self.waiting.get_mut(pin).into_iter().flatten() {
            waiting.happened |= waiting.at < at && at <= waiting.end();
        }
    }

    /// Learns from those whose time is over; how many they were. Reads of a pin that is gone are told of no pin.
    pub fn settle(&mut self, forecaster: &mut Forecaster, now: f64, is_pinned: impl Fn(&Key) -> bool) -> u64 {
        let mut settled = 0;
        self.waiting.retain(|pin, waiting| {
            let is_over = |waiting: &Waiting| now >= waiting.end() + GRACE;
            if waiting.iter().any(is_over) && !is_pinned(pin) {
                return false;
            }
            waiting.retain(|waiting| {
                if !is_over(waiting) {
                    // Of a time that is yet to come nothing will be known: the clock was set back.
                    return waiting.at <= now + GRACE;
                }
                let horizon = usize::from(waiting.horizon);
                forecaster.learn(horizon, &waiting.sample, waiting.happened);
                self.courses[horizon].add(waiting, now);
                settled += 1;
                false
            });
            !waiting.is_empty()
        });
        settled
    }

    /// Nobody looked between these times: what was forecast for too much of such times has no outcome.
    pub fn missed(&mut self, from: f64, to: f64) {
        self.waiting.retain(|_, waiting| {
            waiting.retain_mut(|waiting| {
                waiting.unseen += (to.min(waiting.end()) - from.max(waiting.at)).max(0.0);
                waiting.unseen <= UNSEEN * HORIZONS[usize::from(waiting.horizon)]
            });
            !waiting.is_empty()
        });
    }

    /// Forecasts of each horizon that wait.
    pub fn waiting(&self) -> [u64; HORIZONS.len()] {
        let mut counts = [0; HORIZONS.len()];
        self.waiting.values().flatten().for_each(|waiting| counts[usize::from(waiting.horizon)] += 1);
        counts
    }

    /// The score of a horizon.
    pub fn tally(&self, horizon: usize) -> Tally {
        let [mut now, before] = self.courses[horizon].windows.clone();
        now.merge(&before);
        now
    }
}

impl Course {
    fn add(&mut self, waiting: &Waiting, now: f64) {
        let Some(forecast) = waiting.forecast else { return };
        let [window, before] = &mut self.windows;
        if window.since.is_some_and(|since| now - since > WINDOW + HORIZONS[usize::from(waiting.horizon)]) {
            *before = std::mem::take(window);
        }
        window.since = Some(window.since.map_or(waiting.at, |since| since.min(waiting.at)));
        window.model.add_weighted(forecast, waiting.happened, waiting.weight);
        window.last.add_weighted(waiting.last, waiting.happened, waiting.weight);
        window.legacy.add_weighted(waiting.legacy, waiting.happened, waiting.weight);
    }
}

/// Counts accesses in both, and all up to the number `through` as counted; how many were new.
pub fn count(models: &mut Models, trials: &mut Trials, accesses: &[Counted], through: u64, now: f64) -> u64 {
    let before = models.through();
    for access in accesses {
        if let Some(at) = models.record(access, now) {
            trials.seen(&access.pin, at);
        }
    }
    models.reach(through);
    accesses.iter().filter(|access| access.seq > before).count() as u64
}

/// The probability with which a pin is chosen, by its forecast and the sum of [`Forecaster::interest`] over all pins.
pub fn chance(forecast: Option<f64>, interest: f64) -> f64 {
    (ROUND * Forecaster::interest(forecast) / interest.max(f64::MIN_POSITIVE)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::forecast::{Memory, Moment};

    /// 2026-01-05, a Monday.
    const MONDAY: f64 = 1_767_571_200.0;
    const HOUR: f64 = 3_600.0;
    const DAY: f64 = 24.0 * HOUR;

    fn pin(n: u8) -> Key {
        Key { digest: [n; 32], ident: 0x55 << 2 | 2 }
    }

    fn chosen(n: u8, forecast: Option<f64>) -> Chosen {
        let memory = Memory::new(MONDAY - 30.0 * DAY);
        let sample = Forecaster::default().sample(&memory, &Moment::new(MONDAY), 0).expect("watched for long");
        Chosen { pin: pin(n), sample, forecast, weight: 2.0, last: Some(MONDAY - 10.0), legacy: 0.0 }
    }

    #[test]
    fn it_happened_when_a_read_within_the_horizon_is_told_in_time() {
        let mut trials = Trials::default();
        trials.begin(0, MONDAY, (0..4).map(|n| chosen(n, Some(0.5))).collect());
        assert_eq!((trials.waiting(), trials.is_due(0, MONDAY)), ([4, 0, 0], false));
        trials.seen(&pin(0), MONDAY);
        trials.seen(&pin(1), MONDAY + HOUR);
        trials.seen(&pin(2), MONDAY + HOUR + 1.0);
        let mut forecaster = Forecaster::default();
        assert_eq!(trials.settle(&mut forecaster, MONDAY + HOUR + GRACE - 1.0, |_| true), 0);
        trials.seen(&pin(3), MONDAY + 1.0);
        assert_eq!(trials.settle(&mut forecaster, MONDAY + HOUR + GRACE, |_| true), 4);
        let tally = trials.tally(0);
        assert_eq!((tally.model.count(), tally.model.base_rate(), tally.since), (4, 0.5, Some(MONDAY)));
        assert_eq!((forecaster.outcomes(0), trials.waiting()), (4, [0; 3]));
    }

    #[test]
    fn before_there_are_forecasts_outcomes_are_learnt_and_not_scored() {
        let (mut trials, mut forecaster) = (Trials::default(), Forecaster::default());
        trials.begin(1, MONDAY, vec![chosen(1, None)]);
        trials.settle(&mut forecaster, MONDAY + 2.0 * DAY, |_| true);
        assert_eq!((forecaster.outcomes(1), trials.tally(1)), (1, Tally::default()));
    }

    #[test]
    fn what_nobody_saw_has_no_outcome() {
        let mut trials = Trials::default();
        trials.begin(0, MONDAY, vec![chosen(1, None)]);
        trials.begin(1, MONDAY, vec![chosen(1, None)]);
        trials.missed(MONDAY + 600.0, MONDAY + 1_500.0);
        assert_eq!(trials.waiting(), [0, 1, 0], "a quarter of an hour is too much of one, and little of a day");
    }

    #[test]
    fn short_times_in_which_nobody_looks_add_up() {
        let mut trials = Trials::default();
        trials.begin(2, MONDAY, vec![chosen(1, None)]);
        for (night, waiting) in [(0, 1), (1, 0)] {
            let from = MONDAY + f64::from(night) * DAY;
            trials.missed(from, from + 12.0 * HOUR);
            assert_eq!(trials.waiting()[2], waiting, "7 % and 14 % of a week");
        }
    }

    #[test]
    fn a_pin_that_is_gone_by_the_end_has_no_outcome() {
        let (mut trials, mut forecaster) = (Trials::default(), Forecaster::default());
        trials.begin(0, MONDAY, (0..2).map(|n| chosen(n, Some(0.5))).collect());
        assert_eq!(trials.settle(&mut forecaster, MONDAY + 2.0 * HOUR, |key| *key == pin(1)), 1);
        assert_eq!((forecaster.outcomes(0), trials.waiting()), (1, [0; 3]));
    }

    #[test]
    fn rounds_come_24_times_a_horizon_and_a_clock_that_is_set_back_stops_neither_them_nor_their_ends() {
        let mut trials = Trials::default();
        assert!((0..3).all(|horizon| trials.is_due(horizon, MONDAY)));
        trials.begin(1, MONDAY, vec![chosen(1, None)]);
        assert!(!trials.is_due(1, MONDAY + HOUR - 1.0) && trials.is_due(1, MONDAY + HOUR));
        assert!(trials.is_due(1, MONDAY - DAY));
        trials.settle(&mut Forecaster::default(), MONDAY - DAY, |_| true);
        assert_eq!(trials.waiting(), [0; 3]);
    }

    #[test]
    fn a_score_is_that_of_the_last_weeks() {
        let (mut trials, mut forecaster) = (Trials::default(), Forecaster::default());
        let mut most = 0;
        for day in 0..200 {
            let now = MONDAY + f64::from(day) * DAY;
            trials.begin(0, now, vec![chosen(1, Some(0.1))]);
            trials.settle(&mut forecaster, now + HOUR + GRACE, |_| true);
            most = most.max(trials.tally(0).model.count());
        }
        let tally = trials.tally(0);
        assert!((28..=60).contains(&tally.model.count()) && most <= 60, "{} {most}", tally.model.count());
        let since = tally.since.expect("there are some");
        assert!(since > MONDAY + 130.0 * DAY, "{}", (since - MONDAY) / DAY);
    }

    #[test]
    fn uncertain_forecasts_are_chosen_more_often() {
        let interest = 1e6 * Forecaster::interest(Some(0.001));
        assert!(chance(Some(0.5), interest) > 30.0 * chance(Some(0.0), interest));
        assert_eq!(chance(None, 10.0), 1.0, "few pins are all chosen");
    }
}
