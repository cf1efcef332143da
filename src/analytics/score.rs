//! How good forecasts were: Brier score, log loss, calibration, area under the curve; against rules that anybody could follow. Pure.
//!
//! - Brier: mean of (p - y)² (Brier, "Verification of forecasts expressed in terms of probability", 1950); its skill is
//!   1 - Brier / Brier of the reference (Wilks, "Statistical Methods in the Atmospheric Sciences", 8.4).
//! - Log loss: mean of -ln(p) or -ln(1 - p), with p no nearer to 0 and 1 than 10⁻⁶: a forecast that was certain and wrong is not
//!   infinitely wrong.
//! - Calibration: in each tenth of [0, 1], what was forecast and how often it happened.
//! - Area under the ROC curve: the chance that what happened was forecast higher than what did not; from counts in bins of log-odds.
//! - References are rules that say yes or no (or always the same: the base rate). Each is scored as if it had known beforehand how often
//!   its yes and its no come true. No way of following it can have a better Brier score or log loss.
//! - Forecasts that were chosen with a known probability count with its inverse as weight (Horvitz and Thompson, JASA 47, 1952; divided by
//!   the sum of weights, as Hájek did), so that scores are about those of all pins, whichever were chosen. Whether there are enough of
//!   them is judged by their number.
//!
//! What it can't know: forecasts whose horizon has not passed, and whether the coming weeks are like the past ones.

use serde::{Deserialize, Serialize};

/// p is no nearer to 0 and 1 than this.
const NEAREST: f64 = 1e-6;
/// Bins of log-odds, for the area under the curve.
const BINS: usize = 560;
const PER_UNIT: f64 = 20.0;
/// So many outcomes, and so many of either kind, are needed to say which forecast is better.
pub const OUTCOMES: u64 = 1_000;
pub const OF_EITHER: u64 = 50;

/// One tenth of a calibration table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenth {
    /// Forecasts in it.
    pub count: u64,
    /// Their weights.
    pub weight: f64,
    /// Their sum, weighted.
    pub forecast: f64,
    /// The weights of those that came true.
    pub happened: f64,
}

impl Tenth {
    /// Mean forecast minus frequency.
    pub fn off(&self) -> f64 {
        mean(self.forecast - self.happened, self.weight)
    }
}

fn mean(sum: f64, weight: f64) -> f64 {
    if weight > 0.0 { sum / weight } else { 0.0 }
}

/// Scores of forecasts with a probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Forecasts (not, happened).
    counts: [u64; 2],
    /// Their weights.
    weights: [f64; 2],
    squares: f64,
    logs: f64,
    /// The calibration table.
    pub tenths: [Tenth; 10],
    /// Weights of outcomes (not, happened) by the bin of the forecast.
    bins: Vec<[f64; 2]>,
}

impl Default for Score {
    fn default() -> Self {
        Score {
            counts: [0; 2],
            weights: [0.0; 2],
            squares: 0.0,
            logs: 0.0,
            tenths: Default::default(),
            bins: vec![[0.0; 2]; BINS],
        }
    }
}

impl Score {
    pub fn add(&mut self, forecast: f64, happened: bool) {
        self.add_weighted(forecast, happened, 1.0);
    }

    /// A forecast that was chosen with a probability of 1 / `weight`.
    pub fn add_weighted(&mut self, forecast: f64, happened: bool, weight: f64) {
        let sure = forecast.clamp(NEAREST, 1.0 - NEAREST);
        let outcome = usize::from(happened);
        let off = forecast - outcome as f64;
        self.counts[outcome] += 1;
        self.weights[outcome] += weight;
        self.squares += weight * off * off;
        self.logs -= weight * if happened { sure.ln() } else { (-sure).ln_1p() };
        let tenth = &mut self.tenths[((forecast * 10.0) as usize).min(9)];
        tenth.count += 1;
        tenth.weight += weight;
        tenth.forecast += weight * forecast;
        tenth.happened += weight * outcome as f64;
        let bin = ((sure / (1.0 - sure)).ln() * PER_UNIT + BINS as f64 / 2.0) as usize;
        if let Some(bin) = self.bins.get_mut(bin.min(BINS - 1)) {
            bin[outcome] += weight;
        }
    }

    /// Adds what another one has.
    pub fn merge(&mut self, other: &Score) {
        for outcome in 0..2 {
            self.counts[outcome] += other.counts[outcome];
            self.weights[outcome] += other.weights[outcome];
        }
        self.squares += other.squares;
        self.logs += other.logs;
        for (tenth, other) in self.tenths.iter_mut().zip(&other.tenths) {
            tenth.count += other.count;
            tenth.weight += other.weight;
            tenth.forecast += other.forecast;
            tenth.happened += other.happened;
        }
        for (bin, other) in self.bins.iter_mut().flatten().zip(other.bins.iter().flatten()) {
            *bin += other;
        }
    }

    /// Forecasts.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Whether they are enough to say which forecast is better.
    pub fn is_enough(&self) -> bool {
        self.count() >= OUTCOMES && self.counts.iter().all(|count| *count >= OF_EITHER)
    }

    fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    /// How often it happened.
    pub fn base_rate(&self) -> f64 {
        mean(self.weights[1], self.weight())
    }

    pub fn brier(&self) -> f64 {
        mean(self.squares, self.weight())
    }

    pub fn log_loss(&self) -> f64 {
        mean(self.logs, self.weight())
    }

    /// `None` when only one kind of outcome was seen.
    pub fn area(&self) -> Option<f64> {
        let (mut below, mut area) = (0.0, 0.0);
        for [not, happened] in &self.bins {
            area += happened * (below + not / 2.0);
            below += not;
        }
        let pairs = below * self.weights[1];
        (pairs > 0.0).then(|| area / pairs)
    }

    /// The base rate as a rule: it always says the same.
    pub fn base(&self) -> Rule {
        let mut rule = Rule::default();
        rule.outcomes[0] = self.weights;
        rule
    }

    /// The largest distance of forecast and frequency among the tenths with so many forecasts.
    pub fn worst_tenth(&self, least: u64) -> f64 {
        self.tenths.iter().filter(|tenth| tenth.count >= least).map(|tenth| tenth.off().abs()).fold(0.0, f64::max)
    }
}

/// Weights of outcomes (not, happened) after a rule's no and its yes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    outcomes: [[f64; 2]; 2],
}

impl Rule {
    pub fn add(&mut self, yes: bool, happened: bool) {
        self.add_weighted(yes, happened, 1.0);
    }

    /// What it said of a pin that was chosen with a probability of 1 / `weight`.
    pub fn add_weighted(&mut self, yes: bool, happened: bool, weight: f64) {
        self.outcomes[usize::from(yes)][usize::from(happened)] += weight;
    }

    /// Adds what another one has.
    pub fn merge(&mut self, other: &Rule) {
        for (sum, other) in self.outcomes.iter_mut().flatten().zip(other.outcomes.iter().flatten()) {
            *sum += other;
        }
    }

    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let cells = self.outcomes.iter().map(|[not, happened]| {
            let cell = not + happened;
            if cell > 0.0 { cell * of(happened / cell) } else { 0.0 }
        });
        mean(cells.sum(), self.outcomes.iter().flatten().sum())
    }

    pub fn brier(&self) -> f64 {
        self.mean(|p| p * (1.0 - p))
    }

    pub fn log_loss(&self) -> f64 {
        let part = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
        self.mean(|p| part(p) + part(1.0 - p))
    }
}

/// The share of a reference's score that a forecast does without: 1 is perfect, 0 no better than the reference.
pub fn skill(of: f64, reference: f64) -> f64 {
    if reference > 0.0 { 1.0 - of / reference } else { 0.0 }
}

/// What is to be told of a horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The model's forecasts: it is better than each reference by both scores.
    Model,
    /// The base rate alone: the model is no better than something simpler.
    BaseRate,
    /// Nothing: too few outcomes to say.
    Nothing,
}

/// Whether a model is used, by its score and those of rules on the same forecasts; the base rate is always one of them.
pub fn judge(model: &Score, rules: &[Rule]) -> Use {
    if !model.is_enough() {
        return Use::Nothing;
    }
    let beats = |rule: &Rule| model.brier() < rule.brier() && model.log_loss() < rule.log_loss();
    if rules.iter().chain([&model.base()]).all(beats) { Use::Model } else { Use::BaseRate }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(forecasts: &[(f64, bool)], times: usize) -> Score {
        let mut score = Score::default();
        (0..times).for_each(|_| forecasts.iter().for_each(|(p, y)| score.add(*p, *y)));
        score
    }

    #[test]
    fn scores_are_those_of_the_textbook() {
        let score = score(&[(0.9, true), (0.2, false), (0.6, false), (0.4, true)], 1);
        assert!((score.brier() - (0.01 + 0.04 + 0.36 + 0.36) / 4.0).abs() < 1e-12);
        assert!((score.log_loss() + (0.9f64.ln() + 0.8f64.ln() + 2.0 * 0.4f64.ln()) / 4.0).abs() < 1e-12);
        assert_eq!(score.area(), Some(0.75), "of four pairs one is the wrong way round");
        assert_eq!(score.base_rate(), 0.5);
        assert_eq!(score.tenths[9], Tenth { count: 1, weight: 1.0, forecast: 0.9, happened: 1.0 });
    }

    #[test]
    fn a_rule_is_scored_as_if_it_had_known_its_frequencies() {
        let mut rule = Rule::default();
        for (yes, happened, times) in [(true, true, 3), (true, false, 1), (false, false, 4)] {
            (0..times).for_each(|_| rule.add(yes, happened));
        }
        assert!((rule.brier() - 0.5 * 0.75 * 0.25).abs() < 1e-12);
        assert!((rule.log_loss() + 0.5 * (0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn whichever_are_chosen_the_score_is_that_of_all() {
        // Of ten certain forecasts one is chosen, of the uncertain ones all.
        let (mut all, mut chosen) = ((Score::default(), Rule::default()), (Score::default(), Rule::default()));
        for n in 0..10_000u32 {
            let (forecast, happened) = if n % 4 == 0 { (0.5, n % 8 == 0) } else { (0.01, n % 100 == 1) };
            all.0.add(forecast, happened);
            all.1.add(n % 4 == 0, happened);
            if n % 4 == 0 || n / 100 % 10 == 0 {
                let weight = if n % 4 == 0 { 1.0 } else { 10.0 };
                chosen.0.add_weighted(forecast, happened, weight);
                chosen.1.add_weighted(n % 4 == 0, happened, weight);
            }
        }
        let figures = |(score, rule): &(Score, Rule)| {
            [
                score.brier(),
                score.log_loss(),
                score.base_rate(),
                score.area().unwrap_or(0.0),
                rule.brier(),
                rule.log_loss(),
            ]
        };
        for (all, chosen) in figures(&all).into_iter().zip(figures(&chosen)) {
            assert!((all - chosen).abs() < 1e-9, "{all} {chosen}");
        }
        assert_eq!((all.0.count(), chosen.0.count()), (10_000, 3_250));
    }

    #[test]
    fn two_scores_together_are_that_of_all_their_forecasts() {
        let (mut first, second) = (score(&[(0.9, true), (0.2, false)], 3), score(&[(0.4, true)], 5));
        first.merge(&second);
        let mut both = score(&[(0.9, true), (0.2, false)], 3);
        (0..5).for_each(|_| both.add(0.4, true));
        assert!((first.brier() - both.brier()).abs() < 1e-12 && first.count() == 11);
        assert_eq!((first.area(), first.is_enough()), (both.area(), false));
    }

    #[test]
    fn certain_and_wrong_is_bad_but_not_infinitely_so() {
        assert!((13.0..14.0).contains(&score(&[(0.0, true), (1.0, false)], 1).log_loss()));
    }

    #[test]
    fn a_model_is_used_when_it_beats_all_and_the_base_rate_when_it_does_not() {
        let good = [(0.9, true), (0.1, false)];
        assert_eq!(judge(&score(&good, 400), &[]), Use::Nothing, "800 outcomes");
        assert_eq!(judge(&score(&good, 600), &[]), Use::Model);
        assert_eq!(judge(&score(&[(0.9, false), (0.1, true)], 600), &[]), Use::BaseRate);
        let mut better = Rule::default();
        (0..600).for_each(|_| good.iter().for_each(|(_, happened)| better.add(*happened, *happened)));
        assert_eq!(judge(&score(&good, 600), &[better]), Use::BaseRate, "a rule that is always right");
        assert_eq!(judge(&score(&[(0.1, false)], 2_000), &[]), Use::Nothing, "nothing ever happened");
    }

    #[test]
    fn a_model_that_ranks_well_and_is_overconfident_is_not_used() {
        let outcomes: Vec<_> =
            (0..1_000).map(|n| (if n % 10 == 0 { 1.0 } else { 0.0 }, n % 10 == 0 && n % 20 == 0)).collect();
        let mut model = score(&outcomes, 2);
        model.add(0.0, true);
        assert_eq!(judge(&model, &[]), Use::BaseRate, "a tenth is forecast as certain, and half of that happens");
    }
}
