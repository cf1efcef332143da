//! `events` and `kubo logs`: what is kept, and with `follow` what comes. A client that reads slowly is told what it has missed; it
//! holds up nobody.

use super::out::Parts;
use super::route::Routes;
use proto_msgs::event::{EventPage, Events};
use proto_msgs::kubo::{KuboLogPage, KuboLogs, KuboMode};
use proto_msgs::verb::Part;
use proto_msgs::{Fault, FaultKind};

/// Lines of a page, unless another number or a time is asked for.
const LINES: u32 = 100;
const MOST_LINES: u32 = 2000;

pub(super) async fn events(routes: &Routes, verb: Events, parts: &Parts) -> Result<EventPage, Fault> {
    let log = &routes.board.events;
    let mut since = verb.since.unwrap_or(0);
    let mut page = log.after(since, verb.epoch.as_deref());
    if !verb.follow {
        return Ok(page);
    }
    let mut newest = log.newest();
    loop {
        // A number of another epoch is no number of ours.
        since = page.events.last().map_or_else(|| since.min(*newest.borrow()), |last| last.seq);
        send(parts, Part::Events(page)).await?;
        // The board is as old as the process, so the sender can't be gone.
        drop(newest.wait_for(|newest| *newest > since).await);
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
        (page, number) = output.after(number);
    }
}

async fn send(parts: &Parts, part: Part) -> Result<(), Fault> {
    parts.send(part).await.map_err(|_| Fault::new(FaultKind::Cancelled, "the client hung up"))
}
