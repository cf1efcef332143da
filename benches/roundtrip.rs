//! `pin info` and `status` over an open connection, against a bare echo of the same bytes: a thread that reads a frame and writes
//! one, in this process. Both are asked by the same client, by turns.
//!
//! The closed loop asks again when it is answered; the open loop sends 2,000 requests a second whatever happens and counts from the
//! time at which each was due, over one connection, over 64, and while the daemon lists its pins again and again.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;

use kit::{Kit, identity_cid};
use proto_msgs::binary::{self, Hello};
use proto_msgs::daemon::{Condition, IndexRefresh, Status};
use proto_msgs::pin::PinInfo;
use proto_msgs::snapshot::SnapshotNow;
use proto_msgs::{Call, MAX_RESPONSE, Request, Response};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PINS: usize = 4154;
/// Of each of the two, asked by turns of so many.
const CLOSED: usize = 20_000;
const TURN: usize = 200;
/// Between two requests of the open loop, and how many there are of each of the two, by turns of so many.
const EVERY: Duration = Duration::from_micros(500);
const OPEN: usize = 10_000;
const OPEN_TURN: usize = 2_000;
const MANY: usize = 64;
/// Times the echo.
const P50: f64 = 5.0;
const P99: f64 = 3.0;

fn main() {
    let mut kit = Kit::fake();
    // A row that has just got its size is DuckDB's to answer until the next snapshot; benches/scale.rs measures that.
    kit.env("IPFS_KITD_SIZE_SHARE", "0").env("IPFS_KITD_STATE_INTERVAL", "0s").arg("--interval").arg("1h").start();
    kit.wait(Condition::KuboRunning);
    let cids: Vec<String> = (0..PINS).map(|n| identity_cid(&format!("pin {n}"))).collect();
    let pins: Vec<_> = cids.iter().map(|cid| (cid.as_str(), "recursive", "a name")).collect();
    kit.set_fake_pins(&pins);
    let refresh = || kit.call(IndexRefresh { wait: true, ..IndexRefresh::default() });
    refresh();
    assert_eq!(kit.status().index.pins, PINS as u64);
    kit.call(SnapshotNow { arrow: true });

    let status: Call = Status {}.into();
    let info: Call = PinInfo { cid: cids[PINS / 2].clone() }.into();
    for (name, call) in [("pin info", info), ("status", status)] {
        let echo = Echo::of(&kit, &call);
        let sides = [kit.socket(), echo.path.clone()];
        closed(name, &sides, &call, echo.reply);
        open(name, "1 connection", &sides, &call, 1);
        open(name, "64 connections", &sides, &call, MANY);
        let over = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    refresh();
                }
            });
            open(name, "refreshes", &sides, &call, 1);
            over.store(true, Ordering::Relaxed);
        });
    }
}

/// A server that answers every frame with the daemon's answer to the call.
struct Echo {
    path: PathBuf,
    reply: usize,
}

impl Echo {
    fn of(kit: &Kit, call: &Call) -> Echo {
        let reply = Line::open(&kit.socket()).ask(0, call);
        // The id stands at the beginning, and is the asker's.
        let (path, rest) = (kit.path("echo"), reply[id(&reply).1..].to_vec());
        // There may be one of the call before.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("bound");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, rest) = (stream.expect("accepted"), rest.clone());
                thread::spawn(move || {
                    let mut hello = vec![0; hello().len()];
                    stream.read_exact(&mut hello).expect("a hello");
                    stream.write_all(&hello).expect("written");
                    while let Ok(frame) = binary::read_frame(&mut stream, MAX_RESPONSE) {
                        let (_, length) = id(&frame);
                        let mut reply = ((length + rest.len()) as u32).to_le_bytes().to_vec();
                        reply.extend_from_slice(&frame[..length]);
                        reply.extend_from_slice(&rest);
                        stream.write_all(&reply).expect("written");
                    }
                });
            }
        });
        Echo { path, reply: reply.len() }
    }
}

fn hello() -> Vec<u8> {
    [binary::PREAMBLE.to_vec(), binary::frame(&Hello::of("roundtrip"))].concat()
}

/// The id at the beginning of a message, and its length there.
fn id(message: &[u8]) -> (u64, usize) {
    let number = |range: std::ops::Range<usize>| {
        message[range].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    match message[0] {
        251 => (number(1..3), 3),
        252 => (number(1..5), 5),
        small => (u64::from(small), 1),
    }
}

/// A connection in the binary form, on which nothing is decoded.
struct Line(UnixStream);

impl Line {
    fn open(path: &Path) -> Line {
        let mut stream = UnixStream::connect(path).expect("connected");
        stream.write_all(&hello()).expect("written");
        let mut preamble = [0; binary::PREAMBLE.len()];
        stream.read_exact(&mut preamble).expect("a preamble");
        binary::read_frame(&mut stream, binary::MAX_HELLO).expect("a hello");
        Line(stream)
    }

    fn send(&self, id: u64, call: &Call) {
        let frame = binary::frame(&Request { id, deadline_ms: None, call: call.clone() });
        (&self.0).write_all(&frame).expect("written");
    }

    fn receive(&self) -> Vec<u8> {
        binary::read_frame(&mut &self.0, MAX_RESPONSE).expect("an answer")
    }

    fn ask(&self, id: u64, call: &Call) -> Vec<u8> {
        self.send(id, call);
        self.receive()
    }
}

fn closed(name: &str, sides: &[PathBuf; 2], call: &Call, bytes: usize) {
    let lines = sides.each_ref().map(|path| Line::open(path));
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..CLOSED / TURN {
        for (line, times) in lines.iter().zip(&mut times) {
            for n in 0..TURN {
                let began = Instant::now();
                let reply = line.ask(n as u64, call);
                times.push(began.elapsed());
                assert!(reply.len().abs_diff(bytes) < 100, "another answer: {:?}", binary::decode::<Response>(&reply));
            }
        }
    }
    say(name, "closed loop", &format!("{bytes} bytes"), times);
}

fn open(name: &str, how: &str, sides: &[PathBuf; 2], call: &Call, connections: usize) {
    let lines = sides.each_ref().map(|path| (0..connections).map(|_| Line::open(path)).collect::<Vec<_>>());
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..OPEN / OPEN_TURN {
        for (lines, times) in lines.iter().zip(&mut times) {
            times.extend(load(lines, call));
        }
    }
    say(name, how, &format!("{} requests/s", 1_000_000 / EVERY.as_micros()), times);
}

/// One turn of the open loop.
fn load(lines: &[Line], call: &Call) -> Vec<Duration> {
    let began = Instant::now();
    let due = |n: u64| EVERY * n as u32;
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..OPEN_TURN as u64 {
                thread::sleep(due(n).saturating_sub(began.elapsed()));
                lines[n as usize % lines.len()].send(n, call);
            }
        });
        let mut times = Vec::new();
        while times.len() < OPEN_TURN {
            let mut fds: Vec<_> = lines.iter().map(|line| PollFd::new(&line.0, PollFlags::IN)).collect();
            poll(&mut fds, None).expect("polled");
            let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            for (line, _) in lines.iter().zip(ready).filter(|(_, ready)| *ready) {
                times.push(began.elapsed() - due(id(&line.receive()).0));
            }
        }
        times
    })
}

fn say(name: &str, how: &str, what: &str, mut times: [Vec<Duration>; 2]) {
    times.iter_mut().for_each(|times| times.sort());
    let [(p50, p99), (echo50, echo99)] = times.map(|times| {
        let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1e6;
        (at(0.5), at(0.99))
    });
    let limits = if how == "closed loop" { format!("(limit {P50})") } else { format!("(limit of p99 {P99})") };
    let line = format!(
        "{name:9} {how:15} {what:16} p50 {p50:7.0} us, {:5.2} x the echo   p99 {p99:7.0} us, {:5.2} x  {limits}",
        p50 / echo50,
        p99 / echo99,
    );
    writeln!(std::io::stdout(), "{line}").expect("written");
}
