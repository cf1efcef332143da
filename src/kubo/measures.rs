//! What Kubo measures of itself.

use super::rpc::{Rpc, RpcError};
use serde::Deserialize;
use std::time::Duration;

/// The repo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct RepoStat {
    /// Bytes.
    #[serde(rename = "RepoSize")]
    pub size: u64,
    /// Bytes at which garbage would be collected; the largest number there is when there is no limit.
    #[serde(rename = "StorageMax")]
    pub limit: u64,
}

/// Bytes since Kubo began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Traffic {
    /// Received.
    #[serde(rename = "TotalIn")]
    pub bytes_in: u64,
    /// Sent.
    #[serde(rename = "TotalOut")]
    pub bytes_out: u64,
}

/// The root of MFS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MfsRoot {
    /// As Kubo prints it.
    #[serde(rename = "Hash")]
    pub cid: String,
    /// Bytes of all blocks, as its links say; what occurs twice counts twice.
    #[serde(rename = "CumulativeSize")]
    pub cumulative: u64,
}

impl Rpc {
    /// The repo as Kubo counts it, without a look at each block.
    pub async fn repo_stat(&self, deadline: Duration) -> Result<RepoStat, RpcError> {
        self.short("repo/stat", "repo/stat?size-only=true", deadline).await
    }

    /// What went over the network; refused while Kubo is offline, or where nobody counts. A poll would hold up Kubo's stop.
    pub async fn traffic(&self, deadline: Duration) -> Result<Traffic, RpcError> {
        self.short("stats/bw", "stats/bw?poll=false", deadline).await
    }

    /// The root of MFS, by its block alone.
    pub async fn mfs_root(&self, deadline: Duration) -> Result<MfsRoot, RpcError> {
        self.short("files/stat", "files/stat?arg=/&offline=true", deadline).await
    }
}
