//! `lock wait`: returns when the repo is free. Woken by the end of the process that has it, and by our own Kubo's; what nobody
//! tells, such as the end of a process of another PID namespace, is asked for now and then.

use super::actor::Janitor;
use crate::board::Board;
use crate::fault::ask;
use kameo::actor::ActorRef;
use proto_msgs::lock::{LockCheck, LockFile, LockFree, LockReport, LockRole, Verdict};
use proto_msgs::{Fault, FaultKind};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Between two questions that nothing gave rise to.
const LOOK: Duration = Duration::from_secs(1);

/// Runs in the caller's task, and so ends when the caller hangs up.
pub async fn until_free(janitor: &ActorRef<Janitor>, board: &Board) -> Result<LockFree, Fault> {
    let began = Instant::now();
    let mut kubo = board.kubo.subscribe();
    loop {
        kubo.mark_unchanged();
        if kubo.borrow().repo.is_none() {
            return Err(no_repo());
        }
        let holder = match ask(janitor, LockCheck {}).await {
            Ok(report) if is_free(&report) => return Ok(LockFree { waited_s: began.elapsed().as_secs_f64() }),
            Ok(report) => report.locks.iter().filter(|lock| is_in_use(lock)).find_map(|lock| lock.holder_pid),
            // The janitor is being restarted, or the disk is slow: the next look may tell.
            Err(fault) if matches!(fault.kind, FaultKind::Interrupted | FaultKind::Timeout | FaultKind::Busy) => None,
            Err(fault) => return Err(fault),
        };
        tokio::select! {
            () = end_of(holder) => {}
            _ = kubo.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn no_repo() -> Fault {
    let detail = "the Kubo that is followed has no repo that is known here, and so no lock to wait for";
    Fault::new(FaultKind::NotOurs, detail).hint("name its repo with --ipfs-path; `ipfs-kitctl wait` waits for Kubo")
}

/// Whether nobody has the repo, our own Kubo included, and nothing is in the way of a start.
fn is_free(report: &LockReport) -> bool {
    !report.locks.iter().any(|lock| lock.blocks || is_in_use(lock))
}

fn is_in_use(lock: &LockFile) -> bool {
    let locks = [LockRole::RepoLock, LockRole::OldLock, LockRole::Datastore];
    lock.verdict == Verdict::Live && locks.contains(&lock.role)
}

async fn end_of(pid: Option<u32>) {
    let pid = pid.and_then(|pid| Pid::from_raw(pid.cast_signed()));
    match pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()).and_then(watch) {
        // However that ends, the kernel is asked next.
        Some(pidfd) => drop(pidfd.readable().await),
        None => std::future::pending().await,
    }
}

#[expect(unsafe_code, reason = "tokio wants a promise about the descriptor")]
fn watch(pidfd: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned, open, and stays the same one for as long as it is watched.
    unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.ok()
}
