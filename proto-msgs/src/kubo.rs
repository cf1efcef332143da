//! Kubo, the supervised child.

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
    /// Ready: the API answers with the expected PeerID.
    Running,
    /// The process is there, its API does not answer.
    Degraded,
    /// Asked to end.
    Stopping,
    /// Stopped because a person asked.
    Stopped,
    /// It ended by itself; the next start is at `next_retry`.
    Backoff,
    /// It ended too often shortly after its start; retries are slow.
    CrashLoop,
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
        }
    }
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
    /// Why it is held.
    pub held: Option<Held>,
    /// Process id of the child.
    pub pid: Option<u32>,
    /// Identity of the node, from its own answer or the repo's config.
    pub peer_id: Option<String>,
    /// Kubo's version.
    pub version: Option<String>,
    /// The repo, `IPFS_PATH`.
    pub repo: String,
    /// The program.
    pub binary: String,
    /// Socket of the RPC that the daemon uses.
    pub rpc: String,
    /// Starts after the first one since the daemon began.
    pub restarts: u64,
    /// The last end of a run since the daemon began.
    pub last_exit: Option<KuboExit>,
    /// RFC 3339 UTC: when the next start is tried.
    pub next_retry: Option<String>,
}

/// `kubo logs`: the newest lines of Kubo's output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct KuboLogs {
    /// How many; 100 when `null`, 2,000 at most.
    pub lines: Option<u32>,
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
    /// Lines of this daemon's life that are no longer kept.
    pub dropped: u64,
}
