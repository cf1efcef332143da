//! `events`: which of them.

use crate::parse::{After, after};
use proto_msgs::event::What;

const EXAMPLES: &str = "\
Examples:
  ipfs-kitctl events --since 10m
  ipfs-kitctl events --kind kubo,error -n 5
  ipfs-kitctl events -f -o ndjson";

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Events {
    /// Only events after this number, or from this time on, such as 10m (ago) or 2026-11-21T08:00:00Z; numbers begin with 1 at
    /// each start of the daemon
    #[arg(long, value_name = "SEQ|TIME", value_parser = after)]
    pub(crate) since: Option<After>,
    /// How many of those that have happened, the newest [default: all that are kept; 10 with --follow and without --since]
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Only events of these kinds
    #[arg(long = "kind", value_name = "KIND,…", value_delimiter = ',', value_parser = What::KINDS)]
    pub(crate) kinds: Vec<String>,
    /// Say how things stand first, and go on with each event that comes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
}
