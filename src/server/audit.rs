//! What is kept of calls that change the node, the daemon or files: who asked, for what, and what came of it. In the daemon's log,
//! under the target `audit`.

use super::authority::Peer;
use proto_msgs::Fault;
use proto_msgs::verb::{Call, Done};
use std::time::Instant;

/// The longest call that is shown whole, in bytes.
const SHOWN: usize = 500;

/// One such call. Dropped without an answer, it has ended with its client.
pub(super) struct Audit {
    uid: u32,
    call: String,
    began: Instant,
    answered: bool,
}

impl Audit {
    /// Before it is judged.
    pub(super) fn begin(peer: Peer, call: &Call) -> Audit {
        let mut text = serde_json::to_string(call).unwrap_or_else(|_| call.name().to_owned());
        if text.len() > SHOWN {
            text.truncate(text.floor_char_boundary(SHOWN));
            text.push('…');
        }
        Audit { uid: peer.uid, call: text, began: Instant::now(), answered: false }
    }

    /// When it is answered.
    pub(super) fn end(mut self, answer: &Result<Done, Fault>) {
        self.answered = true;
        let (uid, call, took_s) = (self.uid, &self.call, self.began.elapsed().as_secs_f64());
        match answer {
            Ok(_) => tracing::info!(target: "audit", uid, call, took_s, "audit: done"),
            Err(fault) => {
                let (kind, detail) = (fault.kind.name(), &fault.detail);
                tracing::warn!(target: "audit", uid, call, took_s, kind, detail, "audit: not done");
            }
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if !self.answered {
            let (uid, call, took_s) = (self.uid, &self.call, self.began.elapsed().as_secs_f64());
            tracing::warn!(target: "audit", uid, call, took_s, "audit: given up; whether it had an effect is unknown");
        }
    }
}
