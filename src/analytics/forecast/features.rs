//! The models whose forecasts are combined, each as ln(p / (1 - p)) of an access within a horizon h. Pure.
//!
//! - Rates: accesses as a Poisson process whose rate has a gamma prior (shape α, rate β): of n accesses in an exposure E the chance of
//!   none in h is ((β + E) / (β + E + h))^(α + n) (Gelman et al., "Bayesian Data Analysis", 3rd ed., 2.6; the negative binomial). n and
//!   E are decayed alike (West and Harrison's discounting of evidence, "Bayesian Forecasting and Dynamic Models", 1997), with several
//!   half-lives. The same for hours, days and weeks with an access, for those who come in bursts.
//! - Renewal: gaps as log-logistic, S(x) = 1 / (1 + (x / a)^b), with the mean and variance of their logarithms as moments: ln a, and
//!   π² / (3 b²). Given a quiet time e, the chance is 1 - S(e + h) / S(e). b is large for a clock and small for bursts.
//! - Rhythm: ln of how much more is read in (t, t + h] than in the mean, by the Fourier series of the times of access, each
//!   coefficient shrunk towards none by what chance alone would give it (James and Stein's positive part).
//! - Recency: ln of the quiet time, and of the time that the pin is watched.

use super::memory::{ACTIVE, DAY, Evidence, HALF_LIVES, WAVES, WEEKLY};
use std::f64::consts::PI;

/// How many there are; the first is 1.
pub(super) const FEATURES: usize = 1 + RATES + 4;
/// How many of them are rates, from the second on.
pub(super) const RATES: usize = HALF_LIVES.len() + ACTIVE.len();
/// How many sets of weights there are to choose from.
pub(super) const CONTEXTS: usize = COUNTS.len() * SPREADS.len();

/// A forecast beyond this is as good as certain.
const CERTAIN: f64 = 9.0;
/// The prior of a rate: so many accesses in so long a time.
const SHAPE: f64 = 0.1;
const TIME: f64 = DAY;
/// The variance of ln(gap) of a Poisson process, π² / 6; it counts as much as so many gaps.
const POISSON: f64 = PI * PI / 6.0;
const GAPS: f64 = 0.5;
/// The least that a rhythm leaves of the mean.
const FLOOR: f64 = 0.02;
/// Accesses up to which a context goes: few, many.
const COUNTS: [u32; 2] = [9, u32::MAX];
/// Variances of ln(gap) up to which one goes: clocks, about Poisson, bursts.
const SPREADS: [f64; 3] = [0.4, 2.5, f64::INFINITY];

pub(super) type Features = [f32; FEATURES];

/// Which set of weights is for such a pin.
pub(super) fn context(evidence: &Evidence) -> usize {
    let count = COUNTS.iter().position(|most| evidence.total <= *most).unwrap_or(0);
    let spread = SPREADS.iter().position(|most| spread(evidence) <= *most).unwrap_or(0);
    count * SPREADS.len() + spread
}

/// All of them, given each wave's mean over the horizon.
pub(super) fn features(evidence: &Evidence, horizon: f64, means: &[[f64; 2]; WAVES.len()]) -> Features {
    let times = evidence.exposures.map(|exposure| stretch(exposure, horizon));
    let counts = evidence.counts.into_iter().zip(times);
    let active = evidence.active.into_iter().zip(ACTIVE.map(|(_, place)| times[place]));
    let mut features = [1.0; FEATURES];
    let (rates, others) = features[1..].split_at_mut(RATES);
    for (rate, (count, time)) in rates.iter_mut().zip(counts.chain(active)) {
        let expected = (SHAPE + count) * time;
        *rate = expected.exp_m1().ln().clamp(-CERTAIN, CERTAIN) as f32;
    }
    // The slowest count stands in for gaps that there are none of.
    let renewal = if evidence.total > 1 { renewal(evidence, horizon) } else { rates[HALF_LIVES.len() - 1].into() };
    let all = [
        renewal,
        rhythm(evidence, means).ln(),
        ((evidence.quiet + 60.0) / DAY).ln(),
        ((evidence.watched + 60.0) / DAY).ln(),
    ];
    for (other, value) in others.iter_mut().zip(all) {
        *other = value.clamp(-CERTAIN, CERTAIN) as f32;
    }
    features
}

/// ln((β + E + h) / (β + E)).
fn stretch(exposure: f64, horizon: f64) -> f64 {
    (horizon / (TIME + exposure)).ln_1p()
}

/// The probability of an access within a horizon after so many in an exposure (seconds), both decayed alike: 1 - ((β + E) / (β + E + h))^(α + n).
pub fn chance_by_rate(accesses: f64, exposure: f64, horizon: f64) -> f64 {
    -(-(SHAPE + accesses) * stretch(exposure, horizon)).exp_m1()
}

fn spread(evidence: &Evidence) -> f64 {
    let gaps = f64::from(evidence.total.saturating_sub(1).min(20));
    (gaps * evidence.spread + GAPS * POISSON) / (gaps + GAPS)
}

fn renewal(evidence: &Evidence, horizon: f64) -> f64 {
    let shape = PI / (3.0 * spread(evidence)).sqrt();
    let passed = |time: f64| (shape * (time.max(1.0).ln() - evidence.gap)).exp();
    let (before, after) = (passed(evidence.quiet), passed(evidence.quiet + horizon));
    if after.is_finite() { ((after - before) / (1.0 + before)).ln() } else { CERTAIN }
}

/// How many times the mean is read over the horizon.
fn rhythm(evidence: &Evidence, means: &[[f64; 2]; WAVES.len()]) -> f64 {
    let series = |waves: std::ops::Range<usize>, seen: f64| {
        let mut sum = 1.0;
        for (wave, mean) in evidence.waves[waves.clone()].iter().zip(&means[waves]) {
            let size = wave[0] * wave[0] + wave[1] * wave[1];
            // By chance alone the mean of `seen` unit vectors is of a squared size of 1 / seen.
            let shrunk = (1.0 - 1.0 / (seen * size).max(f64::MIN_POSITIVE)).max(0.0);
            sum += 2.0 * shrunk * (wave[0] * mean[0] + wave[1] * mean[1]);
        }
        sum.max(FLOOR)
    };
    // Accesses of one day say as much of a day's rhythm as one does, and the days of one week of a week's.
    let [.., days, weeks] = evidence.active;
    series(0..WEEKLY, weeks) * series(WEEKLY..WAVES.len(), days)
}

#[cfg(test)]
mod tests {
    use super::super::memory::{HOUR, Memory, mean_waves};
    use super::*;

    /// 2026-01-05, a Monday.
    const MONDAY: f64 = 1_767_571_200.0;

    fn read(times: impl IntoIterator<Item = f64>) -> Memory {
        let mut memory = Memory::new(MONDAY);
        times.into_iter().for_each(|at| memory.record(at));
        memory
    }

    #[test]
    fn a_pin_read_at_nine_is_read_more_at_nine() {
        let end = MONDAY + 28.0 * DAY;
        let pin = read((0..28).map(|day| MONDAY + f64::from(day) * DAY + 9.5 * HOUR));
        let at = |hour: f64| rhythm(&pin.at(end), &mean_waves(end + hour * HOUR, HOUR));
        assert!(at(9.0) > 5.0 * at(21.0), "{} and {}", at(9.0), at(21.0));
    }

    #[test]
    fn one_burst_is_no_rhythm() {
        let pin = read((0..200).map(|n| MONDAY + 9.5 * HOUR + f64::from(n)));
        let at = MONDAY + DAY;
        assert!((rhythm(&pin.at(at), &mean_waves(at + 9.0 * HOUR, HOUR)) - 1.0).abs() < 0.2);
    }

    #[test]
    fn a_clock_is_due_when_its_gap_has_passed_and_a_burst_ends_with_silence() {
        let clock = read((0..40).map(|n| MONDAY + f64::from(n) * 6.0 * HOUR));
        let after = |pin: &Memory, hours: f64| {
            let last = pin.last().expect("it was read");
            renewal(&pin.at(last + hours * HOUR), HOUR)
        };
        assert!(after(&clock, 5.5) > after(&clock, 1.0) + 3.0);
        // A hundred within seconds, every five days.
        let bursts = read((0..2_000).map(|n| MONDAY + f64::from(n / 100) * 5.0 * DAY + f64::from(n % 100) * 7.0));
        assert!(after(&bursts, 1.0) < after(&bursts, 0.01) - 1.0);
    }

    #[test]
    fn features_are_finite_whatever_the_clock_says() {
        let pins =
            [read([]), read([MONDAY]), read([MONDAY; 3]), read([MONDAY + 1e9, MONDAY]), read([f64::from(u32::MAX)])];
        for pin in &pins {
            for now in [0.0, MONDAY, MONDAY + 1e9, 1e12] {
                for horizon in [HOUR, 7.0 * DAY] {
                    let evidence = pin.at(now);
                    let features = features(&evidence, horizon, &mean_waves(now, horizon));
                    assert!(features.iter().all(|feature| feature.is_finite()), "{features:?}");
                    assert!(context(&evidence) < CONTEXTS);
                }
            }
        }
    }
}
