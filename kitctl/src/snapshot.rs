//! `snapshot now`, `snapshot ls`, `snapshot path`, `snapshot verify`.

use crate::args::{Format, Snapshot};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, Table, ago, size, tame};
use proto_msgs::snapshot::{SnapshotAt, SnapshotLs, SnapshotNow, SnapshotPath, SnapshotRow, SnapshotVerify};
use std::io::{self, Write};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: Snapshot) -> Result<u8, Failure> {
    match verb {
        Snapshot::Now { arrow } => {
            let made = ask.call(SnapshotNow { arrow })?;
            place(out, &made)
        }
        Snapshot::Ls => ls(ask, out),
        Snapshot::Path => {
            let newest = ask.call(SnapshotPath {})?;
            ask.check_snapshot(newest.manifest.as_of.as_deref())?;
            place(out, &newest)
        }
        Snapshot::Verify { snapshot } => verify(ask, out, SnapshotVerify { snapshot }),
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

fn ls(ask: &mut Ask, out: &mut Out) -> Result<u8, Failure> {
    let list = ask.call(SnapshotLs {})?;
    let newest = list.snapshots.iter().find(|row| row.problem.is_none());
    ask.check_snapshot(newest.and_then(|row| row.as_of.as_deref()))?;
    match out.format {
        Format::Table => {
            let mut table = Table::new(Some(&["snapshot", "made", "as of", "pins", "size", "state"]));
            list.snapshots.iter().try_for_each(|row| table.row(out, cells(row)))?;
            table.finish(out)?;
        }
        Format::Ndjson => list.snapshots.iter().try_for_each(|row| out.json(row))?,
        _ => out.answer(&list)?,
    }
    Ok(exit::OK)
}

fn cells(row: &SnapshotRow) -> Vec<String> {
    let time = |time: &Option<String>| time.as_deref().map_or_else(|| "-".to_owned(), ago);
    let state = match (&row.problem, row.newest) {
        (Some(problem), _) => problem.clone(),
        (None, true) => "newest".to_owned(),
        (None, false) => String::new(),
    };
    let pins = row.pins.map_or_else(|| "-".to_owned(), |pins| pins.to_string());
    vec![row.name.clone(), time(&row.created_at), time(&row.as_of), pins, size(row.bytes), state]
}

fn verify(ask: &mut Ask, out: &mut Out, verb: SnapshotVerify) -> Result<u8, Failure> {
    let verified = ask.call(verb)?;
    let problems = verified.snapshots.iter().flat_map(|snapshot| &snapshot.problems).chain(&verified.problem);
    let code = if problems.count() == 0 { exit::OK } else { exit::FAILED };
    match out.format {
        Format::Table => {
            let mut table = Table::new(Some(&["snapshot", "files", "read", "found"]));
            for check in &verified.snapshots {
                let found = if check.problems.is_empty() { "good".to_owned() } else { check.problems.join("; ") };
                table.row(out, vec![check.name.clone(), check.files.to_string(), size(Some(check.bytes)), found])?;
            }
            if let Some(problem) = &verified.problem {
                table.row(out, vec!["manifest".to_owned(), "-".to_owned(), "-".to_owned(), problem.clone()])?;
            }
            table.finish(out)?;
        }
        Format::Ndjson => verified.snapshots.iter().try_for_each(|check| out.json(check))?,
        _ => out.answer(&verified)?,
    }
    Ok(code)
}
