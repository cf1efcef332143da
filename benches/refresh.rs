//! A refresh of many pins on a real Kubo, against `curl` with the same request: wall time, CPU, memory, and what it writes.
//!
//! `IPFS_KITD_BENCH_PINS` changes the number of pins (a million). The repo is prepared once; nothing fails here, the figures are
//! for reading.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;
mod pinned_repo;

use kit::{Kit, real_kubo};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::daemon::{Condition, IndexPause, IndexRefresh, IndexRefreshed, Wait};
use proto_msgs::verb::Verb;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PAIRS: usize = 5;
const QUIET: usize = 10;
const LONG: Duration = Duration::from_secs(1800);

fn main() {
    let pins: u64 = std::env::var("IPFS_KITD_BENCH_PINS").ok().map_or(1_000_000, |n| n.parse().expect("a number"));
    let source = pinned_repo::prepared(&real_kubo(), pins);
    let mut kit = Kit::real();
    // What is measured in the background is written then, too.
    kit.env("IPFS_KITD_SIZE_SHARE", "0").env("IPFS_KITD_STATE_INTERVAL", "0s");
    // The usual interval decides when names come along; refreshes by themselves would be in the way.
    kit.arg("--interval").arg("30s");
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(&source).arg(kit.repo()).status();
    assert!(copied.expect("cp runs").success(), "the repo could not be copied");
    kit.start();
    kit.wait(Condition::KuboRunning);
    let began = Instant::now();
    call(&kit, Wait { condition: Condition::IndexComplete });
    kit.call(IndexPause {});
    let found = kit.status().index.pins;
    say(&format!("first index, with names   {:7.1} s  ({found} pins; no limit)", began.elapsed().as_secs_f64()));
    assert!(found > pins, "pins are missing");

    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (curl, curl_cpu) = timed(children_cpu, || curl(&kit));
        let (ours, our_cpu) = timed(|| cpu(kit.pid()), || drop(refresh(&kit)));
        say(&format!(
            "  curl {:6.2} s (CPU {curl_cpu:5.2} s)   refresh {:6.2} s (CPU {our_cpu:5.2} s)",
            curl.as_secs_f64(),
            ours.as_secs_f64()
        ));
        walls.push(ours.as_secs_f64() / curl.as_secs_f64());
        cpus.push(our_cpu - curl_cpu);
    }
    say(&format!("refresh against curl       {:7.2} x  (limit 1.15, median of {PAIRS} pairs)", median(&mut walls)));
    say(&format!("CPU more than curl         {:7.2} s  (limit 2)", median(&mut cpus)));

    let before = kit.status().index;
    match strace(&kit) {
        Some(written) => say(&format!("writes in {QUIET} quiet refreshes {written:4}    (limit 0)")),
        None => say("writes in quiet refreshes: not counted, strace is not installed or may not trace"),
    }
    let after = kit.status().index;
    assert!(before.generation == after.generation && before.as_of < after.as_of, "as_of has to move, and nothing else");
    say(&format!("memory of the daemon, most {:7.0} MB (limit 600)", peak(kit.pid())));
    say(
        "looks for sizes and samples of the node are off here: they are batches of their own, and write in their own time",
    );
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("written");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn call<V: Verb>(kit: &Kit, verb: V) -> V::Reply {
    kit.client().call_with(verb, Some(LONG), |_| Ok(())).unwrap_or_else(|e| panic!("{}: {e}\n{}", V::NAME, kit.log()))
}

fn refresh(kit: &Kit) -> IndexRefreshed {
    let done = call(kit, IndexRefresh { wait: true, names: false });
    assert_eq!((done.added, done.removed, done.changed), (0, 0, 0));
    done
}

fn timed(cpu: impl Fn() -> f64, work: impl FnOnce()) -> (Duration, f64) {
    let (before, began) = (cpu(), Instant::now());
    work();
    (began.elapsed(), cpu() - before)
}

fn curl(kit: &Kit) {
    let socket = kit.path("run/private/kubo-rpc.sock");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "-X", "POST", "-o", "/dev/null", "--unix-socket"]);
    curl.arg(socket).arg("http://kubo/api/v0/pin/ls?type=recursive");
    assert!(curl.stdin(Stdio::null()).status().expect("curl is installed").success(), "curl failed");
}

/// Seconds of CPU of the children that have ended.
fn children_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("it always can");
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Seconds of CPU of a process: the 14th and 15th field of its `stat`, the name aside.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<f64> =
        stat.rsplit(") ").next().expect("fields").split(' ').map(|f| f.parse().unwrap_or(0.0)).collect();
    (fields[11] + fields[12]) / rustix::param::clock_ticks_per_second() as f64
}

/// The most memory that a process has had, in MB.
fn peak(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024.0 / 1e6
}

/// Calls that change something below the data dir, in ten refreshes that find nothing new.
fn strace(kit: &Kit) -> Option<usize> {
    let data = kit.path("data");
    let log = kit.path("strace");
    let calls = "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,ftruncate,rename,renameat,renameat2,\
                 unlink,unlinkat,mkdir,mkdirat,openat";
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-y", "-e", calls, "-o"]).arg(&log).arg("-p").arg(kit.pid().to_string());
    let mut tracer = tracer.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
    let mut said = BufReader::new(tracer.stderr.take()?).lines();
    if !said.next()?.ok()?.contains("attached") {
        let _ = tracer.wait();
        return None;
    }
    for _ in 0..QUIET {
        refresh(kit);
    }
    kill(Pid::from_raw(tracer.id().cast_signed()), Signal::SIGINT).expect("it is there");
    tracer.wait().expect("waited for");
    Some(changes(&log, &data))
}

/// Traced calls that name the data dir; opening something to read it changes nothing.
fn changes(log: &Path, data: &Path) -> usize {
    let data = data.display().to_string();
    let log = std::fs::read_to_string(log).expect("what strace has seen");
    let counts = |line: &&str| line.contains(&data) && !(line.contains("openat(") && line.contains("O_RDONLY"));
    log.lines().filter(counts).inspect(|line| say(line)).count()
}
