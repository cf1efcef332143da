//! One sample of every message, made from a few varying values, for the tests of both forms.
//!
//! Each function walks its whole enum; `tests/forms.rs` holds them against the table of verbs, so a new verb can't be left
//! out.

mod access;

use proto_msgs::bulk::*;
use proto_msgs::daemon::*;
use proto_msgs::doctor::*;
use proto_msgs::event::*;
use proto_msgs::fault::{Fault, FaultKind};
use proto_msgs::kubo::*;
use proto_msgs::legacy::*;
use proto_msgs::lock::*;
use proto_msgs::log::*;
use proto_msgs::pin::*;
use proto_msgs::snapshot::*;
use proto_msgs::state::*;
use proto_msgs::upkeep::*;
use proto_msgs::verb::{Body, Call, Done, Part, Request, Response, Verb};
use proto_msgs::vfs::*;

/// What varies between samples.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    /// Any text.
    pub(crate) text: String,
    /// Any text or none.
    pub(crate) maybe: Option<String>,
    /// An integer below 2^53.
    pub(crate) number: u64,
    /// Whether optional numbers are there.
    pub(crate) flag: bool,
    /// Rows in lists.
    pub(crate) rows: usize,
}

impl Seed {
    /// The values of the golden files.
    pub(crate) fn golden() -> Seed {
        Seed { text: "text".to_owned(), maybe: Some("some".to_owned()), number: 7, flag: true, rows: 1 }
    }

    /// The same with every optional value absent and every list empty.
    pub(crate) fn bare() -> Seed {
        Seed { maybe: None, flag: false, rows: 0, ..Seed::golden() }
    }

    fn t(&self) -> String {
        self.text.clone()
    }

    fn m(&self) -> Option<String> {
        self.maybe.clone()
    }

    fn n(&self) -> Option<u64> {
        self.flag.then_some(self.number)
    }

    fn pid(&self) -> u32 {
        self.number as u32
    }

    // Thousandths: what the daemon's clocks and counters give; every JSON reader gets these back exactly.
    fn real(&self) -> f64 {
        (self.number % 1_000_000_000_000) as f64 / 1000.0
    }

    fn reals(&self) -> Option<f64> {
        self.flag.then_some(self.real())
    }

    fn list<T: Clone>(&self, row: T) -> Vec<T> {
        vec![row; self.rows]
    }

    fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[(self.number % of.len() as u64) as usize]
    }

    fn source(&self) -> Source {
        self.pick(&[Source::Live, Source::Index, Source::Snapshot])
    }

    fn condition(&self) -> Condition {
        use Condition::*;
        self.pick(&[KuboRunning, KuboStopped, IndexFresh, IndexComplete])
    }
}

/// Every call.
pub(crate) fn calls(s: &Seed) -> Vec<Call> {
    use PinSort::*;
    let mut calls = vec![
        Status {}.into(),
        PinLs {
            pin_type: s.flag.then_some(s.pick(&[PinType::Recursive, PinType::Direct])),
            name: s.m(),
            tag: s.m(),
            tier: s.m(),
            min_size: s.n(),
            since: s.m(),
            limit: s.n(),
            offset: s.number,
            sort: s.flag.then_some(s.pick(&[Cid, Name, Type, Codec, Size, FirstSeen])),
            descending: s.flag,
            bulk: s.flag.then_some(s.pick(&[Bulk::Arrow, Bulk::Parquet])),
            columns: s.list(s.t()),
        }
        .into(),
        PinInfo { cid: s.t() }.into(),
        PinAdd { cid: s.t(), name: s.m(), direct: s.flag }.into(),
        PinBegin(PinAdd { cid: s.t(), name: s.m(), direct: s.flag }).into(),
        PinRm { cid: s.t() }.into(),
        PinUpdate { from: s.t(), to: s.t(), keep: s.flag }.into(),
        PinVerify {}.into(),
        PinTag { cid: s.t(), add: s.list(s.t()), remove: s.list(s.t()) }.into(),
        PinNote { cid: s.t(), note: s.m() }.into(),
        PinTier { cid: s.t(), tier: s.m() }.into(),
        PinHistory { cid: s.m(), limit: s.n(), offset: s.number }.into(),
        PinDiff { from: s.number, to: s.number, limit: s.n(), offset: s.number }.into(),
        KuboStatus {}.into(),
        KuboStart {}.into(),
        KuboStop {}.into(),
        KuboRestart {}.into(),
        KuboLogs { lines: s.flag.then_some(s.pid()), since: s.m(), follow: s.flag }.into(),
        KuboGc {}.into(),
        KuboConfig {}.into(),
        LockCheck {}.into(),
        LockClean { dry_run: s.flag, force: s.flag }.into(),
        LockWait {}.into(),
        IndexRefresh { wait: s.flag, names: s.flag }.into(),
        IndexPause {}.into(),
        IndexResume {}.into(),
        IndexInfo {}.into(),
        IndexBackup { path: s.t(), force: s.flag }.into(),
        IndexRestore { path: s.t(), force: s.flag }.into(),
        IndexVerify {}.into(),
        IndexCompact {}.into(),
        IndexImport { path: s.t() }.into(),
        SnapshotNow { arrow: s.flag }.into(),
        SnapshotLs {}.into(),
        SnapshotPath {}.into(),
        SnapshotFd {}.into(),
        SnapshotVerify { snapshot: s.m() }.into(),
        VfsLs { path: s.t(), limit: s.n(), after: s.m() }.into(),
        VfsInfo { path: s.t() }.into(),
        VfsJournal { since: s.number, limit: s.n() }.into(),
        StateSystem(states(s)).into(),
        StateNetwork(states(s)).into(),
        StateStorage(states(s)).into(),
        StateFiles(states(s)).into(),
        Metrics {}.into(),
        Events { since: s.n(), epoch: s.m(), follow: s.flag }.into(),
        Log {
            lines: s.flag.then_some(s.pid()),
            since: s.m(),
            level: s.flag.then_some(s.pick(&LogLevel::ALL)),
            follow: s.flag,
        }
        .into(),
        Doctor {}.into(),
        Wait { condition: s.condition() }.into(),
        ConfigShow {}.into(),
        Shutdown {}.into(),
        Cancel { id: s.number }.into(),
    ];
    calls.extend(access::calls(s));
    calls
}

/// Every reply, in the order of [`calls`].
pub(crate) fn dones(s: &Seed) -> Vec<Done> {
    let mut dones = vec![
        Status::done(StatusReport {
            daemon: daemon(s),
            kubo: kubo(s),
            index: index(s),
            lock: s.flag.then(|| lock(s)),
            accesses: s.list(access::source(s)),
            detached: PinsUnderWay { count: s.number, oldest: s.list(PinUnderWay { cid: s.t(), since: s.t() }) },
            last_error: s.flag.then(|| error(s)),
        }),
        PinLs::done(page(s)),
        PinInfo::done(PinInfoReply {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            complete: s.flag,
            source: s.source(),
            pins: s.list(pin(s)),
        }),
        PinAdd::done(PinAdded { generation: s.number, pin: pin(s) }),
        PinBegin::done(PinBegun { cid: s.t() }),
        PinRm::done(PinRemoved { generation: s.number, cid: s.t(), given_up: s.flag }),
        PinUpdate::done(PinUpdated { generation: s.number, from: s.t(), kept: s.flag, pin: pin(s) }),
        PinVerify::done(PinVerified {
            pins: s.number,
            broken: s.number,
            examples: s.list(BrokenPin { cid: s.t(), blocks: s.list(BrokenBlock { cid: s.t(), error: s.t() }) }),
        }),
        PinTag::done(marked(s)),
        PinNote::done(marked(s)),
        PinTier::done(marked(s)),
        PinHistory::done(page(s)),
        PinDiff::done(page(s)),
        KuboStatus::done(kubo(s)),
        KuboStart::done(kubo(s)),
        KuboStop::done(kubo(s)),
        KuboRestart::done(kubo(s)),
        KuboLogs::done(logs(s)),
        KuboGc::done(KuboGcDone { blocks: s.number, bytes_before: s.n(), bytes_after: s.n(), errors: s.list(s.t()) }),
        KuboConfig::done(KuboConfigReport { settings: s.list(KuboSetting { key: s.t(), value: s.t() }) }),
        LockCheck::done(LockReport { as_of: s.t(), locks: s.list(lock(s)) }),
        LockClean::done(LockCleaned { as_of: s.t(), dry_run: s.flag, files: s.list(outcome(s)) }),
        LockWait::done(LockFree { waited_s: s.real() }),
        IndexRefresh::done(IndexRefreshed {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            complete: s.flag,
            source: s.source(),
            done: s.flag,
            added: s.number,
            removed: s.number,
            changed: s.number,
            missing: s.number,
        }),
        IndexPause::done(IndexPaused { paused: s.flag }),
        IndexResume::done(IndexPaused { paused: s.flag }),
        IndexInfo::done(info(s)),
        IndexBackup::done(IndexBackedUp { path: s.t(), bytes: s.number, manifest: snapshot(s).manifest }),
        IndexRestore::done(IndexRestored {
            manifest: snapshot(s).manifest,
            kept: s.t(),
            generation: s.number,
            pins: s.number,
            marks: s.number,
        }),
        IndexVerify::done(IndexVerified {
            generation: s.number,
            pins: s.n(),
            gone: s.n(),
            changes: s.n(),
            marks: s.n(),
            journal_seq: s.number,
            snapshots: s.list(check(s)),
            problems: s.list(s.t()),
        }),
        IndexCompact::done(IndexCompacted {
            index_before: s.number,
            index_after: s.number,
            journal_before: s.number,
            journal_after: s.number,
            put_off: s.m(),
        }),
        IndexImport::done(IndexImported { sources: s.list(legacy(s)) }),
        SnapshotNow::done(snapshot(s)),
        SnapshotLs::done(SnapshotList { dir: s.t(), snapshots: s.list(snapshot_row(s)) }),
        SnapshotPath::done(snapshot(s)),
        SnapshotFd::done(snapshot(s)),
        SnapshotVerify::done(SnapshotVerified { snapshots: s.list(check(s)), problem: s.m() }),
        VfsLs::done(VfsPage {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            complete: s.flag,
            source: s.source(),
            unread: s.number,
            error: s.m(),
            entry: vfs(s),
            total: s.number,
        }),
        VfsInfo::done(VfsInfoReply {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            complete: s.flag,
            source: s.source(),
            unread: s.number,
            error: s.m(),
            entry: vfs(s),
            children: s.number,
        }),
        VfsJournal::done(VfsJournalPage {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            complete: s.flag,
            source: s.source(),
            unread: s.number,
            error: s.m(),
            gap: s.flag,
            more: s.flag,
            changes: s.list(VfsChange {
                seq: s.number,
                at: s.t(),
                op: s.pick(&[VfsOp::Added, VfsOp::Changed, VfsOp::Removed, VfsOp::Unread]),
                path: s.t(),
                cid: s.m(),
                cid_before: s.m(),
            }),
        }),
        StateSystem::done(measured(s, system_state(s))),
        StateNetwork::done(measured(s, network_state(s))),
        StateStorage::done(measured(s, storage_state(s))),
        StateFiles::done(measured(s, files_state(s))),
        Metrics::done(MetricsReport {
            as_of: s.m(),
            age_s: s.reals(),
            generation: s.number,
            complete: s.flag,
            source: s.source(),
            pins: s.number,
            named: s.number,
            by_type: s.list(Count { key: s.t(), pins: s.number }),
            by_codec: s.list(Count { key: s.t(), pins: s.number }),
            by_age: s.list(Count { key: s.t(), pins: s.number }),
            by_size_kind: s.list(Count { key: s.t(), pins: s.number }),
            by_size: s.list(Count { key: s.t(), pins: s.number }),
            bytes: s.n(),
        }),
        Events::done(events(s)),
        Log::done(log(s)),
        Doctor::done(DoctorReport { as_of: s.t(), findings: s.list(finding(s)) }),
        Wait::done(Waited { condition: s.condition(), waited_s: s.real() }),
        ConfigShow::done(ConfigReport { settings: s.list(Setting { key: s.t(), value: s.t(), source: s.t() }) }),
        Shutdown::done(ShuttingDown { pid: s.pid() }),
        Cancel::done(Cancelled { id: s.number, was_running: s.flag }),
    ];
    dones.extend(access::dones(s));
    dones
}

/// Every part.
pub(crate) fn parts(s: &Seed) -> Vec<Part> {
    vec![
        Part::PinLs(PinRows { pins: s.list(pin(s)) }),
        // In base64 it is `text`, as all texts of a golden sample are.
        Part::Bulk(BulkBytes { bytes: s.list([0xb5, 0xec, 0x6d]).concat() }),
        Part::PinChanges(PinChanges { changes: s.list(change_of_pin(s)) }),
        Part::Progress(Progress { blocks: s.number, bytes: s.n() }),
        Part::KuboLogs(logs(s)),
        Part::Log(log(s)),
        Part::Events(events(s)),
        access::part(s),
        Part::VfsLs(VfsRows { entries: s.list(vfs(s)) }),
        Part::StateSystem(StateRows { samples: s.list(system_state(s)) }),
        Part::StateNetwork(StateRows { samples: s.list(network_state(s)) }),
        Part::StateStorage(StateRows { samples: s.list(storage_state(s)) }),
        Part::StateFiles(StateRows { samples: s.list(files_state(s)) }),
    ]
}

/// A fault of every kind.
pub(crate) fn faults(s: &Seed) -> Vec<Fault> {
    use FaultKind::*;
    [
        Invalid,
        NotFound,
        Conflict,
        NotReady,
        Busy,
        Timeout,
        KuboDown,
        Kubo,
        NotOurs,
        Denied,
        Interrupted,
        Cancelled,
        Internal,
        Unknown,
    ]
    .map(|kind| Fault { kind, detail: s.t(), hint: s.m() })
    .into()
}

/// Every request.
pub(crate) fn requests(s: &Seed) -> Vec<Request> {
    calls(s).into_iter().map(|call| Request { id: s.number, deadline_ms: s.n(), call }).collect()
}

/// Every response.
pub(crate) fn responses(s: &Seed) -> Vec<Response> {
    let dones = dones(s).into_iter().map(Body::Done);
    let parts = parts(s).into_iter().map(Body::Part);
    let faults = faults(s).into_iter().map(Body::Fault);
    dones.chain(parts).chain(faults).map(|body| Response { id: s.number, body }).collect()
}

fn log(s: &Seed) -> LogPage {
    let line = LogLine { at: s.t(), level: s.pick(&LogLevel::ALL), target: s.t(), text: s.t() };
    LogPage { lines: s.list(line), dropped: s.number }
}

fn page(s: &Seed) -> PinPage {
    PinPage {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        complete: s.flag,
        source: s.source(),
        total: s.number,
    }
}

fn change_of_pin(s: &Seed) -> PinChange {
    use PinEvent::*;
    let types = [PinType::Recursive, PinType::Direct];
    PinChange {
        event: s.pick(&[Added, Renamed, Retyped, Removed]),
        generation: s.n(),
        at: s.m(),
        cid: s.t(),
        pin_type: s.pick(&types),
        name: s.m(),
        type_before: s.flag.then_some(s.pick(&types)),
        name_before: s.m(),
    }
}

/// One row.
pub(crate) fn pin(s: &Seed) -> Pin {
    use ContentKind::*;
    Pin {
        cid: s.t(),
        name: s.m(),
        pin_type: s.pick(&[PinType::Recursive, PinType::Direct]),
        size: s.n(),
        size_kind: s.pick(&[SizeKind::Exact, SizeKind::Estimated, SizeKind::Unknown]),
        codec: s.t(),
        kind: s.flag.then_some(s.pick(&[File, Directory, Raw, Other])),
        first_seen: s.t(),
        access_count: s.n(),
        last_access: s.m(),
        hotness: s.reals(),
        pattern: s.m(),
        tier: s.m(),
        tags: s.list(s.t()),
        note: s.m(),
    }
}

fn marked(s: &Seed) -> PinMarked {
    PinMarked { cid: s.t(), tags: s.list(s.t()), note: s.m(), tier: s.m(), seq: s.n(), shown: s.flag }
}

fn vfs(s: &Seed) -> VfsEntry {
    use ContentKind::*;
    VfsEntry {
        path: s.t(),
        name: s.t(),
        kind: s.flag.then_some(s.pick(&[File, Directory, Other])),
        size: s.n(),
        cid: s.t(),
        pin: s.flag.then_some(s.pick(&[PinType::Recursive, PinType::Direct])),
        whole: s.flag,
    }
}

fn state(s: &Seed) -> KuboState {
    use KuboState::*;
    s.pick(&[Held, Starting, Running, Degraded, Stopping, Stopped, Backoff, CrashLoop])
}

fn change(s: &Seed) -> KuboChange {
    KuboChange { from: state(s), to: state(s), cause: s.t(), evidence: s.t() }
}

fn finding(s: &Seed) -> Finding {
    let severity = s.pick(&[Severity::Error, Severity::Warning]);
    Finding { cause: s.t(), severity, detail: s.t(), hint: s.t(), command: s.m() }
}

fn logs(s: &Seed) -> KuboLogPage {
    KuboLogPage { lines: s.list(KuboLogLine { at: s.t(), stream: s.t(), text: s.t() }), dropped: s.number }
}

fn events(s: &Seed) -> EventPage {
    let n = s.number;
    let index = IndexChange { from: n, to: n, added: n, changed: n, removed: n, pins: n, restored: s.flag };
    let refresh = RefreshChange { failing: s.flag, failed: n, error: s.m() };
    let snapshot = SnapshotPublished { name: s.t(), generation: n, pins: n, bytes: n };
    let whats = [
        What::Kubo(change(s)),
        What::Error(error(s)),
        What::Index(index),
        What::Pin(PinEnd { cid: s.t(), failed: s.m(), cancelled: s.flag }),
        What::Refresh(refresh),
        What::Snapshot(snapshot),
        What::Reload(Reloaded { later: s.list(s.t()) }),
    ];
    let state = EventState {
        at: s.t(),
        seq: n,
        version: s.t(),
        stopping: s.flag,
        kubo: state(s),
        generation: n,
        pins: n,
        complete: s.flag,
        as_of: s.m(),
    };
    // Even where lists are empty, so that each kind is seen.
    let events = whats.map(|what| Event { seq: n, at: s.t(), what });
    EventPage { epoch: s.t(), state: s.flag.then_some(state), gap: n, events: events.into() }
}

fn kubo(s: &Seed) -> KuboReport {
    let exit = KuboExit {
        at: s.t(),
        cause: s.t(),
        code: s.flag.then_some(-1),
        signal: s.flag.then_some(9),
        asked: s.flag,
        log: s.list(s.t()),
    };
    KuboReport {
        state: state(s),
        since: s.t(),
        mode: s.pick(&[KuboMode::Spawn, KuboMode::Attach]),
        change: s.flag.then(|| change(s)),
        held: s.flag.then(|| proto_msgs::kubo::Held { cause: s.t(), detail: s.t(), hint: s.t() }),
        pid: s.flag.then_some(s.pid()),
        memory: s.n(),
        peers: s.n(),
        newest_line: s.m(),
        last_look: s.m(),
        peer_id: s.m(),
        version: s.m(),
        repo: s.m(),
        binary: s.m(),
        rpc: s.t(),
        api: s.list(s.t()),
        warnings: s.list(finding(s)),
        restarts: s.number,
        last_exit: s.flag.then_some(exit),
        next_retry: s.m(),
    }
}

fn role(s: &Seed) -> LockRole {
    use LockRole::*;
    s.pick(&[RepoLock, OldLock, ClusterLock, Datastore, Address, Leftover, Socket, OwnSocket])
}

fn verdict(s: &Seed) -> Verdict {
    s.pick(&[Verdict::Live, Verdict::Idle, Verdict::Dead, Verdict::Unknown])
}

fn action(s: &Seed) -> LockAction {
    s.pick(&[LockAction::None, LockAction::Truncate, LockAction::Unlink, LockAction::Rmdir])
}

fn lock(s: &Seed) -> LockFile {
    LockFile {
        path: s.t(),
        role: role(s),
        verdict: verdict(s),
        blocks: s.flag,
        holder_pid: s.flag.then_some(s.pid()),
        holder: s.m(),
        ours: s.flag,
        evidence: s.list(s.t()),
        action: action(s),
        needs_force: s.flag,
        hint: s.m(),
    }
}

fn outcome(s: &Seed) -> LockOutcome {
    LockOutcome {
        path: s.t(),
        role: role(s),
        verdict: verdict(s),
        action: action(s),
        done: s.flag,
        detail: s.t(),
        blocks: s.flag,
    }
}

fn error(s: &Seed) -> LastError {
    LastError { at: s.t(), actor: s.t(), detail: s.t() }
}

fn daemon(s: &Seed) -> DaemonReport {
    DaemonReport {
        version: s.t(),
        pid: s.pid(),
        started: s.t(),
        uptime_s: s.real(),
        data_dir: s.t(),
        socket: s.t(),
        stopping: s.flag,
        actors: s.list(ActorReport {
            name: s.t(),
            running: s.flag,
            restarts: s.number,
            last_failure: s.flag.then(|| error(s)),
        }),
    }
}

fn index(s: &Seed) -> IndexReport {
    IndexReport {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        complete: s.flag,
        source: s.source(),
        pins: s.number,
        recursive: s.number,
        direct: s.number,
        peer_id: s.m(),
        interval_s: s.real(),
        last_refresh_s: s.reals(),
        failed_refreshes: s.number,
        last_error: s.m(),
        recovery: s.m(),
        names_as_of: s.m(),
        paused: s.flag,
        sizes: s.flag.then(|| sizes(s)),
        journal_closed: s.m(),
        snapshot_failed: s.m(),
        snapshot: s.flag.then(|| SnapshotBrief {
            name: s.t(),
            generation: s.number,
            created_at: s.t(),
            as_of: s.m(),
            age_s: s.reals(),
            behind: s.flag,
        }),
    }
}

fn sizes(s: &Seed) -> SizesReport {
    SizesReport {
        exact: s.number,
        estimated: s.number,
        unknown: s.number,
        failed: s.number,
        next_retry: s.m(),
        last_failure: s.m(),
    }
}

fn legacy(s: &Seed) -> LegacySource {
    use LegacyOutcome::*;
    LegacySource {
        path: s.t(),
        outcome: s.pick(&[Imported, Known, Nothing, Failed]),
        detail: s.m(),
        digest: s.m(),
        form: s.m(),
        rows: s.number,
        taken: s.number,
        nulled: s.list(LegacyCount { rule: s.t(), values: s.number }),
        ignored: s.list(s.t()),
        refused: s.list(LegacyRefused { reason: s.t(), rows: s.number, examples: s.list(s.t()) }),
        kept: s.flag,
    }
}

fn info(s: &Seed) -> IndexInfoReport {
    IndexInfoReport {
        as_of: s.m(),
        age_s: s.reals(),
        generation: s.number,
        complete: s.flag,
        source: s.source(),
        peer_id: s.m(),
        pins: s.number,
        recursive: s.number,
        direct: s.number,
        gone: s.number,
        changes: s.number,
        oldest_generation: s.number,
        file_bytes: s.n(),
        wanted_interval_s: s.real(),
        interval_s: s.real(),
        last_refresh_s: s.reals(),
        lag_s: s.reals(),
        failed_refreshes: s.number,
        last_error: s.m(),
        recovery: s.m(),
        names_as_of: s.m(),
        paused: s.flag,
        sizes: sizes(s),
        mfs: MfsReport { as_of: s.m(), complete: s.flag, entries: s.number, unread: s.number, error: s.m() },
        legacy: LegacyReport { rows: s.number, files: s.number },
    }
}

fn check(s: &Seed) -> SnapshotCheck {
    SnapshotCheck { name: s.t(), files: s.number, bytes: s.number, problems: s.list(s.t()) }
}

fn snapshot(s: &Seed) -> SnapshotAt {
    let manifest = SnapshotManifest {
        format: s.t(),
        format_version: s.pid(),
        schema_version: 2,
        name: s.t(),
        generation: s.number,
        serial: s.number,
        as_of: s.m(),
        created_at: s.t(),
        complete: s.flag,
        peer_id: s.m(),
        journal_seq: s.n(),
        took_s: s.real(),
        files: s.list(SnapshotFile { name: s.t(), rows: s.number, bytes: s.number, sha256: s.t() }),
    };
    SnapshotAt { path: s.t(), manifest, passed_over: s.list(s.t()), made: s.flag }
}

fn snapshot_row(s: &Seed) -> SnapshotRow {
    SnapshotRow {
        name: s.t(),
        generation: s.number,
        created_at: s.m(),
        as_of: s.m(),
        pins: s.n(),
        bytes: s.n(),
        newest: s.flag,
        problem: s.m(),
    }
}

fn states(s: &Seed) -> StateAsk {
    StateAsk { history: s.flag, since: s.m(), limit: s.n() }
}

fn measured<S>(s: &Seed, newest: S) -> StateReport<S> {
    StateReport { as_of: s.m(), age_s: s.reals(), newest: s.flag.then_some(newest) }
}

fn system_state(s: &Seed) -> SystemState {
    SystemState {
        at: s.t(),
        kubo_version: s.m(),
        kubo_cpu: s.reals(),
        kubo_memory: s.n(),
        kubo_uptime_s: s.reals(),
        load: s.reals(),
        memory_total: s.n(),
        memory_available: s.n(),
    }
}

fn network_state(s: &Seed) -> NetworkState {
    NetworkState { at: s.t(), peers: s.n(), bytes_in: s.n(), bytes_out: s.n(), rate_in: s.reals(), rate_out: s.reals() }
}

fn storage_state(s: &Seed) -> StorageState {
    StorageState { at: s.t(), repo_size: s.n(), storage_max: s.n(), disk_total: s.n(), disk_free: s.n(), pins: s.n() }
}

fn files_state(s: &Seed) -> FilesState {
    FilesState { at: s.t(), root: s.m(), size: s.n(), entries: s.n() }
}
