//! `index`: what is in it, and its refresh.

use crate::args;
use crate::args::Format;
use crate::ask::Ask;
use crate::daemon::{counted, measured, trouble};
use crate::exit::{self, Failure};
use crate::import;
use crate::output::{Out, Table, ago, size, span};
use proto_msgs::daemon::{IndexInfo, IndexInfoReport, IndexPause, IndexRefresh, IndexResume, MfsReport};
use proto_msgs::upkeep::{IndexBackup, IndexCompact, IndexRestore, IndexVerified, IndexVerify};
use std::path::Path;

pub(crate) fn run(ask: &mut Ask, out: &mut Out, what: args::Index) -> Result<u8, Failure> {
    match what {
        args::Index::Refresh { wait, names } => return refresh(ask, out, IndexRefresh { wait, names }),
        args::Index::Info => return info(ask, out),
        args::Index::Backup { file, force } => return backup(ask, out, &file, force),
        args::Index::Restore { file, force } => return restore(ask, out, &file, force),
        args::Index::Verify => return verify(ask, out),
        args::Index::Compact => return compact(ask, out),
        args::Index::Import { path, show } => return import::run(ask, out, &path, &show),
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
    let refreshed = if verb.wait { ask.call_slowly(verb, "refreshing")? } else { ask.call(verb)? };
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

/// The daemon may be elsewhere in the tree than the client.
pub(crate) fn absolute(file: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(file).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    path.into_os_string().into_string().map_err(|path| Failure::Usage(format!("{} is no text", path.display())))
}

fn backup(ask: &mut Ask, out: &mut Out, file: &Path, force: bool) -> Result<u8, Failure> {
    let made = ask.call_slowly(IndexBackup { path: absolute(file)?, force }, "backing up")?;
    match out.format {
        Format::Table => {
            let rows = |table| made.manifest.rows(table).unwrap_or_default();
            let (pins, marks, gone) = (rows("pins.parquet"), rows("marks.parquet"), rows("gone.parquet"));
            let what = [counted(pins, "pin"), counted(marks, "mark"), counted(gone, "tombstone")].join(", ");
            out.line(format!(
                "{}: {}, {what}, generation {}",
                made.path,
                size(Some(made.bytes)),
                made.manifest.generation
            ))?;
        }
        _ => out.answer(&made)?,
    }
    Ok(exit::OK)
}

fn restore(ask: &mut Ask, out: &mut Out, file: &Path, force: bool) -> Result<u8, Failure> {
    let done = ask.call_slowly(IndexRestore { path: absolute(file)?, force }, "restoring")?;
    match out.format {
        Format::Table => {
            out.line(format!(
                "restored: {}, {}, as generation {}; complete after the next refresh",
                counted(done.pins, "pin"),
                counted(done.marks, "mark"),
                done.generation
            ))?;
            out.line(format!("what there was is in {}", done.kept))?;
        }
        _ => out.answer(&done)?,
    }
    Ok(exit::OK)
}

fn verify(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let found = ask.call_slowly(IndexVerify {}, "verifying")?;
    let bad = found.snapshots.iter().any(|snapshot| !snapshot.problems.is_empty()) || !found.problems.is_empty();
    match out.format {
        Format::Table => show_verified(out, &found)?,
        _ => out.answer(&found)?,
    }
    Ok(if bad { exit::FAILED } else { exit::OK })
}

fn show_verified(out: &mut Out, found: &IndexVerified) -> Result<(), Failure> {
    let mut table = Table::new(None);
    let mut row = |out: &mut Out, key: &str, value: String| table.row(out, vec![key.to_owned(), value]);
    let read = |rows: Option<u64>, of: &str| rows.map_or_else(|| format!("unreadable {of}s"), |rows| counted(rows, of));
    let rows = [read(found.pins, "pin"), read(found.gone, "tombstone"), read(found.changes, "change")];
    let marks = found.marks.map_or_else(|| "unreadable".to_owned(), |marks| marks.to_string());
    row(out, "index", format!("{}, generation {}", rows.join(", "), found.generation))?;
    row(out, "marks", format!("{marks}, the journal up to record {}", found.journal_seq))?;
    for problem in &found.problems {
        row(out, "", format!("wrong: {problem}"))?;
    }
    for snapshot in &found.snapshots {
        let good = if snapshot.problems.is_empty() { "good".to_owned() } else { snapshot.problems.join("; ") };
        row(
            out,
            &snapshot.name,
            format!("{}, {}: {good}", counted(snapshot.files, "file"), size(Some(snapshot.bytes))),
        )?;
    }
    table.finish(out)
}

/// Up to this a file may grow by being written anew.
const LEAST: u64 = 16 << 20;

fn compact(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let saved = ask.call_slowly(IndexCompact {}, "compacting")?;
    match out.format {
        Format::Table => {
            let from_to =
                |what: &str, before, after| format!("{what}: {} before, {} now", size(Some(before)), size(Some(after)));
            out.line(from_to("index", saved.index_before, saved.index_after))?;
            out.line(from_to("journal", saved.journal_before, saved.journal_after))?;
            if saved.index_before < saved.index_after && saved.index_after <= LEAST {
                out.line("DuckDB's file has a least size of a few MiB, and this one was small already")?;
            }
            if let Some(why) = &saved.put_off {
                out.line(format!("the index was left as it is, since it is being read: {why}"))?;
            }
        }
        _ => out.answer(&saved)?,
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
    row(out, "MFS", mfs(&info.mfs))?;
    if let Some(error) = &info.mfs.error {
        row(out, "", format!("the last look failed: {error}"))?;
    }
    if info.legacy.files > 0 {
        let (rows, files) = (counted(info.legacy.rows, "row"), counted(info.legacy.files, "file"));
        row(out, "imported", format!("{rows} of {files}, in legacy.parquet of each snapshot"))?;
    }
    row(out, "file", size(info.file_bytes))?;
    if let Some(recovery) = &info.recovery {
        row(out, "recovery", recovery.clone())?;
    }
    table.finish(out)
}

fn mfs(mfs: &MfsReport) -> String {
    let entries = counted(mfs.entries, "entry");
    match &mfs.as_of {
        None => "not walked yet".to_owned(),
        Some(at) if mfs.complete => format!("{entries}, as of {}", ago(at)),
        Some(at) if mfs.unread > 0 => format!("{entries}, {} of them not readable, as of {}", mfs.unread, ago(at)),
        Some(at) => format!("{entries}, a walk is under way; complete {}", ago(at)),
    }
}
