//! `ipfs-kitctl` as whole processes, by turns with `/bin/true`: what a command costs beyond a process that does nothing. Beside it
//! what a user would run instead: `ipfs pin ls`, and a Python DuckDB that reads the newest snapshot.
//!
//! DuckDB is looked for in the Python that `IPFS_KITD_PYTHON` names, else `python3`. benches/bulk.rs lists a million pins. Nothing fails
//! here, the figures are for reading.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;
mod pinned_repo;

use kit::{Kit, real_kubo};
use proto_msgs::daemon::{Condition, Wait};
use proto_msgs::snapshot::{SnapshotNow, SnapshotPath};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PINS: u64 = 4154;
const PAIRS: usize = 200;
const ROUNDS: usize = 5;

const PYTHON: &str =
    "import duckdb, sys; duckdb.sql(\"SELECT * FROM read_parquet('\" + sys.argv[1] + \"')\").fetchall()";

fn main() {
    let kit = kit_of(PINS);
    let cid = kit.pins().swap_remove(0);
    let mut nothing = Command::new("/bin/true");
    for (args, limit) in [
        (&["status"][..], Some(3.0)),
        (&["pin", "info", &cid], None),
        (&["pin", "ls"], Some(5.0)),
        (&["pin", "ls", "-o", "cid"], Some(5.0)),
        (&["pin", "ls", "-o", "ndjson"], None),
        (&["pin", "ls", "-o", "arrow"], None),
    ] {
        let (mut command, mut times, mut bare) = (kit.ctl_command(args), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            bare.push(time(&mut nothing));
            times.push(time(&mut command));
        }
        let (took, bare) = (median(&mut times), median(&mut bare));
        let limit = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("limit {limit}"));
        let what =
            format!("{:6.2} ms more than /bin/true  ({limit}, {PINS} pins, median of {PAIRS} pairs)", took - bare);
        say(&args.join(" ").replace(&cid, "CID"), took, &what);
    }
    others(&kit);
}

/// A daemon on a real Kubo with so many pins, all of them in its index and in its newest snapshot.
fn kit_of(pins: u64) -> Kit {
    let source = pinned_repo::prepared(&real_kubo(), pins);
    let mut kit = Kit::real();
    kit.env("IPFS_KITD_SIZE_SHARE", "0").env("IPFS_KITD_STATE_INTERVAL", "0s").arg("--interval").arg("1h");
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(&source).arg(kit.repo()).status();
    assert!(copied.expect("cp runs").success(), "the repo could not be copied");
    kit.start();
    kit.wait(Condition::KuboRunning);
    let wait = Wait { condition: Condition::IndexComplete };
    kit.client().call_with(wait, Some(Duration::from_secs(1800)), |_| Ok(())).expect("all is listed");
    kit.client().call_with(SnapshotNow { arrow: true }, None, |_| Ok(())).expect("published");
    kit
}

/// What a user would run instead.
fn others(kit: &Kit) {
    let mut theirs = Command::new(real_kubo());
    theirs.args(["pin", "ls", "--type=recursive"]).env("IPFS_PATH", kit.repo());
    let mut duckdb = Command::new(std::env::var("IPFS_KITD_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    let newest = kit.call(SnapshotPath {}).path;
    duckdb.args(["-c", PYTHON]).arg(format!("{newest}/pins.parquet"));
    for (name, mut command) in [("ipfs pin ls", theirs), ("DuckDB in Python", duckdb)] {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            let mut times: Vec<_> = (0..ROUNDS).map(|_| time(&mut command)).collect();
            say(name, median(&mut times), &format!("the same pins, median of {ROUNDS}"));
        } else {
            say(name, f64::NAN, "SKIPPED, it does not run here");
        }
    }
}

/// From its start to its end, in milliseconds.
fn time(command: &mut Command) -> f64 {
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?} ended with {status}");
    began.elapsed().as_secs_f64() * 1e3
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn say(name: &str, took: f64, what: &str) {
    writeln!(std::io::stdout(), "{name:18} {took:8.2} ms  {what}").expect("written");
}
