//! What those who ask for a start or a stop wait for, and when it is reached or out of reach. Pure.

use super::end;
use super::state::{Machine, Want};
use proto_msgs::kubo::{KuboReport, KuboState};
use proto_msgs::{Fault, FaultKind};

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Kubo is ready.
    Ready,
    /// Kubo has ended.
    Ended,
}

impl Goal {
    /// The answer, once there is one.
    pub(super) fn verdict(self, machine: &Machine, report: &KuboReport) -> Option<Result<KuboReport, Fault>> {
        let conflict = |detail| Some(Err(Fault::new(FaultKind::Conflict, detail)));
        match (self, machine.state()) {
            (Goal::Ready, KuboState::Running) => Some(Ok(report.clone())),
            (Goal::Ready, _) if machine.want() != Want::Run => conflict("Kubo was asked to stop meanwhile"),
            (Goal::Ready, KuboState::Held) if !machine.is_busy() => Some(Err(start_refused(report))),
            (Goal::Ready, KuboState::Backoff | KuboState::CrashLoop) if !machine.is_busy() => {
                Some(Err(start_failed(report)))
            }
            (Goal::Ended, _) if machine.want() == Want::Run => conflict("Kubo was asked to start meanwhile"),
            (Goal::Ended, _) if machine.is_at_rest() => Some(Ok(report.clone())),
            _ => None,
        }
    }
}

fn start_refused(report: &KuboReport) -> Fault {
    match &report.held {
        Some(held) => Fault::new(FaultKind::Conflict, held.detail.clone()).hint(held.hint.clone()),
        None => Fault::new(FaultKind::Conflict, "Kubo is held"),
    }
}

fn start_failed(report: &KuboReport) -> Fault {
    let how = report.last_exit.as_ref().map_or_else(|| "it ended".to_owned(), end::told);
    Fault::new(FaultKind::Kubo, format!("Kubo ended before it was ready: {how}"))
        .hint("`ipfs-kitctl kubo logs` shows more; the start is tried again by itself")
}
