//! Sizes: which pins lack one, what was measured, and how far it has come.
//!
//! Whoever measures goes through the pins in the order of their ids, with the last id as its cursor, so that nothing is scanned
//! again for pins that have been looked at.

use super::error::IndexError;
use super::rows::{among, cid, fill_temp, kind_code, size_code};
use super::schema;
use crate::cid::Cid;
use duckdb::Connection;
use duckdb::arrow::array::{Int64Array, UInt8Array};
use proto_msgs::pin::{ContentKind, SizeKind};
use std::sync::Arc;

/// How far a look at what a CID stands for reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The root block, which says what it is and how large it takes the rest to be.
    Root,
    /// Every block.
    Whole,
}

impl Look {
    /// Which pins lack what such a look tells. Of raw blocks and UnixFS the root is looked at first; where that told no size,
    /// and of every other codec, only the whole tells one.
    fn lacking(self) -> &'static str {
        match self {
            Look::Root => "size_kind = 0 AND kind IS NULL AND codec IN (85, 112)",
            Look::Whole => "(size_kind = 1 OR size_kind = 0 AND (kind IS NOT NULL OR codec NOT IN (85, 112)))",
        }
    }
}

/// Asks for pins that lack a look, in the order of their ids.
#[derive(Clone, Debug)]
pub struct AskLacking {
    /// Which look.
    pub look: Look,
    /// Which pins to choose from.
    pub among: Among,
    /// At most so many.
    pub most: usize,
}

/// Pins to choose from.
#[derive(Clone, Debug)]
pub enum Among {
    /// Those with ids above the first and up to the second.
    Ids(u64, u64),
    /// These.
    These(Vec<u64>),
}

/// A pin that lacks a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmeasured {
    /// Its row.
    pub id: u64,
    /// What is pinned.
    pub cid: Cid,
}

/// Pins that lack a look.
#[derive(Clone, Debug)]
pub struct Lacking {
    /// In the order of their ids.
    pub pins: Vec<Unmeasured>,
    /// No other pin up to this id lacks it.
    pub up_to: u64,
}

/// What was measured of one pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Its row.
    pub id: u64,
    /// Bytes, and how well they are known.
    pub size: Option<(u64, SizeKind)>,
    /// What the CID is the root of.
    pub kind: Option<ContentKind>,
}

/// What a look has told.
#[derive(Clone, Debug)]
pub struct ApplySizes(pub Vec<Measured>);

/// Asks how many sizes are known.
#[derive(Clone, Copy, Debug)]
pub struct AskSizes;

/// How many sizes are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Exactly.
    pub exact: u64,
    /// As the root says.
    pub estimated: u64,
    /// Not at all.
    pub unknown: u64,
}

/// The pins that lack a look.
pub fn lacking(connection: &Connection, ask: &AskLacking) -> Result<Lacking, IndexError> {
    let (among, up_to) = match &ask.among {
        Among::Ids(after, up_to) => {
            let last = schema::read_meta(connection)?.next_id.saturating_sub(1).min(*up_to);
            (format!("id > {after} AND id <= {last}"), last)
        }
        Among::These(ids) => {
            let last = ids.iter().max().copied().unwrap_or(0);
            let Some(among) = among(ids.iter().copied()) else { return Ok(Lacking { pins: Vec::new(), up_to: last }) };
            (among, last)
        }
    };
    let sql =
        format!("SELECT id, cid FROM pins WHERE {among} AND {} ORDER BY id LIMIT {}", ask.look.lacking(), ask.most);
    let mut statement = connection.prepare(&sql)?;
    let found = statement
        .query_map([], |row| Ok(Unmeasured { id: row.get::<_, i64>(0)?.cast_unsigned(), cid: cid(row, 1)? }))?;
    let pins = found.collect::<duckdb::Result<Vec<_>>>()?;
    let cut = pins.last().filter(|_| pins.len() == ask.most).map(|last| last.id);
    Ok(Lacking { up_to: cut.unwrap_or(up_to), pins })
}

/// How many sizes are known.
pub fn known(connection: &Connection) -> Result<Known, IndexError> {
    let sql = "SELECT count(*) FILTER (size_kind = 2), count(*) FILTER (size_kind = 1), count(*) FILTER (size_kind = 0)
        FROM pins";
    let known = connection.query_row(sql, [], |row| {
        let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok(Known { exact: count(0)?, estimated: count(1)?, unknown: count(2)? })
    })?;
    Ok(known)
}

/// Writes what was measured, within a transaction. What is known better already stays.
pub(super) fn write(connection: &Connection, measured: &[Measured]) -> duckdb::Result<()> {
    let known = |of: &Measured| size_code(of.size.map_or(SizeKind::Unknown, |(_, kind)| kind));
    fill_temp(
        connection,
        "measured(id BIGINT NOT NULL, size BIGINT, size_kind UTINYINT NOT NULL, kind UTINYINT)",
        vec![
            Arc::new(Int64Array::from_iter_values(measured.iter().map(|of| of.id.cast_signed()))),
            Arc::new(measured.iter().map(|of| of.size.map(|(size, _)| size.cast_signed())).collect::<Int64Array>()),
            Arc::new(UInt8Array::from_iter_values(measured.iter().map(known))),
            Arc::new(measured.iter().map(|of| of.kind.map(kind_code)).collect::<UInt8Array>()),
        ],
    )?;
    connection.execute_batch(
        "UPDATE pins SET size = coalesce(m.size, pins.size), size_kind = m.size_kind, kind = coalesce(m.kind, pins.kind)
         FROM measured m WHERE pins.id = m.id AND m.size_kind >= pins.size_kind",
    )
}
