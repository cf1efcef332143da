//! `lock check`, `lock clean`, `lock wait`.

use crate::args::{Format, Lock, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{self, Row, Shape};
use crate::output::Out;
use proto_msgs::lock::{LockAction, LockCheck, LockClean, LockFile, LockOutcome, LockRole, LockWait};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: Lock) -> Result<u8, Failure> {
    match verb {
        Lock::Check(show) => check(ask, out, &show),
        Lock::Clean { dry_run, force, show } => clean(ask, out, LockClean { dry_run, force }, &show),
        Lock::Wait => wait(ask, out),
    }
}

pub(crate) const LOCKS: Shape = Shape {
    all: &[
        "verdict",
        "path",
        "role",
        "blocks",
        "holder_pid",
        "holder",
        "ours",
        "action",
        "needs_force",
        "evidence",
        "hint",
    ],
    table: &["verdict", "path", "holder_pid", "evidence"],
    wide: &["verdict", "path", "role", "blocks", "holder_pid", "holder", "action", "needs_force", "evidence", "hint"],
};

pub(crate) const OUTCOMES: Shape = Shape {
    all: &["verdict", "path", "role", "action", "done", "blocks", "detail"],
    table: &["verdict", "path", "detail"],
    wide: &["verdict", "path", "role", "action", "done", "blocks", "detail"],
};

fn check(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &LOCKS, show)?;
    let mut report = ask.call(LockCheck {})?;
    list::whole(out, &LOCKS, show, &mut report, ("locks", |report| &mut report.locks))?;
    Ok(exit::OK)
}

impl Row for LockFile {
    fn cell(&self, column: &str, shown: &[String]) -> Cell<'_> {
        match column {
            "verdict" => Cell::text(self.verdict.name()),
            "path" => Cell::text(&self.path),
            "role" => Cell::text(role(self.role)),
            "blocks" => Cell::flag(self.blocks),
            "holder_pid" => match self.holder_pid {
                // Where that has no column of its own.
                Some(pid) if self.ours && !shown.iter().any(|column| column == "ours") => {
                    Cell::Both(pid.to_string().into(), format!("{pid} (ours)").into())
                }
                pid => Cell::count(pid.map(u64::from)),
            },
            "holder" => Cell::maybe(self.holder.as_deref()),
            "ours" => Cell::flag(self.ours),
            "action" => Cell::text(self.action.name()),
            "needs_force" => Cell::flag(self.needs_force),
            "evidence" => Cell::text(self.evidence.join("; ")),
            "hint" => Cell::maybe(self.hint.as_deref()),
            _ => Cell::None,
        }
    }
}

impl Row for LockOutcome {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "verdict" => Cell::text(self.verdict.name()),
            "path" => Cell::text(&self.path),
            "role" => Cell::text(role(self.role)),
            "action" => Cell::text(self.action.name()),
            "done" => Cell::flag(self.done),
            "blocks" => Cell::flag(self.blocks),
            "detail" => Cell::text(&self.detail),
            _ => Cell::None,
        }
    }
}

/// The name as in JSON.
fn role(role: LockRole) -> &'static str {
    match role {
        LockRole::RepoLock => "repo_lock",
        LockRole::OldLock => "old_lock",
        LockRole::ClusterLock => "cluster_lock",
        LockRole::Datastore => "datastore",
        LockRole::Address => "address",
        LockRole::Leftover => "leftover",
        LockRole::Socket => "socket",
        LockRole::OwnSocket => "own_socket",
        LockRole::Unknown => "unknown",
    }
}

fn clean(ask: &mut Ask, out: &mut Out, verb: LockClean, show: &Show) -> Result<u8, Failure> {
    list::known(out, &OUTCOMES, show)?;
    let mut cleaned = ask.call(verb)?;
    let left = cleaned.files.iter().any(|file| file.blocks && file.action == LockAction::None);
    list::whole(out, &OUTCOMES, show, &mut cleaned, ("files", |cleaned| &mut cleaned.files))?;
    // The rows say what and why. What a dry run would clean is no failure of it.
    Ok(if left { exit::FAILED } else { exit::OK })
}

fn wait(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let free = ask.patiently().call_slowly(LockWait {}, "waiting")?;
    match out.format {
        // It is so: the exit code says it.
        Format::Table => {}
        _ => out.answer(&free)?,
    }
    Ok(exit::OK)
}
