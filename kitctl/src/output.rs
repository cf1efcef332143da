//! The one home of stdout: formats, aligned columns, sizes and ages as people read them.

use crate::args::Format;
use crate::exit::Failure;
use crate::plot::Canvas;
use jiff::Timestamp;
use proto_msgs::SCHEMA_VERSION;
use proto_msgs::pin::Source;
use serde::Serialize;
use std::borrow::Cow;
use std::cell::RefCell;
use std::env;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use terminal_size::{Width, terminal_size};
use unicode_width::UnicodeWidthStr;

/// Standard output in one format.
pub(crate) struct Out {
    pub(crate) format: Format,
    /// The table with more columns.
    pub(crate) wide: bool,
    stdout: BufWriter<Stdout>,
    terminal: bool,
    /// What is not to be written yet: data, and what is none.
    held: Option<(Vec<u8>, Vec<String>)>,
}

impl Out {
    pub(crate) fn new(format: Format) -> Out {
        let terminal = io::stdout().is_terminal();
        let wide = format == Format::Wide;
        let format = if wide { Format::Table } else { format };
        Out { format, wide, stdout: BufWriter::with_capacity(64 << 10, io::stdout()), terminal, held: None }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// For pictures: as wide as the terminal, 80 places in a pipe; with blocks where the locale has them.
    pub(crate) fn canvas(&self) -> Canvas {
        let width = terminal_size().filter(|_| self.terminal).map_or(80, |(Width(width), _)| usize::from(width));
        Canvas { width: width.clamp(20, 160), blocks: has_blocks(|name| env::var(name).ok()) }
    }

    /// From now on nothing is written.
    pub(crate) fn hold(&mut self) {
        self.held = Some((Vec::new(), Vec::new()));
    }

    /// What would have been written since; from now on everything is.
    pub(crate) fn held(&mut self) -> (String, Vec<String>) {
        let (data, notes) = self.held.take().unwrap_or_default();
        (String::from_utf8_lossy(&data).into_owned(), notes)
    }

    fn sink(&mut self) -> &mut dyn Write {
        match &mut self.held {
            Some((data, _)) => data,
            None => &mut self.stdout,
        }
    }

    /// Writes everything out.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }

    /// Says what is no data, so not on stdout, behind what was written.
    pub(crate) fn note(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.held {
            Some((_, notes)) => notes.push(tame_lines(text)),
            None => {
                self.finish()?;
                say(text);
            }
        }
        Ok(())
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.raw(text.as_ref())?;
        self.raw("\n")
    }

    /// Text as it is.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.sink().write_all(bytes)?)
    }

    /// One JSON document with the schema version in front.
    pub(crate) fn document<T: Serialize>(&mut self, reply: &T) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Document<'a, T> {
            schema_version: u32,
            #[serde(flatten)]
            reply: &'a T,
        }
        self.json(&Document { schema_version: SCHEMA_VERSION, reply })
    }

    /// One JSON value on a line of its own.
    pub(crate) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        if self.terminal {
            self.json_text(&serde_json::to_string(value).map_err(io::Error::from)?)?;
        } else {
            serde_json::to_writer(self.sink(), value).map_err(io::Error::from)?;
        }
        self.line("")
    }

    /// What is JSON already; on a terminal with escapes for what would steer it.
    pub(crate) fn json_text(&mut self, json: &str) -> Result<(), Failure> {
        if self.terminal { self.raw(&tame_json(json)) } else { self.raw(json) }
    }

    /// One row of comma-separated values (RFC 4180); on a terminal without what would steer it.
    pub(crate) fn csv(&mut self, cells: impl IntoIterator<Item = impl AsRef<str>>) -> Result<(), Failure> {
        for (number, cell) in cells.into_iter().enumerate() {
            let cell = if self.terminal { tame(cell.as_ref()) } else { Cow::Borrowed(cell.as_ref()) };
            if number > 0 {
                self.raw(",")?;
            }
            if cell.contains([',', '"', '\n', '\r']) {
                self.raw(&format!("\"{}\"", cell.replace('"', "\"\"")))?;
            } else {
                self.raw(&cell)?;
            }
        }
        self.line("")
    }

    /// A reply that is one thing: a document, or in `ndjson` a line with nothing around it.
    pub(crate) fn answer<T: Serialize>(&mut self, reply: &T) -> Result<(), Failure> {
        if self.format == Format::Json { self.document(reply) } else { self.json(reply) }
    }

    /// Tells people how old an answer is that no running Kubo stands behind; of a snapshot it was said before its first row.
    pub(crate) fn date(&mut self, source: Source, as_of: Option<&str>) -> Result<(), Failure> {
        if self.format == Format::Table && source == Source::Index {
            let age = as_of.map_or_else(|| "of unknown age".to_owned(), |as_of| format!("as of {}", ago(as_of)));
            self.note(&format!("{age}, from the index alone; `ipfs-kitctl status` says why"))?;
        }
        Ok(())
    }
}

/// Says what is no data, so not on stdout.
pub(crate) fn say(text: &str) {
    // That nobody reads it is no failure.
    let _ = writeln!(io::stderr(), "{}", tame_lines(text));
}

/// One JSON document whose rows are written as they come. It is opened with the first row or its end and not before: a call that
/// fails leaves stdout empty.
pub(crate) struct Document {
    before: String,
    rows: bool,
}

impl Document {
    /// With its rows under this name.
    pub(crate) fn new(rows: &str) -> Document {
        Document { before: format!("{{\"schema_version\":{SCHEMA_VERSION},\"{rows}\":["), rows: false }
    }

    /// One row.
    pub(crate) fn row<T: Serialize>(&mut self, out: &mut Out, row: &T) -> Result<(), Failure> {
        self.raw(out, &serde_json::to_string(row).unwrap_or_default())
    }

    /// One row that is JSON already.
    pub(crate) fn raw(&mut self, out: &mut Out, row: &str) -> Result<(), Failure> {
        let before = if std::mem::replace(&mut self.rows, true) { "," } else { &self.before };
        out.json_text(&format!("{before}\n{row}"))
    }

    /// Its end: the fields of what came last.
    pub(crate) fn end<T: Serialize>(self, out: &mut Out, page: &T) -> Result<(), Failure> {
        let page = serde_json::to_string(page).unwrap_or_default();
        let before = if self.rows { "" } else { &self.before };
        // Without the brace that opens them.
        out.json_text(&format!("{before}],{}\n", page.trim_start_matches('{')))
    }
}

/// Whether stderr is a terminal that can write over a line.
fn can_go_back() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// One line on stderr that says how far a long call has come, on a terminal only.
pub(crate) struct Bar {
    shown: bool,
}

impl Bar {
    pub(crate) fn new() -> Bar {
        Bar { shown: false }
    }

    /// In place of what it said before.
    pub(crate) fn show(&mut self, text: &str) {
        if can_go_back() {
            // A line of progress that can't be written is not worth a failure.
            let _ = write!(io::stderr(), "\r\x1b[K{}", tame(text));
            self.shown = true;
        }
    }

    /// Takes it away.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Says on stderr for how long something has been under way, on a terminal only, until it is dropped.
pub(crate) struct Waiting(Option<(mpsc::Sender<()>, JoinHandle<()>)>);

impl Waiting {
    pub(crate) fn new(what: &'static str) -> Waiting {
        if !can_go_back() {
            return Waiting(None);
        }
        let (stop, stopped) = mpsc::channel();
        let began = Instant::now();
        let tell = move || {
            let mut bar = Bar::new();
            while stopped.recv_timeout(Duration::from_millis(500)) == Err(RecvTimeoutError::Timeout) {
                bar.show(&format!("{what} for {}", span(began.elapsed().as_secs_f64())));
            }
            bar.clear();
        };
        Waiting(Some((stop, thread::spawn(tell))))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // It clears its line, and nothing is written before.
            let _ = thread.join();
        }
    }
}

/// Aligned columns without borders. Widths come from the rows of the first page, so that a listing of any length streams;
/// a longer cell further down pushes its own line only.
pub(crate) struct Table {
    page: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    /// The one that is being put together.
    line: String,
}

impl Table {
    const PAGE: usize = 500;

    /// With a header, or without one.
    pub(crate) fn new(header: Option<&[&str]>) -> Table {
        let header = header.map(|names| names.iter().map(|name| name.to_uppercase()).collect());
        Table { page: header.into_iter().collect(), widths: None, line: String::new() }
    }

    /// Adds a row.
    pub(crate) fn row(
        &mut self,
        out: &mut Out,
        cells: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), Failure> {
        match &self.widths {
            Some(widths) => {
                self.line.clear();
                for (cell, column) in cells.into_iter().zip(widths) {
                    put(&mut self.line, &shown(cell.as_ref()), *column);
                }
                out.line(self.line.trim_end())
            }
            None => {
                self.page.push(cells.into_iter().map(|cell| shown(cell.as_ref()).into_owned()).collect());
                if self.page.len() > Table::PAGE { self.finish(out) } else { Ok(()) }
            }
        }
    }

    /// Writes what has been held back.
    pub(crate) fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        if self.widths.is_some() {
            return Ok(());
        }
        let columns = self.page.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.page.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in std::mem::take(&mut self.page) {
            out.line(aligned(&row, &widths))?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, column) in cells.iter().zip(widths) {
        put(&mut line, cell, *column);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Adds a cell, and blanks to the next one.
fn put(line: &mut String, cell: &str, column: usize) {
    const BLANKS: &str = "                                                                ";
    line.push_str(cell);
    let mut blanks = column.saturating_sub(width(cell)) + 2;
    while blanks > 0 {
        let some = blanks.min(BLANKS.len());
        line.push_str(&BLANKS[..some]);
        blanks -= some;
    }
}

/// A cell as a terminal may have it.
fn shown(cell: &str) -> Cow<'_, str> {
    if is_plain(cell) {
        return Cow::Borrowed(cell);
    }
    match tame(cell) {
        cell if cell.contains('\t') => cell.replace('\t', "\\t").into(),
        cell => cell,
    }
}

/// Places that a text takes on a terminal.
fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// What others named, without what a terminal would obey or nobody would see: such characters are shown as escapes.
pub(crate) fn tame(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if steers(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Whether there is nothing in it but what ASCII prints. Nearly all texts are of this kind, and there may be millions.
fn is_plain(text: &str) -> bool {
    // All bytes of them, which a processor looks at by sixteen or more.
    text.bytes().fold(true, |plain, b| plain & matches!(b, b' '..=b'~'))
}

/// The same of each line.
pub(crate) fn tame_lines(text: &str) -> String {
    text.split('\n').map(tame).collect::<Vec<_>>().join("\n")
}

/// The same of JSON, with its own escapes. Such characters stand in its strings alone, but for the ends of lines.
pub(crate) fn tame_json(json: &str) -> Cow<'_, str> {
    let hidden = |c: char| steers(c) && c != '\n';
    if !json.contains(hidden) {
        return Cow::Borrowed(json);
    }
    let mut tamed = String::with_capacity(json.len());
    for c in json.chars() {
        match hidden(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| tamed += &format!("\\u{unit:04x}")),
            false => tamed.push(c),
        }
    }
    Cow::Owned(tamed)
}

/// Control characters but the tab, those that turn the direction of writing, and those that nobody sees: what Unicode calls
/// default-ignorable, and the marks of annotations.
fn steers(c: char) -> bool {
    c.is_control() && c != '\t'
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

thread_local! {
    /// The time that was read last: in a list it is often the same from row to row, and to read it takes longer than all else of its cell.
    static LAST: RefCell<Option<(String, Timestamp)>> = const { RefCell::new(None) };
}

/// Whether what reads our text knows more than ASCII, by its locale: the first of these that says anything.
fn has_blocks(said: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(&said).find(|locale| !locale.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    (locale.contains("utf-8") || locale.contains("utf8")) && said("TERM").is_none_or(|term| term != "dumb")
}

/// `3m ago`, from an RFC 3339 time.
pub(crate) fn ago(time: &str) -> String {
    let at = LAST.with_borrow_mut(|last| match last {
        Some((text, at)) if text == time => Some(*at),
        _ => {
            let at = time.parse().ok()?;
            *last = Some((time.to_owned(), at));
            Some(at)
        }
    });
    let Some(at) = at else { return tame(time).into_owned() };
    span(Timestamp::now().duration_since(at).as_secs_f64()) + " ago"
}

/// `in 3m`, from an RFC 3339 time that may have come by now.
pub(crate) fn due(time: &str) -> String {
    match time.parse::<Timestamp>().map(|at| at.duration_since(Timestamp::now()).as_secs_f64()) {
        Ok(seconds) if seconds > 0.0 => format!("in {}", span(seconds)),
        _ => ago(time),
    }
}

/// `13 %`, `0.4 %`, `<0.1 %`: nothing that is possible is said to be impossible or certain.
pub(crate) fn percent(share: f64) -> String {
    match share {
        s if s > 0.0 && s < 0.001 => "<0.1 %".to_owned(),
        s if s > 0.999 && s < 1.0 => ">99.9 %".to_owned(),
        s if s > 0.0 && s < 0.1 || s > 0.9 && s < 1.0 => format!("{:.1} %", s * 100.0),
        s => format!("{:.0} %", s * 100.0),
    }
}

/// `123`, `1.2`, `0.0012`: of a number that is not negative two digits that matter at least; `<0.0001` below that.
pub(crate) fn few(number: f64) -> String {
    match number {
        0.0 => "0".to_owned(),
        n if n < 0.0001 => "<0.0001".to_owned(),
        n if n < 1.0 => format!("{number:.places$}", places = (1.0 - n.log10().floor()) as usize),
        n if n < 100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// `850ms`, `42s`, `3m`, `5h`, `12d`: one unit, rounded down.
pub(crate) fn span(seconds: f64) -> String {
    let (many, unit) = match seconds.max(0.0) {
        s if s < 1.0 => (s * 1000.0, "ms"),
        s if s < 120.0 => (s, "s"),
        s if s < 7200.0 => (s / 60.0, "m"),
        s if s < 172_800.0 => (s / 3600.0, "h"),
        s => (s / 86400.0, "d"),
    };
    // As a whole number: text of a fraction takes ten times as long.
    (many as u64).to_string() + unit
}

/// `1.4 MiB`.
pub(crate) fn size(bytes: Option<u64>) -> String {
    let Some(bytes) = bytes else { return "-".to_owned() };
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = bytes.checked_ilog2().unwrap_or(0) / 10;
    let name = units[unit as usize];
    if unit == 0 {
        return format!("{bytes} {name}");
    }
    let tenths = (u128::from(bytes) * 10 + (1 << (10 * unit - 1))) >> (10 * unit);
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn spans_and_sizes_read_as_people_say_them() {
        assert_eq!(
            ["850ms", "42s", "3m", "5h", "12d"],
            [0.85, 42.7, 200.0, 18500.0, 1_050_000.0].map(span).map(|s| s.leak() as &str)
        );
        assert_eq!(size(Some(1_468_006)), "1.4 MiB");
        assert_eq!((size(Some(17)), size(None)), ("17 B".to_owned(), "-".to_owned()));
        assert_eq!([0, 1023, 1024, u64::MAX].map(|bytes| size(Some(bytes))), ["0 B", "1023 B", "1.0 KiB", "16.0 EiB"]);
    }

    #[test]
    fn shares_and_small_numbers_keep_the_digits_that_matter() {
        let shares = [0.0, 0.00001, 0.004, 0.128, 0.5, 0.996, 0.99999, 1.0].map(percent);
        assert_eq!(shares, ["0 %", "<0.1 %", "0.4 %", "13 %", "50 %", "99.6 %", ">99.9 %", "100 %"]);
        let numbers = [0.0, 0.00001, 0.00126, 0.126, 1.26, 99.94, 126.4].map(few);
        assert_eq!(numbers, ["0", "<0.0001", "0.0013", "0.13", "1.3", "99.9", "126"]);
    }

    #[test]
    fn what_is_to_come_and_has_come_is_told_apart() {
        let at = |seconds| (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string();
        assert_eq!([due(&at(3700)), due(&at(-130))], ["in 61m", "2m ago"]);
    }

    #[test]
    fn the_locale_says_whether_blocks_can_be_shown() {
        let speaks = |set: &[(&str, &str)]| {
            let said = |name: &str| set.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
            has_blocks(said)
        };
        assert!(speaks(&[("LANG", "de_DE.UTF-8")]) && speaks(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!speaks(&[]) && !speaks(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]));
        assert!(!speaks(&[("LANG", "C.UTF-8"), ("TERM", "dumb")]));
    }

    #[test]
    fn a_name_cannot_give_orders_to_a_terminal() {
        assert_eq!(tame("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(tame("Fotos – ünï 日本"), "Fotos – ünï 日本");
        for hidden in ['\u{61c}', '\u{ad}', '\u{115f}', '\u{202e}', '\u{3164}', '\u{fe0f}', '\u{fff9}', '\u{e0041}'] {
            assert_eq!(tame(&format!("a{hidden}b")), format!("a{}b", hidden.escape_unicode()));
        }
    }

    #[test]
    fn json_on_a_terminal_has_escapes_and_means_the_same() {
        let name = "a\u{202e}b\u{9b}c\u{7f}d\u{e0041}e\nü\\";
        let shown = |terminal| {
            let mut out = Out::new(Format::Json);
            out.terminal = terminal;
            out.hold();
            let mut document = Document::new("names");
            document.row(&mut out, &name).expect("held");
            document.end(&mut out, &serde_json::json!({"total": 1})).expect("held");
            out.json(&name).expect("held");
            out.held().0
        };
        let (screen, pipe) = (shown(true), shown(false));
        assert!(pipe.contains('\u{202e}') && !screen.contains(|c| steers(c) && c != '\n'), "{screen:?}");
        assert!(screen.contains(r#"a\u202eb\u009bc\u007fd\udb40\udc41e\nü\\"#), "{screen}");
        let last = |text: &str| serde_json::from_str::<String>(text.lines().last().expect("a line")).expect("JSON");
        assert_eq!((last(&screen), last(&pipe)), (name.to_owned(), name.to_owned()));
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let rows = [vec!["aé".to_owned(), "b".to_owned()], vec!["日本".to_owned(), "c".to_owned()]];
        let lines: Vec<_> = rows.iter().map(|row| aligned(row, &[4, 1])).collect();
        assert_eq!(lines, ["aé    b", "日本  c"]);
    }
}
