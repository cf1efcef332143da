//! `access import`: reads logs of web servers, also compressed ones, and has the daemon take what it does not know of them.
//!
//! A log is known by its first line, and the daemon says how far: so a log can be imported again and again, while it grows, after it
//! was rotated, and beside the daemon that follows it.

use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{self, Row, Shape};
use crate::output::{Bar, Out, size, tame};
use flate2::bufread::MultiGzDecoder;
use proto_msgs::access::{AccessImport, AccessImported, AccessSeen};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of lines in one call: escaped they have to fit into a request.
const BYTES: usize = 128 << 10;
/// Bytes of a first line by which a log is known.
const FIRST: u64 = 256 << 10;

pub(crate) const FILES: Shape = Shape {
    all: &["file", "taken", "others", "wrong", "passed", "first_wrong"],
    table: &["file", "taken", "others", "wrong", "passed"],
    wide: &["file", "taken", "others", "wrong", "passed", "first_wrong"],
};

/// What came of all files.
#[derive(Serialize)]
struct Imported {
    files: Vec<Outcome>,
}

/// What came of one.
#[derive(Serialize, Default)]
struct Outcome {
    file: String,
    /// Accesses that were taken.
    taken: u64,
    /// Lines about something else.
    others: u64,
    /// Lines that could not be understood.
    wrong: u64,
    /// Bytes that the daemon knew already.
    passed: u64,
    first_wrong: Option<String>,
}

/// Imports files one after the other; `-` is standard input.
pub(crate) fn run(ask: &mut Ask, out: &mut Out, files: &[PathBuf], show: &Show) -> Result<u8, Failure> {
    list::known(out, &FILES, show)?;
    let mut imported = Imported { files: Vec::new() };
    let mut bar = Bar::new();
    let mut failed = Ok(());
    for file in files {
        let mut outcome = Outcome::default();
        failed = import(ask, file, &mut bar, &mut outcome);
        bar.clear();
        // Of one that fails it is told what was taken before.
        if failed.is_ok() || outcome.taken > 0 {
            imported.files.push(outcome);
        }
        if failed.is_err() {
            break;
        }
    }
    if imported.files.is_empty() {
        return failed.map(|()| exit::OK);
    }
    let understood = |file: &Outcome| file.wrong == 0 || file.taken + file.others > 0;
    let first_wrong = |file: &Outcome| file.first_wrong.clone().map(|line| (file.file.clone(), line));
    let code = if imported.files.iter().all(understood) { exit::OK } else { exit::FAILED };
    let wrong: Vec<(String, String)> = imported.files.iter().filter_map(first_wrong).collect();
    list::whole(out, &FILES, show, &mut imported, ("files", |imported| &mut imported.files))?;
    if out.format == Format::Table {
        for (file, line) in wrong {
            out.note(&tame(&format!("{file}: the first line that was not understood: {line}")))?;
        }
    }
    failed.map(|()| code)
}

impl Row for Outcome {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "file" => Cell::text(&self.file),
            "taken" => Cell::Count(self.taken),
            "others" => Cell::Count(self.others),
            "wrong" => Cell::Count(self.wrong),
            "passed" => Cell::Bytes(self.passed),
            "first_wrong" => Cell::maybe(self.first_wrong.as_deref()),
            _ => Cell::None,
        }
    }
}

/// Where lines come from.
enum Source {
    Plain(BufReader<File>),
    /// Standard input, and what is compressed: it can only be read on.
    Stream(Box<dyn BufRead>),
}

impl Source {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Source::Plain(file) => file,
            Source::Stream(stream) => stream,
        }
    }
}

fn open(file: &Path) -> io::Result<Source> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let mut input: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let mut plain = BufReader::new(File::open(file)?);
        let packed = plain.fill_buf()?.starts_with(&GZIP);
        let regular = plain.get_ref().metadata()?.is_file();
        if regular && !packed {
            return Ok(Source::Plain(plain));
        }
        Box::new(plain)
    };
    let packed = input.fill_buf()?.starts_with(&GZIP);
    // Of several files in one, as `cat` makes it of them, all are read.
    Ok(Source::Stream(if packed { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { input }))
}

fn import(ask: &mut Ask, file: &Path, bar: &mut Bar, outcome: &mut Outcome) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Unread(file.to_owned(), error);
    outcome.file = if file.as_os_str() == "-" { "standard input".to_owned() } else { file.display().to_string() };
    let short = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().replace(char::is_control, "_");
    let by = if file.as_os_str() == "-" { "stdin" } else { &short[..short.floor_char_boundary(AccessSeen::WORD)] };
    let mut source = open(file).map_err(failed)?;

    let mut first = Vec::new();
    source.reader().take(FIRST).read_until(b'\n', &mut first).map_err(failed)?;
    if first.last() != Some(&b'\n') {
        return match first.len() as u64 {
            FIRST => Err(failed(io::Error::other("its first line is too long for a log of a web server"))),
            // There is no line in it yet.
            _ => Ok(()),
        };
    }
    let digest = Sha256::digest(&first).iter().fold(String::new(), |mut text, byte| {
        // A String takes all.
        let _ = write!(text, "{byte:02x}");
        text
    });
    let mut batch = AccessImport { log: digest, by: by.to_owned(), from: 0, lines: Vec::new() };
    let known = ask.call(batch.clone())?.known;
    outcome.passed = known;

    // From here on `at` is where the next line begins.
    let (mut at, mut first) = (0, Some(first));
    if known >= first.as_ref().map_or(0, Vec::len) as u64 {
        at = pass(&mut source, first.take().map_or(0, |first| first.len() as u64), known).map_err(failed)?;
    }
    batch.from = at;
    let mut bytes = 0;
    loop {
        let line = match first.take() {
            Some(line) => Line::Whole(line),
            None => next(source.reader()).map_err(failed)?,
        };
        let (length, line) = match line {
            // What has no end yet is for the next time.
            Line::End => break,
            Line::Long(length) => (length, None),
            Line::Whole(line) if line.len() > AccessImport::LINE => (line.len() as u64, None),
            Line::Whole(line) => (line.len() as u64, Some(text(&line))),
        };
        let full = batch.lines.len() == AccessImport::MAX || bytes + length as usize > BYTES;
        if full || line.is_none() {
            send(ask, &mut batch, outcome)?;
            (batch.from, bytes) = (at, 0);
            bar.show(&format!("{}: {} read, {} accesses", outcome.file, size(Some(at)), outcome.taken));
        }
        at += length;
        match line {
            Some(line) => {
                bytes += line.len();
                batch.lines.push(line);
            }
            None => {
                outcome.wrong += 1;
                batch.from = at;
            }
        }
    }
    send(ask, &mut batch, outcome)
}

fn send(ask: &mut Ask, batch: &mut AccessImport, outcome: &mut Outcome) -> Result<(), Failure> {
    if batch.lines.is_empty() {
        return Ok(());
    }
    let AccessImported { taken, others, wrong, first_wrong, .. } = ask.call(batch.clone())?;
    batch.lines.clear();
    outcome.taken += taken;
    outcome.others += others;
    outcome.wrong += wrong;
    if outcome.first_wrong.is_none() {
        outcome.first_wrong = first_wrong;
    }
    Ok(())
}

/// Goes on to what is not known, where it is; nearer, when there is less.
fn pass(source: &mut Source, at: u64, known: u64) -> io::Result<u64> {
    match source {
        Source::Plain(file) => {
            let end = file.get_ref().metadata()?.len();
            file.seek(SeekFrom::Start(known.min(end)))
        }
        Source::Stream(stream) => Ok(at + io::copy(&mut stream.take(known - at), &mut io::sink())?),
    }
}

/// What comes next.
enum Line {
    /// With its end.
    Whole(Vec<u8>),
    /// One of this length that is too long to be read.
    Long(u64),
    /// Nothing, or a line without an end.
    End,
}

fn next(input: &mut dyn BufRead) -> io::Result<Line> {
    let mut line = Vec::new();
    input.take(AccessImport::LINE as u64 + 1).read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        return Ok(Line::Whole(line));
    }
    if line.len() <= AccessImport::LINE {
        return Ok(Line::End);
    }
    let mut length = line.len() as u64;
    loop {
        let some = input.fill_buf()?;
        if some.is_empty() {
            return Ok(Line::End);
        }
        let end = some.iter().position(|byte| *byte == b'\n');
        let read = end.map_or(some.len(), |end| end + 1);
        input.consume(read);
        length += read as u64;
        if end.is_some() {
            return Ok(Line::Long(length));
        }
    }
}

/// As text of as many bytes, without its end: where it is none, a question mark stands for each byte, since places in a log are counted
/// in bytes.
fn text(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for chunk in line[..line.len() - 1].utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_and_what_is_too_long_is_measured() {
        let long = "x".repeat(3 * AccessImport::LINE);
        let log = format!("one\n{long}\n\ntwo\nthr");
        let mut input = io::Cursor::new(log.into_bytes());
        let mut told = Vec::new();
        loop {
            match next(&mut input).expect("memory") {
                Line::Whole(line) => told.push(text(&line)),
                Line::Long(length) => told.push(length.to_string()),
                Line::End => break,
            }
        }
        assert_eq!(told, ["one", &(long.len() + 1).to_string(), "", "two"]);
    }

    #[test]
    fn what_is_no_text_keeps_its_length() {
        assert_eq!(text(b"a\xff\xfe\xe2\x82b\xc3\xbc\n"), "a????bü");
    }
}
