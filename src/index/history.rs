//! The past: what happened to pins, and in which pins two generations differ.
//!
//! Like a listing, an answer first chooses what it will show, by numbers, and then reads the rows in pages.

use super::error::IndexError;
use super::query::{Chosen, window};
use super::rows::{among, cid, pin_type};
use super::schema;
use crate::cid::{Cid, text};
use duckdb::types::Value;
use duckdb::{Connection, OptionalExt, Row, params_from_iter};
use jiff::Timestamp;
use proto_msgs::pin::{PinChange, PinDiff, PinEvent, PinType};

/// One thing that happened, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    generation: u64,
    /// As [`EVENTS`] numbers them.
    what: u8,
    id: u64,
}

/// The row of a pin before and after; it may be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs {
    before: Option<u64>,
    after: Option<u64>,
}

/// Everything that happened; 0 added, 1 changed, 2 removed.
const EVENTS: &str = "(
    SELECT generation, 0::UTINYINT AS what, id, cid, type, name, NULL::UTINYINT AS type_before,
      NULL::VARCHAR AS name_before, first_seen AS seen FROM pins
    UNION ALL SELECT generation, 0, id, cid, type, name, NULL, NULL, first_seen FROM gone
    UNION ALL SELECT gone_generation, 2, id, cid, type, name, NULL, NULL, gone_at FROM gone
    UNION ALL SELECT generation, 1, id, cid, type, name, type_before, name_before, changed_at FROM changes)";

/// The CID itself and, of a DAG in protobuf, its other version.
pub(super) fn forms(cid: &Cid) -> Vec<Value> {
    let other = match cid.version() {
        ::cid::Version::V0 => Some(Cid::new_v1(cid.codec(), *cid.hash())),
        ::cid::Version::V1 => Cid::new_v0(*cid.hash()).ok().filter(|_| cid.codec() == 0x70),
    };
    std::iter::once(*cid).chain(other).map(|cid| Value::Blob(cid.to_bytes())).collect()
}

fn number(row: &Row<'_>, column: usize) -> duckdb::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// Chooses what happened, newest first.
pub fn choose(
    connection: &Connection,
    of: Option<&Cid>,
    limit: Option<u64>,
    offset: u64,
) -> Result<Chosen<Happened>, IndexError> {
    let forms = of.map(forms).unwrap_or_default();
    let filter = match forms.len() {
        0 => "true".to_owned(),
        n => format!("cid IN ({})", vec!["?"; n].join(",")),
    };
    let total: i64 = connection.query_row(
        &format!("SELECT count(*) FROM {EVENTS} WHERE {filter}"),
        params_from_iter(&forms),
        |row| row.get(0),
    )?;
    let sql = format!(
        "SELECT generation, what, id FROM {EVENTS} WHERE {filter} ORDER BY generation DESC, what DESC, id DESC {}",
        window(limit, offset)
    );
    let mut statement = connection.prepare(&sql)?;
    let keys = statement.query_map(params_from_iter(&forms), |row| {
        Ok(Happened { generation: number(row, 0)?, what: row.get(1)?, id: number(row, 2)? })
    })?;
    let keys = keys.collect::<duckdb::Result<_>>()?;
    Ok(Chosen { generation: schema::read_meta(connection)?.generation, total: total.cast_unsigned(), keys })
}

/// Reads what happened, in the order of the keys. A pin that was renamed later is shown as it was then.
pub fn rows(connection: &Connection, keys: &[Happened]) -> Result<Vec<PinChange>, IndexError> {
    // Numbers of our own making: nothing to escape. DuckDB skips row groups by the ids.
    let list = keys.iter().enumerate().map(|(at, key)| format!("({at},{},{},{})", key.generation, key.what, key.id));
    let list: Vec<String> = list.collect();
    let (Some(least), Some(most)) = (keys.iter().map(|key| key.id).min(), keys.iter().map(|key| key.id).max()) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT e.generation, e.what, e.cid, coalesce(first.type, e.type),
           CASE WHEN first.id IS NULL THEN e.name ELSE first.name END, e.type_before, e.name_before,
           epoch_us(coalesce(g.began, e.seen))
         FROM (VALUES {}) AS wanted(place, generation, what, id)
         JOIN {EVENTS} e ON e.generation = wanted.generation AND e.what = wanted.what AND e.id = wanted.id
         LEFT JOIN (SELECT id, arg_min(row(type_before, name_before), generation) AS was, was[1] AS type, was[2] AS name
                    FROM changes WHERE id BETWEEN {least} AND {most} GROUP BY id) first ON first.id = e.id AND e.what = 0
         LEFT JOIN generations g ON g.generation = e.generation AND e.generation > 0
         WHERE e.id BETWEEN {least} AND {most} ORDER BY wanted.place",
        list.join(",")
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([], |row| {
        let generation = Some(number(row, 0)?).filter(|generation| *generation > 0);
        let at = Timestamp::from_microsecond(row.get(7)?).unwrap_or(Timestamp::UNIX_EPOCH);
        let now = (pin_type(row.get(3)?), row.get(4)?);
        let before = row.get::<_, Option<u8>>(5)?.map(pin_type);
        let event = match (row.get::<_, u8>(1)?, before) {
            (0, _) => PinEvent::Added,
            (1, Some(before)) if before == now.0 => PinEvent::Renamed,
            (1, _) => PinEvent::Retyped,
            _ => PinEvent::Removed,
        };
        Ok(PinChange {
            event,
            generation,
            at: Some(crate::time::text(at)),
            cid: text(&cid(row, 2)?),
            pin_type: now.0,
            name: now.1,
            type_before: before,
            name_before: row.get(6)?,
        })
    })?;
    Ok(found.collect::<duckdb::Result<_>>()?)
}

/// The oldest generation of which the pins are known.
pub fn oldest(connection: &Connection) -> duckdb::Result<u64> {
    let oldest =
        connection.query_row("SELECT min(generation) FROM generations", [], |row| row.get::<_, Option<i64>>(0));
    Ok(oldest.optional()?.flatten().unwrap_or(0).cast_unsigned())
}

/// What the two generations of a difference have, of the pins for which `only` holds. A pin that neither came nor went nor
/// changed between the two is in neither.
fn differences(ask: &PinDiff, only: &str) -> String {
    let (old, new) = (ask.from.min(ask.to), ask.from.max(ask.to));
    let state = |name, generation, touched| {
        format!(
            "{name} AS (SELECT e.id, e.cid, coalesce(c.was[1], e.type) AS type,
               CASE WHEN c.id IS NULL THEN e.name ELSE c.was[2] END AS name
             FROM every e LEFT JOIN (SELECT id, arg_min(row(type_before, name_before), generation) AS was
               FROM changes WHERE generation > {generation} GROUP BY id) c ON c.id = e.id
             WHERE e.added <= {generation} AND (e.removed IS NULL OR e.removed > {generation})
               AND ({touched} OR e.id IN (SELECT id FROM changes WHERE generation > {old} AND generation <= {new})))"
        )
    };
    let before = state("old", old, format!("e.removed <= {new}"));
    let after = state("new", new, format!("e.added > {old}"));
    format!(
        "WITH every AS (SELECT * FROM (
             SELECT id, cid, type, name, generation AS added, NULL::BIGINT AS removed FROM pins
             UNION ALL SELECT id, cid, type, name, generation, gone_generation FROM gone WHERE gone_generation > {old})
           WHERE {only}), {before}, {after}"
    )
}

/// A generation of which the pins are not known, and the oldest and the newest of which they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKept {
    /// What was asked for.
    pub generation: u64,
    /// The oldest.
    pub oldest: u64,
    /// The newest.
    pub newest: u64,
}

/// What of a full join differs.
const DIFFERS: &str = "FROM old FULL JOIN new ON old.cid = new.cid
    WHERE old.type IS DISTINCT FROM new.type OR old.name IS DISTINCT FROM new.name";

/// Chooses the pins in which two generations differ, in the order in which they were seen first; `None` when one of them is
/// not there.
pub fn choose_differing(
    connection: &Connection,
    ask: &PinDiff,
) -> Result<Result<Chosen<Differs>, NotKept>, IndexError> {
    let (oldest, newest) = (oldest(connection)?, schema::read_meta(connection)?.generation);
    for generation in [ask.from, ask.to] {
        // After a restore or a recovery the numbers go on above all that were given before.
        let kept = format!("SELECT count(*) FROM generations WHERE generation = {generation}");
        if connection.query_row(&kept, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Err(NotKept { generation, oldest, newest }));
        }
    }
    let with = differences(ask, "true");
    let total: i64 = connection.query_row(&format!("{with} SELECT count(*) {DIFFERS}"), [], |row| row.get(0))?;
    let sql = format!(
        "{with} SELECT old.id, new.id {DIFFERS} ORDER BY coalesce(new.id, old.id) {}",
        window(ask.limit, ask.offset)
    );
    let mut statement = connection.prepare(&sql)?;
    let id = |row: &Row<'_>, column| row.get::<_, Option<i64>>(column).map(|id| id.map(i64::cast_unsigned));
    let keys = statement.query_map([], |row| Ok(Differs { before: id(row, 0)?, after: id(row, 1)? }))?;
    let keys = keys.collect::<duckdb::Result<_>>()?;
    Ok(Ok(Chosen { generation: newest, total: total.cast_unsigned(), keys }))
}

/// Reads in what those pins differ, in the order of the keys.
pub fn differing(connection: &Connection, ask: &PinDiff, keys: &[Differs]) -> Result<Vec<PinChange>, IndexError> {
    let ids = keys.iter().flat_map(|key| [key.before, key.after]).flatten();
    let Some(only) = among(ids) else { return Ok(Vec::new()) };
    let sql = format!(
        "{} SELECT coalesce(new.cid, old.cid), old.type, old.name, new.type, new.name {DIFFERS}
         ORDER BY coalesce(new.id, old.id)",
        differences(ask, &only)
    );
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([], |row| {
        let pin = |first: usize| -> duckdb::Result<Option<(PinType, Option<String>)>> {
            Ok(row.get::<_, Option<u8>>(first)?.map(pin_type).zip(Some(row.get(first + 1)?)))
        };
        let (old, new) = (pin(1)?, pin(3)?);
        let (before, after) = if ask.from <= ask.to { (old, new) } else { (new, old) };
        Ok(difference(text(&cid(row, 0)?), before, after))
    })?;
    Ok(found.collect::<duckdb::Result<_>>()?)
}

type Pinned = Option<(PinType, Option<String>)>;

fn difference(cid: String, before: Pinned, after: Pinned) -> PinChange {
    let event = match (&before, &after) {
        (None, _) => PinEvent::Added,
        (_, None) => PinEvent::Removed,
        (Some(before), Some(after)) if before.0 == after.0 => PinEvent::Renamed,
        _ => PinEvent::Retyped,
    };
    let changed = before.clone().filter(|_| after.is_some());
    // One of the two is there.
    let (pin_type, name) = after.or(before).unwrap_or((PinType::Recursive, None));
    let (type_before, name_before) = changed.map_or((None, None), |(pin_type, name)| (Some(pin_type), name));
    PinChange { event, generation: None, at: None, cid, pin_type, name, type_before, name_before }
}
