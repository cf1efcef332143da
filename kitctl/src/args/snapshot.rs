//! `snapshot`: files that the daemon publishes.

use super::Show;
use clap::Subcommand;
use std::ffi::OsString;

const FD: &str = "\
The command takes the place of this program, so its exit code is the answer: 127 when it is not found, 126 when it can't be started. \
IPFS_KITD_SNAPSHOT, IPFS_KITD_GENERATION and IPFS_KITD_AS_OF say what it reads. The file can be mapped, and stays readable when the snapshot is \
long gone.

Example:
  ipfs-kitctl snapshot fd -- cp /dev/stdin pins.arrow";

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
    /// Run a command with the newest pins.arrow as its standard input, opened by the daemon: the same time for any number of pins
    #[command(after_help = FD)]
    Fd {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
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
