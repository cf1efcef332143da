//! The last resort: once a stop has been asked for, the process ends, whatever hangs.
//!
//! The ordered stop (`app.rs`) bounds each of its steps, but on a runtime that a thread in the kernel's hands can hold up. This has
//! a thread and a runtime of its own, and hears the signals itself. It does Kubo's part of the stop where nobody else has done it, and
//! ends the process at the deadline.

use crate::board::Board;
use crate::config::Config;
use crate::kubo::process::Spawner;
use crate::{exit, log};
use futures_util::StreamExt;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// For the stop, besides what Kubo takes: a half for what comes before it and has bounds of 15 s together, and a half for what comes after.
const MARGIN: Duration = Duration::from_secs(45);

/// What it looks at and acts on.
pub struct LastResort {
    /// Says when a stop was asked for by other means than a signal.
    pub board: Arc<Board>,
    /// Kubo's grace.
    pub config: watch::Receiver<Arc<Config>>,
    /// Who holds Kubo.
    pub spawner: Spawner,
}

impl LastResort {
    /// Begins to wait for a stop.
    pub fn start(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _within = runtime.enter();
            Signals::new([SIGTERM, SIGINT])?
        };
        let wait = move || runtime.block_on(self.wait(signals));
        thread::Builder::new().name("last-resort".to_owned()).spawn(wait).map(drop)
    }

    async fn wait(self, mut signals: Signals) {
        let mut stopping = self.board.stopping.subscribe();
        tokio::select! {
            _ = stopping.wait_for(Option::is_some) => {}
            _ = signals.next() => {}
        }
        let asked = Instant::now();
        let grace = self.config.borrow().stop_grace;
        sleep(margin() / 2).await;
        // Of a Kubo that has ended, or had its signal, this is no more than the wait for its end.
        self.spawner.end(grace).await;
        sleep(margin() / 2).await;
        let after = asked.elapsed().as_secs();
        tracing::error!(
            "something hangs: not stopped {after} s after that was asked for, so the process ends by force"
        );
        log::flush();
        // Without what else is done at an exit, which may hang as well.
        signal_hook::low_level::exit(exit::FAILED.into());
    }
}

/// Shorter where a test says so.
fn margin() -> Duration {
    let shorter = if cfg!(debug_assertions) { std::env::var("IPFS_KITD_TEST_MARGIN_MS").ok() } else { None };
    shorter.and_then(|ms| ms.parse().ok()).map_or(MARGIN, Duration::from_millis)
}
