//! The rows of an answer on their way out: never more of them, and never more bytes, than somebody may want.

use super::cells;
use crate::exit;
use crate::offline::Refusal;
use crate::snapshot::bulk::Encoder;
use crate::snapshot::publish::STAMP;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use proto_msgs::bulk::{Bulk, BulkBytes};
use proto_msgs::snapshot::SnapshotAt;
use serde::Serialize;
use std::collections::HashSet;
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Arc;

/// Bytes of an answer.
const MOST: u64 = 1 << 30;
/// Bytes of one row as a line: whoever shows it has it in memory.
const ROW: usize = 1 << 20;

/// What rows go out as.
pub(super) enum Form {
    Rows,
    Bulk(Bulk),
}

/// An answer under way.
pub(super) struct Output {
    to: Capped<BufWriter<Stdout>>,
    encoder: Option<Encoder>,
    schema: SchemaRef,
    left: u64,
    cut: bool,
}

#[derive(Serialize)]
struct Head<'a> {
    at: &'a SnapshotAt,
    columns: Vec<Column<'a>>,
}

#[derive(Serialize)]
struct Column<'a> {
    name: &'a str,
    /// Whether its texts are JSON as they are.
    json: bool,
}

impl Output {
    /// Says which columns there are, of which snapshot.
    pub(super) fn begin(form: Form, rows: u64, schema: &Schema, at: &SnapshotAt) -> Result<Output, Refusal> {
        let schema = Arc::new(distinct(schema));
        let encoder = match form {
            Form::Rows => None,
            Form::Bulk(form) => {
                let encoder = Encoder::whole(form, &schema, stamp(at));
                Some(encoder.map_err(|fault| Refusal(exit::FAILED, fault.detail))?)
            }
        };
        let columns = schema.fields().iter();
        let columns = columns.map(|field| Column { name: field.name(), json: cells::is_json(field.data_type()) });
        let head = Head { at, columns: columns.collect() };
        let mut to = Capped { to: BufWriter::with_capacity(64 << 10, io::stdout()), left: MOST };
        serde_json::to_writer(&mut to, &head).map_err(io::Error::from)?;
        to.write_all(b"\n")?;
        Ok(Output { to, encoder, schema, left: rows, cut: false })
    }

    /// Takes rows; whether more are wanted.
    pub(super) fn rows(&mut self, rows: &RecordBatch) -> Result<bool, Refusal> {
        let fit = rows.num_rows().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.cut = fit < rows.num_rows();
        self.left -= fit as u64;
        let rows = RecordBatch::try_new(self.schema.clone(), rows.slice(0, fit).columns().to_vec()).map_err(plain)?;
        match &mut self.encoder {
            Some(encoder) => put(&mut self.to, encoder.push(&rows)?)?,
            None => lines(&mut self.to, &rows)?,
        }
        Ok(!self.cut)
    }

    /// Whether rows were left out.
    pub(super) fn end(mut self) -> Result<bool, Refusal> {
        if let Some(encoder) = self.encoder {
            put(&mut self.to, encoder.end()?)?;
        }
        self.to.flush()?;
        Ok(self.cut)
    }
}

fn put(to: &mut impl Write, bytes: Vec<BulkBytes>) -> io::Result<()> {
    bytes.iter().try_for_each(|bytes| to.write_all(&bytes.bytes))
}

fn lines(to: &mut impl Write, rows: &RecordBatch) -> io::Result<()> {
    let columns =
        rows.columns().iter().map(|column| cells::plain(column)).collect::<Result<Vec<_>, _>>().map_err(plain)?;
    let columns = columns.iter().map(cells::Column::of).collect::<Result<Vec<_>, _>>().map_err(plain)?;
    for row in 0..rows.num_rows() {
        let texts = columns.iter().map(|column| column.text(row)).collect::<Result<Vec<_>, _>>().map_err(plain)?;
        if texts.iter().flatten().map(String::len).sum::<usize>() > ROW {
            return Err(io::Error::other(format!("a row has more than {ROW} bytes; -o arrow and parquet take it")));
        }
        serde_json::to_writer(&mut *to, &texts)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Columns of which no two have the same name: a second `cid` is `cid_1`.
fn distinct(schema: &Schema) -> Schema {
    let mut taken: HashSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut seen = HashSet::new();
    let mut named = |field: &Arc<Field>| {
        if seen.insert(field.name().clone()) {
            return field.clone();
        }
        let mut names = (1_u64..).map(|number| format!("{}_{number}", field.name()));
        let name = names.find(|name| taken.insert(name.clone())).unwrap_or_default();
        Arc::new(field.as_ref().clone().with_name(name))
    };
    Schema::new(schema.fields().iter().map(&mut named).collect::<Vec<_>>())
}

fn stamp(at: &SnapshotAt) -> Vec<(String, String)> {
    let manifest = &at.manifest;
    let stamp = [
        ("snapshot", Some(manifest.name.clone())),
        ("generation", Some(manifest.generation.to_string())),
        ("as_of", manifest.as_of.clone()),
        ("complete", Some(manifest.complete.to_string())),
    ];
    stamp.into_iter().filter_map(|(key, value)| Some((format!("{STAMP}{key}"), value?))).collect()
}

fn plain(error: ArrowError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Takes no more than so many bytes.
struct Capped<W> {
    to: W,
    left: u64,
}

impl<W: Write> Write for Capped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            let detail = format!("the answer has more than {MOST} bytes; ask for less, or give a lower --limit");
            return Err(io::Error::other(detail));
        };
        let written = self.to.write(bytes)?;
        self.left = left + (bytes.len() - written) as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::DataType;

    #[test]
    fn no_two_columns_have_the_same_name() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Schema::new(["cid", "cid", "cid_1", "cid"].map(field).to_vec());
        let names: Vec<String> = distinct(&schema).fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["cid", "cid_2", "cid_1", "cid_3"]);
    }

    #[test]
    fn an_answer_has_a_highest_number_of_bytes() {
        let mut capped = Capped { to: Vec::new(), left: 5 };
        assert!(
            capped.write_all(b"abc").is_ok() && capped.write_all(b"def").is_err() && capped.write_all(b"de").is_ok()
        );
        assert_eq!((capped.to.as_slice(), capped.left), (&b"abcde"[..], 0));
    }
}
