//! What the actors publish. `status` and everybody who only wants to know reads these `watch` values and never waits behind
//! anybody's work. The board is as old as the process, so a restarted actor finds what its predecessor said.

use crate::analytics::look::Look;
use crate::events::EventLog;
use crate::index::set::PinSet;
use crate::index::sizes::Known;
use crate::indexer::node_state::shelf::Shelf;
use crate::kubo::rpc::Rpc;
use crate::snapshot::lookup::PinFile;
use jiff::Timestamp;
use proto_msgs::access::SourceReport;
use proto_msgs::daemon::{ActorReport, LastError};
use proto_msgs::event::{KuboChange, What};
use proto_msgs::kubo::{KuboMode, KuboReport, KuboState};
use proto_msgs::lock::LockFile;
use proto_msgs::snapshot::SnapshotManifest;
use proto_msgs::{Fault, FaultKind};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Why the daemon ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// A signal, with its name and, where the kernel says so, who sent it.
    Signal(String),
    /// The `shutdown` verb, with the caller's uid.
    Asked(u32),
    /// An actor failed more often than allowed; exit code 1, so that the service manager starts a clean process.
    GaveUp(String),
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StopReason::Signal(signal) => f.write_str(signal),
            StopReason::Asked(uid) => write!(f, "asked for by uid {uid}"),
            StopReason::GaveUp(why) => f.write_str(why),
        }
    }
}

/// The index as of its last change.
#[derive(Clone, Debug)]
pub struct IndexState {
    /// The current pins.
    pub set: Arc<PinSet>,
    /// When the index last held what Kubo held.
    pub as_of: Option<Timestamp>,
    /// Counts changes of the pin set.
    pub generation: u64,
    /// Whether a whole listing has been applied to this index.
    pub complete: bool,
    /// The node that the index belongs to.
    pub peer_id: Option<String>,
    /// What was done about a damaged file at this start.
    pub recovery: Option<String>,
    /// Why no mark can be recorded until the next start.
    pub journal_closed: Option<String>,
    /// Counts the commits of this process that changed what a snapshot holds.
    pub changes: u64,
    /// Counts how often another index was put in its place, in this process.
    pub restored: u64,
    /// Of this process.
    pub counts: Counts,
}

/// Pins that were added, changed and removed, each as often as that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New ones.
    pub added: u64,
    /// Renamed and retyped ones.
    pub changed: u64,
    /// Removed ones.
    pub removed: u64,
}

/// The refresh cycle.
#[derive(Clone, Debug, Default)]
pub struct RefreshState {
    /// From the start of one refresh to the start of the next.
    pub interval: Duration,
    /// Duration of the last whole one.
    pub last: Option<Duration>,
    /// Failed ones since then.
    pub failed: u64,
    /// Why the last one failed, or what it had to leave out.
    pub last_error: Option<String>,
    /// Counts whole refreshes of this process.
    pub finished: u64,
    /// The run of Kubo ([`KuboReport::restarts`]) that the last whole one listed.
    pub run: Option<u64>,
    /// Whether the last whole one met pins that the index cannot hold.
    pub left_out: bool,
    /// When the newest one that compared names began.
    pub names_as_of: Option<Timestamp>,
    /// None begins by itself until somebody says so.
    pub paused: bool,
}

/// The last run of the hook, which failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFailure {
    /// What was run.
    pub argv: Vec<String>,
    /// In its own words where it had some.
    pub why: String,
}

/// How far the sizes of pins are measured.
#[derive(Clone, Debug, Default)]
pub struct SizesState {
    /// As of the last count.
    pub known: Option<Known>,
    /// How often sizes were written, in this process.
    pub written: u64,
    /// Looks at the roots that failed, and at the whole.
    pub missed: [Missed; 2],
}

/// Looks that failed and are tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// How many.
    pub pins: u64,
    /// When the next of them is due.
    pub next: Option<Timestamp>,
    /// Why the last one failed, and when.
    pub last: Option<(Timestamp, String)>,
}

/// A refresh is under way for as long as this is there.
pub struct Refreshing(Arc<Board>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.refreshing.send_modify(|refreshes| *refreshes -= 1);
    }
}

/// What the index has of MFS.
#[derive(Clone, Debug, Default)]
pub struct MfsState {
    /// When the index last had what MFS had; as the file says, until this process has looked.
    pub as_of: Option<Timestamp>,
    /// Whether no walk is half done: it has all of it, as far as its blocks are here.
    pub whole: bool,
    /// Entries, with the root.
    pub entries: u64,
    /// Those whose blocks are not here.
    pub unread: u64,
    /// The run of Kubo ([`KuboReport::restarts`]) that was looked at last.
    pub run: Option<u64>,
    /// Why the last look failed.
    pub error: Option<String>,
}

impl MfsState {
    /// Whether the index has all of MFS.
    pub fn complete(&self) -> bool {
        self.whole && self.unread == 0
    }
}

/// Everything published. Each field is written by one actor.
pub struct Board {
    /// By kubo.
    pub kubo: watch::Sender<KuboReport>,
    /// By kubo: there from Kubo's readiness to its end, or to the request to stop.
    pub rpc: watch::Sender<Option<Rpc>>,
    /// By index.
    pub index: watch::Sender<IndexState>,
    /// By indexer.
    pub refresh: watch::Sender<RefreshState>,
    /// By indexer: how many refreshes are under way; two for the moment in which one ends that is given up.
    pub refreshing: watch::Sender<u32>,
    /// Where accesses come from.
    pub sources: watch::Sender<Vec<SourceReport>>,
    /// By analytics: the number up to which accesses are counted in what is kept beside the index. None behind it is let go.
    pub counted: watch::Sender<u64>,
    /// By analytics: the last look at all pins.
    pub look: watch::Sender<Option<Arc<Look>>>,
    /// By enricher.
    pub sizes: watch::Sender<SizesState>,
    /// By snapshot: the newest `pins.arrow` of this process, to look pins up.
    pub pin_file: watch::Sender<Option<Arc<PinFile>>>,
    /// By snapshot: what the newest one holds, in [`IndexState::changes`] of this process; `None` before its first.
    pub snapshot_holds: watch::Sender<Option<u64>>,
    /// By snapshot: why the last one could not be made, until one is.
    pub snapshot_failed: watch::Sender<Option<String>>,
    /// By snapshot: the newest one.
    pub snapshot: watch::Sender<Option<SnapshotManifest>>,
    /// By enricher.
    pub mfs: watch::Sender<MfsState>,
    /// By node_state: what it has measured, as far as it is not in the index yet.
    pub state: watch::Sender<Shelf>,
    /// By janitor: `repo.lock`.
    pub lock: watch::Sender<Option<LockFile>>,
    /// By the hook: until it next goes well.
    pub hook: watch::Sender<Option<HookFailure>>,
    /// By every actor's [`Life`](crate::supervisor::Life), in start order.
    pub actors: watch::Sender<Vec<ActorReport>>,
    /// By whoever met an error last.
    pub last_error: watch::Sender<Option<LastError>>,
    /// What has happened.
    pub events: EventLog,
    /// The last error of each part, so that a series is told once.
    told: Mutex<BTreeMap<String, String>>,
    /// Set once, when the daemon begins to stop.
    pub stopping: watch::Sender<Option<StopReason>>,
}

impl Board {
    /// The values before any actor has run; the index is published by the threads that own it.
    pub fn new(kubo: KuboReport, index: watch::Sender<IndexState>) -> Board {
        Board {
            kubo: watch::Sender::new(kubo),
            rpc: watch::Sender::new(None),
            index,
            refresh: watch::Sender::new(RefreshState::default()),
            refreshing: watch::Sender::new(0),
            sources: watch::Sender::new(Vec::new()),
            counted: watch::Sender::new(0),
            look: watch::Sender::new(None),
            sizes: watch::Sender::new(SizesState::default()),
            snapshot: watch::Sender::new(None),
            snapshot_failed: watch::Sender::new(None),
            snapshot_holds: watch::Sender::new(None),
            pin_file: watch::Sender::new(None),
            mfs: watch::Sender::new(MfsState::default()),
            state: watch::Sender::new(Shelf::default()),
            lock: watch::Sender::new(None),
            hook: watch::Sender::new(None),
            actors: watch::Sender::new(Vec::new()),
            last_error: watch::Sender::new(None),
            events: EventLog::new(),
            told: Mutex::default(),
            stopping: watch::Sender::new(None),
        }
    }

    /// The last look at all pins, if the index has not been put in the place of another one since.
    pub fn looked(&self) -> Option<Arc<Look>> {
        let look = self.look.borrow().clone()?;
        (look.restored == self.index.borrow().restored).then_some(look)
    }

    /// Says that a refresh is under way.
    pub fn refreshing(self: &Arc<Board>) -> Refreshing {
        self.refreshing.send_modify(|refreshes| *refreshes += 1);
        Refreshing(self.clone())
    }

    /// Returns when no refresh is under way.
    pub async fn quiet(&self) {
        // The board is as old as the process, so the sender can't be gone.
        let _ = self.refreshing.subscribe().wait_for(|refreshes| *refreshes == 0).await;
    }

    /// Begins the stop of the daemon; the first reason stays.
    pub fn stop(&self, reason: StopReason) {
        self.stopping.send_if_modified(|present| {
            let first = present.is_none();
            present.get_or_insert(reason);
            first
        });
    }

    /// Returns when the stop of the daemon has begun.
    pub async fn stopped(&self) {
        // The board is as old as the process, so the sender can't be gone.
        let _ = self.stopping.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether the stop of the daemon has begun.
    pub fn is_stopping(&self) -> bool {
        self.stopping.borrow().is_some()
    }

    /// Returns when the Kubo that runs now is gone.
    pub async fn kubo_gone(&self) {
        let (mut kubo, mut rpc) = (self.kubo.subscribe(), self.rpc.subscribe());
        let mode = self.kubo.borrow().mode;
        // Of somebody else's there is no process to see, and we ask it for no stop. The board is as old as the process, so
        // the senders can't be gone.
        match mode {
            KuboMode::Spawn => drop(kubo.wait_for(|kubo| kubo.pid.is_none()).await),
            KuboMode::Attach | KuboMode::Unknown => drop(rpc.wait_for(Option::is_none).await),
        }
    }

    /// Kubo's RPC, while Kubo is ready; otherwise why it is not.
    pub fn kubo_rpc(&self) -> Result<Rpc, Fault> {
        if let Some(rpc) = self.rpc.borrow().clone() {
            return Ok(rpc);
        }
        let kubo = self.kubo.borrow();
        let why = kubo.held.as_ref().map(|held| format!(": {}", held.detail)).unwrap_or_default();
        let hint = match &kubo.held {
            Some(held) => held.hint.as_str(),
            None if kubo.mode == KuboMode::Attach => "`ipfs-kitctl wait --for=kubo=running` waits for it",
            None => "`ipfs-kitctl wait --for=kubo=running` waits for it, `ipfs-kitctl kubo start` starts it",
        };
        let what = match kubo.state {
            KuboState::Starting | KuboState::Degraded => "ready",
            _ => "running",
        };
        Err(Fault::new(FaultKind::KuboDown, format!("Kubo is not {what} ({}){why}", kubo.state.name())).hint(hint))
    }

    /// Records a change of Kubo's state for `events` and the log, and a bad one for `status`.
    pub fn kubo_changed(&self, change: KuboChange) {
        let (from, to, cause) = (change.from.name(), change.to.name(), change.cause.as_str());
        let bad = match change.to {
            KuboState::Held | KuboState::Degraded | KuboState::CrashLoop => true,
            KuboState::Backoff => change.cause == "exited",
            _ => false,
        };
        if bad {
            tracing::warn!(from, to, cause, "Kubo: {}", change.evidence);
            let what = match change.to {
                KuboState::Backoff | KuboState::CrashLoop => "ended by itself".to_owned(),
                _ => format!("is {to}"),
            };
            let detail = format!("Kubo {what}: {}", change.evidence);
            self.last_error.send_replace(Some(LastError { at: crate::time::now(), actor: "kubo".to_owned(), detail }));
        } else {
            tracing::info!(from, to, cause, "Kubo: {}", change.evidence);
        }
        self.events.push(What::Kubo(change));
    }

    /// Records an error for `status`, `events` and the log.
    pub fn error(&self, actor: &str, detail: impl Into<String>) {
        let detail = detail.into();
        // Of a series the log gets the first, and `status` the newest.
        let again = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.insert(actor.to_owned(), detail.clone()).is_some_and(|before| before == detail)
        };
        if again {
            tracing::debug!(actor, "{detail}");
        } else {
            tracing::warn!(actor, "{detail}");
        }
        let error = LastError { at: crate::time::now(), actor: actor.to_owned(), detail };
        if !again {
            self.events.push(What::Error(error.clone()));
        }
        self.last_error.send_replace(Some(error));
    }
}
