//! Kubo, the one child: started, watched, restarted, stopped.
//!
//! ```text
//!            judged good            ready                   three bad probes
//!   (judge) ────────────► Starting ───────► Running ◄──────────────────────► Degraded
//!      │ ▲                   │ exit            │ exit        two good ones       │ exit
//!      │ │ timer             ▼                 ▼                                 ▼
//!      │ └──────────── Backoff / CrashLoop ◄───┴─────────────────────────────────┘
//!      ▼ cause                            asked to stop: Stopping ──► Stopped
//!     Held ── judged again each second ──► (judge)
//! ```
//! `state` decides and does nothing, `restart` says when the next try is, `cause` what an end means, `goal` what people wait for, `actor` acts. `process` holds the child (and `orphans` and `cgroup` what it leaves behind) on a thread as
//! old as the process and `output` what it writes, `launch` is what runs between fork and exec, `repo` guards the repo's
//! identity, `wish` keeps what a person wants, `rpc` speaks to Kubo.

pub mod actor;
mod cause;
mod cgroup;
mod goal;
pub mod launch;
pub mod memory;
pub mod orphans;
pub mod output;
pub mod process;
pub mod repo;
pub mod restart;
pub mod rpc;
mod signs;
pub mod state;
pub mod wish;
