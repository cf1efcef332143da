//! `pin ls`, `info`, `add`, `rm`, and the words of all verbs of pins: rows of pins in every format. A listing is written as its parts arrive and is never held
//! whole; several CIDs are several calls on one connection.

use crate::args::{self, Format};
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::history;
use crate::mark;
use crate::output::{self, Bar, Document, Out, Table, ago, say, size};
use proto_msgs::ClientError;
use proto_msgs::pin::{ContentKind, Pin, PinAdd, PinDiff, PinHistory, PinInfo, PinLs, PinRm, SizeKind};
use proto_msgs::verb::Part;
use std::io::{self, BufRead, Read};

const COLUMNS: [&str; 15] = [
    "cid",
    "name",
    "type",
    "size",
    "size_kind",
    "codec",
    "kind",
    "first_seen",
    "access_count",
    "last_access",
    "hotness",
    "pattern",
    "tier",
    "tags",
    "note",
];
const TABLE: [&str; 6] = ["cid", "type", "codec", "size", "first_seen", "name"];

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Pin) -> Result<u8, Failure> {
    match verb {
        args::Pin::Ls(options) => ls(ask, out, options),
        args::Pin::History { cid, rows } => {
            let verb = PinHistory { cid, limit: rows.limit, offset: rows.offset };
            history::changes(ask, out, verb, &history::HISTORY, rows)
        }
        args::Pin::Diff { from, to, rows } => {
            let verb = PinDiff { from, to, limit: rows.limit, offset: rows.offset };
            history::changes(ask, out, verb, &history::DIFF, rows)
        }
        args::Pin::Info { cids } => {
            ask.check_age()?;
            let mut dated = false;
            each(ask, out, &cids, |ask, out, cid, state| {
                let info = ask.call(PinInfo { cid })?;
                match out.format {
                    Format::Json => out.document(&info)?,
                    Format::Table => info.pins.iter().try_for_each(|pin| block(out, state, pin))?,
                    _ => info.pins.iter().try_for_each(|pin| show(out, state, pin))?,
                }
                // Once for all of them.
                if std::mem::replace(&mut dated, true) { Ok(()) } else { out.date(info.source, info.as_of.as_deref()) }
            })
        }
        args::Pin::Add { cids, name, direct } => each(ask, out, &cids, |ask, out, cid, state| {
            let verb = PinAdd { cid: cid.clone(), name: name.clone(), direct };
            let mut bar = Bar::new();
            bar.show(&format!("pinning {cid}: …"));
            let added = ask.call_with(verb, |part| {
                if let Part::Progress(progress) = part {
                    let bytes = progress.bytes.map(|bytes| format!(", {}", size(Some(bytes)))).unwrap_or_default();
                    bar.show(&format!("pinning {cid}: {} blocks{bytes}", progress.blocks));
                }
                Ok(())
            });
            bar.clear();
            match (out.format, added?) {
                (Format::Json, added) => out.document(&added),
                (Format::Table, added) => {
                    let name = added.pin.name.as_ref().map(|name| format!(" as {name:?}")).unwrap_or_default();
                    out.line(format!("pinned {} {}{name}", added.pin.cid, added.pin.pin_type.name()))
                }
                (_, added) => show(out, state, &added.pin),
            }
        }),
        args::Pin::Rm { cids } => each(ask, out, &cids, |ask, out, cid, state| {
            let removed = ask.call(PinRm { cid })?;
            match out.format {
                Format::Json | Format::Ndjson => out.answer(&removed),
                Format::Table => out.line(format!("unpinned {}", removed.cid)),
                Format::Cid => out.line(removed.cid),
                Format::Csv => {
                    if std::mem::take(&mut state.header) {
                        out.line("cid,generation")?;
                    }
                    out.csv(&[removed.cid, removed.generation.to_string()])
                }
            }
        }),
        args::Pin::Tag { words } => mark::tag(ask, out, words),
        args::Pin::Note { cid, text } => mark::note(ask, out, cid, text),
        args::Pin::Tier { cid, tier, clear } => mark::tier(ask, out, cid, tier, clear),
    }
}

/// Rows of one command, in its format.
pub(crate) struct State {
    table: Option<Table>,
    columns: Vec<String>,
    pub(crate) header: bool,
}

impl State {
    fn new(format: Format, columns: Option<Vec<String>>, header: bool) -> Result<State, Failure> {
        let columns = output::columns(columns, format, &TABLE, &COLUMNS)?;
        Ok(State { table: None, columns, header })
    }
}

fn show(out: &mut Out, state: &mut State, pin: &Pin) -> Result<(), Failure> {
    match out.format {
        Format::Cid => out.line(&pin.cid),
        Format::Json | Format::Ndjson => out.json(pin),
        Format::Csv => {
            if std::mem::take(&mut state.header) {
                out.csv(&state.columns)?;
            }
            let cells: Vec<String> = state.columns.iter().map(|column| plain(pin, column)).collect();
            out.csv(&cells)
        }
        Format::Table => {
            let cells = state.columns.iter().map(|column| readable(pin, column)).collect();
            let names: Vec<&str> = state.columns.iter().map(String::as_str).collect();
            let header = state.header;
            let table = state.table.get_or_insert_with(|| Table::new(header.then_some(&names[..])));
            table.row(out, cells)
        }
    }
}

/// Everything that is known of one pin, a line each.
fn block(out: &mut Out, state: &mut State, pin: &Pin) -> Result<(), Failure> {
    if !std::mem::take(&mut state.header) {
        out.line("")?;
    }
    let mut table = Table::new(None);
    for column in COLUMNS {
        let cell = match (column, pin.size) {
            ("size", Some(bytes)) => format!("{} ({bytes} bytes)", size(pin.size)),
            _ => readable(pin, column),
        };
        table.row(out, vec![column.replace('_', " "), cell])?;
    }
    table.finish(out)
}

fn ls(ask: &mut Ask, out: &mut Out, options: args::PinLs) -> Result<u8, Failure> {
    let mut state = State::new(out.format, options.columns, !options.no_header)?;
    ask.check_age()?;
    let (sort, descending) = options.sort.map_or((None, false), |(sort, descending)| (Some(sort), descending));
    let verb = PinLs {
        pin_type: options.pin_type,
        name: options.name,
        tag: options.tag,
        tier: options.tier,
        min_size: options.min_size,
        since: options.since.map(|since| since.to_string()),
        limit: options.limit,
        offset: options.offset,
        sort,
        descending,
    };
    let mut document = Document::new("pins");
    let page = ask.call_with(verb, |part| {
        let Part::PinLs(rows) = part else { return Ok(()) };
        for pin in &rows.pins {
            if out.format == Format::Json {
                document.row(out, pin)?;
            } else {
                show(out, &mut state, pin)?;
            }
        }
        out.finish()
    })?;
    if out.format == Format::Json {
        document.end(out, &page)?;
    } else if out.format == Format::Csv && std::mem::take(&mut state.header) {
        out.csv(&state.columns)?;
    }
    if let Some(mut table) = state.table {
        table.finish(out)?;
    }
    if out.format == Format::Table && (page.total == 0 || !page.complete) {
        let which = if page.total == 0 { "no pins" } else { "these are the pins known so far" };
        let why = if page.complete { "" } else { ": no whole listing of Kubo's pins has been applied yet" };
        // Not data, so not on stdout.
        out.finish()?;
        say(&format!("{which}{why}"));
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

/// Does it for each CID, as it comes. All are tried, every failure is named, and the highest of their codes is the exit code.
pub(crate) fn each(
    ask: &mut Ask,
    out: &mut Out,
    cids: &[String],
    mut work: impl FnMut(&mut Ask, &mut Out, String, &mut State) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let mut state = State::new(out.format, None, true)?;
    let several = cids.len() > 1 || cids == ["-"];
    let mut worst = exit::OK;
    for cid in cids.iter().flat_map(|cid| expand(cid)) {
        let cid = cid.map_err(Failure::Input)?;
        match work(ask, out, cid.clone(), &mut state) {
            // Whoever reads along sees each one when it is done.
            Ok(()) => out.finish()?,
            Err(Failure::Client(ClientError::Fault(mut fault))) => {
                if !fault.detail.contains(&cid) {
                    fault.detail = format!("{cid}: {}", fault.detail);
                }
                let failure = Failure::Client(fault.into());
                if !several {
                    return Err(failure);
                }
                failure.show(out.format == Format::Json);
                worst = worst.max(failure.code());
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(worst)
}

/// `-` stands for the lines of standard input.
fn expand(cid: &str) -> Box<dyn Iterator<Item = io::Result<String>>> {
    if cid != "-" {
        return Box::new(std::iter::once(Ok(cid.to_owned())));
    }
    let mut input = io::stdin().lock();
    let lines = std::iter::from_fn(move || line(&mut input).transpose());
    Box::new(lines.filter(|line| !matches!(line, Ok(line) if line.is_empty())))
}

/// The next line; none is longer than the longest CID that anybody writes.
fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    const LONGEST: u64 = 4096;
    let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut line = Vec::new();
    match input.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line)? as u64 {
        0 => Ok(None),
        read if read > LONGEST => Err(wrong("a line of standard input is longer than 4096 bytes, which no CID is")),
        _ => {
            let text = std::str::from_utf8(&line).map_err(|_| wrong("a line of standard input is not UTF-8"))?;
            Ok(Some(text.trim().to_owned()))
        }
    }
}

/// A cell for machines; empty for `null`.
fn plain(pin: &Pin, column: &str) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    match column {
        "cid" => pin.cid.clone(),
        "name" => text(&pin.name),
        "type" => pin.pin_type.name().to_owned(),
        "size" => pin.size.map(|size| size.to_string()).unwrap_or_default(),
        "size_kind" => match pin.size_kind {
            SizeKind::Exact => "exact",
            SizeKind::Estimated => "estimated",
            SizeKind::Unknown => "unknown",
        }
        .to_owned(),
        "codec" => pin.codec.clone(),
        "kind" => match pin.kind {
            Some(ContentKind::File) => "file",
            Some(ContentKind::Directory) => "directory",
            Some(ContentKind::Raw) => "raw",
            Some(ContentKind::Other) => "other",
            None => "",
        }
        .to_owned(),
        "first_seen" => pin.first_seen.clone(),
        "access_count" => pin.access_count.map(|count| count.to_string()).unwrap_or_default(),
        "last_access" => text(&pin.last_access),
        "hotness" => pin.hotness.map(|hotness| hotness.to_string()).unwrap_or_default(),
        "pattern" => text(&pin.pattern),
        "tier" => text(&pin.tier),
        "tags" => pin.tags.join(";"),
        "note" => text(&pin.note),
        _ => String::new(),
    }
}

/// A cell for people; `-` for `null`.
fn readable(pin: &Pin, column: &str) -> String {
    match column {
        "size" if pin.size_kind == SizeKind::Estimated => format!("~{}", size(pin.size)),
        "size" => size(pin.size),
        "first_seen" => ago(&pin.first_seen),
        "last_access" => pin.last_access.as_deref().map_or_else(|| "-".to_owned(), ago),
        column => Some(plain(pin, column)).filter(|cell| !cell.is_empty()).unwrap_or_else(|| "-".to_owned()),
    }
}
