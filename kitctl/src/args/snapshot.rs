//! `snapshot`: files that the daemon publishes.

use super::Show;
use clap::Subcommand;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Snapshot {
    /// Publish one now, whatever the budget says; returns when it is on disk
    #[command(after_help = "Example:\n  ipfs-kitctl snapshot now")]
    Now {
        /// With pins.arrow, however many pins there are
        #[arg(long)]
        arrow: bool,
    },
    /// List them, newest first
    #[command(after_help = "Example:\n  ipfs-kitctl snapshot ls --sort bytes:desc")]
    Ls(Show),
    /// Print the directory of the newest one of which every digest is right
    #[command(after_help = "Example:\n  ls $(ipfs-kitctl snapshot path)")]
    Path,
    /// Read every byte and compare with the digests (exit code 1 when something is wrong)
    #[command(after_help = "Example:\n  ipfs-kitctl snapshot verify")]
    Verify {
        /// A generation, or a name as `snapshot ls` shows it [default: all]
        #[arg(value_name = "SNAPSHOT", add = crate::complete::snapshots())]
        snapshot: Option<String>,
        #[command(flatten)]
        show: Show,
    },
}
