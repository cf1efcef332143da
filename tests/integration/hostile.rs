//! Clients of every bad kind at a time, of our own uid and, as root, of others: the daemon answers whoever asks, and has lost nothing
//! when they are gone. `make bench` does the same for longer, with more of them.

use crate::kit::{Kit, eventually};
use crate::raw::{become_uid, descriptors, start_open_to};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use proto_msgs::binary::{self, Hello};
use proto_msgs::daemon::Status;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long one connection goes on, from its end to the next, and between two looks whether it is over. What they send is to harm by its
/// kind; that 256 of them could also keep two cores busy with copying is no news of the daemon.
const VISIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(250);
const STEP: Duration = Duration::from_millis(50);
/// Descriptors that the daemon may have more for its own work: a connection to Kubo, a file that is just read.
const OWN_WORK: usize = 8;

type Kind = fn(&mut UnixStream, Instant) -> io::Result<()>;
const KINDS: [(&str, Kind); 11] = [
    ("slow", slow),
    ("silent", linger),
    ("huge lines", huge_line),
    ("huge frames", huge_frame),
    ("garbage", garbage),
    ("deep nesting", deep),
    ("descriptors", descriptor_bomb),
    ("half-open", half_open),
    ("reading nothing", deaf),
    ("just below the limit", hold),
    ("asking for much and reading nothing", greedy),
];

/// What was seen meanwhile.
pub(crate) struct Seen {
    /// Of `status` on a connection of our own uid, sorted.
    pub(crate) answers: Vec<Duration>,
    /// Connections that they made.
    pub(crate) visits: u64,
    /// The daemon's own memory before, and the most of it, in bytes.
    pub(crate) memory: (u64, u64),
    /// The daemon's descriptors before and after.
    pub(crate) descriptors: (usize, usize),
}

/// So many clients for so long; `kit` runs.
pub(crate) fn attack(kit: &Kit, clients: usize, time: Duration) -> Seen {
    let uids = uids();
    let mut own = kit.client();
    own.call(Status {}).expect("answered");
    let memory_before = memory(kit);
    let descriptors_before = descriptors(kit).len();
    let until = Instant::now() + time;
    let (mut answers, mut most, mut visits) = (Vec::new(), 0, 0);
    thread::scope(|scope| {
        let hostile: Vec<_> = (0..clients)
            .map(|n| {
                let (uid, kind) = (uids[n % uids.len()], KINDS[n / uids.len() % KINDS.len()].1);
                scope.spawn(move || visit_again_and_again(kit, uid, kind, until))
            })
            .collect();
        while Instant::now() < until {
            let asked = Instant::now();
            own.call(Status {}).expect("answered");
            answers.push(asked.elapsed());
            most = memory(kit).max(most);
            // A person's or a program's pace.
            thread::sleep(Duration::from_millis(2));
        }
        visits = hostile.into_iter().map(|hostile| hostile.join().expect("no panic")).sum();
    });
    answers.sort();
    let left = std::cell::Cell::new(0);
    // The last of them may still be taking their leave.
    let settled = Instant::now() + Duration::from_secs(10);
    let back = || {
        left.set(descriptors(kit).len());
        let work = if Instant::now() > settled { OWN_WORK } else { 0 };
        left.get() <= descriptors_before + work
    };
    eventually(back, || format!("{descriptors_before} descriptors before, {} after", left.get()));
    Seen {
        answers,
        visits,
        memory: (memory_before, most.max(memory(kit))),
        descriptors: (descriptors_before, left.get()),
    }
}

/// Ours, and as root some that are let in and one that is not.
fn uids() -> Vec<Option<u32>> {
    if nix::unistd::geteuid().is_root() {
        vec![None, Some(54321), Some(54322), Some(54323), Some(54329)]
    } else {
        vec![None]
    }
}

/// A daemon for them to meet.
pub(crate) fn kit() -> Kit {
    let mut kit = Kit::fake();
    if nix::unistd::geteuid().is_root() {
        start_open_to(&mut kit, &[54321, 54322, 54323]);
    } else {
        kit.start_whole();
    }
    kit
}

fn memory(kit: &Kit) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", kit.pid())).expect("the daemon is there");
    let anon = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    anon.and_then(|anon| anon.trim().strip_suffix(" kB")?.parse::<u64>().ok()).expect("a size") * 1024
}

fn visit_again_and_again(kit: &Kit, uid: Option<u32>, kind: Kind, until: Instant) -> u64 {
    if let Some(uid) = uid {
        become_uid(uid);
    }
    let mut visits = 0;
    while Instant::now() < until {
        let Ok(mut stream) = UnixStream::connect(kit.socket()) else { continue };
        let times = [stream.set_read_timeout(Some(STEP)), stream.set_write_timeout(Some(STEP))];
        assert!(times.iter().all(Result::is_ok));
        visits += 1;
        // That the daemon ends it is what it is for.
        let _ = kind(&mut stream, until.min(Instant::now() + VISIT));
        thread::sleep(PAUSE);
    }
    visits
}

/// Waits for the daemon to end it, and reads what it says.
fn linger(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    let mut said = [0; 4096];
    while Instant::now() < until {
        match stream.read(&mut said) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn slow(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    for byte in br#"{"id":1,"call":{"status":{}}"#.iter().cycle() {
        stream.write_all(&[*byte])?;
        linger(stream, until.min(Instant::now() + STEP))?;
        if Instant::now() >= until {
            break;
        }
    }
    Ok(())
}

fn huge_line(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    stream.write_all(b"{")?;
    stream.write_all(&vec![b'x'; 4 << 20])?;
    linger(stream, until)
}

fn huge_frame(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    stream.write_all(&binary::PREAMBLE)?;
    stream.write_all(&binary::frame(&Hello::of("hostile")))?;
    stream.write_all(&(1_u32 << 20).to_le_bytes())?;
    stream.write_all(&vec![0xfd; 1 << 20])?;
    stream.write_all(&u32::MAX.to_le_bytes())?;
    linger(stream, until)
}

fn garbage(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(stream.as_raw_fd().unsigned_abs());
    let mut bytes = vec![b'{'];
    for _ in 0..8192 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    stream.write_all(&bytes)?;
    linger(stream, until)
}

fn deep(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    let line = [br#"{"id":1,"call":"#.to_vec(), vec![b'['; 900 << 10], b"\n".to_vec()].concat();
    while Instant::now() < until {
        stream.write_all(&line)?;
        linger(stream, until.min(Instant::now() + PAUSE))?;
    }
    Ok(())
}

fn descriptor_bomb(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    let file = std::fs::File::open("/dev/zero")?;
    let sent = vec![file.as_raw_fd(); 250];
    while Instant::now() < until {
        let data = [IoSlice::new(b"{\"id\":1,\"call\":{\"status\":{}}}\n")];
        sendmsg::<()>(stream.as_raw_fd(), &data, &[ControlMessage::ScmRights(&sent)], MsgFlags::MSG_NOSIGNAL, None)?;
        linger(stream, until.min(Instant::now() + STEP))?;
    }
    Ok(())
}

fn half_open(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    stream.write_all(b"{\"id\":1,\"call\":{\"events\":{\"follow\":true}}}\n{\"id\":2,\"ca")?;
    stream.shutdown(Shutdown::Write)?;
    linger(stream, until)
}

fn hold(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    stream.write_all(b"{")?;
    let mut left = (1 << 20) - 200;
    while left > 0 && Instant::now() < until {
        match stream.write(&[b'x'; 8192][..left.min(8192)]) {
            Ok(wrote) => left -= wrote,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    linger(stream, until)
}

fn greedy(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    let calls: String = (0..16).map(|id| format!("{{\"id\":{id},\"call\":{{\"events\":{{}}}}}}\n")).collect();
    stream.write_all(calls.as_bytes())?;
    thread::sleep(until.saturating_duration_since(Instant::now()));
    Ok(())
}

fn deaf(stream: &mut UnixStream, until: Instant) -> io::Result<()> {
    for id in 0_u64.. {
        let verb = ["config_show", "pin_ls", "events", "status"][(id % 4) as usize];
        let wrote = stream.write_all(format!("{{\"id\":{id},\"call\":{{\"{verb}\":{{}}}}}}\n").as_bytes());
        if Instant::now() >= until {
            return Ok(());
        }
        // Full: it stays so.
        if wrote.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
            break;
        }
    }
    Ok(())
}

#[test]
fn hostile_clients_of_every_kind_keep_nobody_from_an_answer_and_leave_nothing_behind() {
    let kit = kit();
    let seen = attack(&kit, 3 * KINDS.len(), Duration::from_secs(3));
    assert!(!seen.answers.is_empty() && seen.visits >= 27, "{} answers, {} visits", seen.answers.len(), seen.visits);
    let (before, most) = seen.memory;
    assert!(most < before + (64 << 20), "{before} bytes before, {most} at most");
    assert!(seen.descriptors.1 <= seen.descriptors.0 + OWN_WORK, "{:?}", seen.descriptors);
    assert_eq!(kit.status().daemon.actors.iter().map(|actor| actor.restarts).sum::<u64>(), 0, "{}", kit.log());
}

/// As many as there are places for, but some, each of which is owed more than a connection may hold.
#[test]
fn clients_that_ask_for_all_and_read_nothing_have_little_held_for_them() {
    const DEAF: usize = 240;
    const CALLS: u64 = 16;
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut own = kit.client();
    // Each refusal leaves a line of half a kilobyte in the log.
    for _ in 0..1000 {
        let cid = "x".repeat(400);
        own.call(proto_msgs::pin::PinRm { cid }).expect_err("it is none");
    }
    own.call(Status {}).expect("answered");
    let before = memory(&kit);
    let calls: String =
        (0..CALLS).map(|id| format!("{{\"id\":{id},\"call\":{{\"log\":{{\"lines\":2000}}}}}}\n")).collect();
    let deaf: Vec<_> = (0..DEAF)
        .map(|_| {
            let mut stream = UnixStream::connect(kit.socket()).expect("a place");
            stream.write_all(calls.as_bytes()).expect("sent");
            stream
        })
        .collect();
    // Until it holds no more than a moment ago, many times in a row.
    let (mut most, mut looks) = (0, 0);
    while looks < 40 {
        own.call(Status {}).expect("answered");
        let now = memory(&kit);
        looks = if now > most + (256 << 10) { 0 } else { looks + 1 };
        most = most.max(now);
        thread::sleep(STEP);
    }
    assert!(most < before + (64 << 20), "{before} bytes before, {most} at most");
    drop(deaf);
}
