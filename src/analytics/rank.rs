//! Which pins come first, made of a look when somebody asks. Pure.

use super::forecast::{HORIZONS, WATCHED};
use super::look::{Look, Read};
use super::pattern::Class;
use super::score::Use;
use super::tier::{Advice, Held as Placed, Policy, Tier, advise};
use proto_msgs::analytics::{MOST, Rows};
use std::cmp::Ordering;

/// Places in a look, those that are asked for, and how many there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranked<T> {
    /// Before limit and offset.
    pub total: u64,
    /// Within them, in order.
    pub rows: Vec<T>,
}

const DAY: f64 = 86_400.0;

/// The rows that are asked for, out of all.
fn window<T>(mut all: Vec<T>, rows: &Rows, order: impl Fn(&T, &T) -> Ordering) -> Ranked<T> {
    let total = all.len();
    let limit = rows.limit.unwrap_or(MOST).min(MOST);
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(total);
    let (from, to) = (number(rows.offset), number(rows.offset.saturating_add(limit)));
    if to < total {
        all.select_nth_unstable_by(to, &order);
        all.truncate(to);
    }
    all.sort_unstable_by(order);
    all.drain(..from);
    Ranked { total: total as u64, rows: all }
}

fn descending(a: Option<f64>, b: Option<f64>) -> Ordering {
    b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY))
}

impl Look {
    fn places(&self) -> std::ops::Range<u32> {
        0..self.held().len() as u32
    }

    fn size(&self, place: u32) -> u64 {
        self.held()[place as usize].size().unwrap_or(0)
    }

    /// Watched pins, the hottest first.
    pub fn hot(&self, rows: &Rows) -> Ranked<u32> {
        self.by_hotness(rows, |a, b| descending(Some(a.0), Some(b.0)).then(a.1.cmp(&b.1)))
    }

    /// The coldest first, and of those the largest.
    pub fn cold(&self, rows: &Rows) -> Ranked<u32> {
        let order = |a: &(f64, u32), b: &(f64, u32)| {
            a.0.total_cmp(&b.0).then_with(|| self.size(b.1).cmp(&self.size(a.1))).then(a.1.cmp(&b.1))
        };
        self.by_hotness(rows, order)
    }

    fn by_hotness(&self, rows: &Rows, order: impl Fn(&(f64, u32), &(f64, u32)) -> Ordering) -> Ranked<u32> {
        let watched = self.places().filter_map(|place| Some((self.hotness(place as usize)?, place)));
        let Ranked { total, rows } = window(watched.collect(), rows, order);
        Ranked { total, rows: rows.into_iter().map(|(_, place)| place).collect() }
    }

    /// Pins that were read, perhaps only those of a class, those with most accesses first.
    pub fn by_pattern(&self, class: Option<Class>, rows: &Rows) -> Ranked<Read> {
        let is = |place| self.is_read(place) && class.is_none_or(|class| self.class(place) == class);
        let fits = |read: &&Read| is(read.place());
        let read: Vec<Read> = self.read().iter().filter(fits).copied().collect();
        window(read, rows, |a, b| b.accesses.cmp(&a.accesses).then(a.place().cmp(&b.place())))
    }

    /// Pins with a forecast, those first that are likeliest read within a day.
    pub fn likeliest(&self, rows: &Rows) -> Ranked<u32> {
        let known = self.places().map(|place| (self.forecast(place as usize), place));
        let known = known.filter(|(forecast, _)| forecast.iter().any(Option::is_some)).collect();
        let ranked = window(known, rows, |a: &([Option<f64>; HORIZONS.len()], u32), b| {
            let [hours, days, weeks] = std::array::from_fn(|horizon| descending(a.0[horizon], b.0[horizon]));
            days.then(weeks).then(hours).then(a.1.cmp(&b.1))
        });
        Ranked { total: ranked.total, rows: ranked.rows.into_iter().map(|(_, place)| place).collect() }
    }

    /// Which tier each pin should be on, when all of them are on the tier with this place in the list: those first that save most; moves
    /// alone, or all. And how many moves there are and what they save a month together. A tier's room is for those that save most.
    pub fn tiers(&self, (tiers, here): (&[Tier], usize), now: f64, all: bool, rows: &Rows) -> (Ranked<Move>, u64, f64) {
        let policy = Policy::default();
        let advice = |tiers: &[Tier], place: u32| {
            let held = self.held()[place as usize];
            let (dwelt, size) = (Some((now - held.first_seen()).max(0.0)), held.size().map(|size| size as f64));
            // A rate that was not watched for as long as a pin has to stay is none to move it by.
            let known = self.watched_for(place as usize).is_some_and(|watched| watched >= policy.dwell);
            let rate = self.hotness(place as usize).filter(|_| known);
            advise(tiers, &policy, &Placed { tier: here, dwelt, size, rate })
        };
        let mut found: Vec<(Option<f64>, u32, usize)> = self
            .places()
            .filter_map(|place| {
                let advice = advice(tiers, place)?;
                Some((advice.saves(), place, advice.tier))
            })
            .collect();
        let order =
            |a: &(Option<f64>, u32, usize), b: &(Option<f64>, u32, usize)| descending(a.0, b.0).then(a.1.cmp(&b.1));
        let mut left = tiers.to_vec();
        if tiers.iter().any(|tier| tier.room.is_some()) {
            found.sort_unstable_by(order);
            for (saves, place, tier) in found.iter_mut().take_while(|(saves, ..)| saves.is_some()) {
                let Some(advice) = advice(&left, *place) else { continue };
                (*saves, *tier) = (advice.saves(), advice.tier);
                if let Some(room) = left[*tier].room.as_mut().filter(|_| saves.is_some()) {
                    *room -= self.size(*place) as f64;
                }
            }
        }
        let (mut moves, mut sum) = (0, 0.0);
        for saves in found.iter().filter_map(|(saves, ..)| *saves) {
            moves += 1;
            sum += saves;
        }
        found.retain(|(saves, ..)| all || saves.is_some());
        let Ranked { total, rows } = window(found, rows, order);
        // Reasons are texts: of the rows that are shown alone. A pin that moves has its room already.
        let told = rows.into_iter().filter_map(|(saved, place, tier)| {
            let mut open = left.clone();
            if saved.is_some() {
                open[tier].room = None;
            }
            Some(Move { place, saved, advice: advice(&open, place)? })
        });
        (Ranked { total, rows: told.collect() }, moves, sum)
    }

    /// The model's probability of a read within a week. The base rate is the same for all, and puts none before another.
    fn week(&self, place: usize) -> Option<f64> {
        let [.., week] = self.forecast(place);
        week.filter(|_| self.horizons[2].used == Use::Model)
    }

    /// What to unpin first: what is read least within a week for the bytes it frees, and of such pins the largest.
    pub fn unpin_first(&self) -> Unpin {
        let mut unpin = Unpin::default();
        let mut found = Vec::new();
        for (place, held) in self.held().iter().enumerate() {
            let (Some(hotness), Some(watched)) = (self.hotness(place), self.watched_for(place)) else {
                unpin.unwatched += 1;
                continue;
            };
            // That nobody has read it says nothing yet.
            if watched < WATCHED {
                unpin.fresh += 1;
                continue;
            }
            let Some(size) = held.size() else {
                unpin.unmeasured += 1;
                continue;
            };
            if held.is_in_mfs() {
                unpin.in_mfs += 1;
                continue;
            }
            if size > 0 {
                found.push(Candidate { place: place as u32, size, week: self.week(place), hotness });
            }
        }
        let order = |a: &Candidate, b: &Candidate| {
            let each = a.reads_per_byte().total_cmp(&b.reads_per_byte());
            each.then_with(|| b.size.cmp(&a.size)).then(a.place.cmp(&b.place))
        };
        let Ranked { total, rows } = window(found, &Rows::default(), order);
        (unpin.candidates, unpin.pins) = (total, rows);
        unpin
    }
}

/// Where a pin had better be.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// Which pin.
    pub place: u32,
    /// What that saves a month.
    pub saved: Option<f64>,
    /// Where, and why.
    pub advice: Advice,
}

/// What could go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unpin {
    /// Pins that are left out: their sizes are not known.
    pub unmeasured: u64,
    /// Nobody watches them.
    pub unwatched: u64,
    /// They are watched for less than [`WATCHED`].
    pub fresh: u64,
    /// MFS has them.
    pub in_mfs: u64,
    /// How many could.
    pub candidates: u64,
    /// The first [`MOST`] of them, in this order.
    pub pins: Vec<Candidate>,
}

impl Unpin {
    /// The first ones, until their sizes together are so many bytes.
    pub fn to_free(&self, bytes: u64) -> &[Candidate] {
        let mut sum = 0u64;
        let more = |candidate: &&Candidate| {
            let more = sum < bytes;
            sum = sum.saturating_add(candidate.size);
            more
        };
        &self.pins[..self.pins.iter().take_while(more).count()]
    }
}

/// Sizes to try next where pins of so many bytes have so many in distinct blocks, and more are to be freed: as if further ones shared as
/// much, and one pin more at least.
pub fn further(bytes: u64, distinct: u64, free: u64) -> u64 {
    let share = distinct.max(1) as f64 / bytes.max(1) as f64;
    ((free as f64 / share) as u64).max(bytes.saturating_add(1))
}

/// A pin that could go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Which one.
    pub place: u32,
    /// Bytes, more than none.
    pub size: u64,
    /// The model's probability of a read within a week, where it is used.
    pub week: Option<f64>,
    /// Accesses per day.
    pub hotness: f64,
}

impl Candidate {
    /// Reads that are to be expected within a week: with a probability p of any, -ln(1 - p) of a Poisson process; without a forecast by
    /// hotness.
    pub fn reads(&self) -> f64 {
        match self.week {
            Some(week) => -(-week.min(1.0 - 1e-9)).ln_1p(),
            None => self.hotness * HORIZONS[2] / DAY,
        }
    }

    /// The same for each byte, which the order is by.
    pub fn reads_per_byte(&self) -> f64 {
        self.reads() / self.size as f64
    }

    /// Why it stands where it stands.
    pub fn reason(&self) -> String {
        let gib = self.size as f64 / (1u64 << 30) as f64;
        let by = match self.week {
            Some(week) => format!("read within a week with a probability of {:.2} %", 100.0 * week),
            None => format!("read {:.4} times a day at present", self.hotness),
        };
        format!("{by}: {:.4} reads a week are to be expected for each GiB of {gib:.3}", self.reads() / gib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_what_limit_and_offset_leave_of_the_sorted_rows() {
        let rows = |limit, offset| window(vec![5, 1, 4, 2, 3], &Rows { limit, offset }, i32::cmp);
        assert_eq!(rows(None, 0), Ranked { total: 5, rows: vec![1, 2, 3, 4, 5] });
        assert_eq!(rows(Some(2), 1).rows, [2, 3]);
        assert_eq!(
            (rows(Some(0), 0).rows, rows(Some(7), 9).rows, rows(Some(u64::MAX), u64::MAX).rows),
            (vec![], vec![], vec![])
        );
        assert_eq!(
            window((0..5_000).rev().collect(), &Rows { limit: Some(u64::MAX), offset: 0 }, i32::cmp).rows.len(),
            1_000
        );
    }

    #[test]
    fn what_shares_blocks_asks_for_more_pins_until_none_is_left() {
        let candidate = |place| Candidate { place, size: 100, week: None, hotness: 0.0 };
        let unpin = Unpin { candidates: 5, pins: (0..5).map(candidate).collect(), ..Unpin::default() };
        assert_eq!([0, 1, 100, 101, 500, u64::MAX].map(|free| unpin.to_free(free).len()), [0, 1, 1, 2, 5, 5]);
        assert_eq!(further(200, 100, 150), 300, "half of it is shared");
        assert_eq!((further(200, 149, 150), further(200, 0, 150)), (201, 30_000));
        assert_eq!(further(u64::MAX, 1, u64::MAX), u64::MAX);
    }

    #[test]
    fn a_reason_has_the_numbers() {
        let candidate = Candidate { place: 0, size: 2 << 30, week: Some(0.5), hotness: 0.0 };
        let text = "read within a week with a probability of 50.00 %: 0.3466 reads a week are to be expected for each GiB of 2.000";
        assert_eq!(candidate.reason(), text);
        assert_eq!(Candidate { week: None, hotness: 1.0, ..candidate }.reads(), 7.0);
        assert!(Candidate { week: Some(1.0), ..candidate }.reads().is_finite());
    }
}
