//! Whole tables for readers of files: streamed out of one transaction, in the words that people and their programs use.
//!
//! In the index file a CID is bytes, a codec a number and a time has no zone; outside a CID is text as Kubo prints it, `codec` a
//! name and every time says that it is UTC. `refill` goes the way back.

use super::error::IndexError;
use super::schema;
use super::store::Store;
use crate::cid::{Cid, codec_name, text};
use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use duckdb::Connection;
use std::io;
use std::sync::Arc;

/// A table of an export.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    pub(super) select: &'static str,
    /// The way back: from `incoming`, which has the columns of `select`, codecs and times as the file has them and lists as lines.
    pub(super) insert: &'static str,
}

/// Everything that is exported. Pins come first; the others are what Kubo cannot tell again. One more is one entry more.
pub const TABLES: [Table; 13] = [
    Table {
        name: "pins",
        select: "SELECT id, cid, name, if(type = 0, 'recursive', 'direct') AS type, size,
          CASE size_kind WHEN 0 THEN 'unknown' WHEN 1 THEN 'estimated' ELSE 'exact' END AS size_kind, codec,
          CASE WHEN kind = 0 THEN 'file' WHEN kind = 1 THEN 'directory' WHEN kind = 2 OR kind IS NULL AND codec = 85 THEN 'raw'
            WHEN kind IS NULL AND codec = 112 THEN NULL ELSE 'other' END AS kind,
          first_seen, generation FROM pins",
        // `raw` may have been said of the codec alone.
        insert: "SELECT id, cid, CASE type WHEN 'recursive' THEN 0 WHEN 'direct' THEN 1 END, name, first_seen, codec, generation,
          size, CASE size_kind WHEN 'unknown' THEN 0 WHEN 'estimated' THEN 1 WHEN 'exact' THEN 2 END,
          CASE WHEN kind = 'file' THEN 0 WHEN kind = 'directory' THEN 1 WHEN kind = 'raw' AND size_kind <> 'unknown' THEN 2
            WHEN kind = 'other' THEN 3 END FROM incoming",
    },
    Table {
        name: "gone",
        select: "SELECT id, cid, name, if(type = 0, 'recursive', 'direct') AS type, size,
          CASE size_kind WHEN 0 THEN 'unknown' WHEN 1 THEN 'estimated' ELSE 'exact' END AS size_kind, codec,
          CASE kind WHEN 0 THEN 'file' WHEN 1 THEN 'directory' WHEN 2 THEN 'raw' WHEN 3 THEN 'other' END AS kind,
          first_seen, generation, gone_at, gone_generation FROM gone",
        insert: "SELECT id, cid, CASE type WHEN 'recursive' THEN 0 WHEN 'direct' THEN 1 END, name, first_seen, codec, generation,
          size, CASE size_kind WHEN 'unknown' THEN 0 WHEN 'estimated' THEN 1 WHEN 'exact' THEN 2 END,
          CASE kind WHEN 'file' THEN 0 WHEN 'directory' THEN 1 WHEN 'raw' THEN 2 WHEN 'other' THEN 3 END,
          gone_at, gone_generation FROM incoming",
    },
    Table {
        name: "changes",
        select: "SELECT id, cid, generation, changed_at, if(type_before = 0, 'recursive', 'direct') AS type_before,
          name_before, if(type = 0, 'recursive', 'direct') AS type, name FROM changes",
        insert: "SELECT generation, changed_at, id, cid,
          CASE type_before WHEN 'recursive' THEN 0 WHEN 'direct' THEN 1 END, name_before,
          CASE type WHEN 'recursive' THEN 0 WHEN 'direct' THEN 1 END, name FROM incoming",
    },
    Table {
        name: "generations",
        select: "SELECT generation, began FROM generations",
        insert: "SELECT generation, began FROM incoming",
    },
    Table {
        name: "marks",
        select: "SELECT cid, tags, note, tier, marked_at, seq FROM marks",
        insert: "SELECT cid, CASE WHEN tags = '' THEN [] ELSE string_split(tags, chr(10)) END, note, tier, marked_at, seq
          FROM incoming",
    },
    Table {
        name: "legacy",
        select: "SELECT cid, source, form, name, pin_type, size, recorded_at, last_access, access_count, tier, vfs_path,
          is_directory, integrity, imported_at FROM legacy",
        insert: "SELECT * FROM incoming",
    },
    Table {
        name: "legacy_sources",
        select: "SELECT source, digest, form, imported_at, read, taken FROM legacy_sources",
        insert: "SELECT * FROM incoming",
    },
    Table {
        name: "vfs",
        select: "SELECT CASE parent WHEN '' THEN '/' WHEN '/' THEN '/' || name ELSE parent || '/' || name END AS path, name, cid,
          CASE kind WHEN 0 THEN 'file' WHEN 1 THEN 'directory' WHEN 2 THEN 'raw' WHEN 3 THEN 'other' END AS kind,
          size, state = 1 AS whole FROM vfs",
        // It is walked again.
        insert: "SELECT '', '', cid, NULL, NULL, 0 FROM incoming WHERE false",
    },
    Table {
        name: "vfs_journal",
        select: "SELECT seq, seen_at AS at, CASE op WHEN 0 THEN 'added' WHEN 1 THEN 'changed' WHEN 2 THEN 'removed' ELSE 'unread' END AS op,
          path, cid, cid_before FROM vfs_journal WHERE op < 4",
        insert: "SELECT seq, \"at\", CASE op WHEN 'added' THEN 0 WHEN 'changed' THEN 1 WHEN 'removed' THEN 2 WHEN 'unread' THEN 3 END,
          path, cid, cid_before FROM incoming",
    },
    Table {
        name: "state_system",
        select: "SELECT * FROM state_system",
        insert: "BY NAME SELECT * FROM incoming",
    },
    Table {
        name: "state_network",
        select: "SELECT * FROM state_network",
        insert: "BY NAME SELECT * FROM incoming",
    },
    Table {
        name: "state_storage",
        select: "SELECT * FROM state_storage",
        insert: "BY NAME SELECT * FROM incoming",
    },
    Table {
        name: "state_files",
        select: "SELECT * FROM state_files",
        insert: "BY NAME SELECT * FROM incoming",
    },
];

/// What an export says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Of the tables.
    pub schema_version: i64,
    /// The generation of the pin set.
    pub generation: u64,
    /// Microseconds since 1970: when the file last learned that the index held what Kubo held.
    pub as_of_us: Option<i64>,
    /// The node.
    pub peer_id: Option<String>,
    /// The newest mark's sequence number in the journal.
    pub journal_seq: u64,
}

/// What an export goes into.
pub trait Sink {
    /// Comes first.
    fn head(&mut self, head: Head) -> io::Result<()>;
    /// A table begins.
    fn begin(&mut self, table: &'static str, schema: SchemaRef) -> io::Result<()>;
    /// Rows of it, a few thousand at most.
    fn rows(&mut self, rows: &RecordBatch) -> io::Result<()>;
    /// All its rows were there.
    fn end(&mut self) -> io::Result<()>;
}

impl Store {
    /// Exports every table as of one moment and gives the sink back. When the future is dropped, it ends soon.
    pub async fn export<S: Sink + Send + 'static>(&self, mut sink: S) -> Result<S, IndexError> {
        self.read_long(move |connection| {
            all(connection, &mut sink)?;
            Ok(sink)
        })
        .await
    }
}

/// Within a transaction: every table.
pub(super) fn all(connection: &Connection, sink: &mut impl Sink) -> Result<(), IndexError> {
    sink.head(head(connection)?).map_err(IndexError::Export)?;
    TABLES.iter().try_for_each(|table| stream(connection, table, sink))
}

fn head(connection: &Connection) -> Result<Head, IndexError> {
    let meta = schema::read_meta(connection)?;
    Ok(Head {
        schema_version: schema::VERSION,
        generation: meta.generation,
        as_of_us: meta.as_of_us,
        peer_id: meta.peer_id,
        journal_seq: meta.journal_seq,
    })
}

fn stream(connection: &Connection, table: &Table, sink: &mut impl Sink) -> Result<(), IndexError> {
    let mut statement = connection.prepare(table.select)?;
    // The iterator would panic at an error; `step` returns it.
    let from = statement.stream_arrow([])?.get_schema();
    let schema = outside(&from);
    sink.begin(table.name, schema.clone()).map_err(IndexError::Export)?;
    while let Some(rows) = statement.step()? {
        sink.rows(&translated(&RecordBatch::from(rows), &schema)?).map_err(IndexError::Export)?;
    }
    sink.end().map_err(IndexError::Export)
}

/// Columns as readers see them.
pub(super) fn outside(from: &Schema) -> SchemaRef {
    Arc::new(Schema::new(from.fields().iter().map(|field| column(field)).collect::<Vec<_>>()))
}

/// Rows as readers see them, under the schema that [`outside`] made of theirs.
pub(super) fn translated(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, IndexError> {
    let columns = rows.schema_ref().fields().iter().zip(rows.columns());
    let columns = columns.map(|(field, column)| values(field, column)).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns).map_err(unfit)
}

fn column(field: &Field) -> Field {
    let data_type = match (field.name().as_str(), field.data_type()) {
        ("cid" | "cid_before" | "codec", _) => DataType::Utf8,
        (_, DataType::Timestamp(unit, None)) => DataType::Timestamp(*unit, Some("UTC".into())),
        (_, other) => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

fn values(field: &Field, column: &ArrayRef) -> Result<ArrayRef, IndexError> {
    Ok(match (field.name().as_str(), column.data_type()) {
        ("cid" | "cid_before", DataType::Binary) => {
            let mut texts = StringBuilder::with_capacity(column.len(), column.len() * 60);
            for bytes in column.as_binary::<i32>() {
                let cid = bytes.map(Cid::try_from).transpose();
                texts.append_option(
                    cid.map_err(|error| damaged(format!("a CID that is none: {error}")))?.as_ref().map(text),
                );
            }
            Arc::new(texts.finish())
        }
        ("codec", DataType::UInt64) => {
            let mut names = StringBuilder::with_capacity(column.len(), column.len() * 8);
            column.as_primitive::<UInt64Type>().iter().for_each(|codec| names.append_option(codec.map(codec_name)));
            Arc::new(names.finish())
        }
        (_, DataType::Timestamp(TimeUnit::Microsecond, None)) => {
            Arc::new(column.as_primitive::<TimestampMicrosecondType>().clone().with_timezone("UTC"))
        }
        _ => column.clone(),
    })
}

pub(super) fn unfit(error: ArrowError) -> IndexError {
    damaged(error.to_string())
}

pub(super) fn damaged(detail: String) -> IndexError {
    IndexError::Export(io::Error::new(io::ErrorKind::InvalidData, detail))
}
