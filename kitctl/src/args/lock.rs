//! `lock`: locks of the repo.

use super::Show;
use clap::Subcommand;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Lock {
    /// Verdict and evidence for each lock file of the repo
    #[command(after_help = "Example:\n  ipfs-kitctl lock check -o wide")]
    Check(Show),
    /// Clear away what a dead process left (exit code 1 when something stays in the way of Kubo)
    #[command(after_help = "Example:\n  ipfs-kitctl lock clean --dry-run")]
    Clean {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Vouch for what cannot be judged; a lock that is held is never touched
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        show: Show,
    },
    /// Wait until nobody holds the repo, our own Kubo included, and nothing is in the way
    #[command(after_help = "Example:\n  ipfs-kitctl lock wait --timeout 5m")]
    Wait,
}
