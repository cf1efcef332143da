//! A backup in the place of the index, while the daemon runs: as one job of the writer, so that nothing happens between the keeping of
//! what there is and the one transaction that replaces it.
//!
//! The transaction is what counts: it says of the journal more than that has, so wherever the daemon is killed behind it, the
//! next start writes the journal anew from the file.

use super::apply::State;
use super::error::IndexError;
use super::export::{self, Sink};
use super::refill::{self, Refusal};
use super::schema::{self, Meta};
use super::{marks, open, rows, sound, vfs};
use crate::fault;
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::snapshot::SnapshotManifest;
use std::io;
use std::path::PathBuf;

/// What to do.
pub struct Restore<S> {
    /// The files of the backup, verified.
    pub dir: PathBuf,
    /// What they are.
    pub manifest: SnapshotManifest,
    /// Whether it may be of another node.
    pub force: bool,
    /// Where what there is goes.
    pub keep: S,
}

/// What was done.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// The generation that has it.
    pub generation: u64,
    /// Pins.
    pub pins: u64,
    /// Marks.
    pub marks: u64,
}

impl From<Refusal> for IndexError {
    fn from(refusal: Refusal) -> IndexError {
        match refusal {
            Refusal::Unfit(why) => IndexError::Unfit(fault::brief(&why)),
            Refusal::Duckdb(error) => IndexError::Duckdb(error),
        }
    }
}

/// Does it. `seal` puts what there is on disk, before anything is changed.
pub fn restore<S: Sink>(
    connection: &Connection,
    state: &mut State,
    order: Restore<S>,
    seal: impl FnOnce(S) -> io::Result<()>,
) -> Result<Restored, IndexError> {
    let Restore { dir, manifest, force, mut keep } = order;
    let before = state.meta();
    let owner = match (&before.peer_id, &manifest.peer_id, force) {
        (Some(owner), Some(other), false) if owner != other => {
            return Err(IndexError::OtherNode { listed: other.clone(), owner: owner.clone() });
        }
        (owner, _, true) => owner.clone(),
        (owner, other, false) => owner.clone().or_else(|| other.clone()),
    };
    let journal_seq = marks::beyond(connection, state)?;
    connection.execute_batch("BEGIN")?;
    export::all(connection, &mut keep)?;
    connection.execute_batch("COMMIT")?;
    seal(keep).map_err(IndexError::Export)?;

    connection.execute_batch("BEGIN")?;
    let told = sound::count(connection, "SELECT coalesce(max(seq), 0) FROM vfs_journal")?;
    let filled = refill::fill(connection, &dir, &manifest)?;
    let meta = Meta {
        peer_id: owner,
        generation: before.generation.max(filled.generation) + 1,
        next_id: before.next_id.max(filled.next_id),
        journal_seq,
        ..filled
    };
    let now = Timestamp::now();
    rows::begin(connection, meta.generation, now)?;
    vfs::apply::lose_track(connection, told.cast_unsigned(), now)?;
    let set = open::load(connection, state.keyed())?.map_err(Refusal::Unfit)?;
    schema::write_meta(connection, &meta)?;
    refill::check(connection)?;
    connection.execute_batch("COMMIT")?;

    let pins = set.len();
    state.replace(set, &meta);
    let marks = marks::renew(connection, state).map_err(|error| {
        IndexError::Fatal(format!("the backup is in force, but the journal could not be written: {error}"))
    })?;
    Ok(Restored { generation: meta.generation, pins, marks })
}
