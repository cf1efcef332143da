//! What is asked of the index. Runs on reader threads.
//!
//! A listing first reads the ids that it will show (8 bytes a pin) and then their rows in pages, each a query of its own, so a
//! client that reads slowly never holds a DuckDB transaction. Pins that go away meanwhile are left out.

use super::store::{IndexError, pin_type, type_code};
use crate::cid;
use ::cid::Cid;
use duckdb::types::Value;
use duckdb::{Connection, Row, params, params_from_iter};
use jiff::Timestamp;
use proto_msgs::daemon::Count;
use proto_msgs::pin::{ContentKind, Pin, PinLs, PinSort, SizeKind};

const COLUMNS: &str = "id, cid, type, name, epoch_us(first_seen)";

/// What a listing shows.
pub struct Chosen {
    /// Pins that the filter lets through.
    pub total: u64,
    /// Those within offset and limit, in order.
    pub ids: Vec<u64>,
}

/// Filters, sorts, limits.
pub fn choose(connection: &Connection, ask: &PinLs) -> Result<Chosen, IndexError> {
    let mut conditions = vec!["true"];
    let mut values = Vec::new();
    if let Some(pin_type) = ask.pin_type {
        conditions.push("type = ?");
        values.push(Value::UTinyInt(type_code(pin_type)));
    }
    if let Some(name) = &ask.name {
        conditions.push("contains(name, ?)");
        values.push(Value::Text(name.clone()));
    }
    let filter = conditions.join(" AND ");
    let total: i64 = connection.query_row(
        &format!("SELECT count(*) FROM pins WHERE {filter}"),
        params_from_iter(&values),
        |row| row.get(0),
    )?;
    let way = if ask.descending { "DESC" } else { "ASC" };
    let key = match ask.sort {
        // Sizes and codecs by their own order; `id` is the order of the first sight.
        None | Some(PinSort::Size) => String::new(),
        Some(PinSort::Cid) => format!("cid {way}, "),
        Some(PinSort::Name) => format!("name {way} NULLS LAST, "),
        Some(PinSort::Type) => format!("type {way}, "),
        Some(PinSort::Codec) => format!("cid[1:2] {way}, "),
        Some(PinSort::FirstSeen) => format!("first_seen {way}, "),
    };
    let way = if ask.sort.is_none() { way } else { "ASC" };
    let limit = ask.limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
    let sql = format!("SELECT id FROM pins WHERE {filter} ORDER BY {key}id {way}{limit} OFFSET {}", ask.offset);
    let mut statement = connection.prepare(&sql)?;
    let ids = statement.query_map(params_from_iter(&values), |row| row.get::<_, i64>(0))?;
    let ids = ids.map(|id| id.map(i64::cast_unsigned)).collect::<duckdb::Result<_>>()?;
    Ok(Chosen { total: total.cast_unsigned(), ids })
}

/// The rows of these ids, in their order; those that are gone are left out.
pub fn rows(connection: &Connection, ids: &[u64]) -> Result<Vec<Pin>, IndexError> {
    let (Some(least), Some(most)) = (ids.iter().min(), ids.iter().max()) else { return Ok(Vec::new()) };
    let list: Vec<String> = ids.iter().map(u64::to_string).collect();
    // Numbers of our own making: nothing to escape. The range lets DuckDB skip row groups.
    let sql = format!("SELECT {COLUMNS} FROM pins WHERE id BETWEEN {least} AND {most} AND id IN ({})", list.join(","));
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), pin(row)?)))?;
    let mut found = found.collect::<duckdb::Result<std::collections::HashMap<u64, Pin>>>()?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// One row.
pub fn by_id(connection: &Connection, id: u64) -> Result<Option<Pin>, IndexError> {
    Ok(rows(connection, &[id])?.pop())
}

fn pin(row: &Row<'_>) -> duckdb::Result<Pin> {
    let bytes: Vec<u8> = row.get(1)?;
    let cid = Cid::try_from(bytes)
        .map_err(|error| duckdb::Error::FromSqlConversionFailure(1, duckdb::types::Type::Blob, Box::new(error)))?;
    let seen = Timestamp::from_microsecond(row.get(4)?).unwrap_or(Timestamp::UNIX_EPOCH);
    let kind = match cid.codec() {
        0x55 => Some(ContentKind::Raw),
        // A file or a directory: the block says which, and nobody has looked.
        0x70 => None,
        _ => Some(ContentKind::Other),
    };
    Ok(Pin {
        cid: cid::text(&cid),
        name: row.get(3)?,
        pin_type: pin_type(row.get(2)?),
        size: None,
        size_kind: SizeKind::Unknown,
        codec: cid::codec_name(cid.codec()),
        kind,
        first_seen: crate::time::text(seen),
        access_count: None,
        last_access: None,
        hotness: None,
        pattern: None,
        tier: None,
        tags: Vec::new(),
    })
}

/// Totals over all pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Pins.
    pub pins: u64,
    /// Named ones.
    pub named: u64,
    /// By type.
    pub by_type: Vec<Count>,
    /// By codec, most first.
    pub by_codec: Vec<Count>,
    /// By time since the first sight.
    pub by_age: Vec<Count>,
}

/// Counts by type, codec and age as of `now`.
pub fn totals(connection: &Connection, now: Timestamp) -> Result<Totals, IndexError> {
    let (pins, named): (i64, i64) =
        connection.query_row("SELECT count(*), count(name) FROM pins", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let by_type = counts(
        connection,
        "SELECT if(type = 0, 'recursive', 'direct'), count(*) FROM pins GROUP BY 1 ORDER BY 1 DESC",
    )?;
    let hours = |n: i64| now.as_microsecond() - n * 3_600_000_000;
    let mut statement = connection.prepare(
        "SELECT CASE WHEN seen > ? THEN '<1h' WHEN seen > ? THEN '<1d' WHEN seen > ? THEN '<7d' WHEN seen > ? THEN '<30d'
                ELSE '>=30d' END, count(*), max(seen) AS newest
         FROM (SELECT epoch_us(first_seen) AS seen FROM pins) GROUP BY 1 ORDER BY newest DESC",
    )?;
    let by_age = statement.query_map(params![hours(1), hours(24), hours(24 * 7), hours(24 * 30)], count)?;
    let by_age = by_age.collect::<duckdb::Result<_>>()?;
    // Codec and version are the CID's first bytes; the few distinct ones are parsed here.
    let mut statement = connection.prepare("SELECT cid[1:6] AS head, count(*) FROM pins GROUP BY 1")?;
    let heads = statement.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?)))?;
    let mut codecs = std::collections::BTreeMap::<String, u64>::new();
    for head in heads {
        let (head, pins) = head?;
        *codecs.entry(cid::codec_name(codec_of(&head))).or_default() += pins.cast_unsigned();
    }
    let mut by_codec: Vec<Count> = codecs.into_iter().map(|(key, pins)| Count { key, pins }).collect();
    by_codec.sort_by_key(|count| std::cmp::Reverse(count.pins));
    Ok(Totals { pins: pins.cast_unsigned(), named: named.cast_unsigned(), by_type, by_codec, by_age })
}

fn counts(connection: &Connection, sql: &str) -> duckdb::Result<Vec<Count>> {
    connection.prepare(sql)?.query_map([], count)?.collect()
}

fn count(row: &Row<'_>) -> duckdb::Result<Count> {
    Ok(Count { key: row.get(0)?, pins: row.get::<_, i64>(1)?.cast_unsigned() })
}

/// The codec in a CID's first bytes: v0 is a bare sha2-256 multihash (0x12 0x20), v1 begins with 1 and the codec as a varint.
fn codec_of(head: &[u8]) -> u64 {
    match head {
        [0x12, 0x20, ..] => 0x70,
        [1, rest @ ..] => {
            let mut codec = 0;
            for (place, byte) in rest.iter().enumerate() {
                codec |= u64::from(byte & 0x7f) << (7 * place);
                if byte & 0x80 == 0 {
                    break;
                }
            }
            codec
        }
        _ => 0,
    }
}
