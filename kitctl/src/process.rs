//! The processes that this program starts: `ipfs-kitd` in a hidden mode, so that this program needs neither DuckDB nor Parquet, and what the
//! caller wants to be started.

use crate::exit::{self, Failure};
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

const PROGRAM: &str = "ipfs-kitd";

/// Starts `ipfs-kitd` as `prepare` says: the one beside this program, else the one on PATH.
pub(crate) fn daemon(prepare: impl Fn(&mut Command) -> io::Result<()>) -> Result<Child, Failure> {
    let beside = env::current_exe().ok().map(|this| this.with_file_name(PROGRAM));
    let mut tried = String::new();
    for program in beside.into_iter().chain([PathBuf::from(PROGRAM)]) {
        let mut command = Command::new(&program);
        prepare(&mut command).map_err(|error| cannot("start a process", &error))?;
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) => tried += &format!("\n  tried {} ({error})", program.display()),
        }
    }
    let detail = format!("no {PROGRAM} can be started, which reads snapshots{tried}");
    Err(Failure::Offline(exit::UNREACHABLE, detail))
}

/// Becomes this program, with a descriptor as its standard input. Returns when that does not go.
pub(crate) fn become_command(command: &[OsString], stdin: OwnedFd, env: &[(&str, String)]) -> Failure {
    let Some((program, args)) = command.split_first() else {
        return Failure::Usage("there is no command to start".to_owned());
    };
    let mut command = Command::new(program);
    command.args(args).stdin(stdin).envs(env.iter().map(|(name, value)| (name, value)));
    let error = command.exec();
    // As shells and env(1) have it.
    let code = if error.kind() == io::ErrorKind::NotFound { exit::NO_COMMAND } else { exit::NOT_STARTED };
    Failure::Command(code, format!("{} cannot be started: {error}", program.display()))
}

pub(crate) fn cannot(action: &str, error: &io::Error) -> Failure {
    Failure::Offline(exit::FAILED, format!("cannot {action}: {error}"))
}
