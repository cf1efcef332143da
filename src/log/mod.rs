//! Where the log goes: the journal when stderr is one, JSON lines when stderr is a pipe or a file, text on a terminal.
//!
//! Nobody waits for it: lines go into a bounded queue, and one thread writes them. What does not fit, because whoever reads is
//! slower or does not read at all, is dropped, counted, and told when the queue has drained.

mod journal;
mod kept;
mod queue;

use crate::ring::Shared;
use kept::Keep;
use proto_msgs::log::LogLine;
use queue::{Lines, Queue};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::panic;
use std::sync::{Arc, LazyLock, OnceLock, mpsc};
use std::thread;
use std::time::Duration;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

/// How long the end of the process waits for a reader of the log, and once more for one of its last words.
const PATIENCE: Duration = Duration::from_secs(2);

static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();
static KEPT: LazyLock<Shared<LogLine>> = LazyLock::new(Shared::default);

/// The newest lines of this process.
pub(crate) fn kept() -> &'static Shared<LogLine> {
    &KEPT
}

/// The log, until it is dropped, which waits a moment for what is not yet written.
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        flush();
    }
}

/// Begins logging. The environment variable `IPFS_KITD_LOG` takes a filter such as `debug` or `info,kubo=warn`; the default is `info`.
pub fn begin() -> io::Result<Log> {
    let said = std::env::var("IPFS_KITD_LOG").ok();
    let registry = tracing_subscriber::registry().with(filter(said.as_deref())).with(Keep(kept()));
    let journal = stderr_is_journal().then(|| journal::sender().ok()).flatten();
    let is_journal = journal.is_some();
    let queue = match journal {
        Some(send) => Queue::start(send, dropped)?,
        None => Queue::start(|line| io::stderr().write_all(line), dropped)?,
    };
    let queue = QUEUE.get_or_init(|| queue).clone();
    if is_journal {
        registry.with(journal::Entries(queue)).init();
    } else if io::stderr().is_terminal() {
        registry.with(fmt::layer().with_writer(Lines(queue)).with_target(false)).init();
    } else {
        registry.with(fmt::layer().json().flatten_event(true).with_writer(Lines(queue))).init();
    }
    // Rust's own hook writes to stderr itself, and would wait for its reader.
    panic::set_hook(Box::new(|panic| {
        let trace = Backtrace::capture();
        match trace.status() {
            BacktraceStatus::Captured => tracing::error!("{panic}\n{trace}"),
            _ => tracing::error!("{panic}"),
        }
    }));
    Ok(Log(()))
}

/// What is audited is logged however little else is, unless the filter speaks of it.
fn filter(said: Option<&str>) -> EnvFilter {
    let filter = said.and_then(|said| EnvFilter::try_new(said).ok()).unwrap_or_else(|| EnvFilter::new("info"));
    let of_audit = |one: &str| one.trim().split('=').next() == Some("audit");
    match "audit=info".parse() {
        Ok(audit) if !said.is_some_and(|said| said.split(',').any(of_audit)) => filter.add_directive(audit),
        _ => filter,
    }
}

fn dropped(lines: u64) {
    tracing::warn!(lines, "{lines} lines of the log were dropped, as nobody read them in time");
}

/// Waits a moment until all is written that was logged so far.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(PATIENCE);
    }
}

/// Writes this to stderr itself, after what was logged, unless nobody reads it.
pub fn last_words(text: &str) {
    flush();
    let (done, written) = mpsc::channel();
    let text = format!("{text}\n");
    let write = move || {
        // Without a stderr there is nobody to tell.
        let _ = io::stderr().write_all(text.as_bytes());
        drop(done);
    };
    if thread::Builder::new().spawn(write).is_ok() {
        // Nothing is ever sent: it ends when it is written, or now.
        let _: Result<(), _> = written.recv_timeout(PATIENCE);
    }
}

// systemd puts device and inode of the stream it made into JOURNAL_STREAM; a redirected stderr has others.
fn stderr_is_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn audited_calls_are_logged_unless_the_filter_speaks_of_them() {
        for said in [None, Some("warn"), Some("off"), Some("info,kubo=warn"), Some("no filter = at all")] {
            assert!(filter(said).to_string().contains("audit=info"), "{said:?}");
        }
        let quiet = filter(Some("info,audit=off")).to_string();
        assert!(quiet.contains("audit=off") && !quiet.contains("audit=info"), "{quiet}");
    }
}
