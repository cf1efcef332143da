//! What a forecast remembers of a pin: decayed counts, gaps and rhythm, in 120 bytes, with the same small work for each access. Pure.
//!
//! - Accesses, decayed with each of four half-lives (see `hotness.rs`).
//! - Hours, days and weeks with at least one access, decayed: a burst of a hundred accesses is one such hour. They are UTC's, and a
//!   week begins on the Thursday on which the epoch did.
//! - Mean and variance of the logarithm of the gaps between accesses: the plain mean at first, of about the last twenty then (an
//!   exponentially weighted mean and variance: West, "Updating mean and variance estimates", CACM 22(9), 1979).
//! - The first Fourier coefficients of the times of access within the day and the week, decayed.
//!
//! Times are seconds since the Unix epoch.

use serde::{Deserialize, Serialize};
use std::f64::consts::{LN_2, TAU};

pub(super) const HOUR: f64 = 3_600.0;
pub(super) const DAY: f64 = 24.0 * HOUR;
pub(super) const WEEK: f64 = 7.0 * DAY;

/// Half-lives of the counts.
pub(super) const HALF_LIVES: [f64; 4] = [3.0 * HOUR, DAY, WEEK, 45.0 * DAY];
/// Those of the hours, days and weeks with an access, as places in `HALF_LIVES`; and of the rhythm.
pub(super) const ACTIVE: [(f64, usize); 5] = [(HOUR, 2), (HOUR, 3), (DAY, 2), (DAY, 3), (WEEK, 3)];
/// Oscillations per week: three of the week, four of the day.
pub(super) const WAVES: [f64; 7] = [1.0, 2.0, 3.0, 7.0, 14.0, 21.0, 28.0];
/// How many of them belong to the week.
pub(super) const WEEKLY: usize = 3;
/// The weight of a new gap, once there were as many as its inverse says.
const NEW_GAP: f32 = 0.05;

/// One pin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Since when a source could have seen an access.
    since: f64,
    /// The last access, once there was one.
    last: f64,
    counts: [f32; HALF_LIVES.len()],
    active: [f32; ACTIVE.len()],
    total: u32,
    gap: f32,
    spread: f32,
    waves: [[f32; 2]; WAVES.len()],
}

const _: () = assert!(size_of::<Memory>() <= 128);

/// The same at a moment.
pub(super) struct Evidence {
    /// Seconds since it is watched.
    pub(super) watched: f64,
    /// Seconds since the last access, or since it is watched.
    pub(super) quiet: f64,
    pub(super) total: u32,
    pub(super) counts: [f64; HALF_LIVES.len()],
    pub(super) active: [f64; ACTIVE.len()],
    /// For how long the counts have looked, in seconds: decayed like them.
    pub(super) exposures: [f64; HALF_LIVES.len()],
    /// Mean and variance of ln(gap in seconds); of no meaning before the second access.
    pub(super) gap: f64,
    pub(super) spread: f64,
    /// Fourier coefficients of the times of access, each at most 1 in size.
    pub(super) waves: [[f64; 2]; WAVES.len()],
}

impl Memory {
    /// A pin that is watched since then.
    pub fn new(since: f64) -> Self {
        Memory {
            since,
            last: f64::NEG_INFINITY,
            counts: [0.0; _],
            active: [0.0; _],
            total: 0,
            gap: 0.0,
            spread: 0.0,
            waves: [[0.0; 2]; _],
        }
    }

    /// It is watched at least since then.
    pub fn watch(&mut self, since: f64) {
        self.since = self.since.min(since);
    }

    /// Since when it is watched.
    pub fn since(&self) -> f64 {
        self.since
    }

    /// The last access.
    pub fn last(&self) -> Option<f64> {
        (self.total > 0).then_some(self.last)
    }

    /// Counts an access, at which the pin was watched, whatever is known of its sources. One that is told late adds to the counts and the rhythm as if it had come in time, and to nothing else.
    pub fn record(&mut self, at: f64) {
        self.watch(at);
        let late = (self.last - at).max(0.0);
        let gap = at - self.last;
        let kept = HALF_LIVES.map(|half_life| if gap > 0.0 { (-gap / half_life).exp2() as f32 } else { 1.0 });
        let new = HALF_LIVES.map(|half_life| (-late / half_life).exp2() as f32);
        for ((count, kept), new) in self.counts.iter_mut().zip(kept).zip(new) {
            *count = *count * kept + new;
        }
        for (count, (unit, place)) in self.active.iter_mut().zip(ACTIVE) {
            let fresh = gap > 0.0 && (at / unit).floor() > (self.last / unit).floor();
            *count = *count * kept[place] + f32::from(u8::from(fresh));
        }
        let [.., kept] = kept;
        let [.., new] = new;
        for (wave, [cos, sin]) in self.waves.iter_mut().zip(waves(at)) {
            *wave = [wave[0] * kept + new * cos as f32, wave[1] * kept + new * sin as f32];
        }
        if self.total > 0 && gap > 0.0 {
            let weight = NEW_GAP.max(1.0 / self.total as f32);
            let off = gap.max(1.0).ln() as f32 - self.gap;
            self.gap += weight * off;
            self.spread = (1.0 - weight) * (self.spread + weight * off * off);
        }
        self.total = self.total.saturating_add(1);
        self.last = self.last.max(at);
    }

    pub(super) fn at(&self, now: f64) -> Evidence {
        let watched = (now - self.since).max(0.0);
        let gap = if self.total > 0 { (now - self.last).max(0.0) } else { watched };
        let kept = HALF_LIVES.map(|half_life| (-gap / half_life).exp2());
        let whole = f64::from(self.counts[HALF_LIVES.len() - 1]).max(f64::MIN_POSITIVE);
        Evidence {
            watched,
            quiet: gap,
            total: self.total,
            counts: std::array::from_fn(|i| f64::from(self.counts[i]) * kept[i]),
            active: std::array::from_fn(|i| f64::from(self.active[i]) * kept[ACTIVE[i].1]),
            exposures: HALF_LIVES.map(|half_life| exposure(watched, half_life)),
            gap: self.gap.into(),
            spread: self.spread.into(),
            waves: self.waves.map(|wave| wave.map(|part| f64::from(part) / whole)),
        }
    }
}

/// For how long decayed counts have looked: the time watched, decayed like them.
pub fn exposure(watched: f64, half_life: f64) -> f64 {
    half_life / LN_2 * (1.0 - (-watched / half_life).exp2())
}

/// Cosine and sine of each wave at a time.
fn waves(at: f64) -> [[f64; 2]; WAVES.len()] {
    let (sin, cos) = (at.rem_euclid(WEEK) / WEEK * TAU).sin_cos();
    let (day_sin, day_cos) = (at.rem_euclid(DAY) / DAY * TAU).sin_cos();
    let mut waves = [[0.0; 2]; WAVES.len()];
    let (weekly, daily) = waves.split_at_mut(WEEKLY);
    turn(weekly, [cos, sin]);
    turn(daily, [day_cos, day_sin]);
    waves
}

/// The multiples of an angle: powers of a complex number.
fn turn(waves: &mut [[f64; 2]], [cos, sin]: [f64; 2]) {
    let mut at = [1.0, 0.0];
    for wave in waves {
        at = [at[0] * cos - at[1] * sin, at[0] * sin + at[1] * cos];
        *wave = at;
    }
}

/// Each wave's mean over (now, now + horizon].
pub(super) fn mean_waves(now: f64, horizon: f64) -> [[f64; 2]; WAVES.len()] {
    WAVES.map(|wave| {
        let (turned, from) = (horizon / WEEK * TAU * wave, now.rem_euclid(WEEK) / WEEK * TAU * wave);
        let (to_sin, to_cos) = (from + turned).sin_cos();
        let (sin, cos) = from.sin_cos();
        [(to_sin - sin) / turned, (cos - to_cos) / turned]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05, a Monday.
    const MONDAY: f64 = 1_767_571_200.0;

    #[test]
    fn an_access_told_late_counts_as_if_it_had_come_in_time() {
        let (mut in_order, mut late) = (Memory::new(MONDAY), Memory::new(MONDAY));
        [0.0, 2.0, 9.0].into_iter().for_each(|hours| in_order.record(MONDAY + hours * HOUR));
        [0.0, 9.0, 2.0].into_iter().for_each(|hours| late.record(MONDAY + hours * HOUR));
        let (in_order, late) = (in_order.at(MONDAY + DAY), late.at(MONDAY + DAY));
        assert_eq!((in_order.total, in_order.quiet), (late.total, late.quiet));
        for (a, b) in in_order.counts.iter().zip(late.counts) {
            assert!((a - b).abs() < 1e-6);
        }
        for (a, b) in in_order.waves.iter().flatten().zip(late.waves.iter().flatten()) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn a_burst_is_one_hour_one_day_and_one_week() {
        let mut memory = Memory::new(MONDAY);
        (0..100).for_each(|n| memory.record(MONDAY + f64::from(n)));
        let seen = memory.at(MONDAY + 100.0);
        assert!(seen.counts[3] > 99.9 && seen.active.iter().all(|count| (0.99..=1.0).contains(count)));
    }

    #[test]
    fn gaps_are_known_by_their_mean_and_spread() {
        let mut memory = Memory::new(MONDAY);
        (0..50).for_each(|n| memory.record(MONDAY + f64::from(n) * DAY));
        let seen = memory.at(MONDAY + 50.0 * DAY);
        assert!((seen.gap - DAY.ln()).abs() < 1e-4 && seen.spread < 1e-6);
    }

    #[test]
    fn one_hour_of_the_day_turns_all_daily_waves_the_same_way() {
        let mut memory = Memory::new(MONDAY);
        (0..28).for_each(|n| memory.record(MONDAY + f64::from(n) * DAY + 9.5 * HOUR));
        let seen = memory.at(MONDAY + 28.0 * DAY);
        for (wave, mean) in seen.waves.iter().zip(mean_waves(MONDAY + 9.0 * HOUR, HOUR)).skip(WEEKLY) {
            assert!((wave[0] - mean[0]).hypot(wave[1] - mean[1]) < 0.05, "{wave:?} {mean:?}");
        }
        assert!(seen.waves[..WEEKLY].iter().all(|wave| wave[0].hypot(wave[1]) < 0.1), "each day of the week alike");
    }
}
