//! Marks as the writer keeps them: first in the journal, then in DuckDB, then the reply. DuckDB knows how far it has followed
//! the journal (`meta.journal_seq`), in the transaction that follows it; so whatever becomes of the file, the journal tells the rest.

use super::apply::{State, transaction};
use super::error::IndexError;
use super::journal::Journal;
use super::mark::{Mark, What};
use super::open::is_full;
use super::schema::{self, Meta};
use super::{record, rows};
use crate::cid::{self, Cid, Key};
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::pin::PinMarked;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;

/// Marks that go to DuckDB at a time when many are brought back, and their bytes.
const BATCH: usize = 20_000;
const BATCH_BYTES: usize = 16 << 20;

/// CIDs that are not pinned and of which something is said, at most: so many could else be named until the disk is full.
const UNPINNED: usize = 100_000;

/// What the writer has to do with marks.
pub(super) struct Marks {
    pub(super) journal: Journal,
    /// The newest record that DuckDB has.
    applied: u64,
    /// The one that it does not have yet. There is never a second: before it is there, none is taken.
    pending: Option<(u64, Mark)>,
    /// How many of the marked CIDs are not pinned in a generation, where they were counted.
    unpinned: Option<(u64, usize)>,
}

/// Somebody says something of a CID, pinned or not.
#[derive(Clone, Debug)]
pub struct Say {
    /// Of which.
    pub cid: Cid,
    /// What.
    pub what: What,
}

impl Marks {
    /// The newest record that DuckDB has.
    pub(super) fn applied(&self) -> u64 {
        self.applied
    }

    /// DuckDB has other marks now, as if they were the journal's up to this record.
    pub(super) fn replaced(&mut self, applied: u64) {
        (self.applied, self.pending, self.unpinned) = (applied, None, None);
    }

    /// Makes file and journal of one mind at the start. `fresh` says that the file is new. Answers what is to be told.
    pub(super) fn recover(
        connection: &Connection,
        mut journal: Journal,
        meta: &mut Meta,
        fresh: bool,
    ) -> duckdb::Result<(Marks, Option<String>)> {
        let mut told: Vec<String> = journal.take_report().into_iter().collect();
        if journal.closed().is_none() && journal.last() < meta.journal_seq {
            match anew(connection, &mut journal, meta) {
                Ok(marks) => {
                    told.push(format!(
                        "the journal lacked marks that the index has; it was written anew with all {marks}"
                    ));
                }
                Err(IndexError::Duckdb(error)) if !is_full(&error) => return Err(error),
                Err(error) => {
                    // What it took now would hide from the next start what it lacks.
                    journal.close(format!("it lacks marks that the index has, and cannot be written: {error}"));
                    told.push(format!("the journal lacks marks that the index has, and cannot be written: {error}"));
                }
            }
        }
        match follow(connection, &journal, meta) {
            Ok(0) => {}
            Ok(marks) if fresh => {
                let s = if marks == 1 { "" } else { "s" };
                told.push(format!("the index file was new; {marks} mark{s} were brought back from the journal"));
            }
            Ok(marks) => tracing::info!(marks, "the index took marks from the journal that it had not got to"),
            Err(IndexError::Duckdb(error)) if !is_full(&error) => return Err(error),
            Err(error) => {
                // The next mark would hide from the next start those that the index has not got to, and be said of a CID of
                // which it does not know what was said before.
                let what =
                    if error.wants_room() { "the index could not take what it has" } else { "it could not be read" };
                journal.close(format!("{what}: {error}"));
                told.push(format!("marks could not be brought back from the journal: {error}"));
            }
        }
        if journal.closed().is_none() && journal.is_spoilt() {
            match anew(connection, &mut journal, meta) {
                Ok(marks) => told.push(format!("it was written anew with all {marks} that the index has")),
                Err(IndexError::Duckdb(error)) if !is_full(&error) => return Err(error),
                // It reads as it is, and the next start tries again.
                Err(error) => told.push(format!("it could not be written anew: {error}")),
            }
        }
        told.iter().for_each(|text| tracing::warn!("{text}"));
        let marks = Marks { journal, applied: meta.journal_seq, pending: None, unpinned: None };
        Ok((marks, (!told.is_empty()).then(|| told.join("; "))))
    }
}

/// Writes the journal anew from the marks that DuckDB has, and tells DuckDB of their new numbers.
fn anew(connection: &Connection, journal: &mut Journal, meta: &mut Meta) -> Result<u64, IndexError> {
    let marks = from_file(connection, journal, meta.journal_seq)?;
    meta.journal_seq = journal.last();
    schema::write_meta(connection, meta)?;
    Ok(marks)
}

/// Writes the journal anew from the marks that DuckDB has.
fn from_file(connection: &Connection, journal: &mut Journal, after: u64) -> Result<u64, IndexError> {
    let marks: i64 = connection.query_row("SELECT count(*) FROM marks", [], |row| row.get(0))?;
    let mut failed = None;
    let renewed = journal.renew(after, marks.cast_unsigned(), |put| {
        let put = |mark| Ok(put(&record::mark(&mark))?);
        rows::all_marks(connection, put).map_err(|error| {
            failed = Some(error);
            io::Error::other("the marks in the index cannot be read")
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(renewed.map(|()| marks.cast_unsigned())?),
    }
}

/// Has DuckDB take every record that it lacks; answers of how many CIDs. A crash in the middle leaves a part that is whole.
fn follow(connection: &Connection, journal: &Journal, meta: &mut Meta) -> Result<u64, IndexError> {
    // What was taken back before the journal was written anew, it does not say any more.
    let anew = journal.compacted().is_some_and(|began| began > meta.journal_seq);
    let mut batch = Batch { anew, ..Batch::default() };
    let mut cids = 0;
    journal.replay(meta.journal_seq, |seq, mark| {
        batch.add(seq, mark);
        if batch.is_full() {
            cids += batch.apply(connection, meta)?;
        }
        Ok::<_, IndexError>(())
    })?;
    cids += batch.apply(connection, meta)?;
    // Records that say nothing of a mark, such as the first of a compacted journal.
    meta.journal_seq = meta.journal_seq.max(journal.last());
    Ok(cids)
}

/// The newest of what was said of some CIDs.
#[derive(Default)]
struct Batch {
    newest: HashMap<Cid, (u64, Mark)>,
    bytes: usize,
    last: u64,
    /// Nothing that was said before counts.
    anew: bool,
}

impl Batch {
    fn add(&mut self, seq: u64, mark: Mark) {
        self.bytes += mark.tags.iter().chain(&mark.note).map(String::len).sum::<usize>();
        self.last = seq;
        self.newest.insert(mark.cid, (seq, mark));
    }

    fn is_full(&self) -> bool {
        self.newest.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    fn apply(&mut self, connection: &Connection, meta: &mut Meta) -> Result<u64, IndexError> {
        let Batch { newest, last, anew, .. } = std::mem::take(self);
        if anew || !newest.is_empty() {
            let after = Meta { journal_seq: last.max(meta.journal_seq), ..meta.clone() };
            store(connection, &after, anew, newest.values().map(|(seq, mark)| (*seq, mark)).collect())?;
            *meta = after;
        }
        Ok(newest.values().filter(|(_, mark)| !mark.is_blank()).count() as u64)
    }
}

/// One transaction: these marks, `anew` instead of all others, and `meta` that says so. After an error nothing is left open.
fn store(connection: &Connection, meta: &Meta, anew: bool, marks: BTreeMap<u64, &Mark>) -> Result<(), IndexError> {
    let stored = transaction(connection, meta, || {
        if anew {
            connection.execute_batch("DELETE FROM marks")?;
        }
        if !marks.is_empty() {
            rows::mark(connection, &marks)?;
        }
        Ok(())
    });
    stored.inspect_err(|_| drop(connection.execute_batch("ROLLBACK")))
}

/// Has DuckDB take what the journal has and it has not.
pub(super) fn settle(connection: &Connection, state: &mut State) -> Result<(), IndexError> {
    if let Some((seq, mark)) = &state.marks.pending {
        let meta = Meta { journal_seq: *seq, ..state.meta() };
        store(connection, &meta, false, BTreeMap::from([(*seq, mark)]))?;
        state.touch_marked(&mark.cid);
        state.marks.applied = *seq;
        state.marks.pending = None;
        state.changed();
    }
    Ok(())
}

/// Records what is said; when this returns it is on disk. Nothing new said is answered with what holds.
pub fn say(connection: &Connection, state: &mut State, say: Say) -> Result<PinMarked, IndexError> {
    say_within(connection, state, say, UNPINNED)
}

/// The same with another limit for CIDs that are not pinned.
pub fn say_within(
    connection: &Connection,
    state: &mut State,
    Say { cid, what }: Say,
    most: usize,
) -> Result<PinMarked, IndexError> {
    if what != What::Nothing {
        settle(connection, state)?;
    }
    let pending = state.marks.pending.clone().filter(|(_, mark)| mark.cid == cid);
    let shown = pending.is_none();
    let before = match pending {
        Some(pending) => Some(pending),
        None => rows::marked(connection, &cid)?,
    };
    let (seq, before) = before.map_or_else(|| (None, Mark::none(cid)), |(seq, mark)| (Some(seq), mark));
    let Some(after) = before.with(what, Timestamp::now()).map_err(IndexError::Mark)? else {
        return Ok(reply(before, seq, shown));
    };
    let counts = !state.holds(&cid) && before.is_blank() != after.is_blank();
    if counts && before.is_blank() && unpinned(connection, state, most)? >= most {
        return Err(IndexError::Marks(most));
    }
    let seq = state.marks.journal.append(&after)?;
    state.marks.pending = Some((seq, after.clone()));
    if let Some((_, unpinned)) = state.marks.unpinned.as_mut().filter(|_| counts) {
        *unpinned = if after.is_blank() { unpinned.saturating_sub(1) } else { *unpinned + 1 };
    }
    let settled = settle(connection, state);
    if let Err(error) = &settled {
        tracing::warn!(%error, seq, "a mark is in the journal and not yet in the index");
    }
    Ok(reply(after, Some(seq), settled.is_ok()))
}

/// Of how many CIDs that are not pinned something is said. They are counted once a generation, and only where there are so many marks
/// at all.
fn unpinned(connection: &Connection, state: &mut State, most: usize) -> Result<usize, IndexError> {
    let generation = state.generation();
    if let Some((_, unpinned)) = state.marks.unpinned.filter(|(counted, _)| *counted == generation) {
        return Ok(unpinned);
    }
    let all: i64 = connection.query_row("SELECT count(*) FROM marks", [], |row| row.get(0))?;
    if all.cast_unsigned() < most as u64 {
        return Ok(0);
    }
    let mut unpinned = 0;
    rows::marked_cids(connection, |cid| unpinned += usize::from(!state.holds(&cid)))?;
    state.marks.unpinned = Some((generation, unpinned));
    Ok(unpinned)
}

fn reply(mark: Mark, seq: Option<u64>, shown: bool) -> PinMarked {
    let cid = cid::text(&mark.cid);
    PinMarked { cid, tags: mark.tags.into_iter().collect(), note: mark.note, tier: mark.tier, seq, shown }
}

/// Writes a journal anew that has grown too long; nobody waits for it.
pub(super) fn tidy(connection: &Connection, state: &mut State) {
    if !state.marks.journal.is_large() || state.marks.pending.is_some() {
        return;
    }
    match state.marks.journal.compact() {
        Ok(()) => renumbered(connection, state),
        Err(error) => tracing::warn!(%error, "the journal could not be written anew, and grows on"),
    }
}

/// The same marks under new numbers: DuckDB has them. If it is not told, the next start takes them once more, which does no harm.
fn renumbered(connection: &Connection, state: &mut State) {
    state.marks.applied = state.marks.journal.last();
    if let Err(error) = schema::write_meta(connection, &state.meta()) {
        tracing::warn!(%error, "the index does not know the new numbers of the journal");
    }
}

/// Writes the journal anew because somebody asks; its bytes before and after.
pub(super) fn compact(connection: &Connection, state: &mut State) -> Result<(u64, u64), IndexError> {
    settle(connection, state)?;
    let before = state.marks.journal.bytes();
    state.marks.journal.compact()?;
    renumbered(connection, state);
    Ok((before, state.marks.journal.bytes()))
}

/// Reads the journal from its beginning; its newest record, and what is wrong.
pub(super) fn look(connection: &Connection, state: &mut State) -> Result<(u64, Option<String>), IndexError> {
    settle(connection, state)?;
    let (journal, applied) = (&state.marks.journal, state.marks.applied);
    let last = journal.last();
    let problem = match journal.check() {
        Err(problem) => Some(problem),
        Ok(()) if last != applied => Some(format!("the journal ends with record {last} and the index has {applied}")),
        Ok(()) => match differing(connection, journal)? {
            0 => None,
            cids => Some(format!("journal and index say different things of {cids} CIDs")),
        },
    };
    Ok((last, problem))
}

/// Of how many CIDs journal and DuckDB say different things; some 50 bytes of memory for each mark.
fn differing(connection: &Connection, journal: &Journal) -> Result<usize, IndexError> {
    let hash = |mark: &Mark| BuildHasherDefault::<DefaultHasher>::default().hash_one(record::mark(mark));
    let mut said = HashMap::new();
    journal.replay(0, |_, mark| {
        match mark.is_blank() {
            true => said.remove(&Key::of(&mark.cid)),
            false => said.insert(Key::of(&mark.cid), hash(&mark)),
        };
        Ok::<_, IndexError>(())
    })?;
    let mut differing = 0;
    rows::all_marks(connection, |mark| {
        differing += usize::from(said.remove(&Key::of(&mark.cid)) != Some(hash(&mark)));
        Ok::<_, IndexError>(())
    })?;
    Ok(differing + said.len())
}

/// Before other marks come in the place of all: a sequence that the journal does not have. If the process ends before it has the
/// new ones, the next start finds that it lacks them.
pub(super) fn beyond(connection: &Connection, state: &mut State) -> Result<u64, IndexError> {
    settle(connection, state)?;
    state.marks.journal.admit()?;
    Ok(state.marks.journal.last().max(state.marks.applied) + 1)
}

/// After that: writes the journal anew from what DuckDB has; how many marks. After an error it takes nothing more, since what it
/// took would hide from the next start what it lacks.
pub(super) fn renew(connection: &Connection, state: &mut State) -> Result<u64, IndexError> {
    let after = state.marks.applied;
    let renewed = from_file(connection, &mut state.marks.journal, after);
    match &renewed {
        Ok(_) => renumbered(connection, state),
        Err(error) => state.marks.journal.close(format!("it lacks the marks of the restored index: {error}")),
    }
    renewed
}
