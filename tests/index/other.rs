//! A test that runs once more as another process, to be killed or to have its system calls fail.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the directory to the other process.
pub(crate) const ROLE: &str = "IPFS_KITD_INDEX_TEST_DIR";

/// The directory, in the other process.
pub(crate) fn role() -> Option<PathBuf> {
    std::env::var_os(ROLE).map(PathBuf::from)
}

/// Says to the parent that the other process has come so far, and waits to be killed.
pub(crate) fn ready() -> ! {
    writeln!(std::io::stdout(), "ready").expect("a parent that listens");
    loop {
        std::thread::park();
    }
}

/// This test as another process, not started.
pub(crate) fn command(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture"]).env(ROLE, dir).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// Says on the test's own output that it did not run, and why.
pub(crate) fn skipped(what: &str, why: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED: {what}: {why}\n").as_bytes());
}
