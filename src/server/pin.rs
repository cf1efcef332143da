//! `pin add` and `pin rm`: first Kubo, then the index, then the reply, so that the next `pin ls` has it.

use super::connection::Parts;
use super::route::Routes;
use crate::fault::ask;
use crate::index::apply::{ApplyAdded, ApplyRemoved};
use proto_msgs::pin::{PinAdd, PinAdded, PinRemoved, PinRm, PinType};
use proto_msgs::verb::{Done, Part, Verb};
use proto_msgs::{Fault, FaultKind};
use std::time::Duration;

const RPC_DEADLINE: Duration = Duration::from_secs(50);

pub(super) async fn add(routes: &Routes, verb: PinAdd, parts: &Parts) -> Result<Done, Fault> {
    let cid = crate::cid::parse(&verb.cid)?;
    let text = crate::cid::text(&cid);
    let rpc = routes.board.kubo_rpc()?;
    let pin_type = if verb.direct { PinType::Direct } else { PinType::Recursive };
    let name = verb.name.filter(|name| !name.is_empty());
    rpc.pin_add(&text, name.as_deref(), pin_type, |progress| parts.offer(Part::Progress(progress))).await?;
    // What Kubo holds now is the truth: it keeps a recursive pin where a direct one was asked for, or an older name.
    let Some((pin_type, name)) = rpc.pin_of(&text, RPC_DEADLINE).await? else {
        let detail = format!("Kubo pinned {text} and somebody else unpinned it at once");
        return Err(Fault::new(FaultKind::Conflict, detail));
    };
    let (generation, pin) = ask(&routes.index, ApplyAdded { cid, pin_type, name }).await?;
    Ok(PinAdd::done(PinAdded { generation, pin }))
}

pub(super) async fn rm(routes: &Routes, verb: PinRm) -> Result<Done, Fault> {
    let cid = crate::cid::parse(&verb.cid)?;
    let text = crate::cid::text(&cid);
    routes.board.kubo_rpc()?.pin_rm(&text, RPC_DEADLINE).await?;
    let generation = ask(&routes.index, ApplyRemoved { cid }).await?;
    Ok(PinRm::done(PinRemoved { generation, cid: text }))
}
