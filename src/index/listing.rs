//! Rows of pins: read as columns, in the words of an export and with what people said, and what is made of those columns.

use super::error::IndexError;
use super::export::{self, TABLES};
use super::rows::among;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray, UInt32Array};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::pin::{ContentKind, Pin, PinType, SizeKind};
use std::collections::HashMap;

/// Rows that one query reads: enough that its planning is no matter, few enough that a listing keeps little.
pub(super) const PAGE: usize = 16_384;
/// How many rows that nobody asked for may be read with each other one, rather than naming each of these.
const SPARSE: u64 = 8;

/// The rows of these ids, in their order; those that are gone are left out. The columns are those of `pins` in a snapshot, then
/// `tags`, `tier` and `note`.
pub fn read(connection: &Connection, ids: &[u64]) -> Result<RecordBatch, IndexError> {
    let pins = TABLES[0].select;
    let among = condition(ids);
    let sql =
        format!("SELECT p.*, tags, tier, note FROM ({pins} WHERE {among}) p LEFT JOIN marks ON marks.cid = p.cid");
    let mut statement = connection.prepare(&sql)?;
    // The iterator would panic at an error; `step` returns it.
    let from = statement.stream_arrow([])?.get_schema();
    let schema = export::outside(&from);
    let mut found = Vec::new();
    while let Some(rows) = statement.step()? {
        found.push(RecordBatch::from(rows));
    }
    let found = concat_batches(&from, &found).map_err(export::unfit)?;
    let at: HashMap<i64, u32> = found.column(0).as_primitive::<Int64Type>().values().iter().copied().zip(0..).collect();
    let order: Vec<u32> = ids.iter().filter_map(|id| at.get(&id.cast_signed()).copied()).collect();
    let ordered = order.len() == found.num_rows() && order.is_sorted();
    let found =
        if ordered { found } else { take_record_batch(&found, &UInt32Array::from(order)).map_err(export::unfit)? };
    export::translated(&found, &schema)
}

/// Which rows: by their range where they are most of it, which costs no planning however many they are.
fn condition(ids: &[u64]) -> String {
    let Some((least, most)) = ids.iter().min().zip(ids.iter().max()) else { return "false".to_owned() };
    if (most - least) / SPARSE < ids.len() as u64 {
        return format!("id BETWEEN {least} AND {most}");
    }
    among(ids.iter().copied()).unwrap_or_else(|| "false".to_owned())
}

/// Rows that [`read`] gave, as messages have them.
pub fn pins(rows: &RecordBatch) -> Result<Vec<Pin>, IndexError> {
    let texts = |name: &'static str| {
        let column = rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.ok_or_else(|| missing(name))
    };
    let sizes = rows.column_by_name("size").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let sizes = sizes.ok_or_else(|| missing("size"))?;
    let seen =
        rows.column_by_name("first_seen").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let seen = seen.ok_or_else(|| missing("first_seen"))?;
    let tags = rows.column_by_name("tags").and_then(|column| column.as_list_opt::<i32>());
    let tags = tags.ok_or_else(|| missing("tags"))?;
    let (cids, names, types) = (texts("cid")?, texts("name")?, texts("type")?);
    let (size_kinds, codecs, kinds) = (texts("size_kind")?, texts("codec")?, texts("kind")?);
    let (tiers, notes) = (texts("tier")?, texts("note")?);
    let pin = |row: usize| Pin {
        cid: cids.value(row).to_owned(),
        name: text(names, row),
        pin_type: if types.value(row) == "direct" { PinType::Direct } else { PinType::Recursive },
        size: sizes.is_valid(row).then(|| sizes.value(row).cast_unsigned()),
        size_kind: match size_kinds.value(row) {
            "exact" => SizeKind::Exact,
            "estimated" => SizeKind::Estimated,
            _ => SizeKind::Unknown,
        },
        codec: codecs.value(row).to_owned(),
        kind: kinds.is_valid(row).then(|| match kinds.value(row) {
            "file" => ContentKind::File,
            "directory" => ContentKind::Directory,
            "raw" => ContentKind::Raw,
            _ => ContentKind::Other,
        }),
        first_seen: crate::time::text(Timestamp::from_microsecond(seen.value(row)).unwrap_or(Timestamp::UNIX_EPOCH)),
        access_count: None,
        last_access: None,
        hotness: None,
        pattern: None,
        tier: text(tiers, row),
        tags: match tags.is_valid(row).then(|| tags.value(row)) {
            Some(tags) => tags.as_string::<i32>().iter().flatten().map(str::to_owned).collect(),
            None => Vec::new(),
        },
        note: text(notes, row),
    };
    Ok((0..rows.num_rows()).map(pin).collect())
}

fn text(column: &StringArray, row: usize) -> Option<String> {
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn missing(column: &str) -> IndexError {
    export::damaged(format!("rows of pins without {column}"))
}
