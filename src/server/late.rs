//! What is said of a call whose time is over: what it waited for, why that is not so, and what brings it about. Pure.

use super::doctor;
use proto_msgs::daemon::{Condition, StatusReport};
use proto_msgs::kubo::{KuboMode, KuboState};
use proto_msgs::lock::Verdict;
use proto_msgs::verb::Call;
use proto_msgs::{Fault, FaultKind};
use std::time::Duration;

const MORE: &str = "ask again, with more time";

/// What a call is about, as far as its lateness is concerned.
#[derive(Clone, Copy)]
pub(super) enum Late {
    /// It waits for this.
    Condition(Condition),
    /// It waits for the repo to be free.
    FreeRepo,
    /// It changes nothing.
    Read(&'static str),
    /// It changes something.
    Change(&'static str),
}

impl Late {
    pub(super) fn of(call: &Call) -> Late {
        let name = call.name();
        match call {
            Call::Wait(wait) => Late::Condition(wait.condition),
            Call::LockWait(_) => Late::FreeRepo,
            Call::PinAdd(_) | Call::PinRm(_) | Call::PinTag(_) | Call::PinNote(_) | Call::PinTier(_) => {
                Late::Change(name)
            }
            Call::KuboStart(_) | Call::KuboStop(_) | Call::KuboRestart(_) | Call::KuboGc(_) => Late::Change(name),
            Call::IndexPause(_) | Call::IndexResume(_) | Call::LockClean(_) => Late::Change(name),
            Call::IndexImport(_) => Late::Change(name),
            Call::Shutdown(_) | Call::Cancel(_) => Late::Change(name),
            Call::Status(_) | Call::PinLs(_) | Call::PinInfo(_) | Call::KuboStatus(_) | Call::KuboLogs(_) => {
                Late::Read(name)
            }
            Call::SnapshotNow(_) | Call::IndexBackup(_) | Call::IndexRestore(_) | Call::IndexCompact(_) => {
                Late::Change(name)
            }
            Call::IndexVerify(_) => Late::Read(name),
            Call::SnapshotFd(_) => Late::Read(name),
            Call::SnapshotLs(_) | Call::SnapshotPath(_) | Call::SnapshotVerify(_) => Late::Read(name),
            Call::PinHistory(_) | Call::PinDiff(_) | Call::IndexInfo(_) => Late::Read(name),
            Call::VfsLs(_) | Call::VfsInfo(_) | Call::VfsJournal(_) => Late::Read(name),
            Call::StateSystem(_) | Call::StateNetwork(_) | Call::StateStorage(_) | Call::StateFiles(_) => {
                Late::Read(name)
            }
            Call::LockCheck(_) | Call::IndexRefresh(_) | Call::Metrics(_) | Call::ConfigShow(_) => Late::Read(name),
            Call::PinBegin(_) | Call::PinUpdate(_) => Late::Change(name),
            Call::PinVerify(_) | Call::KuboConfig(_) | Call::Log(_) => Late::Read(name),
            Call::Events(_) | Call::Doctor(_) => Late::Read(name),
            // They may be made once more under the same name, or for the same log.
            Call::AccessRecord(_) | Call::AccessImport(_) => Late::Change(name),
            Call::AccessLog(_) | Call::AnalyticsSummary(_) | Call::AnalyticsHot(_) => Late::Read(name),
            Call::AnalyticsCold(_) | Call::AnalyticsPatterns(_) | Call::AnalyticsTiers(_) => Late::Read(name),
            Call::AnalyticsPredict(_) | Call::AnalyticsDisk(_) => Late::Read(name),
            Call::AnalyticsUnpinFirst(_) | Call::AnalyticsScore(_) => Late::Read(name),
        }
    }

    pub(super) fn fault(self, limit: Duration, status: &StatusReport) -> Fault {
        let (awaited, (why, hint)) = match self {
            Late::Condition(condition) => (condition.name(), unmet(condition, status)),
            Late::FreeRepo => ("a free repo", occupied(status)),
            Late::Read(name) => return undone(name, limit, MORE),
            Late::Change(name) => {
                return undone(name, limit, "whether it has an effect is unknown; look, then ask again");
            }
        };
        Fault::new(FaultKind::Timeout, format!("{awaited} did not come true within {limit:?}; {why}")).hint(hint)
    }
}

fn undone(name: &str, limit: Duration, hint: &str) -> Fault {
    let detail = format!("{} was not done within {limit:?}", name.replace('_', " "));
    Fault::new(FaultKind::Timeout, detail).hint(hint)
}

/// Why a condition does not hold, and what brings it about.
fn unmet(condition: Condition, status: &StatusReport) -> (String, String) {
    let (kubo, index) = (&status.kubo, &status.index);
    match condition {
        Condition::KuboRunning => not_running(status),
        Condition::KuboStopped => {
            let hint = match kubo.state {
                KuboState::Stopping => "it has stop_grace to end; ask again, with more time",
                _ if kubo.mode == KuboMode::Attach => "somebody else runs it, and stops it where it is run",
                _ => "`ipfs-kitctl kubo stop` stops it",
            };
            (format!("Kubo is {}", kubo.state.name()), hint.to_owned())
        }
        Condition::IndexFresh | Condition::IndexComplete if kubo.state != KuboState::Running => not_running(status),
        Condition::IndexFresh | Condition::IndexComplete if index.failed_refreshes > 0 => {
            let why = index.last_error.as_deref().unwrap_or("the log says why");
            let detail = format!("the last {} refreshes failed: {why}", index.failed_refreshes);
            (detail, "mend that; `ipfs-kitctl index refresh --wait` then tries at once".to_owned())
        }
        Condition::IndexFresh | Condition::IndexComplete => {
            ("Kubo is running, and its pins are still being listed".to_owned(), MORE.to_owned())
        }
    }
}

fn not_running(status: &StatusReport) -> (String, String) {
    let kubo = &status.kubo;
    if let Some(finding) = doctor::kubo(kubo, &status.daemon.data_dir) {
        let command = finding.command.map(|command| format!(" (`{command}`)")).unwrap_or_default();
        let what = if kubo.held.is_some() { "Kubo is held: " } else { "" };
        return (format!("{what}{}", finding.detail), format!("{}{command}", finding.hint));
    }
    let why = kubo.last_look.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let hint = match kubo.state {
        KuboState::Starting => {
            "`ipfs-kitctl kubo logs -f` shows how far it is; it is waited for, however long it takes"
        }
        _ => MORE,
    };
    (format!("Kubo is {}{why}", kubo.state.name()), hint.to_owned())
}

/// Who or what has the repo.
fn occupied(status: &StatusReport) -> (String, String) {
    let evidence = "`ipfs-kitctl lock check` shows the evidence";
    let Some(lock) = &status.lock else { return ("the lock was not looked at yet".to_owned(), MORE.to_owned()) };
    let holder = |pid: u32| {
        let program = lock.holder.as_ref().map(|program| format!(" ({program})")).unwrap_or_default();
        format!("{} is held by PID {pid}{program}", lock.path)
    };
    match (lock.verdict, lock.holder_pid) {
        (Verdict::Live, _) if lock.ours => {
            ("our own Kubo has it".to_owned(), "`ipfs-kitctl kubo stop` stops it".to_owned())
        }
        (Verdict::Live, Some(pid)) => (holder(pid), format!("stop that, or wait longer; {evidence}")),
        (Verdict::Live, None) => {
            (format!("{} is held by a process that can't be seen from here", lock.path), format!("stop it; {evidence}"))
        }
        _ if lock.blocks => {
            let detail = format!("{} is in the way: {}", lock.path, lock.evidence.join("; "));
            (detail, "`ipfs-kitctl lock clean --dry-run` says what would settle it".to_owned())
        }
        _ => ("something else than the repo's lock is in use or in the way".to_owned(), evidence.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};
    use crate::kubo::memory::before_start;
    use clap::Parser;
    use proto_msgs::daemon::{DaemonReport, IndexReport};
    use proto_msgs::kubo::Held;
    use proto_msgs::lock::{LockAction, LockFile, LockRole};
    use proto_msgs::pin::{PinsUnderWay, Source};

    fn status(state: KuboState) -> StatusReport {
        let flags = ["x", "--data-dir", "/d", "--runtime-dir", "/r", "--ipfs-path", "/repo"];
        let mut kubo = before_start(&Config::load(&Flags::parse_from(flags)).expect("a configuration"));
        kubo.state = state;
        let (started, data_dir, socket) = (String::new(), "/d".to_owned(), String::new());
        let (version, actors) = (String::new(), Vec::new());
        let daemon =
            DaemonReport { version, pid: 1, started, uptime_s: 0.0, data_dir, socket, stopping: false, actors };
        let index = IndexReport {
            as_of: None,
            age_s: None,
            generation: 0,
            complete: false,
            source: Source::Index,
            pins: 0,
            recursive: 0,
            direct: 0,
            peer_id: None,
            interval_s: 30.0,
            last_refresh_s: None,
            failed_refreshes: 0,
            last_error: None,
            recovery: None,
            names_as_of: None,
            paused: false,
            journal_closed: None,
            snapshot_failed: None,
            sizes: None,
            snapshot: None,
        };
        StatusReport {
            daemon,
            kubo,
            index,
            lock: None,
            accesses: Vec::new(),
            detached: PinsUnderWay::default(),
            last_error: None,
        }
    }

    fn late(late: Late, status: &StatusReport) -> (String, String) {
        let fault = late.fault(Duration::from_secs(5), status);
        assert_eq!(fault.kind, FaultKind::Timeout);
        (fault.detail, fault.hint.expect("a hint"))
    }

    const RUNNING: Late = Late::Condition(Condition::KuboRunning);
    const FRESH: Late = Late::Condition(Condition::IndexFresh);

    #[test]
    fn whoever_waits_for_a_held_kubo_is_told_why_it_is_held_and_what_mends_that() {
        let mut held = status(KuboState::Held);
        let (cause, detail, hint) = ("disk_full".to_owned(), "no space left".to_owned(), "make room".to_owned());
        held.kubo.held = Some(Held { cause, detail, hint });
        for waits in [RUNNING, FRESH, Late::Condition(Condition::IndexComplete)] {
            let (detail, hint) = late(waits, &held);
            assert!(detail.ends_with("within 5s; Kubo is held: no space left"), "{detail}");
            assert_eq!(hint, "make room (`df -h /repo`)");
        }
    }

    #[test]
    fn whoever_waits_for_a_kubo_that_starts_is_told_what_it_lacks() {
        let mut starting = status(KuboState::Starting);
        starting.kubo.last_look = Some("Kubo: 403 Forbidden".to_owned());
        let (detail, hint) = late(RUNNING, &starting);
        assert!(detail.ends_with("Kubo is starting: Kubo: 403 Forbidden"), "{detail}");
        assert!(hint.contains("kubo logs -f"), "{hint}");
        let (_, hint) = late(Late::Condition(Condition::KuboStopped), &status(KuboState::Running));
        assert_eq!(hint, "`ipfs-kitctl kubo stop` stops it");
    }

    #[test]
    fn whoever_waits_for_the_index_is_told_why_its_refresh_fails() {
        let mut failing = status(KuboState::Running);
        (failing.index.failed_refreshes, failing.index.last_error) = (3, Some("a listing was cut".to_owned()));
        let (detail, hint) = late(FRESH, &failing);
        assert!(detail.ends_with("the last 3 refreshes failed: a listing was cut"), "{detail}");
        assert!(hint.contains("index refresh --wait"), "{hint}");
        assert_eq!(late(FRESH, &status(KuboState::Running)).1, MORE);
    }

    #[test]
    fn whoever_waits_for_the_repo_is_told_who_has_it() {
        let mut held = status(KuboState::Held);
        let lock = LockFile {
            path: "/repo/repo.lock".to_owned(),
            role: LockRole::RepoLock,
            verdict: Verdict::Live,
            blocks: true,
            holder_pid: Some(42),
            holder: Some("ipfs".to_owned()),
            ours: false,
            evidence: vec!["a link".to_owned()],
            action: LockAction::None,
            needs_force: false,
            hint: None,
        };
        held.lock = Some(lock.clone());
        let (detail, hint) = late(Late::FreeRepo, &held);
        assert!(
            detail.ends_with("/repo/repo.lock is held by PID 42 (ipfs)") && hint.contains("lock check"),
            "{detail}"
        );
        held.lock = Some(LockFile { ours: true, ..lock.clone() });
        assert_eq!(late(Late::FreeRepo, &held).1, "`ipfs-kitctl kubo stop` stops it");
        held.lock = Some(LockFile { verdict: Verdict::Unknown, holder_pid: None, ..lock });
        assert!(late(Late::FreeRepo, &held).0.ends_with("/repo/repo.lock is in the way: a link"));
    }
}
