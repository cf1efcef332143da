//! What readers ask of the tree.

use super::known::Known;
use super::{Found, LOST, Place, Put, State, Told, VfsCounts};
use crate::index::error::IndexError;
use crate::index::rows::{cid, kind};
use duckdb::{Connection, Row, params};
use jiff::Timestamp;
use proto_msgs::vfs::VfsOp;

/// What the tree has.
pub fn counts(connection: &Connection) -> Result<VfsCounts, IndexError> {
    let sql = "SELECT count(*), count(*) FILTER (state = 2), (SELECT max(as_of_us) FROM vfs_meta) FROM vfs";
    Ok(connection.query_row(sql, [], |row| {
        Ok(VfsCounts {
            entries: row.get::<_, i64>(0)?.cast_unsigned(),
            unread: row.get::<_, i64>(1)?.cast_unsigned(),
            as_of: row.get::<_, Option<i64>>(2)?.and_then(|us| Timestamp::from_microsecond(us).ok()),
        })
    })?)
}

const COLUMNS: &str = "parent, name, cid, kind, size, state";

fn found(row: &Row<'_>) -> duckdb::Result<Found> {
    Ok(Found {
        place: Place { parent: row.get::<_, String>(0)?.into(), name: row.get(1)? },
        put: Put {
            cid: cid(row, 2)?,
            kind: row.get::<_, Option<u8>>(3)?.map(kind),
            size: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
            state: State::of(row.get(5)?),
        },
    })
}

/// The entry at a place.
pub fn entry(connection: &Connection, place: &Place) -> Result<Option<Found>, IndexError> {
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM vfs WHERE parent = ? AND name = ? LIMIT 1"))?;
    let mut rows = statement.query_map(params![&*place.parent, place.name], found)?;
    Ok(rows.next().transpose()?)
}

/// The entries of a directory behind this name, in the order of their names.
pub fn children(
    connection: &Connection,
    parent: &str,
    after: Option<&str>,
    limit: u64,
) -> Result<Vec<Found>, IndexError> {
    let sql =
        format!("SELECT {COLUMNS} FROM vfs WHERE parent = ? AND (? IS NULL OR name > ?) ORDER BY name LIMIT {limit}");
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![parent, after, after], found)?;
    Ok(rows.collect::<duckdb::Result<_>>()?)
}

/// How many entries a directory has.
pub fn count(connection: &Connection, parent: &str) -> Result<u64, IndexError> {
    let count = connection.query_row("SELECT count(*) FROM vfs WHERE parent = ?", params![parent], |row| row.get(0));
    Ok(i64::cast_unsigned(count?))
}

/// Entries whose blocks were not here, at most so many; others each time, so that all of them get their turn.
pub fn unread(connection: &Connection, limit: u64) -> Result<Vec<Found>, IndexError> {
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM vfs WHERE state = 2 ORDER BY random() LIMIT {limit}"))?;
    let rows = statement.query_map([], found)?;
    Ok(rows.collect::<duckdb::Result<_>>()?)
}

/// Lines of the journal after this number, oldest first, and whether it has all that came after it: the oldest lines are not
/// kept for ever, and those that an index had that was lost or replaced are missing.
pub fn journal(connection: &Connection, since: u64, limit: u64) -> Result<(Vec<Told>, bool), IndexError> {
    let since = i64::try_from(since).unwrap_or(i64::MAX - 1);
    let whole = connection.query_row(
        "SELECT coalesce(max(seq), 0) - ? = count(*) FILTER (seq > ? AND op <> ?) FROM vfs_journal",
        params![since, since, LOST],
        |row| row.get(0),
    )?;
    let sql = format!(
        "SELECT seq, epoch_us(seen_at), op, path, cid, cid_before FROM vfs_journal
         WHERE seq > ? AND op <> {LOST} ORDER BY seq LIMIT {limit}"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![since], |row| {
        let maybe = |column| match row.get_ref(column)? {
            duckdb::types::ValueRef::Null => Ok(None),
            _ => cid(row, column).map(Some),
        };
        Ok(Told {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            at: Timestamp::from_microsecond(row.get(1)?).unwrap_or(Timestamp::UNIX_EPOCH),
            op: match row.get::<_, u8>(2)? {
                0 => VfsOp::Added,
                1 => VfsOp::Changed,
                2 => VfsOp::Removed,
                _ => VfsOp::Unread,
            },
            path: row.get(3)?,
            cid: maybe(4)?,
            before: maybe(5)?,
        })
    })?;
    Ok((rows.collect::<duckdb::Result<_>>()?, whole))
}

/// The number of the journal's last line, also of one that tells nobody anything; 0: it has none.
pub fn newest(connection: &Connection) -> Result<u64, IndexError> {
    let newest = connection.query_row("SELECT coalesce(max(seq), 0) FROM vfs_journal", [], |row| row.get(0));
    Ok(i64::cast_unsigned(newest?))
}

/// All entries of a directory, to be compared with.
pub fn known(connection: &Connection, parent: &str) -> Result<Known, IndexError> {
    let mut known = Known::default();
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM vfs WHERE parent = ?"))?;
    let mut rows = statement.query(params![parent])?;
    while let Some(row) = rows.next()? {
        let found = found(row)?;
        known.add(&found.place.name, &found.put);
    }
    Ok(known.sorted())
}

/// The names that a whole listing did not have.
pub fn unseen(connection: &Connection, parent: &str, known: &Known) -> Result<Vec<String>, IndexError> {
    let mut statement = connection.prepare("SELECT name FROM vfs WHERE parent = ?")?;
    let mut rows = statement.query(params![parent])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if known.is_unseen(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
