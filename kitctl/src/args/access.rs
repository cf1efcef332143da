//! `access`: what was read of which CID.

use super::Show;
use crate::parse::since;
use clap::Subcommand;
use jiff::Timestamp;
use std::path::PathBuf;

const RECORD: &str = "\
With `-` each line of standard input is an access as JSON, with the fields cid, at, path, bytes, offset, op, by; all but \
cid may be missing. They go to the daemon as they come, some thousand at a time. At the first line that is wrong it ends, and says \
which line that is and how many accesses are recorded. With --batch the same input can be sent again within a day, also with the wrong \
line put right: none counts twice. Then lines wait until there are some thousand, or no more come.

Examples:
  ipfs-kitctl access record bafy… --op cat --bytes 1048576 --by player
  ipfs-kitctl access record --durable --batch monday - < accesses.ndjson";

const IMPORT: &str = "\
A log is known by its first line, and the daemon knows how far it was read: nothing counts twice, whether the daemon follows the log, it was imported \
before, or it was rotated and compressed since. `taken` are accesses, `others` lines about something else, `wrong` those that could not be understood, \
`passed` is what was known before. Exit code 1 when nothing of a file could be understood.

Examples:
  ipfs-kitctl access import /var/log/nginx/access.log.2.gz /var/log/nginx/access.log.1
  ssh gateway cat /var/log/caddy/access.log | ipfs-kitctl access import -";

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Access {
    /// Say that a CID was read
    #[command(after_help = RECORD)]
    Record {
        /// What was read; `-` reads accesses from standard input
        #[arg(value_name = "CID", add = crate::complete::cids())]
        cid: String,
        /// What was read below the CID
        #[arg(long, value_name = "PATH")]
        path: Option<String>,
        /// When, such as 10m (ago) or 2026-11-21T08:00:00Z [default: now]
        #[arg(long, value_name = "TIME", value_parser = since)]
        at: Option<Timestamp>,
        /// How many bytes
        #[arg(long, value_name = "N")]
        bytes: Option<u64>,
        /// The first of them
        #[arg(long, value_name = "N")]
        offset: Option<u64>,
        /// What was done, in a word such as cat
        #[arg(long, value_name = "WORD")]
        op: Option<String>,
        /// Who says so
        #[arg(long, alias = "source", value_name = "NAME")]
        by: Option<String>,
        /// Return when it is on the disk; otherwise it is so within a second
        #[arg(long)]
        durable: bool,
        /// A name for what is recorded: what was recorded under it within a day is not counted again
        #[arg(long, value_name = "NAME")]
        batch: Option<String>,
    },
    /// Accesses, newest first
    #[command(after_help = "\
Examples:
  ipfs-kitctl access log --limit 20
  ipfs-kitctl access log bafy… --since 24h --source gateway -o ndjson")]
    Log {
        /// Only those of this CID, or of what its pin keeps
        #[arg(value_name = "CID", add = crate::complete::cids())]
        cid: Option<String>,
        /// Only those that this source has seen: record, kubo, gateway or mfs
        #[arg(long, value_name = "SOURCE", add = crate::complete::words(&["record", "kubo", "gateway", "mfs"]))]
        source: Option<String>,
        /// Only those from this time on, such as 24h (ago) or 2026-11-21T08:00:00Z
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Timestamp>,
        #[command(flatten)]
        show: Show,
    },
    /// Take accesses from the log of a web server before the gateway: common, combined, Caddy's JSON, nginx's JSON
    #[command(after_help = IMPORT)]
    Import {
        /// Logs, also compressed by gzip, oldest first; `-` is standard input
        #[arg(required = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        show: Show,
    },
}
