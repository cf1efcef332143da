//! Completion in the shell: `completion SHELL` prints a script that asks this program at each TAB, so that CIDs, names, tags, tiers,
//! generations and snapshots are those of the daemon. Where it is down, or slow, there are none, and nothing is said.

use crate::exit::{self, Failure};
use crate::list::Shape;
use crate::output::Out;
use crate::{
    access, analytics, daemon, doctor, history, import, kubo, lock, pin, snapshot, socket, state, vfs, weblog,
};
use clap::Command;
use clap::builder::StyledStr;
use clap_complete::env::{self, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use proto_msgs::pin::{Pin, PinHistory, PinLs};
use proto_msgs::snapshot::SnapshotLs;
use proto_msgs::verb::{Part, Verb};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Set by the scripts, to the shell's name; one of our own, since others may be there for other reasons.
pub(crate) const VARIABLE: &str = "IPFS_KITCTL_COMPLETE";
/// Whether the shell that asks quotes by itself.
static QUOTES: AtomicBool = AtomicBool::new(false);
/// How long a TAB may take.
const PATIENCE: Duration = Duration::from_millis(300);
/// More than anybody reads.
const MOST: usize = 200;

/// Those that it works in.
pub(crate) const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Bash makes a `=` a word of its own: `--columns=cid` comes as three.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        env::Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        env::Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        env::Bash.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let said = |name| std::env::var(name).ok();
        let index = said("_CLAP_COMPLETE_INDEX").and_then(|index| index.parse().ok()).unwrap_or_default();
        let (words, index) = without_equals(words, index);
        let found = clap_complete::engine::complete(command, words, index, dir)?;
        let values: Vec<_> = found.iter().map(|found| found.get_value().to_string_lossy()).collect();
        buf.write_all(values.join(&said("_CLAP_IFS").unwrap_or("\n".to_owned())).as_bytes())
    }
}

/// The words without each `=` between an option and its value, and which of them is to be completed then.
fn without_equals(words: Vec<OsString>, index: usize) -> (Vec<OsString>, usize) {
    let mut kept: Vec<OsString> = Vec::with_capacity(words.len());
    let mut at = index;
    for (number, word) in words.into_iter().enumerate() {
        let of_option = kept.last().is_some_and(|before| before.as_bytes().starts_with(b"--"));
        if word == "=" && of_option && number < index {
            at -= 1;
        } else {
            kept.push(word);
        }
    }
    (kept, at)
}

/// A value, and what is said of it.
type Value = (String, Option<String>);

pub(crate) fn cids() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| of_pins(typed, |pin| vec![(pin.cid.clone(), pin.name.clone())]))
}

pub(crate) fn names() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        of_pins(typed, |pin| pin.name.iter().map(|name| (name.clone(), None)).collect())
    })
}

pub(crate) fn tags() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        of_pins(typed, |pin| pin.tags.iter().map(|tag| (tag.clone(), None)).collect())
    })
}

pub(crate) fn tiers() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        of_pins(typed, |pin| pin.tier.iter().map(|tier| (tier.clone(), None)).collect())
    })
}

/// The newest generations.
pub(crate) fn generations() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let verb = PinHistory { limit: Some(1000), ..PinHistory::default() };
        let part = |part| match part {
            Part::PinChanges(some) => some.changes,
            _ => Vec::new(),
        };
        live(
            typed,
            verb,
            move |from| {
                let changes = part(from).into_iter();
                changes.filter_map(|change| Some((change.generation?.to_string(), change.at))).collect()
            },
            |_| Vec::new(),
        )
    })
}

pub(crate) fn snapshots() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        live(
            typed,
            SnapshotLs {},
            |_| Vec::new(),
            |list| list.snapshots.into_iter().map(|row| (row.name, row.created_at)).collect(),
        )
    })
}

/// Words that are known without anybody.
pub(crate) fn words(words: &'static [&'static str]) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| fitting(typed, words.iter().map(|word| ((*word).to_owned(), None))))
}

/// Columns of the list that is being asked for; behind a comma the next one.
pub(crate) fn columns() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_str().unwrap_or_default();
        let before = typed.rfind(',').map_or("", |comma| &typed[..=comma]);
        let names = listed().map_or(&[][..], |shape| shape.all);
        fitting(OsStr::new(typed), names.iter().map(|name| (format!("{before}{name}"), None)))
    })
}

/// The list that the words of the command line name.
fn listed() -> Option<&'static Shape> {
    let words: Vec<OsString> = typed().collect();
    let said = |noun: &str, verb: &str| words.iter().any(|word| word == noun) && words.iter().any(|word| word == verb);
    shapes().into_iter().find(|(noun, verb, _)| said(noun, verb)).map(|(.., shape)| shape)
}

/// The words of the command line that is being completed, behind those that the script puts before them.
fn typed() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1)
}

/// The socket that they name. Bash has a `=` as a word of its own.
fn named(mut words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        if word == "--socket" {
            return words.find(|word| word != "=").map(PathBuf::from);
        }
        if let Some(path) = word.as_bytes().strip_prefix(b"--socket=") {
            return Some(OsStr::from_bytes(path).into());
        }
    }
    None
}

fn shapes() -> [(&'static str, &'static str, &'static Shape); 27] {
    [
        ("pin", "ls", &pin::SHAPE),
        ("pin", "history", &history::HISTORY),
        ("pin", "diff", &history::DIFF),
        ("pin", "verify", &pin::BROKEN),
        ("vfs", "ls", &vfs::ENTRIES),
        ("vfs", "journal", &vfs::CHANGES),
        ("access", "import", &weblog::FILES),
        ("access", "log", &access::LOG),
        ("snapshot", "ls", &snapshot::SNAPSHOTS),
        ("snapshot", "verify", &snapshot::CHECKS),
        ("lock", "check", &lock::LOCKS),
        ("lock", "clean", &lock::OUTCOMES),
        ("index", "import", &import::SOURCES),
        ("kubo", "config", &kubo::SETTINGS),
        ("config", "show", &daemon::SETTINGS),
        ("state", "system", &state::SYSTEM),
        ("state", "network", &state::NETWORK),
        ("state", "storage", &state::STORAGE),
        ("state", "files", &state::FILES),
        ("doctor", "doctor", &doctor::FINDINGS),
        ("analytics", "hot", &analytics::HEAT),
        ("analytics", "cold", &analytics::HEAT),
        ("analytics", "patterns", &analytics::PATTERNS),
        ("analytics", "tiers", &analytics::TIERS),
        ("analytics", "predict", &analytics::FORECASTS),
        ("analytics", "unpin-first", &analytics::UNPIN),
        ("analytics", "score", &analytics::HORIZONS),
    ]
}

fn of_pins(typed: &OsStr, values: fn(&Pin) -> Vec<Value>) -> Vec<CompletionCandidate> {
    let rows = move |part| match part {
        Part::PinLs(rows) => rows.pins.iter().flat_map(values).collect(),
        _ => Vec::new(),
    };
    live(typed, PinLs::default(), rows, |_| Vec::new())
}

/// What the daemon names until the time is over. It is asked by a thread that ends with this process.
fn live<V: Verb + Send + 'static>(
    typed: &OsStr,
    verb: V,
    of_part: impl Fn(Part) -> Vec<Value> + Send + 'static,
    of_reply: fn(V::Reply) -> Vec<Value>,
) -> Vec<CompletionCandidate> {
    let (found, values) = mpsc::channel();
    let until = Instant::now() + PATIENCE;
    thread::spawn(move || ask(verb, &found, of_part, of_reply));
    let more = || values.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    fitting(typed, std::iter::from_fn(more).flatten())
}

fn ask<V: Verb>(
    verb: V,
    found: &Sender<Vec<Value>>,
    of_part: impl Fn(Part) -> Vec<Value>,
    of_reply: fn(V::Reply) -> Vec<Value>,
) -> Option<()> {
    let mut client = socket::connect(named(typed()).as_deref(), Some(PATIENCE), false).ok()?;
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let reply = client.call_with(verb, Some(PATIENCE), |part| found.send(of_part(part)).map_err(gone)).ok()?;
    found.send(of_reply(reply)).ok()
}

/// Which shell asks. To be said before it is answered: its variable is gone then.
pub(crate) fn of_shell(shell: &OsStr) {
    QUOTES.store(shell == "fish" || shell == "zsh", Ordering::Relaxed);
}

/// Whether it means itself in the line: all shells but these put what they complete there unquoted, where the name of a pin could be a
/// command.
fn harmless(value: &str) -> bool {
    if QUOTES.load(Ordering::Relaxed) {
        return !value.contains(char::is_control);
    }
    !value.starts_with('-') && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@%+=,-".contains(&b))
}

/// Those that begin as was typed, each once.
fn fitting(typed: &OsStr, values: impl Iterator<Item = Value>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let mut fitting = BTreeMap::new();
    for (value, help) in values {
        if value.starts_with(typed) && harmless(&value) {
            fitting.entry(value).or_insert(help);
            if fitting.len() == MOST {
                break;
            }
        }
    }
    let shown = |(value, help): (String, Option<String>)| {
        let help = help.map(|help| StyledStr::from(crate::output::tame(&help).into_owned()));
        CompletionCandidate::new(value).help(help)
    };
    fitting.into_iter().map(shown).collect()
}

/// The script for a shell.
pub(crate) fn script(out: &mut Out, shell: &str) -> Result<u8, Failure> {
    let Some(shell) = SHELLS.completer(shell) else {
        let names: Vec<_> = SHELLS.names().collect();
        return Err(Failure::Usage(format!("there is no completion for {shell:?}; there are {}", names.join(", "))));
    };
    let mut text = Vec::new();
    let name = "ipfs-kitctl";
    shell.write_registration(VARIABLE, name, name, name, &mut text)?;
    out.raw(&String::from_utf8_lossy(&text))?;
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_a_field_of_its_rows_in_json() {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto-msgs/schema.json");
        let schema = std::fs::read_to_string(schema).expect("readable");
        let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
        let rows = [
            "Pin",
            "PinChange",
            "PinChange",
            "BrokenPin",
            "VfsEntry",
            "VfsChange",
            // This program makes these rows.
            "",
            "Access",
            "SnapshotRow",
            "SnapshotCheck",
            "LockFile",
            "LockOutcome",
            "LegacySource",
            "KuboSetting",
            "Setting",
            "SystemState",
            "NetworkState",
            "StorageState",
            "FilesState",
            "Finding",
            "PinHeat",
            "PinHeat",
            "PinPattern",
            "PinTierAdvice",
            "PinForecast",
            "PinUnpin",
            "HorizonScore",
        ];
        let made_there = shapes().into_iter().zip(rows).filter(|(_, row)| !row.is_empty());
        for ((noun, verb, shape), row) in made_there {
            let fields = &schema["$defs"][row]["properties"];
            let missing: Vec<_> = shape.all.iter().filter(|column| fields.get(*column).is_none()).collect();
            assert!(missing.is_empty(), "{noun} {verb}: {missing:?} of {row}");
        }
    }
}
