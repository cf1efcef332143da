//! Numbers from a seed: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014). Its state is
//! one word, so that each pin has a stream of its own, and no crate's next version changes a simulated year.

use std::f64::consts::TAU;

/// One stream.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of one pin (or of whatever else is counted) under a seed.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        let mut start = Random(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Random(start.word())
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// In [0, 1).
    pub(crate) fn share(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// In [low, high), each doubling as likely as the next.
    pub(crate) fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// The wait for the next event of a Poisson process.
    pub(crate) fn wait(&mut self, rate: f64) -> f64 {
        -(1.0 - self.share()).ln() / rate
    }

    /// Log-normal, by Box and Muller's normal.
    pub(crate) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        median * (sigma * radius * (TAU * self.share()).cos()).exp()
    }
}
