//! `events`, `kubo logs` and `log`: what is kept, and with `follow` what comes. A client that reads slowly is told what it has missed; it
//! holds up nobody.

use super::out::{Gone, PAGE, Parts};
use super::route::Routes;
use super::status;
use crate::events::EventLog;
use crate::ring::Shared;
use jiff::Timestamp;
use proto_msgs::event::{EventPage, EventState, Events};
use proto_msgs::kubo::{KuboLogPage, KuboLogs, KuboMode};
use proto_msgs::log::{Log, LogLevel, LogPage};
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};

/// Lines of a page, unless another number or a time is asked for.
const LINES: u32 = 100;
const MOST_LINES: u32 = 2000;

pub(super) async fn events(routes: &Routes, verb: Events, parts: &Parts) -> Result<EventPage, Fault> {
    let state = status::before_events(&routes.board);
    told(&routes.board.events, state, verb, parts).await
}

async fn told(log: &EventLog, state: EventState, verb: Events, parts: &Parts) -> Result<EventPage, Fault> {
    let mut since = verb.since.unwrap_or(0);
    room(parts).await?;
    // First: what comes after this look is in the page, or waited for.
    let mut newest = log.newest();
    let seen = *newest.borrow_and_update();
    let mut page = log.after(since, verb.epoch.as_deref());
    page.state = Some(state);
    if !verb.follow {
        return Ok(page);
    }
    loop {
        // A number of another epoch is no number of ours.
        since = page.events.last().map_or_else(|| since.min(seen), |last| last.seq);
        send(parts, Part::Events(page)).await?;
        // The board is as old as the process, so the sender can't be gone.
        drop(newest.wait_for(|newest| *newest > since).await);
        room(parts).await?;
        page = log.after(since, None);
    }
}

pub(super) async fn kubo_logs(routes: &Routes, verb: KuboLogs, parts: &Parts) -> Result<KuboLogPage, Fault> {
    if routes.board.kubo.borrow().mode == KuboMode::Attach {
        let detail = "somebody else runs this Kubo, and its output goes there";
        return Err(
            Fault::new(FaultKind::NotOurs, detail).hint("look where it is run, for example `journalctl -u ipfs`")
        );
    }
    let tail = Tail { lines: verb.lines, since: verb.since.as_deref(), follow: verb.follow };
    let page = |(lines, dropped)| KuboLogPage { lines, dropped };
    let part = |some| Part::KuboLogs(page(some));
    tail.of(routes.spawner.output().lines(), |line| &line.at, |_| true, part, parts).await.map(page)
}

pub(super) async fn log(verb: Log, parts: &Parts) -> Result<LogPage, Fault> {
    let tail = Tail { lines: verb.lines, since: verb.since.as_deref(), follow: verb.follow };
    let least = verb.level.unwrap_or(LogLevel::Trace);
    let page = |(lines, dropped)| LogPage { lines, dropped };
    let part = |some| Part::Log(page(some));
    tail.of(crate::log::kept(), |line| &line.at, |line| line.level <= least, part, parts).await.map(page)
}

/// What a client wants of lines that are kept.
struct Tail<'a> {
    lines: Option<u32>,
    since: Option<&'a str>,
    follow: bool,
}

impl Tail<'_> {
    /// Lines, and how many are no longer kept; with `follow` nothing but parts of them.
    async fn of<T: Clone>(
        &self,
        kept: &Shared<T>,
        at: impl Fn(&T) -> &str,
        wanted: impl Fn(&T) -> bool,
        part: impl Fn((Vec<T>, u64)) -> Part,
        parts: &Parts,
    ) -> Result<(Vec<T>, u64), Fault> {
        let since = self.since.map(crate::time::parse).transpose()?;
        let most = self.lines.unwrap_or(if since.is_some() { MOST_LINES } else { LINES }).min(MOST_LINES) as usize;
        let recent = |line: &T| since.is_none_or(|since| at(line).parse::<Timestamp>().is_ok_and(|at| at >= since));
        room(parts).await?;
        let (mut some, mut number) = {
            let ring = kept.lock();
            ((ring.newest(most, recent, &wanted), ring.dropped()), ring.written())
        };
        if !self.follow {
            return Ok(some);
        }
        // What was dropped before the first page was not asked for.
        some.1 = 0;
        let mut growth = kept.lock().growth();
        loop {
            send(parts, part(some)).await?;
            drop(growth.wait_for(|newest| *newest > number).await);
            room(parts).await?;
            (some, number) = {
                let ring = kept.lock();
                (ring.after(number, &wanted), ring.written())
            };
        }
    }
}

async fn room(parts: &Parts) -> Result<(), Fault> {
    parts.make_room(PAGE).await.map_err(hung_up)
}

async fn send(parts: &Parts, part: Part) -> Result<(), Fault> {
    parts.send(part).await.map_err(hung_up)
}

fn hung_up(_: Gone) -> Fault {
    Fault::new(FaultKind::Cancelled, "the client hung up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::budget::{Account, Budget};
    use crate::server::out::{Form, Out};
    use futures_util::FutureExt;
    use proto_msgs::daemon::LastError;
    use proto_msgs::event::What;
    use proto_msgs::json;
    use proto_msgs::kubo::KuboState;
    use proto_msgs::verb::Body;

    fn state() -> EventState {
        EventState {
            at: String::new(),
            seq: 0,
            version: String::new(),
            stopping: false,
            kubo: KuboState::Running,
            generation: 0,
            pins: 0,
            complete: true,
            as_of: None,
        }
    }

    #[test]
    fn whoever_reads_nothing_holds_up_nobody_and_is_told_what_it_has_missed() {
        const POURED: u64 = 50_000;
        let log = EventLog::new();
        let (out, mut messages) = Out::new(Form::Json, Account::new(Budget::of(1 << 30)));
        let parts = Parts::new(1, out);
        let verb = Events { follow: true, ..Events::default() };
        let mut follow = Box::pin(told(&log, state(), verb, &parts));
        for n in 0..POURED {
            // Neither the log nor whoever is told of it waits.
            log.push(What::Error(LastError { at: String::new(), actor: "index".to_owned(), detail: n.to_string() }));
            assert!(follow.as_mut().now_or_never().is_none());
        }
        let (mut last, mut missed, mut states) = (0, 0, 0);
        while let Ok(message) = messages.try_recv() {
            let response = json::parse_response(&message.bytes).expect("a response").expect("of a known kind");
            let Body::Part(Part::Events(page)) = response.body else { panic!("{response:?}") };
            assert_eq!(page.events.first().map_or(last + 1, |first| first.seq), last + page.gap + 1);
            last = page.events.last().map_or(last, |event| event.seq);
            missed += page.gap;
            states += u64::from(page.state.is_some());
            drop(message);
            assert!(follow.as_mut().now_or_never().is_none());
        }
        assert_eq!((last, states), (POURED, 1), "up to the newest, and the state once");
        assert!(missed > POURED / 2, "{missed}");
    }

    #[tokio::test]
    async fn lines_are_found_by_number_time_and_what_is_wanted_of_them() {
        let kept = Shared::default();
        for (at, n) in [("2026-01-01T00:00:01Z", 1), ("2026-01-01T00:00:02Z", 2), ("2026-01-01T00:00:03Z", 3)] {
            kept.lock().push((at, n), 1);
        }
        let (out, _messages) = Out::new(Form::Json, Account::new(Budget::of(1 << 30)));
        let parts = Parts::new(1, out);
        let found = async |lines, since, least| {
            let tail = Tail { lines, since, follow: false };
            let part = |_| panic!("nobody follows");
            let found = tail.of(&kept, |(at, _)| *at, |(_, n)| *n >= least, part, &parts).await;
            found.expect("lines").0.into_iter().map(|(_, n)| n).collect::<Vec<_>>()
        };
        assert_eq!(found(None, None, 0).await, [1, 2, 3]);
        assert_eq!(found(Some(1), None, 0).await, [3]);
        assert_eq!(found(None, None, 2).await, [2, 3]);
        assert_eq!(found(None, Some("2026-01-01T00:00:02Z"), 0).await, [2, 3]);
        assert_eq!(found(None, Some("9999-12-30T00:00:00Z"), 0).await, [0; 0]);
    }
}
