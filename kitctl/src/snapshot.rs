//! `snapshot now`, `snapshot ls`, `snapshot path`, `snapshot verify`.

use crate::args::{Format, Show, Snapshot};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{self, Row, Shape};
use crate::output::{Out, tame};
use crate::process;
use proto_msgs::snapshot::{
    SnapshotAt, SnapshotCheck, SnapshotLs, SnapshotNow, SnapshotPath, SnapshotRow, SnapshotVerify,
};
use std::io::{self, Write};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: Snapshot) -> Result<u8, Failure> {
    match verb {
        Snapshot::Now { arrow } => {
            let made = ask.call_slowly(SnapshotNow { arrow }, "publishing")?;
            place(out, &made)
        }
        Snapshot::Ls(show) => ls(ask, out, &show),
        Snapshot::Path => {
            let newest = ask.call(SnapshotPath {})?;
            ask.check_snapshot(newest.manifest.as_of.as_deref())?;
            place(out, &newest)
        }
        Snapshot::Fd { command } => {
            let (at, pins) = ask.descriptor()?;
            ask.check_snapshot(at.manifest.as_of.as_deref())?;
            let manifest = at.manifest;
            let env = [
                ("IPFS_KITD_SNAPSHOT", manifest.name),
                ("IPFS_KITD_GENERATION", manifest.generation.to_string()),
                ("IPFS_KITD_AS_OF", manifest.as_of.unwrap_or_default()),
            ];
            Err(process::become_command(&command, pins, &env))
        }
        Snapshot::Verify { snapshot, show } => verify(ask, out, SnapshotVerify { snapshot }, &show),
    }
}

/// The directory alone, for scripts; what is wrong with newer ones goes to stderr.
fn place(out: &mut Out, at: &SnapshotAt) -> Result<u8, Failure> {
    match out.format {
        Format::Table => {
            for reason in &at.passed_over {
                // A warning that nobody reads is no failure.
                let _ = writeln!(io::stderr(), "warning: passed over: {}", tame(reason));
            }
            out.line(&at.path)?;
        }
        _ => out.answer(at)?,
    }
    Ok(exit::OK)
}

pub(crate) const SNAPSHOTS: Shape = Shape {
    all: &["name", "generation", "created_at", "as_of", "pins", "bytes", "newest", "problem"],
    table: &["name", "created_at", "as_of", "pins", "bytes", "newest", "problem"],
    wide: &["name", "generation", "created_at", "as_of", "pins", "bytes", "newest", "problem"],
};
const CHECKED: &[&str] = &["name", "files", "bytes", "problems"];
pub(crate) const CHECKS: Shape = Shape { all: CHECKED, table: CHECKED, wide: CHECKED };

fn ls(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &SNAPSHOTS, show)?;
    let mut list = ask.call(SnapshotLs {})?;
    let newest = list.snapshots.iter().find(|row| row.problem.is_none());
    ask.check_snapshot(newest.and_then(|row| row.as_of.as_deref()))?;
    list::whole(out, &SNAPSHOTS, show, &mut list, ("snapshots", |list| &mut list.snapshots))?;
    Ok(exit::OK)
}

impl Row for SnapshotRow {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "name" => Cell::text(&self.name),
            "generation" => Cell::Count(self.generation),
            "created_at" => Cell::time(self.created_at.as_deref()),
            "as_of" => Cell::time(self.as_of.as_deref()),
            "pins" => Cell::count(self.pins),
            "bytes" => Cell::bytes(self.bytes),
            "newest" => Cell::flag(self.newest),
            "problem" => Cell::maybe(self.problem.as_deref()),
            _ => Cell::None,
        }
    }
}

fn verify(ask: &mut Ask, out: &mut Out, verb: SnapshotVerify, show: &Show) -> Result<u8, Failure> {
    list::known(out, &CHECKS, show)?;
    let mut verified = ask.call_slowly(verb, "verifying")?;
    let problems = verified.snapshots.iter().flat_map(|snapshot| &snapshot.problems).chain(&verified.problem);
    let code = if problems.count() == 0 { exit::OK } else { exit::FAILED };
    // What is wrong with the manifest of the newest belongs to no snapshot, and has a field of its own in a document.
    if let Some(problem) = verified.problem.clone().filter(|_| out.format != Format::Json) {
        let (name, problems) = ("manifest".to_owned(), vec![problem]);
        verified.snapshots.push(SnapshotCheck { name, files: 0, bytes: 0, problems });
    }
    list::whole(out, &CHECKS, show, &mut verified, ("snapshots", |verified| &mut verified.snapshots))?;
    Ok(code)
}

impl Row for SnapshotCheck {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "name" => Cell::text(&self.name),
            "files" => Cell::Count(self.files),
            "bytes" => Cell::Bytes(self.bytes),
            "problems" if self.problems.is_empty() => Cell::Both("".into(), "good".into()),
            "problems" => Cell::text(self.problems.join("; ")),
            _ => Cell::None,
        }
    }
}
