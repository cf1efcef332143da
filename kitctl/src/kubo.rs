//! `kubo status`, `start`, `stop`, `restart`, `logs`.

use crate::args::{self, Format};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, Table, ago, tame};
use proto_msgs::kubo::{KuboLogs, KuboReport, KuboRestart, KuboStart, KuboState, KuboStatus, KuboStop};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Kubo) -> Result<u8, Failure> {
    match verb {
        args::Kubo::Status => {
            let report = ask.call(KuboStatus {})?;
            show(out, &report)?;
            Ok(if report.state == KuboState::Running { exit::OK } else { exit::KUBO_DOWN })
        }
        args::Kubo::Start => changed(out, &ask.call(KuboStart {})?),
        args::Kubo::Stop => changed(out, &ask.call(KuboStop {})?),
        args::Kubo::Restart => changed(out, &ask.call(KuboRestart {})?),
        args::Kubo::Logs { lines } => logs(ask, out, lines),
    }
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
    add("pid", report.pid.map(|pid| pid.to_string()));
    add("version", report.version.clone());
    add("peer id", report.peer_id.clone());
    add("repo", Some(report.repo.clone()));
    add("rpc", Some(report.rpc.clone()));
    add("binary", Some(report.binary.clone()));
    add("restarts", Some(report.restarts.to_string()));
    add("last exit", last_exit(report));
    add("next retry", report.next_retry.clone());
    add("held", report.held.as_ref().map(|held| held.detail.clone()));
    add("to do", report.held.as_ref().map(|held| held.hint.clone()));
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

fn logs(ask: &mut Ask, out: &mut Out, lines: u32) -> Result<u8, Failure> {
    let page = ask.call(KuboLogs { lines: Some(lines) })?;
    match out.format {
        Format::Ndjson => page.lines.iter().try_for_each(|line| out.json(line))?,
        Format::Table => {
            page.lines.iter().try_for_each(|line| out.line(format!("{} {}", line.at, tame(&line.text))))?
        }
        _ => out.answer(&page)?,
    }
    Ok(exit::OK)
}
