//! What Kubo tells of content, from the blocks that it has: `offline=true` in every call, so that nothing is ever fetched.

use super::rpc::{Rpc, RpcError, encoded};
use proto_msgs::pin::ContentKind;
use serde::Deserialize;
use std::time::Duration;

/// The largest number that every reader of JSON gets back exactly. No node holds so much; a root may say so.
pub const MOST: u64 = (1 << 53) - 1;
/// Go's mark of a symbolic link in a file's mode.
const SYMLINK: u32 = 1 << 27;

/// What the root block of a UnixFS file, a directory, or a raw block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Stat")]
pub struct RootStat {
    /// A directory, sharded or not, or a file, to which a symbolic link counts, too.
    pub kind: ContentKind,
    /// Whether it is a symbolic link.
    pub symlink: bool,
    /// Bytes of a file.
    pub size: u64,
    /// Bytes of all blocks, as its links say; what occurs twice counts twice.
    pub cumulative: u64,
    /// How many links it has.
    pub links: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stat {
    size: u64,
    cumulative_size: u64,
    blocks: u64,
    #[serde(rename = "Type")]
    of: String,
    /// In octal; not there when the block has none.
    #[serde(default)]
    mode: String,
}

impl From<Stat> for RootStat {
    fn from(stat: Stat) -> RootStat {
        RootStat {
            kind: if stat.of == "directory" { ContentKind::Directory } else { ContentKind::File },
            symlink: u32::from_str_radix(&stat.mode, 8).is_ok_and(|mode| mode & SYMLINK != 0),
            size: stat.size,
            cumulative: stat.cumulative_size,
            links: stat.blocks,
        }
    }
}

impl Rpc {
    /// Looks at the root block alone.
    pub async fn root_stat(&self, cid: &str, deadline: Duration) -> Result<RootStat, RpcError> {
        let call = format!("files/stat?arg={}&offline=true", encoded(&format!("/ipfs/{cid}")));
        self.short("files/stat", &call, deadline).await
    }

    /// Bytes of all blocks of some DAGs, each counted once; Kubo reads every one of them.
    pub async fn whole_size(&self, cids: &[&str], deadline: Duration) -> Result<u64, RpcError> {
        #[derive(Deserialize)]
        struct Stat {
            #[serde(rename = "TotalSize")]
            size: u64,
        }
        // Its progress would be a line for every block.
        let args: String = cids.iter().map(|cid| format!("arg={}&", encoded(cid))).collect();
        let call = format!("dag/stat?{args}progress=false&offline=true");
        Ok(self.short::<Stat>("dag/stat", &call, deadline).await?.size)
    }
}
