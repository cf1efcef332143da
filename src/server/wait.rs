//! `wait --for=…`: by the board's changes, never by asking again and again.

use super::route::Routes;
use crate::fault::ask;
use proto_msgs::daemon::{Condition, IndexRefresh, Wait, Waited};
use proto_msgs::kubo::KuboState;
use proto_msgs::verb::{Done, Verb};
use proto_msgs::{Fault, FaultKind};
use std::time::Instant;

pub(super) async fn until(routes: &Routes, verb: Wait) -> Result<Done, Fault> {
    let began = Instant::now();
    let board = &routes.board;
    // The board is as old as the process: `wait_for` fails only when its sender is gone.
    match verb.condition {
        Condition::KuboRunning => {
            let _ = board.kubo.subscribe().wait_for(|k| k.state == KuboState::Running).await;
        }
        Condition::KuboStopped => {
            let down = |state| matches!(state, KuboState::Stopped | KuboState::Held);
            let _ = board.kubo.subscribe().wait_for(|k| down(k.state) && k.pid.is_none()).await;
        }
        Condition::IndexComplete => {
            let _ = board.index.subscribe().wait_for(|i| i.complete).await;
        }
        Condition::IndexFresh => fresh(routes).await?,
    }
    Ok(Wait::done(Waited { condition: verb.condition, waited_s: began.elapsed().as_secs_f64() }))
}

async fn fresh(routes: &Routes) -> Result<(), Fault> {
    loop {
        let _ = routes.board.rpc.subscribe().wait_for(Option::is_some).await;
        match ask(&routes.indexer, IndexRefresh { wait: true, names: false }).await {
            Ok(_) => return Ok(()),
            // Kubo went down meanwhile, or the listing was cut: the wait goes on, with the next refresh that can succeed.
            Err(fault) if may_pass(fault.kind) => {
                let mut finished = routes.board.refresh.subscribe();
                finished.mark_unchanged();
                let mut rpc = routes.board.rpc.subscribe();
                tokio::select! {
                    _ = finished.changed() => {}
                    _ = rpc.changed() => {}
                }
            }
            Err(fault) => return Err(fault),
        }
    }
}

fn may_pass(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::KuboDown | FaultKind::Interrupted | FaultKind::Kubo | FaultKind::Timeout)
}
