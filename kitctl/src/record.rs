//! `access record`: one access from the command line, or many from standard input, in batches with names, so that one whose answer is
//! lost can be sent again and counts once.

use crate::args::Format;
use crate::ask::Ask;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::output::{Bar, Out};
use proto_msgs::access::{AccessRecord, AccessRecorded, AccessSeen};
use proto_msgs::{ClientError, Fault, FaultKind};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes as JSON with which a batch is full, about, and of an access in it besides what its line says: a request may have 1 MiB.
const BYTES: usize = 880 << 10;
const FIELDS: usize = 100;
/// A line that is longer is no access.
const LONGEST: u64 = 16 << 10;
/// What came is not kept back for longer than this, unless it is to have the same name when it comes again.
const GATHER: Duration = Duration::from_millis(200);
/// For so long a batch is sent again when nobody answers, without `--timeout`.
const PATIENCE: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(100);

/// How it is recorded.
pub(crate) struct How {
    pub(crate) durable: bool,
    /// The name of what is recorded.
    pub(crate) batch: Option<String>,
}

/// One access.
pub(crate) fn one(ask: &mut Ask, out: &mut Out, how: How, seen: AccessSeen) -> Result<u8, Failure> {
    let named = how.batch.map_or_else(random, Ok)?;
    let told = send(ask, AccessRecord { accesses: vec![seen], durable: how.durable, batch: Some(named) });
    let told = told.map_err(|failure| match failure {
        Failure::Client(ClientError::Fault(mut fault)) => {
            fault.detail = number(&fault).1.to_owned();
            Failure::Client(fault.into())
        }
        failure => failure,
    })?;
    tell(out, &told)?;
    Ok(exit::OK)
}

/// The accesses on standard input. What was said for all of them stands in the place of what a line does not say.
pub(crate) fn lines(ask: &mut Ask, out: &mut Out, how: How, all: AccessSeen) -> Result<u8, Failure> {
    // Whoever sends the same lines again under this name sends the same batches, whenever each line comes.
    let wait = how.batch.is_none().then_some(GATHER);
    let name = how.batch.clone().map_or_else(random, Ok)?;
    let texts = [&all.at, &all.path, &all.op, &all.by].into_iter().flatten();
    let added = FIELDS + texts.map(String::len).sum::<usize>();
    let lines = read();
    let mut told = AccessRecorded { taken: 0, repeated: false, durable: how.durable };
    let mut bar = Bar::new();
    let mut batches = 0_u64;
    let done = loop {
        let batch = gather(&lines, added, wait);
        // Ended by a line that is put right later, it would be another one then.
        let cut = wait.is_none() && matches!(batch.end, End::Failed(_));
        if !batch.lines.is_empty() && !cut {
            batches += 1;
            match batch.send(ask, &how, format!("{name}.{batches}"), &all) {
                Ok(recorded) => {
                    told.taken += recorded.taken;
                    told.repeated |= recorded.repeated;
                    bar.show(&format!("recorded {}", counted(told.taken, "access")));
                }
                Err(failure) => break Err(failure),
            }
        }
        match batch.end {
            End::More => {}
            End::All => break Ok(exit::OK),
            End::Failed(error) => break Err(Failure::Input(error)),
        }
    };
    bar.clear();
    if done.is_ok() || told.taken > 0 {
        tell(out, &told)?;
    }
    done
}

fn tell(out: &mut Out, told: &AccessRecorded) -> Result<(), Failure> {
    match out.format {
        Format::Table => {
            let known = if told.repeated { "; what was known already is not counted again" } else { "" };
            out.line(format!("recorded {}{known}", counted(told.taken, "access")))
        }
        _ => out.answer(told),
    }
}

/// Lines of standard input with their numbers, read by a thread that ends with this process: so what came can go to the daemon while
/// nothing comes.
type Lines = Receiver<(u64, io::Result<String>)>;

fn read() -> Lines {
    let (send, lines) = sync_channel(AccessRecord::MAX);
    thread::spawn(move || {
        let mut input = BufReader::with_capacity(64 << 10, io::stdin());
        for number in 1.. {
            match line(&mut input).transpose() {
                Some(Ok(line)) if line.trim().is_empty() => {}
                Some(line) => {
                    let last = line.is_err();
                    if send.send((number, line)).is_err() || last {
                        return;
                    }
                }
                None => return,
            }
        }
    });
    lines
}

fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut line = Vec::new();
    match input.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line)? as u64 {
        0 => Ok(None),
        read if read > LONGEST => Err(wrong(format!("it is longer than {LONGEST} bytes, which no access is"))),
        _ => String::from_utf8(line).map(Some).map_err(|_| wrong("it is not UTF-8".to_owned())),
    }
}

/// Lines that go to the daemon together.
struct Batch {
    lines: Vec<(u64, String)>,
    end: End,
}

/// What comes after them.
enum End {
    More,
    All,
    Failed(io::Error),
}

/// Takes lines until there are enough, or until so long after the first; so many bytes are added to each. Whether there are enough does
/// not hang on the line that comes next: that may be a wrong one, and another when all is sent again.
fn gather(lines: &Lines, added: usize, wait: Option<Duration>) -> Batch {
    let (mut batch, mut bytes) = (Batch { lines: Vec::new(), end: End::More }, 0);
    let mut until = None;
    loop {
        let came = match until {
            None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => lines.recv_timeout(Instant::saturating_duration_since(&until, Instant::now())),
        };
        match came {
            Ok((number, Ok(line))) => {
                bytes += line.len() + added;
                batch.lines.push((number, line));
                until = until.or_else(|| Some(Instant::now() + wait?));
                if batch.lines.len() == AccessRecord::MAX || bytes >= BYTES {
                    return batch;
                }
            }
            Ok((number, Err(error))) => {
                batch.end = End::Failed(io::Error::new(error.kind(), format!("line {number}: {error}")));
                return batch;
            }
            Err(RecvTimeoutError::Timeout) => return batch,
            Err(RecvTimeoutError::Disconnected) => {
                batch.end = End::All;
                return batch;
            }
        }
    }
}

impl Batch {
    fn send(&self, ask: &mut Ask, how: &How, name: String, all: &AccessSeen) -> Result<AccessRecorded, Failure> {
        let begin = self.lines.first().map_or(1, |(number, _)| *number);
        let accesses = self.lines.iter().map(|(number, line)| {
            let wrong = |why: String| {
                let why = format!("line {number}: {why}; nothing from line {begin} on is recorded");
                Failure::Input(io::Error::new(io::ErrorKind::InvalidData, why))
            };
            let seen: AccessSeen =
                serde_json::from_str(line).map_err(|error| wrong(format!("it is no access: {error}")))?;
            if seen.cid.is_empty() {
                return Err(wrong("it has no cid".to_owned()));
            }
            let AccessSeen { cid, at, path, bytes, offset, op, by } = seen;
            Ok(AccessSeen {
                cid,
                at: at.or_else(|| all.at.clone()),
                path: path.or_else(|| all.path.clone()),
                bytes: bytes.or(all.bytes),
                offset: offset.or(all.offset),
                op: op.or_else(|| all.op.clone()),
                by: by.or_else(|| all.by.clone()),
            })
        });
        let accesses = accesses.collect::<Result<Vec<_>, _>>()?;
        let told = send(ask, AccessRecord { accesses, durable: how.durable, batch: Some(name) });
        told.map_err(|failure| match failure {
            Failure::Client(ClientError::Fault(mut fault)) => {
                let (number, detail) = number(&fault);
                let line = number.and_then(|number| self.lines.get(number.checked_sub(1)?));
                let which = match (line, self.lines.last()) {
                    (Some((line, _)), _) => format!("line {line}: "),
                    (None, Some((last, _))) => format!("lines {begin} to {last}: "),
                    (None, None) => String::new(),
                };
                fault.detail = format!("{which}{detail}");
                if begin > 1 {
                    let hint = format!(
                        "the lines before line {begin} are recorded, and none from there on: mend it, and go on there"
                    );
                    fault.hint = Some(hint);
                }
                Failure::Client(fault.into())
            }
            failure => failure,
        })
    }
}

/// The number of the access that a fault is about, and what is wrong with it.
fn number(fault: &Fault) -> (Option<usize>, &str) {
    let named = || {
        let (which, detail) = fault.detail.strip_prefix("access ")?.split_once(": ")?;
        let (number, _) = which.split_once(" of ")?;
        Some((number.parse().ok()?, detail))
    };
    named().map_or((None, &fault.detail), |(number, detail)| (Some(number), detail))
}

/// Records, and does so again while nobody answers or there is too much to do: under its name it counts once.
fn send(ask: &mut Ask, verb: AccessRecord) -> Result<AccessRecorded, Failure> {
    let began = Instant::now();
    let patience = ask.global().timeout.unwrap_or(PATIENCE);
    // Whoever was never there is not waited for.
    let mut reached = false;
    loop {
        match ask.call(verb.clone()) {
            Err(failure) if passes(&failure, reached) && began.elapsed() + AGAIN < patience => {
                reached |= !matches!(failure, Failure::Unreachable { .. });
                ask.hang_up();
                thread::sleep(AGAIN);
            }
            done => return done,
        }
    }
}

/// Whether it may go well a moment later.
fn passes(failure: &Failure, reached: bool) -> bool {
    match failure {
        Failure::Unreachable { .. } => reached,
        Failure::Client(ClientError::Fault(fault)) => {
            [FaultKind::Busy, FaultKind::Interrupted, FaultKind::NotReady].contains(&fault.kind)
        }
        Failure::Client(ClientError::Closed | ClientError::Broken(_)) => true,
        _ => false,
    }
}

/// A name that nothing was recorded under.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).map_err(Failure::Input)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
