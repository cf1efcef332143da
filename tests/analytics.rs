//! The simulated year keeps to what it says of itself, forecasts on it are better than what anybody could do without them, and
//! generated readers are taken for what they are.

#[path = "../benches/simulation/mod.rs"]
mod simulation;

/// docs/ANALYTICS.md.
#[path = "analytics/page.rs"]
mod page;

use ipfs_kitd::analytics::forecast::{Forecaster, Memory, Moment, next_access};
use ipfs_kitd::analytics::score::{Use, judge, skill};
use simulation::Simulation;
use simulation::process::{DAY, HOUR, START, WEEK};
use simulation::readers::{CLASSES, confusion};
use simulation::season::{Row, Season, pass};
use std::collections::BTreeMap;

#[test]
fn a_seed_gives_one_year_in_the_order_of_time() {
    let year = |seed, steps: u32| {
        let mut simulation = Simulation::new(seed, 500);
        let mut told = Vec::new();
        for step in 1..=steps {
            simulation.advance(START + 60.0 * DAY * f64::from(step) / f64::from(steps), |at, pin| told.push((at, pin)));
        }
        told
    };
    let told = year(1, 1);
    assert!(told.len() > 1000 && told.is_sorted_by(|(a, _), (b, _)| a <= b), "{} accesses", told.len());
    assert_eq!(told, year(1, 7), "however it is asked");
    assert_ne!(told, year(2, 1));
}

#[test]
fn what_the_simulation_calls_true_is_what_happens() {
    const PINS: u32 = 10_000;
    let mut simulation = Simulation::new(1, PINS);
    // By kind and horizon: what was to be expected, its variance, and what happened.
    let mut seen: BTreeMap<(&str, u64), [f64; 3]> = BTreeMap::new();
    let mut now = START + 2.0 * DAY + 5.0 * HOUR;
    while now < START + 200.0 * DAY {
        simulation.advance(now, |_, _| ());
        let there: Vec<u32> = (0..PINS).filter(|pin| simulation.born(*pin) <= now).collect();
        let truths = [HOUR, DAY, WEEK].map(|horizon| {
            let truths = there.iter().map(|pin| (*pin, simulation.truth(*pin, now, horizon))).collect::<Vec<_>>();
            (horizon, truths)
        });
        let mut first = vec![f64::INFINITY; PINS as usize];
        simulation.advance(now + WEEK, |at, pin| first[pin as usize] = first[pin as usize].min(at));
        for (horizon, truths) in truths {
            for (pin, truth) in truths {
                let sums = seen.entry((simulation.process(pin).name(), horizon as u64)).or_default();
                let happened = f64::from(u8::from(first[pin as usize] <= now + horizon));
                for (sum, of) in sums.iter_mut().zip([truth, truth * (1.0 - truth), happened]) {
                    *sum += of;
                }
            }
        }
        now += WEEK + 29.0 * HOUR;
    }
    assert_eq!(seen.len(), 8 * 3, "each kind is there");
    for (of, [expected, variance, happened]) in seen {
        assert!((expected - happened).abs() <= 4.5 * variance.sqrt(), "{of:?}: {expected} expected, {happened} seen");
    }
}

/// On a seed that no model was chosen by, as in the bench of the whole year.
#[test]
fn forecasts_beat_the_base_rate_the_last_period_and_the_legacy_rule() {
    let mut rows: [Row; 3] = Default::default();
    let season = Season { seed: 103, pins: 4_000, days: 90.0, every: 43.37, learnt: 4_000 };
    let seen = pass(&season, |horizon, scored, _| rows[horizon].add(scored));
    assert!(seen.accesses > 50_000, "{} accesses", seen.accesses);
    for (row, horizon) in rows.iter().zip(["1 h", "24 h", "7 d"]) {
        let Row { model, truth, last, legacy } = row;
        let base = model.base();
        let skill = skill(model.brier(), base.brier());
        assert!(skill >= 0.1, "{horizon}: {skill}");
        for (rule, name) in [(&base, "the base rate"), (last, "the last period"), (legacy, "the legacy rule")] {
            assert!(model.brier() < rule.brier(), "{horizon}: {} against {} of {name}", model.brier(), rule.brier());
            assert!(model.log_loss() < rule.log_loss(), "{horizon}: {name} has a better log loss");
        }
        assert_eq!(judge(model, &[*last, *legacy]), Use::Model, "{horizon}");
        assert!(truth.brier() < model.brier() && truth.log_loss() < model.log_loss(), "{horizon}: nobody knows better");
    }
}

/// On a seed that no threshold was chosen by.
#[test]
fn readers_are_taken_for_what_they_are() {
    for (accesses, least) in [(20, 0.7), (100, 0.85)] {
        for (n, row) in confusion(103, 200, accesses).iter().enumerate() {
            let share = row[n] as f64 / row.iter().sum::<u64>() as f64;
            assert!(share >= least, "{:?} after {accesses} accesses: {share}; {row:?}", CLASSES[n]);
        }
    }
}

#[test]
fn without_enough_evidence_there_is_no_forecast() {
    let mut forecaster = Forecaster::default();
    let moment = Moment::new(START + 30.0 * DAY);
    let (old, new) = (Memory::new(START), Memory::new(START + 30.0 * DAY - HOUR));
    assert_eq!(forecaster.forecast(&old, &moment), [None; 3], "nothing is learnt");
    for n in 0..1_000 {
        for horizon in 0..2 {
            let sample = forecaster.sample(&old, &moment, horizon).expect("it is watched for long enough");
            forecaster.learn(horizon, &sample, n % 10 == 0);
        }
    }
    forecaster.fit();
    let forecast = forecaster.forecast(&old, &moment);
    assert!(matches!(forecast, [Some(_), Some(_), None]), "{forecast:?}: no week was learnt");
    assert_eq!(next_access(&forecast), None);
    assert_eq!(forecaster.forecast(&new, &moment), [None; 3], "watched for an hour");
    assert!(forecaster.sample(&new, &moment, 0).is_none());
}

#[test]
fn a_longer_horizon_is_never_less_likely() {
    let mut forecaster = Forecaster::default();
    let mut pin = Memory::new(START);
    pin.record(START + DAY);
    let moment = Moment::new(START + 30.0 * DAY);
    for horizon in 0..3 {
        // The other way round from what is possible.
        let sample = forecaster.sample(&pin, &moment, horizon).expect("it is watched for long enough");
        (0..1_000).for_each(|n| forecaster.learn(horizon, &sample, n % 10 < 6 - 2 * horizon));
    }
    forecaster.fit();
    let forecast = forecaster.forecast(&pin, &moment).map(|p| p.expect("a forecast"));
    assert!(forecast.is_sorted() && forecast[0] > 0.4, "{forecast:?}");
    assert!(next_access(&forecast.map(Some)).is_some_and(|next| next.earliest <= next.middle));
}
