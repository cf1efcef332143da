//! `index`: what is in it, and its refresh.

use crate::args;
use crate::args::Format;
use crate::ask::Ask;
use crate::daemon::{counted, measured, trouble};
use crate::exit::{self, Failure};
use crate::output::{Out, Table, ago, size, span};
use proto_msgs::daemon::{IndexInfo, IndexInfoReport, IndexPause, IndexRefresh, IndexResume};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, what: args::Index) -> Result<u8, Failure> {
    match what {
        args::Index::Refresh { wait, names } => return refresh(ask, out, IndexRefresh { wait, names }),
        args::Index::Info => return info(ask, out),
        args::Index::Pause => {
            let paused = ask.call(IndexPause {})?;
            match out.format {
                Format::Table => out.line("no refresh begins by itself until `ipfs-kitctl index resume`")?,
                _ => out.answer(&paused)?,
            }
        }
        args::Index::Resume => {
            let paused = ask.call(IndexResume {})?;
            match out.format {
                Format::Table => out.line("refreshes begin by themselves again")?,
                _ => out.answer(&paused)?,
            }
        }
    }
    Ok(exit::OK)
}

fn refresh(ask: &mut Ask, out: &mut Out, verb: IndexRefresh) -> Result<u8, Failure> {
    let refreshed = ask.call(verb)?;
    match out.format {
        Format::Table if !refreshed.done => out.line("a refresh was asked for")?,
        Format::Table => out.line(format!(
            "refreshed: {} added, {} removed, {} changed; generation {}",
            refreshed.added, refreshed.removed, refreshed.changed, refreshed.generation
        ))?,
        _ => out.answer(&refreshed)?,
    }
    Ok(exit::OK)
}

fn info(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    ask.check_age()?;
    let info = ask.call(IndexInfo {})?;
    match out.format {
        Format::Table => show(out, &info)?,
        _ => out.answer(&info)?,
    }
    Ok(exit::OK)
}

fn show(out: &mut Out, info: &IndexInfoReport) -> Result<(), Failure> {
    let mut table = Table::new(None);
    let mut row = |out: &mut Out, key: &str, value: String| table.row(out, vec![key.to_owned(), value]);
    row(out, "pins", format!("{} ({} recursive, {} direct)", info.pins, info.recursive, info.direct))?;
    row(out, "history", format!("{}, {}", counted(info.gone, "tombstone"), counted(info.changes, "change")))?;
    row(out, "generation", format!("{}, kept since {}", info.generation, info.oldest_generation))?;
    row(out, "node", info.peer_id.clone().unwrap_or_else(|| "-".to_owned()))?;
    let complete = if info.complete { "complete" } else { "not complete yet" };
    let age = info.age_s.map_or_else(|| "never refreshed".to_owned(), |age| format!("{} ago", span(age)));
    row(out, "as of", format!("{age}, {complete}"))?;
    let took = info.last_refresh_s.map(|took| format!(", the last one took {}", span(took))).unwrap_or_default();
    let wanted = match info.interval_s > info.wanted_interval_s {
        true => format!(" ({} are wanted)", span(info.wanted_interval_s)),
        false => String::new(),
    };
    let lag = info.lag_s.filter(|lag| *lag >= 1.0).map(|lag| format!(", {} late", span(lag))).unwrap_or_default();
    row(out, "refreshed", format!("every {}{wanted}{took}{lag}", span(info.interval_s)))?;
    if info.paused {
        row(out, "", "paused; `ipfs-kitctl index resume` goes on".to_owned())?;
    }
    row(
        out,
        "names",
        info.names_as_of.as_ref().map_or_else(|| "not compared yet".to_owned(), |at| format!("compared {}", ago(at))),
    )?;
    if let Some(error) = &info.last_error {
        row(out, "", trouble(info.failed_refreshes, error))?;
    }
    row(out, "sizes", measured(&info.sizes))?;
    if let Some(retry) = &info.sizes.next_retry {
        row(out, "", format!("next try: {retry}"))?;
    }
    if let Some(why) = &info.sizes.last_failure {
        row(out, "", format!("the last failure: {why}"))?;
    }
    row(out, "file", size(info.file_bytes))?;
    if let Some(recovery) = &info.recovery {
        row(out, "recovery", recovery.clone())?;
    }
    table.finish(out)
}
