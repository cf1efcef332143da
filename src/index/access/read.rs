//! What readers ask of accesses.

use super::{
    AskCounted, AskFigures, AskUnsettled, Counted, CountedRows, Cursor, Figure, Figures, Unsettled, keeper_of,
    source_code, source_of,
};
use crate::cid::{Cid, Key, text};
use crate::index::error::IndexError;
use crate::index::history::forms;
use crate::index::rows::cid;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_array::{Array, RecordBatch};
use duckdb::types::Value;
use duckdb::{Connection, Row, params, params_from_iter};
use jiff::Timestamp;
use proto_msgs::access::{Access, AccessSource};

/// Rows of which nobody knows what keeps them that are looked at for one answer.
const UNSETTLED: usize = 10_000;
/// The least time in which a page of a listing is looked for, in microseconds.
const LEAST: i64 = 1_000_000;
/// Microseconds.
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

fn number(row: &Row<'_>, column: usize) -> duckdb::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Up to where a source was read.
pub fn cursor(connection: &Connection, of: &str) -> Result<Option<Cursor>, IndexError> {
    Ok(cursor_of(connection, of)?)
}

pub(super) fn cursor_of(connection: &Connection, of: &str) -> duckdb::Result<Option<Cursor>> {
    let sql = "SELECT place, epoch_us(moved_at), epoch_us(since) FROM access_cursor WHERE source = ? LIMIT 1";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query_map(params![of], |row| {
        Ok(Cursor { place: row.get(0)?, at: time(row.get(1)?), since: time(row.get(2)?) })
    })?;
    rows.next().transpose()
}

/// CIDs of which nobody knows what keeps them, behind a number.
pub fn unsettled(connection: &Connection, AskUnsettled { after, most }: AskUnsettled) -> Result<Unsettled, IndexError> {
    let sql = format!(
        "WITH open AS (SELECT cid, seq FROM access WHERE keeper = 4 AND seq > {after} ORDER BY seq LIMIT {UNSETTLED})
         SELECT cid, min(seq) AS first, (SELECT max(seq) FROM open) FROM open GROUP BY cid ORDER BY first LIMIT {most}"
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([], |row| Ok((cid(row, 0)?, number(row, 1)?, number(row, 2)?)))?;
    let found = found.collect::<duckdb::Result<Vec<_>>>()?;
    // Rows behind the first one of the last CID may be of others.
    let through = found.last().map(|(_, first, last)| if found.len() < most { *last } else { *first });
    Ok(Unsettled { cids: found.into_iter().map(|(cid, ..)| cid).collect(), through })
}

/// Accesses to pins behind a number. Numbers are read in ranges that DuckDB finds by what it knows of its row groups, and a range may
/// have none of them, since some accesses are to no pin.
pub fn counted(connection: &Connection, ask: AskCounted) -> Result<CountedRows, IndexError> {
    let begin = connection.query_row("SELECT max(begin) FROM access_meta", [], |row| number(row, 0))?;
    let mut counted = CountedRows { rows: Vec::new(), through: ask.after, begin };
    while counted.rows.is_empty() {
        let after = i64::try_from(counted.through).unwrap_or(i64::MAX);
        let next: Option<i64> =
            connection.query_row("SELECT min(seq) FROM access WHERE seq > ?", params![after], |row| row.get(0))?;
        let Some(next) = next else { break };
        let last = next.saturating_add(i64::try_from(ask.most.max(1)).unwrap_or(i64::MAX) - 1);
        counted.through = range(connection, next, last, &mut counted.rows)?;
    }
    Ok(counted)
}

/// The accesses to pins with these numbers; answers the newest number of any.
fn range(connection: &Connection, first: i64, last: i64, counted: &mut Vec<Counted>) -> Result<u64, IndexError> {
    let through: i64 = connection.query_row(
        "SELECT coalesce(max(seq), ?) FROM access WHERE seq BETWEEN ? AND ?",
        params![first, first, last],
        |row| row.get(0),
    )?;
    let mut statement = connection.prepare(
        "SELECT seq, epoch_us(read_at), coalesce(pin, cid), path, first_byte, source FROM access
         WHERE seq BETWEEN ? AND ? AND keeper <= 1 ORDER BY seq",
    )?;
    // The iterator would panic at an error; `step` returns it.
    drop(statement.stream_arrow(params![first, last])?);
    while let Some(rows) = statement.step()? {
        add(&RecordBatch::from(rows), counted)
            .ok_or_else(|| duckdb::Error::InvalidColumnType(0, "access".to_owned(), duckdb::types::Type::Any))??;
    }
    Ok(through.cast_unsigned())
}

/// `None` when the columns are not those that were asked for.
fn add(rows: &RecordBatch, counted: &mut Vec<Counted>) -> Option<duckdb::Result<()>> {
    let numbers = |column: usize| rows.column(column).as_primitive_opt::<Int64Type>();
    let (seqs, times, firsts) = (numbers(0)?, numbers(1)?, numbers(4)?);
    let pins = rows.column(2).as_binary_opt::<i32>()?;
    let paths = rows.column(3).as_string_opt::<i32>()?;
    let sources = rows.column(5).as_primitive_opt::<UInt8Type>()?;
    counted.reserve(rows.num_rows());
    for row in 0..rows.num_rows() {
        let pin = match Cid::try_from(pins.value(row)) {
            Ok(pin) => Key::of(&pin),
            Err(error) => {
                let kind = duckdb::types::Type::Blob;
                return Some(Err(duckdb::Error::FromSqlConversionFailure(2, kind, Box::new(error))));
            }
        };
        counted.push(Counted {
            seq: seqs.value(row).cast_unsigned(),
            at: times.value(row) as f64 / 1e6,
            pin,
            path: paths.is_valid(row).then(|| paths.value(row).to_owned()),
            offset: firsts.is_valid(row).then(|| firsts.value(row).cast_unsigned()),
            source: source_of(sources.value(row)),
        });
    }
    Some(Ok(()))
}

/// Figures over all accesses.
pub fn figures(connection: &Connection, AskFigures(now): AskFigures) -> Result<Figures, IndexError> {
    let mut statement = connection.prepare(
        "SELECT source, count(*), epoch_us(min(read_at)), epoch_us(max(read_at)) FROM access GROUP BY source ORDER BY source",
    )?;
    let by_source = statement
        .query_map([], |row| Ok((source_of(row.get(0)?), number(row, 1)?, time(row.get(2)?), time(row.get(3)?))))?;
    let by_source = by_source.collect::<duckdb::Result<Vec<_>>>()?;
    let buckets = |width: i64, many: i64| -> duckdb::Result<Vec<Figure>> {
        let now = now.as_microsecond();
        let from = (now.div_euclid(width) - (many - 1)) * width;
        let mut statement = connection.prepare(
            "SELECT epoch_us(read_at) // $1 AS bucket, count(*), least(coalesce(sum(bytes), 0), 9007199254740991)::BIGINT
             FROM access WHERE read_at >= make_timestamp($2) AND read_at <= make_timestamp($3) GROUP BY bucket ORDER BY bucket",
        )?;
        let found = statement.query_map(params![width, from, now], |row| {
            let at = time(row.get::<_, i64>(0)?.saturating_mul(width));
            Ok(Figure { at, accesses: number(row, 1)?, bytes: number(row, 2)? })
        })?;
        found.collect()
    };
    Ok(Figures {
        accesses: by_source.iter().map(|(_, accesses, ..)| accesses).sum(),
        oldest: by_source.iter().map(|(_, _, first, _)| *first).min(),
        by_source,
        by_hour: buckets(HOUR, 168)?,
        by_day: buckets(DAY, 90)?,
    })
}

/// Which accesses a listing has.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those of this CID in any form, or of what it keeps.
    pub cid: Option<Cid>,
    /// Those that this source has seen.
    pub source: Option<AccessSource>,
    /// None from before.
    pub since: Option<Timestamp>,
}

impl Wanted {
    fn condition(&self) -> (String, Vec<Value>) {
        let (mut conditions, mut values) = (vec!["true".to_owned()], Vec::new());
        if let Some(cid) = &self.cid {
            let forms = forms(cid);
            let any = vec!["?"; forms.len()].join(",");
            conditions.push(format!("(cid IN ({any}) OR pin IN ({any}))"));
            values.extend(forms.iter().chain(&forms).cloned());
        }
        if let Some(source) = self.source {
            conditions.push("source = ?".to_owned());
            values.push(Value::UTinyInt(source_code(source)));
        }
        if let Some(since) = self.since {
            conditions.push("read_at >= make_timestamp(?)".to_owned());
            values.push(Value::BigInt(since.as_microsecond()));
        }
        (conditions.join(" AND "), values)
    }
}

/// How many accesses fit, and when the oldest of all took place.
pub fn count(connection: &Connection, wanted: &Wanted) -> Result<(u64, Option<Timestamp>), IndexError> {
    let (condition, values) = wanted.condition();
    let sql = format!("SELECT count(*), (SELECT epoch_us(min(read_at)) FROM access) FROM access WHERE {condition}");
    let counted = connection.query_row(&sql, params_from_iter(&values), |row| {
        Ok((number(row, 0)?, row.get::<_, Option<i64>>(1)?.map(time)))
    })?;
    Ok(counted)
}

/// Where a page of a listing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    at: i64,
    seq: i64,
    /// Microseconds before it in which the next ones are looked for first. DuckDB finds them by what it knows of its row groups; without
    /// that each page would sort all that is older.
    span: i64,
}

/// Accesses, newest first, behind a place; and where the next ones begin, unless these are the last. With `more` to come the next page
/// begins at another time, so that an access which gets another number meanwhile is neither missed nor met twice; but for an instant
/// with more accesses than a page.
pub fn page(
    connection: &Connection,
    wanted: &Wanted,
    after: Option<Place>,
    limit: u64,
    offset: u64,
    more: bool,
) -> Result<(Vec<Access>, Option<Place>), IndexError> {
    let (mut condition, mut values) = wanted.condition();
    let begin = |place: &Place| place.at.saturating_sub(place.span);
    if let Some(place @ Place { at, seq, .. }) = after {
        condition.push_str(
            " AND read_at >= make_timestamp(?) AND read_at <= make_timestamp(?) AND (read_at < make_timestamp(?) OR seq < ?)",
        );
        values.extend([begin(&place), at, at, seq].map(Value::BigInt));
    }
    let [limit, offset] = [limit, offset].map(|number| number.min(i64::MAX.cast_unsigned()));
    let sql = format!(
        "SELECT epoch_us(read_at), seq, cid, path, pin, keeper, op, bytes, first_byte, source, said_by FROM access
         WHERE {condition} ORDER BY read_at DESC, seq DESC LIMIT {limit} OFFSET {offset}"
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(params_from_iter(&values), |row| {
        let place = Place { at: row.get(0)?, seq: row.get(1)?, span: LEAST };
        Ok((place, access(row)?))
    })?;
    let mut found = found.collect::<duckdb::Result<Vec<_>>>()?;
    let full = found.len() as u64 == limit;
    if let Some(place) = after.filter(|_| !full) {
        // All of that time; and before it there may be more.
        let oldest: Option<i64> =
            connection.query_row("SELECT epoch_us(min(read_at)) FROM access", [], |row| row.get(0))?;
        let at = begin(&place);
        let next = Place { at, seq: i64::MIN, span: place.span.saturating_mul(4) };
        return Ok((
            found.into_iter().map(|(_, access)| access).collect(),
            oldest.and_then(|oldest| (oldest < at).then_some(next)),
        ));
    }
    let mut next = found.last().map(|(place, _)| *place).filter(|_| full);
    if let Some(last) = next.filter(|_| more)
        && let Some(whole) = found.iter().rposition(|(place, _)| place.at != last.at)
    {
        found.truncate(whole + 1);
        next = found.last().map(|(place, _)| Place { seq: i64::MIN, ..*place });
    }
    if let (Some(next), Some((first, _))) = (&mut next, found.first()) {
        next.span = (first.at - next.at).saturating_mul(2).max(LEAST);
    }
    Ok((found.into_iter().map(|(_, access)| access).collect(), next))
}

fn access(row: &Row<'_>) -> duckdb::Result<Access> {
    let asked = text(&cid(row, 2)?);
    let pin = match row.get_ref(4)? {
        duckdb::types::ValueRef::Null => None,
        _ => Some(text(&cid(row, 4)?)),
    };
    let keeper = keeper_of(row.get(5)?);
    let bytes = |column| Ok::<_, duckdb::Error>(row.get::<_, Option<i64>>(column)?.map(i64::cast_unsigned));
    Ok(Access {
        at: crate::time::text(time(row.get(0)?)),
        path: row.get(3)?,
        pin: pin.or_else(|| (keeper == proto_msgs::access::Keeper::Pin).then(|| asked.clone())),
        cid: asked,
        keeper,
        op: row.get(6)?,
        bytes: bytes(7)?,
        offset: bytes(8)?,
        source: source_of(row.get(9)?),
        by: row.get(10)?,
    })
}
