//! `sql`: a hidden mode of `ipfs-kitd` runs the query as the caller, over the newest good snapshot, and ends with it. Its rows come as
//! texts and are shown here; the other forms are passed on.

use crate::args::{Format, Sql};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::offline::{self, introduce};
use crate::output::{Document, Out, Table};
use crate::process;
use proto_msgs::bulk::Bulk;
use proto_msgs::snapshot::SnapshotAt;
use proto_msgs::{ClientError, Fault, FaultKind};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The first argument of that mode.
const MODE: &str = "__sql";
/// Bytes of a query.
const TEXT: u64 = 64 << 10;
/// With less DuckDB can do nothing.
const LEAST_MEMORY: u64 = 64 << 20;
/// A query's time where nobody says another.
const TIME: Duration = Duration::from_secs(30);

/// What comes before the rows.
#[derive(Deserialize)]
struct Head {
    at: SnapshotAt,
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    /// Whether its texts are JSON as they are.
    json: bool,
}

/// What comes behind them.
#[derive(Deserialize)]
struct End {
    cut: bool,
}

/// The fields of a document behind its rows.
#[derive(Serialize)]
struct Page<'a> {
    columns: Vec<&'a str>,
    cut: bool,
    snapshot: &'a str,
    generation: u64,
    as_of: Option<&'a str>,
    complete: bool,
}

type Row = Vec<Option<String>>;

pub(crate) fn run(ask: &Ask, out: &mut Out, options: &Sql) -> Result<u8, Failure> {
    if options.memory < LEAST_MEMORY {
        return Err(Failure::Usage("a query needs --memory of 64MiB or more".to_owned()));
    }
    let query = query(&options.query)?;
    let time = ask.global().timeout.unwrap_or(TIME);
    let (child, answer) = start(ask, out, options, time, &query)?;
    let (stop, stopped) = mpsc::channel();
    let waiting = thread::spawn(move || wait(child, &stopped, time));
    let shown = Shown::begin(answer, ask, out, options).and_then(|mut shown| {
        shown.rows(out)?;
        Ok(shown)
    });
    if shown.is_err() {
        // Nobody wants the rest.
        let _ = stop.send(());
    }
    drop(stop);
    let ended = waiting.join().unwrap_or_else(|_| Err(io::Error::other("a defect of this program")));
    let (late, output) = ended.map_err(|error| failed(format!("cannot learn how the query ended: {error}")))?;
    if late {
        return Err(Failure::Late(time));
    }
    shown?.end(out, judge(&output)?, options)?;
    Ok(exit::OK)
}

fn query(words: &str) -> Result<String, Failure> {
    let mut query = String::new();
    match words {
        "-" => drop(io::stdin().take(TEXT + 1).read_to_string(&mut query).map_err(Failure::Input)?),
        words => query.push_str(words),
    }
    if query.len() as u64 > TEXT {
        return Err(Failure::Usage("a query has at most 64 KiB".to_owned()));
    }
    Ok(query)
}

/// With the query on its way: a pipe takes so much at once.
fn start(ask: &Ask, out: &Out, options: &Sql, time: Duration, query: &str) -> Result<(Child, ChildStdout), Failure> {
    let form = match out.format.bulk() {
        Some(Bulk::Arrow) => "arrow",
        Some(Bulk::Parquet) => "parquet",
        None => "rows",
    };
    // One thread of it works, so processor time is no more than time.
    let seconds = time.as_secs().saturating_add(2);
    let numbers = [options.limit, options.memory, seconds].map(|number| number.to_string());
    let mut child = process::daemon(|command| {
        command.arg(MODE).arg(form).args(&numbers).args(ask.global().data_dir.as_deref());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(())
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // Where it has ended already, it says why.
        let _ = stdin.write_all(query.as_bytes());
    }
    let answer = child.stdout.take().ok_or_else(|| failed("its output is missing".to_owned()))?;
    Ok((child, answer))
}

/// How it ends: by itself, or killed, when its time is over or it is to stop; whether it was late.
fn wait(mut child: Child, stopped: &mpsc::Receiver<()>, time: Duration) -> io::Result<(bool, Output)> {
    let end = stopped.recv_timeout(time);
    if end != Err(RecvTimeoutError::Disconnected) {
        child.kill()?;
    }
    Ok((end == Err(RecvTimeoutError::Timeout), child.wait_with_output()?))
}

/// Whether it went well, and whether rows were left out.
fn judge(output: &Output) -> Result<End, Failure> {
    let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    match output.status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(exit::OK) => serde_json::from_str(&said).map_err(|_| failed(format!("it ended without a word: {said}"))),
        Some(exit::USAGE) => {
            let hint = "docs/DATA.md explains tables and columns; `ipfs-kitctl sql 'SHOW TABLES'` lists them";
            Err(fault(Fault::new(FaultKind::Invalid, said).hint(hint)))
        }
        Some(code) if offline::nothing_to_read(&code) => Err(Failure::Offline(code, said)),
        Some(exit::FAILED) if !said.contains("Out of Memory") => Err(failed(said)),
        Some(exit::FAILED) => Err(fault(Fault::new(FaultKind::Internal, said).hint(MEMORY))),
        _ => {
            let detail = format!("the query ended its process ({}); nothing else was harmed", output.status);
            Err(fault(Fault::new(FaultKind::Internal, detail).hint(MEMORY)))
        }
    }
}

const MEMORY: &str = "ask for less, or give it more memory with --memory";

fn failed(detail: String) -> Failure {
    fault(Fault::new(FaultKind::Internal, detail))
}

fn fault(fault: Fault) -> Failure {
    Failure::Client(ClientError::Fault(fault))
}

/// An answer on its way out; `None`: there was none.
struct Shown {
    answer: BufReader<ChildStdout>,
    head: Option<Head>,
    table: Table,
    document: Document,
}

impl Shown {
    fn begin(answer: ChildStdout, ask: &Ask, out: &mut Out, options: &Sql) -> Result<Shown, Failure> {
        let mut answer = BufReader::with_capacity(64 << 10, answer);
        let head: Option<Head> = line(&mut answer)?;
        let columns = head.as_ref().map(Head::names).unwrap_or_default();
        if let Some(head) = &head {
            ask.check_snapshot(head.at.manifest.as_of.as_deref())?;
            introduce(&head.at, out.format);
            if out.format == Format::Csv && !options.no_header {
                out.csv(&columns)?;
            }
        }
        let table = Table::new((!options.no_header).then_some(&columns[..]));
        Ok(Shown { answer, head, table, document: Document::new("rows") })
    }

    /// All that come.
    fn rows(&mut self, out: &mut Out) -> Result<(), Failure> {
        let Some(head) = &self.head else { return Ok(()) };
        if out.format.bulk().is_some() {
            let mut bytes = vec![0; 64 << 10];
            loop {
                match self.answer.read(&mut bytes).map_err(unread)? {
                    0 => return Ok(()),
                    read => out.bytes(&bytes[..read])?,
                }
            }
        }
        while let Some(row) = line::<Row>(&mut self.answer)? {
            let cells = || row.iter().map(|cell| Cell::maybe(cell.as_deref()));
            match out.format {
                Format::Json => self.document.raw(out, &head.object(&row))?,
                Format::Ndjson => out.json_text(&(head.object(&row) + "\n"))?,
                Format::Csv => out.csv(cells().map(Cell::plain))?,
                _ => self.table.row(out, cells().map(Cell::readable))?,
            }
        }
        Ok(())
    }

    fn end(mut self, out: &mut Out, end: End, options: &Sql) -> Result<(), Failure> {
        let Some(head) = &self.head else { return Err(failed("it ended without an answer".to_owned())) };
        match out.format {
            Format::Table => self.table.finish(out)?,
            Format::Json => {
                let manifest = &head.at.manifest;
                let page = Page {
                    columns: head.names(),
                    cut: end.cut,
                    snapshot: &manifest.name,
                    generation: manifest.generation,
                    as_of: manifest.as_of.as_deref(),
                    complete: manifest.complete,
                };
                self.document.end(out, &page)?;
            }
            _ => {}
        }
        match end.cut {
            true => {
                let (are, rows) = (if options.limit == 1 { "is" } else { "are" }, counted(options.limit, "row"));
                out.note(&format!("there {are} more than {rows}; --limit says how many are wanted"))
            }
            false => Ok(()),
        }
    }
}

impl Head {
    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    fn object(&self, row: &Row) -> String {
        let mut object = String::new();
        for (column, cell) in self.columns.iter().zip(row) {
            let quoted = |text: &str| serde_json::Value::from(text).to_string();
            let value = match cell.as_deref() {
                None => "null".to_owned(),
                Some("NaN" | "inf" | "-inf") if column.json => "null".to_owned(),
                Some(text) if column.json => text.to_owned(),
                Some(text) => quoted(text),
            };
            let before = if object.is_empty() { '{' } else { ',' };
            object += &format!("{before}{}:{value}", quoted(&column.name));
        }
        object.push('}');
        object
    }
}

/// The next line; `None` at the end, be it in the middle of one: the process says on stderr how it ended.
fn line<T: for<'a> Deserialize<'a>>(from: &mut BufReader<ChildStdout>) -> Result<Option<T>, Failure> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).map_err(unread)?;
    if !line.ends_with(b"\n") {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| failed(format!("its answer is not understood: {error}")))
}

fn unread(error: io::Error) -> Failure {
    failed(format!("cannot read its answer: {error}"))
}
