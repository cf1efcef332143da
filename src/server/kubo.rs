//! `kubo gc`, `kubo config`, and what is said when Kubo goes away during a call.

use super::out::Parts;
use super::route::Routes;
use crate::board::Board;
use crate::fault::chain;
use crate::kubo::rpc::RpcError;
use proto_msgs::kubo::{KuboConfigReport, KuboGcDone, KuboMode};
use proto_msgs::pin::Progress;
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};
use std::pin::pin;
use std::time::Duration;

/// For the size of the repo, which Kubo sums up file by file.
const SIZE_DEADLINE: Duration = Duration::from_secs(30);
/// Kubo's end breaks a call a moment before the board says that it is gone.
const WITHDRAWAL: Duration = Duration::from_millis(250);

pub(super) fn gone(board: &Board) -> Fault {
    let what = match board.kubo.borrow().mode {
        KuboMode::Spawn => "Kubo ended",
        KuboMode::Attach | KuboMode::Unknown => "the Kubo that is followed went out of reach",
    };
    let detail = format!("{what} before it had answered");
    Fault::new(FaultKind::KuboDown, detail).hint("`ipfs-kitctl kubo status` says more")
}

/// For Kubo's configuration, which it reads anew.
const CONFIG_DEADLINE: Duration = Duration::from_secs(30);

pub(super) async fn config(routes: &Routes) -> Result<KuboConfigReport, Fault> {
    let settings = routes.board.kubo_rpc()?.config(CONFIG_DEADLINE).await?;
    Ok(KuboConfigReport { settings })
}

/// A client that hangs up ends the collection: its connection to Kubo is closed.
pub(super) async fn gc(routes: &Routes, parts: &Parts) -> Result<KuboGcDone, Fault> {
    let rpc = routes.board.kubo_rpc()?;
    let size = async |when| match rpc.repo_stat(SIZE_DEADLINE).await.map(|stat| stat.size) {
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
    let mut end = pin!(routes.board.kubo_gone());
    let error = tokio::select! {
        done = collect => match done {
            Ok(done) => return Ok(done),
            Err(error) => error,
        },
        () = &mut end => return Err(gone(&routes.board)),
    };
    if !error.broke_off() {
        return Err(error.into());
    }
    if tokio::time::timeout(WITHDRAWAL, end).await.is_ok() {
        return Err(gone(&routes.board));
    }
    let detail = format!("{}; Kubo still runs, and what it had removed by then is gone", chain(&error));
    Err(Fault::new(FaultKind::Kubo, detail).hint("`ipfs-kitctl kubo logs` may say why; ask again"))
}
