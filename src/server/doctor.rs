//! `doctor`: everything that the daemon knows to be wrong or risky, each with the command that mends it or shows more.
//!
//! Kubo's state is as published. Its repo, its program and the locks are looked at now: what a person has just broken, or mended, shows.

use super::route::Routes;
use super::status;
use crate::board::HookFailure;
use crate::fault;
use crate::index::legacy::original::{self, Found};
use crate::kubo::check::{self, Seen};
use crate::shell::{quoted, told_to, user};
use proto_msgs::Fault;
use proto_msgs::access::{AccessSource, SourceReport};
use proto_msgs::daemon::{DaemonReport, IndexReport, StatusReport};
use proto_msgs::doctor::{DoctorReport, Finding, Severity};
use proto_msgs::kubo::{KuboMode, KuboReport, KuboState};
use proto_msgs::lock::{LockCheck, LockFile, Verdict};
use std::path::PathBuf;
use std::time::Duration;

/// `uid`: of whom the commands are for.
pub(super) async fn look(routes: &Routes, uid: u32) -> Result<DoctorReport, Fault> {
    let report = status::report(routes);
    let locks = fault::ask(&routes.janitor, LockCheck {}).await;
    let mut findings = Vec::new();
    // After the locks have answered: a disk that hangs is told of by them.
    let seen = if locks.is_ok() { repo(routes, &report.kubo).await } else { None };
    let odd_lock = seen.as_ref().is_some_and(|seen| seen.odd_lock);
    findings.extend(kubo(&report.kubo, &report.daemon.data_dir).map(|mut finding| {
        if finding.cause == "lock_unknown" && odd_lock {
            finding.command = report.kubo.repo.as_deref().map(set_aside);
        }
        finding
    }));
    match seen {
        Some(seen) => findings.extend(later(seen, &report)),
        None => findings.extend(report.kubo.warnings.clone()),
    }
    // A lock that keeps Kubo from starting is told already.
    let told = report.kubo.held.as_ref().is_some_and(|held| held.cause.starts_with("lock_"));
    match locks {
        Ok(report) => findings.extend(report.locks.iter().filter(|_| !told).filter_map(lock)),
        Err(fault) => {
            let hint = fault.hint.as_deref().unwrap_or("ask again");
            findings.push(finding(Severity::Warning, "locks_unknown", fault.detail, hint, None));
        }
    }
    findings.extend(hook(routes.board.hook.borrow().as_ref(), &routes.config.borrow().hook));
    findings.extend(index(&report.index));
    findings.extend(unknown(routes.config.borrow().access.unknown()));
    findings.extend(sources(&report.accesses, &routes.config.borrow().analytics.gateway_logs));
    findings.extend(legacy(routes).await);
    findings.extend(actors(&report.daemon));
    for finding in &mut findings {
        finding.command = finding.command.take().map(|command| told_to(uid, command));
    }
    findings.sort_by_key(|finding| finding.severity);
    Ok(DoctorReport { as_of: crate::time::now(), findings })
}

/// For the files of a repo.
const LOOK: Duration = Duration::from_secs(10);

/// The repo as it is now; `None` when that takes too long.
async fn repo(routes: &Routes, kubo: &KuboReport) -> Option<Seen> {
    let (config, peer_id) = (routes.config.borrow().clone(), kubo.peer_id.clone());
    routes.turns.take(LOOK, move || check::now(&config, peer_id.as_deref())).await.ok()
}

/// Files of others where files of ours belong.
async fn legacy(routes: &Routes) -> Vec<Finding> {
    let data_dir = routes.config.borrow().data_dir.clone();
    let look = move || {
        let found = |place: &&str| match original::look(&data_dir, place) {
            Ok(Found::Foreign { again }) => Some(foreign(&data_dir.join(place).display().to_string(), again)),
            _ => None,
        };
        original::PLACES.iter().filter_map(found).collect::<Vec<_>>()
    };
    // The data dir is our own; when it hangs, others tell.
    routes.turns.take(LOOK, look).await.unwrap_or_default()
}

/// It is left alone, and ours is not written.
fn foreign(path: &str, again: bool) -> Finding {
    let command = Some(format!("ipfs-kitctl index import {}", quoted(path)));
    if again {
        let detail = format!("{path} was written again by another program after it was imported");
        let hint =
            "it is left alone, and so is older than the index; stop that program, then import the file once more";
        return finding(Severity::Warning, "legacy_writer", detail, hint, command);
    }
    let detail = format!("{path} is not a file of ipfs-kitd, and no copy of it could be kept");
    let hint = "it is left alone, and so is older than the index; the import says why, or move it away";
    finding(Severity::Warning, "foreign_file", detail, hint, command)
}

/// What the next start will be held for, though Kubo runs now, and what can harm.
fn later(seen: Seen, report: &StatusReport) -> Vec<Finding> {
    let told = report.kubo.held.as_ref().map(|held| held.cause.as_str());
    let held = seen.held.into_iter().filter(|held| told != Some(&held.cause)).map(|held| {
        let command = mends(&held.cause, &report.kubo, &report.daemon.data_dir);
        finding(Severity::Error, &held.cause, format!("the next start will fail: {}", held.detail), &held.hint, command)
    });
    held.chain(seen.warnings).collect()
}

/// Out of the way and not away: nobody knows what it is.
fn set_aside(repo: &str) -> String {
    let lock = format!("{}/repo.lock", repo.trim_end_matches('/'));
    format!("mv -n {} {}", quoted(&lock), quoted(&format!("{lock}.aside")))
}

fn finding(severity: Severity, cause: &str, detail: impl Into<String>, hint: &str, command: Option<String>) -> Finding {
    Finding { cause: cause.to_owned(), severity, detail: detail.into(), hint: hint.to_owned(), command }
}

pub(super) fn kubo(kubo: &KuboReport, data_dir: &str) -> Option<Finding> {
    if let Some(held) = &kubo.held {
        let command = mends(&held.cause, kubo, data_dir);
        return Some(finding(Severity::Error, &held.cause, held.detail.clone(), &held.hint, command));
    }
    let change = kubo.change.as_ref()?;
    let evidence = change.evidence.as_str();
    let (severity, hint, command) = match kubo.state {
        KuboState::Running | KuboState::Starting | KuboState::Stopping | KuboState::Held => return None,
        KuboState::Unknown => return None,
        KuboState::Backoff if change.cause != "exited" => return None,
        // A migration or a recovery takes its time, and its interruption is how repos break.
        KuboState::Degraded if change.cause == "slow_start" => (
            Severity::Warning,
            "see how far it is; it is waited for, however long it takes",
            "ipfs-kitctl kubo logs -f",
        ),
        KuboState::Degraded if kubo.mode == KuboMode::Attach => {
            (Severity::Error, "see what it says, where it is run", "systemctl status ipfs")
        }
        KuboState::Stopped => (Severity::Warning, "it stays stopped until it is started", "ipfs-kitctl kubo start"),
        KuboState::Degraded => {
            (Severity::Error, "see what it says; a restart ends it and starts it anew", "ipfs-kitctl kubo restart")
        }
        KuboState::Backoff | KuboState::CrashLoop => (
            Severity::Error,
            "see what it said before it ended; it is started again by itself",
            "ipfs-kitctl kubo logs",
        ),
    };
    let what = match kubo.state {
        KuboState::Backoff => "ended by itself".to_owned(),
        KuboState::CrashLoop => "ended by itself again and again".to_owned(),
        state => format!("is {}", state.name()),
    };
    let detail = format!("Kubo {what}: {evidence}");
    Some(finding(severity, kubo.state.name(), detail, hint, Some(command.to_owned())))
}

/// The command that mends what Kubo is held for, or shows what there is to mend.
fn mends(cause: &str, kubo: &KuboReport, data_dir: &str) -> Option<String> {
    let repo = kubo.repo.as_deref().map_or_else(|| "<repo>".to_owned(), quoted);
    let data_dir = quoted(data_dir);
    Some(match cause {
        "lock_live" | "lock_unknown" => "ipfs-kitctl lock check".to_owned(),
        "repo_missing" | "repo_read_only" => format!("findmnt --target {repo}"),
        // It reads the kernel's table alone: a look at the repo would hang as the daemon's did.
        "repo_unresponsive" => "findmnt --real".to_owned(),
        "repo_unknown" | "repo_unreadable" => format!("ls -la {repo}"),
        "repo_changed" => "ipfs-kitctl config show".to_owned(),
        "repo_too_new" => "ipfs version --all".to_owned(),
        "not_owner" | "permission_denied" => format!("chown -R <user of the daemon> {repo}"),
        "binary_missing" | "binary_unusable" => "command -v ipfs".to_owned(),
        // A repo of somebody else is held as `not_owner` before its config is read.
        "config_refused" => format!("sudo -u {} IPFS_PATH={repo} ipfs config edit", own_user()),
        "address_in_use" => "ss --listening --numeric --processes".to_owned(),
        "disk_full" => format!("df -h {repo}"),
        "data_dir_unwritable" => format!("df -h {data_dir}"),
        "node_file_unreadable" => format!("ls -la {data_dir}"),
        "init_failed" | "spawn_failed" => "ipfs-kitctl kubo logs".to_owned(),
        "not_reachable" => "systemctl status ipfs".to_owned(),
        "not_authorized" => "ipfs-kitctl config show".to_owned(),
        "secret_unusable" => "ipfs-kitctl config show".to_owned(),
        "internal" => "journalctl --unit ipfs-kitd".to_owned(),
        _ => return None,
    })
}

fn own_user() -> String {
    user(nix::unistd::geteuid().as_raw())
}

fn lock(lock: &LockFile) -> Option<Finding> {
    let command = match lock.verdict {
        Verdict::Live | Verdict::Idle => return None,
        Verdict::Dead => "ipfs-kitctl lock clean",
        Verdict::Unknown => "ipfs-kitctl lock check",
    };
    // Where the janitor has no advice there is nothing to mend.
    let hint = lock.hint.as_deref()?;
    let detail = format!("{} is {}: {}", lock.path, lock.verdict.name(), lock.evidence.join("; "));
    Some(finding(Severity::Warning, "lock_left", detail, hint, Some(command.to_owned())))
}

/// `argv`: as it is configured now.
fn hook(failed: Option<&HookFailure>, argv: &[String]) -> Option<Finding> {
    let failed = failed.filter(|failed| failed.argv == argv)?;
    let detail = format!("the hook failed when it was last run: {}", failed.why);
    let hint =
        "see why, as the daemon's user and with the variables that it needs; it is run again when Kubo's state changes";
    let argv: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
    let command = format!("sudo -u {} env IPFS_KITD_TO=running {}", own_user(), argv.join(" "));
    Some(finding(Severity::Warning, "hook_failed", detail, hint, Some(command)))
}

fn index(index: &IndexReport) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(recovery) = &index.recovery {
        let hint = "nothing is to be done: what Kubo knows is listed anew, and marks come from their journal; a damaged file is kept";
        found.push(finding(Severity::Warning, "index_recovered", recovery.clone(), hint, None));
    }
    if index.paused {
        let detail = "refreshes of the index are paused: what others pin and unpin does not show".to_owned();
        let command = "ipfs-kitctl index resume".to_owned();
        let hint = "they go on by themselves after that, and after the daemon's next start";
        found.push(finding(Severity::Warning, "index_paused", detail, hint, Some(command)));
    }
    if let Some(why) = &index.journal_closed {
        let detail = format!("tags, notes and tiers cannot be recorded: {why}");
        let hint = "look after the disk of the data dir, then restart the daemon; all that was recorded stays";
        let command = "sudo systemctl restart ipfs-kitd".to_owned();
        found.push(finding(Severity::Error, "journal_closed", detail, hint, Some(command)));
    }
    if let Some(sizes) = index.sizes.as_ref().filter(|sizes| sizes.failed > 0) {
        let why = sizes.last_failure.as_deref().unwrap_or("the log says why");
        let detail = format!("{} looks for sizes of pins failed, the last one: {why}", sizes.failed);
        let hint = "each is tried again by itself; a pin of which blocks are missing is complete only after Kubo has fetched it anew";
        let command = "ipfs pin verify --verbose".to_owned();
        found.push(finding(Severity::Warning, "size_unknown", detail, hint, Some(command)));
    }
    if let Some(why) = &index.snapshot_failed {
        let hint = "make room, or mend the directory; it is tried again by itself, ever more rarely";
        let command = "ipfs-kitctl snapshot now".to_owned();
        found.push(finding(Severity::Warning, "snapshot_failed", why.clone(), hint, Some(command)));
    }
    if index.failed_refreshes > 0 {
        let why = index.last_error.as_deref().unwrap_or("the log says why");
        let detail = format!("the last {} refreshes of the index failed: {why}", index.failed_refreshes);
        let command = "ipfs-kitctl index refresh --wait".to_owned();
        found.push(finding(Severity::Warning, "refresh_failed", detail, "it is tried again by itself", Some(command)));
    }
    found
}

/// Sources of accesses that see nothing. `logs`: those that are followed.
fn sources(reports: &[SourceReport], logs: &[PathBuf]) -> Vec<Finding> {
    let found = |report: &SourceReport| {
        let error = report.error.clone()?;
        let detail = format!("accesses from {} are not seen: {error}", report.source.name());
        Some(match report.source {
            AccessSource::Gateway => {
                let hint = "let the daemon's user read the log and go into its directory, most often by the group adm, and have it in a format \
                    that is understood (`ipfs-kitctl access import` shows a line that is not), or leave it out of `analytics.gateway_logs`; it is \
                    tried again by itself";
                let command = logs.iter().find(|log| error.contains(&log.display().to_string()));
                let command = command.map(|log| format!("namei -l {}", quoted(&log.display().to_string())));
                finding(Severity::Warning, "gateway_log", detail, hint, command)
            }
            _ => finding(Severity::Warning, "source_failed", detail, "it is tried again by itself", None),
        })
    };
    reports.iter().filter(|report| report.on).filter_map(found).collect()
}

fn unknown(names: &[String]) -> Option<Finding> {
    let detail =
        format!("`[access]` names users or groups that there are not, or the uid of nobody: {}", names.join(", "));
    let hint = "they let nobody in; correct the configuration, or make them, then reload";
    let command = "sudo systemctl reload ipfs-kitd".to_owned();
    (!names.is_empty()).then(|| finding(Severity::Warning, "access_unknown", detail, hint, Some(command)))
}

fn actors(daemon: &DaemonReport) -> Vec<Finding> {
    let failed = daemon.actors.iter().filter(|actor| actor.restarts > 0 || !actor.running);
    let report = |actor: &proto_msgs::daemon::ActorReport| {
        let why = actor.last_failure.as_ref().map_or("the log says why", |failure| failure.detail.as_str());
        let detail = format!("the {} actor failed {} times, the last time so: {why}", actor.name, actor.restarts);
        let hint = "it is a defect of the daemon; the log around that time belongs into a bug report";
        finding(Severity::Warning, "actor_failed", detail, hint, Some("journalctl --unit ipfs-kitd".to_owned()))
    };
    failed.map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};
    use crate::kubo::memory::before_start;
    use clap::Parser;
    use std::path::Path;

    /// The causes that stand in the code of one file: what `held(` and `cause:` are given, and the table of Kubo's last words.
    fn causes(file: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let text = std::fs::read_to_string(path).expect("a source file");
        let text = text.split("#[cfg(test)]").next().expect("a part").to_owned();
        let calls = text.split("held(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
        let fields = text.split("cause: ").skip(1).filter_map(|rest| rest.strip_prefix('"'));
        let table = text.lines().filter_map(|line| line.trim().strip_prefix("(\""));
        let second = table.filter_map(|line| line.split('"').nth(2));
        let first = calls.chain(fields).filter_map(|rest| rest.split('"').next());
        first.chain(second).filter(|cause| !cause.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn every_cause_that_kubo_is_held_for_has_a_command_and_a_line_in_the_operations_page() {
        let files =
            ["kubo/actor.rs", "kubo/attach.rs", "kubo/repo.rs", "kubo/end.rs", "kubo/cause.rs", "janitor/start.rs"];
        let mut all: Vec<String> = files.into_iter().flat_map(causes).collect();
        all.sort();
        all.dedup();
        assert!(
            all.len() > 15 && all.contains(&"disk_full".to_owned()) && all.contains(&"lock_live".to_owned()),
            "{all:?}"
        );
        let flags = ["x", "--data-dir", "/d", "--runtime-dir", "/r", "--ipfs-path", "/some where"];
        let report = before_start(&Config::load(&Flags::parse_from(flags)).expect("a configuration"));
        let operations = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
        let operations = std::fs::read_to_string(operations).expect("readable");
        let untold = all.iter().filter(|cause| *cause != "internal" && !operations.contains(&format!("`{cause}`")));
        assert_eq!(untold.collect::<Vec<_>>(), Vec::<&String>::new(), "not in docs/OPERATIONS.md");
        let without: Vec<_> = all.iter().filter(|cause| mends(cause, &report, "/d").is_none()).collect();
        assert!(without.is_empty(), "no command for {without:?}");
        assert_eq!(mends("disk_full", &report, "/d").as_deref(), Some("df -h '/some where'"));
    }
}
