//! Which owner answers which verb. Asks go downwards only; each has a deadline.

use super::audit::{Audit, Refusals};
use super::authority::{self, Peer};
use super::late::Late;
use super::out::{ANSWER, LIST, Parts, REPORT};
use super::pin::Changes;
use super::{access, detached, doctor, follow, kubo, mark, pin, state, status, wait};
use crate::analytics::actor::Analytics;
use crate::analytics::evidence::import::import;
use crate::analytics::evidence::recorder::Recorder;
use crate::board::{Board, StopReason};
use crate::config::Config;
use crate::config::access::Level;
use crate::fault;
use crate::index::actor::{Index, Rows, pin_at_once};
use crate::index::legacy::import::Importer;
use crate::indexer::actor::Indexer;
use crate::janitor::actor::Janitor;
use crate::janitor::wait::until_free;
use crate::kubo::actor::Kubo;
use crate::kubo::process::Spawner;
use crate::outside::Turns;
use crate::snapshot::actor::{MakeNow, Snapshots};
use kameo::actor::ActorRef;
use kameo::message::Message;
use kameo::prelude::Actor;
use kameo::reply::Reply;
use proto_msgs::access::{AccessImport, AccessLog, AccessPage, AccessRecord};
use proto_msgs::daemon::{ConfigReport, ConfigShow, IndexInfo, Shutdown, ShuttingDown, Status};
use proto_msgs::doctor::Doctor;
use proto_msgs::event::Events;
use proto_msgs::kubo::{KuboConfig, KuboGc, KuboLogs, KuboStatus};
use proto_msgs::legacy::IndexImport;
use proto_msgs::lock::LockWait;
use proto_msgs::log::Log;
use proto_msgs::pin::{PinDiff, PinHistory, PinInfo, PinLs};
use proto_msgs::snapshot::{SnapshotFd, SnapshotNow};
use proto_msgs::state::{StateFiles, StateNetwork, StateStorage, StateSystem};
use proto_msgs::verb::{Call, Done, Part, Verb};
use proto_msgs::vfs::VfsLs;
use proto_msgs::{Fault, FaultKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// For verbs whose work is bounded; the others have the client's deadline or none.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long calls may go on after the stop of the daemon has begun.
const LAST_CALLS: Duration = Duration::from_secs(1);

/// Listings at a time: each keeps the numbers of its rows, 8 bytes a pin, until its client has read it.
pub(crate) const LISTINGS: usize = 32;

/// Everything that an answer can come from.
pub struct Routes {
    /// What the actors publish.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// When the daemon began.
    pub started: (Instant, jiff::Timestamp),
    /// Owner of the index.
    pub index: ActorRef<Index>,
    /// Owner of the refresh cycle.
    pub indexer: ActorRef<Indexer>,
    /// Places for listings.
    pub listings: Semaphore,
    /// Owner of Kubo.
    pub kubo: ActorRef<Kubo>,
    /// Kubo's output, and its process.
    pub spawner: Spawner,
    /// Changes of pins under way.
    pub changes: Changes,
    /// Judge of locks.
    pub janitor: ActorRef<Janitor>,
    /// Owner of the totals.
    pub analytics: ActorRef<Analytics>,
    /// Where accesses go.
    pub recorder: Recorder,
    /// Who imports files of the old system.
    pub importer: Arc<Importer>,
    /// For the doctor's looks at the repo.
    pub turns: Turns,
    /// Owner of the snapshots.
    pub snapshots: ActorRef<Snapshots>,
    /// What was refused of late.
    pub refusals: Refusals,
}

impl Routes {
    /// Answers one call.
    pub(super) async fn answer(
        &self,
        call: Call,
        peer: Peer,
        deadline: Option<Duration>,
        parts: &Parts,
    ) -> Result<Done, Fault> {
        let audit = (authority::level(&call) == Level::Admin).then(|| Audit::begin(peer, &call));
        let admitted = peer.admit(&call, &self.config.borrow().access);
        let refused = admitted.is_err();
        let answer = match admitted {
            Ok(()) => self.in_time(call, peer, deadline, parts).await,
            Err(fault) => Err(fault),
        };
        match audit {
            Some(audit) if refused => audit.refuse(&answer, &self.refusals),
            Some(audit) => audit.end(&answer),
            None => {}
        }
        answer
    }

    async fn in_time(&self, call: Call, peer: Peer, deadline: Option<Duration>, parts: &Parts) -> Result<Done, Fault> {
        let late = Late::of(&call);
        let limit = deadline.or_else(|| if long(&call) { None } else { Some(DEADLINE) });
        let stays = matches!(
            call,
            Call::Status(_)
                | Call::KuboStatus(_)
                | Call::KuboLogs(_)
                | Call::Events(_)
                | Call::Log(_)
                | Call::Shutdown(_)
        );
        let room = room(&call);
        let answer = async {
            if room > 0 && parts.make_room(room).await.is_err() {
                return Err(Fault::new(FaultKind::Cancelled, "the client hung up"));
            }
            self.route(call, peer, parts).await
        };
        let passed = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Nearly all answers are there before a timer is needed.
            biased;
            answer = answer => answer,
            () = passed => Err(late.fault(limit.unwrap_or_default(), &status::report(self))),
            () = self.stopping(), if !stays => Err(Fault::new(FaultKind::NotReady, "the daemon is stopping")),
        }
    }

    async fn stopping(&self) {
        self.board.stopped().await;
        tokio::time::sleep(LAST_CALLS).await;
    }

    async fn route(&self, call: Call, peer: Peer, parts: &Parts) -> Result<Done, Fault> {
        match call {
            Call::Status(_) => Ok(Status::done(status::report(self))),
            Call::KuboStatus(_) => Ok(KuboStatus::done(status::kubo(self))),
            Call::KuboLogs(verb) => follow::kubo_logs(self, verb, parts).await.map(KuboLogs::done),
            Call::KuboGc(_) => kubo::gc(self, parts).await.map(KuboGc::done),
            Call::KuboConfig(_) => kubo::config(self).await.map(KuboConfig::done),
            Call::Log(verb) => follow::log(verb, parts).await.map(Log::done),
            Call::Events(verb) => follow::events(self, verb, parts).await.map(Events::done),
            Call::Doctor(_) => doctor::look(self, peer.uid).await.map(Doctor::done),
            Call::ConfigShow(_) => {
                Ok(ConfigShow::done(ConfigReport { settings: self.config.borrow().settings.clone() }))
            }
            Call::PinLs(verb) => self.listing(verb, |part| part, parts).await.map(PinLs::done),
            Call::PinHistory(verb) => self.listing(verb, Part::PinChanges, parts).await.map(PinHistory::done),
            Call::PinDiff(verb) => self.listing(verb, Part::PinChanges, parts).await.map(PinDiff::done),
            Call::PinInfo(verb) => match pin_at_once(&self.board, &verb)? {
                Some(reply) => Ok(PinInfo::done(reply)),
                None => ask(&self.index, verb).await,
            },
            Call::PinAdd(verb) => pin::add(self, verb, parts).await,
            Call::PinBegin(verb) => detached::begin(self, verb),
            Call::PinUpdate(verb) => pin::update(self, verb).await,
            Call::PinVerify(_) => pin::verify(self, parts).await,
            Call::PinRm(verb) => pin::rm(self, verb).await,
            Call::PinTag(verb) => mark::tag(&self.index, verb).await,
            Call::PinNote(verb) => mark::note(&self.index, verb).await,
            Call::PinTier(verb) => mark::tier(&self.index, verb).await,
            Call::KuboStart(verb) => ask(&self.kubo, verb).await,
            Call::KuboStop(verb) => ask(&self.kubo, verb).await,
            Call::KuboRestart(verb) => ask(&self.kubo, verb).await,
            Call::LockCheck(verb) => ask(&self.janitor, verb).await,
            Call::LockClean(verb) => ask(&self.janitor, verb).await,
            Call::LockWait(_) => until_free(&self.janitor, &self.board).await.map(LockWait::done),
            Call::IndexRefresh(verb) => ask(&self.indexer, verb).await,
            Call::IndexPause(verb) => ask(&self.indexer, verb).await,
            Call::IndexResume(verb) => ask(&self.indexer, verb).await,
            Call::IndexInfo(_) => status::index_info(self).await.map(IndexInfo::done),
            Call::IndexBackup(verb) => ask(&self.snapshots, verb).await,
            Call::IndexRestore(verb) => ask(&self.snapshots, verb).await,
            Call::IndexVerify(verb) => ask(&self.snapshots, verb).await,
            Call::IndexCompact(verb) => ask(&self.snapshots, verb).await,
            Call::IndexImport(verb) => self.importer.clone().import(verb).await.map(IndexImport::done),
            Call::VfsLs(verb) => self.listing(verb, Part::VfsLs, parts).await.map(VfsLs::done),
            Call::VfsInfo(verb) => ask(&self.index, verb).await,
            Call::VfsJournal(verb) => ask(&self.index, verb).await,
            Call::StateSystem(verb) => {
                state::answer(self, verb.0, Part::StateSystem, parts).await.map(StateSystem::done)
            }
            Call::StateNetwork(verb) => {
                state::answer(self, verb.0, Part::StateNetwork, parts).await.map(StateNetwork::done)
            }
            Call::StateStorage(verb) => {
                state::answer(self, verb.0, Part::StateStorage, parts).await.map(StateStorage::done)
            }
            Call::StateFiles(verb) => state::answer(self, verb.0, Part::StateFiles, parts).await.map(StateFiles::done),
            // Boxed: every call that waits is as large as the largest of all.
            Call::AccessRecord(verb) => Box::pin(access::record(self, verb)).await.map(AccessRecord::done),
            Call::AccessLog(verb) => {
                let as_of = self.recorder.catch_up().await;
                let page = Box::pin(self.listing(verb, Part::AccessLog, parts)).await?;
                Ok(AccessLog::done(AccessPage { as_of: crate::time::text(as_of), ..page }))
            }
            Call::AccessImport(verb) => {
                Box::pin(import(&self.index, &self.recorder, verb)).await.map(AccessImport::done)
            }
            Call::AnalyticsSummary(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsHot(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsCold(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsPatterns(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsTiers(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsPredict(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsDisk(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsUnpinFirst(verb) => ask(&self.analytics, verb).await,
            Call::AnalyticsScore(verb) => ask(&self.analytics, verb).await,
            Call::Metrics(verb) => ask(&self.analytics, verb).await,
            Call::SnapshotNow(ask) => {
                fault::ask(&self.snapshots, MakeNow { ask, own: peer.is_own() }).await.map(SnapshotNow::done)
            }
            Call::SnapshotLs(verb) => ask(&self.snapshots, verb).await,
            Call::SnapshotPath(verb) => ask(&self.snapshots, verb).await,
            Call::SnapshotFd(verb) => {
                let hung_up = |_| Fault::new(FaultKind::Cancelled, "the client hung up");
                let turn = parts.descriptor().await.map_err(hung_up)?;
                let (at, pins) = fault::ask(&self.snapshots, verb).await?;
                parts.attach(pins, turn);
                Ok(SnapshotFd::done(at))
            }
            Call::SnapshotVerify(verb) => ask(&self.snapshots, verb).await,
            Call::Wait(verb) => wait::until(self, verb).await,
            Call::Shutdown(_) => {
                self.board.stop(StopReason::Asked(peer.uid));
                Ok(Shutdown::done(ShuttingDown { pid: std::process::id() }))
            }
            Call::Cancel(_) => Err(Fault::new(FaultKind::Internal, "cancel belongs to the connection")),
        }
    }

    async fn listing<V, P>(&self, verb: V, part: fn(P) -> Part, parts: &Parts) -> Result<V::Reply, Fault>
    where
        Index: Message<V>,
        <Index as Message<V>>::Reply: Reply<Ok = (V::Reply, Rows<P>), Error = Fault>,
        V: Verb + Send + Sync + 'static,
        V::Reply: Send + 'static,
        P: Send + 'static,
    {
        let Ok(_listing) = self.listings.try_acquire() else {
            let detail = format!("{LISTINGS} listings are being read");
            return Err(Fault::new(FaultKind::Busy, detail).hint("ask again when one of them has ended"));
        };
        let (page, mut rows) = fault::ask(&self.index, verb).await?;
        while let Some(some) = rows.recv().await {
            let some = some?;
            if parts.send(part(some)).await.is_err() {
                return Err(Fault::new(FaultKind::Cancelled, "the client hung up"));
            }
        }
        Ok(page)
    }
}

/// Verbs that may take as long as Kubo, the network or a person takes.
fn long(call: &Call) -> bool {
    match call {
        Call::IndexImport(_)
        | Call::PinAdd(_)
        | Call::PinUpdate(_)
        | Call::PinVerify(_)
        | Call::KuboStart(_)
        | Call::KuboStop(_)
        | Call::KuboRestart(_)
        | Call::KuboGc(_) => true,
        Call::Wait(_) | Call::LockWait(_) => true,
        Call::SnapshotNow(_) | Call::SnapshotPath(_) | Call::SnapshotVerify(_) => true,
        Call::IndexBackup(_) | Call::IndexRestore(_) | Call::IndexVerify(_) | Call::IndexCompact(_) => true,
        Call::IndexRefresh(refresh) => refresh.wait,
        Call::KuboLogs(logs) => logs.follow,
        Call::Events(events) => events.follow,
        Call::Log(log) => log.follow,
        _ => false,
    }
}

/// About how long the one response of a call may be, which is made when there is room for it. 0: its end is short and may take as long as it
/// takes, or it comes in parts that see to it themselves.
fn room(call: &Call) -> u32 {
    match call {
        call if long(call) => 0,
        Call::Events(_) | Call::KuboLogs(_) | Call::Log(_) => 0,
        Call::PinLs(_) | Call::PinHistory(_) | Call::PinDiff(_) | Call::VfsLs(_) | Call::AccessLog(_) => 0,
        Call::StateSystem(StateSystem(ask)) | Call::StateNetwork(StateNetwork(ask)) if ask.history => 0,
        Call::StateStorage(StateStorage(ask)) | Call::StateFiles(StateFiles(ask)) if ask.history => 0,
        Call::VfsJournal(_) => LIST,
        Call::AnalyticsHot(_) | Call::AnalyticsCold(_) | Call::AnalyticsPatterns(_) | Call::AnalyticsTiers(_) => LIST,
        Call::AnalyticsPredict(_) | Call::AnalyticsUnpinFirst(_) => LIST,
        Call::AnalyticsSummary(_) | Call::AnalyticsDisk(_) | Call::AnalyticsScore(_) => REPORT,
        Call::ConfigShow(_) | Call::KuboConfig(_) | Call::Metrics(_) | Call::SnapshotLs(_) => REPORT,
        _ => ANSWER,
    }
}

/// Asks the owner of a verb.
pub(crate) async fn ask<A, V>(owner: &ActorRef<A>, verb: V) -> Result<Done, Fault>
where
    A: Actor + Message<V>,
    <A as Message<V>>::Reply: Reply<Ok = V::Reply, Error = Fault>,
    V: Verb + Send + Sync + 'static,
    V::Reply: Send + 'static,
{
    fault::ask(owner, verb).await.map(V::done)
}
