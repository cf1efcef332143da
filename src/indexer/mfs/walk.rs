//! A walk of MFS from its root: only directories whose CID is another one are listed.
//!
//! A directory's CID never says anything else, so each line of a listing is a fact as soon as it has come, and only absence waits
//! for the listing's end. Directories are settled after what is below them, so that a walk that ends anywhere goes on from
//! there. Memory: the changes of one batch, the directories on the way down that are still to be read, and of the one that is
//! being read 48 bytes for each entry that the index has and 16 for each that is listed.

use super::{DEADLINE, Lane};
use crate::cid::{self, Cid};
use crate::fault::{ask, chain};
use crate::index::actor::vfs::{AskEntry, AskKnown, AskUnread, AskUnseen};
use crate::index::vfs::known::Known;
use crate::index::vfs::{Found, Place, Put, State, VfsBatch, VfsCounts};
use crate::indexer::tree::{self, Step, Visit, step};
use crate::kubo::rpc::{Rpc, RpcError};
use crate::kubo::unixfs::{Link, Measured};
use jiff::Timestamp;
use proto_msgs::Fault;
use proto_msgs::pin::ContentKind;
use std::collections::HashSet;
use std::sync::Arc;

/// Changes in one transaction.
const BATCH: usize = 20_000;
/// New entries of a directory that are looked at one by one before Kubo is asked to look at all of them.
const LOOKS: usize = 256;
/// Entries that were not here and are looked for again at a time.
const AGAIN: u64 = 1000;
/// A directory that fails so often, one time after the other, counts as unreadable.
const TRIES: u32 = 3;

/// Why a walk ended early.
pub(super) enum Stop {
    /// Kubo or the index did not answer; the next look goes on.
    Failed(Fault),
    /// A directory could not be listed.
    Stuck(Box<Cid>, RpcError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Failed(fault)
    }
}

impl From<RpcError> for Stop {
    fn from(error: RpcError) -> Stop {
        Stop::Failed(error.into())
    }
}

/// A walk of the tree.
pub(super) struct Walk<'a> {
    lane: &'a Lane,
    rpc: &'a Rpc,
    batch: VfsBatch,
    /// What is in the batch.
    size: usize,
    /// What the index has.
    entries: u64,
    /// The directory that failed last time, and how often one time after the other.
    stuck: Option<(Cid, u32)>,
}

/// A directory that is to be read.
struct Below {
    place: Place,
    cid: Cid,
    visit: Visit,
}

/// A directory on the way down.
struct Frame {
    place: Place,
    path: Arc<str>,
    cid: Cid,
    below: Vec<Child>,
    state: State,
}

/// A directory in it that is still to be read, of which there may be very many.
struct Child {
    name: Box<str>,
    cid: Box<[u8]>,
    visit: Visit,
}

impl Frame {
    fn next(&mut self) -> Option<Below> {
        let Child { name, cid, visit } = self.below.pop()?;
        let place = Place { parent: self.path.clone(), name: name.into() };
        Some(Below { place, cid: Cid::try_from(&*cid).ok()?, visit })
    }
}

/// How a directory is read.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Kubo looks at every entry.
    Measured,
    /// We look at those that are new, so many at most.
    Looks(usize),
}

/// What came of reading a directory in one way.
enum Read {
    Whole,
    /// More is new than is worth single looks.
    Many,
    /// A block is not here.
    Missing,
}

impl<'a> Walk<'a> {
    /// `stuck` is the directory that failed last time, and how often one time after the other.
    pub(super) fn new(lane: &'a Lane, rpc: &'a Rpc, stuck: Option<(Cid, u32)>) -> Walk<'a> {
        Walk { lane, rpc, batch: VfsBatch::default(), size: 0, entries: 0, stuck }
    }

    /// Makes the index equal to the tree below this root. With `again`, what was not here is looked for.
    pub(super) async fn all(&mut self, root: &Cid, at: Timestamp, again: bool) -> Result<VfsCounts, Stop> {
        let index = &self.lane.index;
        // What a former incarnation has left in the writer's queue comes before what is read here.
        ask(index, VfsBatch::default()).await?;
        let (unread, counts) = ask(index, AskUnread(if again { AGAIN } else { 0 })).await?;
        self.entries = counts.entries;
        let old = ask(index, AskEntry(Place::root())).await?;
        let known = Known::default();
        let entry = old.as_ref().map(|old| known.entry(&old.put));
        let same = old.is_some_and(|old| old.put.cid == *root);
        let step = step(entry.as_ref(), same, Some(ContentKind::Directory), None, false);
        self.put(Place::root(), step.put.map(|(state, told)| (directory(root, state), told))).await?;
        if let Some(visit) = step.visit {
            self.lane.board.mfs.send_modify(|mfs| mfs.whole = false);
            self.below(Below { place: Place::root(), cid: *root, visit }).await?;
        }
        for Found { place, put } in unread {
            self.look_again(place, put).await?;
        }
        if step == Step::NONE && self.batch.entries.is_empty() && self.batch.settled.is_empty() {
            return Ok(counts);
        }
        self.batch.finished = Some(at);
        self.flush().await
    }

    /// Reads a directory and all that has changed below it.
    async fn below(&mut self, top: Below) -> Result<(), Stop> {
        let mut stack = vec![self.enter(top).await?];
        while let Some(frame) = stack.last_mut() {
            if let Some(below) = frame.next() {
                let frame = self.enter(below).await?;
                stack.push(frame);
            } else if let Some(Frame { place, cid, state, .. }) = stack.pop() {
                self.batch.settled.push((place, cid, state));
                self.grown().await?;
            }
        }
        Ok(())
    }

    /// Reads one directory.
    async fn enter(&mut self, Below { place, cid, visit }: Below) -> Result<Frame, Stop> {
        let path: Arc<str> = place.path().into();
        let mut frame = Frame { place, path: path.clone(), cid, below: Vec::new(), state: State::Whole };
        if !visit.known && self.is_full() {
            // What has gone counts no more once it is applied.
            self.flush().await?;
        }
        if !visit.known && self.is_full() {
            // Whoever nests the same directories in each other makes any number of paths of a few blocks.
            let most = self.lane.most;
            self.lane.life.error(format!("MFS has more than {most} entries; {path:?} and others are not read"));
            frame.state = State::Unread;
            return Ok(frame);
        }
        // The refresh goes first.
        self.lane.board.quiet().await;
        let mut known = match visit.known {
            true => ask(&self.lane.index, AskKnown(path.to_string())).await?,
            false => Known::default(),
        };
        // Where little is new, little is to be measured; and what Kubo cannot measure at once may be measured in part.
        let ways: &[Way] = match visit.known {
            true => &[Way::Looks(LOOKS), Way::Measured, Way::Looks(usize::MAX)],
            false => &[Way::Measured, Way::Looks(usize::MAX)],
        };
        let mut read = Read::Missing;
        for way in ways {
            frame.below.clear();
            read = match self.read(&mut frame, visit, &mut known, *way).await {
                Ok(read) => read,
                // It may have met an entry that it cannot measure.
                Err(Stop::Stuck(..)) if *way == Way::Measured => Read::Missing,
                Err(Stop::Stuck(cid, error)) => {
                    // Not for ever: the rest of the tree is to be read, too.
                    if self.stuck.is_none_or(|(stuck, times)| stuck != *cid || times + 1 < TRIES) {
                        return Err(Stop::Stuck(cid, error));
                    }
                    tracing::warn!("the directory {path:?} of MFS cannot be read: {}", chain(&error));
                    Read::Missing
                }
                Err(stop) => return Err(stop),
            };
            if matches!(read, Read::Whole) {
                break;
            }
        }
        if !matches!(read, Read::Whole) {
            frame.below.clear();
            frame.state = State::Unread;
        } else if !known.all_seen() {
            for name in ask(&self.lane.index, AskUnseen(path.to_string(), known)).await? {
                let place = Place { parent: path.clone(), name };
                self.batch.entries.insert(place, (None, !visit.quiet));
                self.grown().await?;
            }
        }
        Ok(frame)
    }

    /// Reads one directory in one way.
    async fn read(&mut self, frame: &mut Frame, visit: Visit, known: &mut Known, way: Way) -> Result<Read, Stop> {
        let path = frame.path.clone();
        let text = cid::text(&frame.cid);
        let stuck = |error: RpcError| match error {
            error if error.is_missing_block() => Ok(Read::Missing),
            error @ RpcError::Unreachable(_) => Err(error.into()),
            error => Err(Stop::Stuck(Box::new(frame.cid), error)),
        };
        let listing = self.rpc.directory(&text, way == Way::Measured, DEADLINE).await;
        let mut listing = match self.rpc.attributed(listing).await {
            Ok(listing) => listing,
            Err(error) => return stuck(error),
        };
        let (mut looks, mut names) = (0, HashSet::new());
        loop {
            let link = match self.rpc.attributed(listing.next(DEADLINE).await).await {
                Ok(Some(link)) => link,
                Ok(None) => return Ok(Read::Whole),
                Err(error) => return stuck(error),
            };
            let Link { name, cid: text, measured } = link;
            if !tree::has_path(&path, &name) {
                tracing::debug!("an entry of {path:?} has a name that is no part of a path");
                continue;
            }
            // A path leads to the first one of a name. Only by hand can a directory be made that has it twice.
            if !names.insert(known.hash(name.as_bytes()).0) {
                continue;
            }
            let cid = cid::parse(&text).map_err(|fault| {
                Stop::Stuck(Box::new(frame.cid), RpcError::Malformed { call: "ls", detail: fault.detail })
            })?;
            let old = known.see(&name);
            let same = old.is_some_and(|old| known.same(&old, &cid));
            let (kind, size) = match (measured, old.filter(|old| same && old.kind().is_some())) {
                (Some(Measured { kind, size }), _) => (Some(kind), size),
                (None, Some(old)) => (old.kind(), old.size()),
                (None, None) => {
                    looks += 1;
                    if way == Way::Looks(LOOKS) && looks > LOOKS {
                        return Ok(Read::Many);
                    }
                    let measured = match self.rpc.attributed(self.rpc.look_at(&text, DEADLINE).await).await {
                        Ok(measured) => measured,
                        // It hides no other.
                        Err(RpcError::Connection(_)) => None,
                        Err(error) => return stuck(error),
                    };
                    (measured.map(|measured| measured.kind), measured.and_then(|measured| measured.size))
                }
            };
            let step = step(old.as_ref(), same, kind, size, visit.quiet);
            let place = Place { parent: path.clone(), name };
            if let Some(visit) = step.visit {
                frame.below.push(Child { name: place.name.as_str().into(), cid: cid.to_bytes().into(), visit });
            }
            self.put(place, step.put.map(|(state, told)| (Put { cid, kind, size, state }, told))).await?;
        }
    }

    /// Looks at an entry again whose blocks were not here.
    async fn look_again(&mut self, place: Place, put: Put) -> Result<(), Stop> {
        if self.size > 0 {
            self.flush().await?;
        }
        // The walk may have been there.
        let now = ask(&self.lane.index, AskEntry(place.clone())).await?;
        if now.is_none_or(|now| now.put != put) {
            return Ok(());
        }
        let Ok(Some(Measured { kind, size })) = self.rpc.look_at(&cid::text(&put.cid), DEADLINE).await else {
            return Ok(());
        };
        let cid = put.cid;
        let known = Known::default();
        let step = step(Some(&known.entry(&put)), true, Some(kind), size, false);
        let put = step.put.map(|(state, told)| (Put { cid, kind: Some(kind), size, state }, told));
        self.put(place.clone(), put).await?;
        match step.visit {
            Some(visit) => {
                // It has failed often enough.
                self.stuck = Some((cid, TRIES));
                self.below(Below { place, cid, visit }).await
            }
            None => Ok(()),
        }
    }

    async fn put(&mut self, place: Place, put: Option<(Put, bool)>) -> Result<(), Stop> {
        if let Some((put, told)) = put {
            self.batch.entries.insert(place, (Some(put), told));
            self.grown().await?;
        }
        Ok(())
    }

    /// Applies the batch when it has grown to its size.
    async fn grown(&mut self) -> Result<(), Stop> {
        self.size += 1;
        if self.size >= BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.entries + self.batch.entries.len() as u64 >= self.lane.most
    }

    async fn flush(&mut self) -> Result<VfsCounts, Stop> {
        self.size = 0;
        let counts = ask(&self.lane.index, std::mem::take(&mut self.batch)).await?;
        self.entries = counts.entries;
        Ok(counts)
    }
}

fn directory(cid: &Cid, state: State) -> Put {
    Put { cid: *cid, kind: Some(ContentKind::Directory), size: None, state }
}
