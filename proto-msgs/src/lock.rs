//! Locks of the repo, judged by the kernel, and what is done about those whose owner is dead.

use serde::{Deserialize, Serialize};

/// What a file is to the node that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LockRole {
    /// `repo.lock`, which every Kubo takes before anything else and starts over only when it is an empty file.
    RepoLock,
    /// `daemon.lock`, the same of go-ipfs before 0.3.
    OldLock,
    /// `cluster.lock` of IPFS Cluster; never in the way of Kubo.
    ClusterLock,
    /// The lock of a datastore. Its content and its presence mean nothing.
    Datastore,
    /// `api` or `gateway`: where a running Kubo listens.
    Address,
    /// What is left of the writing of an address.
    Leftover,
    /// A Unix socket on which the repo's config has Kubo listen.
    Socket,
    /// A socket of the daemon's own.
    OwnSocket,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

/// What a lock file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A process holds it: the kernel says so.
    Live,
    /// Nobody holds it and nothing is in the way of a start.
    Idle,
    /// Nobody holds it, and whoever left it behind is proven dead.
    Dead,
    /// It cannot be decided, so it counts as live; a verdict that this program does not know, too.
    #[serde(other)]
    Unknown,
}

impl Verdict {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Live => "live",
            Verdict::Idle => "idle",
            Verdict::Dead => "dead",
            Verdict::Unknown => "unknown",
        }
    }
}

/// What cleaning does to a file. A lock is emptied in place, never removed: two Kubos on two files would both hold one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LockAction {
    /// Nothing.
    None,
    /// It is emptied.
    Truncate,
    /// It is removed: an address, a leftover, a socket without a listener.
    Unlink,
    /// The empty directory is removed, which js-ipfs used for a lock.
    Rmdir,
    /// One that a newer daemon knows and this program does not.
    #[serde(other)]
    Unknown,
}

impl LockAction {
    /// The name as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            LockAction::None => "none",
            LockAction::Truncate => "truncate",
            LockAction::Unlink => "unlink",
            LockAction::Rmdir => "rmdir",
            LockAction::Unknown => "unknown",
        }
    }
}

/// `lock check`: looks at the lock files of the repo, now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockCheck {}

/// One file and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockFile {
    /// The file.
    pub path: String,
    /// What it is.
    pub role: LockRole,
    /// What it means.
    pub verdict: Verdict,
    /// Whether Kubo's start is refused because of it.
    pub blocks: bool,
    /// The holder, where the kernel names one in our PID namespace.
    pub holder_pid: Option<u32>,
    /// The holder's program, for people.
    pub holder: Option<String>,
    /// Whether the holder is the daemon's own Kubo, or the daemon.
    pub ours: bool,
    /// What the verdict rests on, for people.
    pub evidence: Vec<String>,
    /// What `lock clean` does to it ...
    pub action: LockAction,
    /// ... but only with `force`.
    pub needs_force: bool,
    /// What to do about it, for people; `null` where nothing is.
    pub hint: Option<String>,
}

/// The verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockReport {
    /// RFC 3339 UTC: when it was looked at.
    pub as_of: String,
    /// `repo.lock` first, where a repo is known.
    pub locks: Vec<LockFile>,
}

/// `lock clean`: empties and removes what is proven dead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockClean {
    /// Only says what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// The caller vouches for content that cannot be judged. Never for a lock that is held, nor for one of which the kernel
    /// cannot say whether it is.
    #[serde(default)]
    pub force: bool,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockOutcome {
    /// The file.
    pub path: String,
    /// What it is.
    pub role: LockRole,
    /// What it meant before.
    pub verdict: Verdict,
    /// What was done; in a dry run, what would be.
    pub action: LockAction,
    /// Whether it was done.
    pub done: bool,
    /// What was done, or why not, for people.
    pub detail: String,
    /// Whether Kubo's start is refused because of it now.
    pub blocks: bool,
}

/// What `lock clean` has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockCleaned {
    /// RFC 3339 UTC.
    pub as_of: String,
    /// Whether it only says what would be done.
    pub dry_run: bool,
    /// `repo.lock` first.
    pub files: Vec<LockOutcome>,
}

/// `lock wait`: ends when nobody holds the repo and nothing is in the way of a start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockWait {}

/// The repo is free.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockFree {
    /// How long that took.
    pub waited_s: f64,
}
