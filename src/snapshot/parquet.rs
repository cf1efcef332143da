//! A table as a Parquet file: zstd, no dictionary where every value is another one, and what it is in its own metadata.

use super::output::{Finished, Output};
use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::schema::types::ColumnPath;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::fs::File;
use std::io::{self, Write};

/// How the name of the writer begins, by which files of ours are known.
pub(crate) const WRITER: &str = "ipfs-kitd ";
/// Rows of a row group; its pages are kept in memory until it is full.
const ROW_GROUP: usize = 131_072;
/// Rows that are read at a time.
const BATCH: usize = 65_536;

/// A Parquet file under way.
pub struct Table<W: Write + Send> {
    writer: ArrowWriter<W>,
    rows: u64,
}

impl<W: Write + Send> Table<W> {
    /// Begins it.
    pub fn begin(to: W, schema: SchemaRef, stamp: &[(String, String)]) -> io::Result<Table<W>> {
        let stamp = stamp.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(plain)?))
            .set_column_dictionary_enabled(ColumnPath::from("cid"), false)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .set_created_by(format!("{WRITER}{}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(stamp))
            .build();
        Ok(Table { writer: ArrowWriter::try_new(to, schema, Some(properties)).map_err(plain)?, rows: 0 })
    }

    /// Adds rows.
    pub fn push(&mut self, rows: &RecordBatch) -> io::Result<()> {
        self.rows += rows.num_rows() as u64;
        self.writer.write(rows).map_err(plain)
    }

    /// Writes what comes at the end; the rows.
    pub fn end(self) -> io::Result<(W, u64)> {
        Ok((self.writer.into_inner().map_err(plain)?, self.rows))
    }
}

impl Table<Output> {
    /// The same for a file of a snapshot.
    pub fn finish(self) -> io::Result<Finished> {
        let (output, rows) = self.end()?;
        output.finish(rows)
    }
}

/// Rows of a Parquet file, by its footer.
pub fn rows(file: File) -> io::Result<u64> {
    let metadata = ArrowReaderMetadata::load(&file, Default::default()).map_err(plain)?;
    Ok(metadata.metadata().file_metadata().num_rows().max(0).cast_unsigned())
}

/// The rows of a Parquet file.
pub fn read(file: File) -> io::Result<impl Iterator<Item = io::Result<RecordBatch>>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(plain)?.with_batch_size(BATCH);
    let rows = reader.build().map_err(plain)?;
    Ok(rows.map(|rows| rows.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))))
}

/// The error of the file below, where it is one.
pub(super) fn plain(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => source.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
