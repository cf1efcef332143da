//! How soon a dead Kubo is noticed, tried again, and ready again: `kill -9`, as the daemon's own events tell it.
//!
//! The limits are those that a user would notice; nothing fails here, the figures are for reading.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;

use kit::{DEADLINE, Kit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto_msgs::daemon::Condition;
use proto_msgs::event::{Events, What};
use proto_msgs::kubo::{KuboStart, KuboStop};
use proto_msgs::verb::Part;
use std::io::Write;
use std::time::{Duration, Instant};

const ROUNDS: usize = 21;
const NOTICED: Duration = Duration::from_millis(100);
const TRIED: Duration = Duration::from_secs(1);

/// From the kill until each of these causes is told.
const CAUSES: [(&str, &str, Option<Duration>); 3] = [
    ("noticed", "exited", Some(NOTICED)),
    ("first try of a restart", "retry", Some(TRIED)),
    ("ready again", "ready", None),
];

fn main() {
    let mut out = std::io::stdout();
    for (name, mut kit) in [("fake-kubo", Kit::fake()), ("Kubo", Kit::real())] {
        kit.start();
        kit.wait(Condition::KuboRunning);
        let mut times = [const { Vec::new() }; CAUSES.len()];
        for _ in 0..ROUNDS {
            round(&kit, &mut times);
        }
        for ((what, _, limit), times) in CAUSES.iter().zip(&mut times) {
            times.sort();
            let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
            let limit = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("limit {} ms", limit.as_millis()));
            let line = format!(
                "{name:9}  {what:22}  median {:7.1} ms  most {:7.1} ms  ({limit}, {ROUNDS} kills)",
                median.as_secs_f64() * 1e3,
                most.as_secs_f64() * 1e3,
            );
            writeln!(out, "{line}").expect("written");
        }
    }
}

fn round(kit: &Kit, times: &mut [Vec<Duration>; CAUSES.len()]) {
    // A start that is asked for begins the count of exits anew, so that each round is a first exit.
    kit.call(KuboStop {});
    kit.call(KuboStart {});
    let pid = kit.status().kubo.pid.expect("a child");
    let last = kit.call(Events::default()).events.last().expect("an event").seq;
    let mut client = kit.client();
    let (mut killed, mut told) = (None, 0);
    let follow = Events { since: Some(last), epoch: None, follow: true };
    let ended = client.call_with(follow, Some(DEADLINE), |part| {
        // The first part says that the daemon follows.
        let killed: Instant = *killed.get_or_insert_with(|| {
            let now = Instant::now();
            kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).expect("it is there");
            now
        });
        if let Part::Events(page) = part {
            for event in page.events {
                if let What::Kubo(change) = event.what
                    && CAUSES.get(told).is_some_and(|(_, cause, _)| *cause == change.cause)
                {
                    times[told].push(killed.elapsed());
                    told += 1;
                }
            }
        }
        if told == CAUSES.len() { Err(std::io::ErrorKind::Other.into()) } else { Ok(()) }
    });
    assert!(ended.is_err() && told == CAUSES.len(), "not all was told");
}
