//! `vfs`: MFS.

use super::Show;
use clap::Subcommand;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Vfs {
    /// What a directory of MFS holds
    #[command(after_help = "Example:\n  ipfs-kitctl vfs ls /photos --sort size:desc")]
    Ls {
        /// From the root on
        #[arg(default_value = "/")]
        path: String,
        /// Only names behind this one
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
        #[command(flatten)]
        show: Show,
    },
    /// What is known of one path
    #[command(after_help = "Example:\n  ipfs-kitctl vfs info /photos")]
    Info {
        /// From the root on
        path: String,
    },
    /// What has changed in MFS, oldest first
    #[command(after_help = "Example:\n  ipfs-kitctl vfs journal --since 100")]
    Journal {
        /// Only changes after this number
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        since: u64,
        #[command(flatten)]
        show: Show,
    },
}
