//! `status`, `metrics`, `wait`, `config show`, `shutdown`: one question each, and its answer as
//! text for people. What machines read is the reply itself (`Out::answer`).

use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::kubo;
use crate::list::{self, Row, Shape};
use crate::output::{Out, Table, ago, size, span};
use crate::plot;
use proto_msgs::access::SourceReport;
use proto_msgs::daemon::{
    Condition, ConfigShow, Count, IndexReport, Metrics, MetricsReport, Setting, Shutdown, SizesReport, Status,
    StatusReport, Wait,
};
use proto_msgs::kubo::{KuboMode, KuboState};
use proto_msgs::lock::LockFile;
use proto_msgs::pin::Source;
use std::io::{self, Write};

pub(crate) fn status(ask: &mut Ask, out: &mut Out, check: bool) -> Result<u8, Failure> {
    ask.check_age()?;
    let report = ask.call(Status {})?;
    match out.format {
        Format::Table => status_screen(out, &report)?,
        _ => out.answer(&report)?,
    }
    if !check {
        return Ok(exit::OK);
    }
    let reasons = degraded(&report);
    match report.kubo.state {
        _ if reasons.is_empty() => Ok(exit::OK),
        KuboState::Running => Err(Failure::Degraded(exit::FAILED, reasons)),
        _ => Err(Failure::Degraded(exit::KUBO_DOWN, reasons)),
    }
}

/// What is not as it should be, Kubo first.
fn degraded(report: &StatusReport) -> Vec<String> {
    let (kubo, index) = (&report.kubo, &report.index);
    let mut reasons = Vec::new();
    let mut add = |bad: bool, reason: String| reasons.extend(bad.then_some(reason));
    add(kubo.state != KuboState::Running, format!("Kubo is not running: {}", kubo::state(kubo)));
    add(!index.complete, "the index is not complete yet".to_owned());
    match index.failed_refreshes {
        0 => {}
        1 => add(true, "the last refresh failed".to_owned()),
        n => add(true, format!("the last {n} refreshes failed")),
    }
    if let Some(why) = &index.journal_closed {
        add(true, format!("marks cannot be recorded: {why}"));
    }
    if let Some(why) = &index.snapshot_failed {
        add(true, why.clone());
    }
    for actor in &report.daemon.actors {
        add(!actor.running, format!("the {} is being restarted", actor.name));
    }
    add(report.daemon.stopping, "the daemon is stopping".to_owned());
    reasons
}

fn status_screen(out: &mut Out, report: &StatusReport) -> Result<(), Failure> {
    let mut table = Table::new(None);
    let mut row = |out: &mut Out, key: &str, value: String| table.row(out, vec![key.to_owned(), value]);
    let daemon = &report.daemon;
    let stopping = if daemon.stopping { ", stopping" } else { "" };
    row(
        out,
        "daemon",
        format!("version {}, PID {}, up {}{stopping}", daemon.version, daemon.pid, span(daemon.uptime_s)),
    )?;
    row(out, "", format!("data in {}", daemon.data_dir))?;
    row(out, "", format!("socket {}", daemon.socket))?;
    let kubo = &report.kubo;
    let version = kubo.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let pid = kubo.pid.map(|pid| format!(", PID {pid}")).unwrap_or_default();
    row(out, "kubo", format!("{}{version}{pid}, {}", kubo::state(kubo), counted(kubo.restarts, "restart")))?;
    if let Some(held) = &kubo.held {
        row(out, "", format!("held: {}", held.detail))?;
        row(out, "", format!("to do: {}", held.hint))?;
    }
    if let (KuboState::Degraded, Some(change)) = (kubo.state, &kubo.change) {
        row(out, "", change.evidence.clone())?;
        row(out, "", "`ipfs-kitctl doctor` says what to do".to_owned())?;
    }
    if let Some(line) = &kubo.newest_line {
        row(out, "", format!("it says: {line}"))?;
    }
    if let Some(why) = &kubo.last_look {
        row(out, "", format!("not ready: {why}"))?;
    }
    if let Some(exit) = kubo::last_exit(kubo) {
        row(out, "", format!("last exit: {exit}"))?;
    }
    if let Some(retry) = &kubo.next_retry {
        row(out, "", format!("next try: {retry}"))?;
    }
    let repo = kubo.repo.as_ref().map(|repo| format!("repo {repo}"));
    let attached = (kubo.mode == KuboMode::Attach).then(|| format!("attached at {}", kubo.rpc));
    row(out, "", attached.into_iter().chain(repo).collect::<Vec<_>>().join(", "))?;
    if !kubo.warnings.is_empty() {
        // Of the repo alone: the doctor looks at more.
        let warnings = counted(kubo.warnings.len() as u64, "warning");
        row(out, "", format!("{warnings} about its repo; `ipfs-kitctl doctor` tells, and looks at the rest too"))?;
    }
    let index = &report.index;
    row(
        out,
        "index",
        format!(
            "{} ({} recursive, {} direct), generation {}",
            counted(index.pins, "pin"),
            index.recursive,
            index.direct,
            index.generation
        ),
    )?;
    row(out, "", age(index))?;
    if let Some(sizes) = &index.sizes {
        row(out, "", format!("sizes: {}", measured(sizes)))?;
    }
    if let Some(error) = &index.last_error {
        row(out, "", trouble(index.failed_refreshes, error))?;
    }
    if let Some(recovery) = &index.recovery {
        row(out, "", recovery.clone())?;
    }
    if let Some(why) = &index.journal_closed {
        row(out, "", format!("marks cannot be recorded until the daemon is started again: {why}"))?;
    }
    if let Some(snapshot) = &index.snapshot {
        let behind = if snapshot.behind { ", behind the index" } else { "" };
        let age = snapshot.age_s.map_or_else(|| "of unknown age".to_owned(), |age| format!("as of {} ago", span(age)));
        row(out, "", format!("newest snapshot {}, {age}{behind}", snapshot.name))?;
    }
    for line in sources(&report.accesses) {
        row(out, if line.0 { "accesses" } else { "" }, line.1)?;
    }
    if let [oldest, others @ ..] = &report.detached.oldest[..] {
        let (count, since) = (counted(report.detached.count, "detached pin"), ago(&oldest.since));
        let which = if others.is_empty() { "" } else { "the oldest " };
        row(out, "pins", format!("{count} under way, {which}{} begun {since}", oldest.cid))?;
    }
    if let Some(lock) = &report.lock {
        row(out, "lock", verdict(lock))?;
    }
    for actor in daemon.actors.iter().filter(|actor| actor.restarts > 0 || !actor.running) {
        let state = if actor.running { "running" } else { "being restarted" };
        let why = actor.last_failure.as_ref().map(|f| format!(": {}, {}", f.detail, ago(&f.at))).unwrap_or_default();
        row(out, "actor", format!("{} {state}, {}{why}", actor.name, counted(actor.restarts, "restart")))?;
    }
    if let Some(error) = &report.last_error {
        row(out, "error", format!("the last one {}: {}", ago(&error.at), error.detail))?;
    }
    table.finish(out)
}

/// Where accesses come from, in one line, and behind it what is wrong; the first one has a key.
fn sources(reports: &[SourceReport]) -> Vec<(bool, String)> {
    let names = |on| {
        let names = reports.iter().filter(|report| report.on == on).map(|report| report.source.name());
        names.collect::<Vec<_>>().join(", ")
    };
    let line = match (names(true), names(false)) {
        (on, off) if on.is_empty() && off.is_empty() => return Vec::new(),
        (on, off) if off.is_empty() => on,
        (on, off) if on.is_empty() => format!("{off} off"),
        (on, off) => format!("{on}; {off} off"),
    };
    let wrong = reports.iter().filter_map(|report| report.error.as_ref());
    std::iter::once((true, line)).chain(wrong.map(|error| (false, error.clone()))).collect()
}

/// `1 restart`, `2 restarts`, `2 entries`, `2 days`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    match what.strip_suffix('y').filter(|stem| !stem.ends_with('a')) {
        _ if number == 1 => format!("1 {what}"),
        Some(stem) => format!("{number} {stem}ies"),
        None if what.ends_with('s') => format!("{number} {what}es"),
        None => format!("{number} {what}s"),
    }
}

fn age(index: &IndexReport) -> String {
    let complete = if index.complete { "complete" } else { "not complete yet" };
    let age = index.age_s.map_or_else(|| "never refreshed".to_owned(), |age| format!("as of {} ago", span(age)));
    let source = match index.source {
        Source::Live => "",
        Source::Index => ", from the index alone",
        Source::Snapshot => ", from a snapshot",
        Source::Unknown => ", from an unknown source",
    };
    let pace = if index.paused {
        "refreshes are paused (`ipfs-kitctl index resume` goes on)".to_owned()
    } else {
        format!("refreshed every {}", span(index.interval_s))
    };
    format!("{age}, {complete}{source}, {pace}")
}

/// Why refreshes failed, or what the last one had to leave out.
pub(crate) fn trouble(failed: u64, error: &str) -> String {
    match failed {
        0 => error.to_owned(),
        1 => format!("1 refresh failed, the last one: {error}"),
        n => format!("{n} refreshes failed, the last one: {error}"),
    }
}

/// How far the sizes are measured.
pub(crate) fn measured(sizes: &SizesReport) -> String {
    let failed = match sizes.failed {
        0 => String::new(),
        n => format!("; {} failed and will be tried again", counted(n, "look")),
    };
    format!("{} exact, {} estimated, {} unknown{failed}", sizes.exact, sizes.estimated, sizes.unknown)
}

fn verdict(lock: &LockFile) -> String {
    let holder = match (lock.holder_pid, lock.ours) {
        (Some(_), true) => ", held by our Kubo".to_owned(),
        (Some(pid), false) => {
            let program = lock.holder.as_ref().map(|program| format!(" ({program})")).unwrap_or_default();
            format!(", held by PID {pid}{program}, which is not ours")
        }
        (None, _) => String::new(),
    };
    format!("{} {}{holder}", lock.path, lock.verdict.name())
}

pub(crate) fn metrics(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    ask.check_age()?;
    let report = ask.call(Metrics {})?;
    match out.format {
        Format::Table => metrics_table(out, &report)?,
        Format::Csv => {
            out.line("group,key,pins,bytes,as_of")?;
            let as_of = report.as_of.as_deref().unwrap_or_default();
            let bytes = report.bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
            let mut row =
                |group: &str, key: &str, pins: u64, bytes: &str| out.csv([group, key, &pins.to_string(), bytes, as_of]);
            row("total", "all", report.pins, &bytes)?;
            row("total", "named", report.named, "")?;
            for (group, counts) in groups(&report) {
                counts.iter().try_for_each(|count| row(group, &count.key, count.pins, ""))?;
            }
        }
        _ => out.answer(&report)?,
    }
    out.date(report.source, report.as_of.as_deref())?;
    Ok(exit::OK)
}

fn groups(report: &MetricsReport) -> [(&'static str, &[Count]); 5] {
    [
        ("type", &report.by_type),
        ("codec", &report.by_codec),
        ("age", &report.by_age),
        ("size", &report.by_size),
        ("sizes", &report.by_size_kind),
    ]
}

/// Places of the longest bar.
const BAR: usize = 40;

pub(crate) fn metrics_table(out: &mut Out, report: &MetricsReport) -> Result<(), Failure> {
    let mut table = Table::new(None);
    table.row(out, vec!["pins".to_owned(), report.pins.to_string()])?;
    table.row(out, vec!["named".to_owned(), report.named.to_string()])?;
    table.row(out, vec!["size".to_owned(), total(report)])?;
    let blocks = out.canvas().blocks;
    for (group, counts) in groups(report) {
        let most = counts.iter().map(|count| count.pins).max().unwrap_or_default().max(1);
        for count in counts {
            // A picture where the order of the classes means something.
            let bar = match group {
                "age" | "size" => plot::bar(count.pins as f64 / most as f64, BAR, blocks),
                _ => String::new(),
            };
            table.row(out, [format!("{group} {}", count.key), count.pins.to_string(), bar])?;
        }
    }
    let age = report.age_s.map_or_else(|| "never".to_owned(), |age| format!("{} ago", span(age)));
    table.row(out, vec!["as of".to_owned(), age])?;
    table.finish(out)
}

/// Bytes, and how far that can be believed.
pub(crate) fn total(report: &MetricsReport) -> String {
    let of = |key: &str| report.by_size_kind.iter().find(|count| count.key == key).map_or(0, |count| count.pins);
    match (of("estimated"), of("unknown")) {
        (0, 0) => size(report.bytes),
        (estimated, 0) => format!("{}, {estimated} of them estimated", size(report.bytes)),
        (0, unknown) => format!("{}, without {unknown} of unknown size", size(report.bytes)),
        (estimated, unknown) => {
            format!("{}, {estimated} of them estimated, without {unknown} of unknown size", size(report.bytes))
        }
    }
}

pub(crate) fn wait(ask: &mut Ask, out: &mut Out, condition: Condition) -> Result<u8, Failure> {
    let waited = ask.patiently().call_slowly(Wait { condition }, "waiting")?;
    match out.format {
        // It is so: the exit code says it.
        Format::Table => {}
        _ => out.answer(&waited)?,
    }
    Ok(exit::OK)
}

pub(crate) const SETTINGS: Shape =
    Shape { all: &["key", "value", "source"], table: &["key", "value", "source"], wide: &["key", "value", "source"] };

pub(crate) fn config_show(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &SETTINGS, show)?;
    let mut report = ask.call(ConfigShow {})?;
    list::whole(out, &SETTINGS, show, &mut report, ("settings", |report| &mut report.settings))?;
    Ok(exit::OK)
}

impl Row for Setting {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "key" => Cell::text(&self.key),
            "value" => Cell::text(&self.value),
            "source" => Cell::text(&self.source),
            _ => Cell::None,
        }
    }
}

pub(crate) fn shutdown(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let ending = ask.call(Shutdown {})?;
    if out.format == Format::Table {
        // Kubo may take its grace; whoever waits should know for what.
        let _ = writeln!(io::stderr(), "ipfs-kitd (PID {}) is stopping", ending.pid);
    }
    ask.wait_for_end()?;
    match out.format {
        Format::Table => out.line("stopped")?,
        _ => out.answer(&ending)?,
    }
    Ok(exit::OK)
}
