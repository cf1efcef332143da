//! The process that opens a foreign file, so that whatever is in it, or below it, can end or hang nothing else.
//!
//! `ipfs-kitd __read-legacy <file> <scratch directory>`. It ends with its parent, has limits of memory,
//! time and file size, and says on stdout what [`wire`](super::wire) describes.

use super::source::{BYTES, Source};
use super::wire::Line;
use super::{parquet, tables};
use crate::confine::confine;
use rustix::process::Resource;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The first argument that selects this mode.
pub const MODE: &str = "__read-legacy";

/// Characters of what is wrong with a file.
const SENTENCE: usize = 300;

const LIMITS: [(Resource, u64); 4] =
    [(Resource::As, 4 << 30), (Resource::Cpu, 120), (Resource::Fsize, BYTES), (Resource::Core, 0)];

/// Reads the file; exit code 0 when all was said, be it that nothing can be taken.
pub fn run(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(path), Some(scratch)) = (args.next().map(PathBuf::from), args.next().map(PathBuf::from)) else {
        return refuse("this mode is for ipfs-kitd itself");
    };
    if let Err(error) = confine(&LIMITS) {
        return refuse(&format!("cannot set its limits: {error}"));
    }
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let mut say = |line: &Line| {
        let said = serde_json::to_writer(&mut out, line).map_err(io::Error::from).and_then(|()| out.write_all(b"\n"));
        said.map_err(|error| format!("cannot say what is in it: {error}"))
    };
    // A defect of a reader in the face of damage is a kind of answer too.
    let told = catch_unwind(AssertUnwindSafe(|| tell(&path, &scratch, &mut say)));
    let told = told.unwrap_or_else(|_| Err("it is damaged: what it says of itself contradicts its content".to_owned()));
    // An error of a library can show all of a value.
    let sentence = |why: String| why.lines().next().unwrap_or_default().chars().take(SENTENCE).collect();
    let said = told.or_else(|why| say(&Line::Problem(sentence(why))));
    match said.and_then(|()| out.flush().map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => refuse(&why),
    }
}

/// What is in the file; otherwise a sentence that says why nothing can be taken from it.
fn tell(path: &Path, scratch: &Path, say: &mut dyn FnMut(&Line) -> Result<(), String>) -> Result<(), String> {
    let source = Source::read(path)?;
    say(&Line::Seen(source.digest()))?;
    if source.bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    if parquet::begins(&source.bytes) {
        return parquet::tell(source.bytes, say);
    }
    if source.is_duckdb() {
        return tables::tell(&source, scratch, say);
    }
    match std::str::from_utf8(&source.bytes) {
        Ok(text) if !text.contains('\0') => say(&Line::Text(text.chars().take(60).collect())),
        _ => Err("it is neither Parquet nor DuckDB".to_owned()),
    }
}

fn refuse(why: &str) -> ExitCode {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}
