//! What tells the actor about Kubo: the spawner's watch on the child, Kubo's own word that it is ready, and its API. Each is a
//! task that ends with the actor's incarnation and only sends messages.

use super::actor::{ChildChanged, Happened, Kubo, Peers, Probed};
use super::memory::Memory;
use super::process::ChildState;
use super::repo::DEADLINE;
use super::rpc::{Rpc, RpcError};
use super::state::Event;
use crate::board::Board;
use crate::config::Config;
use kameo::actor::ActorRef;
use proto_msgs::kubo::KuboState;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks at Kubo's API.
const PROBE: Duration = Duration::from_secs(2);
/// Between two counts of its peers.
const PEERS: Duration = Duration::from_secs(30);
/// For an answer.
pub(super) const PROBE_DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn watch_child(mut child: watch::Receiver<ChildState>, me: ActorRef<Kubo>) {
    while child.changed().await.is_ok() {
        if me.tell(ChildChanged).await.is_err() {
            return;
        }
    }
}

/// One look at a time: now and then, and at once when Kubo says that it is ready.
pub(super) async fn probe(board: Arc<Board>, memory: Arc<Mutex<Memory>>, now: Arc<Notify>, me: ActorRef<Kubo>) {
    let (mut tick, mut count_peers) = (interval(PROBE), interval(PEERS));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    count_peers.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = now.notified() => {}
        }
        let (state, run) = {
            let kubo = board.kubo.borrow();
            (kubo.state, kubo.restarts)
        };
        let rpc = memory.lock().unwrap_or_else(PoisonError::into_inner).rpc();
        let looks = matches!(state, KuboState::Starting | KuboState::Running | KuboState::Degraded);
        let Some(rpc) = rpc.filter(|_| looks) else { continue };
        let answer = look(&rpc).await;
        let well = answer.is_ok();
        // An answer of one run says nothing of another.
        if board.kubo.borrow().restarts == run && me.tell(Probed(answer)).await.is_err() {
            return;
        }
        if well && due(&mut count_peers) {
            // Without an answer it stays as it was.
            if let Ok(peers) = rpc.peers(PROBE_DEADLINE).await
                && me.tell(Peers(peers)).await.is_err()
            {
                return;
            }
        }
    }
}

fn due(interval: &mut tokio::time::Interval) -> bool {
    futures_util::FutureExt::now_or_never(interval.tick()).is_some()
}

/// Who answers, if it is well.
pub(super) async fn look(rpc: &Rpc) -> Result<String, RpcError> {
    let id = rpc.id(PROBE_DEADLINE).await?;
    rpc.healthy(PROBE_DEADLINE).await?;
    Ok(id.peer_id)
}

/// While Kubo is held: tells when what a person would change to mend it has changed, so that they need not wait for the next try.
pub(super) async fn watch_cause(
    config: watch::Receiver<Arc<Config>>,
    board: Arc<Board>,
    memory: Arc<Mutex<Memory>>,
    me: ActorRef<Kubo>,
) {
    let mut tick = interval(PROBE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let config = config.borrow().clone();
        if board.kubo.borrow().state != KuboState::Held || config.attach.is_some() {
            continue;
        }
        let turns = memory.lock().unwrap_or_else(PoisonError::into_inner).turns.clone();
        let Ok(now) = turns.take(DEADLINE, move || marks(&config)).await else { continue };
        // As of the last look at the repo: a change since then was not seen by it.
        let before = std::mem::replace(&mut memory.lock().unwrap_or_else(PoisonError::into_inner).marks, now);
        if now != before && me.tell(Happened(Event::CauseChanged)).await.is_err() {
            return;
        }
    }
}

/// Inode and time of the last change (of content, owner or mode) of the repo's config and version, and of Kubo's program.
pub(super) type Marks = [Option<(u64, i64, i64)>; 3];

pub(super) fn marks(config: &Config) -> Marks {
    let repo = &config.ipfs_path;
    let program = super::repo::find_program(&config.kubo).unwrap_or_default();
    [repo.join("config"), repo.join("version"), program].map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.ino(), found.ctime(), found.ctime_nsec()))
    })
}

pub(super) fn bind_notify(path: &std::path::Path) -> io::Result<UnixDatagram> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => UnixDatagram::bind(path),
    }
}

/// The child speaks the service manager's protocol. Its word that it is ready is a reason to look.
pub(super) async fn listen(socket: UnixDatagram, look: Arc<Notify>) {
    let mut datagram = [0; 4096];
    while let Ok(length) = socket.recv(&mut datagram).await {
        let ready = datagram[..length].split(|b| *b == b'\n').any(|line| line == b"READY=1");
        if ready {
            look.notify_one();
        }
    }
}
