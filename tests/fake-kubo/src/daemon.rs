//! `ipfs daemon`: lock, readiness, signals, end, in Kubo's order.

use crate::{fail, http, pins, say, script};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

pub(crate) fn run(repo: &Path) -> ExitCode {
    // Before the start: of whoever has one, every signal is counted.
    let Ok(signals) = Signals::new([SIGTERM, SIGINT, SIGHUP]) else { return fail("no signals") };
    script::record(&format!("start {}", std::process::id()));
    say("Initializing daemon...");
    say("Kubo version: 0.43.1");
    if !repo.join("config").exists() {
        return fail(&format!("no IPFS repo found in {}", repo.display()));
    }
    let (lock, datastore) = match take_lock(repo) {
        Ok(locks) => locks,
        Err(text) => return fail(&text),
    };
    let script = script::read();
    if !script.last_words.is_empty() {
        say(&script.last_words);
    }
    if let Some(code) = script.exit_at_start {
        script::record(&format!("exit {code}"));
        return ExitCode::from(code);
    }
    if script.leave_grandchild {
        let child = Command::new("sleep").arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        script::record(&format!("grandchild {}", child.map_or(0, |child| child.id())));
    }
    if script.leave_session {
        let shell = "sleep 600 & echo $! $$; exec sleep 600";
        let mut session = Command::new("setsid");
        if script.unmarked {
            session.env_clear();
        }
        script::record(&format!("session {}", first_line(session.args(["sh", "-c", shell]))));
    }
    if script.leave_zombies > 0 {
        let many = format!("i=0; while [ $i -lt {} ]; do (: &); i=$((i+1)); done; echo done", script.leave_zombies);
        script::record(&format!("zombies {}", first_line(Command::new("sh").args(["-c", &many]))));
    }
    let chunk = [b'x'; 4096];
    for _ in 0..script.flood / chunk.len() {
        let _ = io::stdout().write_all(&chunk);
    }
    let pins = Arc::new(pins::Pins::load(repo));
    if !script.never_ready {
        let Some(listener) = inherited() else { return fail("no socket was passed in") };
        let (pins, peer) = (pins.clone(), peer_id(repo));
        thread::spawn(move || http::serve(&listener, &pins, &peer));
        let _ = std::fs::write(repo.join("api"), "/unix/passed");
        say("Daemon is ready");
        let _ = sd_notify::notify(&[NotifyState::Ready]);
    }
    let taken = vec![1_u8; script.take_memory];
    script::record(&format!("took {}", std::hint::black_box(taken).len()));
    wait_for_the_end(signals);
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let _ = std::fs::remove_file(repo.join("api"));
    drop(datastore);
    let _ = std::fs::remove_file(repo.join("repo.lock"));
    drop(lock);
    script::record("exit 0");
    ExitCode::SUCCESS
}

/// The first signal ends it in order, the second at once and without clean-up, as with Kubo.
fn wait_for_the_end(mut signals: Signals) {
    let mut seen = 0;
    for signal in signals.forever() {
        seen += 1;
        script::record(&format!("signal {signal}"));
        if seen > 1 {
            script::record("exit 255");
            std::process::exit(255);
        }
        if !script::read().ignore_term {
            return;
        }
    }
}

/// What go4.org/lock does on Linux: refuse a file that is not empty, then a POSIX record lock over the whole of it; and
/// leveldb's `flock` in the datastore.
fn take_lock(repo: &Path) -> Result<(File, File), String> {
    let path = repo.join("repo.lock");
    let wait = std::env::var("IPFS_WAIT_REPO_LOCK").ok();
    let wait =
        wait.and_then(|text| text.trim_end_matches('s').parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    let began = Instant::now();
    let lock = loop {
        if path.metadata().is_ok_and(|found| found.len() > 0) {
            return Err(format!("cannot acquire lock: can't Lock file {path:?}: has non-zero size"));
        }
        let file = File::create(&path).map_err(|error| format!("lock {}: {error}", path.display()))?;
        match posix_lock(&file) {
            Ok(()) => break file,
            Err(Errno::EAGAIN | Errno::EACCES) if began.elapsed() < wait => thread::sleep(Duration::from_millis(100)),
            Err(_) => return Err(format!("lock {}: someone else has the lock", path.display())),
        }
    };
    let datastore = File::create(repo.join("datastore/LOCK")).map_err(|error| error.to_string())?;
    datastore.try_lock().map_err(|_| "resource temporarily unavailable".to_owned())?;
    Ok((lock, datastore))
}

/// A POSIX record lock over the whole of a file, or why not.
pub(crate) fn posix_lock(file: &File) -> Result<(), Errno> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_SETLK(&whole)).map(drop)
}

/// What a command says first; it is left to itself then.
fn first_line(command: &mut Command) -> String {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut line = String::new();
    if let Some(said) = child.ok().and_then(|child| child.stdout) {
        let _ = io::BufReader::new(said).read_line(&mut line);
    }
    line.trim().to_owned()
}

#[expect(unsafe_code, reason = "descriptor 3 is ours by the protocol of socket activation")]
fn inherited() -> Option<UnixListener> {
    let mut fds = sd_notify::listen_fds_with_names().ok()?;
    let (fd, _) = fds.find(|(_, name)| name == "io.ipfs.api")?;
    // SAFETY: the launcher passed this descriptor to this process, and nothing else here owns it.
    Some(UnixListener::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn peer_id(repo: &Path) -> String {
    let config = std::fs::read(repo.join("config")).unwrap_or_default();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap_or_default();
    config["Identity"]["PeerID"].as_str().unwrap_or_default().to_owned()
}
