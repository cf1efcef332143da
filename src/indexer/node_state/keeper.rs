//! Brings samples to the index, in batches, and renews the files that old programs look for.

use super::actor::NodeStateArgs;
use crate::fault;
use crate::index::state::{KeepSamples, Samples};
use crate::snapshot::program_state;
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// For the files.
const DEADLINE: Duration = Duration::from_secs(30);

/// Keeps for as long as it is not dropped.
pub(super) async fn run(args: NodeStateArgs) {
    let mut shelf = args.board.state.subscribe();
    // The board is as old as the process, so the sender can't be gone.
    let _ = shelf.wait_for(|shelf| shelf.due().is_some()).await;
    // Whoever looks for them need not wait for the first batch.
    renew(&args).await;
    while let Ok(due) = shelf.wait_for(|shelf| shelf.due().is_some()).await.map(|shelf| shelf.due()) {
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        batch(&args).await;
    }
}

/// Writes what waits, if anything does.
pub(super) async fn batch(args: &NodeStateArgs) {
    let samples = args.board.state.borrow().waiting().clone();
    if samples == Samples::default() {
        return;
    }
    let keep = SignedDuration::try_from(args.config.borrow().state_keep).unwrap_or(SignedDuration::MAX);
    let from = crate::time::settled().checked_sub(keep).unwrap_or(Timestamp::MIN);
    match fault::ask(&args.index, KeepSamples { samples: samples.clone(), from }).await {
        Ok(()) => args.board.state.send_modify(|shelf| shelf.written(&samples, Instant::now())),
        Err(fault) => {
            args.board.state.send_modify(|shelf| shelf.put_off(Instant::now()));
            args.life.error(format!("the state of the node is not kept: {}", fault.detail));
        }
    }
    renew(args).await;
}

async fn renew(args: &NodeStateArgs) {
    let (dir, newest) = (args.config.borrow().data_dir.clone(), args.board.state.borrow().newest().clone());
    let renewed = args.turns.take(DEADLINE, move || program_state::renew(&dir, &newest, Timestamp::now())).await;
    match renewed {
        Ok(Ok(foreign)) if foreign.is_empty() => {}
        Ok(Ok(foreign)) => {
            if !args.told.swap(true, Ordering::Relaxed) {
                let files: Vec<_> = foreign.iter().map(|path| path.display().to_string()).collect();
                let files = files.join(", ");
                tracing::warn!(files, "files that are not ours are left as they are, and not renewed");
            }
        }
        Ok(Err(error)) => args.life.error(format!("the files of program_state were not renewed: {error}")),
        Err(error) => args.life.error(format!("the files of program_state were not renewed: {error}")),
    }
}
