//! What the worker says on its stdout, one JSON value a line.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows of one source at most, held in memory until they are written: the old system kept a hundred.
pub(super) const ROWS: u64 = 500_000;
/// Bytes of one text at most; a longer one counts as of a wrong type.
pub(super) const TEXT: usize = 8 << 10;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Line {
    /// The file was read whole: its SHA-256, of a DuckDB file with the log beside it.
    Seen(String),
    /// It has a table; its rows follow.
    Table(Table),
    /// The values of the columns that are read, in their order.
    Row(Vec<Value>),
    /// All rows were told.
    End,
    /// It is text, which begins so.
    Text(String),
    /// Nothing can be taken from it, and why.
    Problem(String),
}

/// A table in it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    /// Every column.
    pub(super) columns: Vec<(String, Kind)>,
    /// The columns that rows have values of.
    pub(super) read: Vec<String>,
    /// How many there are.
    pub(super) rows: u64,
    /// Whether ipfs-kitd has written it.
    pub(super) ours: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    /// Nothing: pandas gives a column of `None` alone this type.
    Null,
    Bool,
    Int,
    Real,
    Text,
    Time,
    Other,
}

/// A point in time as a value.
pub(super) fn time(micros: i64) -> Value {
    serde_json::json!({ "us": micros })
}

/// A text as a value.
pub(super) fn text(text: &str) -> Value {
    if text.len() > TEXT { other() } else { Value::from(text) }
}

/// Something that none of the columns is to hold.
pub(super) fn other() -> Value {
    Value::Array(Vec::new())
}
