//! What people ask of Kubo: start, stop, restart. Each is noted, so that it lasts, and answered when it is done or can't be.

use super::actor::Kubo;
use super::goal::Goal;
use super::state::Event;
use super::wish;
use kameo::message::{Context, Message};
use kameo::reply::{DelegatedReply, ReplySender};
use proto_msgs::kubo::{KuboReport, KuboRestart, KuboStart, KuboStop};
use proto_msgs::{Fault, FaultKind};

type Answer = Result<KuboReport, Fault>;

impl Kubo {
    /// Does what a person wants, and notes it, so that it lasts; the answer says that it is done and noted.
    async fn wish(&mut self, event: Event, goal: Goal, reply: Option<ReplySender<Answer>>) {
        self.args.life.fault_point("message");
        let config = self.args.config.borrow().clone();
        if config.attach.is_some() {
            if let Some(reply) = reply {
                reply.send(Err(not_ours(&self.report())));
            }
            return;
        }
        let stop = goal == Goal::Ended;
        let noted = wish::note(&config, stop).await;
        match (noted, reply) {
            (Err(error), Some(reply)) => {
                let wanted = if stop { "stay stopped" } else { "run" };
                let detail = format!("Kubo is to {wanted}, but a restart of the daemon will not know it: {error}");
                reply.send(Err(
                    Fault::new(FaultKind::Internal, detail).hint("make room, or mend the data dir's permissions")
                ));
            }
            (_, reply) => self.waiting.extend(reply.map(|reply| (goal, reply))),
        }
        self.happened(event);
    }
}

fn not_ours(report: &KuboReport) -> Fault {
    let detail = format!("somebody else runs the Kubo at {}, and the daemon only follows it", report.rpc);
    Fault::new(FaultKind::NotOurs, detail)
        .hint("do it where it is run (for example `systemctl restart ipfs`); without `attach` the daemon runs its own")
}

macro_rules! asked {
    ($($verb:ident => $event:ident, $goal:ident;)*) => { $(
        impl Message<$verb> for Kubo {
            type Reply = DelegatedReply<Answer>;

            async fn handle(&mut self, _: $verb, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
                let (delegated, reply) = ctx.reply_sender();
                self.wish(Event::$event, Goal::$goal, reply).await;
                delegated
            }
        }
    )* };
}

asked! {
    KuboStart => StartAsked, Ready;
    KuboStop => StopAsked, Ended;
    KuboRestart => RestartAsked, Ready;
}
