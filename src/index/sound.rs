//! What is true of every sound index: `index verify` asks for it, and what was exported is taken only where it holds.

use super::rows;
use crate::cid;
use duckdb::Connection;

/// Ids of rows, above which half of the room is left that the set has for one.
const MOST_ID: u64 = 1 << 39;
/// What any other number is at most: a reader of JSON may know no higher one.
const MOST: u64 = 1 << 53;

/// Columns that say a time.
const TIMES: [(&str, &str); 15] = [
    ("pins", "first_seen"),
    ("gone", "first_seen"),
    ("gone", "gone_at"),
    ("changes", "changed_at"),
    ("generations", "began"),
    ("marks", "marked_at"),
    ("legacy", "recorded_at"),
    ("legacy", "last_access"),
    ("legacy", "imported_at"),
    ("legacy_sources", "imported_at"),
    ("vfs_journal", "seen_at"),
    ("state_system", "measured_at"),
    ("state_network", "measured_at"),
    ("state_storage", "measured_at"),
    ("state_files", "measured_at"),
];

/// What may be wrong, and the statement that counts it.
pub(super) fn checks() -> Vec<(&'static str, String)> {
    let ids = "(SELECT id FROM pins UNION ALL SELECT id FROM gone UNION ALL SELECT id FROM changes)";
    let generations = "(SELECT generation AS g FROM pins UNION ALL SELECT generation FROM gone UNION ALL
      SELECT gone_generation FROM gone UNION ALL SELECT generation FROM changes UNION ALL SELECT generation FROM generations)";
    let times = TIMES.map(|(table, column)| format!("SELECT {column} AS moment FROM {table}")).join(" UNION ALL ");
    vec![
        (
            "ids that are used twice",
            "SELECT count(*) - count(DISTINCT id) FROM (SELECT id FROM pins UNION ALL SELECT id FROM gone)".to_owned(),
        ),
        ("ids that none can be", format!("SELECT count(*) FROM {ids} WHERE id NOT BETWEEN 1 AND {MOST_ID}")),
        ("ids that are not given yet", format!("SELECT count(*) FROM {ids}, meta WHERE id >= next_id")),
        (
            "generations that none can be, or that did not begin yet",
            format!("SELECT count(*) FROM {generations}, meta WHERE g NOT BETWEEN 0 AND meta.generation"),
        ),
        ("generations that began twice", "SELECT count(*) - count(DISTINCT generation) FROM generations".to_owned()),
        (
            "sizes below zero",
            "SELECT count(*) FROM (SELECT size FROM pins UNION ALL SELECT size FROM gone) WHERE size < 0".to_owned(),
        ),
        (
            "times that none can be",
            format!(
                "SELECT count(*) FROM ({times}) WHERE moment NOT BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-30'"
            ),
        ),
        ("CIDs that are marked twice", "SELECT count(*) - count(DISTINCT cid) FROM marks".to_owned()),
        ("numbers of marks that none can be", format!("SELECT count(*) FROM marks WHERE seq NOT BETWEEN 0 AND {MOST}")),
        (
            "numbers in the journal of MFS that none can be, or that are there twice",
            format!(
                "SELECT count(*) FILTER (seq NOT BETWEEN 1 AND {MOST}) + count(*) - count(DISTINCT seq) FROM vfs_journal"
            ),
        ),
    ]
}

/// The same of what was read, which comes out of no export. That no number is there twice is not asked, which would sort them all.
pub(super) fn access_checks() -> Vec<(&'static str, String)> {
    vec![
        (
            "numbers of accesses that none can be",
            format!("SELECT count(*) FROM access, access_meta WHERE seq NOT BETWEEN begin + 1 AND {MOST}"),
        ),
        (
            "accesses at times that none can be, or kept by nothing that could",
            "SELECT count(*) FROM access WHERE read_at NOT BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-30'
               OR keeper > 4 OR keeper = 1 AND pin IS NULL"
                .to_owned(),
        ),
        (
            "sources that are read from two places",
            "SELECT count(*) - count(DISTINCT source) FROM access_cursor".to_owned(),
        ),
    ]
}

/// How often it is so.
pub(super) fn count(connection: &Connection, sql: &str) -> duckdb::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// A mark that nobody could have said.
pub(super) fn wrong_mark(connection: &Connection) -> duckdb::Result<Option<String>> {
    let mut wrong = None;
    rows::all_marks(connection, |mark| {
        if let (None, Err(why)) = (&wrong, mark.check()) {
            wrong = Some(format!("what is said of {} cannot be: {why}", cid::text(&mark.cid)));
        }
        Ok::<_, duckdb::Error>(())
    })?;
    Ok(wrong)
}
