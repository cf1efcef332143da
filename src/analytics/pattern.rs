//! How a pin is read: by a clock, in bursts, in the order of its files, … Pure.
//!
//! From the gaps between accesses comes the burstiness parameter of Goh and Barabási ("Burstiness and memory in complex systems", EPL
//! 81, 2008) as Kim and Jo corrected it for n accesses (Phys. Rev. E 94, 032311, 2016): with r = σ / μ of the gaps,
//! A = (√(n + 1) r - √(n - 1)) / ((√(n + 1) - 2) r + √(n - 1)): -1 for a clock, 0 for a Poisson process, towards 1 for bursts. From what
//! is read within the pin come two shares: of accesses that go on to the next file, and of those that go on within their file.
//! Mean and variance are those of the last hundred gaps or so (exponentially weighted; West, CACM 22(9), 1979), so that an access
//! costs the same whatever came before. A gap of years counts no more than one of a month: the variance would know nothing else.
//!
//! What it can't know: accesses that no source saw, and who reads. Two clocks of different periods look like neither.

use serde::{Deserialize, Serialize};

const DAY: f64 = 86_400.0;
/// Accesses that a judgement by gaps needs, and steps that one by order needs.
pub const ACCESSES: u32 = 12;
pub const STEPS: u16 = 10;
/// A pin that nobody reads for this long, and for so many of its mean gaps, is cold.
const COLD: f64 = 30.0 * DAY;
const COLD_GAPS: f64 = 10.0;
/// Gaps that the mean looks back on.
const GAPS: u32 = 100;
/// Steps after which old ones count half.
const REMEMBERED: u16 = 200;
/// A share of steps from which an order is one, and values of A from which a clock is one, or a burst.
const ORDERED: f64 = 0.7;
const CLOCK: f64 = -0.3;
const BURSTS: f64 = 0.3;
/// Mean gap up to which accesses are steady.
const STEADY: f64 = 2.0 * DAY;

/// What was read of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which file, counted in the order of paths.
    pub file: u64,
    /// The first byte.
    pub offset: u64,
}

/// What is remembered of a pin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    accesses: u32,
    gaps: u32,
    last: f64,
    mean: f64,
    variance: f64,
    place: Option<Place>,
    steps: u16,
    next: u16,
    onward: u16,
}

impl Class {
    /// All of them, in their order.
    pub const ALL: [Class; 9] = [
        Class::Unknown,
        Class::Cold,
        Class::Single,
        Class::Sporadic,
        Class::Steady,
        Class::Bursty,
        Class::Periodic,
        Class::Sequential,
        Class::Streaming,
    ];

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Class::Unknown => "unknown",
            Class::Cold => "cold",
            Class::Single => "single",
            Class::Sporadic => "sporadic",
            Class::Steady => "steady",
            Class::Bursty => "bursty",
            Class::Periodic => "periodic",
            Class::Sequential => "sequential",
            Class::Streaming => "streaming",
        }
    }
}

/// The classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// No source, or too little seen.
    Unknown,
    /// Not read for long.
    Cold,
    /// Read once.
    Single,
    /// Now and then, by chance.
    Sporadic,
    /// Often, by chance.
    Steady,
    /// Much at once, then nothing.
    Bursty,
    /// As by a clock.
    Periodic,
    /// File after file.
    Sequential,
    /// Through a file, piece by piece.
    Streaming,
}

/// A class and the numbers it was judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    pub class: Class,
    pub accesses: u32,
    /// Mean gap in seconds; `None` while none is known.
    pub gap: Option<f64>,
    /// A; `None` with too few accesses.
    pub burstiness: Option<f64>,
    /// Shares of steps to the next file and within a file; `None` with too few.
    pub next: Option<f64>,
    pub onward: Option<f64>,
}

impl Reading {
    /// Counts an access at a time (seconds since the Unix epoch), and what was read if that is known. One that is told late counts as
    /// an access and says nothing of gaps.
    pub fn record(&mut self, at: f64, place: Option<Place>) {
        let late = self.accesses > 0 && at < self.last;
        if self.accesses > 0 && !late {
            let off = (at - self.last).min(COLD) - self.mean;
            self.gaps = self.gaps.saturating_add(1);
            let weight = 1.0 / f64::from(self.gaps.min(GAPS));
            self.mean += weight * off;
            self.variance = (1.0 - weight) * (self.variance + weight * off * off);
        }
        self.accesses = self.accesses.saturating_add(1);
        self.last = self.last.max(at);
        if late {
            return;
        }
        if let (Some(before), Some(now)) = (self.place, place) {
            self.steps += 1;
            self.next += u16::from(before.file.checked_add(1) == Some(now.file));
            self.onward += u16::from(before.file == now.file && before.offset < now.offset);
            if self.steps == REMEMBERED {
                (self.steps, self.next, self.onward) = (self.steps / 2, self.next / 2, self.onward / 2);
            }
        }
        self.place = place.or(self.place);
    }

    /// The class now; `watched` is for how long a source could have seen accesses, `None` when there is none.
    pub fn judge(&self, watched: Option<f64>, now: f64) -> Judged {
        // What was told late has neither gap nor order: the few that have are no picture of all.
        let most = self.gaps >= GAPS || self.gaps.saturating_mul(2) >= self.accesses.saturating_sub(1);
        let share = |of: u16| (self.steps >= STEPS).then(|| f64::from(of) / f64::from(self.steps));
        let mut judged = Judged {
            class: Class::Unknown,
            accesses: self.accesses,
            gap: (self.gaps > 0 && most).then_some(self.mean),
            burstiness: (self.gaps >= ACCESSES - 1 && most).then(|| self.burstiness()),
            next: share(self.next),
            onward: share(self.onward),
        };
        judged.class = watched.map_or(Class::Unknown, |watched| self.class(&judged, watched, now));
        judged
    }

    fn class(&self, judged: &Judged, watched: f64, now: f64) -> Class {
        let quiet = if self.accesses > 0 { now - self.last } else { watched };
        let ordered = |share: Option<f64>| share.is_some_and(|share| share >= ORDERED);
        match judged.burstiness {
            _ if quiet >= COLD.max(COLD_GAPS * self.mean) => Class::Cold,
            _ if self.accesses == 1 => Class::Single,
            _ if ordered(judged.onward) => Class::Streaming,
            _ if ordered(judged.next) => Class::Sequential,
            None => Class::Unknown,
            Some(a) if a <= CLOCK => Class::Periodic,
            Some(a) if a >= BURSTS => Class::Bursty,
            Some(_) if self.mean <= STEADY => Class::Steady,
            Some(_) => Class::Sporadic,
        }
    }

    fn burstiness(&self) -> f64 {
        if self.mean <= 0.0 {
            // All at one moment.
            return 1.0;
        }
        let n = f64::from(self.gaps.saturating_add(1).min(GAPS));
        let (r, more, less) = (self.variance.sqrt() / self.mean, (n + 1.0).sqrt(), (n - 1.0).sqrt());
        (more * r - less) / ((more - 2.0) * r + less)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01.
    const NEW_YEAR: f64 = 1_767_225_600.0;

    fn read(gaps: impl IntoIterator<Item = f64>) -> Reading {
        let (mut reading, mut at) = (Reading::default(), NEW_YEAR);
        reading.record(at, None);
        for gap in gaps {
            at += gap;
            reading.record(at, None);
        }
        reading
    }

    fn class(reading: &Reading) -> Class {
        reading.judge(Some(90.0 * DAY), reading.last).class
    }

    #[test]
    fn accesses_that_are_told_newest_first_have_no_gaps_and_no_class() {
        let mut reading = Reading::default();
        (0..30).rev().for_each(|day| reading.record(f64::from(day) * DAY, None));
        let judged = reading.judge(Some(30.0 * DAY), 30.0 * DAY);
        assert_eq!((judged.class, judged.accesses, judged.gap, judged.burstiness), (Class::Unknown, 30, None, None));
    }

    #[test]
    fn burstiness_is_minus_one_for_a_clock_and_high_for_bursts() {
        assert!((read([DAY; 30]).burstiness() + 1.0).abs() < 1e-6);
        let bursts = read((0..90).map(|n| if n % 10 == 0 { DAY } else { 5.0 }));
        assert!(bursts.burstiness() > 0.4, "{}", bursts.burstiness());
        assert_eq!((class(&read([DAY; 30])), class(&bursts)), (Class::Periodic, Class::Bursty));
        assert_eq!(class(&read([0.0; 30])), Class::Bursty, "all at one moment");
    }

    #[test]
    fn too_little_is_unknown_and_says_why() {
        let few = read([DAY; 10]).judge(Some(90.0 * DAY), NEW_YEAR + 10.0 * DAY);
        assert_eq!((few.class, few.accesses, few.burstiness), (Class::Unknown, 11, None));
        assert_eq!(class(&read([])), Class::Single);
        assert_eq!(read([DAY; 30]).judge(None, NEW_YEAR).class, Class::Unknown, "no source");
        assert_eq!(Reading::default().judge(Some(DAY), NEW_YEAR).class, Class::Unknown, "watched for a day");
    }

    #[test]
    fn what_is_not_read_for_long_is_cold_whatever_it_was() {
        assert_eq!(Reading::default().judge(Some(40.0 * DAY), NEW_YEAR).class, Class::Cold);
        let clock = read([DAY; 30]);
        assert_eq!(clock.judge(Some(90.0 * DAY), clock.last + 29.0 * DAY).class, Class::Periodic);
        assert_eq!(clock.judge(Some(90.0 * DAY), clock.last + 31.0 * DAY).class, Class::Cold);
        let monthly = read([28.0 * DAY; 30]);
        assert_eq!(
            monthly.judge(Some(900.0 * DAY), monthly.last + 31.0 * DAY).class,
            Class::Periodic,
            "it may be late"
        );
    }

    #[test]
    fn a_reader_that_changes_is_judged_by_what_it_does_now() {
        let mut gaps = vec![DAY / 24.0; 300];
        gaps.extend((0..300).map(|n| if n % 20 == 0 { DAY } else { 2.0 }));
        assert_eq!(class(&read(gaps)), Class::Bursty);
    }

    #[test]
    fn order_is_seen_by_places() {
        let mut reading = [Reading::default(), Reading::default()];
        for n in 0..500 {
            let at = NEW_YEAR + n as f64;
            reading[0].record(at, Some(Place { file: n, offset: 0 }));
            reading[1].record(at, Some(Place { file: n / 100, offset: n % 100 * 4096 }));
        }
        assert_eq!(reading.each_ref().map(class), [Class::Sequential, Class::Streaming]);
        assert!(reading[1].judge(Some(DAY), NEW_YEAR).onward.is_some_and(|share| share > 0.9));
    }

    #[test]
    fn an_access_told_late_is_no_gap() {
        let mut reading = read([DAY; 30]);
        let before = reading.mean;
        reading.record(NEW_YEAR, None);
        assert_eq!((reading.mean, reading.accesses), (before, 32));
        assert_eq!(reading.judge(Some(DAY), NEW_YEAR).gap, Some(before));
        (0..40).for_each(|n| {
            reading.record(NEW_YEAR + f64::from(n), Some(Place { file: 1, offset: u64::from(n as u32) }))
        });
        let judged = reading.judge(Some(DAY), NEW_YEAR + 31.0 * DAY);
        assert_eq!((judged.gap, judged.burstiness, judged.onward), (None, None, None), "most of them came late");
    }
}
