//! What is kept of calls that change the node, the daemon or files: who asked, for what, and what came of it. In the daemon's log,
//! under the target `audit`.

use super::authority::Peer;
use proto_msgs::Fault;
use proto_msgs::verb::{Call, Done};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest call that is shown whole, in bytes.
const SHOWN: usize = 500;

/// Refusals of one uid that are told one by one in [`WHILE`]. Of more only their number is told at its end, so that nobody can fill the log
/// with what he may not do.
const TOLD: u32 = 10;
const WHILE: Duration = Duration::from_secs(60);

/// Refusals of the last while, by uid.
#[derive(Clone, Default)]
pub struct Refusals(Arc<Mutex<HashMap<u32, Refused>>>);

struct Refused {
    began: Instant,
    told: u32,
    untold: u64,
}

/// What becomes of one more.
#[derive(Debug, PartialEq, Eq)]
enum Telling {
    Now,
    /// It is the first that is only counted; the number is to be told then.
    Later(Instant),
    /// It is counted.
    Counted,
}

impl Refusals {
    fn one(&self, uid: u32, now: Instant) -> Telling {
        let mut uids = self.uids();
        uids.retain(|_, refused| refused.untold > 0 || now < refused.began + WHILE);
        let refused = uids.entry(uid).or_insert(Refused { began: now, told: 0, untold: 0 });
        if refused.told < TOLD {
            refused.told += 1;
            return Telling::Now;
        }
        refused.untold += 1;
        if refused.untold == 1 { Telling::Later(refused.began + WHILE) } else { Telling::Counted }
    }

    /// How many were not told; the next while begins with the next one.
    fn untold(&self, uid: u32) -> u64 {
        self.uids().remove(&uid).map_or(0, |refused| refused.untold)
    }

    fn uids(&self) -> MutexGuard<'_, HashMap<u32, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

    /// When it is refused, because its caller may not ask for it.
    pub(super) fn refuse(mut self, answer: &Result<Done, Fault>, refusals: &Refusals) {
        let uid = self.uid;
        match refusals.one(uid, Instant::now()) {
            Telling::Now => return self.end(answer),
            Telling::Later(then) => {
                let refusals = refusals.clone();
                tokio::spawn(async move {
                    tokio::time::sleep_until(then.into()).await;
                    let calls = refusals.untold(uid);
                    tracing::warn!(target: "audit", uid, calls, "audit: so many more calls were refused within a minute");
                });
            }
            Telling::Counted => {}
        }
        self.answered = true;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_refusals_of_one_uid_the_first_are_told_and_then_their_number() {
        let (refusals, begin) = (Refusals::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        for n in 0..TOLD {
            assert_eq!(refusals.one(7, at(u64::from(n))), Telling::Now);
        }
        assert_eq!(refusals.one(7, at(20)), Telling::Later(begin + WHILE));
        assert!((0..1000).all(|_| refusals.one(7, at(59)) == Telling::Counted));
        assert_eq!(refusals.one(8, at(59)), Telling::Now, "another one has its own");
        assert_eq!(refusals.one(7, at(61)), Telling::Counted, "until it is told");
        assert_eq!(refusals.untold(7), 1002);
        assert_eq!(refusals.one(7, at(62)), Telling::Now);
        assert_eq!(refusals.one(8, at(200)), Telling::Now);
        assert_eq!(refusals.uids().len(), 1, "of whom it is long ago nothing is kept");
    }
}
