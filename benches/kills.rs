//! Two hundred times `kill -9` while listings, tags, checkpoints and snapshots are written: nothing that was acknowledged is lost, and how
//! soon the daemon is ready again. What is lost ends this with a panic; a figure over its limit is for reading.

#[path = "../tests/integration/kills.rs"]
mod kills;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;

use std::io::Write;
use std::time::Duration;

const ROUNDS: usize = 200;
const REOPENED: Duration = Duration::from_secs(5);

fn main() {
    let mut seen = kills::rounds(ROUNDS);
    seen.reopened.sort();
    let (median, most) = (seen.reopened[ROUNDS / 2], seen.reopened[ROUNDS - 1]);
    let line = format!(
        "{ROUNDS} kills: all {} acknowledged tags are there; {} listings, {} checkpoints, {} snapshots\n\
         ready again after {:.3} s, the longest {:.3} s  (limit {} s)\n",
        seen.tags,
        seen.refreshes,
        seen.checkpoints,
        seen.snapshots,
        median.as_secs_f64(),
        most.as_secs_f64(),
        REOPENED.as_secs(),
    );
    std::io::stdout().write_all(line.as_bytes()).expect("written");
}
