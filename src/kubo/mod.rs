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
//! A degraded one that was ready is restarted after the hang limit. Each change is told as an event.
//!
//! `state` decides and does nothing (`step` is what it takes and gives), `restart` says when the next try is, `end` what is kept of a run's end and `cause` what it means, `goal` what people wait for, `health` whether
//! it answers well enough, `care` what in a repo's config can harm, `check` what a start would be held for by now; `actor` acts, `asked` for people. `process` holds the child (and `orphans` and `cgroup` what it leaves behind) on a thread as
//! old as the process and `output` what it writes (`oom` whether memory was short), `launch` is what runs between fork and exec, `repo` guards the repo's
//! identity, `attach` finds a Kubo that somebody else runs (`address`), `wish` keeps what a person wants, `rpc` speaks to Kubo, `content` about content, `pins` about many pins and its configuration, `unixfs` of files and directories, `requests` of what others ask it, `measures` about itself (`usage` is what its process takes; `lines` cuts what it says, `error` is why that failed), `hook` tells others.

pub mod actor;
pub mod address;
mod asked;
mod attach;
pub(crate) mod care;
mod cause;
mod cgroup;
pub mod check;
pub(crate) mod command;
pub mod content;
mod end;
mod error;
mod goal;
mod health;
pub mod hook;
pub mod launch;
mod lines;
pub mod measures;
pub mod memory;
mod oom;
pub mod orphans;
pub mod output;
mod pins;
pub mod process;
pub mod repo;
pub mod requests;
pub mod restart;
pub mod rpc;
mod signs;
pub mod state;
mod step;
pub mod unixfs;
pub mod usage;
pub mod wish;
