//! `events`, `kubo logs` and `log`: what is kept, and with `follow` what comes. A client that reads slowly is told what it has missed; it
//! holds up nobody.

use super::out::{Gone, Parts};
use super::route::Routes;
use super::status;
use crate::events::EventLog;
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
    let since = verb.since.as_deref().map(crate::time::parse).transpose()?;
    let lines = verb.lines.unwrap_or(if since.is_some() { MOST_LINES } else { LINES }).min(MOST_LINES);
    let output = routes.spawner.output();
    room(parts).await?;
    let (mut page, mut number) = output.newest(lines as usize, since);
    if !verb.follow {
        return Ok(page);
    }
    // What was dropped before the first page was not asked for.
    page.dropped = 0;
    let mut growth = output.growth();
    loop {
        send(parts, Part::KuboLogs(page)).await?;
        drop(growth.wait_for(|newest| *newest > number).await);
        room(parts).await?;
        (page, number) = output.after(number);
    }
}

pub(super) async fn log(verb: Log, parts: &Parts) -> Result<LogPage, Fault> {
    let since = verb.since.as_deref().map(crate::time::parse).transpose()?;
    let lines = verb.lines.unwrap_or(if since.is_some() { MOST_LINES } else { LINES }).min(MOST_LINES);
    let (kept, least) = (crate::log::kept(), verb.level.unwrap_or(LogLevel::Trace));
    room(parts).await?;
    let (mut page, mut number) = kept.newest(lines as usize, since, least);
    if !verb.follow {
        return Ok(page);
    }
    // What was dropped before the first page was not asked for.
    page.dropped = 0;
    let mut growth = kept.growth();
    loop {
        send(parts, Part::Log(page)).await?;
        drop(growth.wait_for(|newest| *newest > number).await);
        room(parts).await?;
        (page, number) = kept.after(number, least);
    }
}

async fn room(parts: &Parts) -> Result<(), Fault> {
    parts.make_room().await.map_err(hung_up)
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
        let (out, mut messages) = Out::new(Form::Json);
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
}
