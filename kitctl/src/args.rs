//! The command line: nouns, verbs, options and their help. The words are those of the protocol; what a CID is the daemon
//! judges, everything else is refused here, before anything is asked.

mod access;
mod analytics;
mod deferred;
mod events;
mod index;
mod kubo;
mod lock;
mod pin;
mod show;
mod snapshot;
mod sql;
mod vfs;

use crate::exit::{self, Failure};
use crate::parse::{condition, duration, level, since};
use crate::state::State;
pub(crate) use access::Access;
pub(crate) use analytics::Analytics;
use clap::{Parser, Subcommand, ValueEnum};
pub(crate) use deferred::Deferred;
pub(crate) use events::Events;
pub(crate) use index::Index;
use jiff::Timestamp;
pub(crate) use kubo::Kubo;
pub(crate) use lock::Lock;
pub(crate) use pin::{Pin, PinLs};
use proto_msgs::daemon::Condition;
use proto_msgs::log::LogLevel;
pub(crate) use show::Show;
pub(crate) use snapshot::Snapshot;
pub(crate) use sql::Sql;
use std::path::PathBuf;
use std::time::Duration;
pub(crate) use vfs::Vfs;

/// Asks the ipfs-kitd that keeps this machine's Kubo node and its pin index.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "ipfs-kitctl",
    version,
    after_help = "\
Examples:
  ipfs-kitctl status
  ipfs-kitctl pin ls --type recursive -o cid | wc -l
  ipfs-kitctl pin add bafy… --name holidays
  ipfs-kitctl wait --for=kubo=running --timeout 60s && ipfs-kitctl index refresh --wait
  ipfs-kitctl --offline pin ls --name holidays

Exit codes: 0 ok, 1 failed, 2 usage, 3 the command needs Kubo and it isn't running, 4 not found, 69 no daemon answers
(with --offline: no snapshot can be used), 75 the answer is older than --max-age, 77 denied, 130 interrupted."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Shows the help of a command that takes `--help` for a word of its own.
pub(crate) fn help(command: &[&str]) -> Result<u8, Failure> {
    let words = ["ipfs-kitctl"].iter().chain(command).chain(&["--help"]);
    Args::try_parse_from(words).map_or_else(|help| help.print(), |_| Ok(()))?;
    Ok(exit::OK)
}

/// Apart from a command's own.
const GLOBAL: &str = "Global options";

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Global {
    /// The daemon's socket [default: $IPFS_KITD_SOCKET, the user's, the system's]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Answer from the newest good snapshot, without the daemon: pin ls, info, history, diff, metrics, snapshot ls, path, verify
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) offline: bool,
    /// With --offline, and of sql: the daemon's data directory [default: $IPFS_KITD_DATA_DIR, the user's, the system's]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Format of the output: table, json or ndjson; of lists also wide (more columns) and csv, where they have CIDs also cid; of
    /// `metrics` and `state` also csv; of `pin ls` and `sql` also arrow and parquet; of `analytics report` also html
    // Not clap's list, which is the same for every command.
    #[arg(short, long, global = true, help_heading = GLOBAL, value_enum, hide_possible_values = true, default_value_t = Format::Table)]
    output: Format,
    /// The same as -o json
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// Give up after this time, such as 500ms, 30s or 5m
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Refuse an answer older than this, such as 30s, 5m or 7d (exit code 75): status, pin ls, info, history, diff, index info,
    /// metrics, vfs, state, analytics, snapshot ls, path, sql
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_age: Option<Duration>,
    /// Show it again every 2s, or every INTERVAL, until Ctrl-C: status, pin ls, history, kubo status, config, index info,
    /// metrics, analytics but unpin-first, lock check, snapshot ls, state, vfs, access log, doctor, config show. As ndjson, json or
    /// csv only when it differs
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "INTERVAL", value_parser = duration,
        num_args = 0..=1, require_equals = true, default_missing_value = "2s")]
    pub(crate) watch: Option<Duration>,
}

impl Global {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

impl Format {
    /// Whether a program reads it that reads failures as JSON, too.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Format::Json | Format::Ndjson)
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned columns for people
    Table,
    /// The same with more columns
    Wide,
    /// One document; for several CIDs one a line
    Json,
    /// One JSON row a line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
    /// One CID a line
    Cid,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
    /// A page for a browser
    Html,
}

const METRICS: &str = "\
As csv: group,key,pins,bytes,as_of. The rows of the group `total` are all pins, with the bytes of those whose size is \
known, and the named ones; the others count the pins of each type, codec, age, size and kind of size.\n\nExamples:\n  ipfs-kitctl metrics\n  ipfs-kitctl metrics -o csv";

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Daemon, Kubo, index and lock on one screen
    #[command(after_help = "Examples:\n  ipfs-kitctl status\n  ipfs-kitctl status --watch=5s")]
    Status {
        /// Exit with 3 when Kubo isn't running, with 1 when something else is degraded
        #[arg(long)]
        check: bool,
    },
    /// Pins
    #[command(subcommand)]
    Pin(Pin),
    /// The Kubo daemon
    #[command(subcommand)]
    Kubo(Kubo),
    /// Locks of the repo
    #[command(subcommand)]
    Lock(Lock),
    /// The pin index
    #[command(subcommand)]
    Index(Index),
    /// MFS: paths, their CIDs, and the pins that keep them
    #[command(subcommand)]
    Vfs(Vfs),
    /// What was read of which CID, and when
    #[command(subcommand)]
    Access(Access),
    /// Files that the daemon publishes: Parquet and Arrow, for pandas, polars, DuckDB and others
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// The node as it was measured: Kubo and the machine, traffic, disk, MFS
    #[command(subcommand)]
    State(State),
    /// What accesses tell of pins: which are hot, what to expect, what may go, when the disk is full
    #[command(subcommand)]
    Analytics(Deferred<Analytics>),
    /// Ask the newest good snapshot in SQL, DuckDB's, without the daemon
    Sql(Sql),
    /// Totals by type, codec, size and age
    #[command(after_help = METRICS)]
    Metrics,
    /// What has happened: changes of Kubo's state with their causes, of the pins, snapshots, failing refreshes, errors
    Events(Events),
    /// The daemon's own newest lines of log; what Kubo writes is `kubo logs`
    #[command(after_help = "\
Examples:
  ipfs-kitctl log --level warn --since 1h
  ipfs-kitctl log -f -o ndjson")]
    Log {
        /// How many [default: 100, or all that are kept since --since]
        #[arg(short = 'n', long)]
        lines: Option<u32>,
        /// Only lines from this time on, such as 10m (ago) or 2026-11-21T08:00:00Z
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Timestamp>,
        /// Only lines of this level and of worse ones: error, warn, info, debug or trace
        #[arg(long, value_name = "LEVEL", value_parser = level,
            add = crate::complete::words(&["error", "warn", "info", "debug", "trace"]))]
        level: Option<LogLevel>,
        /// Go on with each line that comes, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
    /// What is wrong or risky, and the command that mends it (exit code 1 when something is wrong)
    #[command(after_help = "Examples:\n  ipfs-kitctl doctor\n  ipfs-kitctl doctor --bundle /tmp/node.tar")]
    Doctor {
        #[command(flatten)]
        show: Show,
        /// Write a tar file for whoever is to help: what the daemon and Kubo say, without secrets, CIDs and names of pins
        #[arg(long, value_name = "FILE", num_args = 0..=1)]
        bundle: Option<Option<PathBuf>>,
    },
    /// Wait until something is so; with --timeout also for the daemon to be there
    #[command(after_help = "Example:\n  ipfs-kitctl wait --for=index=fresh --timeout 60s")]
    Wait {
        /// kubo=running, kubo=stopped, index=fresh or index=complete
        #[arg(long = "for", value_name = "CONDITION", value_parser = condition,
            add = crate::complete::words(&["kubo=running", "kubo=stopped", "index=fresh", "index=complete"]))]
        condition: Condition,
    },
    /// The daemon's configuration
    #[command(subcommand)]
    Config(Config),
    /// Stop the daemon and its Kubo, in order
    #[command(after_help = "Example:\n  ipfs-kitctl shutdown --timeout 2m")]
    Shutdown,
    /// Print what makes a shell complete commands, and CIDs, names and generations as the daemon knows them
    #[command(
        after_help = "Example:\n  ipfs-kitctl completion bash > ~/.local/share/bash-completion/completions/ipfs-kitctl"
    )]
    Completion {
        /// bash, zsh, fish, elvish or powershell
        #[arg(add = crate::complete::words(&["bash", "elvish", "fish", "powershell", "zsh"]))]
        shell: String,
    },
    /// Print the manual page, or write one for each command into a directory
    #[command(after_help = "Examples:\n  ipfs-kitctl man | man -l -\n  ipfs-kitctl man /usr/local/share/man/man1")]
    Man {
        /// An existing one
        dir: Option<PathBuf>,
    },
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Config {
    /// Every setting in force and where it came from
    #[command(after_help = "Example:\n  ipfs-kitctl config show --columns key,value")]
    Show {
        /// What is in force, all layers resolved (the default)
        #[arg(long)]
        effective: bool,
        #[command(flatten)]
        show: Show,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    /// As a shell takes them: what stands between quotes is of one word.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote) = (vec![String::new()], None);
        for c in line.chars() {
            let word = words.last_mut().expect("never empty");
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (c, None) if c.is_whitespace() => words.push(String::new()),
                (c, _) => word.push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_an_example_that_is_understood() {
        use clap::CommandFactory;
        fn look(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            command.get_subcommands().for_each(|verb| look(verb, &path));
            if command.has_subcommands() {
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> =
                help.split("ipfs-kitctl ").skip(1).filter_map(|rest| rest.lines().next()).collect();
            assert!(examples.iter().any(|line| format!(" ipfs-kitctl {line}").starts_with(&path)), "{path}: {help}");
            for line in examples {
                let words = line.split_whitespace().map(|word| word.trim_end_matches(')'));
                let words = words.take_while(|word| !["|", ">", "<", "&&"].contains(word));
                let parsed = Args::try_parse_from(std::iter::once("ipfs-kitctl").chain(words));
                assert!(parsed.is_ok() || line.contains(['"', '\'']), "{line}: {parsed:?}");
            }
        }
        let mut all = Args::command().disable_help_subcommand(true);
        all.build();
        look(&all, "");
    }

    #[test]
    fn every_command_in_the_documents_is_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut commands = 0;
        for page in ["README.md", "docs/OPERATIONS.md", "docs/DATA.md", "docs/ANALYTICS.md", "docs/MIGRATING.md"] {
            let text = std::fs::read_to_string(root.join(page)).expect("readable");
            for line in
                text.lines().filter_map(|line| line.strip_prefix("$ ").unwrap_or(line).strip_prefix("ipfs-kitctl "))
            {
                let words = words(line.split('#').next().unwrap_or_default());
                let words = words.into_iter().take_while(|word| !["|", "<", ">", "&&", "||"].contains(&&**word));
                let parsed = Args::try_parse_from(std::iter::once("ipfs-kitctl".to_owned()).chain(words));
                assert!(parsed.is_ok(), "{page}: {line}");
                commands += 1;
            }
        }
        assert!(commands > 10, "only {commands} commands were found");
    }
}
