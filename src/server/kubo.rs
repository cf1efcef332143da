//! `kubo gc`, and what is said when Kubo goes away during a call.

use super::out::Parts;
use super::route::Routes;
use crate::fault::chain;
use crate::kubo::rpc::RpcError;
use proto_msgs::kubo::KuboGcDone;
use proto_msgs::pin::Progress;
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};
use std::time::Duration;

/// For the size of the repo, which Kubo sums up file by file.
const SIZE_DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn gone() -> Fault {
    Fault::new(FaultKind::KuboDown, "Kubo ended before it had answered").hint("`ipfs-kitctl kubo status` says more")
}

/// A client that hangs up ends the collection: its connection to Kubo is closed.
pub(super) async fn gc(routes: &Routes, uid: u32, parts: &Parts) -> Result<KuboGcDone, Fault> {
    let rpc = routes.board.kubo_rpc()?;
    tracing::info!(uid, "a client has Kubo collect its garbage");
    let size = async |when| match rpc.repo_size(SIZE_DEADLINE).await {
        Ok(size) => Some(size),
        Err(error) => {
            tracing::warn!("the size of the repo {when} the collection is not known: {}", chain(&error));
            None
        }
    };
    let collect = async {
        let bytes_before = size("before").await;
        let collected = rpc.gc(|blocks| parts.offer(Part::Progress(Progress { blocks, bytes: None }))).await?;
        let bytes_after = size("after").await;
        Ok::<_, RpcError>(KuboGcDone { blocks: collected.blocks, bytes_before, bytes_after, errors: collected.errors })
    };
    tokio::select! {
        done = collect => Ok(done?),
        () = routes.board.kubo_gone() => Err(gone()),
    }
}
