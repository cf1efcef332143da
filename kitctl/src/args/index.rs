//! `index`: the pin index as a whole.

use super::Show;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Index {
    /// List Kubo's pins soon
    #[command(after_help = "Example:\n  ipfs-kitctl index refresh --wait")]
    Refresh {
        /// Return when a listing that began after this call has been applied
        #[arg(long)]
        wait: bool,
        /// Compare names too, which is slow above some ten thousand pins
        #[arg(long)]
        names: bool,
    },
    /// Begin no refresh unless somebody asks for one, until `resume` or the daemon's next start
    #[command(after_help = "Example:\n  ipfs-kitctl index pause")]
    Pause,
    /// Refresh at once, and go on by itself
    #[command(after_help = "Example:\n  ipfs-kitctl index resume")]
    Resume,
    /// Rows, age, pace, file and how far the sizes are measured
    #[command(after_help = "Example:\n  ipfs-kitctl index info")]
    Info,
    /// Write everything that Kubo cannot tell again into one file: marks, history, sizes, first sights, samples, imports
    #[command(after_help = "Example:\n  ipfs-kitctl index backup /var/backups/kitd.tar")]
    Backup {
        /// Where to; the daemon writes it, as its own user
        file: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Put a backup in the place of the index; what there was is kept as a backup
    #[command(after_help = "Example:\n  ipfs-kitctl index restore /var/backups/kitd.tar")]
    Restore {
        /// The backup; the daemon reads it, as its own user
        file: PathBuf,
        /// Also when it is of another node
        #[arg(long)]
        force: bool,
    },
    /// Read all of it, the journal and every snapshot (exit code 1 when something is wrong)
    #[command(after_help = "Example:\n  ipfs-kitctl index verify")]
    Verify,
    /// Write the file's log into the file, and the journal without what was said again later
    #[command(after_help = "Example:\n  ipfs-kitctl index compact")]
    Compact,
    /// Take what is worth keeping from files of the Python system of before; makes no pin (exit code 1 when one can't be read)
    #[command(after_help = "Example:\n  ipfs-kitctl index import ~/.ipfs_kit")]
    Import {
        /// One file, or its directory such as ~/.ipfs_kit
        path: PathBuf,
        #[command(flatten)]
        show: Show,
    },
}
