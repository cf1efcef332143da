//! Rows of a listing as an Arrow stream or a Parquet file, piece by piece as they come: nothing but the piece, and of Parquet the
//! row group under way, is ever in memory.

use super::parquet::Table;
use super::publish::STAMP;
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema};
use proto_msgs::bulk::{Bulk, BulkBytes};
use proto_msgs::pin::PinPage;
use proto_msgs::{Fault, FaultKind};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The stream or the file under way.
pub struct Encoder {
    writer: Writer,
    /// What was written and not yet taken.
    spool: Spool,
    /// Which of the columns that come.
    columns: Vec<usize>,
}

enum Writer {
    Arrow(Box<StreamWriter<Spool>>),
    Parquet(Box<Table<Spool>>),
}

#[derive(Clone, Default)]
struct Spool(Arc<Mutex<Vec<u8>>>);

impl Encoder {
    /// Begins it with these of the columns, or with all; `page` is told in its metadata, as in a snapshot's files.
    pub fn begin(form: Bulk, of: &Schema, columns: &[String], page: &PinPage) -> Result<Encoder, Fault> {
        let names = || of.fields().iter().map(|field| field.name().as_str());
        let unknown = |name: &String| {
            let there = names().collect::<Vec<_>>().join(", ");
            Fault::new(FaultKind::Invalid, format!("there is no column {name:?}; there are {there}"))
        };
        let columns = columns.iter().map(|name| names().position(|known| known == name).ok_or_else(|| unknown(name)));
        let mut columns = columns.collect::<Result<Vec<_>, Fault>>()?;
        if let Some((_, twice)) = columns.iter().enumerate().find(|(at, column)| columns[..*at].contains(column)) {
            let name = of.field(*twice).name();
            return Err(Fault::new(FaultKind::Invalid, format!("the column {name:?} is asked for twice")));
        }
        if columns.is_empty() {
            columns.extend(0..of.fields().len());
        }
        Encoder::stamped(form, of, columns, stamp(page))
    }

    /// Begins it with all columns and this metadata.
    pub fn whole(form: Bulk, of: &Schema, stamp: Vec<(String, String)>) -> Result<Encoder, Fault> {
        Encoder::stamped(form, of, (0..of.fields().len()).collect(), stamp)
    }

    fn stamped(form: Bulk, of: &Schema, columns: Vec<usize>, stamp: Vec<(String, String)>) -> Result<Encoder, Fault> {
        let spool = Spool::default();
        let failed = |error: io::Error| Fault::new(FaultKind::Internal, format!("cannot begin {form:?}: {error}"));
        let schema = of.project(&columns).map_err(|error| failed(plain(error)))?;
        let writer = match form {
            Bulk::Arrow => {
                let schema = schema.with_metadata(stamp.into_iter().collect());
                let writer = StreamWriter::try_new(spool.clone(), &schema).map_err(|error| failed(plain(error)))?;
                Writer::Arrow(Box::new(writer))
            }
            Bulk::Parquet => {
                Writer::Parquet(Box::new(Table::begin(spool.clone(), Arc::new(schema), &stamp).map_err(failed)?))
            }
        };
        Ok(Encoder { writer, spool, columns })
    }

    /// Adds rows; what is ready of the bytes.
    pub fn push(&mut self, rows: &RecordBatch) -> io::Result<Vec<BulkBytes>> {
        let rows = rows.project(&self.columns).map_err(plain)?;
        match &mut self.writer {
            Writer::Arrow(writer) => writer.write(&rows).map_err(plain)?,
            Writer::Parquet(writer) => writer.push(&rows)?,
        }
        Ok(self.spool.take())
    }

    /// The bytes that are left.
    pub fn end(self) -> io::Result<Vec<BulkBytes>> {
        match self.writer {
            Writer::Arrow(mut writer) => writer.finish().map_err(plain)?,
            Writer::Parquet(writer) => drop(writer.end()?),
        }
        Ok(self.spool.take())
    }
}

fn stamp(page: &PinPage) -> Vec<(String, String)> {
    let stamp = [
        ("generation", Some(page.generation.to_string())),
        ("as_of", page.as_of.clone()),
        ("complete", Some(page.complete.to_string())),
        ("source", Some(page.source.name().to_owned())),
        ("total", Some(page.total.to_string())),
    ];
    stamp.into_iter().filter_map(|(key, value)| Some((format!("{STAMP}{key}"), value?))).collect()
}

impl Spool {
    fn take(&self) -> Vec<BulkBytes> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        bytes.chunks(BulkBytes::MAX).map(|bytes| BulkBytes { bytes: bytes.to_vec() }).collect()
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plain(error: ArrowError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
