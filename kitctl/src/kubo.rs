//! `kubo status`, `start`, `stop`, `restart`, `logs`, `config`, `gc`.

use crate::args::{self, Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::list::{self, Row, Shape};
use crate::log;
use crate::output::{Bar, Out, Table, ago, size, tame};
use proto_msgs::kubo::{
    KuboConfig, KuboGc, KuboLogPage, KuboLogs, KuboMode, KuboReport, KuboRestart, KuboSetting, KuboStart, KuboState,
    KuboStatus, KuboStop,
};
use proto_msgs::verb::Part;

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Kubo) -> Result<u8, Failure> {
    match verb {
        args::Kubo::Status => {
            let report = ask.call(KuboStatus {})?;
            show(out, &report)?;
            Ok(if report.state == KuboState::Running { exit::OK } else { exit::KUBO_DOWN })
        }
        args::Kubo::Start => changed(out, &ask.call_slowly(KuboStart {}, "starting")?),
        args::Kubo::Stop => changed(out, &ask.call_slowly(KuboStop {}, "stopping")?),
        args::Kubo::Restart => changed(out, &ask.call_slowly(KuboRestart {}, "restarting")?),
        args::Kubo::Logs { lines, since, follow } => {
            let verb = KuboLogs { lines, since: since.map(|since| since.to_string()), follow };
            let page = |part| if let Part::KuboLogs(page) = part { Some((page.dropped, page)) } else { None };
            log::tail(ask, out, verb, follow, "at,stream,text", page, show_logs)
        }
        args::Kubo::Config(show) => config(ask, out, &show),
        args::Kubo::Gc => gc(ask, out),
    }
}

pub(crate) const SETTINGS: Shape = Shape { all: &["key", "value"], table: &["key", "value"], wide: &["key", "value"] };

fn config(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &SETTINGS, show)?;
    let mut report = ask.call(KuboConfig {})?;
    list::whole(out, &SETTINGS, show, &mut report, ("settings", |report| &mut report.settings))?;
    Ok(exit::OK)
}

impl Row for KuboSetting {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "key" => Cell::text(&self.key),
            "value" => Cell::text(&self.value),
            _ => Cell::None,
        }
    }
}

fn gc(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let mut bar = Bar::new();
    let done = ask.call_with(KuboGc {}, |part| {
        if let Part::Progress(progress) = part {
            bar.show(&format!("removed {}", counted(progress.blocks, "block")));
        }
        Ok(())
    });
    bar.clear();
    let done = done?;
    match out.format {
        Format::Table => {
            let sizes = match (done.bytes_before, done.bytes_after) {
                (Some(before), Some(after)) => {
                    format!("; the repo had {}, and has {}", size(Some(before)), size(Some(after)))
                }
                _ => String::new(),
            };
            out.line(format!("removed {}{sizes}", counted(done.blocks, "block")))?;
            done.errors.iter().try_for_each(|error| out.line(format!("  not removed: {}", tame(error))))?;
        }
        _ => out.answer(&done)?,
    }
    Ok(if done.errors.is_empty() { exit::OK } else { exit::FAILED })
}

fn changed(out: &mut Out, report: &KuboReport) -> Result<u8, Failure> {
    match out.format {
        Format::Table => {
            let pid = report.pid.map(|pid| format!(", PID {pid}")).unwrap_or_default();
            out.line(format!("Kubo is {}{pid}", report.state.name()))?;
        }
        _ => out.answer(report)?,
    }
    Ok(exit::OK)
}

fn show(out: &mut Out, report: &KuboReport) -> Result<(), Failure> {
    match out.format {
        Format::Table => {
            let mut table = Table::new(None);
            for (key, value) in lines(report) {
                table.row(out, vec![key.to_owned(), value])?;
            }
            table.finish(out)?;
            if let Some(exit) =
                report.last_exit.as_ref().filter(|exit| !exit.asked && report.state != KuboState::Running)
            {
                out.line("last lines of output:")?;
                exit.log.iter().try_for_each(|line| out.line(format!("  {}", tame(line))))?;
            }
            Ok(())
        }
        _ => out.answer(report),
    }
}

fn lines(report: &KuboReport) -> Vec<(&'static str, String)> {
    let mut lines = vec![("state", state(report))];
    let mut add = |key, value: Option<String>| lines.extend(value.map(|value| (key, value)));
    let news = report.change.as_ref().filter(|_| report.held.is_none());
    add("cause", news.map(|change| format!("{}: {}", change.cause.replace('_', " "), change.evidence)));
    add("says", report.newest_line.clone());
    add("not ready", report.last_look.clone());
    add("mode", (report.mode == KuboMode::Attach).then(|| "attached to a Kubo that somebody else runs".to_owned()));
    add("pid", report.pid.map(|pid| pid.to_string()));
    add("memory", report.memory.map(|memory| size(Some(memory))));
    add("version", report.version.clone());
    add("peer id", report.peer_id.clone());
    add("peers", report.peers.map(|peers| peers.to_string()));
    add("repo", report.repo.clone());
    add("rpc", Some(report.rpc.clone()));
    add("api", Some(report.api.join(", ")).filter(|api| !api.is_empty()));
    add("binary", report.binary.clone());
    add("restarts", Some(report.restarts.to_string()));
    add("last exit", last_exit(report));
    add("next retry", report.next_retry.clone());
    add("held", report.held.as_ref().map(|held| held.detail.clone()));
    add("to do", report.held.as_ref().map(|held| held.hint.clone()));
    for warning in &report.warnings {
        add("warning", Some(warning.detail.clone()));
    }
    lines
}

/// `running for 3m`.
pub(crate) fn state(report: &KuboReport) -> String {
    let state = report.state.name().replace('_', " ");
    match ago(&report.since).strip_suffix(" ago") {
        Some(span) => format!("{state} for {span}"),
        None => format!("{state} since {}", report.since),
    }
}

/// `killed by SIGKILL, 3m ago`; what was asked for is no news.
pub(crate) fn last_exit(report: &KuboReport) -> Option<String> {
    let exit = report.last_exit.as_ref()?;
    let asked = if exit.asked { ", as asked" } else { "" };
    Some(format!("{}{asked}, {}", exit.cause, ago(&exit.at)))
}

fn show_logs(out: &mut Out, page: &KuboLogPage) -> Result<(), Failure> {
    match out.format {
        Format::Ndjson => page.lines.iter().try_for_each(|line| out.json(line)),
        Format::Csv => page.lines.iter().try_for_each(|line| out.csv([&line.at, &line.stream, &line.text])),
        Format::Table => page.lines.iter().try_for_each(|line| out.line(format!("{} {}", line.at, tame(&line.text)))),
        _ => out.answer(page),
    }
}
