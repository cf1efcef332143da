//! `pin ls`, `info`, `add`, `rm`, and the words of all verbs of pins: rows of pins in every format. A listing is written as its parts
//! arrive and is never held whole; several CIDs are several calls on one connection.

use crate::args::{self, Format, Show};
use crate::ask::Ask;
use crate::bulk;
use crate::cell::Cell;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::history;
use crate::list::{self, Listing, Row, Shape};
use crate::mark;
use crate::output::{Bar, Out, Table, size};
use proto_msgs::pin::{
    BrokenPin, ContentKind, Pin, PinAdd, PinBegin, PinDiff, PinHistory, PinInfo, PinLs, PinRm, PinSort, PinUpdate,
    PinVerify, SizeKind,
};
use proto_msgs::verb::{Part, Verb};
use proto_msgs::{ClientError, FaultKind};
use std::io::{self, BufRead, Read};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const SHAPE: Shape = Shape {
    all: &[
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
    ],
    table: &["cid", "type", "codec", "size", "first_seen", "name"],
    wide: &[
        "cid",
        "type",
        "codec",
        "kind",
        "size",
        "first_seen",
        "access_count",
        "last_access",
        "hotness",
        "pattern",
        "tier",
        "tags",
        "name",
        "note",
    ],
};

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Pin) -> Result<u8, Failure> {
    match verb {
        args::Pin::Ls(options) => ls(ask, out, &options),
        args::Pin::History { cid, show } => {
            let verb = |limit, offset| PinHistory { cid, limit, offset };
            history::changes(ask, out, &show, (&history::HISTORY, "nothing has happened yet"), verb)
        }
        args::Pin::Diff { from, to, show } => {
            let verb = |limit, offset| PinDiff { from, to, limit, offset };
            history::changes(ask, out, &show, (&history::DIFF, "the two generations have the same pins"), verb)
        }
        args::Pin::Info { cids } => info(ask, out, &cids),
        args::Pin::Add { cids, name, direct, detach: true } => begin(ask, out, &cids, name.as_deref(), direct),
        args::Pin::Add { cids, name, direct, detach: false } => add(ask, out, &cids, name.as_deref(), direct),
        args::Pin::Update { from, to, keep } => update(ask, out, PinUpdate { from, to, keep }),
        args::Pin::Verify(show) => verify(ask, out, &show),
        args::Pin::Rm { cids } => rm(ask, out, &cids),
        args::Pin::Tag { words } => mark::tag(ask, out, words),
        args::Pin::Note { cid, text } => mark::note(ask, out, cid, text),
        args::Pin::Tier { cid, tier, clear } => mark::tier(ask, out, cid, tier, clear),
    }
}

fn info(ask: &mut Ask, out: &mut Out, cids: &[String]) -> Result<u8, Failure> {
    ask.check_age()?;
    let mut list = Listing::cut_here(out, &SHAPE, &Show::default(), "pins")?;
    let (mut dated, mut first) = (false, true);
    let code = each(ask, out, cids, |ask, out, cid| {
        let info = ask.call(PinInfo { cid })?;
        match out.format {
            Format::Json => out.document(&info)?,
            Format::Table => info.pins.iter().try_for_each(|pin| block(out, &mut first, pin))?,
            _ => info.pins.into_iter().try_for_each(|pin| list.row(out, pin))?,
        }
        // Once for all of them.
        if std::mem::replace(&mut dated, true) { Ok(()) } else { out.date(info.source, info.as_of.as_deref()) }
    })?;
    Ok(code)
}

fn add(ask: &mut Ask, out: &mut Out, cids: &[String], name: Option<&str>, direct: bool) -> Result<u8, Failure> {
    let mut list = Listing::cut_here(out, &SHAPE, &Show::default(), "pins")?;
    each(ask, out, cids, |ask, out, cid| {
        let verb = PinAdd { cid: cid.clone(), name: name.map(str::to_owned), direct };
        let mut bar = Bar::new();
        bar.show(&format!("pinning {cid}: …"));
        let added = ask.call_with(verb, |part| {
            if let Part::Progress(progress) = part {
                let bytes = progress.bytes.map(|bytes| format!(", {}", size(Some(bytes)))).unwrap_or_default();
                bar.show(&format!("pinning {cid}: {}{bytes}", counted(progress.blocks, "block")));
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
            (_, added) => list.row(out, added.pin),
        }
    })
}

fn begin(ask: &mut Ask, out: &mut Out, cids: &[String], name: Option<&str>, direct: bool) -> Result<u8, Failure> {
    let mut header = true;
    each(ask, out, cids, |ask, out, cid| {
        let verb = PinBegin(PinAdd { cid, name: name.map(str::to_owned), direct });
        let begun = when_there_is_room(ask, verb)?;
        match out.format {
            Format::Json | Format::Ndjson => out.answer(&begun),
            Format::Csv => {
                if std::mem::take(&mut header) {
                    out.line("cid")?;
                }
                out.csv([begun.cid])
            }
            Format::Cid => out.line(begun.cid),
            _ => out.line(format!("pinning {}; `ipfs-kitctl events` tells when it is done", begun.cid)),
        }
    })
}

/// Asks again while the daemon has as much under way as it takes, for `--timeout` at most.
fn when_there_is_room<V: Verb + Clone>(ask: &mut Ask, verb: V) -> Result<V::Reply, Failure> {
    const AGAIN: Duration = Duration::from_millis(100);
    let began = Instant::now();
    let timeout = ask.global().timeout;
    let mut bar = Bar::new();
    let done = loop {
        match ask.call(verb.clone()) {
            Err(Failure::Client(ClientError::Fault(fault)))
                if fault.kind == FaultKind::Busy && timeout.is_none_or(|timeout| began.elapsed() + AGAIN < timeout) =>
            {
                bar.show(&format!("waiting: {}", fault.detail));
                thread::sleep(AGAIN);
            }
            done => break done,
        }
    };
    bar.clear();
    done
}

fn update(ask: &mut Ask, out: &mut Out, verb: PinUpdate) -> Result<u8, Failure> {
    let mut list = Listing::cut_here(out, &SHAPE, &Show::default(), "pins")?;
    let updated = ask.call_slowly(verb, "pinning")?;
    match out.format {
        Format::Json => out.document(&updated)?,
        Format::Table => {
            let rest = if updated.kept { ", which stays pinned" } else { "" };
            out.line(format!("pinned {} in the place of {}{rest}", updated.pin.cid, updated.from))?;
        }
        _ => list.row(out, updated.pin)?,
    }
    Ok(exit::OK)
}

pub(crate) const BROKEN: Shape = Shape { all: &["cid", "blocks"], table: &["cid", "blocks"], wide: &["cid", "blocks"] };

fn verify(ask: &mut Ask, out: &mut Out, show: &Show) -> Result<u8, Failure> {
    list::known(out, &BROKEN, show)?;
    let mut bar = Bar::new();
    let found = ask.call_with(PinVerify {}, |part| {
        if let Part::Progress(progress) = part {
            bar.show(&format!("verified {}", counted(progress.blocks, "pin")));
        }
        Ok(())
    });
    bar.clear();
    let mut found = found?;
    let (pins, broken, shown) = (found.pins, found.broken, found.examples.len() as u64);
    if out.format == Format::Table && broken == 0 {
        out.line(format!(
            "{} verified, each with all of its blocks that have links; Kubo does not look for raw ones",
            counted(pins, "pin")
        ))?;
        return Ok(exit::OK);
    }
    list::whole(out, &BROKEN, show, &mut found, ("examples", |found| &mut found.examples))?;
    if broken > shown && out.format != Format::Json {
        out.note(&format!("{} more than these", counted(broken - shown, "broken pin")))?;
    }
    Ok(if broken == 0 { exit::OK } else { exit::FAILED })
}

impl Row for BrokenPin {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "blocks" => {
                let blocks = self.blocks.iter().map(|block| format!("{}: {}", block.cid, block.error));
                Cell::text(blocks.collect::<Vec<_>>().join("; "))
            }
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

fn rm(ask: &mut Ask, out: &mut Out, cids: &[String]) -> Result<u8, Failure> {
    let mut header = true;
    each(ask, out, cids, |ask, out, cid| {
        let removed = ask.call(PinRm { cid })?;
        match out.format {
            Format::Json | Format::Ndjson => out.answer(&removed),
            Format::Cid => out.line(removed.cid),
            Format::Csv => {
                if std::mem::take(&mut header) {
                    out.line("cid,generation")?;
                }
                out.csv([removed.cid, removed.generation.to_string()])
            }
            _ if removed.given_up => {
                out.line(format!("unpinned {}: its pin that was under way is given up", removed.cid))
            }
            _ => out.line(format!("unpinned {}", removed.cid)),
        }
    })
}

/// Everything that is known of one pin, a line each.
fn block(out: &mut Out, first: &mut bool, pin: &Pin) -> Result<(), Failure> {
    if !std::mem::take(first) {
        out.line("")?;
    }
    let mut table = Table::new(None);
    for column in SHAPE.all {
        let cell = match (*column, pin.size) {
            ("size", Some(bytes)) => format!("{} ({bytes} bytes)", size(pin.size)).into(),
            _ => pin.cell(column, &[]).readable(),
        };
        table.row(out, [column.replace('_', " ").into(), cell])?;
    }
    table.finish(out)
}

/// The columns that the daemon sorts by itself.
fn sort_key(column: &str) -> Option<PinSort> {
    Some(match column {
        "cid" => PinSort::Cid,
        "name" => PinSort::Name,
        "type" => PinSort::Type,
        "codec" => PinSort::Codec,
        "size" => PinSort::Size,
        "first_seen" => PinSort::FirstSeen,
        _ => return None,
    })
}

/// What the options ask for; an order that the daemon does not have is left out.
pub(crate) fn asked(options: &args::PinLs, limit: Option<u64>, offset: u64) -> PinLs {
    let sort = options.show.sort.as_ref().and_then(|(key, descending)| Some((sort_key(key)?, *descending)));
    PinLs {
        pin_type: options.pin_type,
        name: options.name.clone(),
        tag: options.tag.clone(),
        tier: options.tier.clone(),
        min_size: options.min_size,
        since: options.since.map(|since| since.to_string()),
        limit,
        offset,
        sort: sort.map(|(key, _)| key),
        descending: sort.is_some_and(|(_, descending)| descending),
        ..PinLs::default()
    }
}

fn ls(ask: &mut Ask, out: &mut Out, options: &args::PinLs) -> Result<u8, Failure> {
    let show = &options.show;
    if out.format.bulk().is_some() {
        return bulk::pins(ask, out, options);
    }
    let (mut list, (limit, offset)) = Listing::cut_there(out, &SHAPE, show, "pins", |key| sort_key(key).is_some())?;
    ask.check_age()?;
    let page = ask.call_with(asked(options, limit, offset), |part| {
        let Part::PinLs(rows) = part else { return Ok(()) };
        rows.pins.into_iter().try_for_each(|pin| list.row(out, pin))?;
        out.finish()
    })?;
    if out.format == Format::Table && page.total == 0 {
        // No header over nothing.
    } else {
        list.end(out, &page)?;
    }
    if out.format == Format::Table && (page.total == 0 || !page.complete) {
        let which = if page.total == 0 { "no pins" } else { "these are the pins known so far" };
        let why = if page.complete { "" } else { ": no whole listing of Kubo's pins has been applied yet" };
        out.note(&format!("{which}{why}"))?;
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

/// Does it for each CID, as it comes. All are tried, every failure is named, and the highest of their codes is the exit code.
pub(crate) fn each(
    ask: &mut Ask,
    out: &mut Out,
    cids: &[String],
    mut work: impl FnMut(&mut Ask, &mut Out, String) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    let several = cids.len() > 1 || cids == ["-"];
    let mut worst = exit::OK;
    for cid in cids.iter().flat_map(|cid| expand(cid)) {
        let cid = cid.map_err(Failure::Input)?;
        match work(ask, out, cid.clone()) {
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
                failure.show(out.format.is_json());
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

impl Row for Pin {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "cid" => Cell::text(&self.cid),
            "name" => Cell::maybe(self.name.as_deref()),
            "type" => Cell::text(self.pin_type.name()),
            "size" if self.size_kind == SizeKind::Estimated => self.size.map_or(Cell::None, Cell::About),
            "size" => Cell::bytes(self.size),
            "size_kind" => Cell::text(size_kind(self.size_kind)),
            "codec" => Cell::text(&self.codec),
            "kind" => Cell::maybe(self.kind.map(kind)),
            "first_seen" => Cell::time(Some(&self.first_seen)),
            "access_count" => Cell::count(self.access_count),
            "last_access" => Cell::time(self.last_access.as_deref()),
            "hotness" => Cell::few(self.hotness),
            "pattern" => Cell::maybe(self.pattern.as_deref()),
            "tier" => Cell::maybe(self.tier.as_deref()),
            "tags" => Cell::text(self.tags.join(";")),
            "note" => Cell::maybe(self.note.as_deref()),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}

/// How well a size is known, in a word.
pub(crate) fn size_kind(kind: SizeKind) -> &'static str {
    match kind {
        SizeKind::Exact => "exact",
        SizeKind::Estimated => "estimated",
        SizeKind::Unknown => "unknown",
    }
}

/// What a CID is the root of, in a word.
pub(crate) fn kind(kind: ContentKind) -> &'static str {
    match kind {
        ContentKind::File => "file",
        ContentKind::Directory => "directory",
        ContentKind::Raw => "raw",
        ContentKind::Other => "other",
    }
}
