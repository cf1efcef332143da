//! What the writer does to the tree.

use super::read::counts;
use super::{LOST, Place, Put, State, VfsBatch, VfsCounts};
use crate::cid::Cid;
use crate::index::apply;
use crate::index::error::IndexError;
use crate::index::rows::{fill_temp, kind_code};
use duckdb::arrow::array::{BinaryArray, BooleanArray, Int64Array, StringArray, UInt8Array};
use duckdb::{Connection, params};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// Entries of the journal that are kept ...
const JOURNAL_ROWS: u64 = 100_000;
/// ... and for how long.
const JOURNAL_AGE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Applies a batch; all or nothing.
pub fn apply(connection: &Connection, state: &mut apply::State, batch: VfsBatch) -> Result<VfsCounts, IndexError> {
    if batch.entries.is_empty() && batch.settled.is_empty() && batch.finished.is_none() {
        return counts(connection);
    }
    let now = Timestamp::now();
    // No statement's error is passed over before the COMMIT, to which DuckDB would answer `Ok` and store nothing.
    connection.execute_batch("BEGIN")?;
    if !batch.entries.is_empty() {
        put(connection, &batch.entries, now)?;
    }
    if !batch.settled.is_empty() {
        settle(connection, &batch.settled, now)?;
    }
    if let Some(as_of) = batch.finished {
        connection.execute_batch("DELETE FROM vfs_meta")?;
        connection.execute("INSERT INTO vfs_meta VALUES (?)", params![as_of.as_microsecond()])?;
        let now = crate::time::settled();
        let since = now.checked_sub(JOURNAL_AGE).unwrap_or(now);
        // The newest stays, whatever its age: it has the number that the next one follows.
        connection.execute(
            &format!(
                "DELETE FROM vfs_journal WHERE seq < (SELECT max(seq) FROM vfs_journal) AND (seen_at < make_timestamp(?)
                   OR seq <= (SELECT seq FROM vfs_journal ORDER BY seq DESC LIMIT 1 OFFSET {JOURNAL_ROWS}))"
            ),
            params![since.as_microsecond()],
        )?;
    }
    let counts = counts(connection)?;
    connection.execute_batch("COMMIT")?;
    state.changed();
    Ok(counts)
}

/// Within a transaction: says that an older tree, or none, has come in the place of the one of which lines up to number `told` and
/// perhaps more were read. The next line gets a number above all those, behind one that is nobody's: so whoever asks for what came
/// after any of them is told of a gap. By the clock, since a lost index says nothing of how far it had come.
pub(in crate::index) fn lose_track(connection: &Connection, told: u64, now: Timestamp) -> duckdb::Result<()> {
    connection
        .execute(
            "INSERT INTO vfs_journal SELECT 1 + greatest(coalesce(max(seq), 0), ?, ?), make_timestamp(?), ?, '/', NULL, NULL
             FROM vfs_journal",
            params![told.cast_signed(), now.as_millisecond(), now.as_microsecond(), LOST],
        )
        .map(drop)
}

/// The path of a row, and the parent of what is in it.
const PATH: &str = "CASE parent WHEN '' THEN '/' WHEN '/' THEN '/' || name ELSE parent || '/' || name END";

fn put(
    connection: &Connection,
    entries: &HashMap<Place, (Option<Put>, bool)>,
    now: Timestamp,
) -> Result<(), IndexError> {
    let mut rows: Vec<(&Place, Option<&Put>, bool)> =
        entries.iter().map(|(place, (put, told))| (place, put.as_ref(), *told)).collect();
    // Neighbours in the tree are neighbours in the file.
    rows.sort_unstable_by_key(|&(place, ..)| (&place.parent, &place.name));
    let puts = || rows.iter().map(|(_, put, _)| *put);
    fill_temp(
        connection,
        "incoming(parent VARCHAR NOT NULL, name VARCHAR NOT NULL, cid BLOB, kind UTINYINT, size BIGINT, state UTINYINT,
           told BOOLEAN NOT NULL)",
        vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(place, ..)| &*place.parent))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(place, ..)| &place.name))),
            Arc::new(puts().map(|put| put.map(|put| put.cid.to_bytes())).collect::<BinaryArray>()),
            Arc::new(puts().map(|put| put?.kind.map(kind_code)).collect::<UInt8Array>()),
            Arc::new(puts().map(|put| put?.size.map(u64::cast_signed)).collect::<Int64Array>()),
            Arc::new(puts().map(|put| put.map(|put| put.state.code())).collect::<UInt8Array>()),
            Arc::new(rows.iter().map(|(.., told)| Some(*told)).collect::<BooleanArray>()),
        ],
    )?;
    connection.execute_batch(
        "CREATE OR REPLACE TEMP TABLE replaced AS SELECT v.* FROM vfs v JOIN incoming USING (parent, name)",
    )?;
    let path = PATH.replace("parent", "i.parent").replace("name", "i.name");
    connection.execute(
        &format!(
            "INSERT INTO vfs_journal
             SELECT (SELECT coalesce(max(seq), 0) FROM vfs_journal) + row_number() OVER (ORDER BY i.parent, i.name),
               make_timestamp(?), CASE WHEN i.cid IS NULL THEN 2 WHEN b.cid IS NULL OR b.state IN (0, 2) THEN 0
                 ELSE 1 END, {path}, i.cid, b.cid
             FROM incoming i LEFT JOIN replaced b USING (parent, name)
             WHERE i.told AND i.cid IS DISTINCT FROM b.cid
               -- Where anything was told before, the root is only walked again.
               AND NOT (i.parent = '' AND b.cid IS NULL AND EXISTS (SELECT 1 FROM vfs_journal))"
        ),
        params![now.as_microsecond()],
    )?;
    connection.execute_batch(&format!(
        "DELETE FROM vfs USING replaced b WHERE vfs.parent = b.parent AND vfs.name = b.name;
         CREATE OR REPLACE TEMP TABLE emptied AS SELECT {path} AS path
           FROM replaced b JOIN incoming i USING (parent, name) WHERE b.kind = 1 AND i.kind IS DISTINCT FROM 1",
    ))?;
    empty(connection)?;
    connection.execute_batch(
        "INSERT INTO vfs SELECT parent, name, cid, kind, size, state FROM incoming WHERE cid IS NOT NULL",
    )?;
    Ok(())
}

/// Removes what is below the paths in `emptied`.
fn empty(connection: &Connection) -> duckdb::Result<()> {
    let any: bool = connection.query_row("SELECT count(*) > 0 FROM emptied", [], |row| row.get(0))?;
    if any {
        // All that is deeper is the range of parents between `path/` and `path0`, 0 being what follows the slash. Two
        // statements, each a join that DuckDB does without comparing everything with everything.
        connection.execute_batch(
            "DELETE FROM vfs USING emptied e WHERE vfs.parent = e.path;
             DELETE FROM vfs USING (SELECT rtrim(path, '/') AS path FROM emptied) e
               WHERE vfs.parent >= e.path || '/' AND vfs.parent < e.path || '0'",
        )?;
    }
    Ok(())
}

fn settle(connection: &Connection, settled: &[(Place, Cid, State)], now: Timestamp) -> Result<(), IndexError> {
    fill_temp(
        connection,
        "settled(parent VARCHAR NOT NULL, name VARCHAR NOT NULL, cid BLOB NOT NULL, state UTINYINT NOT NULL)",
        vec![
            Arc::new(StringArray::from_iter_values(settled.iter().map(|(place, ..)| &*place.parent))),
            Arc::new(StringArray::from_iter_values(settled.iter().map(|(place, ..)| &place.name))),
            Arc::new(BinaryArray::from_iter_values(settled.iter().map(|(_, cid, _)| cid.to_bytes()))),
            Arc::new(UInt8Array::from_iter_values(settled.iter().map(|(.., state)| state.code()))),
        ],
    )?;
    let path = PATH.replace("parent", "s.parent").replace("name", "s.name");
    // Before the update: what was unreadable before is no news, and what is readable again is.
    connection.execute(
        &format!(
            "INSERT INTO vfs_journal
             SELECT (SELECT coalesce(max(seq), 0) FROM vfs_journal) + row_number() OVER (ORDER BY s.parent, s.name),
               make_timestamp(?), CASE s.state WHEN 2 THEN 3 ELSE 0 END, {path}, s.cid, NULL
             FROM settled s JOIN vfs v ON v.parent = s.parent AND v.name = s.name AND v.cid = s.cid
             WHERE (s.state = 2) <> (v.state = 2)"
        ),
        params![now.as_microsecond()],
    )?;
    connection.execute_batch(
        "UPDATE vfs SET state = s.state FROM settled s
         WHERE vfs.parent = s.parent AND vfs.name = s.name AND vfs.cid = s.cid",
    )?;
    if settled.iter().any(|(.., state)| *state == State::Unread) {
        connection.execute_batch(&format!(
            "CREATE OR REPLACE TEMP TABLE emptied AS SELECT {PATH} AS path FROM settled WHERE state = 2"
        ))?;
        empty(connection)?;
    }
    Ok(())
}
