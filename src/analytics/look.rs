//! A look at all pins: how hot each is, how it is read, and what is to be expected of it. Pure.
//!
//! Pins that were never read differ only by how long they are watched, so their forecasts are made once for all that are watched for about
//! as long (within 1 %): a look costs as much as the pins that were read, and little for each other one. It keeps 48 bytes a pin,
//! and 32 more of one that was read; ranks are made of it when somebody asks (`rank.rs`).
//!
//! A pin is watched since it was seen first, or since the first of the sources can see reads, whichever came later; and at its first
//! read it was watched in any case.

use super::forecast::{Forecaster, HORIZONS, Memory, Moment, Next, WATCHED, next_access};
use super::models::Models;
use super::pattern::{Class, Reading};
use super::score::Use;
use super::trials::{Chosen, Tally, Trials, chance};
use crate::index::held::Held;
use crate::index::set::PinSet;
use jiff::Timestamp;
use proto_msgs::access::{AccessSource, SourceReport};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Pins that are watched for about as long: steps of the logarithm.
const STEPS: f64 = 100.0;

/// What is known of a pin beside what the index has.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Accesses per day; NaN when nobody watches.
    hotness: f32,
    /// The model's forecasts; NaN where there is none.
    forecasts: [f32; HORIZONS.len()],
    /// Since when it is watched, in seconds since the Unix epoch.
    since: u32,
    class: Class,
    /// Changes of MFS are accesses and no reads.
    is_read: bool,
}

/// What else is known of one that has accesses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Read {
    place: u32,
    /// Accesses.
    pub accesses: u32,
    /// The newest, in seconds since the Unix epoch.
    pub last: f64,
    /// See [`super::pattern::Judged`]; NaN is `None`.
    gap: f32,
    burstiness: f32,
    next: f32,
    onward: f32,
}

impl Read {
    /// Which pin of the look.
    pub fn place(&self) -> usize {
        self.place as usize
    }

    /// Mean gap in seconds, burstiness, shares of steps to the next file and within a file.
    pub fn numbers(&self) -> [Option<f64>; 4] {
        [self.gap, self.burstiness, self.next, self.onward].map(shown)
    }
}

const _: () = assert!(size_of::<Held>() + size_of::<Cell>() <= 48 && size_of::<Read>() <= 32);

/// How the forecasts of a horizon are used.
#[derive(Clone, Debug)]
pub struct Horizon {
    /// Which are told.
    pub used: Use,
    /// Outcomes that were learnt from.
    pub outcomes: u64,
    /// Forecasts whose horizon has not passed.
    pub waiting: u64,
    /// The score.
    pub tally: Tally,
}

/// All pins at a moment.
#[derive(Debug)]
pub struct Look {
    /// When it was taken.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub took: f64,
    /// The generation of the pin set.
    pub generation: u64,
    /// Which index it was; see [`crate::board::IndexState::restored`].
    pub restored: u64,
    /// The half-life of hotness in seconds.
    pub half_life: f64,
    /// Pins that somebody watches.
    pub watched: u64,
    /// Pins that were read.
    pub were_read: u64,
    /// Pins and their bytes by class, in the order of [`Class::ALL`].
    pub classes: [(u64, u64); Class::ALL.len()],
    /// By horizon.
    pub horizons: [Horizon; HORIZONS.len()],
    held: Arc<Vec<Held>>,
    cells: Vec<Cell>,
    read: Vec<Read>,
}

/// What a look is taken of.
pub struct View<'a> {
    /// The pins, in the order of their ids.
    pub held: Arc<Vec<Held>>,
    /// The same.
    pub set: &'a PinSet,
    /// Its generation.
    pub generation: u64,
    /// See [`Look::restored`].
    pub restored: u64,
    /// Since when a source could have seen reads at all, in seconds since the Unix epoch; `None`: none could.
    pub watched: Option<f64>,
    /// The present.
    pub at: Timestamp,
}

/// Since when a source that is on could have seen reads, by what the sources say and by the oldest read of each. A source that is on
/// and never saw anything, such as applications that may tell of reads and don't, watches nothing, and what others saw before they were
/// switched off makes it no better. Logs of web servers may be imported, which is never on: there what was seen is enough.
pub fn watched(sources: &[SourceReport], firsts: &BTreeMap<AccessSource, f64>) -> Option<f64> {
    let first = |of: AccessSource| firsts.get(&of).copied();
    let since = |of: &SourceReport| {
        let told = of.since.as_ref().and_then(|since| since.parse::<Timestamp>().ok());
        told.map(seconds).or_else(|| first(of.source))
    };
    let on = sources.iter().filter(|of| of.on && of.source != AccessSource::Mfs);
    let watched = on.filter_map(since).chain(first(AccessSource::Gateway)).reduce(f64::min)?;
    Some(firsts.values().copied().fold(watched, f64::min))
}

/// Seconds since the Unix epoch.
pub fn seconds(at: Timestamp) -> f64 {
    at.as_microsecond() as f64 / 1e6
}

/// The same as a time.
pub fn time(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_microsecond((seconds * 1e6) as i64).ok()
}

/// All that is learnt and remembered.
pub struct Mind {
    /// Of pins.
    pub models: Models,
    /// Of forecasts.
    pub forecaster: Forecaster,
    /// What waits for its outcome.
    pub trials: Trials,
}

impl Mind {
    /// Nothing yet.
    pub fn new(half_life: f64) -> Mind {
        Mind { models: Models::new(half_life), forecaster: Forecaster::default(), trials: Trials::default() }
    }

    /// Learns from what has an outcome, looks at all pins, and begins the rounds of forecasts that are due; `random` is from 0 to 1.
    pub fn look(&mut self, view: &View<'_>, random: &mut dyn FnMut() -> f64) -> Look {
        let now = seconds(view.at);
        self.trials.settle(&mut self.forecaster, now, |pin| view.set.get(pin).is_some());
        self.forecaster.fit();
        let moment = Moment::new(now);
        let mut look = self.all(view, &moment, now);
        for horizon in 0..HORIZONS.len() {
            if self.trials.is_due(horizon, now) {
                let round = self.round(&look, view, (horizon, &moment, now), random);
                self.trials.begin(horizon, now, round);
            }
        }
        self.models.forget(look.held.len(), |pin| view.set.get(pin).is_some());
        for (horizon, waiting) in look.horizons.iter_mut().zip(self.trials.waiting()) {
            horizon.waiting = waiting;
        }
        look
    }

    fn all(&mut self, view: &View<'_>, moment: &Moment, now: f64) -> Look {
        let half_life = self.models.half_life();
        let since = |held: &Held| view.watched.map(|from| from.max(held.first_seen()));
        let unread = Unread { forecaster: &self.forecaster, moment, now, known: HashMap::new() };
        let mut cells = unread.cells(view.held.iter().map(since));
        let mut read = Vec::with_capacity(self.models.len().min(view.held.len()));
        for place in 0..self.models.len() {
            let pin = self.models.all()[place].0;
            let Some(at) = view.set.get(&pin).and_then(|entry| place_of(&view.held, entry.id())) else { continue };
            // Without a source there is nothing that it could be judged by.
            let Some(since) = since(&view.held[at]) else { continue };
            let model = self.models.watch(place, since);
            let judged = model.reading.judge(Some((now - model.memory.since()).max(0.0)), now);
            cells[at] = Cell {
                hotness: model.heat.per_day(now, half_life) as f32,
                forecasts: self.forecaster.forecast(&model.memory, moment).map(kept),
                since: model.memory.since() as u32,
                class: judged.class,
                is_read: model.memory.last().is_some(),
            };
            let [gap, burstiness, next, onward] = [judged.gap, judged.burstiness, judged.next, judged.onward].map(kept);
            let (accesses, last) = (model.accesses, model.last());
            read.push(Read { place: at as u32, accesses, last, gap, burstiness, next, onward });
        }
        read.sort_unstable_by_key(|read| read.place);
        let mut classes = [(0, 0); Class::ALL.len()];
        for (cell, held) in cells.iter().zip(view.held.iter()) {
            let (pins, bytes) = &mut classes[cell.class as usize];
            *pins += 1;
            *bytes += held.size().unwrap_or(0);
        }
        let horizons = std::array::from_fn(|horizon| {
            let tally = self.trials.tally(horizon);
            let outcomes = self.forecaster.outcomes(horizon);
            Horizon { used: tally.judge(), outcomes, waiting: 0, tally }
        });
        Look {
            at: view.at,
            took: 0.0,
            generation: view.generation,
            restored: view.restored,
            half_life,
            watched: cells.iter().filter(|cell| !cell.hotness.is_nan()).count() as u64,
            were_read: cells.iter().filter(|cell| cell.is_read).count() as u64,
            classes,
            horizons,
            held: view.held.clone(),
            cells,
            read,
        }
    }

    /// Chooses the pins of a round.
    fn round(
        &self,
        look: &Look,
        view: &View<'_>,
        (horizon, moment, now): (usize, &Moment, f64),
        random: &mut dyn FnMut() -> f64,
    ) -> Vec<Chosen> {
        let forecasts = || {
            let watched = |cell: &&Cell| !cell.hotness.is_nan() && now - f64::from(cell.since) >= WATCHED;
            let cells = look.cells.iter().zip(0usize..).filter(move |(cell, _)| watched(cell));
            cells.map(move |(cell, place)| (place, shown(cell.forecasts[horizon])))
        };
        let interest: f64 = forecasts().map(|(_, forecast)| Forecaster::interest(forecast)).sum();
        let mut chosen: HashMap<u64, (usize, f64, Option<f64>)> = HashMap::new();
        for (place, forecast) in forecasts() {
            let chance = chance(forecast, interest);
            if random() < chance {
                chosen.insert(look.held[place].id(), (place, 1.0 / chance, forecast));
            }
        }
        let mut round = Vec::with_capacity(chosen.len());
        // The set alone knows which key a row has.
        for (run, one) in view.set.runs() {
            for entry in run.iter().chain(one) {
                let Some((place, weight, forecast)) = chosen.get(&entry.id()) else { continue };
                let pin = entry.key();
                let model = self.models.get(&pin);
                let never = || Memory::new(f64::from(look.cells[*place].since));
                let memory = model.map_or_else(never, |model| model.memory.clone());
                let Some(sample) = self.forecaster.sample(&memory, moment, horizon) else { continue };
                let (last, legacy) = (memory.last(), model.map_or(0.0, |model| model.legacy(now)));
                round.push(Chosen { pin, sample, forecast: *forecast, weight: *weight, last, legacy });
            }
        }
        round
    }
}

/// Pins that were never read.
struct Unread<'a> {
    forecaster: &'a Forecaster,
    moment: &'a Moment,
    now: f64,
    known: HashMap<u32, [f32; HORIZONS.len()]>,
}

impl Unread<'_> {
    fn cells(mut self, since: impl Iterator<Item = Option<f64>>) -> Vec<Cell> {
        let reading = Reading::default();
        let nobody =
            Cell { hotness: f32::NAN, forecasts: [f32::NAN; _], since: 0, class: Class::Unknown, is_read: false };
        let cell = |since: Option<f64>| {
            let Some(since) = since else { return nobody };
            let watched = (self.now - since).max(0.0);
            let step = (watched.max(1.0).ln() * STEPS) as u32;
            let forecasts = *self.known.entry(step).or_insert_with(|| {
                // One that is watched for too short a time stays so.
                let memory = Memory::new(self.now - watched);
                self.forecaster.forecast(&memory, self.moment).map(kept)
            });
            let forecasts = if watched < WATCHED { [f32::NAN; _] } else { forecasts };
            let class = reading.judge(Some(watched), self.now).class;
            Cell { hotness: 0.0, forecasts, since: since as u32, class, is_read: false }
        };
        since.map(cell).collect()
    }
}

fn kept(number: Option<f64>) -> f32 {
    number.map_or(f32::NAN, |number| number as f32)
}

/// A number without the digits that a `f32` only seems to have.
fn shown(number: f32) -> Option<f64> {
    (!number.is_nan()).then(|| {
        let digits = if number == 0.0 { 0 } else { (6 - number.abs().log10().floor() as i32).clamp(0, 12) };
        let scale = 10f64.powi(digits);
        (f64::from(number) * scale).round() / scale
    })
}

fn place_of(held: &[Held], id: u64) -> Option<usize> {
    held.binary_search_by_key(&id, Held::id).ok()
}

impl Look {
    /// All pins, in the order of their ids.
    pub fn held(&self) -> &Arc<Vec<Held>> {
        &self.held
    }

    /// Those that have accesses.
    pub fn read(&self) -> &[Read] {
        &self.read
    }

    /// Where the pin with this id is; `None` when it was not there yet.
    pub fn place(&self, id: u64) -> Option<usize> {
        place_of(&self.held, id)
    }

    /// Accesses per day; `None` when nobody watches.
    pub fn hotness(&self, place: usize) -> Option<f64> {
        shown(self.cells[place].hotness)
    }

    /// For how long it was watched, in seconds; `None` when nobody watches.
    pub fn watched_for(&self, place: usize) -> Option<f64> {
        let cell = self.cells[place];
        (!cell.hotness.is_nan()).then(|| (seconds(self.at) - f64::from(cell.since)).max(0.0))
    }

    /// How it is read.
    pub fn class(&self, place: usize) -> Class {
        self.cells[place].class
    }

    /// Whether it was read.
    pub fn is_read(&self, place: usize) -> bool {
        self.cells[place].is_read
    }

    /// What is known of its accesses; `None` of one that has none.
    pub fn read_of(&self, place: usize) -> Option<&Read> {
        let at = self.read.binary_search_by_key(&place, Read::place).ok()?;
        Some(&self.read[at])
    }

    /// The probabilities of a read within the horizons, as they are told.
    pub fn forecast(&self, place: usize) -> [Option<f64>; HORIZONS.len()] {
        let mut least = 0.0;
        std::array::from_fn(|horizon| {
            let forecast = shown(self.cells[place].forecasts[horizon])?;
            let Horizon { used, tally, .. } = &self.horizons[horizon];
            least = match used {
                Use::Model => forecast.max(least),
                Use::BaseRate => tally.model.base_rate().max(least),
                Use::Nothing => return None,
            };
            Some(least)
        })
    }

    /// When it is read next, by the models; `None` where one of them is not used.
    pub fn next(&self, place: usize) -> Option<Next> {
        let all = self.horizons.iter().all(|horizon| horizon.used == Use::Model);
        if all { next_access(&self.forecast(place)) } else { None }
    }

    /// What rows of pins say of it: accesses, the newest one, hotness, class; `None` when nobody watches.
    pub fn brief(&self, id: u64) -> Option<(u64, Option<f64>, f64, Class)> {
        let place = self.place(id)?;
        let hotness = self.hotness(place)?;
        let read = self.read_of(place);
        Some((read.map_or(0, |read| read.accesses.into()), read.map(|read| read.last), hotness, self.class(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::tier::{Reason, Tier};
    use crate::analytics::trials::count;
    use crate::cid::Key;
    use crate::index::access::Counted;
    use crate::index::set::{Entry, Sums};
    use proto_msgs::analytics::Rows;
    use proto_msgs::pin::PinType;

    /// 2026-01-05, a Monday.
    const MONDAY: f64 = 1_767_571_200.0;
    const DAY: f64 = 86_400.0;
    const WEEK: f64 = 7.0 * DAY;

    /// Pins that are there since `MONDAY`, the id of each its number and 1, its size its number and 1 KiB.
    struct Node {
        held: Arc<Vec<Held>>,
        set: PinSet,
        mind: Mind,
        seq: u64,
    }

    fn pin(n: u64) -> Key {
        let mut digest = [7; 32];
        digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        Key { digest, ident: 0x55 << 2 | 2 }
    }

    /// Evenly spread numbers from 0 to 1.
    fn noise(state: &mut u64) -> f64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = *state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    impl Node {
        fn new(pins: u64) -> Node {
            let held = (0..pins).map(|n| Held::new(n + 1, Some((n + 1024, true)), MONDAY)).collect();
            let mut entries: Vec<_> = (0..pins).map(|n| Entry::new(pin(n), PinType::Recursive, n + 1, 0)).collect();
            entries.sort_unstable_by_key(Entry::key);
            let set = PinSet::from_sorted(entries, Sums { pins, ..Sums::default() });
            Node { held: Arc::new(held), set, mind: Mind::new(WEEK), seq: 0 }
        }

        fn read(&mut self, n: u64, at: f64) {
            self.seen(n, at, AccessSource::Record);
        }

        fn seen(&mut self, n: u64, at: f64, source: AccessSource) {
            self.seq += 1;
            let seq = self.seq;
            let access = Counted { seq, at, pin: pin(n), path: None, offset: None, source };
            count(&mut self.mind.models, &mut self.mind.trials, &[access], seq, f64::MAX);
        }

        fn look(&mut self, now: f64, watched: Option<f64>, state: &mut u64) -> Look {
            let at = time(now).expect("a time");
            let view = View { held: self.held.clone(), set: &self.set, generation: 3, restored: 0, watched, at };
            self.mind.look(&view, &mut || noise(state))
        }
    }

    fn source(source: AccessSource, on: bool, since: Option<&str>) -> SourceReport {
        let (since, blind) = (since.map(str::to_owned), String::new());
        SourceReport { source, on, since, looked: None, accesses: 0, wrong: 0, error: None, blind }
    }

    #[test]
    fn a_pin_is_watched_since_the_first_of_the_sources_can_see_reads() {
        let (early, late) = (Some("2026-01-05T00:00:00Z"), Some("2026-01-06T00:00:00Z"));
        let (kubo, mfs) = (source(AccessSource::Kubo, true, late), source(AccessSource::Mfs, true, early));
        let off = source(AccessSource::Gateway, false, early);
        let (none, by) = (BTreeMap::new(), |source: AccessSource| BTreeMap::from([(source, MONDAY)]));
        assert_eq!(watched(&[kubo.clone(), mfs.clone(), off.clone()], &none), Some(MONDAY + DAY));
        assert_eq!(watched(&[kubo, mfs.clone()], &by(AccessSource::Record)), Some(MONDAY), "the first read");
        assert_eq!(watched(&[off, mfs], &by(AccessSource::Record)), None, "none can");
        assert_eq!(watched(&[source(AccessSource::Record, true, None)], &none), None, "nobody has recorded any");
    }

    #[test]
    fn what_a_source_saw_before_it_was_switched_off_is_watched_by_no_other() {
        let (off, on) = (source(AccessSource::Kubo, false, None), source(AccessSource::Record, true, None));
        let of = |of: AccessSource| watched(&[off.clone(), on.clone()], &BTreeMap::from([(of, MONDAY)]));
        assert_eq!(of(AccessSource::Kubo), None, "no application records");
        assert_eq!(of(AccessSource::Record), Some(MONDAY), "some did, and may again");
        assert_eq!(of(AccessSource::Gateway), Some(MONDAY), "out of a log that was imported");
        let kubo = source(AccessSource::Kubo, true, None);
        assert_eq!(watched(&[kubo], &BTreeMap::from([(AccessSource::Kubo, MONDAY)])), Some(MONDAY), "Kubo is down");
    }

    #[test]
    fn without_a_source_nothing_is_known() {
        let mut node = Node::new(3);
        node.read(1, MONDAY);
        let look = node.look(MONDAY + DAY, None, &mut 1);
        assert_eq!((look.watched, look.read().len(), look.hotness(1), look.brief(2)), (0, 0, None, None));
        assert_eq!(look.classes[Class::Unknown as usize], (3, 3 * 1024 + 3));
        let unpin = look.unpin_first();
        assert_eq!((unpin.unwatched, unpin.candidates), (3, 0));
        assert_eq!(look.hot(&Rows::default()).total, 0);
    }

    #[test]
    fn pins_stand_in_the_order_of_their_hotness_and_what_was_never_read_is_coldest() {
        let mut node = Node::new(5);
        for (n, reads) in [(1, 3), (2, 1), (4, 2)] {
            (0..reads).for_each(|hour| node.read(n, MONDAY + f64::from(hour) * 3_600.0));
        }
        let look = node.look(MONDAY + DAY, Some(MONDAY), &mut 1);
        assert_eq!((look.watched, look.read().len()), (5, 3));
        assert_eq!(look.hot(&Rows::default()).rows, [1, 4, 2, 0, 3]);
        assert_eq!(look.cold(&Rows { limit: Some(3), offset: 0 }).rows, [3, 0, 2], "of equal ones the largest first");
        let (accesses, last, hotness, class) = look.brief(2).expect("watched");
        assert_eq!((accesses, last, class), (3, Some(MONDAY + 7_200.0), Class::Unknown));
        assert!((0.2..0.3).contains(&hotness), "{hotness}");
        assert_eq!(look.brief(1).map(|(accesses, last, ..)| (accesses, last)), Some((0, None)));
        assert_eq!(look.brief(99), None, "it came later");
        let rows = look.by_pattern(None, &Rows::default()).rows;
        assert_eq!(rows.iter().map(|read| (read.place(), read.accesses)).collect::<Vec<_>>(), [(1, 3), (4, 2), (2, 1)]);
        assert_eq!(look.by_pattern(Some(Class::Single), &Rows::default()).rows.len(), 1);
        // The largest first of those that nobody reads.
        let unpin = look.unpin_first();
        assert_eq!(unpin.to_free(2 * 1024).iter().map(|pin| pin.place).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(unpin.candidates, 5);
    }

    #[test]
    fn a_pin_that_is_watched_for_a_short_time_is_neither_given_up_nor_moved() {
        let mut node = Node::new(3);
        let held = |place: u64, since| Held::new(place + 1, Some((1 << 30, true)), since);
        node.held = Arc::new(vec![held(0, MONDAY), held(1, MONDAY), held(2, MONDAY + 9.0 * DAY)]);
        // Somebody told of a read before any source was there.
        node.read(0, MONDAY);
        let now = MONDAY + 9.5 * DAY;
        let look = node.look(now, Some(MONDAY + 3.0 * DAY), &mut 1);
        let unpin = look.unpin_first();
        assert_eq!((unpin.pins.iter().map(|pin| pin.place).collect::<Vec<_>>(), unpin.fresh), (vec![1, 0], 1));
        let tier = |name: &str, storage| Tier { name: name.to_owned(), storage, access: 0.0, read: 0.0, room: None };
        let (ranked, moves, _) = look.tiers((&[tier("dear", 1.0), tier("cheap", 0.1)], 0), now, true, &Rows::default());
        let moved = ranked.rows.iter().filter(|row| row.saved.is_some()).map(|row| row.place).collect::<Vec<_>>();
        assert_eq!((moved, moves), (vec![0], 1), "{ranked:?}");
        let unknown = Reason::Unknown { size: false, rate: true };
        assert!(ranked.rows.iter().any(|row| row.place == 1 && row.advice.reason == unknown), "{ranked:?}");
    }

    #[test]
    fn the_room_of_a_tier_is_for_those_that_save_most() {
        let mut node = Node::new(5);
        let gib = 1 << 30;
        let sizes = [gib, 3 * gib, gib / 2, 2 * gib, gib];
        node.held = Arc::new((1..).zip(sizes).map(|(id, size)| Held::new(id, Some((size, true)), MONDAY)).collect());
        let look = node.look(MONDAY + 30.0 * DAY, Some(MONDAY), &mut 1);
        let tier = |name: &str, storage, room: Option<f64>| {
            let room = room.map(|gib| gib * (1u64 << 30) as f64);
            Tier { name: name.to_owned(), storage, access: 0.0, read: 0.0, room }
        };
        let tiers = [tier("dear", 1.0, None), tier("cheap", 0.1, Some(3.5)), tier("fair", 0.5, Some(2.0))];
        let (ranked, moves, saved) = look.tiers((&tiers, 0), MONDAY + 30.0 * DAY, true, &Rows::default());
        let told: Vec<_> = ranked.rows.iter().map(|row| (row.place, row.advice.tier)).collect();
        // The largest one and the smallest one fill the cheapest tier, and the second largest one the next.
        assert_eq!(told, [(1, 1), (3, 2), (2, 1), (0, 0), (4, 0)]);
        assert_eq!((moves, ranked.total), (3, 5));
        assert!((saved - (3.0 * 0.9 + 2.0 * 0.5 + 0.5 * 0.9)).abs() < 1e-9, "{saved}");
        assert!(ranked.rows.iter().all(|row| row.advice.saves() == row.saved), "{ranked:?}");
    }

    #[test]
    fn a_change_of_mfs_is_an_access_and_no_read() {
        let mut node = Node::new(3);
        node.seen(1, MONDAY, AccessSource::Mfs);
        node.read(2, MONDAY);
        let look = node.look(MONDAY + DAY, Some(MONDAY), &mut 1);
        assert_eq!((look.were_read, look.brief(2).map(|(accesses, ..)| accesses)), (1, Some(1)));
        let rows = look.by_pattern(None, &Rows::default()).rows;
        assert_eq!(rows.iter().map(Read::place).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn where_the_model_is_not_used_hotness_says_what_to_unpin_first() {
        let mut node = Node::new(3);
        (0..20).for_each(|hour| node.read(2, MONDAY + f64::from(hour) * 3_600.0));
        let mut look = node.look(MONDAY + 2.0 * DAY, Some(MONDAY), &mut 1);
        look.cells.iter_mut().zip([0.4, 0.2, 0.3]).for_each(|(cell, week)| cell.forecasts = [week; _]);
        (0..4).for_each(|n| look.horizons[2].tally.model.add(0.5, n == 0));
        for (used, order) in [(Use::BaseRate, [1, 0, 2]), (Use::Model, [1, 2, 0])] {
            look.horizons[2].used = used;
            let pins = look.unpin_first().pins;
            assert_eq!(pins.iter().map(|pin| pin.place).collect::<Vec<_>>(), order);
            assert_eq!(pins[0].week, (used == Use::Model).then_some(0.2));
        }
    }

    #[test]
    fn a_pin_that_is_gone_or_was_not_there_is_in_no_look() {
        let mut node = Node::new(2);
        node.read(7, MONDAY);
        node.read(1, MONDAY);
        assert_eq!(node.look(MONDAY + 60.0, Some(MONDAY), &mut 1).read().len(), 1);
    }

    #[test]
    fn forecasts_are_learnt_scored_as_those_of_all_pins_and_used_when_they_are_good() {
        let mut node = Node::new(4_000);
        let (mut reads, mut choice, mut now) = (1, 2, MONDAY);
        // Of all forecasts within an hour, those that came true.
        let mut waiting: Vec<(f64, Vec<Option<f64>>)> = Vec::new();
        let mut all = crate::analytics::score::Score::default();
        let mut last = vec![0.0; 4_000];
        while now < MONDAY + 3.0 * DAY {
            let look = node.look(now, Some(MONDAY), &mut choice);
            if (((now - MONDAY) / 600.0) as u64).is_multiple_of(18) {
                waiting.push((now, (0..4_000).map(|place| shown(look.cells[place].forecasts[0])).collect()));
            }
            // The first 40 are read twice an hour, the next 400 once in ten hours, the others never.
            for n in 0..440u64 {
                let rate = if n < 40 { 1.0 / 3.0 } else { 1.0 / 60.0 };
                if noise(&mut reads) < rate {
                    let at = now + 1.0 + 598.0 * noise(&mut reads);
                    node.read(n, at);
                    last[n as usize] = at;
                }
            }
            now += 600.0;
            waiting.retain(|(at, forecasts)| {
                if now < at + 3_600.0 {
                    return true;
                }
                for (forecast, last) in forecasts.iter().zip(&last) {
                    forecast.iter().for_each(|forecast| all.add(*forecast, last > at));
                }
                false
            });
        }
        let look = node.look(now, Some(MONDAY), &mut choice);
        let hour = &look.horizons[0];
        assert!(hour.outcomes > 10_000 && hour.waiting > 1_000, "{} {}", hour.outcomes, hour.waiting);
        assert_eq!(hour.used, Use::Model);
        let model = &hour.tally.model;
        for (of_all, chosen) in [(all.base_rate(), model.base_rate()), (all.brier(), model.brier())] {
            assert!((chosen / of_all - 1.0).abs() < 0.1, "{of_all} {chosen}");
        }
        let [often, seldom, never] = [1, 100, 3_000].map(|place| look.forecast(place)[0].expect("a forecast"));
        assert!(often > 0.6 && (0.03..0.3).contains(&seldom) && never < 0.01, "{often} {seldom} {never}");
        assert_eq!(
            look.likeliest(&Rows { limit: Some(40), offset: 0 }).rows.iter().max().map(|most| *most < 40),
            Some(true)
        );
        assert_eq!((look.horizons[2].used, look.forecast(1)[2], look.next(1)), (Use::Nothing, None, None));
        // Never read, and watched for 1 % longer or less: as of a forecast of its own.
        let memory = Memory::new(MONDAY);
        let own = node.mind.forecaster.forecast(&memory, &Moment::new(now))[0].expect("a forecast");
        assert!((never / own - 1.0).abs() < 1e-4, "{never} {own}");
    }

    #[test]
    fn numbers_are_shown_with_the_digits_that_they_have() {
        assert_eq!((shown(0.1), shown(1.0 / 3.0), shown(12.5)), (Some(0.1), Some(0.3333333), Some(12.5)));
        assert_eq!((shown(f32::NAN), shown(0.0), shown(1.25e-9)), (None, Some(0.0), Some(1.25e-9)));
    }
}
