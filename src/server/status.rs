//! `status`, from the board alone: it waits for nobody.

use super::route::Routes;
use crate::board::{Board, MfsState, Missed};
use crate::index::actor::dated;
use crate::index::info::AskInfo;
use crate::index::sizes::Known;
use crate::kubo::usage;
use proto_msgs::Fault;
use proto_msgs::daemon::{DaemonReport, IndexInfoReport, IndexReport, MfsReport, SizesReport, StatusReport};
use proto_msgs::event::EventState;
use proto_msgs::kubo::{KuboReport, KuboState};
use proto_msgs::snapshot::SnapshotBrief;

/// Kubo, with what is measured when somebody asks. `/proc` answers at once, whatever the process does.
pub(super) fn kubo(routes: &Routes) -> KuboReport {
    let mut kubo = routes.board.kubo.borrow().clone();
    kubo.memory = kubo.pid.and_then(usage::of).map(|usage| usage.memory);
    let slow = kubo.change.as_ref().is_some_and(|change| change.cause == "slow_start");
    if slow || kubo.state == KuboState::Starting {
        let newest = routes.spawner.output().newest();
        // What a former run said last is no news of this one's start.
        kubo.newest_line = newest.filter(|line| line.at >= kubo.since || slow).map(|line| line.text);
    }
    kubo
}

/// What stands before events that are followed.
pub(super) fn before_events(board: &Board) -> EventState {
    // First: what is told of later may be in here already, and what is not in here is told of later.
    let seq = *board.events.newest().borrow();
    let (dated, pins) = (dated(board), board.index.borrow().set.len());
    EventState {
        at: crate::time::now(),
        seq,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stopping: board.is_stopping(),
        kubo: board.kubo.borrow().state,
        generation: dated.generation,
        pins,
        complete: dated.complete,
        as_of: dated.as_of,
    }
}

pub(super) fn report(routes: &Routes) -> StatusReport {
    let board = &routes.board;
    let config = routes.config.borrow().clone();
    let dated = dated(board);
    let (index, refresh) = (board.index.borrow().clone(), board.refresh.borrow().clone());
    let known = board.sizes.borrow().known;
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
        journal_closed: index.journal_closed.clone(),
        snapshot_failed: board.snapshot_failed.borrow().clone(),
        sizes: known.map(|known| sizes(board, known)),
        snapshot: board.snapshot.borrow().as_ref().map(|newest| SnapshotBrief {
            name: newest.name.clone(),
            generation: newest.generation,
            created_at: newest.created_at.clone(),
            as_of: newest.as_of.clone(),
            age_s: newest.as_of.as_deref().and_then(crate::time::age_of),
            behind: *board.snapshot_holds.borrow() != Some(index.changes),
        }),
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
        accesses: board.sources.borrow().clone(),
        detached: routes.changes.detached.report(),
        last_error: board.last_error.borrow().clone(),
    }
}

fn sizes(board: &Board, known: Known) -> SizesReport {
    let missed = board.sizes.borrow().missed.clone();
    let last = missed.iter().filter_map(|missed: &Missed| missed.last.clone()).max();
    SizesReport {
        exact: known.exact,
        estimated: known.estimated,
        unknown: known.unknown,
        failed: missed.iter().map(|missed| missed.pins).sum(),
        next_retry: missed.iter().filter_map(|missed| missed.next).min().map(crate::time::text),
        last_failure: last.map(|(_, why)| why),
    }
}

/// `index info`: the board, and what only the file knows.
fn mfs(mfs: &MfsState) -> MfsReport {
    MfsReport {
        as_of: mfs.as_of.map(crate::time::text),
        complete: mfs.complete(),
        entries: mfs.entries,
        unread: mfs.unread,
        error: mfs.error.clone(),
    }
}

pub(super) async fn index_info(routes: &Routes) -> Result<IndexInfoReport, Fault> {
    let info = crate::fault::ask(&routes.index, AskInfo).await?;
    let board = &routes.board;
    let dated = dated(board);
    let (index, refresh) = (board.index.borrow().clone(), board.refresh.borrow().clone());
    let lag = dated.age_s.map(|age| (age - refresh.interval.as_secs_f64()).max(0.0));
    Ok(IndexInfoReport {
        as_of: dated.as_of,
        age_s: dated.age_s,
        generation: dated.generation,
        complete: dated.complete,
        source: dated.source,
        peer_id: index.peer_id.clone(),
        pins: index.set.len(),
        recursive: index.set.recursive(),
        direct: index.set.direct(),
        gone: info.gone,
        changes: info.changes,
        oldest_generation: info.oldest,
        file_bytes: info.bytes,
        wanted_interval_s: routes.config.borrow().interval.as_secs_f64(),
        interval_s: refresh.interval.as_secs_f64(),
        last_refresh_s: refresh.last.map(|d| d.as_secs_f64()),
        lag_s: lag,
        failed_refreshes: refresh.failed,
        last_error: refresh.last_error.clone(),
        recovery: index.recovery.clone(),
        names_as_of: refresh.names_as_of.map(crate::time::text),
        paused: refresh.paused,
        sizes: sizes(board, info.sizes),
        mfs: mfs(&board.mfs.borrow()),
        legacy: info.legacy,
    })
}
