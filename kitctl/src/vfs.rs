//! `vfs`: paths of MFS with what stands there, and what has changed.

use crate::args::{self, Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::list::{self, Listing, Row, Shape};
use crate::output::{Out, Table, ago, size};
use crate::pin::kind;
use jiff::{SignedDuration, Timestamp};
use proto_msgs::pin::{ContentKind, PinType};
use proto_msgs::verb::Part;
use proto_msgs::vfs::{VfsChange, VfsEntry, VfsInfo, VfsJournal, VfsJournalPage, VfsLs};

pub(crate) const ENTRIES: Shape = Shape {
    all: &["path", "name", "kind", "size", "cid", "pin", "whole"],
    table: &["kind", "size", "pin", "cid", "name"],
    wide: &["kind", "size", "pin", "whole", "cid", "path"],
};
/// MFS is looked at from time to time, and people look at once for what they have just done.
const OLD: SignedDuration = SignedDuration::from_secs(2);
const CHANGED: &[&str] = &["seq", "at", "op", "path", "cid", "cid_before"];
pub(crate) const CHANGES: Shape = Shape { all: CHANGED, table: CHANGED, wide: CHANGED };

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Vfs) -> Result<u8, Failure> {
    ask.check_age_of_mfs()?;
    match verb {
        args::Vfs::Ls { path, after, show } => ls(ask, out, path, after, &show),
        args::Vfs::Info { path } => info(ask, out, path),
        args::Vfs::Journal { since, show } => journal(ask, out, since, &show),
    }
}

fn ls(ask: &mut Ask, out: &mut Out, path: String, after: Option<String>, show: &Show) -> Result<u8, Failure> {
    let mut list = Listing::cut_here(out, &ENTRIES, show, "entries")?;
    // In another order the first ones are not those that are wanted.
    let limit = show.limit.filter(|_| show.sort.is_none()).map(|limit| limit.saturating_add(show.offset));
    let page = ask.call_with(VfsLs { path, limit, after }, |part| {
        let Part::VfsLs(rows) = part else { return Ok(()) };
        rows.entries.into_iter().try_for_each(|entry| list.row(out, entry))?;
        out.finish()
    })?;
    let table = out.format == Format::Table;
    if table && page.total == 0 {
        out.note("nothing is in it")?;
    } else {
        list.end(out, &page)?;
    }
    if table {
        incomplete(out, page.as_of.as_deref(), page.complete, page.unread, page.error.as_deref())?;
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
            out.csv(ENTRIES.all)?;
            out.csv(ENTRIES.all.iter().map(|column| info.entry.cell(column, &[]).plain()))?;
        }
        _ => {
            let mut table = Table::new(None);
            for column in ENTRIES.all {
                let cell = match (*column, info.entry.size) {
                    ("size", Some(bytes)) => format!("{} ({bytes} bytes)", size(Some(bytes))).into(),
                    ("pin", _) if info.entry.pin.is_none() => "no pin has it as its root".into(),
                    _ => info.entry.cell(column, &[]).readable(),
                };
                table.row(out, [*column, &*cell])?;
            }
            if info.entry.kind == Some(ContentKind::Directory) {
                table.row(out, ["children", &info.children.to_string()])?;
            }
            table.row(out, ["as of", info.as_of.as_deref().unwrap_or("-")])?;
            table.finish(out)?;
            incomplete(out, info.as_of.as_deref(), info.complete, info.unread, info.error.as_deref())?;
        }
    }
    out.date(info.source, info.as_of.as_deref())?;
    Ok(exit::OK)
}

fn journal(ask: &mut Ask, out: &mut Out, wanted: u64, show: &Show) -> Result<u8, Failure> {
    Listing::<VfsChange>::cut_here(out, &CHANGES, show, "")?;
    let mut since = wanted;
    let most = show.limit.filter(|_| show.sort.is_none());
    let mut left = most.map_or(u64::MAX, |limit| limit.saturating_add(show.offset));
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
    let Some(mut page) = whole else { return Ok(exit::OK) };
    match page.gap {
        // What is missing is above the newest one.
        true if page.changes.is_empty() && !page.more => {
            out.note(&format!(
                "no change has the number {wanted} yet; in an index that was made anew numbers begin anew"
            ))?;
        }
        true => out.note("changes before these are no longer kept")?,
        false => {}
    }
    list::whole(out, &CHANGES, show, &mut page, ("changes", |page| &mut page.changes))?;
    if let Some(error) = page.error.as_deref().filter(|_| out.format == Format::Table) {
        out.note(&failed(error))?;
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

impl Row for VfsChange {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "seq" => Cell::Count(self.seq),
            // In full: its reader compares it with other logs.
            "at" => Cell::text(&self.at),
            "op" => Cell::text(self.op.name()),
            "path" => Cell::text(&self.path),
            "cid" => Cell::maybe(self.cid.as_deref()),
            "cid_before" => Cell::maybe(self.cid_before.as_deref()),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        self.cid.as_deref()
    }
}

impl Row for VfsEntry {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "path" => Cell::text(&self.path),
            "name" => Cell::text(&self.name),
            "kind" => Cell::maybe(self.kind.map(kind)),
            "size" => Cell::bytes(self.size),
            "cid" => Cell::text(&self.cid),
            "pin" => Cell::maybe(self.pin.map(PinType::name)),
            "whole" => Cell::text(if self.whole { "true" } else { "false" }),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

fn failed(error: &str) -> String {
    format!("the last walk of MFS failed: {error}")
}

/// What a table does not show: what is missing, and why the last walk failed.
fn incomplete(
    out: &mut Out,
    as_of: Option<&str>,
    complete: bool,
    unread: u64,
    error: Option<&str>,
) -> Result<(), Failure> {
    if let Some(error) = error {
        out.note(&failed(error))?;
    }
    match as_of {
        Some(as_of) if complete => {
            let age = as_of.parse::<Timestamp>().map(|at| Timestamp::now().duration_since(at));
            if age.is_ok_and(|age| age > OLD) { out.note(&format!("as of {}", ago(as_of))) } else { Ok(()) }
        }
        _ if complete => Ok(()),
        Some(as_of) if unread > 0 => {
            let have = if unread == 1 { "has" } else { "have" };
            out.note(&format!("{} {have} blocks that are not in the repo, as of {as_of}", counted(unread, "entry")))
        }
        Some(as_of) => out.note(&format!("MFS is being walked; the last walk that ended was as of {as_of}")),
        None => out.note("this is what is known so far: no walk of MFS has ended yet"),
    }
}
