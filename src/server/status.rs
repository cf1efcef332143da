//! `status`, from the board alone: it waits for nobody.

use super::route::Routes;
use crate::index::actor::dated;
use proto_msgs::daemon::{DaemonReport, IndexReport, StatusReport};
use proto_msgs::kubo::{KuboReport, KuboState};

/// Kubo, with what is measured when somebody asks. `/proc` answers at once, whatever the process does.
pub(super) fn kubo(routes: &Routes) -> KuboReport {
    let mut kubo = routes.board.kubo.borrow().clone();
    kubo.memory = kubo.pid.and_then(resident);
    let slow = kubo.change.as_ref().is_some_and(|change| change.cause == "slow_start");
    if slow || kubo.state == KuboState::Starting {
        let newest = routes.spawner.output().newest(1, None).0.lines.pop();
        // What a former run said last is no news of this one's start.
        kubo.newest_line = newest.filter(|line| line.at >= kubo.since || slow).map(|line| line.text);
    }
    kubo
}

/// Bytes of memory in use.
fn resident(pid: u32) -> Option<u64> {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

pub(super) fn report(routes: &Routes) -> StatusReport {
    let board = &routes.board;
    let config = routes.config.borrow().clone();
    let dated = dated(board);
    let index = board.index.borrow();
    let refresh = board.refresh.borrow();
    let index = IndexReport {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        complete: dated.complete,
        source: dated.source,
        pins: index.set.len(),
        recursive: index.set.recursive(),
        direct: index.set.direct(),
        peer_id: index.peer_id.clone(),
        interval_s: refresh.interval.as_secs_f64(),
        last_refresh_s: refresh.last.map(|d| d.as_secs_f64()),
        failed_refreshes: refresh.failed,
        last_error: refresh.last_error.clone(),
        recovery: index.recovery.clone(),
        names_as_of: refresh.names_as_of.map(crate::time::text),
        paused: refresh.paused,
    };
    StatusReport {
        daemon: DaemonReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: crate::time::text(routes.started.1),
            uptime_s: routes.started.0.elapsed().as_secs_f64(),
            data_dir: config.data_dir.display().to_string(),
            socket: config.socket().display().to_string(),
            stopping: board.is_stopping(),
            actors: board.actors.borrow().clone(),
        },
        kubo: kubo(routes),
        index,
        lock: board.lock.borrow().clone(),
        last_error: board.last_error.borrow().clone(),
    }
}
