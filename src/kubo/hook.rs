//! The hook: a program of the operator's that is run when Kubo's state changes, for alerts. No shell comes between; what has
//! happened is in its environment.
//!
//! One at a time, and not more often than every [`PAUSE`]: of several changes meanwhile it is told the newest and how many it was
//! not told. It belongs to no actor, so that none's restart has it told anything twice.

use super::command;
use super::process::clean;
use crate::board::{Board, HookFailure};
use crate::config::Config;
use proto_msgs::event::{Event, KuboChange, What};
use std::io::{self, PipeReader, PipeWriter};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// From the start of one to the start of the next.
const PAUSE: Duration = Duration::from_secs(10);
/// For one; after it the program and what it has started are killed.
const DEADLINE: Duration = Duration::from_secs(30);
/// From its kill to its end; longer only when the kernel has it in uninterruptible sleep.
const KILLED: Duration = Duration::from_secs(2);

/// Whoever follows the events and runs the program.
pub struct Hook {
    /// No more is to be run.
    over: CancellationToken,
    following: JoinHandle<()>,
    /// The one that runs is killed when this is closed.
    running: PipeWriter,
}

impl Hook {
    /// Begins to follow the events.
    pub fn start(board: Arc<Board>, config: watch::Receiver<Arc<Config>>) -> io::Result<Hook> {
        let (stop, running) = io::pipe()?;
        let over = CancellationToken::new();
        let following = tokio::spawn(follow(board, config, over.clone(), Arc::new(stop)));
        Ok(Hook { over, following, running })
    }

    /// For the end of the daemon: none is started any more, and one that runs is killed after `patience`.
    pub async fn end(mut self, patience: Duration) {
        self.over.cancel();
        if timeout(patience, &mut self.following).await.is_err() {
            drop(self.running);
            let _ = timeout(KILLED, self.following).await;
        }
    }
}

async fn follow(
    board: Arc<Board>,
    config: watch::Receiver<Arc<Config>>,
    over: CancellationToken,
    stop: Arc<PipeReader>,
) {
    let mut newest = board.events.newest();
    let mut since = 0;
    let mut next = Instant::now();
    loop {
        let due = async {
            // The board is as old as the process, so the sender can't be gone.
            let _ = newest.wait_for(|newest| *newest > since).await;
            sleep_until(next).await;
        };
        if over.run_until_cancelled(due).await.is_none() {
            return;
        }
        let events = board.events.after(since, None).events;
        since = events.last().map_or(since, |last| last.seq);
        let changes: Vec<(Event, KuboChange)> = events.into_iter().filter_map(kubo).collect();
        let argv = config.borrow().hook.clone();
        let (Some((event, change)), [program, args @ ..]) = (changes.last(), argv.as_slice()) else { continue };
        next = Instant::now() + PAUSE;
        let mut command = Command::new(program);
        clean(&mut command).args(args).current_dir("/");
        command.env("IPFS_KITD_AT", &event.at).env("IPFS_KITD_SEQ", event.seq.to_string());
        command.env("IPFS_KITD_FROM", change.from.name()).env("IPFS_KITD_TO", change.to.name());
        command.env("IPFS_KITD_CAUSE", &change.cause).env("IPFS_KITD_EVIDENCE", one_line(&change.evidence));
        command.env("IPFS_KITD_UNTOLD", (changes.len() - 1).to_string());
        let stop = stop.clone();
        let ended = tokio::task::spawn_blocking(move || command::run(command, DEADLINE, Some(&stop))).await;
        let failed = ended.unwrap_or_else(|error| Err(error.to_string())).err();
        if let Some(why) = &failed {
            board.error("kubo", format!("the hook {program} failed: {why}"));
        }
        board.hook.send_replace(failed.map(|why| HookFailure { argv, why }));
    }
}

fn kubo(event: Event) -> Option<(Event, KuboChange)> {
    match &event.what {
        What::Kubo(change) => {
            let change = change.clone();
            Some((event, change))
        }
        _ => None,
    }
}

/// Kubo's own words may be in it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
