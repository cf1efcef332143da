//! What runs between fork and exec: a hidden mode of our own program, so that no code of ours runs in a forked copy of a
//! threaded process.
//!
//! `ipfs-kitd __launch-kubo <pid of the daemon> <program> <argument>…`, with the RPC listener as stdin. It asks the kernel for
//! SIGTERM when the spawner thread ends, becomes a process group of its own, enters Kubo's control group if there is one, puts the
//! listener at descriptor 3, says so in `LISTEN_PID`, and becomes Kubo.

use super::cgroup;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{Pid, close, dup2_stdin, execve, getppid, setpgid};
use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

/// The first argument that selects this mode.
pub const MODE: &str = "__launch-kubo";

/// Exit code when Kubo could not be started; Kubo itself uses 0, 1, 2 and 255.
pub const NOT_LAUNCHED: i32 = 127;

/// Where passed descriptors begin.
const FIRST_PASSED: RawFd = 3;

/// Becomes Kubo; returns only when that fails.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let daemon = args.next().and_then(|pid| pid.to_str()?.parse().ok()).map(Pid::from_raw);
    let (Some(daemon), Some(program)) = (daemon, args.next()) else {
        return refuse("this mode is for ipfs-kitd itself", None);
    };
    if let Err(error) = prepare(daemon) {
        return refuse("cannot prepare the start of Kubo", Some(error));
    }
    let what = format!("cannot start {}", program.to_string_lossy());
    match exec(program, args) {
        Err(error) => refuse(&what, Some(error)),
        Ok(never) => match never {},
    }
}

/// Not by `Command`, whose `exec` hands a program of another machine to the shell as a script.
fn exec(program: OsString, args: impl Iterator<Item = OsString>) -> io::Result<Infallible> {
    let text = |bytes: OsString| CString::new(bytes.into_vec());
    let program = text(program)?;
    let args = std::iter::once(Ok(program.clone())).chain(args.map(text)).collect::<Result<Vec<_>, _>>()?;
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        text(name)
    };
    let pid = (OsString::from("LISTEN_PID"), std::process::id().to_string().into());
    let others = std::env::vars_os().filter(|(name, _)| *name != pid.0 && name != cgroup::ENTER);
    let env = others.chain([pid.clone()]).map(variable).collect::<Result<Vec<_>, _>>()?;
    // Rust's start ignores SIGPIPE, and a program would inherit that.
    #[expect(unsafe_code, reason = "the default disposition is no handler of ours")]
    // SAFETY: SIG_DFL runs no code.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    Ok(execve(&program, &args, &env)?)
}

fn prepare(daemon: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    // The daemon may have died before the line above.
    if getppid() != daemon {
        return Err(io::Error::other("the daemon that asked for the start is gone"));
    }
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    if let Some(entrance) = std::env::var_os(cgroup::ENTER) {
        // Outside of it Kubo runs as well; what it leaves behind is then found by its mark alone.
        let _ = std::fs::write(entrance, "0");
    }
    // Whoever started the daemon may have left it something there, as make does. That it is closed already is no error.
    let _ = close(FIRST_PASSED);
    let listener = fcntl(io::stdin(), FcntlArg::F_DUPFD(FIRST_PASSED))?;
    if listener != FIRST_PASSED {
        return Err(io::Error::other(format!("the listener came to descriptor {listener} and not {FIRST_PASSED}")));
    }
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(())
}

fn refuse(what: &str, error: Option<io::Error>) -> ExitCode {
    let why = error.map(|e| format!(": {e}")).unwrap_or_default();
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "ipfs-kitd: {what}{why}");
    ExitCode::from(NOT_LAUNCHED as u8)
}
