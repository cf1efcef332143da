//! The end of a run: what is kept of it, how it is told, and whether another one would end so again. Pure.

use super::cause;
use super::launch::NOT_LAUNCHED;
use super::repo::held;
use jiff::Timestamp;
use proto_msgs::kubo::{Held, KuboExit};
use std::path::Path;

/// What is kept of an end.
pub(super) fn of(
    code: Option<i32>,
    signal: Option<i32>,
    asked: bool,
    out_of_memory: bool,
    at: Timestamp,
    log: Vec<String>,
) -> KuboExit {
    let cause = match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = nix::sys::signal::Signal::try_from(signal)
                .map_or_else(|_| format!("signal {signal}"), |s| s.to_string());
            let why = if out_of_memory && !asked { ", out of memory" } else { "" };
            format!("killed by {name}{why}")
        }
        (None, None) => "ended without a status".to_owned(),
    };
    KuboExit { at: crate::time::text(at), cause, code, signal, asked, log }
}

/// In one sentence, with the last line that says something where nobody asked for the end.
pub(super) fn told(exit: &KuboExit) -> String {
    match last_line(exit) {
        Some(line) if !exit.asked => format!("{}; its last line: {line}", exit.cause),
        _ => exit.cause.clone(),
    }
}

/// Why it would end so again.
pub(super) fn permanent(exit: &KuboExit, program: Option<&Path>) -> Option<Held> {
    match exit.code {
        Some(NOT_LAUNCHED) => Some(not_launched(program, last_line(exit).unwrap_or_default())),
        code => cause::permanent(code, &exit.log).filter(|_| !exit.asked),
    }
}

fn last_line(exit: &KuboExit) -> Option<&str> {
    exit.log.iter().rev().map(String::as_str).find(|line| !line.is_empty())
}

/// What the end of a run means when Kubo could not even be launched.
fn not_launched(program: Option<&Path>, last_words: &str) -> Held {
    let program = program.unwrap_or(Path::new("Kubo"));
    let detail =
        if last_words.is_empty() { format!("{} cannot be started", program.display()) } else { last_words.into() };
    held("binary_unusable", detail, "install Kubo for this machine, or name it with --kubo")
}
