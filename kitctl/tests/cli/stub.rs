//! A daemon that answers every call by a function of the test, in the form that its test wants, and the built `ipfs-kitctl`.

use jiff::{SignedDuration, Timestamp};
use proto_msgs::binary::{self, Hello};
use proto_msgs::daemon::{ActorReport, DaemonReport, IndexReport, StatusReport};
use proto_msgs::kubo::{KuboMode, KuboReport, KuboState};
use proto_msgs::pin::{Pin, PinPage, PinType, PinsUnderWay, SizeKind, Source};
use proto_msgs::verb::{Body, Call, Request, Response};
use proto_msgs::{Fault, FaultKind, MAX_REQUEST, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

pub(crate) const V0: &str = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG";
pub(crate) const V1: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

/// What the stub says to a call, message by message; an endless one ends when the client hangs up.
type Answers = Box<dyn Iterator<Item = Body>>;

/// Which forms the stub speaks.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Speaks {
    /// Binary, of the same types.
    Binary,
    /// Binary of other types, so only JSON in effect.
    Json,
}

pub(crate) struct Stub {
    dir: tempfile::TempDir,
}

impl Stub {
    /// A stub whose thread lives as long as the test's process.
    pub(crate) fn new(speaks: Speaks, answers: impl Fn(Call) -> Answers + Send + Sync + 'static) -> Stub {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("s")).expect("a socket");
        let answers = Arc::new(answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = answers.clone();
                thread::spawn(move || serve(stream, speaks, &*answers));
            }
        });
        Stub { dir }
    }

    /// A stub that answers each call with one message.
    pub(crate) fn one(answer: impl Fn(Call) -> Body + Send + Sync + 'static) -> Stub {
        Stub::new(Speaks::Binary, move |call| Box::new(std::iter::once(answer(call))))
    }

    /// `ipfs-kitctl` with this stub as its daemon.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = kitctl(args);
        command.env("IPFS_KITD_SOCKET", self.socket());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("ipfs-kitctl runs"))
    }

    /// With text on standard input.
    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(args);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()).expect("written");
        Ran::of(child.wait_with_output().expect("it ends"))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }
}

/// The built program, with nothing of the caller's surroundings.
pub(crate) fn kitctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfs-kitctl"));
    command.args(args).env_clear().stdin(Stdio::null());
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Exit code, stdout, stderr.
    pub(crate) fn all(&self) -> (i32, &str, &str) {
        (self.code.unwrap_or(-1), &self.stdout, &self.stderr)
    }
}

fn serve(mut stream: UnixStream, speaks: Speaks, answers: &dyn Fn(Call) -> Answers) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second descriptor"));
    let Ok([first, ..]) = reader.fill_buf() else { return };
    if *first == binary::FIRST_BYTE {
        let mut preamble = [0; binary::PREAMBLE.len()];
        reader.read_exact(&mut preamble).expect("a preamble");
        binary::read_frame(&mut reader, binary::MAX_HELLO).expect("a hello");
        let mut hello = Hello::of("stub");
        if speaks == Speaks::Json {
            hello.schema = "other".to_owned();
        }
        let _ = stream.write_all(&[&binary::PREAMBLE[..], &binary::frame(&hello)].concat());
        while speaks == Speaks::Binary
            && let Ok(frame) = binary::read_frame(&mut reader, MAX_REQUEST)
        {
            let request: Request = binary::decode(&frame).expect("a request");
            for body in answers(request.call) {
                if stream.write_all(&binary::frame(&Response { id: request.id, body })).is_err() {
                    return;
                }
            }
        }
    } else {
        for line in reader.lines().map_while(Result::ok) {
            let request = json::parse_request(line.as_bytes()).expect("a request");
            for body in answers(request.call) {
                if stream.write_all(&json::response_line(&Response { id: request.id, body })).is_err() {
                    return;
                }
            }
        }
    }
}

pub(crate) fn fault(kind: FaultKind, detail: &str, hint: Option<&str>) -> Body {
    Body::Fault(Fault { kind, detail: detail.to_owned(), hint: hint.map(str::to_owned) })
}

/// So many seconds ago.
pub(crate) fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

pub(crate) fn pin(cid: &str) -> Pin {
    Pin {
        cid: cid.to_owned(),
        name: None,
        pin_type: PinType::Recursive,
        size: None,
        size_kind: SizeKind::Unknown,
        codec: "dag-pb".to_owned(),
        kind: None,
        first_seen: ago(200),
        access_count: None,
        last_access: None,
        hotness: None,
        pattern: None,
        tier: None,
        tags: Vec::new(),
        note: None,
    }
}

pub(crate) fn page(total: u64) -> PinPage {
    PinPage {
        as_of: Some("2026-01-02T03:04:05.678Z".to_owned()),
        age_s: Some(12.5),
        generation: 3,
        complete: true,
        source: Source::Live,
        total,
    }
}

pub(crate) fn kubo(state: KuboState) -> KuboReport {
    KuboReport {
        state,
        since: ago(200),
        held: None,
        pid: (state == KuboState::Running).then_some(77),
        peer_id: Some("12D3KooWPeer".to_owned()),
        version: Some("0.43.1".to_owned()),
        repo: Some("/repo".to_owned()),
        binary: Some("/bin/ipfs".to_owned()),
        mode: KuboMode::Spawn,
        change: None,
        memory: None,
        peers: None,
        newest_line: None,
        last_look: None,
        api: Vec::new(),
        warnings: Vec::new(),
        rpc: "/run/rpc.sock".to_owned(),
        restarts: 0,
        last_exit: None,
        next_retry: None,
    }
}

pub(crate) fn status(state: KuboState) -> StatusReport {
    StatusReport {
        daemon: DaemonReport {
            version: "0.1.0".to_owned(),
            pid: 42,
            started: ago(8000),
            uptime_s: 8000.0,
            data_dir: "/data".to_owned(),
            socket: "/run/s".to_owned(),
            stopping: false,
            actors: vec![ActorReport { name: "indexer".to_owned(), running: true, restarts: 0, last_failure: None }],
        },
        kubo: kubo(state),
        index: IndexReport {
            as_of: Some("2026-01-02T03:04:05.678Z".to_owned()),
            age_s: Some(12.5),
            generation: 3,
            complete: true,
            source: Source::Live,
            pins: 2,
            recursive: 1,
            direct: 1,
            peer_id: None,
            interval_s: 30.0,
            last_refresh_s: Some(0.1),
            failed_refreshes: 0,
            last_error: None,
            recovery: None,
            names_as_of: Some("2026-01-02T03:04:05.678Z".to_owned()),
            paused: false,
            journal_closed: None,
            snapshot_failed: None,
            sizes: None,
            snapshot: None,
        },
        lock: None,
        accesses: Vec::new(),
        detached: PinsUnderWay::default(),
        last_error: None,
    }
}
