//! The command line: nouns, verbs, options and their help. The words are those of the protocol; what a CID is the daemon
//! judges, everything else is refused here, before anything is asked.

use crate::parse::{After, after, condition, duration, pin_type, since, size, sort};
use crate::state::State;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use proto_msgs::daemon::Condition;
use proto_msgs::pin::{PinSort, PinType};
use std::path::PathBuf;
use std::time::Duration;

/// Asks the ipfs-kitd that keeps this machine's Kubo node and its pin index.
#[derive(Parser, Debug)]
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

/// Apart from a command's own.
const GLOBAL: &str = "Global options";

#[derive(clap::Args, Debug)]
pub(crate) struct Global {
    /// The daemon's socket [default: $IPFS_KITD_SOCKET, the user's, the system's]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// Answer from the newest good snapshot, without the daemon: pin ls, info, history, diff, metrics, snapshot ls, path, verify
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) offline: bool,
    /// With --offline: the daemon's data directory [default: $IPFS_KITD_DATA_DIR, the user's, the system's]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Format of the output: table, json or ndjson; with `pin` and `vfs` also csv and cid, with `metrics` and `state` csv
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
    /// metrics, vfs, state, snapshot ls, path
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DURATION", value_parser = duration)]
    pub(crate) max_age: Option<Duration>,
}

impl Global {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned columns for people
    Table,
    /// One document; for several CIDs one a line
    Json,
    /// One JSON row a line
    Ndjson,
    /// Comma-separated values with a header
    Csv,
    /// One CID a line
    Cid,
}

const METRICS: &str = "\
As csv: group,key,pins,bytes,as_of. The rows of the group `total` are all pins, with the bytes of those whose size is \
known, and the named ones; the others count the pins of each type, codec, age, size and kind of size.";

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Daemon, Kubo, index and lock on one screen
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
    /// Files that the daemon publishes: Parquet and Arrow, for pandas, polars, DuckDB and others
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// The node as it was measured: Kubo and the machine, traffic, disk, MFS
    #[command(subcommand)]
    State(State),
    /// Totals by type, codec, size and age
    #[command(after_help = METRICS)]
    Metrics,
    /// What has happened: changes of Kubo's state with their causes, errors
    Events {
        /// Only events after this number, or from this time on, such as 10m (ago) or 2026-11-21T08:00:00Z; numbers begin with 1 at
        /// each start of the daemon
        #[arg(long, value_name = "SEQ|TIME", value_parser = after)]
        since: Option<After>,
        /// Go on with each event that comes, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
    /// What is wrong or risky, and the command that mends it (exit code 1 when something is wrong)
    Doctor,
    /// Wait until something is so; with --timeout also for the daemon to be there
    Wait {
        /// kubo=running, kubo=stopped, index=fresh or index=complete
        #[arg(long = "for", value_name = "CONDITION", value_parser = condition)]
        condition: Condition,
    },
    /// The daemon's configuration
    #[command(subcommand)]
    Config(Config),
    /// Stop the daemon and its Kubo, in order
    Shutdown,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Pin {
    /// List pins
    #[command(
        after_help = "A size with ~ before it is estimated: the root block says so, and blocks that occur twice count twice."
    )]
    Ls(PinLs),
    /// Show what is known of CIDs, in any of their forms
    Info {
        /// CIDs; `-` reads them from standard input
        #[arg(required = true, value_name = "CID")]
        cids: Vec<String>,
    },
    /// Have Kubo pin CIDs; returns when the index holds them too
    Add {
        /// CIDs; `-` reads them from standard input
        #[arg(required = true, value_name = "CID")]
        cids: Vec<String>,
        /// Name of the pin
        #[arg(long)]
        name: Option<String>,
        /// Pin the block alone, not what is below it
        #[arg(long)]
        direct: bool,
    },
    /// Have Kubo unpin CIDs
    Rm {
        /// CIDs; `-` reads them from standard input
        #[arg(required = true, value_name = "CID")]
        cids: Vec<String>,
    },
    /// Tag a CID, pinned or not: +TAG adds, -TAG removes, the CID alone shows
    #[command(
        override_usage = "ipfs-kitctl pin tag [OPTIONS] <CID> [+TAG|-TAG]...",
        after_help = "\
Options stand before the CID; `-` for the CID reads CIDs from standard input. A tag has at most 64 bytes, a CID at most 64 tags.
Tags stay when a CID is unpinned, and come back with it. v0 and v1 of a CID have tags of their own.

Examples:
  ipfs-kitctl pin tag bafy… +holidays -draft
  ipfs-kitctl pin ls --tag draft -o cid | ipfs-kitctl pin tag - +old"
    )]
    Tag {
        /// A CID, then +TAG or -TAG
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CID [+TAG|-TAG]...")]
        words: Vec<String>,
    },
    /// Put a note on a CID, pinned or not; the CID alone shows it
    Note {
        /// A CID; `-` reads CIDs from standard input
        cid: String,
        /// One line of at most 4096 bytes; `-` or '' takes the note away
        text: Option<String>,
    },
    /// Say in which storage tier a CID should be, pinned or not; the CID alone shows it
    Tier {
        /// A CID; `-` reads CIDs from standard input
        cid: String,
        /// At most 32 letters a-z, digits, _ and -; `-` takes the tier away
        tier: Option<String>,
        /// Take the tier away
        #[arg(long, conflicts_with = "tier")]
        clear: bool,
    },
    /// What has happened to the pins, newest first: added, renamed, retyped, removed
    History {
        /// Only of this CID, in any form, pinned or not
        #[arg(value_name = "CID")]
        cid: Option<String>,
        #[command(flatten)]
        rows: Rows,
    },
    /// In which pins two generations differ
    Diff {
        /// What counts as before; `pin history` shows the generations
        #[arg(value_name = "GEN1")]
        from: u64,
        /// What counts as after; it may be the older one
        #[arg(value_name = "GEN2")]
        to: u64,
        #[command(flatten)]
        rows: Rows,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct Rows {
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Leave out so many first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// Columns of table and csv, such as event,cid,name
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Leave out the header of table and csv
    #[arg(long)]
    pub(crate) no_header: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct PinLs {
    /// Only recursive or direct pins
    #[arg(long = "type", value_name = "TYPE", value_parser = pin_type)]
    pub(crate) pin_type: Option<PinType>,
    /// Only pins whose name contains this
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Only pins with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only pins that people put into this tier
    #[arg(long)]
    pub(crate) tier: Option<String>,
    /// Only pins of at least this size, such as 512, 1.5MB or 1GiB; those of unknown size are left out
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) min_size: Option<u64>,
    /// Only pins first seen from this time on, such as 48h or 7d (ago), 2026-11-21 (UTC) or 2026-11-21T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Leave out so many first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// cid, name, type, codec, size or first_seen; with `:desc` the other way round
    #[arg(long, value_name = "KEY[:desc]", value_parser = sort)]
    pub(crate) sort: Option<(PinSort, bool)>,
    /// Columns of table and csv, such as cid,name,size
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Leave out the header of table and csv
    #[arg(long)]
    pub(crate) no_header: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Kubo {
    /// State, cause of the last exit, next retry; restarts, also those that were asked for (exit code 3 when it isn't running)
    Status,
    /// Start it; returns when it is ready
    Start,
    /// Stop it until the next start; returns when it has ended
    Stop,
    /// Stop and start it; returns when it is ready
    Restart,
    /// Its newest lines of output
    Logs {
        /// How many [default: 100, or all that are kept since --since]
        #[arg(short = 'n', long)]
        lines: Option<u32>,
        /// Only lines from this time on, such as 10m (ago) or 2026-11-21T08:00:00Z
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Timestamp>,
        /// Go on with each line that comes, until Ctrl-C
        #[arg(short, long)]
        follow: bool,
    },
    /// Remove the blocks that nothing keeps; returns when it is through
    Gc,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Lock {
    /// Verdict and evidence for each lock file of the repo
    Check,
    /// Clear away what a dead process left (exit code 1 when something stays in the way of Kubo)
    Clean {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Vouch for what cannot be judged; a lock that is held is never touched
        #[arg(long)]
        force: bool,
    },
    /// Wait until nobody holds the repo, our own Kubo included, and nothing is in the way
    Wait,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Index {
    /// List Kubo's pins soon
    Refresh {
        /// Return when a listing that began after this call has been applied
        #[arg(long)]
        wait: bool,
        /// Compare names too, which is slow above some ten thousand pins
        #[arg(long)]
        names: bool,
    },
    /// Begin no refresh unless somebody asks for one, until `resume` or the daemon's next start
    Pause,
    /// Refresh at once, and go on by itself
    Resume,
    /// Rows, age, pace, file and how far the sizes are measured
    Info,
    /// Write everything that Kubo cannot tell again into one file: marks, history, sizes, first sights, samples, imports
    Backup {
        /// Where to; the daemon writes it, as its own user
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Put a backup in the place of the index; what there was is kept as a backup
    Restore {
        /// The backup; the daemon reads it, as its own user
        file: PathBuf,
        /// Also when it is of another node
        #[arg(long)]
        force: bool,
    },
    /// Read all of it, the journal and every snapshot (exit code 1 when something is wrong)
    Verify,
    /// Write the file's log into the file, and the journal without what was said again later
    Compact,
    /// Take what is worth keeping from files of the Python system of before; makes no pin (exit code 1 when one can't be read)
    Import {
        /// One file, or its directory such as ~/.ipfs_kit
        path: PathBuf,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Snapshot {
    /// Publish one now, whatever the budget says; returns when it is on disk
    Now {
        /// With pins.arrow, however many pins there are
        #[arg(long)]
        arrow: bool,
    },
    /// List them, newest first
    Ls,
    /// Print the directory of the newest one of which every digest is right
    Path,
    /// Read every byte and compare with the digests (exit code 1 when something is wrong)
    Verify {
        /// A generation, or a name as `snapshot ls` shows it [default: all]
        #[arg(value_name = "SNAPSHOT")]
        snapshot: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Vfs {
    /// What a directory of MFS holds
    Ls {
        /// From the root on
        #[arg(default_value = "/")]
        path: String,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Only names behind this one
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
    /// What is known of one path
    Info {
        /// From the root on
        path: String,
    },
    /// What has changed in MFS, oldest first
    Journal {
        /// Only changes after this number
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        since: u64,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Every setting in force and where it came from
    Show {
        /// What is in force, all layers resolved (the default)
        #[arg(long)]
        effective: bool,
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

    #[test]
    fn every_command_in_the_documents_is_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut commands = 0;
        for page in ["README.md", "docs/OPERATIONS.md", "docs/DATA.md"] {
            let text = std::fs::read_to_string(root.join(page)).expect("readable");
            for line in
                text.lines().filter_map(|line| line.strip_prefix("$ ").unwrap_or(line).strip_prefix("ipfs-kitctl "))
            {
                let words = line.split('#').next().unwrap_or_default().split_whitespace();
                let words = words.take_while(|word| !["|", ">", "&&", "||"].contains(word));
                let parsed = Args::try_parse_from(std::iter::once("ipfs-kitctl").chain(words));
                assert!(parsed.is_ok(), "{page}: {line}");
                commands += 1;
            }
        }
        assert!(commands > 10, "only {commands} commands were found");
    }

    #[test]
    fn sort_keys_are_read_with_their_way() {
        assert_eq!(sort("name:desc"), Ok((PinSort::Name, true)));
        assert_eq!(sort("first_seen"), Ok((PinSort::FirstSeen, false)));
        assert_eq!(sort("cid:asc"), Ok((PinSort::Cid, false)));
        assert!(sort("cid:down").is_err() && sort("colour").is_err());
    }
}
