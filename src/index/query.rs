//! What is asked of the index. Runs on reader threads, each question in one transaction.
//!
//! A listing first chooses the ids that it will show (8 bytes a pin) and then reads their rows in pages, each a question of its
//! own: a client that reads slowly holds neither a DuckDB transaction nor more than a page. So `generation` and `total` are
//! those of the choice; a pin that goes away before its page is read is left out, and a row may be newer than the choice.

use super::error::IndexError;
use super::listing;
use super::rows::type_code;
use super::schema;
use crate::cid::codec_name;
use duckdb::types::Value;
use duckdb::{Connection, params, params_from_iter};
use jiff::Timestamp;
use proto_msgs::daemon::Count;
use proto_msgs::pin::{Pin, PinLs, PinSort};

/// What a listing shows.
pub struct Chosen<K> {
    /// The generation chosen from.
    pub generation: u64,
    /// Rows before offset and limit.
    pub total: u64,
    /// Those within offset and limit, in order.
    pub keys: Vec<K>,
}

/// DuckDB's limits are signed.
pub(super) fn window(limit: Option<u64>, offset: u64) -> String {
    let most = |n: u64| n.min(i64::MAX.cast_unsigned());
    let limit = limit.map(|limit| format!("LIMIT {}", most(limit))).unwrap_or_default();
    format!("{limit} OFFSET {}", most(offset))
}

/// Filters, sorts, limits; `since` is that of the question.
pub fn choose(connection: &Connection, ask: &PinLs, since: Option<Timestamp>) -> Result<Chosen<u64>, IndexError> {
    let mut conditions = vec!["true"];
    let mut values = Vec::new();
    let mut only = |condition, value| {
        conditions.push(condition);
        values.push(value);
    };
    if let Some(pin_type) = ask.pin_type {
        only("type = ?", Value::UTinyInt(type_code(pin_type)));
    }
    if let Some(name) = &ask.name {
        // Not LIKE: nothing in a name is a pattern.
        only("contains(name, ?)", Value::Text(name.clone()));
    }
    if let Some(tag) = &ask.tag {
        only("cid IN (SELECT cid FROM marks WHERE list_contains(tags, ?))", Value::Text(tag.clone()));
    }
    if let Some(tier) = &ask.tier {
        only("cid IN (SELECT cid FROM marks WHERE tier = ?)", Value::Text(tier.clone()));
    }
    if let Some(size) = ask.min_size {
        only("size >= ?", Value::UBigInt(size));
    }
    if let Some(since) = since {
        only("first_seen >= make_timestamp(?)", Value::BigInt(since.as_microsecond()));
    }
    let filter = conditions.join(" AND ");
    let total: i64 = connection.query_row(
        &format!("SELECT count(*) FROM pins WHERE {filter}"),
        params_from_iter(&values),
        |row| row.get(0),
    )?;
    let way = if ask.descending { "DESC" } else { "ASC" };
    let order = match ask.sort {
        None => format!("id {way}"),
        Some(PinSort::Size) => format!("size {way} NULLS LAST, id"),
        Some(PinSort::Cid) => format!("cid {way}, id"),
        Some(PinSort::Name) => format!("name {way} NULLS LAST, id"),
        Some(PinSort::Type) => format!("type {way}, id"),
        Some(PinSort::Codec) => format!("codec {way}, id"),
        Some(PinSort::FirstSeen) => format!("first_seen {way}, id"),
    };
    let window = window(ask.limit, ask.offset);
    let sql = format!("SELECT id FROM pins WHERE {filter} ORDER BY {order} {window}");
    let mut statement = connection.prepare(&sql)?;
    let ids = statement.query_map(params_from_iter(&values), |row| row.get::<_, i64>(0))?;
    let keys = ids.map(|id| id.map(i64::cast_unsigned)).collect::<duckdb::Result<_>>()?;
    Ok(Chosen { generation: schema::read_meta(connection)?.generation, total: total.cast_unsigned(), keys })
}

/// The rows of these ids, in their order; those that are gone are left out.
pub fn rows(connection: &Connection, ids: &[u64]) -> Result<Vec<Pin>, IndexError> {
    listing::pins(&listing::read(connection, ids)?)
}

/// One row.
pub fn by_id(connection: &Connection, id: u64) -> Result<Option<Pin>, IndexError> {
    Ok(rows(connection, &[id])?.pop())
}

/// Totals over all pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The generation counted.
    pub generation: u64,
    /// Pins.
    pub pins: u64,
    /// Named ones.
    pub named: u64,
    /// By type.
    pub by_type: Vec<Count>,
    /// By codec, most first.
    pub by_codec: Vec<Count>,
    /// By time since the first sight, youngest first.
    pub by_age: Vec<Count>,
    /// By how well the size is known.
    pub by_size_kind: Vec<Count>,
    /// By size, smallest first.
    pub by_size: Vec<Count>,
    /// Bytes of those whose size is known; `None` when none is.
    pub bytes: Option<u64>,
}

const TYPES: [&str; 2] = ["recursive", "direct"];
const AGES: [&str; 5] = ["<1h", "1h-1d", "1d-7d", "7d-30d", ">=30d"];
const SIZE_KINDS: [&str; 3] = ["exact", "estimated", "unknown"];
const SIZES: [&str; 5] = ["<1KiB", "1KiB-1MiB", "1MiB-1GiB", "1GiB-1TiB", ">=1TiB"];
/// The largest number that every reader of JSON gets back exactly.
const EXACT: u64 = (1 << 53) - 1;

/// Counts by type, codec, size, and age as of `now`.
pub fn totals(connection: &Connection, now: Timestamp) -> Result<Totals, IndexError> {
    let before = |hours: i64| now.as_microsecond() - hours * 3_600_000_000;
    let sql = "SELECT count(*), count(name), count(*) FILTER (type = 0), count(*) FILTER (type = 1),
            count(*) FILTER (seen > $1), count(*) FILTER (seen > $2 AND seen <= $1), count(*) FILTER (seen > $3 AND seen <= $2),
            count(*) FILTER (seen > $4 AND seen <= $3), count(*) FILTER (seen <= $4),
            count(*) FILTER (size_kind = 2), count(*) FILTER (size_kind = 1), count(*) FILTER (size_kind = 0),
            count(*) FILTER (size < 1024), count(*) FILTER (size >= 1024 AND size < 1048576),
            count(*) FILTER (size >= 1048576 AND size < 1073741824),
            count(*) FILTER (size >= 1073741824 AND size < 1099511627776), count(*) FILTER (size >= 1099511627776),
            CASE WHEN sum(size) > $5 THEN $5 ELSE sum(size) END::BIGINT
        FROM (SELECT name, type, epoch_us(first_seen) AS seen, size, size_kind FROM pins)";
    let values = params![before(1), before(24), before(24 * 7), before(24 * 30), EXACT.cast_signed()];
    let (counted, bytes) = connection.query_row(sql, values, |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(((0..17).map(count).collect::<duckdb::Result<Vec<u64>>>()?, row.get::<_, Option<i64>>(17)?))
    })?;
    let counts = |keys: &[&str], first: usize| -> Vec<Count> {
        keys.iter().zip(&counted[first..]).map(|(key, pins)| Count { key: (*key).to_owned(), pins: *pins }).collect()
    };
    let mut statement =
        connection.prepare("SELECT codec, count(*) AS pins FROM pins GROUP BY 1 ORDER BY pins DESC, codec")?;
    let by_codec = statement
        .query_map([], |row| Ok(Count { key: codec_name(row.get(0)?), pins: row.get::<_, i64>(1)?.cast_unsigned() }))?;
    Ok(Totals {
        generation: schema::read_meta(connection)?.generation,
        pins: counted[0],
        named: counted[1],
        by_type: counts(&TYPES, 2),
        by_codec: by_codec.collect::<duckdb::Result<_>>()?,
        by_age: counts(&AGES, 4),
        by_size_kind: counts(&SIZE_KINDS, 9),
        by_size: counts(&SIZES, 12),
        bytes: bytes.map(i64::cast_unsigned),
    })
}
