//! `vfs`: paths of MFS with what stands there, and what has changed.

use crate::args::{self, Format};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Document, Out, Table, say, size};
use proto_msgs::pin::{ContentKind, PinType};
use proto_msgs::verb::Part;
use proto_msgs::vfs::{VfsChange, VfsEntry, VfsInfo, VfsJournal, VfsJournalPage, VfsLs};

const COLUMNS: [&str; 7] = ["path", "name", "kind", "size", "cid", "pin", "whole"];
const TABLE: [&str; 5] = ["kind", "size", "pin", "cid", "name"];
const CHANGES: [&str; 6] = ["seq", "at", "op", "path", "cid", "cid_before"];

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Vfs) -> Result<u8, Failure> {
    ask.check_age_of_mfs()?;
    match verb {
        args::Vfs::Ls { path, limit, after } => ls(ask, out, VfsLs { path, limit, after }),
        args::Vfs::Info { path } => info(ask, out, path),
        args::Vfs::Journal { since, limit } => journal(ask, out, since, limit),
    }
}

fn ls(ask: &mut Ask, out: &mut Out, verb: VfsLs) -> Result<u8, Failure> {
    let mut table = Table::new(Some(&TABLE));
    let mut header = true;
    let mut document = Document::new("entries");
    let page = ask.call_with(verb, |part| {
        let Part::VfsLs(rows) = part else { return Ok(()) };
        for entry in &rows.entries {
            match out.format {
                Format::Json => document.row(out, entry)?,
                Format::Ndjson => out.json(entry)?,
                Format::Csv => {
                    if std::mem::take(&mut header) {
                        out.line(COLUMNS.join(","))?;
                    }
                    out.csv(&COLUMNS.map(|column| plain(entry, column)))?;
                }
                Format::Cid => out.line(&entry.cid)?,
                Format::Table => table.row(out, TABLE.map(|column| readable(entry, column)).to_vec())?,
            }
        }
        out.finish()
    })?;
    match out.format {
        Format::Json => document.end(out, &page)?,
        Format::Csv if header => out.line(COLUMNS.join(","))?,
        Format::Table => {
            if page.total > 0 {
                table.finish(out)?;
            }
            out.finish()?;
            if page.total == 0 {
                say("nothing is in it");
            }
            incomplete(page.as_of.as_deref(), page.complete, page.unread);
        }
        _ => {}
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

fn info(ask: &mut Ask, out: &mut Out, path: String) -> Result<u8, Failure> {
    let info = ask.call(VfsInfo { path })?;
    match out.format {
        Format::Json => out.document(&info)?,
        Format::Ndjson => out.json(&info.entry)?,
        Format::Cid => out.line(&info.entry.cid)?,
        Format::Csv => {
            out.line(COLUMNS.join(","))?;
            out.csv(&COLUMNS.map(|column| plain(&info.entry, column)))?;
        }
        Format::Table => {
            let mut table = Table::new(None);
            for column in COLUMNS {
                let cell = match (column, info.entry.size) {
                    ("size", Some(bytes)) => format!("{} ({bytes} bytes)", size(Some(bytes))),
                    ("pin", _) if info.entry.pin.is_none() => "no pin has it as its root".to_owned(),
                    _ => readable(&info.entry, column),
                };
                table.row(out, vec![column.to_owned(), cell])?;
            }
            if info.entry.kind == Some(ContentKind::Directory) {
                table.row(out, vec!["children".to_owned(), info.children.to_string()])?;
            }
            table.row(out, vec!["as of".to_owned(), info.as_of.clone().unwrap_or_else(|| "-".to_owned())])?;
            table.finish(out)?;
            out.finish()?;
            incomplete(info.as_of.as_deref(), info.complete, info.unread);
        }
    }
    out.date(info.source, info.as_of.as_deref())?;
    Ok(exit::OK)
}

fn journal(ask: &mut Ask, out: &mut Out, wanted: u64, limit: Option<u64>) -> Result<u8, Failure> {
    let mut since = wanted;
    let mut left = limit.unwrap_or(u64::MAX);
    let mut whole: Option<VfsJournalPage> = None;
    // A page at a time, so that a long journal is a few answers.
    loop {
        let page = ask.call(VfsJournal { since, limit: Some(left.min(VfsJournal::MAX)) })?;
        left -= (page.changes.len() as u64).min(left);
        let more = page.more && left > 0 && !page.changes.is_empty();
        since = page.changes.last().map_or(since, |change| change.seq);
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => {
                whole.changes.extend(page.changes);
                whole.more = page.more;
            }
        }
        if !more {
            break;
        }
    }
    let Some(page) = whole else { return Ok(exit::OK) };
    match page.gap {
        // What is missing is above the newest one.
        true if page.changes.is_empty() && !page.more => {
            say(&format!("no change has the number {wanted} yet; in an index that was made anew numbers begin anew"))
        }
        true => say("changes before these are no longer kept"),
        false => {}
    }
    match out.format {
        Format::Json => out.document(&page)?,
        Format::Ndjson => page.changes.iter().try_for_each(|change| out.json(change))?,
        Format::Csv => {
            out.line(CHANGES.join(","))?;
            page.changes.iter().try_for_each(|change| out.csv(&cells(change, "")))?;
        }
        _ => {
            let mut table = Table::new(Some(&CHANGES));
            page.changes.iter().try_for_each(|change| table.row(out, cells(change, "-").to_vec()))?;
            table.finish(out)?;
        }
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

fn cells(change: &VfsChange, none: &str) -> [String; 6] {
    let cid = |cid: &Option<String>| cid.clone().unwrap_or_else(|| none.to_owned());
    [
        change.seq.to_string(),
        change.at.clone(),
        change.op.name().to_owned(),
        change.path.clone(),
        cid(&change.cid),
        cid(&change.cid_before),
    ]
}

/// A cell for machines; empty for `null`.
fn plain(entry: &VfsEntry, column: &str) -> String {
    match column {
        "path" => entry.path.clone(),
        "name" => entry.name.clone(),
        "kind" => match entry.kind {
            Some(ContentKind::File) => "file",
            Some(ContentKind::Directory) => "directory",
            Some(ContentKind::Raw) => "raw",
            Some(ContentKind::Other) => "other",
            None => "",
        }
        .to_owned(),
        "size" => entry.size.map(|size| size.to_string()).unwrap_or_default(),
        "cid" => entry.cid.clone(),
        "pin" => entry.pin.map(PinType::name).unwrap_or_default().to_owned(),
        _ => entry.whole.to_string(),
    }
}

/// A cell for people.
fn readable(entry: &VfsEntry, column: &str) -> String {
    match column {
        "size" => size(entry.size),
        _ => Some(plain(entry, column)).filter(|cell| !cell.is_empty()).unwrap_or_else(|| "-".to_owned()),
    }
}

fn incomplete(as_of: Option<&str>, complete: bool, unread: u64) {
    match as_of {
        _ if complete => {}
        Some(as_of) if unread > 0 => {
            say(&format!("{unread} entries have blocks that are not in the repo, as of {as_of}"))
        }
        Some(as_of) => say(&format!("MFS is being walked; the last walk that ended was as of {as_of}")),
        None => say("this is what is known so far: no walk of MFS has ended yet"),
    }
}
