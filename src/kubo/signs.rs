//! What tells the actor about Kubo: the spawner's watch on the child, Kubo's own word that it is ready, and its API. Each is a
//! task that ends with the actor's incarnation and only sends messages.

use super::actor::{ChildChanged, Happened, Kubo, Probed};
use super::process::ChildState;
use super::rpc::Rpc;
use super::state::Event;
use crate::board::Board;
use kameo::actor::ActorRef;
use proto_msgs::kubo::KuboState;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::watch;

/// Between two looks at Kubo's API.
const PROBE: Duration = Duration::from_secs(2);
/// For its answer.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn watch_child(mut child: watch::Receiver<ChildState>, me: ActorRef<Kubo>) {
    while child.changed().await.is_ok() {
        if me.tell(ChildChanged).await.is_err() {
            return;
        }
    }
}

pub(super) async fn probe(board: Arc<Board>, rpc: Rpc, me: ActorRef<Kubo>) {
    let mut tick = tokio::time::interval(PROBE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let state = board.kubo.borrow().state;
        if !matches!(state, KuboState::Starting | KuboState::Running | KuboState::Degraded) {
            continue;
        }
        let answer = rpc.id(PROBE_DEADLINE).await.map(|id| id.peer_id).map_err(|error| error.to_string());
        if me.tell(Probed(answer)).await.is_err() {
            return;
        }
    }
}

pub(super) fn bind_notify(path: &std::path::Path) -> io::Result<UnixDatagram> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixDatagram::bind(path),
    }
}

/// The child speaks the service manager's protocol; only its readiness matters here.
pub(super) async fn listen(socket: UnixDatagram, me: ActorRef<Kubo>) {
    let mut datagram = [0; 4096];
    while let Ok(length) = socket.recv(&mut datagram).await {
        let ready = datagram[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1");
        if ready && me.tell(Happened(Event::Ready)).await.is_err() {
            return;
        }
    }
}
