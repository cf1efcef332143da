//! Hotness: how often a pin is read at present, in accesses per day. Pure.
//!
//! Each access counts 1 and loses half of that with each half-life T: n(t) = Σ 2^(-(t - tᵢ) / T), and hotness = n(t) · ln 2 / T, the
//! rate at which a pin that is read steadily would keep n(t) as it is. This is the forward-decayed count of Cormode, Shkapenyuk,
//! Srivastava and Xu, "Forward decay: a practical time decay model for streaming systems" (ICDE 2009), with exponential decay, for
//! which one number and its time say all: an access costs one `exp2`, whatever came before.
//!
//! Pins compare because all of them are counted alike. What it can't know: accesses that no source saw; and a pin that was added less
//! than a few half-lives ago is colder than its readers, because there was no time to count them.

use serde::{Deserialize, Serialize};

const DAY: f64 = 86_400.0;

/// A decayed count and its time (seconds since the Unix epoch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hotness {
    count: f64,
    at: f64,
}

impl Hotness {
    /// Counts an access; also one that is told late.
    pub fn record(&mut self, at: f64, half_life: f64) {
        if at >= self.at {
            *self = Hotness { count: self.count(at, half_life) + 1.0, at };
        } else {
            self.count += (-(self.at - at) / half_life).exp2();
        }
    }

    /// The newest access that was counted; 0 before the first.
    pub fn last(&self) -> f64 {
        self.at
    }

    /// The decayed count. A clock that was set back adds nothing to it.
    pub fn count(&self, now: f64, half_life: f64) -> f64 {
        self.count * (-(now - self.at).max(0.0) / half_life).exp2()
    }

    /// Accesses per day.
    pub fn per_day(&self, now: f64, half_life: f64) -> f64 {
        self.count(now, half_life) * std::f64::consts::LN_2 / half_life * DAY
    }
}

/// The hotness of a pin: `None` when no source could have seen an access to it, 0 when one could and saw none.
pub fn per_day(watched: bool, hotness: Option<&Hotness>, now: f64, half_life: f64) -> Option<f64> {
    watched.then(|| hotness.map_or(0.0, |hotness| hotness.per_day(now, half_life)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: f64 = 7.0 * DAY;
    /// 2026-01-01.
    const NEW_YEAR: f64 = 1_767_225_600.0;

    fn read(times: impl IntoIterator<Item = f64>) -> Hotness {
        let mut hotness = Hotness::default();
        times.into_iter().for_each(|at| hotness.record(at, WEEK));
        hotness
    }

    #[test]
    fn half_is_left_after_a_half_life() {
        let hotness = read([NEW_YEAR]);
        assert_eq!(hotness.count(NEW_YEAR, WEEK), 1.0);
        assert_eq!(hotness.count(NEW_YEAR + WEEK, WEEK), 0.5);
        assert_eq!(hotness.count(NEW_YEAR - WEEK, WEEK), 1.0, "a clock that was set back");
    }

    #[test]
    fn it_comes_to_the_rate_of_a_steady_reader_and_forgets_a_former_one() {
        let hotness = read((0..4 * 365).map(|quarter| NEW_YEAR + f64::from(quarter) * DAY / 4.0));
        let end = NEW_YEAR + 365.0 * DAY;
        assert!((hotness.per_day(end, WEEK) - 4.0).abs() < 0.1, "{}", hotness.per_day(end, WEEK));
        assert!(hotness.per_day(end + 365.0 * DAY, WEEK) < 1e-12);
    }

    #[test]
    fn the_order_in_which_accesses_are_told_is_the_same_to_it() {
        let (in_order, not) =
            (read([0.0, 1.0, 3.0].map(|d| NEW_YEAR + d * DAY)), read([3.0, 0.0, 1.0].map(|d| NEW_YEAR + d * DAY)));
        let now = NEW_YEAR + WEEK;
        assert!((in_order.count(now, WEEK) - not.count(now, WEEK)).abs() < 1e-12);
    }

    #[test]
    fn without_a_source_it_is_unknown_and_without_an_access_zero() {
        assert_eq!(per_day(false, Some(&read([NEW_YEAR])), NEW_YEAR, WEEK), None);
        assert_eq!(per_day(true, None, NEW_YEAR, WEEK), Some(0.0));
    }
}
