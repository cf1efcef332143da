//! The hook: a program of the operator's that is run when Kubo's state changes, for alerts. No shell comes between; what has
//! happened is in its environment.
//!
//! One at a time, and not more often than every [`PAUSE`]: of several changes meanwhile it is told the newest and how many it was
//! not told.

use super::command;
use super::process::clean;
use crate::board::Board;
use crate::config::Config;
use proto_msgs::event::{Event, KuboChange, What};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// From the start of one to the start of the next.
const PAUSE: Duration = Duration::from_secs(10);
/// For one; after it the program and what it has started are killed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Follows the events until it is dropped.
pub(super) async fn follow(board: Arc<Board>, config: watch::Receiver<Arc<Config>>) {
    let mut newest = board.events.newest();
    let mut since = *newest.borrow();
    let mut next = Instant::now();
    // The board is as old as the process, so the sender can't be gone.
    while newest.wait_for(|newest| *newest > since).await.map(drop).is_ok() {
        sleep_until(next).await;
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
        let ended = tokio::task::spawn_blocking(move || command::run(command, DEADLINE)).await;
        if let Err(why) = ended.unwrap_or_else(|error| Err(error.to_string())) {
            board.error("kubo", format!("the hook {program} failed: {why}"));
        }
    }
}

fn kubo(event: Event) -> Option<(Event, KuboChange)> {
    match &event.what {
        What::Kubo(change) => {
            let change = change.clone();
            Some((event, change))
        }
        What::Error(_) => None,
    }
}

/// Kubo's own words may be in it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
