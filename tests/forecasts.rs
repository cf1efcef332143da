//! The simulated year keeps to what it says of itself.

#[path = "../benches/simulation/mod.rs"]
mod simulation;

use simulation::Simulation;
use simulation::process::{DAY, HOUR, START, WEEK};
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
