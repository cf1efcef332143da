//! The process that answers `ipfs-kitctl --offline`, so that the client itself needs neither DuckDB nor Parquet.
//!
//! `ipfs-kitd __offline index|files [<data dir>]`, its standard input a socket on which it speaks the protocol's JSON form. It answers from
//! the snapshots of that data dir, or of the first usual one that has any: `index` reads the newest good one whole, `files` looks at what there is. It ends with its
//! client, has limits of memory, time and file size, opens no socket and writes no file. Where there is nothing to answer from it says why
//! on stderr and exits with the code that the client then has.

use crate::config::{Config, Flags};
use crate::confine::confine;
use crate::exit;
use crate::fault::chain;
use crate::index::frozen::{Frozen, Parts};
use crate::snapshot::answer;
use crate::snapshot::place::{Place, regular};
use proto_msgs::snapshot::{SnapshotLs, SnapshotPath, SnapshotVerify};
use proto_msgs::verb::{Body, Call, Done, Request, Response, Verb};
use proto_msgs::{Fault, FaultKind, MAX_REQUEST, json};
use rustix::process::Resource;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The first argument that selects this mode.
pub const MODE: &str = "__offline";

/// The data dir of the unit.
const SERVICE: &str = "/var/lib/ipfs-kitd";

/// Exit codes as the client has them.
pub(crate) const USAGE: u8 = 2;
const UNAVAILABLE: u8 = 69;
const DENIED: u8 = 77;

const LIMITS: [(Resource, u64); 4] =
    [(Resource::As, 8 << 30), (Resource::Cpu, 3600), (Resource::Fsize, 0), (Resource::Core, 0)];

/// Why it ends: the exit code, and what stands on stderr.
pub(crate) struct Refusal(pub(crate) u8, pub(crate) String);

impl Refusal {
    /// Says it.
    pub(crate) fn tell(self) -> ExitCode {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr(), "{}", self.1);
        ExitCode::from(self.0)
    }
}

/// Answers until the client hangs up.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let what = args.next();
    let done = match what.as_deref().and_then(|what| what.to_str()) {
        Some(what @ ("index" | "files")) => confined(what == "index", args.next().map(PathBuf::from)),
        _ => Err(Refusal(USAGE, "this mode is for ipfs-kitctl".to_owned())),
    };
    match done {
        Ok(()) => ExitCode::from(exit::OK),
        Err(refusal) => refusal.tell(),
    }
}

fn confined(index: bool, dir: Option<PathBuf>) -> Result<(), Refusal> {
    let broken = |error: io::Error| Refusal(exit::FAILED, format!("cannot talk to the client: {error}"));
    confine(&LIMITS).map_err(|error| Refusal(exit::FAILED, format!("cannot set its limits: {error}")))?;
    let mut out = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().map_err(broken)?);
    let mut requests = BufReader::new(out.try_clone().map_err(broken)?);
    let mut source = None;
    loop {
        let mut line = Vec::new();
        let read = requests.by_ref().take(MAX_REQUEST as u64).read_until(b'\n', &mut line).map_err(broken)?;
        if read == 0 {
            return Ok(());
        }
        let (id, body) = match json::parse_request(&line) {
            Err((id, fault)) => (id, Body::Fault(fault)),
            Ok(Request { id, call, .. }) => {
                let source = match &mut source {
                    Some(source) => source,
                    // Not before it is wanted.
                    none => none.insert(Source::of(index, find(dir.clone())?)?),
                };
                let answer =
                    source.answer(call, &mut |part| send(&mut out, id, Body::Part(part)).map_err(|_| gone()))?;
                (id, answer.unwrap_or_else(|| Err(unanswerable())).map_or_else(Body::Fault, Body::Done))
            }
        };
        send(&mut out, id, body).map_err(broken)?;
    }
}

fn send(out: &mut UnixStream, id: u64, body: Body) -> io::Result<()> {
    out.write_all(&json::response_line(&Response { id, body }))
}

/// What answers.
enum Source {
    Index(Box<Frozen>),
    Files(Place),
}

impl Source {
    fn of(index: bool, place: Place) -> Result<Source, Refusal> {
        if !index {
            return Ok(Source::Files(place));
        }
        let frozen = Frozen::read(&place).map_err(|reasons| unusable(&place, &reasons))?;
        Ok(Source::Index(Box::new(frozen)))
    }

    fn answer(&self, call: Call, parts: &mut Parts<'_>) -> Result<Option<Result<Done, Fault>>, Refusal> {
        Ok(match (self, call) {
            (Source::Index(frozen), call) => frozen.answer(call, parts),
            (Source::Files(place), Call::SnapshotLs(_)) => Some(answer::list(place).map(SnapshotLs::done)),
            (Source::Files(place), Call::SnapshotPath(_)) => {
                Some(Ok(SnapshotPath::done(answer::chosen(place).map_err(|reasons| unusable(place, &reasons))?)))
            }
            (Source::Files(place), Call::SnapshotVerify(ask)) => {
                Some(answer::verify(place, &ask).map(SnapshotVerify::done))
            }
            _ => None,
        })
    }
}

/// The snapshots of the first directory that has any: those of another one may be another node's.
pub(crate) fn find(dir: Option<PathBuf>) -> Result<Place, Refusal> {
    let (mut tried, mut code) = (String::new(), UNAVAILABLE);
    for dir in dir.map_or_else(usual, |dir| Ok(vec![dir]))? {
        let place = Place::at(&dir.join("snapshots"));
        let reason = match place.names() {
            Ok(names) if !names.is_empty() => return Ok(place),
            Ok(_) => nothing(&dir, place.dir()),
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    code = DENIED;
                }
                error.to_string()
            }
        };
        tried += &format!("\n  tried {} ({reason})", place.dir().display());
    }
    Err(Refusal(code, format!("there is no snapshot to read{tried}")))
}

/// None of them is good.
pub(crate) fn unusable(place: &Place, reasons: &[String]) -> Refusal {
    let reasons: String = reasons.iter().map(|reason| format!("\n  {reason}")).collect();
    let code = if is_denied(place) { DENIED } else { UNAVAILABLE };
    Refusal(code, format!("no snapshot in {} can be used{reasons}", place.dir().display()))
}

/// Whether another user might read them.
fn is_denied(place: &Place) -> bool {
    let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let names = place.names().unwrap_or_default();
    names.into_iter().any(|name| match std::fs::read_dir(place.path(name)) {
        Ok(files) => files.flatten().any(|file| regular(&file.path()).is_err_and(denied)),
        Err(error) => denied(error),
    })
}

/// The data dir that a daemon of the caller's would have, or, where nobody has set one, the service's after it.
fn usual() -> Result<Vec<PathBuf>, Refusal> {
    let config = Config::load(&Flags::default()).map_err(|error| {
        Refusal(UNAVAILABLE, format!("{}; mend that, or name the data directory with --data-dir", chain(&error)))
    })?;
    let set = config.settings.iter().any(|setting| setting.key == "data_dir" && setting.source != "default");
    let service = (!set).then(|| PathBuf::from(SERVICE));
    Ok([config.data_dir].into_iter().chain(service).collect())
}

fn nothing(dir: &Path, snapshots: &Path) -> String {
    match (dir.exists(), snapshots.exists()) {
        (_, true) => "no snapshot in it",
        (true, _) => "the daemon has published none there",
        _ => "no such data directory",
    }
    .to_owned()
}

fn unanswerable() -> Fault {
    Fault::new(FaultKind::Conflict, "a snapshot cannot answer this").hint("ask the daemon: leave out --offline")
}

fn gone() -> Fault {
    Fault::new(FaultKind::Cancelled, "the client hung up")
}
