//! `kubo`: the Kubo daemon.

use super::Show;
use crate::parse::since;
use clap::Subcommand;
use jiff::Timestamp;

#[derive(Subcommand, Clone, Debug)]
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
    /// The configuration that it runs with, as it says itself; secrets are masked
    Config(Show),
    /// Remove the blocks that nothing keeps; returns when it is through
    Gc,
}
