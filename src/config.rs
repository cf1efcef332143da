//! The configuration in force.

use std::path::PathBuf;
use std::time::Duration;

/// Every setting, resolved.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the index, the journal and the snapshots live.
    pub data_dir: PathBuf,
    /// Where the sockets live.
    pub runtime_dir: PathBuf,
    /// Kubo's repo.
    pub ipfs_path: PathBuf,
    /// Kubo's program: a path, or a name to look up in `PATH`.
    pub kubo: PathBuf,
    /// Arguments after `ipfs daemon --migrate`.
    pub kubo_args: Vec<String>,
    /// Profiles for `ipfs init`.
    pub init_profiles: Vec<String>,
    /// The least time from the start of one refresh to the start of the next.
    pub interval: Duration,
    /// The largest share of wall time that refreshes may take.
    pub busy_share: f64,
    /// How long Kubo may take to stop before it is killed.
    pub stop_grace: Duration,
    /// How long Kubo may take to become ready.
    pub start_timeout: Duration,
}

impl Config {
    /// The socket that clients use.
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join(proto_msgs::SOCKET_NAME)
    }

    /// Kubo's RPC and notify sockets, for nobody else.
    pub fn private_dir(&self) -> PathBuf {
        self.runtime_dir.join("private")
    }

    /// The index file's directory.
    pub fn index_dir(&self) -> PathBuf {
        self.data_dir.join("index")
    }

    /// PeerID and repo path of the node that this data dir belongs to.
    pub fn node_file(&self) -> PathBuf {
        self.data_dir.join("node.json")
    }
}
