//! A program that is run to its end: `ipfs init`, and the hook. Blocks.

use super::orphans;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a command to its end; otherwise says why not, in its own words where it has some.
pub(super) fn run(mut command: Command, deadline: Duration) -> Result<(), String> {
    let words = |error: io::Error| error.to_string();
    // A file and not a pipe: a pipe can be full, and can be held open by somebody else.
    let mut said = tempfile::tempfile().map_err(words)?;
    // A group of its own: what it starts ends with it, and a terminal's Ctrl-C is for the daemon.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone().map_err(words)?);
    let mut child = orphans::spawn(&mut command).map_err(words)?;
    let waited = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).and_then(|pidfd| {
        let deadline = Timespec { tv_sec: deadline.as_secs().cast_signed(), tv_nsec: deadline.subsec_nanos().into() };
        rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&deadline)))
    });
    if !matches!(waited, Ok(1)) {
        // It was not waited for, so its PID, and with it the group's id, is still its own. An error means that it is gone.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait();
    orphans::waited(child.id());
    let status = status.map_err(words)?;
    match waited {
        Ok(1) if status.success() => Ok(()),
        Ok(1) => {
            let mut text = Vec::new();
            // What it said is an extra.
            let _ = said.rewind().and_then(|()| said.take(1 << 16).read_to_end(&mut text));
            let text = String::from_utf8_lossy(&text);
            Err(text.trim().lines().last().map_or_else(|| status.to_string(), str::to_owned))
        }
        Ok(_) => Err(format!("it took longer than {} s", deadline.as_secs())),
        Err(error) => Err(words(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut command = Command::new("/bin/sleep");
        command.arg("100");
        assert_eq!(run(command, Duration::from_millis(20)), Err("it took longer than 0 s".to_owned()));
    }
}
