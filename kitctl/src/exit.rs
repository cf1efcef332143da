//! Exit codes, and how a failure is shown: on stderr, as text or as one JSON document.
//!
//! SIGINT keeps its default action, so that the caller sees a death by signal (130 in a shell) and the daemon sees a client
//! that hung up, which cancels the call.

use crate::output::{span, tame_json, tame_lines};
use proto_msgs::{ClientError, Fault, FaultKind};
use serde::Serialize;
use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) const OK: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const KUBO_DOWN: u8 = 3;
pub(crate) const NOT_FOUND: u8 = 4;
pub(crate) const UNREACHABLE: u8 = 69;
pub(crate) const STALE: u8 = 75;
pub(crate) const DENIED: u8 = 77;
pub(crate) const NOT_STARTED: u8 = 126;
pub(crate) const NO_COMMAND: u8 = 127;

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody answers at any of these sockets; whether a snapshot could answer instead.
    Unreachable { tried: Vec<(PathBuf, io::Error)>, offline: bool },
    /// Without the daemon there is nothing that could answer: which code, and what was tried.
    Offline(u8, String),
    /// No snapshot was read within `--timeout`.
    Late(Duration),
    /// The conversation failed, or the daemon refused.
    Client(ClientError),
    /// The command line asks for something that does not go.
    Usage(String),
    /// The caller's own command cannot be started: which code, and why.
    Command(u8, String),
    /// The answer is older than `--max-age`, and what makes it newer.
    Stale(String, &'static str),
    /// Something of what `status --check` looks at is not as it should be: which code, and what.
    Degraded(u8, Vec<String>),
    /// The daemon was asked to end and has not yet.
    StillThere,
    /// Standard input cannot be read.
    Input(io::Error),
    /// A file of the caller's choice cannot be read.
    Unread(PathBuf, io::Error),
    /// Standard output cannot be written.
    Output(io::Error),
    /// A file of the caller's choice cannot be written.
    File(PathBuf, io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Client(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

#[derive(Serialize)]
struct Shown {
    kind: &'static str,
    detail: String,
    hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown();
        write!(f, "error: {}", tame_lines(&shown.detail))?;
        shown.hint.map_or(Ok(()), |hint| write!(f, "\nhint: {}", tame_lines(&hint)))
    }
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Unreachable { tried, .. }
                if tried.iter().any(|(_, e)| e.kind() == io::ErrorKind::PermissionDenied) =>
            {
                DENIED
            }
            Failure::Unreachable { .. } => UNREACHABLE,
            Failure::Client(ClientError::Fault(fault)) => code_of(fault.kind),
            Failure::Client(ClientError::Unreachable { .. } | ClientError::Closed | ClientError::Silent(_)) => {
                UNREACHABLE
            }
            Failure::Client(_) | Failure::Late(_) | Failure::StillThere => FAILED,
            Failure::Input(_) | Failure::Output(_) | Failure::File(..) | Failure::Unread(..) => FAILED,
            Failure::Degraded(code, _) | Failure::Offline(code, _) | Failure::Command(code, _) => *code,
            Failure::Usage(_) => USAGE,
            Failure::Stale(..) => STALE,
        }
    }

    /// Says on stderr what failed and what to do: as text, or as one JSON document.
    pub(crate) fn show(&self, json: bool) {
        #[derive(Serialize)]
        struct Document {
            error: Shown,
        }
        let text = if json {
            let mut shown = self.shown();
            shown.detail = shown.detail.replace("\n  ", "; ");
            let text = serde_json::to_string(&Document { error: shown }).unwrap_or_default() + "\n";
            if io::stderr().is_terminal() { tame_json(&text).into_owned() } else { text }
        } else {
            format!("{self}\n")
        };
        // Without a stderr there is nobody to tell.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn shown(&self) -> Shown {
        let shown = |kind, detail: String, hint: Option<&str>| Shown { kind, detail, hint: hint.map(str::to_owned) };
        match self {
            Failure::Unreachable { tried, offline } => {
                let each =
                    tried.iter().map(|(path, error)| format!("\n  tried {} ({})", path.display(), reason(path, error)));
                let detail = format!("no ipfs-kitd answers{}", each.collect::<String>());
                let (kind, hint) = match self.code() {
                    DENIED => ("denied", "the socket is for the user who runs the daemon, and for root"),
                    _ if *offline => (
                        "unreachable",
                        "start it (`systemctl start ipfs-kitd`, or `ipfs-kitd`), name its socket with --socket, or read its newest \
snapshot with --offline",
                    ),
                    _ => (
                        "unreachable",
                        "start it (`systemctl start ipfs-kitd`, or `ipfs-kitd`), or name its socket with --socket",
                    ),
                };
                shown(kind, detail, Some(hint))
            }
            Failure::Offline(DENIED, detail) => {
                shown("denied", detail.clone(), Some("snapshots are for the daemon's user and group, and for root"))
            }
            Failure::Offline(_, detail) => shown(
                "unreachable",
                detail.clone(),
                Some("start the daemon, or name its data directory with --data-dir"),
            ),
            Failure::Client(ClientError::Fault(Fault { kind, detail, hint })) => {
                Shown { kind: kind.name(), detail: detail.clone(), hint: hint.clone() }
            }
            Failure::Client(error) => {
                let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                let kind = if self.code() == UNREACHABLE { "unreachable" } else { "broken" };
                shown(kind, format!("{error}{why}"), Some("the daemon may have ended; its log says why"))
            }
            Failure::Usage(detail) => shown("usage", detail.clone(), Some("--help shows what goes")),
            Failure::Command(_, detail) => shown("command", detail.clone(), None),
            Failure::Stale(detail, hint) => shown("stale", detail.clone(), Some(hint)),
            Failure::Late(time) => shown(
                "timeout",
                format!("the snapshot gave no answer within {}", span(time.as_secs_f64())),
                Some("give it more time with --timeout"),
            ),
            Failure::Degraded(_, reasons) => shown("degraded", reasons.join("; "), None),
            Failure::StillThere => shown(
                "timeout",
                "ipfs-kitd is stopping and has not ended yet".to_owned(),
                Some("it waits for Kubo; `ipfs-kitctl status` shows how far it is"),
            ),
            Failure::Input(error) => shown("input", format!("cannot read standard input: {error}"), None),
            Failure::Unread(path, error) => shown("input", format!("cannot read {}: {error}", path.display()), None),
            Failure::Output(error) => shown("output", format!("cannot write standard output: {error}"), None),
            Failure::File(path, error) => shown("output", format!("cannot write {}: {error}", path.display()), None),
        }
    }
}

/// clap's own errors and its help, in the form that the arguments ask for as far as they can be read.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    let mut json = false;
    while let Some(arg) = args.next() {
        let is_json = |format: &[u8]| matches!(format, b"json" | b"ndjson");
        let bytes = arg.as_bytes();
        let joined = bytes.strip_prefix(b"--output=").or(bytes.strip_prefix(b"-o"));
        json |= arg == "--json" || joined.is_some_and(is_json);
        json |= (arg == "-o" || arg == "--output") && args.peek().is_some_and(|next| is_json(next.as_bytes()));
    }
    if !json || !error.use_stderr() {
        // Help or a message that nobody reads is no failure of its own.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { USAGE } else { OK });
    }
    let text = error.to_string();
    let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Failure::Usage(detail.to_owned()).show(true);
    ExitCode::from(USAGE)
}

/// Why nobody answers at a socket.
fn reason(path: &Path, error: &io::Error) -> String {
    let other = || path.metadata().is_ok_and(|found| !found.file_type().is_socket());
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ConnectionRefused if other() => "it is there and no socket".to_owned(),
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there; a daemon that was killed has left it behind".to_owned()
        }
        _ => error.to_string(),
    }
}

fn code_of(kind: FaultKind) -> u8 {
    match kind {
        FaultKind::Invalid => USAGE,
        FaultKind::NotFound => NOT_FOUND,
        FaultKind::KuboDown => KUBO_DOWN,
        FaultKind::Denied => DENIED,
        FaultKind::Conflict
        | FaultKind::NotReady
        | FaultKind::Busy
        | FaultKind::Timeout
        | FaultKind::Kubo
        | FaultKind::NotOurs
        | FaultKind::Interrupted
        | FaultKind::Cancelled
        | FaultKind::Internal
        | FaultKind::Unknown => FAILED,
    }
}
