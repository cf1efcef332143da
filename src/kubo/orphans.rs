//! What Kubo leaves behind. All that descends from it bears a mark in its environment, and what bears the mark is ended when
//! Kubo has ended; nobody else is. An orphan becomes a child of the daemon, which waits for it.
//!
//! As this waits for children that nobody here has started (as PID 1 of a container the daemon has them, too), every child that
//! somebody here waits for is started through [`spawn`], so that its status is not taken away.

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid};
use std::collections::BTreeSet;
use std::io;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The variable that marks a Kubo and what descends from it.
pub(super) const MARK: &str = "IPFS_KITD_RUN";

/// Over all processes, until none with the mark is found.
const PASSES: u32 = 10;

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
pub(super) fn end(marked: &str) {
    for _ in 0..PASSES {
        if !end_all(marked) {
            return;
        }
    }
    tracing::warn!("a process that Kubo has left behind starts others faster than they are ended");
}

/// Whether there were any.
fn end_all(marked: &str) -> bool {
    let all = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let mut any = false;
    for pid in all.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)) {
        // Opened before it is looked at: the signal goes to whom was looked at, or to nobody.
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // The environment of one that has been killed can't be read any more.
        if mark(pid).is_some_and(|mark| mark == marked) {
            tracing::warn!(pid = pid.as_raw_nonzero().get(), "ending a process that Kubo has left behind");
            // An error means that it is gone.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
            any = true;
        }
    }
    any
}

fn children() -> Vec<Pid> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().filter_map(Result::ok);
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pids = |list: String| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>();
    lists.flat_map(pids).filter_map(Pid::from_raw).collect()
}

fn mark(pid: Pid) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    let mut variables = environment.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
    variables.find_map(|variable| Some(variable.strip_prefix(MARK)?.strip_prefix('=')?.to_owned()))
}
