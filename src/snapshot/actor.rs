//! The snapshot actor: publishes when what the index holds has changed and the budget allows it, when asked, and answers for what
//! there is.
//!
//! ```text
//!           changed, and due            made
//!   idle ───────────────────► making ──────────► the next one not before its budget ──► idle
//!    ▲                          │ failed
//!    └──── later, and later ◄───┘
//! ```
//! What was made before this process began counts for the budget; what it holds does not: each process publishes once.

mod now;

use super::answer::{self, unreadable};
use super::arrow::PINS_ARROW;
use super::lookup::PinFile;
use super::place::Place;
use super::publish::{self, Order, PublishError, Turn};
use super::{legacy, pace};
use crate::board::{Board, StopReason};
use crate::config::Config;
use crate::index::actor::dated;
use crate::index::apply;
use crate::index::error::IndexError;
use crate::index::store::Store;
use crate::supervisor::{Ended, Life, Stop, watched};
use jiff::Timestamp;
use kameo::actor::{ActorRef, WeakActorRef};
use kameo::error::{ActorStopReason, Infallible, PanicError};
use kameo::message::{Context, Message};
use kameo::prelude::Actor;
use kameo::reply::DelegatedReply;
use now::Asked;
pub use now::MakeNow;
use proto_msgs::event::{SnapshotPublished, What};
use proto_msgs::snapshot::{
    SnapshotAt, SnapshotFd, SnapshotList, SnapshotLs, SnapshotManifest, SnapshotPath, SnapshotVerified, SnapshotVerify,
};
use proto_msgs::{Fault, FaultKind};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// The shortest time between two snapshots that nobody asked for, where refreshes come more rarely.
const LEAST: Duration = Duration::from_secs(30);

/// At the daemon's end there is time for one where the one before took no longer than this, and for no more than that.
const QUICK: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(4);

/// What the actor is made from.
#[derive(Clone)]
pub struct SnapshotArgs {
    /// Its life.
    pub life: Arc<Life>,
    /// What the others publish, and where it publishes.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// What is read.
    pub store: Store,
    /// What outlives an incarnation.
    pub book: Book,
}

/// What the actor keeps over its restarts.
#[derive(Clone, Default)]
pub struct Book {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Of who reads whole files: one at a time, so that many who ask leave the processors to others.
    reading: Arc<tokio::sync::Mutex<()>>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Clone, Copy, Default)]
struct Notes {
    /// Whether the directory was looked at.
    begun: bool,
    /// When the newest one of this process was begun.
    began: Option<Instant>,
    /// No other one by itself before.
    next: Option<Instant>,
    /// One of before the index was found damaged: perhaps the only one that has what Kubo cannot tell again.
    spare: Option<u64>,
    failures: u32,
    told_of_legacy: bool,
    /// When one was begun last because somebody else than the daemon's own uid or root asked.
    for_others: Option<Instant>,
}

impl Book {
    /// The turn of who makes a snapshot or a backup.
    pub(super) async fn turn(&self) -> Turn {
        self.turn.clone().lock_owned().await
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The actor.
pub struct Snapshots {
    pub(super) args: SnapshotArgs,
    making: Option<AbortOnDropHandle<()>>,
}

impl Actor for Snapshots {
    type Args = SnapshotArgs;
    type Error = Infallible;

    async fn on_start(args: SnapshotArgs, me: ActorRef<Self>) -> Result<Self, Infallible> {
        args.life.begin().await;
        let making = watched(&me, make_when_due(args.clone()));
        args.life.runs();
        Ok(Snapshots { args, making: Some(making) })
    }

    async fn on_panic(
        &mut self,
        _: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, Infallible> {
        self.making = None;
        self.args.life.panicked(error)
    }
}

impl Message<Ended> for Snapshots {
    type Reply = ();

    async fn handle(&mut self, ended: Ended, _: &mut Context<Self, ()>) {
        ended.pass_on();
    }
}

async fn make_when_due(args: SnapshotArgs) {
    let (mut index, mut config) = (args.board.index.subscribe(), args.config.clone());
    while !args.board.is_stopping() {
        index.mark_unchanged();
        if wanted(&args) {
            let known = begin(&args).await;
            let next = args.book.notes().next;
            if let (Err(error), true) = (known, is_due(next)) {
                failed(&args, Instant::now(), &error.into());
                continue;
            }
            if is_due(next) {
                // What went wrong was told; the notes say when to try again.
                let _ = make(&args, false, None).await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now).into()) => {}
                Ok(()) = config.changed() => {}
            }
        } else {
            // The board is as old as the process; the configuration may be fixed.
            tokio::select! {
                changed = index.changed() => if changed.is_err() { return },
                Ok(()) = config.changed() => {}
            }
        }
    }
}

/// Whether there is something to publish.
fn wanted(args: &SnapshotArgs) -> bool {
    let index = args.board.index.borrow();
    args.config.borrow().snapshot.enabled
        && index.complete
        && *args.board.snapshot_holds.borrow() != Some(index.changes)
}

/// Once a process: clears away what a killed one left, and finds out what is there.
pub(super) async fn begin(args: &SnapshotArgs) -> io::Result<()> {
    let turn = args.book.turn().await;
    if args.book.notes().begun {
        return Ok(());
    }
    let config = args.config.borrow().clone();
    let newest = blocking(move || {
        let _turn = turn;
        let place = Place::open(&config.snapshot_dir())?;
        place.sweep();
        legacy::sweep(&config.data_dir);
        Ok(place.newest().map_err(io::Error::other))
    })
    .await?;
    let mut notes = args.book.notes();
    notes.begun = true;
    let newest = newest.unwrap_or_else(|error| {
        args.life.error(format!("the newest snapshot is not known: {error}"));
        None
    });
    if let Some(newest) = newest {
        notes.spare = args.board.index.borrow().recovery.as_ref().map(|_| newest.serial);
        let took = Duration::try_from_secs_f64(newest.took_s).unwrap_or_default();
        let wait = pace::after_success(args.config.borrow().snapshot.budget, Duration::ZERO, took, newest.bytes());
        let age = crate::time::age_of(&newest.created_at).unwrap_or(f64::MAX);
        notes.next =
            Some(Instant::now() + wait.saturating_sub(Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX)));
        args.board.snapshot.send_replace(Some(newest));
    }
    Ok(())
}

/// Makes one now, unless the newest is as good for who asked; whether it did. Tells of what went wrong, and notes when the next one may be
/// made.
async fn make(args: &SnapshotArgs, arrow: bool, asked: Option<Asked>) -> Result<(SnapshotManifest, bool), Fault> {
    let turn = args.book.turn().await;
    args.life.fault_point("make");
    let began = Instant::now();
    if let Some(asked) = asked {
        if let Some(newest) = now::as_good(args, arrow, asked).await {
            return Ok((newest, false));
        }
        now::admit(args, asked, began)?;
    }
    let stopping = args.board.is_stopping();
    let (changes, made) = tokio::select! {
        made = publish(args, arrow, turn) => made,
        // Dropped, it ends within moments, and with it the transaction that would keep the index from closing.
        () = args.board.stopped(), if !stopping => {
            return Err(Fault::new(FaultKind::NotReady, "the daemon is stopping"));
        }
    };
    let config = args.config.borrow().clone();
    let budget = config.snapshot.budget;
    let (manifest, pin_file) = match made {
        Ok(made) => made,
        Err(error) => {
            failed(args, began, &error);
            return Err(fault(&error));
        }
    };
    tracing::debug!(name = manifest.name, took_s = manifest.took_s, bytes = manifest.bytes(), "a snapshot");
    if pin_file.is_some() {
        args.board.pin_file.send_replace(pin_file);
    }
    args.board.snapshot_failed.send_replace(None);
    args.board.snapshot_holds.send_replace(Some(changes));
    args.board.snapshot.send_replace(Some(manifest.clone()));
    args.board.events.push(What::Snapshot(SnapshotPublished {
        name: manifest.name.clone(),
        generation: manifest.generation,
        pins: manifest.rows("pins.parquet").unwrap_or_default(),
        bytes: manifest.bytes(),
    }));
    let aftermath = tidy(args, &manifest).await;
    let wrote = manifest.bytes() + aftermath;
    let mut notes = args.book.notes();
    notes.failures = 0;
    notes.began = Some(began);
    notes.next = Some(began + pace::after_success(budget, LEAST.min(config.interval), began.elapsed(), wrote));
    Ok((manifest, true))
}

fn is_due(next: Option<Instant>) -> bool {
    next.is_none_or(|next| next <= Instant::now())
}

/// Tells of what went wrong, and notes when to try again.
fn failed(args: &SnapshotArgs, began: Instant, error: &PublishError) {
    let budget = args.config.borrow().snapshot.budget;
    let mut notes = args.book.notes();
    notes.failures = notes.failures.saturating_add(1);
    notes.next = Some(began + pace::after_failure(budget, began.elapsed(), notes.failures));
    drop(notes);
    if let PublishError::Export(IndexError::Fatal(why)) = error {
        args.board.stop(StopReason::GaveUp(format!("the index has failed for good: {why}")));
    }
    let told = format!("no snapshot could be made; those that there are stay: {error}");
    args.board.snapshot_failed.send_replace(Some(told.clone()));
    args.life.error(told);
}

type Made = (SnapshotManifest, Option<Arc<PinFile>>);

async fn publish(args: &SnapshotArgs, arrow: bool, turn: Turn) -> (u64, Result<Made, PublishError>) {
    // Before what is published is looked at: it holds this much at least.
    let (changes, pins) = {
        let index = args.board.index.borrow();
        (index.changes, index.set.len())
    };
    let arrow = arrow || pins <= args.config.borrow().snapshot.arrow_max_rows;
    let made = async {
        let order = order(args, arrow).await?;
        let path = order.place.dir().to_owned();
        // Before the rows are read.
        let fresh = args.store.write(apply::begin_copy).await?;
        let manifest = publish::publish(&args.store, order, turn).await?;
        let path = path.join(&manifest.name).join(PINS_ARROW);
        let opened = match manifest.rows(PINS_ARROW) {
            Some(_) => blocking(move || PinFile::open(&path, fresh).map(Some)).await,
            None => Ok(None),
        };
        // Without it pins are looked up in the index.
        let opened = opened.inspect_err(|error| tracing::warn!(%error, "{PINS_ARROW} is not used for lookups"));
        Ok((manifest, opened.ok().flatten().map(Arc::new)))
    };
    (changes, made.await)
}

/// What is known now of what is to be written.
pub(super) async fn order(args: &SnapshotArgs, arrow: bool) -> io::Result<Order> {
    let dir = args.config.borrow().snapshot_dir();
    let place = blocking(move || Place::open(&dir)).await?;
    let complete = dated(&args.board).complete;
    let index = args.board.index.borrow();
    let arrow = arrow.then(|| index.set.len());
    Ok(Order { place, generation: index.generation, as_of: index.as_of, complete, arrow })
}

/// After a snapshot: what old readers look for, and what nobody needs any more. The bytes that it wrote.
async fn tidy(args: &SnapshotArgs, manifest: &SnapshotManifest) -> u64 {
    let config = args.config.borrow().clone();
    let (turn, spare) = (args.book.turn().await, args.book.notes().spare);
    let manifest = manifest.clone();
    let done = blocking(move || {
        let _turn = turn;
        let place = Place::open(&config.snapshot_dir())?;
        let renewed = legacy::renew(&config.data_dir, &place.dir().join(&manifest.name), &manifest);
        let keep = usize::try_from(config.snapshot.keep).unwrap_or(usize::MAX);
        let retired = publish::retire(&place, Timestamp::now(), keep, config.snapshot.keep_age, spare);
        Ok((legacy::path(&config.data_dir), renewed, retired))
    });
    let (path, renewed, retired) = match done.await {
        Ok(done) => done,
        Err(error) => {
            args.life.error(format!("old snapshots stay: {error}"));
            return 0;
        }
    };
    if let Err(error) = retired {
        args.life.error(format!("an old snapshot stays: {error}"));
    }
    match renewed {
        Ok(legacy::Renewed::Written(bytes)) => {
            args.book.notes().told_of_legacy = false;
            bytes
        }
        Ok(legacy::Renewed::Foreign) => {
            if !std::mem::replace(&mut args.book.notes().told_of_legacy, true) {
                let path = path.display();
                tracing::warn!(%path, "a file that is not ours is left as it is, and not renewed; `doctor` says more");
            }
            0
        }
        Err(error) => {
            args.life.error(format!("{} was not renewed: {error}", path.display()));
            0
        }
    }
}

fn fault(error: &PublishError) -> Fault {
    let kind = match error {
        PublishError::Export(IndexError::Closed) => FaultKind::NotReady,
        PublishError::Export(IndexError::Busy) => FaultKind::Busy,
        _ => FaultKind::Internal,
    };
    let hint = if error.is_full() {
        "make room on the file system of the data dir; it is tried again by itself"
    } else {
        "those that there are stay as they were; the daemon's log says more"
    };
    Fault::new(kind, format!("no snapshot could be made: {error}")).hint(hint)
}

/// Works with files on a thread of its own.
async fn blocking<R: Send + 'static>(job: impl FnOnce() -> io::Result<R> + Send + 'static) -> io::Result<R> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Looks at the snapshots for an answer.
async fn look<R: Send + 'static>(
    args: &SnapshotArgs,
    job: impl FnOnce(&Place) -> Result<R, Fault> + Send + 'static,
) -> Result<R, Fault> {
    let dir = args.config.borrow().snapshot_dir();
    let looked =
        blocking(move || Ok(Place::open(&dir).map_err(|error| unreadable(&error)).and_then(|place| job(&place))));
    looked.await.unwrap_or_else(|error| Err(unreadable(&error)))
}

impl Message<SnapshotLs> for Snapshots {
    type Reply = DelegatedReply<Result<SnapshotList, Fault>>;

    async fn handle(&mut self, _: SnapshotLs, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move { look(&args, answer::list).await })
    }
}

impl Message<SnapshotPath> for Snapshots {
    type Reply = DelegatedReply<Result<SnapshotAt, Fault>>;

    async fn handle(&mut self, _: SnapshotPath, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let _turn = args.book.reading.lock().await;
            look(&args, answer::newest).await
        })
    }
}

impl Message<SnapshotFd> for Snapshots {
    type Reply = DelegatedReply<Result<(SnapshotAt, OwnedFd), Fault>>;

    async fn handle(&mut self, _: SnapshotFd, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move { look(&args, answer::pins).await })
    }
}

impl Message<SnapshotVerify> for Snapshots {
    type Reply = DelegatedReply<Result<SnapshotVerified, Fault>>;

    async fn handle(&mut self, ask: SnapshotVerify, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        ctx.spawn(async move {
            let _turn = args.book.reading.lock().await;
            look(&args, move |place| answer::verify(place, &ask)).await
        })
    }
}

impl Message<Stop> for Snapshots {
    type Reply = ();

    async fn handle(&mut self, _: Stop, _: &mut Context<Self, ()>) {
        self.making = None;
        // What was said last is what people look for while no daemon is there.
        let args = &self.args;
        let quick = args.board.snapshot.borrow().as_ref().is_some_and(|newest| newest.took_s < QUICK.as_secs_f64());
        if quick && wanted(args) {
            // What went wrong was told, and the next start makes one.
            let _ = tokio::time::timeout(LAST, make(args, false, None)).await;
        }
    }
}
