//! `vfs`: MFS.

use super::Show;
use clap::Subcommand;

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Vfs {
    /// What a directory of MFS holds
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
    Info {
        /// From the root on
        path: String,
    },
    /// What has changed in MFS, oldest first
    Journal {
        /// Only changes after this number
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        since: u64,
        #[command(flatten)]
        show: Show,
    },
}
