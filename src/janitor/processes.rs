//! What the processes of our PID namespace show: whether one is there, since when, and who has a file open.

use super::facts::{Openers, Process};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// When this machine started, by the wall clock as it is set now.
pub(super) fn boot() -> Timestamp {
    let up = clock_gettime(ClockId::Boottime);
    let up = SignedDuration::new(up.tv_sec, i32::try_from(up.tv_nsec).unwrap_or(0));
    Timestamp::now().checked_sub(up).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The process with this number.
pub(super) fn process(pid: u32, boot: Timestamp) -> Process {
    let Some(number) = Pid::from_raw(pid.cast_signed()) else { return Process::Absent };
    match test_kill_process(number) {
        Err(Errno::SRCH) => return Process::Absent,
        // Of another user, and there.
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Process::Unknown(error.to_string()),
    }
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => match started(&stat, rustix::param::clock_ticks_per_second()) {
            Some(after_boot) => Process::Started(boot.checked_add(after_boot).unwrap_or(boot)),
            None => Process::Unknown("its start is not told".to_owned()),
        },
        Err(error) => Process::Unknown(error.to_string()),
    }
}

/// The 22nd field of `/proc/<pid>/stat`; the second is a name in brackets that may hold anything.
fn started(stat: &str, ticks_per_second: u64) -> Option<SignedDuration> {
    let ticks: u64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    let ticks_per_second = ticks_per_second.max(1);
    let millis = (ticks % ticks_per_second) * 1000 / ticks_per_second;
    let seconds = i64::try_from(ticks / ticks_per_second).ok()?;
    Some(SignedDuration::new(seconds, 0) + SignedDuration::from_millis(millis.cast_signed()))
}

/// What people know a process by.
pub(super) fn program(pid: u32) -> Option<String> {
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| path.display().to_string());
    exe.or_else(|| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned()))
}

/// Who else has this file open.
pub(super) fn openers(file: &Metadata) -> Openers {
    match descriptors(file) {
        Ok((found, hidden)) => {
            let mut pids: Vec<u32> = found.into_iter().map(|(pid, _)| pid).collect();
            pids.dedup();
            let named = |pid| (pid, program(pid).unwrap_or_else(|| "?".to_owned()));
            Openers::Known(pids.into_iter().map(named).collect(), hidden)
        }
        Err(error) => Openers::Unknown(error.to_string()),
    }
}

/// A process that shows a `flock` on this file.
pub(super) fn flock_holder(file: &Metadata) -> Option<u32> {
    let locked = |path: &PathBuf| {
        let info = path.to_str().map(|path| path.replace("/fd/", "/fdinfo/"));
        let info = info.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        info.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK"))
    };
    descriptors(file).ok()?.0.into_iter().find(|(_, path)| locked(path)).map(|(pid, _)| pid)
}

/// Every descriptor of another process on this file, in the order of the processes, and how many processes do not show theirs.
fn descriptors(file: &Metadata) -> std::io::Result<(Vec<(u32, PathBuf)>, usize)> {
    let own = std::process::id();
    let mut found = Vec::new();
    let mut hidden = 0;
    for entry in std::fs::read_dir("/proc")?.filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()).filter(|pid| *pid != own)
        else {
            continue;
        };
        match std::fs::read_dir(entry.path().join("fd")) {
            Ok(open) => {
                let paths = open.filter_map(Result::ok).map(|entry| entry.path());
                found.extend(paths.filter(|path| is(path, file)).map(|path| (pid, path)));
            }
            // It has ended.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => hidden += 1,
        }
    }
    Ok((found, hidden))
}

/// Whether a descriptor is on this file, from what the kernel has in memory: a network file system may not answer.
fn is(path: &PathBuf, file: &Metadata) -> bool {
    let flags = AtFlags::STATX_DONT_SYNC;
    statx(CWD, path, flags, StatxFlags::INO).is_ok_and(|found| {
        found.stx_ino == file.ino() && makedev(found.stx_dev_major, found.stx_dev_minor) == file.dev()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_read_behind_whatever_its_name_holds() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 12345 20 21";
        for name in ["ipfs", "a b", "x) R 1", "("] {
            let stat = format!("77 ({name}) {rest}");
            assert_eq!(started(&stat, 100), Some(SignedDuration::new(123, 450_000_000)), "{name}");
        }
        assert_eq!(started("77 (ipfs) S 1", 100), None);
    }

    #[test]
    fn a_process_is_there_since_its_start_and_one_that_was_waited_for_is_absent() {
        let boot = boot();
        let Process::Started(at) = process(std::process::id(), boot) else { panic!("we are there") };
        assert!(at > boot && at <= Timestamp::now(), "{at} {boot}");
        let mut child = std::process::Command::new("/bin/true").spawn().expect("it starts");
        child.wait().expect("waited for");
        assert_eq!(process(child.id(), boot), Process::Absent);
    }

    #[test]
    fn who_has_a_file_open_is_found_by_its_inode_and_we_ourselves_do_not_count() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("f");
        let file = std::fs::File::create(&path).expect("made");
        let found = file.metadata().expect("there");
        // Whatever other tests start has it open for a moment, too.
        let has =
            |pid| matches!(openers(&found), Openers::Known(open, _) if open.iter().any(|(opener, _)| *opener == pid));
        let mut child = std::process::Command::new("/bin/sleep").arg("600").stdin(file).spawn().expect("it starts");
        let (theirs, ours) = (has(child.id()), has(std::process::id()));
        child.kill().expect("killed");
        child.wait().expect("waited for");
        assert_eq!((theirs, ours, has(child.id())), (true, false, false));
    }
}
