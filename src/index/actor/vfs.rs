//! What the index actor answers about MFS: to the lane that walks it, and to clients.

use super::{Index, IndexArgs, Rows, answer, dated, fault, write};
use crate::board::Board;
use crate::cid::{self, Cid, Key};
use crate::index::error::IndexError;
use crate::index::pages::AHEAD;
use crate::index::store::Store;
use crate::index::vfs::known::Known;
use crate::index::vfs::{Found, Place, State, Told, VfsBatch, VfsCounts, apply, read};
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{ContentKind, PinType, Source};
use proto_msgs::vfs::{
    VfsChange, VfsEntry, VfsInfo, VfsInfoReply, VfsJournal, VfsJournalPage, VfsLs, VfsPage, VfsRows,
};
use proto_msgs::{Fault, FaultKind};
use tokio::sync::mpsc;

/// Rows that one query of a directory reads.
const PAGE: u64 = 5000;
/// Bytes of names in one part: escaped they have to fit into a message.
const PART: usize = 512 << 10;

/// Asks for the entry at a place.
pub struct AskEntry(pub Place);
/// Asks for what a directory has, to be compared with a listing.
pub struct AskKnown(pub String);
/// Asks for the names in a directory that a listing did not have.
pub struct AskUnseen(pub String, pub Known);
/// Asks for entries whose blocks were not here, and what the tree has.
pub struct AskUnread(pub u64);
/// Asks for lines of the journal behind a number, at most so many.
pub struct AskJournal(pub u64, pub u64);
/// Asks for the number of the journal's last line; 0: it has none.
pub struct AskJournalEnd;

written!(VfsBatch => VfsCounts, "apply changes of MFS", apply::apply);
read!(AskEntry => Option<Found>, "look a path up", |connection, AskEntry(place)| read::entry(connection, &place));
read!(AskKnown => Known, "read a directory of MFS", |connection, AskKnown(path)| read::known(connection, &path));
read!(AskUnseen => Vec<String>, "read a directory of MFS", |connection, AskUnseen(path, known)| {
    read::unseen(connection, &path, &known)
});
read!(AskUnread => (Vec<Found>, VfsCounts), "read what is missing of MFS", |connection, AskUnread(most)| {
    Ok((read::unread(connection, most)?, read::counts(connection)?))
});
read!(AskJournal => Vec<Told>, "read the journal of MFS", |connection, AskJournal(since, most)| {
    Ok(read::journal(connection, since, most)?.0)
});
read!(AskJournalEnd => u64, "read the journal of MFS", |connection, _| read::newest(connection));

/// How old an answer about MFS is that is given now.
struct Age {
    as_of: Option<String>,
    age_s: Option<f64>,
    generation: u64,
    complete: bool,
    source: Source,
    unread: u64,
    error: Option<String>,
}

fn age(board: &Board) -> Age {
    let run = {
        let kubo = board.kubo.borrow();
        (kubo.state == KuboState::Running).then_some(kubo.restarts)
    };
    let generation = dated(board).generation;
    let mfs = board.mfs.borrow();
    let live = mfs.whole && mfs.error.is_none() && mfs.run.is_some() && mfs.run == run;
    Age {
        as_of: mfs.as_of.map(crate::time::text),
        age_s: mfs.as_of.and_then(crate::time::age_s),
        generation,
        complete: mfs.complete(),
        source: if live { Source::Live } else { Source::Index },
        unread: mfs.unread,
        error: mfs.error.clone(),
    }
}

fn pinned(board: &Board, cid: &Cid) -> Option<PinType> {
    board.index.borrow().set.get(&Key::of(cid)).map(|entry| entry.pin_type())
}

fn row(board: &Board, found: Found) -> VfsEntry {
    VfsEntry {
        path: found.place.path(),
        pin: pinned(board, &found.put.cid),
        name: found.place.name,
        kind: found.put.kind,
        size: found.put.size,
        cid: cid::text(&found.put.cid),
        whole: found.put.state == State::Whole,
    }
}

/// The entry at a path; the error names the part of it that is not there.
async fn resolve(args: &IndexArgs, path: &str) -> Result<Found, Fault> {
    let shown: String = path.chars().take(200).collect();
    let Some(place) = Place::of(path) else {
        return Err(Fault::new(FaultKind::Invalid, format!("{shown:?} is not a path of MFS"))
            .hint("it begins with a slash, as in `ipfs-kitctl vfs ls /`"));
    };
    let store = &args.store;
    let failed = |error| fault(args, "look a path up", &error);
    if let Some(found) = look_up(store, place.clone()).await.map_err(failed)? {
        return Ok(found);
    }
    let age = age(&args.board);
    let Some(as_of) = age.as_of.filter(|_| args.board.mfs.borrow().whole) else {
        let detail = format!("{shown:?} is not in the index, which does not have all of MFS yet");
        return Err(Fault::new(FaultKind::NotFound, detail).hint("`ipfs-kitctl vfs info /` says how far it is"));
    };
    // The first part that is missing is what was mistyped, or what can't be read.
    let mut above = place;
    while !above.parent.is_empty() {
        above = Place::of(&above.parent).unwrap_or_else(Place::root);
        let Some(found) = look_up(store, above.clone()).await.map_err(failed)? else { continue };
        let above = above.path();
        let why = match found.put.state {
            State::Unread => format!("{above:?} was not read; most often a block of it is not in the repo"),
            _ if found.put.kind != Some(ContentKind::Directory) => format!("{above:?} is no directory"),
            _ => format!("{above:?} is there and has no such entry"),
        };
        return Err(Fault::new(FaultKind::NotFound, format!("{shown:?} is not in MFS as of {as_of}: {why}"))
            .hint("`ipfs-kitctl vfs ls` shows what is there"));
    }
    Err(Fault::new(FaultKind::NotFound, format!("{shown:?} is not in MFS as of {as_of}")))
}

async fn look_up(store: &Store, place: Place) -> Result<Option<Found>, IndexError> {
    store.read(move |connection| read::entry(connection, &place)).await
}

async fn count(args: &IndexArgs, path: String) -> Result<u64, Fault> {
    let counted = args.store.read(move |connection| read::count(connection, &path)).await;
    counted.map_err(|error| fault(args, "count the entries of a directory", &error))
}

impl Message<VfsInfo> for Index {
    type Reply = DelegatedReply<Result<VfsInfoReply, Fault>>;

    async fn handle(&mut self, ask: VfsInfo, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let Age { as_of, age_s, generation, complete, source, unread, error } = age(&args.board);
            let found = resolve(&args, &ask.path).await?;
            let children = count(&args, found.place.path()).await?;
            let entry = row(&args.board, found);
            Ok(VfsInfoReply { as_of, age_s, generation, complete, source, unread, error, entry, children })
        })
    }
}

impl Message<VfsLs> for Index {
    type Reply = DelegatedReply<Result<(VfsPage, Rows<VfsRows>), Fault>>;

    async fn handle(&mut self, ask: VfsLs, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            // Before the rows are read: they are at least so new.
            let Age { as_of, age_s, generation, complete, source, unread, error } = age(&args.board);
            let found = resolve(&args, &ask.path).await?;
            let path = found.place.path();
            let directory = found.put.kind == Some(ContentKind::Directory);
            let total = if directory { count(&args, path.clone()).await? } else { 1 };
            let entry = row(&args.board, found);
            let (send, parts) = mpsc::channel(AHEAD);
            if directory {
                // It ends with its reader, and a listing that has begun need not fail with this incarnation.
                tokio::spawn(read_pages(args, path, ask.after, ask.limit.unwrap_or(u64::MAX), send));
            } else {
                let _ = send.try_send(Ok(VfsRows { entries: vec![entry.clone()] }));
            }
            Ok((VfsPage { as_of, age_s, generation, complete, source, unread, error, entry, total }, parts))
        })
    }
}

/// Reads a directory page by page until all is sent or nobody wants it any more.
async fn read_pages(
    args: IndexArgs,
    path: String,
    mut after: Option<String>,
    mut left: u64,
    send: mpsc::Sender<Result<VfsRows, Fault>>,
) {
    while left > 0 {
        let (parent, from, limit) = (path.clone(), after.take(), left.min(PAGE));
        let read = tokio::select! {
            read = args.store.read(move |connection| read::children(connection, &parent, from.as_deref(), limit)) => read,
            () = send.closed() => return,
        };
        let page = match read {
            Ok(page) => page,
            Err(error) => {
                let _ = send.send(Err(fault(&args, "read a directory of MFS", &error))).await;
                return;
            }
        };
        let (count, last) = (page.len() as u64, page.last().map(|found| found.place.name.clone()));
        let entries: Vec<VfsEntry> = page.into_iter().map(|found| row(&args.board, found)).collect();
        let mut part = VfsRows { entries: Vec::new() };
        let mut bytes = 0;
        for entry in entries {
            bytes += entry.path.len() + entry.name.len();
            part.entries.push(entry);
            if part.entries.len() == VfsRows::MAX || bytes > PART {
                bytes = 0;
                let part = std::mem::replace(&mut part, VfsRows { entries: Vec::new() });
                if send.send(Ok(part)).await.is_err() {
                    return;
                }
            }
        }
        if !part.entries.is_empty() && send.send(Ok(part)).await.is_err() {
            return;
        }
        if count < limit {
            return;
        }
        (after, left) = (last, left - count);
    }
}

impl Message<VfsJournal> for Index {
    type Reply = DelegatedReply<Result<VfsJournalPage, Fault>>;

    async fn handle(&mut self, ask: VfsJournal, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let Age { as_of, age_s, generation, complete, source, unread, error } = age(&args.board);
            let limit = ask.limit.unwrap_or(VfsJournal::MAX).min(VfsJournal::MAX);
            // One more than wanted says whether there are more.
            let read = args.store.read(move |connection| read::journal(connection, ask.since, limit + 1)).await;
            let (mut told, whole) = read.map_err(|error| fault(&args, "read the journal of MFS", &error))?;
            let (mut bytes, all) = (0, told.len());
            // A page has at least one, so that whoever asks on comes to the end.
            let short = told.iter().take_while(|told| {
                let fits = bytes <= PART;
                bytes += told.path.len();
                fits
            });
            let short = short.count();
            told.truncate(usize::try_from(limit).unwrap_or(usize::MAX).min(short));
            let more = told.len() < all;
            let changes = told.into_iter().map(|told| VfsChange {
                seq: told.seq,
                at: crate::time::text(told.at),
                op: told.op,
                path: told.path,
                cid: told.cid.as_ref().map(cid::text),
                cid_before: told.before.as_ref().map(cid::text),
            });
            Ok(VfsJournalPage {
                as_of,
                age_s,
                generation,
                complete,
                source,
                unread,
                error,
                gap: !whole,
                more,
                changes: changes.collect(),
            })
        })
    }
}
