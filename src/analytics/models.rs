//! What is remembered of the pins that were read, kept up to date by one access after the other. Pure.
//!
//! An access is counted once: they come in the order of their numbers, and one whose number is not above the newest is known already. All
//! of them count for hotness and for the number of accesses. What somebody writes in MFS is no read, and a forecast of reads or the
//! order in which files are read has nothing to learn from it: only reads count for forecasts and patterns.
//!
//! Of a path it is remembered which file it names, as a number: the hash of the path without the last number in the file's name, plus
//! that number. So the same path is the same file, and `img-008.jpg` comes after `img-007.jpg`, wherever readers of one pin
//! are at the same time. What can't be known: the order of names without a number, and which file was read where no path is told.

use super::forecast::Memory;
use super::hotness::Hotness;
use super::pattern::{Place, Reading};
use crate::cid::Key;
use crate::index::access::Counted;
use proto_msgs::access::AccessSource;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;

/// Seconds of the legacy rule's period.
const HOUR: f64 = 3_600.0;
/// Pins that are gone are remembered while they are fewer than the others and so many: one that is unpinned may come back.
const GONE: usize = 10_000;

/// A pin that was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// How hot it is.
    pub heat: Hotness,
    /// Accesses.
    pub accesses: u32,
    /// What forecasts are made from.
    pub memory: Memory,
    /// How it is read.
    pub reading: Reading,
    hours: Hours,
}

/// Accesses of this hour of the clock and of the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hours {
    hour: u32,
    counts: [u32; 2],
}

impl Hours {
    fn record(&mut self, at: f64) {
        let hour = (at / HOUR) as u32;
        match hour.checked_sub(self.hour) {
            Some(0) => {}
            Some(1) => self.counts = [0, self.counts[0]],
            Some(_) => self.counts = [0, 0],
            None if hour + 1 == self.hour => return self.counts[1] = self.counts[1].saturating_add(1),
            None => return,
        }
        self.hour = hour;
        self.counts[0] = self.counts[0].saturating_add(1);
    }

    /// Those of the last hour, as if those of the hour before this one had been evenly spread over it.
    fn last(&self, now: f64) -> f64 {
        let [this, before] = self.counts.map(f64::from);
        let passed = now / HOUR - f64::from(self.hour);
        match passed {
            ..1.0 => this + before * (1.0 - passed.max(0.0)),
            ..2.0 => this * (2.0 - passed),
            _ => 0.0,
        }
    }
}

impl Model {
    /// The newest access, in seconds since the Unix epoch.
    pub fn last(&self) -> f64 {
        self.heat.last()
    }

    /// The hotness that the legacy system would have given it: 0.1 · accesses of the last hour + 0.01 · accesses ever.
    pub fn legacy(&self, now: f64) -> f64 {
        0.1 * self.hours.last(now) + 0.01 * f64::from(self.accesses)
    }
}

/// All of them.
#[derive(Debug)]
pub struct Models {
    half_life: f64,
    through: u64,
    firsts: BTreeMap<AccessSource, f64>,
    newest: f64,
    places: HashMap<Key, u32>,
    // Apart from the table of places, which is half empty.
    models: Vec<(Key, Model)>,
}

impl Models {
    /// None yet; the half-life is in seconds.
    pub fn new(half_life: f64) -> Models {
        Models::of(half_life, 0, BTreeMap::new(), Vec::new())
    }

    /// As they were: accesses up to the number `through` are counted.
    pub fn of(half_life: f64, through: u64, firsts: BTreeMap<AccessSource, f64>, models: Vec<(Key, Model)>) -> Models {
        let places = models.iter().map(|(key, _)| *key).zip(0..).collect();
        let newest = models.iter().map(|(_, model)| model.last()).fold(0.0, f64::max);
        Models { half_life, through, firsts, newest, places, models }
    }

    /// The half-life of hotness in seconds.
    pub fn half_life(&self) -> f64 {
        self.half_life
    }

    /// The number up to which accesses are counted.
    pub fn through(&self) -> u64 {
        self.through
    }

    /// The oldest read that each source has seen, in seconds since the Unix epoch.
    pub fn firsts(&self) -> &BTreeMap<AccessSource, f64> {
        &self.firsts
    }

    /// The newest access of all, in seconds since the Unix epoch; 0 before the first. One that is yet to come was counted while the clock
    /// was ahead, and keeps its pin from decaying and from counting any other until then.
    pub fn newest(&self) -> f64 {
        self.newest
    }

    /// Pins that were read.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// A pin.
    pub fn get(&self, pin: &Key) -> Option<&Model> {
        self.places.get(pin).map(|place| &self.models[*place as usize].1)
    }

    /// All of them, in the order of their first access.
    pub fn all(&self) -> &[(Key, Model)] {
        &self.models
    }

    /// Says since when the pin at this place of [`all`](Self::all) is watched at least.
    pub fn watch(&mut self, place: usize, since: f64) -> &Model {
        let (_, model) = &mut self.models[place];
        model.memory.watch(since);
        model
    }

    /// Counts an access and answers when it took place, if it is a read that was not counted yet; nothing takes place after `now`.
    pub fn record(&mut self, access: &Counted, now: f64) -> Option<f64> {
        if access.seq <= self.through {
            return None;
        }
        self.through = access.seq;
        let at = access.at.min(now);
        self.newest = self.newest.max(at);
        let next = self.models.len() as u32;
        let place = *self.places.entry(access.pin).or_insert(next);
        if place == next {
            let (heat, memory, reading) = (Hotness::default(), Memory::new(at), Reading::default());
            self.models.push((access.pin, Model { heat, accesses: 0, memory, reading, hours: Hours::default() }));
        }
        let (_, model) = &mut self.models[place as usize];
        model.heat.record(at, self.half_life);
        model.accesses = model.accesses.saturating_add(1);
        if !is_read(access.source) {
            return None;
        }
        self.firsts.entry(access.source).and_modify(|first| *first = first.min(at)).or_insert(at);
        model.hours.record(at);
        model.memory.record(at);
        model.reading.record(at, place_of(access.path.as_deref(), access.offset));
        Some(at)
    }

    /// All accesses up to this number are counted, or concern no pin.
    pub fn reach(&mut self, through: u64) {
        self.through = self.through.max(through);
    }

    /// Forgets pins that are gone, when they are many.
    pub fn forget(&mut self, pins: usize, is_pinned: impl Fn(&Key) -> bool) {
        if self.models.len() > 2 * pins + GONE {
            self.models.retain(|(key, _)| is_pinned(key));
            self.places = self.models.iter().map(|(key, _)| *key).zip(0..).collect();
        }
    }
}

/// Whether what this source sees is a read.
pub fn is_read(source: AccessSource) -> bool {
    source != AccessSource::Mfs
}

/// Which file of the pin was read, and where in it; `None` when neither is told.
fn place_of(path: Option<&str>, offset: Option<u64>) -> Option<Place> {
    if path.is_none() && offset.is_none() {
        return None;
    }
    let path = path.unwrap_or_default();
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let bytes = path.as_bytes();
    let last_number = |within: &[u8]| {
        let end = name + within.iter().rposition(u8::is_ascii_digit)? + 1;
        let digits = bytes[name..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        Some((end - digits, end, path[end - digits..end].parse::<u64>().ok()?))
    };
    // The digit of `.mp4` or `.m4s` numbers nothing, unless there is no other; that of `.001` does.
    let kind = |dot: &usize| bytes[dot + 1..].iter().any(|byte| !byte.is_ascii_digit());
    let stem = path[name..].rfind('.').map(|dot| name + dot).filter(kind).unwrap_or(bytes.len());
    let number = last_number(&bytes[name..stem]).or_else(|| last_number(&bytes[name..]));
    // A key that is the same after a restart: who makes two names collide spoils the pattern of the own pin.
    let mut hasher = SipHasher13::new();
    let number = match number {
        Some((from, end, number)) => {
            hasher.write(&bytes[..from]);
            hasher.write(&[0]);
            hasher.write(&bytes[end..]);
            number
        }
        None => {
            hasher.write(bytes);
            0
        }
    };
    Some(Place { file: hasher.finish().wrapping_add(number), offset: offset.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::pattern::Class;

    /// 2026-01-01.
    const NEW_YEAR: f64 = 1_767_225_600.0;
    const WEEK: f64 = 7.0 * 86_400.0;

    fn pin(n: u8) -> Key {
        Key { digest: [n; 32], ident: 0x55 << 2 | 2 }
    }

    fn access(seq: u64, at: f64, n: u8) -> Counted {
        Counted { seq, at, pin: pin(n), path: None, offset: None, source: AccessSource::Record }
    }

    fn file(path: &str) -> u64 {
        place_of(Some(path), None).expect("a place").file
    }

    #[test]
    fn an_access_that_is_told_again_counts_once() {
        let mut models = Models::new(WEEK);
        let now = NEW_YEAR + 10.0;
        assert_eq!(models.record(&access(3, NEW_YEAR, 1), now), Some(NEW_YEAR));
        for seq in [3, 2, 1] {
            assert_eq!(models.record(&access(seq, NEW_YEAR, 1), now), None);
        }
        models.record(&access(9, NEW_YEAR + 1.0, 1), now);
        let model = models.get(&pin(1)).expect("it was read");
        assert_eq!((model.accesses, models.through(), models.len()), (2, 9, 1));
        let firsts = BTreeMap::from([(AccessSource::Record, NEW_YEAR)]);
        assert_eq!((models.firsts(), model.last()), (&firsts, NEW_YEAR + 1.0));
    }

    #[test]
    fn nothing_takes_place_in_the_future() {
        let mut models = Models::new(WEEK);
        assert_eq!(models.record(&access(1, NEW_YEAR + 60.0, 1), NEW_YEAR), Some(NEW_YEAR));
        assert_eq!(models.get(&pin(1)).map(Model::last), Some(NEW_YEAR));
    }

    #[test]
    fn what_was_counted_while_the_clock_was_ahead_shows_and_is_not_so_when_it_is_counted_again() {
        let ahead = access(1, NEW_YEAR + 50.0 * WEEK, 1);
        let mut models = Models::new(WEEK);
        models.record(&ahead, f64::MAX);
        let loaded = Models::of(WEEK, 1, models.firsts().clone(), models.all().to_vec());
        assert_eq!([models.newest(), loaded.newest()], [NEW_YEAR + 50.0 * WEEK; 2]);
        let mut again = Models::new(WEEK);
        again.record(&ahead, NEW_YEAR);
        again.record(&access(2, NEW_YEAR + 60.0, 1), NEW_YEAR + 60.0);
        let model = again.get(&pin(1)).expect("it was read");
        assert_eq!((again.newest(), model.last()), (NEW_YEAR + 60.0, NEW_YEAR + 60.0));
        assert!(model.heat.count(NEW_YEAR + WEEK, WEEK) < 1.1, "it decays");
    }

    #[test]
    fn a_write_makes_a_pin_hot_and_says_nothing_of_reads() {
        let mut models = Models::new(WEEK);
        models.record(&Counted { source: AccessSource::Mfs, ..access(1, NEW_YEAR, 1) }, NEW_YEAR);
        let model = models.get(&pin(1)).expect("it was written");
        assert_eq!((model.accesses, model.heat.count(NEW_YEAR, WEEK)), (1, 1.0));
        assert_eq!((model.memory.last(), &model.reading, models.firsts().len()), (None, &Reading::default(), 0));
    }

    #[test]
    fn models_that_are_taken_up_again_go_on_as_if_nothing_had_been() {
        let told: Vec<_> =
            (1..200u32).map(|n| access(n.into(), NEW_YEAR + f64::from(n) * 1_000.0, (n % 7) as u8)).collect();
        let (mut at_once, mut first) = (Models::new(WEEK), Models::new(WEEK));
        told.iter().for_each(|access| {
            at_once.record(access, f64::MAX);
        });
        told[..100].iter().for_each(|access| {
            first.record(access, f64::MAX);
        });
        let mut second = Models::of(WEEK, first.through(), first.firsts().clone(), first.all().to_vec());
        // Some of them are told once more.
        told[50..].iter().for_each(|access| {
            second.record(access, f64::MAX);
        });
        assert_eq!(
            (second.all(), second.through(), second.firsts()),
            (at_once.all(), at_once.through(), at_once.firsts())
        );
    }

    #[test]
    fn the_next_file_has_the_next_number_in_its_name() {
        assert_eq!(file("a/img-007.jpg").wrapping_add(1), file("a/img-008.jpg"));
        assert_eq!(file("a/img-9.jpg").wrapping_add(1), file("a/img-10.jpg"));
        assert_eq!(file("s01/e02.mkv").wrapping_add(1), file("s01/e03.mkv"));
        for (one, next) in [
            ("seg-00001.m4s", "seg-00002.m4s"),
            ("a.b/01.mp3", "a.b/02.mp3"),
            ("clip-7.mp4", "clip-8.mp4"),
            ("disk1.009", "disk1.010"),
            ("disk.r00", "disk.r01"),
            (".9", ".10"),
        ] {
            assert_eq!(file(one).wrapping_add(1), file(next), "{one}");
        }
        assert_ne!(file("clip-7.mp3").wrapping_add(1), file("clip-8.mp4"), "another kind of file");
        assert_ne!(file("a/img-007.jpg").wrapping_add(1), file("b/img-008.jpg"));
        assert_ne!(file("2024/a"), file("2025/a"));
        assert_eq!(file("x/y"), file("x/y"));
        // Digits that are no number, a name of nothing else, and letters beyond ASCII.
        for path in ["99999999999999999999999", "7", "é7é", "", "/", "a/", ".", "7.", "é.é7"] {
            assert_eq!(file(path), file(path));
        }
        assert_eq!((place_of(None, None), place_of(None, Some(7)).map(|place| place.offset)), (None, Some(7)));
    }

    #[test]
    fn one_file_after_the_other_is_a_sequence() {
        let mut models = Models::new(WEEK);
        for n in 0..50u32 {
            let path = Some(format!("frames/{n:05}.png"));
            models.record(&Counted { path, ..access(u64::from(n) + 1, NEW_YEAR + f64::from(n), 1) }, f64::MAX);
        }
        let judged = models.get(&pin(1)).expect("it was read").reading.judge(Some(WEEK), NEW_YEAR + 60.0);
        assert_eq!(judged.class, Class::Sequential);
    }

    #[test]
    fn the_last_hour_is_what_was_read_within_it() {
        let mut hours = Hours::default();
        (0..60).for_each(|minute| hours.record(NEW_YEAR + f64::from(minute) * 60.0));
        assert_eq!(hours.last(NEW_YEAR + 3_599.0), 60.0);
        assert!((hours.last(NEW_YEAR + HOUR + 900.0) - 45.0).abs() < 0.1);
        hours.record(NEW_YEAR + HOUR + 900.0);
        assert!((hours.last(NEW_YEAR + HOUR + 900.0) - 46.0).abs() < 0.1);
        hours.record(NEW_YEAR);
        assert_eq!(hours.counts, [1, 61], "told late");
        assert_eq!((hours.last(NEW_YEAR + 3.0 * HOUR), hours.last(0.0)), (0.0, 62.0));
    }

    #[test]
    fn pins_that_are_gone_are_forgotten_when_they_are_many() {
        let mut models = Models::new(WEEK);
        for n in 0..GONE as u64 + 30 {
            let mut access = access(n + 1, NEW_YEAR, 0);
            access.pin.digest[..8].copy_from_slice(&n.to_le_bytes());
            models.record(&access, NEW_YEAR);
        }
        models.forget(20, |_| false);
        assert_eq!(models.len(), GONE + 30);
        models.forget(10, |pin| pin.digest[0] == 7);
        assert!(models.all().iter().all(|(pin, _)| pin.digest[0] == 7) && !models.is_empty());
        let (key, model) = models.all()[1].clone();
        assert_eq!(models.get(&key), Some(&model));
    }
}
