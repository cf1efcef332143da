//! A look at everything: whether the file can be read, is what the set in memory says, and the journal what the file says; and the
//! giving back of room.

use super::error::IndexError;
use super::export::TABLES;
use super::info;
use super::schema::{self, Meta};
use super::set::Keyed;
use super::store::Store;
use super::{marks, open, sound};
use crate::board::IndexState;
use duckdb::Connection;
use std::time::Duration;

/// A set and a file of two generations are looked at again; so often.
const TRIES: u32 = 20;
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The generation that was read.
    pub generation: u64,
    /// Rows of each table that can be read.
    pub rows: Vec<(&'static str, u64)>,
    /// The newest record of the journal.
    pub journal_seq: u64,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// What was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the file and its log before and after.
    pub index: (u64, u64),
    /// Bytes of the journal before and after.
    pub journal: (u64, u64),
    /// Why there was no checkpoint.
    pub put_off: Option<String>,
}

impl Store {
    /// Reads all of it.
    pub async fn verify(&self) -> Result<Verified, IndexError> {
        let keyed = self.write(|_, state| Ok(state.keyed().clone())).await?;
        let mut tries = 0;
        let mut verified = loop {
            let (keyed, published) = (keyed.clone(), self.state());
            let read = self.read_long(move |connection| {
                // The transaction begins with its first statement.
                let meta = schema::read_meta(connection)?;
                let state = published.borrow().clone();
                if state.generation == meta.generation {
                    look(connection, &state, &meta, &keyed).map(Some)
                } else {
                    Ok(None)
                }
            });
            match read.await? {
                Some(verified) => break verified,
                None if tries < TRIES => tokio::time::sleep(AGAIN).await,
                None => return Err(IndexError::Busy),
            }
            tries += 1;
        };
        match self.write(marks::look).await {
            Ok((seq, problem)) => {
                verified.journal_seq = seq;
                verified.problems.extend(problem);
            }
            Err(IndexError::Duckdb(error)) => {
                verified.problems.push(format!("the marks cannot be compared with the journal: {error}"));
            }
            // The daemon ends for it, and this is still answered.
            Err(IndexError::Fatal(why)) if open::is_damage(&why) => {
                verified.problems.push(format!("the marks cannot be compared with the journal: {why}"));
            }
            Err(error) => return Err(error),
        }
        self.condemn(&verified.problems);
        Ok(verified)
    }

    /// A checkpoint, which is put off while reads go on, and never forced; and the journal written anew.
    pub async fn compact(&self) -> Result<Compacted, IndexError> {
        // First, since it ends with a write.
        let mut compacted = Compacted { journal: self.write(marks::compact).await?, ..Compacted::default() };
        for _ in 0..TRIES {
            let (before, refused, after) = self.write(|connection, _| checkpoint(connection)).await?;
            if compacted.index.0 == 0 {
                compacted.index.0 = before;
            }
            compacted.index.1 = after;
            compacted.put_off = refused;
            if compacted.put_off.is_none() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(compacted)
    }
}

fn checkpoint(connection: &Connection) -> Result<(u64, Option<String>, u64), IndexError> {
    let bytes = || Ok::<_, IndexError>(info::bytes(connection)?.unwrap_or_default());
    let before = bytes()?;
    let refused = match connection.execute_batch("CHECKPOINT") {
        Ok(()) => None,
        Err(error) if error.to_string().contains("Cannot CHECKPOINT") => Some(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok((before, refused, bytes()?))
}

fn look(connection: &Connection, state: &IndexState, meta: &Meta, keyed: &Keyed) -> Result<Verified, IndexError> {
    let Meta { generation, journal_seq, .. } = *meta;
    let mut verified = Verified { generation, journal_seq, ..Verified::default() };
    let failed = |verified: &mut Verified, what: &str, error: duckdb::Error| {
        verified.problems.push(format!("{what}: {error}"));
        // The transaction is void and refuses whatever else is asked.
        connection.execute_batch("ROLLBACK; BEGIN")
    };
    // First, since only what this transaction reads can be compared with the set.
    match open::load(connection, keyed) {
        Ok(Ok(set)) if set.sums() == state.set.sums() && set.iter().eq(state.set.iter()) => {}
        Ok(Ok(set)) => {
            let (file, memory) = (set.len(), state.set.len());
            verified.problems.push(format!("the file has other pins ({file}) than the set in memory ({memory})"));
        }
        Ok(Err(problem)) => verified.problems.push(problem),
        Err(error) => failed(&mut verified, "the pins cannot be read", error)?,
    }
    for table in TABLES.iter().map(|table| table.name).chain(schema::ACCESS_TABLES) {
        // Every column, and with it the checksum of every block.
        let sql = format!("SELECT count(*), count(hash(t)) FROM {table} t");
        match sound::count(connection, &sql) {
            Ok(rows) => verified.rows.push((table, rows.cast_unsigned())),
            Err(error) => failed(&mut verified, &format!("{table} cannot be read"), error)?,
        }
    }
    for (what, sql) in sound::checks().into_iter().chain(sound::access_checks()) {
        match sound::count(connection, &sql) {
            Ok(0) => {}
            Ok(count) => verified.problems.push(format!("{what}: {count}")),
            Err(error) => failed(&mut verified, what, error)?,
        }
    }
    match sound::wrong_mark(connection) {
        Ok(wrong) => verified.problems.extend(wrong),
        Err(error) => failed(&mut verified, "the marks cannot be read", error)?,
    }
    Ok(verified)
}
