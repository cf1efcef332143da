//! The cycle of analytics: new accesses are counted, forecasts that have an outcome are learnt from, and all pins are looked at anew.
//!
//! What it works on lies on a desk that outlives the actor, and is away from there while somebody works on it: whoever fails in the
//! middle of it loses it, and the next one takes what was saved and counts the accesses that came after. Nobody who asks for
//! figures waits for any of this; they have the last look.

use super::actor::AnalyticsArgs;
use super::checkpoint::{self, LoadError};
use super::look::{Mind, View, seconds, watched};
use super::models::Models;
use super::sight::Sight;
use super::trials::{GRACE, count};
use crate::config::Config;
use crate::fault::{ask, blocking};
use crate::index::access::{AskCounted, CountedRows};
use crate::index::held::{AskHeld, Held};
use crate::snapshot::atomic;
use crate::snapshot::pace::{Budget, after_failure, after_success};
use jiff::Timestamp;
use proto_msgs::access::AccessSource;
use proto_msgs::{Fault, FaultKind};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Of wall time, but for the counting that makes up for a start.
const SHARE: u32 = 20;
/// Accesses that are read at a time.
const PAGE: usize = 50_000;
/// After a cycle that failed.
const AGAIN: Duration = Duration::from_secs(60);
/// What saving may cost.
const SAVING: Budget = Budget { share: 0.01, bytes_per_day: 1_000_000_000 };
/// From one time to the next at least.
const SAVE_EVERY: Duration = Duration::from_secs(300);

const OTHER_HALF_LIFE: &str = "another half-life: all accesses that are kept are counted again";

/// Where the work lies when nobody works on it.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<Option<Work>>>);

/// Which index, by [`crate::board::IndexState::changes`], and MFS as of when.
type Of = (u64, Option<Timestamp>);

struct Work {
    mind: Mind,
    /// The pins, and of what.
    held: Option<(Of, Arc<Vec<Held>>)>,
    /// The number up to which the file has counted accesses.
    saved: u64,
    /// Whether anything has changed since then.
    changed: bool,
    save_next: Instant,
    failures: u32,
    /// Since when nobody has looked, until the first look.
    missed: Option<f64>,
    /// The sources as they were at the last look.
    sight: Option<Sight>,
}

impl Work {
    /// Nothing is counted any more; what was learnt stays.
    fn begin_again(&mut self, args: &AnalyticsArgs, half_life: f64) {
        self.mind.models = Models::new(half_life);
        (self.saved, self.changed) = (0, true);
        args.board.counted.send_replace(0);
    }
}

fn file(config: &Config) -> PathBuf {
    config.analytics_dir().join("models")
}

/// Goes on for ever.
pub(super) async fn run(args: AnalyticsArgs) {
    let mut configs = args.config.clone();
    loop {
        let settings = configs.borrow_and_update().analytics.clone();
        if settings.interval.is_zero() {
            // What was seen last is of a time that goes further away, and says so.
            if configs.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        }
        let began = Instant::now();
        let pause = match cycle(&args).await {
            Ok(cost) => settings.interval.max(cost * SHARE),
            Err(fault) => {
                args.life.error(format!("no look at the accesses could be taken: {}", fault.detail));
                settings.interval.max(AGAIN)
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until((began + pause).into()) => {}
            Ok(()) = async {
                while configs.borrow().analytics == settings {
                    configs.changed().await?;
                }
                Ok::<_, tokio::sync::watch::error::RecvError>(())
            } => {}
        }
    }
}

/// One cycle, and what it has cost.
async fn cycle(args: &AnalyticsArgs) -> Result<Duration, Fault> {
    let mut desk = args.desk.0.clone().lock_owned().await;
    let config = args.config.borrow().clone();
    let half_life = config.analytics.half_life.as_secs_f64();
    let began = Instant::now();
    let first = match desk.as_mut() {
        Some(work) if work.mind.models.half_life() == half_life => false,
        Some(work) => {
            tracing::info!("{OTHER_HALF_LIFE}");
            work.begin_again(args, half_life);
            true
        }
        None => {
            *desk = Some(load(args, &config).await?);
            true
        }
    };
    if let Some(work) = desk.as_mut()
        && work.mind.models.newest() > seconds(Timestamp::now()) + GRACE
    {
        tracing::warn!("accesses were counted while the clock was ahead: those that are kept are counted again");
        work.begin_again(args, half_life);
    }
    catch_up(args, &mut desk).await?;
    args.life.fault_point("counted");
    let counted = Instant::now();
    look(args, &mut desk).await?;
    save_in_time(args, &config, &mut desk).await?;
    Ok(if first { counted.elapsed() } else { began.elapsed() })
}

/// Has a thread of its own work with what is on the desk. Who does not wait for the end of that finds nothing there any more.
async fn work<T: Send + 'static>(
    desk: &mut Option<Work>,
    job: impl FnOnce(&mut Work) -> T + Send + 'static,
) -> Result<T, Fault> {
    let nothing = || Fault::new(FaultKind::Internal, "a defect of the daemon: nothing is on the desk");
    let mut at_hand = desk.take().ok_or_else(nothing)?;
    let done = blocking(move || {
        let told = job(&mut at_hand);
        (at_hand, told)
    });
    let (at_hand, told) = done.await?;
    *desk = Some(at_hand);
    Ok(told)
}

async fn load(args: &AnalyticsArgs, config: &Config) -> Result<Work, Fault> {
    let (path, dir) = (file(config), config.analytics_dir());
    let half_life = config.analytics.half_life.as_secs_f64();
    let peer_id = args.board.index.borrow().peer_id.clone();
    let loaded = blocking(move || {
        atomic::sweep(&dir);
        checkpoint::load(&path, peer_id.as_deref(), half_life)
    });
    let mut missed = None;
    let mind = match loaded.await? {
        Ok(saved) => {
            missed = Some(saved.at);
            if saved.other_half_life {
                tracing::info!("{OTHER_HALF_LIFE}");
            }
            saved.mind
        }
        Err(LoadError::Missing) => Mind::new(half_life),
        // It is as good as it was, and the next cycle may read it: going on without it would write over it.
        Err(error @ LoadError::Io(_)) => {
            let detail = format!("what analytics has counted, {}: {error}", file(config).display());
            return Err(Fault::new(FaultKind::Internal, detail));
        }
        Err(error) => {
            args.life.error(format!(
                "what analytics had counted is of no use, {error}; it is counted again from the accesses that are kept"
            ));
            Mind::new(half_life)
        }
    };
    let saved = mind.models.through();
    args.board.counted.send_replace(saved);
    let (save_next, changed) = (Instant::now(), saved == 0);
    Ok(Work { mind, held: None, saved, changed, save_next, failures: 0, missed, sight: None })
}

/// Counts what came since the last time.
async fn catch_up(args: &AnalyticsArgs, desk: &mut Option<Work>) -> Result<(), Fault> {
    let mut newest = f64::NEG_INFINITY;
    while let Some(at_hand) = desk {
        let after = at_hand.mind.models.through();
        let CountedRows { rows, through, begin } = ask(&args.index, AskCounted { after, most: PAGE }).await?;
        if after > 0 && after < begin {
            // With them it is lost what sources were read up to, so some may come again.
            tracing::warn!("accesses that were counted are lost: those that are kept are counted again");
            let half_life = at_hand.mind.models.half_life();
            at_hand.begin_again(args, half_life);
            continue;
        }
        if through == after {
            break;
        }
        let logged = rows.iter().filter(|access| access.source == AccessSource::Gateway);
        newest = logged.map(|access| access.at).fold(newest, f64::max);
        work(desk, move |Work { mind, changed, .. }| {
            count(&mut mind.models, &mut mind.trials, &rows, through, seconds(Timestamp::now()));
            *changed = true;
        })
        .await?;
    }
    let now = seconds(Timestamp::now());
    // A log that was read to there has what nobody else saw meanwhile.
    if let Some(at_hand) = desk
        && let Some(from) = at_hand.missed.take().map(|from| from.max(newest))
        && now - from > GRACE
    {
        at_hand.mind.trials.missed(from, now);
    }
    Ok(())
}

async fn look(args: &AnalyticsArgs, desk: &mut Option<Work>) -> Result<(), Fault> {
    // Before the index is asked, which has at least so much.
    let mfs = args.board.mfs.borrow().as_of;
    let (changes, set, generation, restored) = {
        let index = args.board.index.borrow();
        ((index.changes, mfs), index.set.clone(), index.generation, index.restored)
    };
    let known = desk.as_ref().and_then(|work| work.held.clone()).filter(|(of, _)| *of == changes);
    let held = match known {
        Some((_, held)) => held,
        None => Arc::new(ask(&args.index, AskHeld).await?),
    };
    let sources = args.board.sources.borrow().clone();
    let look = work(desk, move |work| {
        let began = Instant::now();
        let sight = Sight::new(seconds(Timestamp::now()), began, &sources);
        if let Some((from, to)) = work.sight.replace(sight.clone()).and_then(|last| last.missed(&sight)) {
            work.mind.trials.missed(from, to);
        }
        let watched = watched(&sources, work.mind.models.firsts());
        let view = View { held: held.clone(), set: &set, generation, restored, watched, at: Timestamp::now() };
        let mut look = work.mind.look(&view, &mut rand::random::<f64>);
        look.took = began.elapsed().as_secs_f64();
        (work.held, work.changed) = (Some((changes, held)), true);
        look
    })
    .await?;
    args.board.look.send_replace(Some(Arc::new(look)));
    Ok(())
}

async fn save_in_time(args: &AnalyticsArgs, config: &Config, desk: &mut Option<Work>) -> Result<(), Fault> {
    if desk.as_ref().is_some_and(|work| work.changed && Instant::now() >= work.save_next) {
        save(args, config, desk).await?;
    }
    if let Some(work) = desk {
        // Were nothing saved for long, accesses beyond those that are kept would wait for it: those go all the same.
        let least = work.mind.models.through().saturating_sub(config.analytics.keep);
        work.saved = work.saved.max(least);
        args.board.counted.send_replace(work.saved);
    }
    Ok(())
}

async fn save(args: &AnalyticsArgs, config: &Config, desk: &mut Option<Work>) -> Result<(), Fault> {
    let (path, dir) = (file(config), config.analytics_dir());
    let peer_id = args.board.index.borrow().peer_id.clone();
    let done = work(desk, move |work| {
        let began = Instant::now();
        let made = crate::instance::private_dir(&dir, false).map_err(io::Error::other);
        let at = seconds(Timestamp::now());
        let saved = made.and_then(|()| checkpoint::save(&path, &work.mind, peer_id.as_deref(), at));
        let took = began.elapsed();
        work.failures = if saved.is_ok() { 0 } else { work.failures.saturating_add(1) };
        let wait = match &saved {
            Ok(bytes) => after_success(SAVING, SAVE_EVERY, took, *bytes),
            Err(_) => after_failure(SAVING, took, work.failures),
        };
        work.save_next = began + wait;
        if saved.is_ok() {
            (work.saved, work.changed) = (work.mind.models.through(), false);
        }
        saved
    });
    if let Err(error) = done.await? {
        args.life.error(format!("what analytics has counted cannot be saved: {error}"));
    }
    Ok(())
}

/// Saves what is on the desk, at the end of the daemon.
pub(super) async fn end(args: &AnalyticsArgs) {
    let mut desk = args.desk.0.lock().await;
    let config = args.config.borrow().clone();
    if desk.as_ref().is_some_and(|work| work.changed) {
        // What cannot be saved is counted again by the next start.
        let _ = save(args, &config, &mut desk).await;
    }
}
