//! `pin history` and `pin diff`: what happened to pins, written as it comes.

use crate::args::{Format, Rows};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{self, Document, Out, Table, ago, say};
use proto_msgs::pin::{PinChange, PinPage, PinType};
use proto_msgs::verb::{Part, Verb};

/// What one of the two shows.
pub(crate) struct Shows {
    columns: &'static [&'static str],
    table: &'static [&'static str],
    nothing: &'static str,
}

pub(crate) const HISTORY: Shows = Shows {
    columns: &["at", "generation", "event", "cid", "type", "name", "type_before", "name_before"],
    table: &["at", "generation", "event", "cid", "type", "name", "name_before"],
    nothing: "nothing has happened yet",
};

pub(crate) const DIFF: Shows = Shows {
    columns: &["event", "cid", "type", "name", "type_before", "name_before"],
    table: &["event", "cid", "type", "name", "type_before", "name_before"],
    nothing: "the two generations have the same pins",
};

pub(crate) fn changes<V: Verb<Reply = PinPage>>(
    ask: &mut Ask,
    out: &mut Out,
    verb: V,
    shows: &Shows,
    rows: Rows,
) -> Result<u8, Failure> {
    let columns = output::columns(rows.columns, out.format, shows.table, shows.columns)?;
    ask.check_age()?;
    let mut header = !rows.no_header;
    let mut document = Document::new("changes");
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(header.then_some(&names[..]));
    let page = ask.call_with(verb, |part| {
        let Part::PinChanges(some) = part else { return Ok(()) };
        for change in &some.changes {
            match out.format {
                Format::Json => document.row(out, change)?,
                Format::Ndjson => out.json(change)?,
                Format::Cid => out.line(&change.cid)?,
                Format::Csv => {
                    if std::mem::take(&mut header) {
                        out.csv(&columns)?;
                    }
                    out.csv(&columns.iter().map(|column| plain(change, column)).collect::<Vec<_>>())?;
                }
                Format::Table => {
                    table.row(out, columns.iter().map(|column| readable(change, column, &columns)).collect())?;
                }
            }
        }
        out.finish()
    })?;
    match out.format {
        Format::Json => document.end(out, &page)?,
        Format::Csv if header => out.csv(&columns)?,
        // Not data, so not on stdout.
        Format::Table if page.total == 0 => say(shows.nothing),
        Format::Table => table.finish(out)?,
        _ => {}
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

/// A cell for machines; empty for `null`.
fn plain(change: &PinChange, column: &str) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    match column {
        "at" => text(&change.at),
        "generation" => change.generation.map(|generation| generation.to_string()).unwrap_or_default(),
        "event" => change.event.name().to_owned(),
        "cid" => change.cid.clone(),
        "type" => change.pin_type.name().to_owned(),
        "name" => text(&change.name),
        "type_before" => change.type_before.map(PinType::name).unwrap_or_default().to_owned(),
        "name_before" => text(&change.name_before),
        _ => String::new(),
    }
}

/// A cell for people; `-` for `null`. Another type than before is shown with the type where that has no column of its own.
fn readable(change: &PinChange, column: &str, columns: &[String]) -> String {
    let other = change.type_before.filter(|before| *before != change.pin_type);
    match (column, &change.at, other) {
        ("at", Some(at), _) => ago(at),
        ("type", _, Some(before)) if !columns.iter().any(|column| column == "type_before") => {
            format!("{} -> {}", before.name(), change.pin_type.name())
        }
        (column, ..) => Some(plain(change, column)).filter(|cell| !cell.is_empty()).unwrap_or_else(|| "-".to_owned()),
    }
}
