//! Who may ask for what. The kernel says who calls, once, at accept; a PID or a name that a client sends decides nothing. The
//! daemon's own uid and root may do everything, others what `[access]` grants them, as of each call.

use crate::config::Access;
use crate::config::access::{Level, NOBODY};
use interprocess::local_socket::tokio::Stream;
use interprocess::local_socket::traits::StreamCommon;
use proto_msgs::verb::Call;
use proto_msgs::{Fault, FaultKind};

/// The caller, as of its `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) uid: u32,
    gid: u32,
}

impl Peer {
    /// Whether it is the daemon's own uid, or root.
    pub(crate) fn is_own(self) -> bool {
        self.uid == own() || self.uid == 0
    }

    /// How far it is trusted now.
    pub(crate) fn level(self, access: &Access) -> Option<Level> {
        match self.uid {
            _ if self.is_own() => Some(Level::Admin),
            NOBODY => None,
            uid => access.level(uid, self.gid),
        }
    }

    /// Refuses what it may not ask for.
    pub(crate) fn admit(self, call: &Call, access: &Access) -> Result<(), Fault> {
        let (needed, level) = (level(call), self.level(access));
        let Some(level) = level else { return Err(self.stranger()) };
        if level >= needed {
            return Ok(());
        }
        let (verb, uid) = (call.name().replace('_', " "), self.uid);
        let detail = format!("`{verb}` needs the level {}, and uid {uid} has {}", needed.name(), level.name());
        Err(Fault::new(FaultKind::Denied, detail).hint(format!(
            "call it as the user that runs ipfs-kitd, or have its configuration name you in `access.{}`",
            needed.name()
        )))
    }

    fn stranger(self) -> Fault {
        let (uid, own) = (self.uid, own());
        denied(format!("uid {uid} may not use this ipfs-kitd, which runs as uid {own}"))
    }
}

fn own() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Asks the kernel who connected; refuses everybody who may do nothing.
pub(crate) fn identify(stream: &Stream, access: &Access) -> Result<Peer, Fault> {
    let creds = stream.peer_creds().ok();
    let known = creds.as_ref().and_then(|creds| Some(Peer { uid: creds.euid()?, gid: creds.egid()? }));
    let unknown = || denied("the kernel does not say who connected, so the connection is refused".to_owned());
    let peer = known.ok_or_else(unknown)?;
    peer.level(access).map(|_| peer).ok_or_else(|| peer.stranger())
}

fn denied(detail: String) -> Fault {
    Fault::new(FaultKind::Denied, detail)
        .hint("call it as the user that runs it, or as root; `[access]` in its configuration lets others in")
}

/// What a verb needs. Whoever adds one decides it here.
pub(crate) fn level(call: &Call) -> Level {
    match call {
        Call::Status(_)
        | Call::Doctor(_)
        | Call::Events(_)
        | Call::Metrics(_)
        | Call::Wait(_)
        | Call::ConfigShow(_) => Level::Observe,
        Call::PinLs(_) | Call::PinInfo(_) | Call::PinHistory(_) | Call::PinDiff(_) => Level::Observe,
        Call::KuboStatus(_) | Call::LockCheck(_) | Call::LockWait(_) | Call::IndexInfo(_) => Level::Observe,
        Call::SnapshotLs(_) | Call::SnapshotPath(_) | Call::SnapshotFd(_) => Level::Observe,
        Call::VfsLs(_) | Call::VfsInfo(_) | Call::VfsJournal(_) => Level::Observe,
        Call::StateSystem(_) | Call::StateNetwork(_) | Call::StateStorage(_) | Call::StateFiles(_) => Level::Observe,
        Call::AccessLog(_)
        | Call::AnalyticsSummary(_)
        | Call::AnalyticsHot(_)
        | Call::AnalyticsCold(_)
        | Call::AnalyticsPatterns(_)
        | Call::AnalyticsTiers(_)
        | Call::AnalyticsPredict(_)
        | Call::AnalyticsDisk(_)
        | Call::AnalyticsUnpinFirst(_)
        | Call::AnalyticsScore(_) => Level::Observe,
        Call::AccessRecord(_) | Call::AccessImport(_) => Level::Record,
        // Of the caller's own connection.
        Call::Cancel(_) => Level::Observe,
        Call::PinTag(_) | Call::PinNote(_) | Call::PinTier(_) => Level::Record,
        // Each is work for Kubo or for a disk.
        Call::IndexRefresh(_) | Call::IndexVerify(_) | Call::SnapshotNow(_) | Call::SnapshotVerify(_) => Level::Record,
        // Kubo's output may tell what others have asked it for.
        Call::KuboLogs(_) | Call::Log(_) => Level::Admin,
        // Its names alone say what is a secret.
        Call::KuboConfig(_) => Level::Admin,
        Call::PinBegin(_) | Call::PinUpdate(_) | Call::PinVerify(_) => Level::Admin,
        Call::PinAdd(_) | Call::PinRm(_) | Call::KuboGc(_) => Level::Admin,
        Call::KuboStart(_) | Call::KuboStop(_) | Call::KuboRestart(_) | Call::LockClean(_) => Level::Admin,
        Call::IndexPause(_) | Call::IndexResume(_) | Call::IndexCompact(_) => Level::Admin,
        // The daemon reads or writes what they name.
        Call::IndexBackup(_) | Call::IndexRestore(_) | Call::IndexImport(_) => Level::Admin,
        Call::Shutdown(_) => Level::Admin,
    }
}

#[cfg(test)]
#[path = "../../proto-msgs/tests/samples/mod.rs"]
#[expect(dead_code, reason = "only its calls are of use here")]
mod samples;

#[cfg(test)]
mod tests {
    use super::*;

    const OBSERVE: &str = "status doctor events metrics wait config_show pin_ls pin_info pin_history pin_diff kubo_status \
                           lock_check lock_wait index_info snapshot_ls snapshot_path snapshot_fd vfs_ls vfs_info vfs_journal \
                           state_system state_network state_storage state_files cancel access_log analytics_summary \
                           analytics_hot analytics_cold analytics_patterns analytics_tiers analytics_predict \
                           analytics_disk analytics_unpin_first analytics_score";
    const RECORD: &str =
        "access_record access_import pin_tag pin_note pin_tier index_refresh index_verify snapshot_now snapshot_verify";
    const ADMIN: &str = "kubo_logs log kubo_config pin_begin pin_update pin_verify pin_add pin_rm kubo_gc kubo_start kubo_stop kubo_restart lock_clean index_pause \
                         index_resume index_compact index_backup index_restore index_import shutdown";

    /// Another one than that of these tests, and none of those with a meaning of their own.
    fn stranger() -> u32 {
        own() + 4321
    }

    #[test]
    fn every_verb_is_let_through_at_its_level_and_refused_below() {
        let seed = samples::Seed::golden();
        let mut seen = Vec::new();
        for call in samples::calls(&seed) {
            let name = call.name();
            let listed = |names: &str| names.split_whitespace().any(|listed| listed == name);
            let least = [(OBSERVE, 1), (RECORD, 2), (ADMIN, 3)].into_iter().find(|(names, _)| listed(names));
            let least = least.unwrap_or_else(|| panic!("{name} is not in the matrix")).1;
            for (rank, granted) in ["", "observe", "record", "admin"].into_iter().enumerate() {
                let access = Access::of(stranger(), granted);
                let answer = Peer { uid: stranger(), gid: 1 }.admit(&call, &access);
                assert_eq!(answer.is_ok(), rank >= least, "{name} for {granted:?}");
                assert!(answer.err().is_none_or(|fault| fault.kind == FaultKind::Denied));
            }
            for uid in [own(), 0] {
                assert_eq!(Peer { uid, gid: 1 }.admit(&call, &Access::default()), Ok(()));
            }
            seen.push(name);
        }
        seen.sort_unstable();
        let mut all = Call::NAMES.to_vec();
        all.sort_unstable();
        assert_eq!(seen, all);
    }

    #[test]
    fn the_page_of_the_protocol_has_the_level_of_every_verb() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md");
        let page = std::fs::read_to_string(page).expect("the page");
        for call in samples::calls(&samples::Seed::golden()) {
            let row = format!("| `{}` | {} | ", call.name(), level(&call).name());
            assert!(page.contains(&row), "no line begins with {row}");
        }
    }

    #[test]
    fn nobody_is_never_let_in() {
        let access = Access::of(NOBODY, "admin");
        if own() != NOBODY {
            assert_eq!(Peer { uid: NOBODY, gid: 1 }.level(&access), None);
        }
    }
}
