//! `pin tag`, `pin note`, `pin tier`: what people say of CIDs. Checked here, kept by the index; Kubo is not asked.

use crate::fault::ask;
use crate::index::actor::Index;
use crate::index::mark::What;
use crate::index::marks::Say;
use kameo::actor::ActorRef;
use proto_msgs::pin::{PinMarked, PinNote, PinTag, PinTier};
use proto_msgs::verb::{Done, Verb};
use proto_msgs::{Fault, FaultKind};

pub(super) async fn tag(index: &ActorRef<Index>, verb: PinTag) -> Result<Done, Fault> {
    say(index, &verb.cid, What::tags(verb.add, verb.remove)).await.map(PinTag::done)
}

pub(super) async fn note(index: &ActorRef<Index>, verb: PinNote) -> Result<Done, Fault> {
    say(index, &verb.cid, What::note(verb.note)).await.map(PinNote::done)
}

pub(super) async fn tier(index: &ActorRef<Index>, verb: PinTier) -> Result<Done, Fault> {
    say(index, &verb.cid, What::tier(verb.tier)).await.map(PinTier::done)
}

async fn say(index: &ActorRef<Index>, cid: &str, what: Result<What, String>) -> Result<PinMarked, Fault> {
    let cid = crate::cid::parse(cid)?;
    let what = what.map_err(|why| Fault::new(FaultKind::Invalid, why))?;
    ask(index, Say { cid, what }).await
}
