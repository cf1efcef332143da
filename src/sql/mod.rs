//! The process that answers one query in SQL over a snapshot, for whoever starts it.
//!
//! `ipfs-kitd __sql rows|arrow|parquet <rows at most> <bytes of memory> <seconds> [<data dir>]`, the query on its standard input. It answers
//! on stdout: a line of JSON that says which snapshot it is and which columns there are, then the rows, each a line with a JSON array of
//! texts and nulls, or the bytes of the other forms. At the end `{"cut":…}` stands on stderr, or, where it failed, why.
//!
//! ```text
//! engine     DuckDB: its settings, the tables, the query
//! output     the rows on their way out, within bounds
//! cells      a value as text and as JSON
//! ```
//!
//! Nothing in DuckDB holds a hostile query: its settings refuse files and the network, and the rest is up to the kernel. The process
//! ends with its parent, has limits of memory, time, file size and descriptors, and sees no file but the snapshot's, for reading.

mod cells;
mod engine;
mod output;

use crate::confine::{confine, wall};
use crate::exit;
use crate::offline::{self, Refusal, USAGE};
use engine::Engine;
use output::{Form, Output};
use proto_msgs::bulk::Bulk;
use proto_msgs::snapshot::{SnapshotAt, SnapshotManifest};
use rustix::process::Resource;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The first argument that selects this mode.
pub const MODE: &str = "__sql";

/// Bytes of a query: the parser needs stack for each level of one.
const TEXT: u64 = 64 << 10;
/// Address space of the program and its libraries, and of what DuckDB does not count.
const APART: u64 = 512 << 20;
/// Descriptors: DuckDB opens the files of the tables that are asked for.
const FILES: u64 = 64;

struct Order {
    form: Form,
    rows: u64,
    memory: u64,
    seconds: u64,
    dir: Option<PathBuf>,
}

/// Answers.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let order = Order::read(args).ok_or_else(|| Refusal(USAGE, "this mode is for ipfs-kitctl".to_owned()));
    match order.and_then(answer) {
        Ok(cut) => Refusal(exit::OK, format!("{{\"cut\":{cut}}}")).tell(),
        Err(refusal) => refusal.tell(),
    }
}

impl Order {
    fn read(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
        let mut word = || args.next()?.into_string().ok();
        let form = match word()?.as_str() {
            "rows" => Form::Rows,
            "arrow" => Form::Bulk(Bulk::Arrow),
            "parquet" => Form::Bulk(Bulk::Parquet),
            _ => return None,
        };
        let mut number = || word()?.parse().ok();
        let (rows, memory, seconds) = (number()?, number()?, number()?);
        Some(Order { form, rows, memory, seconds, dir: args.next().map(PathBuf::from) })
    }
}

/// Whether rows were left out.
fn answer(order: Order) -> Result<bool, Refusal> {
    let limits = [
        (Resource::As, order.memory.saturating_add(APART)),
        (Resource::Cpu, order.seconds),
        (Resource::Fsize, 0),
        (Resource::Nofile, FILES),
        (Resource::Core, 0),
    ];
    confine(&limits).map_err(failed("set its limits"))?;
    let query = query()?;
    let place = offline::find(order.dir)?;
    let chosen = place.choose().map_err(|reasons| offline::unusable(&place, &reasons))?;
    let (name, manifest, passed_over) = chosen;
    let dir = place.path(name);
    // Names without a directory: in a path DuckDB would take * and [ for a pattern.
    std::env::set_current_dir(&dir).map_err(failed("enter the snapshot"))?;
    let engine = Engine::open(order.memory)?;
    let walled = wall(Path::new(".")).map_err(failed("wall itself in"))?;
    // What is to run in a thread of its own has one by now.
    confine(&[(Resource::Nproc, 0)]).map_err(failed("set its limits"))?;
    engine.give(&tables(&manifest), walled)?;
    let at = SnapshotAt { path: dir.display().to_string(), manifest, passed_over, made: false };
    engine.ask(&query, |schema| Output::begin(order.form, order.rows, schema, &at))
}

fn query() -> Result<String, Refusal> {
    let mut query = Vec::new();
    io::stdin().take(TEXT + 1).read_to_end(&mut query).map_err(failed("read the query"))?;
    if query.len() as u64 > TEXT {
        return Err(Refusal(USAGE, format!("a query has at most {TEXT} bytes")));
    }
    match String::from_utf8(query) {
        Ok(query) if !query.contains('\0') => Ok(query),
        _ => Err(Refusal(USAGE, "the query is no text".to_owned())),
    }
}

/// Those of this version, and of a newer one.
fn tables(manifest: &SnapshotManifest) -> Vec<(String, String)> {
    let files = manifest.files.iter().filter_map(|file| Some((file.name.strip_suffix(".parquet")?, &file.name)));
    let plain = files.filter(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
    plain.map(|(name, file)| (name.to_owned(), file.clone())).collect()
}

fn failed<E: Display>(action: &'static str) -> impl Fn(E) -> Refusal {
    move |error| Refusal(exit::FAILED, format!("cannot {action}: {error}"))
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal(exit::FAILED, error.to_string())
    }
}
