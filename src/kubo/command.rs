//! A program that is run to its end: `ipfs init`, the hook, and our own for what is done apart. Blocks.

use super::orphans;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, PipeReader, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is kept of its own words: their end, in bytes.
const WORDS: usize = 1 << 10;
/// As much as may be in the pipe at its end, in pieces of that size.
const REST: usize = (64 << 10) / WORDS;

/// How it came to its end.
enum End {
    ByItself,
    Late,
    Stopped,
}

/// Runs a command to its end, with all that it starts: at the latest after `deadline`, and when the other end of `stop` is closed.
/// Otherwise says why not, in its own words where it has some.
pub(super) fn run(mut command: Command, deadline: Duration, stop: Option<&PipeReader>) -> Result<(), String> {
    command.stdout(Stdio::null());
    to_its_end(command, deadline, stop)
}

/// Has a program do something apart, with nothing of our environment but where libraries are, and gives what it wrote to its
/// stdout, which is a file without a name in `dir`.
pub(crate) fn apart(program: &Path, args: &[OsString], dir: &Path, deadline: Duration) -> Result<File, String> {
    let words = |error: io::Error| error.to_string();
    let mut said = tempfile::tempfile_in(dir).map_err(words)?;
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).env_clear().stdout(said.try_clone().map_err(words)?);
    command.envs(std::env::var_os("LD_LIBRARY_PATH").map(|value| ("LD_LIBRARY_PATH", value)));
    to_its_end(command, deadline, None)?;
    said.rewind().map_err(words)?;
    Ok(said)
}

fn to_its_end(mut command: Command, deadline: Duration, stop: Option<&PipeReader>) -> Result<(), String> {
    let words = |error: io::Error| error.to_string();
    let (mut said, stderr) = io::pipe().map_err(words)?;
    // What it leaves behind may hold the other end open.
    rustix::io::ioctl_fionbio(&said, true).map_err(|error| words(error.into()))?;
    let mark = format!("{:016x}", rand::random::<u64>());
    let name = command.get_program().to_string_lossy().into_owned();
    // A group of its own: a terminal's Ctrl-C is for the daemon.
    command.process_group(0).stdin(Stdio::null()).stderr(stderr).env(orphans::MARK, &mark);
    let mut child = orphans::spawn(&mut command).map_err(words)?;
    let mut tail = Tail(Vec::new());
    let end = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(io::Error::from);
    let end = end.and_then(|child| wait(&child, deadline, stop, &mut said, &mut tail));
    // It was not waited for, so its PID, and with it the group's id, is still its own. An error means that it is gone.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    let status = child.wait();
    orphans::waited(child.id());
    orphans::end(&mark, &name);
    let status = status.map_err(words)?;
    match end {
        Ok(End::ByItself) if status.success() => Ok(()),
        Ok(End::ByItself) => {
            let mut more = 0..REST;
            while more.next().is_some() && tail.read(&mut said) {}
            let text = String::from_utf8_lossy(&tail.0);
            Err(text.trim().lines().last().map_or_else(|| status.to_string(), str::to_owned))
        }
        Ok(End::Late) => Err(format!("it took longer than {} s", deadline.as_secs())),
        Ok(End::Stopped) => Err("the daemon ends".to_owned()),
        Err(error) => Err(words(error)),
    }
}

/// Reads what it says, so that it never waits for a reader, until it has ended or is to end.
fn wait(
    child: &OwnedFd,
    deadline: Duration,
    stop: Option<&PipeReader>,
    said: &mut PipeReader,
    tail: &mut Tail,
) -> io::Result<End> {
    let until = Instant::now() + deadline;
    let mut open = true;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(End::Late);
        }
        let left = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        // In the place of one that is not there stands the child, which is looked at first.
        let stop = stop.map_or(child.as_fd(), AsFd::as_fd);
        let words = if open { said.as_fd() } else { child.as_fd() };
        let mut fds = [child.as_fd(), stop, words].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, Some(&left)) {
            Err(error) if error != rustix::io::Errno::INTR => return Err(error.into()),
            _ => {}
        }
        match fds.map(|fd| !fd.revents().is_empty()) {
            [true, _, _] => return Ok(End::ByItself),
            [_, true, _] => return Ok(End::Stopped),
            [_, _, true] => open = tail.read(said),
            _ => {}
        }
    }
}

/// The end of what was said.
struct Tail(Vec<u8>);

impl Tail {
    /// Whether there may be more.
    fn read(&mut self, said: &mut PipeReader) -> bool {
        let mut piece = [0; WORDS];
        match said.read(&mut piece) {
            Ok(0) => false,
            Ok(length) => {
                self.0.extend(&piece[..length]);
                self.0.drain(..self.0.len().saturating_sub(WORDS));
                true
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    fn sh(script: &str, deadline: Duration) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, deadline, None)
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let ended = sh("exec sleep 100", Duration::from_millis(20));
        assert_eq!(ended, Err("it took longer than 0 s".to_owned()));
    }

    #[test]
    fn a_program_that_fails_is_told_by_the_last_line_that_it_wrote() {
        assert_eq!(sh("echo one >&2; echo two >&2; echo >&2; exit 3", SOON), Err("two".to_owned()));
        assert_eq!(sh("exit 3", SOON), Err("exit status: 3".to_owned()));
        assert_eq!(sh("exec 2>&-; exit 3", SOON), Err("exit status: 3".to_owned()));
    }

    #[test]
    fn of_a_flood_of_words_the_end_is_kept_and_nobody_waits_for_a_reader() {
        assert_eq!(
            sh("head -c 10000000 /dev/zero >&2; echo; echo the end >&2; exit 1", SOON),
            Err("\0".repeat(WORDS - 8) + "the end")
        );
        assert_eq!(sh("head -c 10000000 /dev/zero >&2", SOON), Ok(()));
    }

    /// Runs this shell after it has started one in a session of its own; `stopped`: is stopped when that is there.
    fn with_another_session(then: &str, stopped: bool) -> Result<(), String> {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("pid");
        // It becomes another program all the time, and has no environment in between.
        std::fs::write(file.with_added_extension("again"), "exec sh $0").expect("written");
        let other = format!("echo $$ >{0}.new; mv {0}.new {0}; exec sh {0}.again", file.display());
        let script = format!("setsid sh -c '{other}' & while ! test -e {}; do :; done; {then}", file.display());
        let (stop, running) = io::pipe().expect("a pipe");
        let ended = std::thread::scope(|scope| {
            let ended = scope.spawn(|| {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", &script]);
                run(command, SOON, Some(&stop))
            });
            until(|| file.exists());
            if stopped {
                drop(running);
            }
            ended.join().expect("no panic")
        });
        let stat = format!("/proc/{}/stat", std::fs::read_to_string(&file).expect("written").trim());
        // Killed, though perhaps not gone yet.
        until(|| !std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")));
        ended
    }

    fn until(so: impl Fn() -> bool) {
        let began = Instant::now();
        while !so() {
            assert!(began.elapsed() < SOON);
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_it_has_started_in_a_session_of_its_own_ends_with_it_and_when_it_is_stopped() {
        // As often as it takes to come upon it between two programs.
        for _ in 0..20 {
            assert_eq!(with_another_session("exit 0", false), Ok(()));
        }
        assert_eq!(with_another_session("exec sleep 600", true), Err("the daemon ends".to_owned()));
    }
}
