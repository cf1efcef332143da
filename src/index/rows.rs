//! The statements of one transaction of the writer. Rows are found by `id`, which the set knows, so that DuckDB reads only the
//! row groups concerned; there is no index on the CID.

use super::mark::Mark;
use super::set::Pinned;
use crate::cid::Cid;
use duckdb::arrow::array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use duckdb::arrow::datatypes::DataType;
use duckdb::{Appender, Connection, params};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::pin::{ContentKind, PinType, SizeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pin that comes back so soon is the same one: Kubo renames by unpinning and pinning again.
const SAME_PIN: SignedDuration = SignedDuration::from_hours(1);
/// Rows that go to DuckDB at a time.
const BATCH: usize = 10_000;

/// A pin as the table has it.
pub(super) struct Row {
    /// Its row.
    pub(super) id: u64,
    /// What is pinned.
    pub(super) cid: Cid,
    /// How.
    pub(super) pin_type: PinType,
    /// Its name.
    pub(super) name: Option<String>,
}

/// The type as the file has it.
pub(super) fn pin_type(code: u8) -> PinType {
    if code == 0 { PinType::Recursive } else { PinType::Direct }
}

/// The file's code of a type.
pub(super) fn type_code(pin_type: PinType) -> u8 {
    match pin_type {
        PinType::Recursive => 0,
        PinType::Direct => 1,
    }
}

/// The file's code of how well a size is known.
pub(super) fn size_code(kind: SizeKind) -> u8 {
    match kind {
        SizeKind::Unknown => 0,
        SizeKind::Estimated => 1,
        SizeKind::Exact => 2,
    }
}

/// What a CID is the root of, as the file has it.
pub(super) fn kind(code: u8) -> ContentKind {
    match code {
        0 => ContentKind::File,
        1 => ContentKind::Directory,
        2 => ContentKind::Raw,
        _ => ContentKind::Other,
    }
}

/// The file's code of what a CID is the root of.
pub(super) fn kind_code(kind: ContentKind) -> u8 {
    match kind {
        ContentKind::File => 0,
        ContentKind::Directory => 1,
        ContentKind::Raw => 2,
        ContentKind::Other => 3,
    }
}

/// The condition on `id` for these rows; never one on none. The range lets DuckDB skip row groups.
pub(super) fn among(ids: impl Iterator<Item = u64> + Clone) -> Option<String> {
    let (least, most) = (ids.clone().min()?, ids.clone().max()?);
    // Numbers of our own making: nothing to escape.
    let list: Vec<String> = ids.map(|id| id.to_string()).collect();
    Some(format!("id BETWEEN {least} AND {most} AND id IN ({})", list.join(",")))
}

/// A CID out of the column with this number.
pub(super) fn cid(row: &duckdb::Row<'_>, column: usize) -> duckdb::Result<Cid> {
    let blob = row.get_ref(column)?.as_blob()?;
    Cid::try_from(blob)
        .map_err(|error| duckdb::Error::FromSqlConversionFailure(column, duckdb::types::Type::Blob, Box::new(error)))
}

/// Turns pins into tombstones; answers what they were.
pub(super) fn bury(
    connection: &Connection,
    ids: &BTreeSet<u64>,
    at: Timestamp,
    generation: u64,
) -> duckdb::Result<Vec<Row>> {
    let rows = pick(connection, ids.iter().copied())?;
    if !rows.is_empty() {
        connection.execute(
            "INSERT INTO gone SELECT p.id, p.cid, p.type, p.name, p.first_seen, p.codec, p.generation, p.size, p.size_kind,
               p.kind, make_timestamp(?), ?
             FROM pins p JOIN picked USING (id)",
            params![at.as_microsecond(), generation.cast_signed()],
        )?;
        connection.execute_batch("DELETE FROM pins USING picked WHERE pins.id = picked.id")?;
    }
    Ok(rows)
}

/// Gives pins another type and name, and keeps what they were; answers that too.
pub(super) fn alter(
    connection: &Connection,
    changes: &BTreeMap<u64, (PinType, Option<&str>)>,
    at: Timestamp,
    generation: u64,
) -> duckdb::Result<Vec<Row>> {
    let rows = pick(connection, changes.keys().copied())?;
    if !rows.is_empty() {
        fill_temp(
            connection,
            "altered(id BIGINT NOT NULL, type UTINYINT NOT NULL, name VARCHAR)",
            vec![
                Arc::new(Int64Array::from_iter_values(changes.keys().map(|id| id.cast_signed()))),
                Arc::new(UInt8Array::from_iter_values(changes.values().map(|(pin_type, _)| type_code(*pin_type)))),
                Arc::new(changes.values().map(|(_, name)| *name).collect::<StringArray>()),
            ],
        )?;
        connection.execute(
            "INSERT INTO changes SELECT ?, make_timestamp(?), p.id, p.cid, p.type, p.name, a.type, a.name
             FROM pins p JOIN altered a USING (id)",
            params![generation.cast_signed(), at.as_microsecond()],
        )?;
        connection.execute_batch("UPDATE pins SET type = a.type, name = a.name FROM altered a WHERE pins.id = a.id")?;
    }
    Ok(rows)
}

/// Adds pins with rising ids. One that comes back keeps what was measured of it, and if soon the time of its first sight.
pub(super) fn insert(
    connection: &Connection,
    first_id: u64,
    pins: &[Pinned],
    seen: Timestamp,
    generation: u64,
) -> duckdb::Result<()> {
    if pins.is_empty() {
        return Ok(());
    }
    let mut appender = connection.appender("pins")?;
    for (chunk, first) in pins.chunks(BATCH).zip((first_id.cast_signed()..).step_by(BATCH)) {
        append(
            &mut appender,
            vec![
                Arc::new(Int64Array::from_iter_values(first..first + chunk.len() as i64)),
                Arc::new(BinaryArray::from_iter_values(chunk.iter().map(|pin| pin.cid().to_bytes()))),
                Arc::new(UInt8Array::from_iter_values(chunk.iter().map(|pin| type_code(pin.pin_type())))),
                Arc::new(chunk.iter().map(Pinned::name).collect::<StringArray>()),
                Arc::new(TimestampMicrosecondArray::from_value(seen.as_microsecond(), chunk.len())),
                Arc::new(UInt64Array::from_iter_values(chunk.iter().map(|pin| pin.cid().codec()))),
                Arc::new(Int64Array::from_value(generation.cast_signed(), chunk.len())),
                Arc::new(Int64Array::new_null(chunk.len())),
                Arc::new(UInt8Array::from_value(0, chunk.len())),
                Arc::new(UInt8Array::new_null(chunk.len())),
            ],
        )?;
    }
    appender.flush()?;
    drop(appender);
    let since = seen.checked_sub(SAME_PIN).unwrap_or(seen).as_microsecond();
    connection.execute(
        "UPDATE pins SET first_seen = g.first_seen FROM
           (SELECT cid, min(first_seen) AS first_seen FROM gone
            WHERE gone_at >= make_timestamp($1) AND cid IN (SELECT cid FROM pins WHERE id >= $2) GROUP BY cid) g
         WHERE pins.id >= $2 AND pins.cid = g.cid",
        params![since, first_id.cast_signed()],
    )?;
    // Content never changes, so what was measured once is true for ever.
    connection.execute(
        "UPDATE pins SET size = g.size, size_kind = g.size_kind, kind = g.kind FROM
           (SELECT cid, arg_max(size, size_kind) AS size, max(size_kind) AS size_kind, arg_max(kind, size_kind) AS kind
            FROM gone WHERE (size_kind > 0 OR kind IS NOT NULL) AND cid IN (SELECT cid FROM pins WHERE id >= $1) GROUP BY cid) g
         WHERE pins.id >= $1 AND pins.cid = g.cid",
        params![first_id.cast_signed()],
    )?;
    Ok(())
}

/// Puts marks in the place of what was said of these CIDs before; blank ones leave none.
pub(super) fn mark(connection: &Connection, marks: &BTreeMap<u64, &Mark>) -> duckdb::Result<()> {
    // A list cannot be appended; no tag has a control character.
    let tags = |mark: &Mark| mark.tags.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    fill_temp(
        connection,
        "marked(cid BLOB NOT NULL, tags VARCHAR NOT NULL, note VARCHAR, tier VARCHAR, marked_at TIMESTAMP NOT NULL,
           seq BIGINT NOT NULL)",
        vec![
            Arc::new(BinaryArray::from_iter_values(marks.values().map(|mark| mark.cid.to_bytes()))),
            Arc::new(StringArray::from_iter_values(marks.values().map(|mark| tags(mark)))),
            Arc::new(marks.values().map(|mark| mark.note.as_deref()).collect::<StringArray>()),
            Arc::new(marks.values().map(|mark| mark.tier.as_deref()).collect::<StringArray>()),
            Arc::new(TimestampMicrosecondArray::from_iter_values(marks.values().map(|mark| mark.at.as_microsecond()))),
            Arc::new(Int64Array::from_iter_values(marks.keys().map(|seq| seq.cast_signed()))),
        ],
    )?;
    connection.execute_batch(
        "DELETE FROM marks USING marked WHERE marks.cid = marked.cid;
         INSERT INTO marks
           SELECT cid, CASE WHEN tags = '' THEN [] ELSE string_split(tags, chr(10)) END, note, tier, marked_at, seq
           FROM marked WHERE tags <> '' OR note IS NOT NULL OR tier IS NOT NULL",
    )
}

const MARKS: &str = "SELECT cid, array_to_string(tags, chr(10)), note, tier, epoch_us(marked_at), seq FROM marks";

/// What was said of a CID, and the sequence of the record that said it.
pub(super) fn marked(connection: &Connection, of: &Cid) -> duckdb::Result<Option<(u64, Mark)>> {
    let mut statement = connection.prepare(&format!("{MARKS} WHERE cid = ?"))?;
    let mut rows = statement.query([of.to_bytes()])?;
    rows.next()?.map(read_mark).transpose()
}

/// Gives every mark.
pub(super) fn all_marks<E: From<duckdb::Error>>(
    connection: &Connection,
    mut take: impl FnMut(Mark) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = connection.prepare(MARKS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(read_mark(row)?.1)?;
    }
    Ok(())
}

/// Gives every CID of which something is said.
pub(super) fn marked_cids(connection: &Connection, mut take: impl FnMut(Cid)) -> duckdb::Result<()> {
    let mut statement = connection.prepare("SELECT cid FROM marks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(cid(row, 0)?);
    }
    Ok(())
}

fn read_mark(row: &duckdb::Row<'_>) -> duckdb::Result<(u64, Mark)> {
    let tags: String = row.get(1)?;
    let mark = Mark {
        cid: cid(row, 0)?,
        tags: tags.lines().map(str::to_owned).collect(),
        note: row.get(2)?,
        tier: row.get(3)?,
        at: Timestamp::from_microsecond(row.get(4)?).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    Ok((row.get::<_, i64>(5)?.cast_unsigned(), mark))
}

/// Says when a generation began.
pub(super) fn begin(connection: &Connection, generation: u64, at: Timestamp) -> duckdb::Result<()> {
    let values = params![generation.cast_signed(), at.as_microsecond()];
    connection.execute("INSERT INTO generations VALUES (?, make_timestamp(?))", values).map(drop)
}

/// Pins in the table.
pub(super) fn count(connection: &Connection) -> duckdb::Result<u64> {
    connection.query_row("SELECT count(*) FROM pins", [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

/// Puts ids into the temporary table `picked` and reads their rows.
fn pick(connection: &Connection, ids: impl ExactSizeIterator<Item = u64>) -> duckdb::Result<Vec<Row>> {
    let mut found = Vec::with_capacity(ids.len());
    if ids.len() == 0 {
        return Ok(found);
    }
    let ids = Arc::new(Int64Array::from_iter_values(ids.map(u64::cast_signed)));
    fill_temp(connection, "picked(id BIGINT NOT NULL)", vec![ids])?;
    let mut statement = connection.prepare("SELECT p.id, p.cid, p.type, p.name FROM pins p JOIN picked USING (id)")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get::<_, i64>(0)?.cast_unsigned();
        found.push(Row { id, cid: cid(row, 1)?, pin_type: pin_type(row.get(2)?), name: row.get(3)? });
    }
    Ok(found)
}

/// Fills a temporary table, which is made anew: a refilled one keeps its dead rows in the planner's estimates, which turns joins
/// round. `table` is its name and, in parentheses, its columns.
pub(super) fn fill_temp(connection: &Connection, table: &str, columns: Vec<ArrayRef>) -> duckdb::Result<()> {
    connection.execute_batch(&format!("CREATE OR REPLACE TEMP TABLE {table}"))?;
    let name = table.split('(').next().unwrap_or(table);
    let mut appender = connection.appender(name)?;
    append(&mut appender, columns)?;
    appender.flush()
}

/// Appends columns by position; an appender does not look at names.
pub(super) fn append(appender: &mut Appender<'_>, columns: Vec<ArrayRef>) -> duckdb::Result<()> {
    let columns = columns.into_iter().map(|column| ("", column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| duckdb::Error::ArrowTypeToDuckdbType(error.to_string(), DataType::Null))?;
    appender.append_record_batch(batch)
}
