//! 256 hostile clients for a minute, or for as many seconds as `IPFS_KITD_HOSTILE_S` says: slow, silent, with huge lines and frames,
//! garbage, deep nesting, descriptors, half-open, reading nothing, held just below the limit, asking for much; of our own uid, and as root of four others too. A figure over its limit is
//! for reading.

#[path = "../tests/integration/hostile.rs"]
mod hostile;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/raw.rs"]
mod raw;

use std::io::Write;
use std::time::Duration;

const CLIENTS: usize = 256;
const ANSWERED: Duration = Duration::from_millis(50);
const GROWN: u64 = 64 << 20;

fn main() {
    let time = std::env::var("IPFS_KITD_HOSTILE_S").ok().and_then(|time| time.parse().ok()).unwrap_or(60);
    let kit = hostile::kit();
    let seen = hostile::attack(&kit, CLIENTS, Duration::from_secs(time));
    let at = |share: f64| seen.answers[((seen.answers.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (before, most) = seen.memory;
    let line = format!(
        "hostile  {CLIENTS} clients for {time} s, {} connections: `status` p50 {:.2} ms, p99 {:.2} ms, most {:.2} ms  (p99: limit {} ms)\n\
         hostile  memory {} MB before, at most {} MB more  (limit {} MB); descriptors {} before, {} after  (limit: as before)\n",
        seen.visits,
        at(0.5),
        at(0.99),
        at(1.0),
        ANSWERED.as_millis(),
        before >> 20,
        most.saturating_sub(before) >> 20,
        GROWN >> 20,
        seen.descriptors.0,
        seen.descriptors.1,
    );
    std::io::stdout().write_all(line.as_bytes()).expect("written");
}
