//! `kubo`: the Kubo daemon.

use super::Show;
use crate::parse::since;
use clap::Subcommand;
use jiff::Timestamp;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Kubo {
    /// State, cause of the last exit, next retry; restarts, also those that were asked for (exit code 3 when it isn't running)
    #[command(after_help = "Example:\n  ipfs-kitctl kubo status --watch")]
    Status,
    /// Start it; returns when it is ready
    #[command(after_help = "Example:\n  ipfs-kitctl kubo start --timeout 5m")]
    Start,
    /// Stop it until the next start; returns when it has ended
    #[command(after_help = "Example:\n  ipfs-kitctl kubo stop")]
    Stop,
    /// Stop and start it; returns when it is ready
    #[command(after_help = "Example:\n  ipfs-kitctl kubo restart")]
    Restart,
    /// Its newest lines of output
    #[command(after_help = "Examples:\n  ipfs-kitctl kubo logs -f\n  ipfs-kitctl kubo logs --since 10m -o ndjson")]
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
    /// Its configuration as in its file now, secrets masked; what was changed since its start applies after a restart
    #[command(after_help = "Example:\n  ipfs-kitctl kubo config --columns key,value")]
    Config(Show),
    /// Remove the blocks that nothing keeps; returns when it is through
    #[command(after_help = "Example:\n  ipfs-kitctl kubo gc")]
    Gc,
}
