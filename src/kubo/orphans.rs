//! What Kubo leaves behind, and other programs that the daemon runs. All that descends from one bears a mark in its environment, and
//! what bears the mark is ended when that one has ended; nobody else is. An orphan becomes a child of the daemon, which waits for it.
//!
//! As this waits for children that nobody here has started (as PID 1 of a container the daemon has them, too), every child that
//! somebody here waits for is started through [`spawn`], so that its status is not taken away.

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The variable that marks a run of a program and what descends from it.
pub(super) const MARK: &str = "IPFS_KITD_RUN";

/// Over all processes, until none with the mark is found.
const PASSES: u32 = 10;
/// Bytes that an environment has at most, usually.
const ENVIRONMENT: usize = 64 << 10;
/// After a pass that came upon a process that is just becoming another program.
const EXEC: Duration = Duration::from_millis(10);

static ADOPTING: AtomicBool = AtomicBool::new(false);
static OURS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Has the kernel make orphans below this process its children, from now on and for the whole process.
pub fn adopt() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    ADOPTING.store(true, Ordering::Relaxed);
    Ok(())
}

/// Starts a child that the caller waits for, and then reports to [`waited`].
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    ours.insert(child.id());
    Ok(child)
}

/// A child of [`spawn`] has been waited for.
pub(super) fn waited(pid: u32) {
    OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
}

/// Waits for the orphans that have ended.
pub(super) fn sweep() {
    if !ADOPTING.load(Ordering::Relaxed) {
        return;
    }
    // Held while a child is being started; its end tells of the others, too.
    let Ok(ours) = OURS.try_lock() else { return };
    for pid in children().into_iter().filter(|pid| !ours.contains(&pid.as_raw_nonzero().get().cast_unsigned())) {
        // One that lives is looked at again when it has ended.
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Ends everything that bears this mark, wherever it stands among the processes, and what it starts meanwhile.
pub(super) fn end(marked: &str, whose: &str) {
    for _ in 0..PASSES {
        match end_all(marked, whose) {
            Found::Nothing => return,
            Found::Marked => {}
            Found::Unsure => std::thread::sleep(EXEC),
        }
    }
    tracing::warn!("what {whose} has left behind starts others faster than they are ended");
}

/// What a pass has come upon.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Unsure,
    Marked,
}

fn end_all(marked: &str, whose: &str) -> Found {
    let all = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mut found = Found::Nothing;
    for pid in all.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)) {
        // Opened before it is looked at: the signal goes to whom was looked at, or to nobody.
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let place = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
        // The environment of one that has been killed can't be read any more.
        let Ok(environment) = environment(&place) else { continue };
        let seen = if mark(&environment) == Some(marked) {
            tracing::warn!(pid = pid.as_raw_nonzero().get(), "ending a process that {whose} has left behind");
            // An error means that it is gone.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
            Found::Marked
        } else if environment.is_empty() && was_executing(&place) {
            Found::Unsure
        } else {
            Found::Nothing
        };
        found = found.max(seen);
    }
    found
}

/// In one call where it is no larger than usual: between two the process may become another program, and what was read would end there.
fn environment(place: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(place.join("environ"))?;
    let (mut environment, mut length) = (Vec::new(), 0);
    loop {
        environment.resize(length + ENVIRONMENT, 0);
        match file.read(&mut environment[length..])? {
            0 => break,
            more => length += more,
        }
    }
    environment.truncate(length);
    Ok(environment)
}

/// Whether an environment was empty because its process was just becoming another program: that one is there a moment before its
/// arguments and its environment are.
fn was_executing(place: &Path) -> bool {
    let empty = |name| std::fs::read(place.join(name)).is_ok_and(|bytes| bytes.is_empty());
    // The kernel's own threads, and those that have ended, have no program.
    place.join("exe").read_link().is_ok() && (empty("cmdline") || !empty("environ"))
}

fn children() -> Vec<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(Result::ok);
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pids = |list: String| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>();
    lists.flat_map(pids).filter_map(Pid::from_raw).collect()
}

fn mark(environment: &[u8]) -> Option<&str> {
    let mut variables = environment.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
    variables.find_map(|variable| variable.strip_prefix(MARK)?.strip_prefix('='))
}
