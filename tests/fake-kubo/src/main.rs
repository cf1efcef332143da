//! A scripted stand-in for Kubo's `ipfs`, for tests that a real Kubo can't be made to act: it takes the same lock, obeys the
//! same signals, speaks the same RPC on the socket that it is handed, and misbehaves as `$FAKE_KUBO_SCRIPT` says.
//!
//! `hold FILE`, `race REPO` and `swap REPO` are for tests of the lock janitor: holders of real POSIX locks in a process of their own.
//!
//! `$FAKE_KUBO_LOG` gets a line for each thing that happens (`start PID`, `signal 15`, `exit 0`), so that a test can count.

mod daemon;
mod holder;
mod http;
mod pins;
mod script;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["init", ..] => init(),
        ["version", ..] => {
            say("ipfs version 0.43.1");
            ExitCode::SUCCESS
        }
        ["daemon", ..] => daemon::run(&repo()),
        ["hold", path] => holder::hold(path.as_ref()),
        ["swap", repo] => holder::swap(repo.as_ref()),
        ["race", repo, rest @ ..] => holder::race(repo.as_ref(), rest.contains(&"with-datastore")),
        other => fail(&format!("fake-kubo knows init, version, daemon, hold, race and swap, not {other:?}")),
    }
}

fn repo() -> PathBuf {
    std::env::var_os("IPFS_PATH").map_or_else(|| PathBuf::from("/nonexistent"), PathBuf::from)
}

/// Makes a repo with a PeerID of its own, or the one in `$FAKE_KUBO_PEER`.
fn init() -> ExitCode {
    let repo = repo();
    if repo.join("config").exists() {
        return fail("ipfs configuration file already exists!");
    }
    let peer = std::env::var("FAKE_KUBO_PEER").unwrap_or_else(|_| format!("12D3KooWFake{}", std::process::id()));
    let config = serde_json::json!({"Identity": {"PeerID": peer}, "Addresses": {"API": "/ip4/127.0.0.1/tcp/5001"}});
    let spec = r#"{"mounts":[{"mountpoint":"/blocks","path":"blocks","type":"flatfs"},{"mountpoint":"/","path":"datastore","type":"levelds"}],"type":"mount"}"#;
    let made = std::fs::create_dir_all(repo.join("datastore"))
        .and_then(|()| std::fs::write(repo.join("config"), config.to_string()))
        .and_then(|()| std::fs::write(repo.join("datastore_spec"), spec))
        .and_then(|()| std::fs::write(repo.join("version"), "18\n"));
    script::record(&format!("init {}", repo.display()));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

/// A line on stdout, as Kubo prints.
#[expect(clippy::print_stdout, reason = "it stands in for a program that prints")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Kubo's way to refuse: `Error: …` on stderr and exit code 1.
#[expect(clippy::print_stderr, reason = "it stands in for a program that prints")]
pub(crate) fn fail(text: &str) -> ExitCode {
    eprintln!("Error: {text}");
    ExitCode::FAILURE
}
