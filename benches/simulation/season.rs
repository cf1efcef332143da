//! A simulated year, forecast as the daemon would: each forecast is made with what was learnt from outcomes before it, and is scored
//! when its horizon has passed.

use super::Simulation;
use super::process::{DAY, HOUR, START};
use super::random::Random;
use ipfs_kitd::analytics::forecast::{Forecaster, HORIZONS, Memory, Moment, Sample};
use ipfs_kitd::analytics::score::{Rule, Score};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is simulated.
pub(crate) struct Season {
    pub(crate) seed: u64,
    pub(crate) pins: u32,
    /// The year's length in days.
    pub(crate) days: f64,
    /// Hours from one round of forecasts to the next; no whole number, so that all minutes, hours and weekdays have their
    /// turn.
    pub(crate) every: f64,
    /// Outcomes of each round and horizon that are learnt from, if all forecasts were nearly certain.
    pub(crate) learnt: u32,
}

/// A forecast whose outcome is known.
#[derive(Clone, Copy)]
pub(crate) struct Scored {
    pub(crate) pin: u32,
    pub(crate) forecast: f64,
    pub(crate) truth: f64,
    /// "Same as last period": there was an access within the same time before.
    last: bool,
    /// The legacy rule: hotness = 0.1 · accesses of the last hour + 0.01 · accesses ever; above 1 it expects one within an hour, above
    /// 0.5 within two.
    legacy: bool,
    pub(crate) happened: bool,
}

/// The scores of one horizon.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) model: Score,
    pub(crate) truth: Score,
    pub(crate) last: Rule,
    pub(crate) legacy: Rule,
}

impl Row {
    pub(crate) fn add(&mut self, scored: &Scored) {
        self.model.add(scored.forecast, scored.happened);
        self.truth.add(scored.truth, scored.happened);
        self.last.add(scored.last, scored.happened);
        self.legacy.add(scored.legacy, scored.happened);
    }
}

/// What else was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) accesses: u64,
    /// The longest time that all pins' forecasts of a round took.
    pub(crate) took: Duration,
}

/// Forecasts that wait for their outcome.
struct Round {
    at: f64,
    forecasts: Vec<Scored>,
    samples: Vec<(u32, Sample)>,
}

/// The accesses as they were seen.
struct Watch {
    pins: Vec<Memory>,
    ever: Vec<u32>,
    hour: Vec<u32>,
    recent: VecDeque<(f64, u32)>,
}

impl Watch {
    fn see(&mut self, at: f64, pin: u32) {
        let n = pin as usize;
        self.pins[n].record(at);
        self.ever[n] += 1;
        self.hour[n] += 1;
        self.recent.push_back((at, pin));
        self.forget(at);
    }

    fn forget(&mut self, now: f64) {
        while let Some((_, pin)) = self.recent.pop_front_if(|(at, _)| *at <= now - HOUR) {
            self.hour[pin as usize] -= 1;
        }
    }

    fn read_since(&self, pin: u32, since: f64) -> bool {
        self.pins[pin as usize].last().is_some_and(|last| last > since)
    }
}

/// Lets the year pass; `tell` has the horizon's number and each forecast that has an outcome.
pub(crate) fn pass(season: &Season, mut tell: impl FnMut(usize, &Scored, &Simulation)) -> Seen {
    let Season { pins, .. } = *season;
    let mut simulation = Simulation::new(season.seed, pins);
    let mut watch = Watch {
        pins: (0..pins).map(|pin| Memory::new(simulation.born(pin).max(START))).collect(),
        ever: vec![0; pins as usize],
        hour: vec![0; pins as usize],
        recent: VecDeque::new(),
    };
    let mut forecaster = Forecaster::default();
    let mut waiting = HORIZONS.map(|_| VecDeque::<Round>::new());
    let mut seen = Seen::default();
    let mut random = Random::of(season.seed, u64::MAX);
    let mut next = START + DAY;
    let end = START + season.days * DAY;
    while next < end {
        let due = (0..HORIZONS.len()).filter_map(|i| waiting[i].front().map(|round| (round.at + HORIZONS[i], i)));
        let due = due.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(due, _)| *due <= next);
        let now = due.map_or(next, |(due, _)| due);
        simulation.advance(now, |at, pin| {
            seen.accesses += 1;
            watch.see(at, pin);
        });
        if let Some((_, i)) = due {
            let round = waiting[i].pop_front().expect("it is due");
            for scored in &round.forecasts {
                tell(i, &Scored { happened: watch.read_since(scored.pin, round.at), ..*scored }, &simulation);
            }
            for (pin, sample) in &round.samples {
                forecaster.learn(i, sample, watch.read_since(*pin, round.at));
            }
            continue;
        }
        watch.forget(now);
        forecaster.fit();
        let share = f64::from(season.learnt) / f64::from(pins);
        let learnt = |forecast| random.share() < share * Forecaster::interest(forecast);
        let rounds = forecast(&simulation, &watch, &forecaster, now, &mut seen, learnt);
        for (waiting, round) in waiting.iter_mut().zip(rounds) {
            waiting.push_back(round);
        }
        next += season.every * HOUR;
    }
    seen
}

fn forecast(
    simulation: &Simulation,
    watch: &Watch,
    forecaster: &Forecaster,
    now: f64,
    seen: &mut Seen,
    mut learnt: impl FnMut(Option<f64>) -> bool,
) -> [Round; HORIZONS.len()] {
    let began = Instant::now();
    let moment = Moment::new(now);
    let forecasts: Vec<_> = watch.pins.iter().map(|pin| forecaster.forecast(pin, &moment)).collect();
    seen.took = seen.took.max(began.elapsed());
    std::array::from_fn(|i| {
        let mut round = Round { at: now, forecasts: Vec::new(), samples: Vec::new() };
        for (pin, forecast) in (0..).zip(&forecasts) {
            let n = pin as usize;
            if let Some(forecast) = forecast[i] {
                let hotness = 0.1 * f64::from(watch.hour[n]) + 0.01 * f64::from(watch.ever[n]);
                round.forecasts.push(Scored {
                    pin,
                    forecast,
                    truth: simulation.truth(pin, now, HORIZONS[i]),
                    last: watch.read_since(pin, now - HORIZONS[i]),
                    legacy: hotness > if i == 0 { 1.0 } else { 0.5 },
                    happened: false,
                });
            }
            if learnt(forecast[i])
                && let Some(sample) = forecaster.sample(&watch.pins[n], &moment, i)
            {
                round.samples.push((pin, sample));
            }
        }
        round
    })
}
