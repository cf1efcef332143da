//! Forecasts of a simulated year of accesses to 100,000 pins, on seeds that no model was chosen by: each figure beside its limit, and
//! beside the best possible one, which is that of who knows the generator and its hidden state. A figure over its limit is for
//! reading.

#[expect(dead_code, reason = "the tests use more of it")]
mod simulation;

use ipfs_kitd::analytics::score::{Rule, Score, judge, skill};
use simulation::season::{Row, Season, pass};
use std::io::Write;

const PINS: u32 = 100_000;
/// Held out; see the head of `simulation`.
const SEEDS: [u64; 2] = [104, 105];
/// Forecasts that a tenth of the calibration table needs to be judged.
const JUDGED: u64 = 1_000;

fn main() {
    let mut out = std::io::stdout();
    for seed in SEEDS {
        let mut rows: [Row; 3] = Default::default();
        let season = Season { seed, pins: PINS, days: 365.0, every: 43.37, learnt: PINS / 20 };
        let seen = pass(&season, |horizon, scored, _| rows[horizon].add(scored));
        writeln!(
            out,
            "forecasts  seed {seed}: {PINS} pins, {:.1} million accesses in a year; all forecasts of a moment took at most {} ms  (limit 1000 ms)",
            seen.accesses as f64 / 1e6,
            seen.took.as_millis(),
        )
        .expect("written");
        for (row, horizon) in rows.iter().zip(["1 h", "24 h", "7 d"]) {
            writeln!(out, "{}", told(row, horizon)).expect("written");
        }
    }
}

fn told(row: &Row, horizon: &str) -> String {
    let Row { model, truth, last, legacy } = row;
    let base = model.base();
    let percent = |of: f64| 100.0 * skill(of, base.brier());
    let (brier, log) = (|rule: &Rule| percent(rule.brier()), Rule::log_loss);
    let tenths: Vec<_> =
        model.tenths.iter().filter(|tenth| tenth.count >= JUDGED).map(|tenth| 100.0 * tenth.off()).collect();
    let area = |score: &Score| score.area().unwrap_or(f64::NAN);
    format!(
        "forecasts  {horizon:4}  {:.1} million, {:.2} % came true: {:?} is used\n\
         forecasts  {horizon:4}  Brier skill {:5.1} %  (limit 10 %; best possible {:.1} %, last period {:.1} %, legacy {:.1} %)\n\
         forecasts  {horizon:4}  log loss {:.4}  (base rate {:.4}, best possible {:.4}, last period {:.4}, legacy {:.4}); \
         area {:.3}  (best possible {:.3})\n\
         forecasts  {horizon:4}  calibration: off by at most {:.1} points  (limit 3); by tenths {}",
        model.count() as f64 / 1e6,
        100.0 * model.base_rate(),
        judge(model, &[*last, *legacy]),
        percent(model.brier()),
        percent(truth.brier()),
        brier(last),
        brier(legacy),
        model.log_loss(),
        log(&base),
        truth.log_loss(),
        log(last),
        log(legacy),
        area(model),
        area(truth),
        100.0 * model.worst_tenth(JUDGED),
        tenths.iter().map(|off| format!("{off:+.1}")).collect::<Vec<_>>().join(" "),
    )
}
