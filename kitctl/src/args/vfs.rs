//! `vfs`: MFS.

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub(crate) enum Vfs {
    /// What a directory of MFS holds
    Ls {
        /// From the root on
        #[arg(default_value = "/")]
        path: String,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// Only names behind this one
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
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
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
}
