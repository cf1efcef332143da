//! Kubo, the supervised child.

use crate::doctor::Finding;
use crate::event::KuboChange;
use serde::{Deserialize, Serialize};

/// Where Kubo is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KuboState {
    /// Not started, for a cause that a retry does not change; `held` says which and what to do.
    Held,
    /// Spawned, not ready.
    Starting,
    /// Ready: its API answers with the expected PeerID, and its repo is usable.
    Running,
    /// The process is there; its API does not answer, or it says that it is not well, or its start takes long.
    Degraded,
    /// Asked to end.
    Stopping,
    /// Stopped because a person asked.
    Stopped,
    /// It ended by itself; the next start is at `next_retry`.
    Backoff,
    /// It ended too often shortly after its start; retries are slow.
    CrashLoop,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl KuboState {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            KuboState::Held => "held",
            KuboState::Starting => "starting",
            KuboState::Running => "running",
            KuboState::Degraded => "degraded",
            KuboState::Stopping => "stopping",
            KuboState::Stopped => "stopped",
            KuboState::Backoff => "backoff",
            KuboState::CrashLoop => "crash_loop",
            KuboState::Unknown => "unknown",
        }
    }
}

/// Who runs Kubo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KuboMode {
    /// The daemon does.
    Spawn,
    /// Somebody else does, and the daemon follows it.
    Attach,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

/// Why Kubo is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Held {
    /// For programs: `lock_live`, `repo_missing`, `repo_changed`, `not_owner`, `binary_missing`, `lock_unknown`, `config_refused` ….
    pub cause: String,
    /// For people.
    pub detail: String,
    /// What ends it.
    pub hint: String,
}

/// How a run of Kubo ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboExit {
    /// RFC 3339 UTC.
    pub at: String,
    /// One sentence: `killed by SIGKILL`, `exit code 1`.
    pub cause: String,
    /// Exit code.
    pub code: Option<i32>,
    /// Signal number.
    pub signal: Option<i32>,
    /// Whether the daemon had asked for it.
    pub asked: bool,
    /// Its last words.
    pub log: Vec<String>,
}

/// `kubo status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboStatus {}

/// `kubo start`: answers when Kubo is ready, or with the fault that keeps it from starting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboStart {}

/// `kubo stop`: answers when the process has ended. It stays stopped until `kubo start`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboStop {}

/// `kubo restart`: answers when the new process is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboRestart {}

/// Kubo as the daemon sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboReport {
    /// Where it is in its life.
    pub state: KuboState,
    /// RFC 3339 UTC: since when.
    pub since: String,
    /// Who runs it.
    pub mode: KuboMode,
    /// How it came to its state; `null` before its first change.
    pub change: Option<KuboChange>,
    /// Why it is held.
    pub held: Option<Held>,
    /// Process id of the child.
    pub pid: Option<u32>,
    /// Bytes of memory that the child has in use (resident).
    pub memory: Option<u64>,
    /// Peers that it is connected to, as of its last answer; `null` when it is offline or was not asked yet.
    pub peers: Option<u64>,
    /// While it starts: the newest line that it has written, which tells of migrations and of the recovery of its datastore.
    pub newest_line: Option<String>,
    /// While it is not ready: what the last look at its API found wrong.
    pub last_look: Option<String>,
    /// Identity of the node, from its own answer or the repo's config.
    pub peer_id: Option<String>,
    /// Kubo's version.
    pub version: Option<String>,
    /// The repo, `IPFS_PATH`; `null` when somebody else runs it and no repo was named.
    pub repo: Option<String>,
    /// The program; `null` when somebody else runs it.
    pub binary: Option<String>,
    /// Where the daemon speaks to its RPC: a socket, or the address of a Kubo that somebody else runs.
    pub rpc: String,
    /// Where its own config says that its RPC is, `Addresses.API`.
    pub api: Vec<String>,
    /// Settings of its config that break it, or can harm.
    pub warnings: Vec<Finding>,
    /// Starts after the first one since the daemon began, whoever or whatever asked for them.
    pub restarts: u64,
    /// The last end of a run since the daemon began.
    pub last_exit: Option<KuboExit>,
    /// RFC 3339 UTC: when the next start is tried.
    pub next_retry: Option<String>,
}

/// `kubo gc`: has Kubo remove the blocks that nothing keeps; answers when it is through, with its progress in parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboGc {}

/// The garbage collection is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboGcDone {
    /// Blocks that it removed.
    pub blocks: u64,
    /// Size of the repo before, in bytes; `null` when Kubo does not say.
    pub bytes_before: Option<u64>,
    /// Size of the repo after, in bytes; `null` when Kubo does not say.
    pub bytes_after: Option<u64>,
    /// Blocks that it could not remove, in its own words; the first 100.
    pub errors: Vec<String>,
}

/// `kubo logs`: the newest lines of Kubo's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct KuboLogs {
    /// How many; 100 when `null`, 2,000 at most.
    pub lines: Option<u32>,
    /// RFC 3339: only lines that were written at this time or later.
    pub since: Option<String>,
    /// Go on: each line that comes is sent in a part, until the client hangs up or the daemon stops.
    pub follow: bool,
}

/// One line that Kubo wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboLogLine {
    /// RFC 3339 UTC.
    pub at: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// Without its end; bytes that are no UTF-8 replaced, cut at 64 KiB.
    pub text: String,
}

/// Lines, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboLogPage {
    /// Oldest first.
    pub lines: Vec<KuboLogLine>,
    /// Lines of this daemon's life that are no longer kept; in a part, those that were missed since the part before.
    pub dropped: u64,
}

/// `kubo config`: Kubo's configuration as in its file now, as it says itself. What was changed since its start applies after a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboConfig {}

/// One setting of Kubo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboSetting {
    /// Its place, `Addresses.Swarm`; a name that has a dot itself stands in quotation marks.
    pub key: String,
    /// In JSON's notation. `"***"` in the place of secrets: of everything whose name speaks of a key, a secret, a token or a password.
    pub value: String,
}

/// The answer to `kubo config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KuboConfigReport {
    /// In the order of their places.
    pub settings: Vec<KuboSetting>,
}
