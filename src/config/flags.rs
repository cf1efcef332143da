//! The daemon's command line. Its help is the short description of every setting that has a flag.

use clap::Parser;
use std::path::PathBuf;

/// Keeps one Kubo node running, owns the index of its pins, and answers for both over a Unix socket.
///
/// Every setting can also stand in the configuration file (`interval = "30s"`) and in the environment (IPFS_KITD_INTERVAL);
/// `--print-config` shows each value and where it came from.
#[derive(Parser, Debug, Default)]
#[command(
    name = "ipfs-kitd",
    version,
    after_help = "Exit codes: 0 stopped in order, 2 usage, 75 another daemon owns the data \
directory, 78 configuration or a newer index, 1 everything else."
)]
pub struct Flags {
    /// Configuration file [default: config.toml in $CONFIGURATION_DIRECTORY, in $XDG_CONFIG_HOME/ipfs-kitd, in /etc/ipfs-kitd]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Where the index and the journal live [default: ~/.ipfs_kit]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the socket lives [default: $XDG_RUNTIME_DIR/ipfs-kitd, else <data dir>/run]
    #[arg(long, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,
    /// Kubo's repo [default: $IPFS_PATH, an existing ~/.ipfs, else <data dir>/ipfs]
    #[arg(long, value_name = "DIR")]
    pub ipfs_path: Option<PathBuf>,
    /// Kubo's program, a path or a name [default: ipfs]
    #[arg(long, value_name = "PATH")]
    pub kubo: Option<PathBuf>,
    /// An argument for `ipfs daemon`; may be given more than once
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub kubo_arg: Vec<String>,
    /// A profile for `ipfs init`, should there be no repo yet; may be given more than once
    #[arg(long, value_name = "PROFILE")]
    pub init_profile: Vec<String>,
    /// Least time between the starts of two refreshes, such as 30s or 5m [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub interval: Option<String>,
    /// How long Kubo may take to stop before it is killed [default: 60s]
    #[arg(long, value_name = "DURATION")]
    pub stop_grace: Option<String>,
    /// How long Kubo may take to become ready before `status` calls it slow [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub start_timeout: Option<String>,
    /// How long a Kubo that was ready may answer nothing before it is restarted; 0s: for ever [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub hang_limit: Option<String>,
    /// Follow a Kubo that somebody else runs, at this address of its RPC, instead of running one; `repo`: as its repo says
    #[arg(long, value_name = "ADDRESS")]
    pub attach: Option<String>,
    /// A file with the secret that Kubo's RPC asks for (API.Authorizations in its config), as `bearer:…` or `basic:user:password`
    #[arg(long, value_name = "FILE")]
    pub api_auth_file: Option<PathBuf>,
    /// A program to run when Kubo's state changes, and its arguments; one flag each
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub hook: Vec<String>,
    /// Check the configuration and what it names, and exit; nothing is started or made
    #[arg(long)]
    pub check_config: bool,
    /// Print every setting with its source and exit
    #[arg(long)]
    pub print_config: bool,
}
