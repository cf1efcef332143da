//! Asking an actor. What can go wrong between actors becomes a fault here and nowhere else.

use kameo::actor::ActorRef;
use kameo::error::SendError;
use kameo::message::Message;
use kameo::prelude::Actor;
use kameo::reply::Reply;
use proto_msgs::{Fault, FaultKind};
use std::time::Duration;

/// How long a message may wait for a place in a full mailbox.
const MAILBOX: Duration = Duration::from_secs(5);

/// An error and its causes, one after the other.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Words about what came from elsewhere, fit for one line: no control characters, and not too many.
pub fn brief(text: &str) -> String {
    const MOST: usize = 200;
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .take(MOST + 1)
        .collect();
    match shown.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

/// Works on a thread of its own: with files, or with more than a thread that others need may be kept for.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, Fault> {
    let defect = |error| Fault::new(FaultKind::Internal, format!("a defect of the daemon ended it: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(defect)
}

/// Asks; the caller bounds the time. An actor that fails meanwhile is `interrupted`.
pub async fn ask<A, M, R>(owner: &ActorRef<A>, message: M) -> Result<R, Fault>
where
    A: Actor + Message<M>,
    <A as Message<M>>::Reply: Reply<Ok = R, Error = Fault>,
    M: Send + Sync + 'static,
    R: Send + 'static,
{
    owner.ask(message).mailbox_timeout(MAILBOX).await.map_err(|error| match error {
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;
    use kameo::actor::Spawn;
    use kameo::error::Infallible;
    use kameo::message::Context;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    #[test]
    fn words_from_elsewhere_are_one_line_and_not_too_long() {
        assert_eq!(brief("it's \"é\"\n\u{1b}[2J\0"), "it's \"é\"\\n\\u{1b}[2J\\u{0}");
        assert_eq!(brief(&"é".repeat(300)), "é".repeat(200) + "...");
    }

    /// Answers when it is let.
    struct Slow(Arc<Semaphore>);
    struct Question;

    impl Actor for Slow {
        type Args = Arc<Semaphore>;
        type Error = Infallible;

        async fn on_start(let_go: Arc<Semaphore>, _: ActorRef<Slow>) -> Result<Slow, Infallible> {
            Ok(Slow(let_go))
        }
    }

    impl Message<Question> for Slow {
        type Reply = Result<(), Fault>;

        async fn handle(&mut self, _: Question, _: &mut Context<Self, Self::Reply>) -> Result<(), Fault> {
            self.0.acquire().await.expect("open").forget();
            Ok(())
        }
    }

    #[tokio::test]
    async fn s24_who_finds_a_full_mailbox_is_told_busy_and_who_is_in_it_is_answered() {
        let let_go = Arc::new(Semaphore::new(0));
        let slow = Slow::spawn(let_go.clone());
        let ask = |_| {
            let slow = slow.clone();
            async move { ask(&slow, Question).await.map_err(|fault| fault.kind) }
        };
        let mut answers: FuturesUnordered<_> = (0..200).map(ask).collect();
        let refused: Vec<_> = answers.by_ref().take(100).collect().await;
        assert!(refused.iter().all(|answer| *answer == Err(FaultKind::Busy)), "{refused:?}");
        let_go.add_permits(100);
        let rest: Vec<_> = answers.collect().await;
        let answered = rest.iter().filter(|answer| answer.is_ok()).count();
        // The mailbox and the one that is being answered, at the least.
        assert!(answered >= 65, "{rest:?}");
    }
}
