//! All pins as analytics look at them: a few numbers each, read as columns.

use super::error::IndexError;
use super::export::damaged;
use super::listing;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_array::{Array, RecordBatch};
use duckdb::Connection;
use proto_msgs::pin::{Pin, SizeKind};

/// Bits of an id.
const ID: u64 = (1 << 40) - 1;
const EXACT: u64 = 1 << 40;
const MFS: u64 = 1 << 41;
/// No pin has so many bytes.
const UNKNOWN: u64 = u64::MAX;

/// A pin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    id_and_flags: u64,
    size: u64,
    first_seen: f64,
}

impl Held {
    /// A recursive pin that MFS does not have, with bytes and whether they were counted, and when it was seen first, in seconds since the
    /// Unix epoch.
    pub fn new(id: u64, size: Option<(u64, bool)>, first_seen: f64) -> Held {
        let exact = size.filter(|(_, exact)| *exact).map_or(0, |_| EXACT);
        Held { id_and_flags: id & ID | exact, size: size.map_or(UNKNOWN, |(size, _)| size), first_seen }
    }

    /// Its row.
    pub fn id(&self) -> u64 {
        self.id_and_flags & ID
    }

    /// Bytes that it keeps, if they are known: a direct pin keeps its root alone, while it is the whole that is measured.
    pub fn size(&self) -> Option<u64> {
        (self.size != UNKNOWN).then_some(self.size)
    }

    /// How well they are.
    pub fn size_kind(&self) -> SizeKind {
        match self.id_and_flags & EXACT {
            _ if self.size == UNKNOWN => SizeKind::Unknown,
            0 => SizeKind::Estimated,
            _ => SizeKind::Exact,
        }
    }

    /// When it was seen first, in seconds since the Unix epoch.
    pub fn first_seen(&self) -> f64 {
        self.first_seen
    }

    /// Whether it stands in MFS, too.
    pub fn is_in_mfs(&self) -> bool {
        self.id_and_flags & MFS != 0
    }
}

/// Asks for all pins; answered with them in the order of their ids.
#[derive(Clone, Copy, Debug)]
pub struct AskHeld;

/// Asks for whole rows by their ids; answered with those that are there, each with its id.
#[derive(Clone, Debug)]
pub struct AskRows(pub Vec<u64>);

/// All pins.
pub fn all(connection: &Connection) -> Result<Vec<Held>, IndexError> {
    // Of raw bytes the root is the whole.
    let sql = "SELECT id, CASE WHEN size_kind = 0 OR type = 1 AND codec <> 85 THEN NULL ELSE size END AS size,
          epoch_ms(first_seen) AS seen,
          (CASE size_kind WHEN 2 THEN 1 ELSE 0 END + CASE WHEN cid IN (SELECT cid FROM vfs) THEN 2 ELSE 0 END)::UTINYINT
            AS flags
        FROM pins";
    let mut statement = connection.prepare(sql)?;
    // The iterator would panic at an error; `step` returns it.
    drop(statement.stream_arrow([])?);
    let mut all = Vec::new();
    while let Some(rows) = statement.step()? {
        take(&RecordBatch::from(rows), &mut all)?;
    }
    if !all.is_sorted_by_key(Held::id) {
        all.sort_unstable_by_key(Held::id);
    }
    Ok(all)
}

fn take(rows: &RecordBatch, all: &mut Vec<Held>) -> Result<(), IndexError> {
    let number = |column: usize| {
        let column = rows.columns().get(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.ok_or_else(|| damaged("pins without numbers".to_owned()))
    };
    let (ids, sizes, seen) = (number(0)?, number(1)?, number(2)?);
    let flags = rows.columns().get(3).and_then(|column| column.as_primitive_opt::<UInt8Type>());
    let flags = flags.ok_or_else(|| damaged("pins without numbers".to_owned()))?;
    all.extend((0..rows.num_rows()).map(|row| Held {
        id_and_flags: ids.value(row).cast_unsigned() & ID | u64::from(flags.value(row)) << ID.count_ones(),
        size: if sizes.is_valid(row) { sizes.value(row).cast_unsigned() } else { UNKNOWN },
        first_seen: seen.value(row) as f64 / 1e3,
    }));
    Ok(())
}

/// Whole rows.
pub fn rows(connection: &Connection, ids: &[u64]) -> Result<Vec<(u64, Pin)>, IndexError> {
    let found = listing::read(connection, ids)?;
    let of =
        found.column(0).as_primitive::<Int64Type>().values().iter().map(|id| id.cast_unsigned()).collect::<Vec<_>>();
    Ok(of.into_iter().zip(listing::pins(&found)?).collect())
}
