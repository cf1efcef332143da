//! From what was forecast to how often it came true: isotonic regression, kept up to date. Pure.
//!
//! Outcomes are counted in bins of equal width in ln(p / (1 - p)), decayed, so that old ones are forgotten. Neighbouring bins whose
//! frequencies fall where they should rise are pooled (pool adjacent violators: Ayer et al. 1955; for forecasts: Zadrozny and Elkan,
//! KDD 2002). Each bin begins with a few outcomes as they were forecast, so that nothing is corrected without evidence, and between
//! the bins' means the curve is straight.

use serde::{Deserialize, Serialize};

/// Bins of half a unit of log-odds, from -10 to 10.
const BINS: usize = 40;
const WIDTH: f64 = 0.5;
/// Outcomes that each bin begins with.
const PRIOR: f64 = 30.0;
/// What is kept of a bin when another outcome comes into it.
const KEPT: f64 = 1.0 - 1.0 / 20_000.0;

/// The curve of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration {
    bins: Vec<Bin>,
    /// Points (forecast, frequency), rising in both.
    curve: Vec<(f64, f64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    count: f64,
    forecast: f64,
    happened: f64,
}

impl Bin {
    fn with_prior(&self) -> Bin {
        let more = 1.0 + PRIOR / self.count;
        let forecast = self.forecast * more;
        Bin { count: self.count + PRIOR, forecast, happened: self.happened + self.forecast * (more - 1.0) }
    }

    fn frequency(&self) -> f64 {
        self.happened / self.count
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { bins: vec![Bin::default(); BINS], curve: vec![(0.0, 0.0), (1.0, 1.0)] }
    }
}

impl Calibration {
    pub(super) fn learn(&mut self, forecast: f64, happened: bool) {
        let odds = (forecast / (1.0 - forecast)).ln() / WIDTH + BINS as f64 / 2.0;
        let bin = &mut self.bins[(odds.max(0.0) as usize).min(BINS - 1)];
        for (sum, new) in
            [(&mut bin.count, 1.0), (&mut bin.forecast, forecast), (&mut bin.happened, f64::from(u8::from(happened)))]
        {
            *sum = *sum * KEPT + new;
        }
    }

    /// Draws the curve anew.
    pub(super) fn fit(&mut self) {
        let filled = || self.bins.iter().filter(|bin| bin.count > 0.0).map(Bin::with_prior);
        // Each with the number of bins in it.
        let mut pools: Vec<(Bin, usize)> = Vec::with_capacity(BINS);
        for bin in filled() {
            let mut pool = (bin, 1);
            while let Some((last, bins)) = pools.pop_if(|(last, _)| last.frequency() >= pool.0.frequency()) {
                pool.0.count += last.count;
                pool.0.happened += last.happened;
                pool.1 += bins;
            }
            pools.push(pool);
        }
        // A pool has the same frequency at each of its bins, and is no single point: it may be wide.
        let pooled = pools.iter().flat_map(|(pool, bins)| std::iter::repeat_n(pool.frequency(), *bins));
        let points = filled().map(|bin| bin.forecast / bin.count).zip(pooled);
        self.curve = std::iter::once((0.0, 0.0)).chain(points).chain([(1.0, 1.0)]).collect();
    }

    pub(super) fn corrected(&self, forecast: f64) -> f64 {
        let above = self.curve.partition_point(|(x, _)| *x < forecast).clamp(1, self.curve.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.curve[above - 1], self.curve[above]);
        let share = if x1 > x0 { ((forecast - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { 0.5 };
        y0 + share * (y1 - y0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_outcomes_nothing_is_corrected() {
        let calibration = Calibration::default();
        for forecast in [0.0, 0.001, 0.3, 1.0] {
            assert_eq!(calibration.corrected(forecast), forecast);
        }
    }

    #[test]
    fn forecasts_come_to_say_how_often_they_come_true() {
        let mut calibration = Calibration::default();
        for n in 0..50_000 {
            // 20 % happens of what was said to be 50 %, and 60 % of what was said to be 80 %.
            calibration.learn(0.5, n % 5 == 0);
            calibration.learn(0.8, n % 5 < 3);
        }
        calibration.fit();
        assert!((calibration.corrected(0.5) - 0.2).abs() < 0.01, "{}", calibration.corrected(0.5));
        assert!((calibration.corrected(0.8) - 0.6).abs() < 0.01);
        assert!((0.2..0.6).contains(&calibration.corrected(0.7)));
    }

    #[test]
    fn a_higher_forecast_never_becomes_a_lower_one() {
        let mut calibration = Calibration::default();
        for n in 0..10_000u32 {
            calibration.learn(0.2 + f64::from(n % 7) / 10.0, n % 7 % 2 == 0);
        }
        calibration.fit();
        let corrected: Vec<_> = (0..=100).map(|n| calibration.corrected(f64::from(n) / 100.0)).collect();
        assert!(corrected.is_sorted() && corrected[0] == 0.0 && corrected[100] == 1.0, "{corrected:?}");
    }
}
