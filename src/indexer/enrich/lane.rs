//! One lane: goes through the pins that lack its look, in the order of their ids, within its share of time.
//!
//! It can be dropped at any point and go on from there: the cursor follows only what is written.

use super::judge::{self, Finding, Outcome};
use super::misses::Misses;
use crate::board::{Board, Missed};
use crate::config::Config;
use crate::fault;
use crate::index::actor::Index;
use crate::index::sizes::{Among, ApplySizes, AskLacking, AskSizes, Look, Measured, Unmeasured};
use crate::kubo::rpc::Rpc;
use crate::supervisor::Life;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use kameo::actor::ActorRef;
use proto_msgs::Fault;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Pins that are read from the index at a time.
const BATCH: usize = 2000;
/// A round ends after so many looks ...
const MOST: usize = 500;
/// ... or when it has begun looks for so long; what it found is written at once, and then it rests.
const ROUND: Duration = Duration::from_secs(1);
/// For a look at one block.
const ROOT_DEADLINE: Duration = Duration::from_secs(10);
/// Between two counts while there is work.
const COUNT: Duration = Duration::from_secs(5);
/// After the index did not answer, or Kubo went.
const RETRY: Duration = Duration::from_secs(5);
/// Between two times that a lane goes through all pins because some failures found no place in its memory.
const SWEEP: Duration = Duration::from_secs(24 * 3600);

/// What both lanes stand on.
#[derive(Clone)]
pub struct Ends {
    /// Where errors are told.
    pub life: Arc<Life>,
    /// Kubo, the refresh and the index, as they are.
    pub board: Arc<Board>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// The index.
    pub index: ActorRef<Index>,
    /// How far the looks at the roots have come.
    pub roots: watch::Sender<Roots>,
}

/// How far the looks at the roots have come; those at the whole go behind them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roots {
    /// Every pin up to this id was looked at.
    up_to: u64,
    /// The least id at which a look was made up for since.
    late: Option<u64>,
}

struct Lane {
    ends: Ends,
    look: Look,
    /// Every pin up to this id was looked at, or waits among the misses.
    at: u64,
    /// What is to be looked at next, in the order of the ids; the end of it is at `end`, unless it is all made of misses.
    queue: VecDeque<Unmeasured>,
    end: Option<u64>,
    misses: Misses,
    last_miss: Option<(Timestamp, String)>,
    swept: Instant,
    counted: Option<Instant>,
    /// The generation that was looked through.
    generation: u64,
    roots: watch::Receiver<Roots>,
}

enum Round {
    Idle,
    Worked(Duration),
    KuboGone,
}

/// Looks for as long as it is not dropped.
pub async fn run(ends: Ends, look: Look) {
    let roots = ends.roots.subscribe();
    let mut rpcs = ends.board.rpc.subscribe();
    let mut lane = Lane {
        ends,
        look,
        at: 0,
        queue: VecDeque::new(),
        end: None,
        misses: Misses::default(),
        last_miss: None,
        swept: Instant::now(),
        counted: None,
        generation: 0,
        roots,
    };
    loop {
        // The board is as old as the process, so the sender can't be gone.
        let Ok(Some(rpc)) = rpcs.wait_for(Option::is_some).await.map(|rpc| rpc.clone()) else { return };
        tokio::select! {
            () = lane.work(&rpc) => {}
            _ = rpcs.wait_for(|now| now.as_ref() != Some(&rpc)) => {}
        }
        // What was under way is begun anew.
        (lane.queue, lane.end) = (VecDeque::new(), None);
    }
}

impl Lane {
    async fn work(&mut self, rpc: &Rpc) {
        let mut config = self.ends.config.clone();
        loop {
            // A configuration that nobody can change stays.
            let share = config.borrow_and_update().size_share;
            if share <= 0.0 {
                if config.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            self.ends.board.quiet().await;
            self.ends.life.fault_point("round");
            match self.round(rpc).await {
                Ok(Round::Idle) => {
                    self.count().await;
                    self.wait().await;
                }
                Ok(Round::Worked(time)) => {
                    if self.counted.is_none_or(|at| at.elapsed() >= COUNT) {
                        self.count().await;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(judge::rest(time, share)) => {}
                        Ok(()) = config.changed() => {}
                    }
                }
                Ok(Round::KuboGone) => tokio::time::sleep(RETRY).await,
                Err(fault) => {
                    self.ends.life.error(format!("sizes cannot be kept: {}", fault.detail));
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Some looks, and what they found is written.
    async fn round(&mut self, rpc: &Rpc) -> Result<Round, Fault> {
        let began = Instant::now();
        if !self.fill().await? {
            return Ok(Round::Idle);
        }
        let (mut looks, mut found, mut last) = (FuturesUnordered::new(), Vec::new(), None);
        loop {
            while looks.len() < at_a_time(self.look)
                && found.len() + looks.len() < MOST
                && began.elapsed() < ROUND
                && *self.ends.board.refreshing.borrow() == 0
                && let Some(pin) = self.queue.pop_front()
            {
                last = Some(pin.id);
                let tries = self.misses.tries(pin.id);
                looks.push(look(rpc, self.look, pin, tries));
            }
            match looks.next().await {
                Some((_, Outcome::Gone)) => {
                    (self.queue, self.end) = (VecDeque::new(), None);
                    return Ok(Round::KuboGone);
                }
                Some(one) => found.push(one),
                None => break,
            }
        }
        self.keep(found).await?;
        // Misses that are made up for lie behind the cursor.
        if let Some(end) = self.end {
            self.at = if self.queue.is_empty() { end } else { last.unwrap_or(self.at) };
        }
        self.publish();
        Ok(Round::Worked(began.elapsed()))
    }

    /// Finds what is to be looked at next; whether there is anything.
    async fn fill(&mut self) -> Result<bool, Fault> {
        if !self.queue.is_empty() {
            return Ok(true);
        }
        let generation = self.ends.board.index.borrow().generation;
        if std::mem::replace(&mut self.generation, generation) != generation {
            // A pin that was taken back is missed no longer.
            self.lacking(self.misses.some(BATCH)).await?;
        }
        let due = self.misses.due(Instant::now(), BATCH);
        if !due.is_empty() {
            (self.queue, self.end) = (self.lacking(due).await?.into(), None);
            if !self.queue.is_empty() {
                return Ok(true);
            }
        }
        if self.misses.overflown() && self.swept.elapsed() >= SWEEP {
            self.misses.take_overflown();
            (self.at, self.swept) = (0, Instant::now());
        }
        let most = match self.look {
            Look::Root => u64::MAX,
            Look::Whole => {
                let roots = *self.roots.borrow_and_update();
                if let Some(late) = roots.late {
                    self.at = self.at.min(late.saturating_sub(1));
                    self.ends.roots.send_if_modified(|roots| {
                        roots.late = None;
                        false
                    });
                }
                roots.up_to
            }
        };
        loop {
            let ask = AskLacking { look: self.look, among: Among::Ids(self.at, most), most: BATCH };
            let lacking = fault::ask(&self.ends.index, ask).await?;
            let cut = lacking.pins.len() == BATCH;
            self.queue = lacking.pins.into_iter().filter(|pin| !self.misses.contains(pin.id)).collect();
            self.end = Some(lacking.up_to.max(self.at));
            if !self.queue.is_empty() {
                return Ok(true);
            }
            self.at = lacking.up_to.max(self.at);
            self.publish();
            if !cut {
                return Ok(false);
            }
        }
    }

    /// Those of these misses that are still to be looked at; the others are forgotten.
    async fn lacking(&mut self, missed: Vec<u64>) -> Result<Vec<Unmeasured>, Fault> {
        if missed.is_empty() {
            return Ok(Vec::new());
        }
        let ask = AskLacking { look: self.look, among: Among::These(missed.clone()), most: BATCH };
        let lacking = fault::ask(&self.ends.index, ask).await?.pins;
        let still: HashSet<u64> = lacking.iter().map(|pin| pin.id).collect();
        missed.into_iter().filter(|id| !still.contains(id)).for_each(|id| self.misses.forget(id));
        if self.misses.is_empty() {
            self.last_miss = None;
        }
        Ok(lacking)
    }

    /// Writes what was found, in one transaction, and remembers what was missed.
    async fn keep(&mut self, found: Vec<(u64, Outcome)>) -> Result<(), Fault> {
        let measured: Vec<Measured> = found
            .iter()
            .filter_map(|(id, outcome)| match outcome {
                Outcome::Found(Finding { size, kind }) => Some(Measured { id: *id, size: *size, kind: *kind }),
                _ => None,
            })
            .collect();
        if !measured.is_empty() {
            fault::ask(&self.ends.index, ApplySizes(measured)).await?;
            self.ends.board.sizes.send_modify(|sizes| sizes.written += 1);
        }
        for (id, outcome) in found {
            match outcome {
                Outcome::Missed(why) => {
                    self.misses.missed(id, Instant::now());
                    self.last_miss = Some((Timestamp::now(), why));
                }
                _ if self.misses.contains(id) => {
                    self.misses.forget(id);
                    if self.look == Look::Root {
                        let late = |roots: &mut Roots| roots.late = Some(roots.late.map_or(id, |late| late.min(id)));
                        self.ends.roots.send_modify(late);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn publish(&self) {
        if self.look == Look::Root {
            self.ends.roots.send_if_modified(|roots| std::mem::replace(&mut roots.up_to, self.at) != self.at);
        }
        let next = self.misses.next().map(|due| due.saturating_duration_since(Instant::now()));
        let missed = Missed {
            pins: self.misses.len() as u64,
            next: next.and_then(|wait| Timestamp::now().checked_add(wait).ok()),
            last: self.last_miss.clone(),
        };
        self.ends.board.sizes.send_modify(|sizes| sizes.missed[self.look as usize] = missed);
    }

    async fn count(&mut self) {
        self.counted = Some(Instant::now());
        // Whoever wants to know for sure asks the index; a count that fails is only an older one.
        if let Ok(known) = fault::ask(&self.ends.index, AskSizes).await {
            self.ends.board.sizes.send_modify(|sizes| sizes.known = Some(known));
        }
    }

    /// Returns when there may be something to do: other pins, roots that are known, a miss whose time has come.
    async fn wait(&mut self) {
        let generation = self.generation;
        let mut index = self.ends.board.index.subscribe();
        let sweep = self.misses.overflown().then(|| self.swept + SWEEP);
        let due = self.misses.next().into_iter().chain(sweep).min();
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = index.wait_for(|index| index.generation != generation) => {}
            _ = self.roots.changed(), if self.look == Look::Whole => {}
            () = due => {}
        }
    }
}

/// Looks at a time: one block is read in a moment, and a whole DAG keeps a disk busy.
fn at_a_time(look: Look) -> usize {
    match look {
        Look::Root => 4,
        Look::Whole => 1,
    }
}

async fn look(rpc: &Rpc, look: Look, pin: Unmeasured, tries: u32) -> (u64, Outcome) {
    if let Some(finding) = judge::by_itself(&pin.cid) {
        return (pin.id, Outcome::Found(finding));
    }
    let text = crate::cid::text(&pin.cid);
    let outcome = match look {
        Look::Root => judge::root(&pin.cid, rpc.attributed(rpc.root_stat(&text, ROOT_DEADLINE).await).await),
        Look::Whole => {
            judge::whole(&pin.cid, rpc.attributed(rpc.whole_size(&[&text], judge::patience(tries)).await).await)
        }
    };
    match outcome {
        // Kubo names the block that it lacks, which is nobody's pin.
        Outcome::Missed(why) => (pin.id, Outcome::Missed(format!("{text}: {why}"))),
        outcome => (pin.id, outcome),
    }
}
