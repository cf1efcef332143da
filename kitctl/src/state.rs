//! `state system`, `state network`, `state storage`, `state files`.

use crate::args::Format;
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Document, Out, Table, ago, say, size, span};
use crate::parse::since;
use clap::Subcommand;
use jiff::Timestamp;
use proto_msgs::state::{StateAsk, StateFiles, StateNetwork, StateReport, StateRows, StateStorage, StateSystem};
use proto_msgs::verb::{Part, Verb};
use serde::Serialize;
use serde_json::Value;

#[derive(Subcommand, Debug)]
pub(crate) enum State {
    /// Kubo's version, processors and memory, and the machine's
    System(Samples),
    /// Peers and traffic
    Network(Samples),
    /// The repo, its disk, pins
    Storage(Samples),
    /// MFS
    Files(Samples),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Samples {
    /// The former samples too, newest first
    #[arg(long)]
    pub(crate) history: bool,
    /// Only samples from this time on, such as 48h or 7d (ago), 2026-11-21 (UTC) or 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since, requires = "history")]
    pub(crate) since: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", requires = "history")]
    pub(crate) limit: Option<u64>,
}

/// How people read a value.
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

type Columns = &'static [(&'static str, Reads)];

const SYSTEM: Columns = &[
    ("kubo_version", Reads::Plain),
    ("kubo_cpu", Reads::Plain),
    ("kubo_memory", Reads::Bytes),
    ("kubo_uptime_s", Reads::Span),
    ("load", Reads::Plain),
    ("memory_total", Reads::Bytes),
    ("memory_available", Reads::Bytes),
];
const NETWORK: Columns = &[
    ("peers", Reads::Plain),
    ("bytes_in", Reads::Bytes),
    ("bytes_out", Reads::Bytes),
    ("rate_in", Reads::Rate),
    ("rate_out", Reads::Rate),
];
const STORAGE: Columns = &[
    ("repo_size", Reads::Bytes),
    ("storage_max", Reads::Bytes),
    ("disk_total", Reads::Bytes),
    ("disk_free", Reads::Bytes),
    ("pins", Reads::Plain),
];
const FILES: Columns = &[("root", Reads::Plain), ("size", Reads::Bytes), ("entries", Reads::Plain)];

pub(crate) fn run(ask: &mut Ask, out: &mut Out, what: State) -> Result<u8, Failure> {
    match what {
        State::System(of) => show(ask, out, &of, SYSTEM, StateSystem, |part| match part {
            Part::StateSystem(rows) => Some(rows),
            _ => None,
        }),
        State::Network(of) => show(ask, out, &of, NETWORK, StateNetwork, |part| match part {
            Part::StateNetwork(rows) => Some(rows),
            _ => None,
        }),
        State::Storage(of) => show(ask, out, &of, STORAGE, StateStorage, |part| match part {
            Part::StateStorage(rows) => Some(rows),
            _ => None,
        }),
        State::Files(of) => show(ask, out, &of, FILES, StateFiles, |part| match part {
            Part::StateFiles(rows) => Some(rows),
            _ => None,
        }),
    }
}

fn show<V: Verb<Reply = StateReport<S>>, S: Serialize>(
    ask: &mut Ask,
    out: &mut Out,
    of: &Samples,
    columns: Columns,
    verb: fn(StateAsk) -> V,
    rows: fn(Part) -> Option<StateRows<S>>,
) -> Result<u8, Failure> {
    ask.check_age_of_sample(verb(StateAsk::default()))?;
    let verb = verb(StateAsk { history: of.history, since: of.since.map(|at| at.to_string()), limit: of.limit });
    if of.history {
        return history(ask, out, of, columns, verb, rows);
    }
    let report = ask.call(verb)?;
    match (out.format, &report.newest) {
        (Format::Json, _) => out.document(&report)?,
        (Format::Csv, newest) => {
            header(out, columns)?;
            newest.iter().try_for_each(|sample| csv(out, columns, sample))?;
        }
        (Format::Table, Some(sample)) => {
            let (value, mut table) = (json(sample), Table::new(None));
            for (name, reads) in [("at", Reads::Time)].iter().chain(columns) {
                let label = name.trim_end_matches("_s").replace('_', " ");
                table.row(out, vec![label, readable(&value[name], *reads)])?;
            }
            table.finish(out)?;
        }
        (_, Some(sample)) => out.json(sample)?,
        (_, None) => {}
    }
    if report.newest.is_none() && out.format != Format::Json {
        out.finish()?;
        say(NOTHING);
    }
    Ok(exit::OK)
}

fn history<V: Verb<Reply = StateReport<S>>, S: Serialize>(
    ask: &mut Ask,
    out: &mut Out,
    of: &Samples,
    columns: Columns,
    verb: V,
    rows: fn(Part) -> Option<StateRows<S>>,
) -> Result<u8, Failure> {
    let names: Vec<_> = std::iter::once("at").chain(columns.iter().map(|(name, _)| *name)).collect();
    let (mut document, mut table, mut any) = (Document::new("samples"), Table::new(Some(&names)), false);
    let report = ask.call_with(verb, |part| {
        for sample in rows(part).into_iter().flat_map(|rows| rows.samples) {
            match out.format {
                Format::Json => document.row(out, &sample)?,
                Format::Csv if any => csv(out, columns, &sample)?,
                Format::Csv => {
                    header(out, columns)?;
                    csv(out, columns, &sample)?;
                }
                Format::Table => {
                    let value = json(&sample);
                    let cells = columns.iter().map(|(name, reads)| readable(&value[name], *reads));
                    table.row(out, std::iter::once(readable(&value["at"], Reads::Time)).chain(cells).collect())?;
                }
                _ => out.json(&sample)?,
            }
            any = true;
        }
        out.finish()
    })?;
    match out.format {
        Format::Json => document.end(out, &report)?,
        Format::Csv if !any => header(out, columns)?,
        Format::Table if any => table.finish(out)?,
        _ => {}
    }
    if !any && out.format != Format::Json {
        out.finish()?;
        match &report.as_of {
            None => say(NOTHING),
            Some(at) if of.since.is_some() => say(&format!("no sample is so new; the newest was taken {}", ago(at))),
            Some(_) => {}
        }
    }
    Ok(exit::OK)
}

const NOTHING: &str = "nothing was measured: Kubo is not running, or runs offline";

fn json(sample: &impl Serialize) -> Value {
    serde_json::to_value(sample).unwrap_or_default()
}

fn header(out: &mut Out, columns: Columns) -> Result<(), Failure> {
    let names = std::iter::once("at").chain(columns.iter().map(|(name, _)| *name));
    out.csv(&names.map(str::to_owned).collect::<Vec<_>>())
}

/// Cells for machines; empty for `null`.
fn csv(out: &mut Out, columns: Columns, sample: &impl Serialize) -> Result<(), Failure> {
    let value = json(sample);
    let cell = |name| match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cells = std::iter::once("at").chain(columns.iter().map(|(name, _)| *name)).map(cell);
    out.csv(&cells.collect::<Vec<_>>())
}

/// A cell for people; `-` for `null`.
fn readable(value: &Value, reads: Reads) -> String {
    match (reads, value) {
        (_, Value::Null) => "-".to_owned(),
        (Reads::Time, Value::String(at)) => ago(at),
        (Reads::Bytes, value) => size(value.as_u64()),
        (Reads::Rate, value) => format!("{}/s", size(value.as_f64().map(|rate| rate as u64))),
        (Reads::Span, value) => value.as_f64().map(span).unwrap_or_default(),
        (_, Value::String(text)) => text.clone(),
        (_, value) if value.is_f64() => format!("{:.2}", value.as_f64().unwrap_or_default()),
        (_, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::state::{FilesState, NetworkState, StorageState, SystemState};

    /// What a sample measures, in the order of its type.
    fn measured(sample: &impl Serialize) -> Vec<String> {
        let text = serde_json::to_string(sample).expect("JSON");
        let names =
            text.trim_matches(['{', '}']).split(',').filter_map(|field| Some(field.split('"').nth(1)?.to_owned()));
        names.filter(|name| name != "at").collect()
    }

    #[test]
    fn every_number_that_is_measured_has_a_column() {
        let names = |columns: Columns| columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(SYSTEM), measured(&SystemState::default()));
        assert_eq!(names(NETWORK), measured(&NetworkState::default()));
        assert_eq!(names(STORAGE), measured(&StorageState::default()));
        assert_eq!(names(FILES), measured(&FilesState::default()));
    }

    #[test]
    fn people_read_numbers_with_their_units_and_what_is_unknown_as_a_dash() {
        let cells = [
            readable(&Value::Null, Reads::Bytes),
            readable(&2048_u64.into(), Reads::Bytes),
            readable(&1536.9.into(), Reads::Rate),
            readable(&125.0.into(), Reads::Span),
            readable(&0.126.into(), Reads::Plain),
            readable(&7_u64.into(), Reads::Plain),
            readable(&"0.43.1".into(), Reads::Plain),
        ];
        assert_eq!(cells, ["-", "2.0 KiB", "1.5 KiB/s", "2m", "0.13", "7", "0.43.1"]);
    }
}
