//! `snapshot now`: whether another one is to be made, and for whom.

use super::super::answer::unreadable;
use super::super::arrow::PINS_ARROW;
use super::super::place::Name;
use super::{SnapshotArgs, Snapshots, begin, look, make};
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use proto_msgs::snapshot::{SnapshotAt, SnapshotManifest, SnapshotNow};
use proto_msgs::{Fault, FaultKind};
use std::time::{Duration, Instant};

/// Between two that others than the daemon's own uid and root have made: each is a copy of all pins that is kept for days.
const OTHERS: Duration = Duration::from_secs(60);

/// Who asks for a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    at: Instant,
    own: bool,
}

/// `snapshot now`, and whether the daemon's own uid or root asks.
pub struct MakeNow {
    /// What is asked for.
    pub ask: SnapshotNow,
    /// Whether as often as it likes.
    pub own: bool,
}

/// The newest, if another one would be no better for somebody who asked at that time: it began since, or nothing has changed.
pub(super) async fn as_good(args: &SnapshotArgs, arrow: bool, asked: Asked) -> Option<SnapshotManifest> {
    let newest = args.board.snapshot.borrow().clone().filter(|newest| !arrow || newest.rows(PINS_ARROW).is_some())?;
    if args.book.notes().began.is_some_and(|began| began >= asked.at) {
        return Some(newest);
    }
    let same = {
        let index = args.board.index.borrow();
        *args.board.snapshot_holds.borrow() == Some(index.changes)
            && newest.generation == index.generation
            && newest.as_of == index.as_of.map(crate::time::text)
    };
    // Somebody may have taken it away.
    let name = Name { generation: newest.generation, serial: newest.serial };
    let is_there = || look(args, move |place| Ok(place.look(name)));
    (same && is_there().await.is_ok_and(|found| found.as_ref() == Ok(&newest))).then_some(newest)
}

/// Refuses one that others have asked for too soon.
pub(super) fn admit(args: &SnapshotArgs, asked: Asked, now: Instant) -> Result<(), Fault> {
    if asked.own {
        return Ok(());
    }
    let last = &mut args.book.notes().for_others;
    if last.is_some_and(|last| now < last + OTHERS) {
        let detail = format!("a snapshot was made for somebody less than {} s ago", OTHERS.as_secs());
        return Err(Fault::new(FaultKind::Busy, detail)
            .hint("ask again in a minute; `ipfs-kitctl snapshot path` names the newest"));
    }
    *last = Some(now);
    Ok(())
}

impl Message<MakeNow> for Snapshots {
    type Reply = DelegatedReply<Result<SnapshotAt, Fault>>;

    async fn handle(&mut self, MakeNow { ask, own }: MakeNow, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let (args, asked) = (self.args.clone(), Asked { at: Instant::now(), own });
        ctx.spawn(async move {
            if !args.board.index.borrow().complete {
                let detail = "the index is not complete yet, and a snapshot of a part would stand for all";
                return Err(Fault::new(FaultKind::NotReady, detail)
                    .hint("`ipfs-kitctl wait --for=index=complete`, then ask again"));
            }
            begin(&args).await.map_err(|error| unreadable(&error))?;
            let (manifest, made) = make(&args, ask.arrow, Some(asked)).await?;
            let path = args.config.borrow().snapshot_dir().join(&manifest.name).display().to_string();
            Ok(SnapshotAt { path, manifest, passed_over: Vec::new(), made })
        })
    }
}
