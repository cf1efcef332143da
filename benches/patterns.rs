//! What generated readers are taken for, on a seed that no threshold was chosen by: a confusion matrix in per cent, after few and
//! after many accesses. A figure below its limit is for reading.

#[expect(dead_code, reason = "the tests and the forecasts use more of it")]
mod simulation;

use simulation::readers::{CLASSES, confusion};
use std::io::Write;

/// Held out; see the head of `simulation`.
const SEED: u64 = 104;
const READERS: u64 = 2_000;

fn main() {
    let mut out = std::io::stdout();
    let name = |class| format!("{class:?}").to_lowercase();
    for (accesses, limit) in [(20, 70), (100, 85)] {
        let columns: String = CLASSES.iter().map(|class| format!("{:>11}", name(class))).collect();
        writeln!(out, "patterns  {accesses:3} accesses  {columns}      other").expect("written");
        for (class, row) in CLASSES.iter().zip(confusion(SEED, READERS, accesses)) {
            let shares: String = row.iter().map(|n| format!("{:>11.1}", 100.0 * *n as f64 / READERS as f64)).collect();
            writeln!(out, "patterns  {:>12}  {shares}  (itself: limit {limit})", name(class)).expect("written");
        }
    }
}
