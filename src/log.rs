//! Where the log goes: the journal when stderr is one, JSON lines when stderr is a pipe or a file, text on a terminal.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// Begins logging. The environment variable `IPFS_KITD_LOG` takes a filter such as `debug` or `info,kubo=warn`; the default is `info`.
pub fn begin() {
    let filter = EnvFilter::try_from_env("IPFS_KITD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    if let Some(journal) = stderr_is_journal().then(|| tracing_journald::layer().ok()).flatten() {
        registry.with(journal).init();
    } else if std::io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(std::io::stderr).with_target(false)).init();
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr)).init();
    }
}

// systemd puts device and inode of the stream it made into JOURNAL_STREAM; a redirected stderr has others.
fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}
