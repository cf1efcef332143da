//! Asking an actor. What can go wrong between actors becomes a fault here and nowhere else.

use kameo::actor::ActorRef;
use kameo::error::SendError;
use kameo::message::Message;
use kameo::prelude::Actor;
use kameo::reply::Reply;
use proto_msgs::{Fault, FaultKind};

/// An error and its causes, one after the other.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Asks; the caller bounds the time. An actor that fails meanwhile is `interrupted`.
pub async fn ask<A, M, R>(owner: &ActorRef<A>, message: M) -> Result<R, Fault>
where
    A: Actor + Message<M>,
    <A as Message<M>>::Reply: Reply<Ok = R, Error = Fault>,
    M: Send + Sync + 'static,
    R: Send + 'static,
{
    owner.ask(message).await.map_err(|error| match error {
        SendError::HandlerError(fault) => fault,
        SendError::MailboxFull(_) | SendError::Timeout(_) => {
            Fault::new(FaultKind::Busy, "the daemon has too much to do").hint("ask again in a moment")
        }
        SendError::ActorNotRunning(_) | SendError::ActorStopped | SendError::ActorRestarting(_) => {
            let detail = "the part of the daemon that worked on this call failed and is being restarted";
            Fault::new(FaultKind::Interrupted, detail).hint(
                "whether the call had an effect is unknown; `ipfs-kitctl status` shows the restart, then ask again",
            )
        }
    })
}
