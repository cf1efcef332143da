//! Reads Kubo's log of requests while Kubo runs: every few seconds, one short call.
//!
//! Kubo drops a request from its log as soon as it is answered, unless somebody says otherwise after each start. A Kubo that somebody
//! else runs may have been told to keep them longer, which nobody can ask for: but then there are more old ones than it leaves
//! lying about by itself, and it is left as it is.

use super::health;
use super::requests::{self, About, Cursor};
use crate::analytics::actor::AnalyticsArgs;
use crate::cid::Cid;
use crate::fault::{ask, chain};
use crate::index::access::{AskCursor, Once, Seen, Told};
use crate::index::actor::vfs::AskEntry;
use crate::index::vfs::Place;
use crate::kubo::requests::Request;
use crate::kubo::rpc::{Rpc, RpcError};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::Fault;
use proto_msgs::access::AccessSource;
use proto_msgs::kubo::KuboMode;
use std::sync::Arc;
use std::time::Duration;

/// From one look to the next.
const LOOK: Duration = Duration::from_secs(5);
/// Requests stay for so long, so that a look or two may fail.
const KEEP: Duration = Duration::from_secs(60);
/// The same while there are so many that the log is too long to be read.
const KEEP_SHORT: Duration = Duration::from_secs(2 * LOOK.as_secs());
/// When a short log has fewer requests, one of a minute is not too long.
const FEW: usize = 2_000;
/// For so long a read of a path of MFS waits for a look at MFS that has the path as it was read.
const WAIT: SignedDuration = SignedDuration::from_secs(60);
/// Of such requests so many at most.
const WAITING: usize = 10_000;
/// For one call.
const DEADLINE: Duration = Duration::from_secs(5);
/// Answered requests that Kubo leaves in its log although their time has passed: it looks at every tenth.
const LEFT: usize = 10;
/// How long the RPC of a Kubo that is going may be on the board.
const WITHDRAWAL: Duration = Duration::from_secs(1);

/// Reads for as long as it is not dropped.
pub(super) async fn run(args: AnalyticsArgs) {
    let mut rpcs = args.board.rpc.subscribe();
    let mut config = args.config.clone();
    let (keep, waiting) = (Keep::Unknown, Vec::new());
    let mut reader = Reader { args, place: None, at: None, known: false, keep, waiting, trying: None };
    loop {
        // The board is as old as the process, so the senders can't be gone.
        let _ = config.wait_for(|config| config.analytics.kubo).await;
        let Ok(Some(rpc)) = rpcs.wait_for(Option::is_some).await.map(|rpc| rpc.clone()) else { return };
        reader.keep = Keep::Unknown;
        tokio::select! {
            () = reader.work(&rpc) => {}
            _ = rpcs.wait_for(|now| now.as_ref() != Some(&rpc)) => {}
            _ = config.wait_for(|config| !config.analytics.kubo) => {}
        }
    }
}

struct Reader {
    args: AnalyticsArgs,
    /// Where reading has come to, as it is kept.
    place: Option<String>,
    /// And in this process: what came since was about nothing of ours.
    at: Option<Cursor>,
    /// Whether these are known.
    known: bool,
    /// How long this run of Kubo keeps requests.
    keep: Keep,
    /// Requests that were read and wait for a look at MFS.
    waiting: Vec<Request>,
    /// A place that may be kept by now, and what waits then.
    trying: Option<(String, Vec<Request>)>,
}

/// How long Kubo keeps requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Nobody has looked.
    Unknown,
    /// For as long as somebody else has told it, which is longer than we would.
    Theirs,
    /// As we have told it.
    Ours(Duration),
}

impl Keep {
    /// How long it is to be after a look, which has found this log, or one that is too long. `own`: nobody else can have told it.
    fn next(self, own: bool, log: Option<&[Request]>, now: Timestamp) -> Keep {
        match (self, log) {
            (Keep::Unknown, Some(log)) if !own && keeps_longer(log, now) => Keep::Theirs,
            (Keep::Unknown, Some(_)) => Keep::Ours(KEEP),
            (Keep::Unknown, None) if !own => Keep::Unknown,
            (Keep::Unknown | Keep::Ours(_), None) => Keep::Ours(KEEP_SHORT),
            (Keep::Ours(KEEP_SHORT), Some(log)) if log.len() < FEW => Keep::Ours(KEEP),
            (Keep::Ours(_), Some(_)) | (Keep::Theirs, _) => self,
        }
    }
}

impl Reader {
    async fn work(&mut self, rpc: &Rpc) {
        loop {
            self.args.life.fault_point("requests");
            match self.look(rpc).await {
                Ok(wrong) => health::looked(&self.args.board, AccessSource::Kubo, wrong, None),
                Err(error) => {
                    // Kubo's end breaks a call a moment before the board says that it is gone; then nothing is wrong.
                    tokio::time::sleep(WITHDRAWAL).await;
                    health::failed(&self.args.board, AccessSource::Kubo, Some(error));
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One look; how many reads were of something that nobody can tell.
    async fn look(&mut self, rpc: &Rpc) -> Result<u64, String> {
        let failed = |error: &RpcError| format!("Kubo's log of requests cannot be read: {}", chain(error));
        let log = match rpc.requests(DEADLINE).await {
            Err(error @ RpcError::TooLarge { .. }) => {
                // What is too much is lost; a shorter log can be read.
                let _ = self.have_kept(rpc, None).await;
                return Err(failed(&error));
            }
            log => log.map_err(|error| failed(&error))?,
        };
        self.have_kept(rpc, Some(&log)).await.map_err(|error| failed(&error))?;
        if !self.known {
            self.remember().await?;
        }
        let (fresh, at) = requests::new(self.at, &log);
        let Some(at) = at else { return Ok(0) };
        let (looked, now) = (self.args.board.mfs.borrow().as_of, Timestamp::now());
        let room = self.waiting.len() < WAITING;
        let (later, ready): (Vec<&Request>, Vec<&Request>) =
            self.waiting.iter().chain(fresh).partition(|request| room && waits(request, looked, now));
        let later: Vec<Request> = later.into_iter().cloned().collect();
        let (seen, wrong) = self.resolve(&ready).await?;
        // The place is kept with what waits, so that nothing of that is read again.
        if seen.is_empty() && later.is_empty() && self.place.is_some() {
            (self.at, self.waiting) = (Some(at), later);
            return Ok(wrong);
        }
        let once =
            Once::Cursor { of: AccessSource::Kubo.name().to_owned(), from: self.place.clone(), to: at.to_string() };
        // Whoever does not hear whether it is kept asks for the place again.
        (self.known, self.trying) = (false, Some((at.to_string(), later)));
        let kept = self.args.recorder.record(Told { seen, once: Some(once) }, true).await;
        if kept.map_err(|fault| fault.detail)?.repeated {
            return Ok(wrong);
        }
        if self.place.is_none() {
            health::since(&self.args.board, AccessSource::Kubo, Timestamp::now());
        }
        (self.place, self.at, self.known) = (Some(at.to_string()), Some(at), true);
        self.kept();
        Ok(wrong)
    }

    /// Takes over what waits with the place that was tried, where that is the one that is kept.
    fn kept(&mut self) {
        if let Some((place, waiting)) = self.trying.take()
            && self.place.as_ref() == Some(&place)
        {
            self.waiting = waiting;
        }
    }

    /// Has Kubo keep requests for as long as is right after a look.
    async fn have_kept(&mut self, rpc: &Rpc, log: Option<&[Request]>) -> Result<(), RpcError> {
        let own = self.args.board.kubo.borrow().mode == KuboMode::Spawn;
        let next = self.keep.next(own, log, Timestamp::now());
        if let Keep::Ours(time) = next
            && next != self.keep
        {
            rpc.keep_requests(time, DEADLINE).await?;
        }
        self.keep = next;
        Ok(())
    }

    /// Where reading had come to before this process, or before another index came.
    async fn remember(&mut self) -> Result<(), String> {
        let of = AskCursor(AccessSource::Kubo.name().to_owned());
        let cursor = ask(&self.args.index, of).await.map_err(|fault: Fault| fault.detail)?;
        if let Some(cursor) = &cursor {
            health::since(&self.args.board, AccessSource::Kubo, cursor.since);
        }
        self.place = cursor.map(|cursor| cursor.place);
        let kept = self.place.as_deref().and_then(|place| place.parse().ok());
        // What this process has passed over since then was nothing, unless it was refused.
        self.at = kept;
        self.known = true;
        self.kept();
        Ok(())
    }

    /// What was read by these requests, and how many of them nobody can tell.
    async fn resolve(&self, fresh: &[&Request]) -> Result<(Vec<Seen>, u64), String> {
        let (mut seen, mut wrong) = (Vec::new(), 0);
        for request in fresh {
            for read in requests::wanted(request) {
                let (cid, path) = match read.about {
                    About::Named(named) => (Some(named.cid), named.path),
                    About::Mfs(path) => (self.in_mfs(&path).await?, None),
                    About::Unknown => (None, None),
                };
                let Some(cid) = cid else {
                    wrong += 1;
                    continue;
                };
                seen.push(Seen {
                    at: request.start_time,
                    cid,
                    path,
                    op: Some(Arc::from(read.op)),
                    bytes: read.bytes,
                    offset: read.offset,
                    source: AccessSource::Kubo,
                    by: None,
                });
            }
        }
        Ok((seen, wrong))
    }

    /// What stands at a path of MFS, as far as the index knows by now.
    async fn in_mfs(&self, path: &str) -> Result<Option<Cid>, String> {
        let Some(place) = Place::of(path) else { return Ok(None) };
        let found = ask(&self.args.index, AskEntry(place)).await.map_err(|fault: Fault| fault.detail)?;
        Ok(found.map(|found| found.put.cid))
    }
}

/// Whether it is about a path of MFS at which nobody has looked since, so that something else may stand there in the index.
fn waits(request: &Request, looked: Option<Timestamp>, now: Timestamp) -> bool {
    let soon = now.duration_since(request.start_time).abs() < WAIT;
    soon && looked.is_none_or(|looked| looked < request.start_time) && requests::in_mfs(request)
}

/// Whether somebody has told Kubo to keep requests for longer than we would.
fn keeps_longer(log: &[Request], now: Timestamp) -> bool {
    let keep = SignedDuration::try_from(KEEP).unwrap_or(SignedDuration::MAX);
    let old = |request: &&Request| !request.active && now.duration_since(request.end_time) > keep;
    log.iter().filter(old).count() > LEFT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T05:40:00Z".parse().expect("a time")
    }

    /// A request that was answered so many seconds ago.
    fn ended(seconds: i64) -> Request {
        Request {
            id: 1,
            command: "cat".to_owned(),
            args: Vec::new(),
            options: Default::default(),
            start_time: now(),
            end_time: now() - SignedDuration::from_secs(seconds),
            active: false,
        }
    }

    #[test]
    fn a_kubo_that_keeps_more_old_requests_than_it_does_by_itself_was_told_to() {
        let now = now();
        let active = Request { active: true, ..ended(1_000_000) };
        assert!(!keeps_longer(&vec![ended(300); LEFT], now), "it may leave so many lying about");
        assert!(!keeps_longer(&vec![ended(30); 100], now));
        assert!(!keeps_longer(&vec![active; 100], now));
        assert!(keeps_longer(&vec![ended(300); LEFT + 1], now));
    }

    #[test]
    fn a_read_of_a_path_of_mfs_waits_for_the_next_look_at_mfs_and_not_for_ever() {
        let read = Request { command: "files/read".to_owned(), args: vec!["/note".to_owned()], ..ended(0) };
        let after = |seconds: i64| now() + SignedDuration::from_secs(seconds);
        assert!(waits(&read, None, after(1)) && waits(&read, Some(after(-1)), after(1)));
        assert!(!waits(&read, Some(now()), after(1)) && !waits(&read, Some(after(1)), after(2)));
        assert!(!waits(&read, Some(after(-1)), after(60)), "MFS is not looked at");
        assert!(!waits(&read, None, after(-60)), "the clock was set back");
        assert!(!waits(&Request { args: vec!["/note".to_owned()], ..ended(0) }, None, after(1)), "another command");
    }

    #[test]
    fn a_busy_kubo_keeps_requests_for_less_until_it_is_less_busy_and_nobody_elses_setting_is_changed() {
        let now = now();
        let (few, many) = (vec![ended(1); FEW - 1], vec![ended(1); FEW]);
        let (long, short) = (Keep::Ours(KEEP), Keep::Ours(KEEP_SHORT));
        for own in [true, false] {
            assert_eq!(Keep::Unknown.next(own, Some(&few), now), long);
            assert_eq!((long.next(own, Some(&many), now), long.next(own, None, now)), (long, short));
            assert_eq!((short.next(own, None, now), short.next(own, Some(&many), now)), (short, short));
            assert_eq!(short.next(own, Some(&few), now), long, "it is put back");
        }
        assert_eq!(Keep::Unknown.next(true, None, now), short);
        assert_eq!(Keep::Unknown.next(false, None, now), Keep::Unknown, "somebody may have set it");
        let theirs = vec![ended(300); LEFT + 1];
        assert_eq!(Keep::Unknown.next(true, Some(&theirs), now), long);
        assert_eq!(Keep::Unknown.next(false, Some(&theirs), now), Keep::Theirs);
        assert_eq!(
            (Keep::Theirs.next(false, None, now), Keep::Theirs.next(false, Some(&few), now)),
            (Keep::Theirs, Keep::Theirs)
        );
    }
}
