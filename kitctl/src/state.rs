//! `state system`, `state network`, `state storage`, `state files`.

use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{self, Listing, Row, Shape};
use crate::output::{Out, Table, ago};
use crate::parse::since;
use clap::Subcommand;
use jiff::Timestamp;
use proto_msgs::state::{StateAsk, StateFiles, StateNetwork, StateReport, StateRows, StateStorage, StateSystem};
use proto_msgs::verb::{Part, Verb};
use serde::Serialize;
use serde_json::Value;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum State {
    /// Kubo's version, processors and memory, and the machine's
    #[command(after_help = "Example:\n  ipfs-kitctl state system")]
    System(Samples),
    /// Peers and traffic
    #[command(after_help = "Example:\n  ipfs-kitctl state network --history --since 1h -o csv")]
    Network(Samples),
    /// The repo, its disk, pins
    #[command(after_help = "Example:\n  ipfs-kitctl state storage --watch=1m")]
    Storage(Samples),
    /// MFS
    #[command(after_help = "Example:\n  ipfs-kitctl state files")]
    Files(Samples),
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Samples {
    /// The former samples too, newest first
    #[arg(long)]
    pub(crate) history: bool,
    /// Only samples from this time on, such as 48h or 7d (ago), 2026-11-21 (UTC) or 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since, requires = "history")]
    pub(crate) since: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) show: Show,
}

/// What a number means.
#[derive(Clone, Copy)]
enum Reads {
    /// As it is.
    Plain,
    Bytes,
    /// Bytes a second.
    Rate,
    /// Seconds.
    Span,
    Time,
}

pub(crate) const SYSTEM: Shape = all(&[
    "at",
    "kubo_version",
    "kubo_cpu",
    "kubo_memory",
    "kubo_uptime_s",
    "load",
    "memory_total",
    "memory_available",
]);
pub(crate) const NETWORK: Shape = all(&["at", "peers", "bytes_in", "bytes_out", "rate_in", "rate_out"]);
pub(crate) const STORAGE: Shape = all(&["at", "repo_size", "storage_max", "disk_total", "disk_free", "pins"]);
pub(crate) const FILES: Shape = all(&["at", "root", "size", "entries"]);

/// Every column in every table.
const fn all(columns: &'static [&'static str]) -> Shape {
    Shape { all: columns, table: columns, wide: columns }
}

fn reads(column: &str) -> Reads {
    match column {
        "at" => Reads::Time,
        "kubo_uptime_s" => Reads::Span,
        "rate_in" | "rate_out" => Reads::Rate,
        "kubo_memory" | "memory_total" | "memory_available" | "bytes_in" | "bytes_out" => Reads::Bytes,
        "repo_size" | "storage_max" | "disk_total" | "disk_free" | "size" => Reads::Bytes,
        _ => Reads::Plain,
    }
}

/// A sample, and the same as columns.
struct Sample<S> {
    sample: S,
    columns: Value,
}

impl<S: Serialize> Sample<S> {
    fn new(sample: S) -> Sample<S> {
        Sample { columns: serde_json::to_value(&sample).unwrap_or_default(), sample }
    }
}

impl<S: Serialize> Serialize for Sample<S> {
    fn serialize<T: serde::Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        self.sample.serialize(serializer)
    }
}

impl<S: Serialize> Row for Sample<S> {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        cell(column, &self.columns[column])
    }

    fn cid(&self) -> Option<&str> {
        self.columns["root"].as_str()
    }
}

fn cell<'a>(column: &str, value: &'a Value) -> Cell<'a> {
    match (reads(column), value) {
        (_, Value::Null) => Cell::None,
        (Reads::Time, Value::String(at)) => Cell::Time(at.into()),
        (Reads::Bytes, value) => Cell::bytes(value.as_u64()),
        (Reads::Rate, value) => value.as_f64().map_or(Cell::None, Cell::Rate),
        (Reads::Span, value) => value.as_f64().map_or(Cell::None, Cell::Seconds),
        (_, Value::String(text)) => Cell::text(text),
        (_, value) if value.is_u64() => Cell::count(value.as_u64()),
        (_, value) if value.is_f64() => value.as_f64().map_or(Cell::None, Cell::Number),
        (_, other) => Cell::text(other.to_string()),
    }
}

pub(crate) fn run(ask: &mut Ask, out: &mut Out, what: State) -> Result<u8, Failure> {
    match what {
        State::System(of) => show(ask, out, &of, &SYSTEM, StateSystem, |part| match part {
            Part::StateSystem(rows) => Some(rows),
            _ => None,
        }),
        State::Network(of) => show(ask, out, &of, &NETWORK, StateNetwork, |part| match part {
            Part::StateNetwork(rows) => Some(rows),
            _ => None,
        }),
        State::Storage(of) => show(ask, out, &of, &STORAGE, StateStorage, |part| match part {
            Part::StateStorage(rows) => Some(rows),
            _ => None,
        }),
        State::Files(of) => show(ask, out, &of, &FILES, StateFiles, |part| match part {
            Part::StateFiles(rows) => Some(rows),
            _ => None,
        }),
    }
}

fn show<V: Verb<Reply = StateReport<S>>, S: Serialize>(
    ask: &mut Ask,
    out: &mut Out,
    of: &Samples,
    shape: &Shape,
    verb: fn(StateAsk) -> V,
    rows: fn(Part) -> Option<StateRows<S>>,
) -> Result<u8, Failure> {
    let show = &of.show;
    if !of.history && (show.limit.is_some() || show.offset > 0 || show.sort.is_some()) {
        return Err(Failure::Usage("--limit, --offset and --sort are of use with --history alone".to_owned()));
    }
    let mut list = Listing::cut_here(out, shape, show, "samples")?;
    ask.check_age_of_sample(verb(StateAsk::default()))?;
    // In another order the first ones are not those that are wanted.
    let limit = show.limit.filter(|_| show.sort.is_none()).map(|limit| limit.saturating_add(show.offset));
    let verb = verb(StateAsk { history: of.history, since: of.since.map(|at| at.to_string()), limit });
    let mut any = false;
    let mut report = ask.call_with(verb, |part| {
        for sample in rows(part).into_iter().flat_map(|rows| rows.samples) {
            any = true;
            list.row(out, Sample::new(sample))?;
        }
        out.finish()
    })?;
    if out.format == Format::Json && !of.history {
        list::document(out, show, &report, "newest")?;
        return Ok(exit::OK);
    }
    if let Some(newest) = report.newest.take_if(|_| !of.history) {
        any = true;
        match out.format {
            Format::Table => one(out, &Sample::new(newest), show.columns.as_deref(), shape.all)?,
            _ => list.row(out, Sample::new(newest))?,
        }
    }
    // No header over nothing, nor under what has lines.
    if out.format != Format::Table || of.history && any {
        list.end(out, &report)?;
    }
    match &report.as_of {
        _ if any || out.format == Format::Json => {}
        None => out.note(NOTHING)?,
        Some(at) if of.since.is_some() => {
            out.note(&format!("no sample is so new; the newest was taken {}", ago(at)))?
        }
        Some(_) => {}
    }
    Ok(exit::OK)
}

/// The newest sample for people, a line a value.
fn one<S: Serialize>(
    out: &mut Out,
    sample: &Sample<S>,
    asked: Option<&[String]>,
    all: &[&'static str],
) -> Result<(), Failure> {
    let mut table = Table::new(None);
    let names = asked.map_or_else(|| all.to_vec(), |asked| asked.iter().map(String::as_str).collect());
    for name in names {
        let label = name.trim_end_matches("_s").replace('_', " ");
        table.row(out, [label.as_str(), &sample.cell(name, &[]).readable()])?;
    }
    table.finish(out)
}

const NOTHING: &str = "nothing was measured: Kubo is not running, or runs offline";

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};

    /// What a sample measures, in the order of its type.
    fn measured(sample: &impl Serialize) -> Vec<String> {
        let text = serde_json::to_string(sample).expect("JSON");
        let names =
            text.trim_matches(['{', '}']).split(',').filter_map(|field| Some(field.split('"').nth(1)?.to_owned()));
        names.collect()
    }

    #[test]
    fn every_number_that_is_measured_has_a_column() {
        assert_eq!(SYSTEM.all, measured(&SystemState::default()));
        assert_eq!(NETWORK.all, measured(&NetworkState::default()));
        assert_eq!(STORAGE.all, measured(&StorageState::default()));
        assert_eq!(FILES.all, measured(&FilesState::default()));
    }

    #[test]
    fn a_number_is_read_with_its_unit() {
        let read = |column, value: Value| cell(column, &value).readable().into_owned();
        assert_eq!(read("repo_size", Value::Null), "-");
        assert_eq!(read("repo_size", 2048_u64.into()), "2.0 KiB");
        assert_eq!(read("rate_in", 1536.9.into()), "1.5 KiB/s");
        assert_eq!(read("kubo_uptime_s", 125.0.into()), "2m");
        assert_eq!(read("load", 0.126.into()), "0.13");
        assert_eq!(read("peers", 7_u64.into()), "7");
        assert_eq!(read("kubo_version", "0.43.1".into()), "0.43.1");
    }
}
