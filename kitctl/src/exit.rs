//! Exit codes, and how a failure is shown.

use proto_msgs::{ClientError, Fault, FaultKind};
use serde::Serialize;
use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;

pub(crate) const OK: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const KUBO_DOWN: u8 = 3;
pub(crate) const NOT_FOUND: u8 = 4;
pub(crate) const UNREACHABLE: u8 = 69;
pub(crate) const STALE: u8 = 75;
pub(crate) const DENIED: u8 = 77;

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody answers at any of these sockets.
    Unreachable(Vec<(PathBuf, io::Error)>),
    /// The conversation failed, or the daemon refused.
    Client(ClientError),
    /// The command line asks for something that does not go.
    Usage(String),
    /// The answer is older than `--max-age`.
    Stale(String),
    /// Standard input cannot be read.
    Input(io::Error),
    /// Standard output cannot be written.
    Output(io::Error),
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

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Unreachable(_) => UNREACHABLE,
            Failure::Client(ClientError::Fault(fault)) => code_of(fault.kind),
            Failure::Client(ClientError::Unreachable { .. }) => UNREACHABLE,
            Failure::Client(_) | Failure::Input(_) | Failure::Output(_) => FAILED,
            Failure::Usage(_) => USAGE,
            Failure::Stale(_) => STALE,
        }
    }

    /// Says on stderr what failed and what to do: as text, or as one JSON document.
    pub(crate) fn show(&self, json: bool) {
        #[derive(Serialize)]
        struct Document {
            error: Shown,
        }
        let shown = self.shown();
        let text = if json {
            serde_json::to_string(&Document { error: shown }).unwrap_or_default() + "\n"
        } else {
            let hint = shown.hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
            format!("error: {}\n{hint}", shown.detail)
        };
        // Without a stderr there is nobody to tell.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn shown(&self) -> Shown {
        let shown = |kind, detail: String, hint: Option<&str>| Shown { kind, detail, hint: hint.map(str::to_owned) };
        match self {
            Failure::Unreachable(tried) => {
                let each = tried.iter().map(|(path, error)| format!("{} ({error})", path.display()));
                let detail = format!("no ipfs-kitd answers; tried {}", each.collect::<Vec<_>>().join(", "));
                shown(
                    "unreachable",
                    detail,
                    Some("start it (`systemctl start ipfs-kitd`, or ipfs-kitd), or name its socket with --socket"),
                )
            }
            Failure::Client(ClientError::Fault(Fault { kind, detail, hint })) => {
                Shown { kind: kind.name(), detail: detail.clone(), hint: hint.clone() }
            }
            Failure::Client(error) => {
                let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                shown("broken", format!("{error}{why}"), Some("`ipfs-kitctl status` shows whether the daemon is there"))
            }
            Failure::Usage(detail) => shown("usage", detail.clone(), Some("--help shows what goes")),
            Failure::Stale(detail) => {
                shown("stale", detail.clone(), Some("`ipfs-kitctl index refresh --wait` renews the index"))
            }
            Failure::Input(error) => shown("input", format!("cannot read standard input: {error}"), None),
            Failure::Output(error) => shown("output", format!("cannot write standard output: {error}"), None),
        }
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
