//! The verbs: what can be asked, and what each answer is.
//!
//! `pin ls` on the command line is [`PinLs`] here and `pin_ls` in JSON. Adding a verb is one line in the table below.

use crate::access::{AccessImport, AccessImported, AccessLog, AccessPage, AccessRecord, AccessRecorded, AccessRows};
use crate::analytics::{
    AnalyticsCold, AnalyticsDisk, AnalyticsHot, AnalyticsPatterns, AnalyticsPredict, AnalyticsReport, AnalyticsScore,
    AnalyticsSummary, AnalyticsTiers, AnalyticsUnpinFirst, DiskReport, ForecastPage, HeatPage, PatternPage,
    ScoreReport, TierPage, UnpinPage,
};
use crate::bulk::BulkBytes;
use crate::daemon::{
    Cancel, Cancelled, ConfigReport, ConfigShow, IndexInfo, IndexInfoReport, IndexPause, IndexPaused, IndexRefresh,
    IndexRefreshed, IndexResume, Metrics, MetricsReport, Shutdown, ShuttingDown, Status, StatusReport, Wait, Waited,
};
use crate::doctor::{Doctor, DoctorReport};
use crate::event::{EventPage, Events};
use crate::fault::Fault;
use crate::kubo::{
    KuboConfig, KuboConfigReport, KuboGc, KuboGcDone, KuboLogPage, KuboLogs, KuboReport, KuboRestart, KuboStart,
    KuboStatus, KuboStop,
};
use crate::legacy::{IndexImport, IndexImported};
use crate::lock::{LockCheck, LockClean, LockCleaned, LockFree, LockReport, LockWait};
use crate::log::{Log, LogPage};
use crate::pin::{
    PinAdd, PinAdded, PinBegin, PinBegun, PinChanges, PinDiff, PinHistory, PinInfo, PinInfoReply, PinLs, PinMarked,
    PinNote, PinPage, PinRemoved, PinRm, PinRows, PinTag, PinTier, PinUpdate, PinUpdated, PinVerified, PinVerify,
    Progress,
};
use crate::snapshot::{
    SnapshotAt, SnapshotFd, SnapshotList, SnapshotLs, SnapshotNow, SnapshotPath, SnapshotVerified, SnapshotVerify,
};
use crate::state::{
    FilesReport, FilesState, NetworkReport, NetworkState, StateFiles, StateNetwork, StateRows, StateStorage,
    StateSystem, StorageReport, StorageState, SystemReport, SystemState,
};
use crate::upkeep::{
    IndexBackedUp, IndexBackup, IndexCompact, IndexCompacted, IndexRestore, IndexRestored, IndexVerified, IndexVerify,
};
use crate::vfs::{VfsInfo, VfsInfoReply, VfsJournal, VfsJournalPage, VfsLs, VfsPage, VfsRows};
use serde::{Deserialize, Serialize};

/// A question with exactly one type of answer.
pub trait Verb: Into<Call> {
    /// The name in JSON, `noun_verb`.
    const NAME: &'static str;
    /// What `done` carries.
    type Reply;
    /// Takes the reply out of `done`; `None` when it answers another verb, which only a broken peer sends.
    fn reply(done: Done) -> Option<Self::Reply>;
    /// Wraps the reply.
    fn done(reply: Self::Reply) -> Done;
}

macro_rules! verbs {
    ($($verb:ident => $reply:ident, $name:literal;)*) => {
        /// One call. In JSON externally tagged: `{"pin_info":{"cid":"…"}}`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "each variant is documented at its type")]
        pub enum Call { $($verb($verb)),* }

        /// The end of a call that went well, tagged like the call.
        #[expect(clippy::large_enum_variant, reason = "one message at a time is made and sent; boxes would be in every caller's way")]
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "each variant is documented at its type")]
        pub enum Done { $($verb($reply)),* }

        impl Call {
            /// The verb's name as in JSON.
            pub fn name(&self) -> &'static str {
                match self { $(Call::$verb(_) => $verb::NAME),* }
            }
            /// Every verb's name, in the order of the table.
            pub const NAMES: &'static [&'static str] = &[$($name),*];
        }

        $(
            impl From<$verb> for Call {
                fn from(verb: $verb) -> Call { Call::$verb(verb) }
            }
            impl Verb for $verb {
                const NAME: &'static str = $name;
                type Reply = $reply;
                fn reply(done: Done) -> Option<$reply> {
                    match done { Done::$verb(reply) => Some(reply), _ => None }
                }
                fn done(reply: $reply) -> Done { Done::$verb(reply) }
            }
        )*
    };
}

verbs! {
    Status => StatusReport, "status";
    PinLs => PinPage, "pin_ls";
    PinInfo => PinInfoReply, "pin_info";
    PinAdd => PinAdded, "pin_add";
    PinBegin => PinBegun, "pin_begin";
    PinRm => PinRemoved, "pin_rm";
    PinUpdate => PinUpdated, "pin_update";
    PinVerify => PinVerified, "pin_verify";
    PinTag => PinMarked, "pin_tag";
    PinNote => PinMarked, "pin_note";
    PinTier => PinMarked, "pin_tier";
    PinHistory => PinPage, "pin_history";
    PinDiff => PinPage, "pin_diff";
    KuboStatus => KuboReport, "kubo_status";
    KuboStart => KuboReport, "kubo_start";
    KuboStop => KuboReport, "kubo_stop";
    KuboRestart => KuboReport, "kubo_restart";
    KuboLogs => KuboLogPage, "kubo_logs";
    KuboGc => KuboGcDone, "kubo_gc";
    KuboConfig => KuboConfigReport, "kubo_config";
    LockCheck => LockReport, "lock_check";
    LockClean => LockCleaned, "lock_clean";
    LockWait => LockFree, "lock_wait";
    IndexRefresh => IndexRefreshed, "index_refresh";
    IndexPause => IndexPaused, "index_pause";
    IndexResume => IndexPaused, "index_resume";
    IndexInfo => IndexInfoReport, "index_info";
    IndexBackup => IndexBackedUp, "index_backup";
    IndexRestore => IndexRestored, "index_restore";
    IndexVerify => IndexVerified, "index_verify";
    IndexCompact => IndexCompacted, "index_compact";
    IndexImport => IndexImported, "index_import";
    SnapshotNow => SnapshotAt, "snapshot_now";
    SnapshotLs => SnapshotList, "snapshot_ls";
    SnapshotPath => SnapshotAt, "snapshot_path";
    SnapshotFd => SnapshotAt, "snapshot_fd";
    SnapshotVerify => SnapshotVerified, "snapshot_verify";
    VfsLs => VfsPage, "vfs_ls";
    VfsInfo => VfsInfoReply, "vfs_info";
    VfsJournal => VfsJournalPage, "vfs_journal";
    StateSystem => SystemReport, "state_system";
    StateNetwork => NetworkReport, "state_network";
    StateStorage => StorageReport, "state_storage";
    StateFiles => FilesReport, "state_files";
    Metrics => MetricsReport, "metrics";
    Events => EventPage, "events";
    Log => LogPage, "log";
    Doctor => DoctorReport, "doctor";
    Wait => Waited, "wait";
    ConfigShow => ConfigReport, "config_show";
    Shutdown => ShuttingDown, "shutdown";
    Cancel => Cancelled, "cancel";
    AccessRecord => AccessRecorded, "access_record";
    AccessLog => AccessPage, "access_log";
    AccessImport => AccessImported, "access_import";
    AnalyticsSummary => AnalyticsReport, "analytics_summary";
    AnalyticsHot => HeatPage, "analytics_hot";
    AnalyticsCold => HeatPage, "analytics_cold";
    AnalyticsPatterns => PatternPage, "analytics_patterns";
    AnalyticsTiers => TierPage, "analytics_tiers";
    AnalyticsPredict => ForecastPage, "analytics_predict";
    AnalyticsDisk => DiskReport, "analytics_disk";
    AnalyticsUnpinFirst => UnpinPage, "analytics_unpin_first";
    AnalyticsScore => ScoreReport, "analytics_score";
}

macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident($rows:ty), $name:literal;)*) => {
        /// A piece of an answer that comes before its end.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum Part { $($(#[$doc])* $part($rows)),* }

        impl Part {
            /// Every kind's name as in JSON; a newer daemon may send others.
            pub const NAMES: &'static [&'static str] = &[$($name),*];
        }
    };
}

parts! {
    /// Rows of `pin_ls`, in order.
    PinLs(PinRows), "pin_ls";
    /// Rows of `pin_ls` as bytes, where its `bulk` asks for them.
    Bulk(BulkBytes), "bulk";
    /// Rows of `pin_history` and `pin_diff`, in order.
    PinChanges(PinChanges), "pin_changes";
    /// How far a long call has come.
    Progress(Progress), "progress";
    /// Lines of `kubo_logs`, in order.
    KuboLogs(KuboLogPage), "kubo_logs";
    /// Lines of `log`, in order.
    Log(LogPage), "log";
    /// Events, in order.
    Events(EventPage), "events";
    /// Rows of `access_log`, in order.
    AccessLog(AccessRows), "access_log";
    /// Rows of `vfs_ls`, in order.
    VfsLs(VfsRows), "vfs_ls";
    /// Samples of `state_system`, in order.
    StateSystem(StateRows<SystemState>), "state_system";
    /// Samples of `state_network`, in order.
    StateNetwork(StateRows<NetworkState>), "state_network";
    /// Samples of `state_storage`, in order.
    StateStorage(StateRows<StorageState>), "state_storage";
    /// Samples of `state_files`, in order.
    StateFiles(StateRows<FilesState>), "state_files";
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// Chosen by the client, echoed in every message of the answer; two calls under way on a connection must differ.
    pub id: u64,
    /// After so many milliseconds the daemon answers `timeout` and gives the call up. `null`: the verb's own limit.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// The question.
    pub call: Call,
}

/// What the daemon sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Response {
    /// The request's id; 0 for a fault that belongs to the connection.
    pub id: u64,
    /// The message itself.
    pub body: Body,
}

/// A piece of the answer, its end, or why there is none.
#[expect(
    clippy::large_enum_variant,
    reason = "one message at a time is made and sent; boxes would be in every caller's way"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// More follows.
    Part(Part),
    /// The call went well and is over.
    Done(Done),
    /// The call failed and is over.
    Fault(Fault),
}
