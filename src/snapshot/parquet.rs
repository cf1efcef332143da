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
/// A row group ends when it has so many bytes, before they are compressed.
const GROUP_BYTES: usize = 64 << 20;
/// One that has more of them is not of our making, and is not read: a few bytes on disk may be as many as anybody likes.
const MOST_BYTES: i64 = 4 * GROUP_BYTES as i64;
/// Rows that are read at a time.
const BATCH: usize = 65_536;

/// A Parquet file under way.
pub struct Table<W: Write + Send> {
    writer: ArrowWriter<W>,
    rows: u64,
    /// Of the row group that is under way, in memory.
    bytes: usize,
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
        Ok(Table { writer: ArrowWriter::try_new(to, schema, Some(properties)).map_err(plain)?, rows: 0, bytes: 0 })
    }

    /// Adds rows.
    pub fn push(&mut self, rows: &RecordBatch) -> io::Result<()> {
        self.rows += rows.num_rows() as u64;
        self.writer.write(rows).map_err(plain)?;
        let begun = self.writer.in_progress_rows() <= rows.num_rows();
        self.bytes = if begun { 0 } else { self.bytes } + rows.get_array_memory_size();
        // The writer's own limit is one of compressed bytes.
        if self.bytes >= GROUP_BYTES {
            self.writer.flush().map_err(plain)?;
        }
        Ok(())
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
    for group in reader.metadata().row_groups() {
        let columns = group.columns().iter().map(|column| column.uncompressed_size());
        let bytes = columns.fold(0, i64::saturating_add).max(group.total_byte_size());
        if bytes > MOST_BYTES || group.columns().iter().any(|column| column.uncompressed_size() < 0) {
            let detail = format!("it has a part of {bytes} bytes, and at most {MOST_BYTES} are read at a time");
            return Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;
    use arrow_schema::{DataType, Field, Schema};
    use std::sync::Arc;

    #[test]
    fn a_file_that_would_take_more_memory_than_ours_do_is_not_read() {
        let schema = Arc::new(Schema::new(vec![Field::new("note", DataType::Utf8, true)]));
        let rows = |bytes: usize| {
            RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(vec!["x".repeat(bytes)]))])
                .expect("a row")
        };
        let path = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
        let read = || {
            read(File::open(&path).expect("there")).map(|rows| rows.map(|rows| rows.expect("read").num_rows()).sum())
        };
        let mut sound = Table::begin(File::create(&path).expect("made"), schema.clone(), &[]).expect("begun");
        (0..5).for_each(|_| sound.push(&rows(GROUP_BYTES)).expect("written"));
        sound.end().expect("ended");
        assert!(path.metadata().expect("there").len() < 1 << 20, "well compressed");
        assert_eq!(read().expect("parts of a size that may be"), 5);
        let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let bomb = ArrowWriter::try_new(File::create(&path).expect("made"), schema.clone(), Some(zstd));
        let mut bomb = bomb.expect("begun");
        bomb.write(&rows(MOST_BYTES as usize + 1)).expect("written");
        bomb.close().expect("ended");
        let refused: io::Result<usize> = read();
        assert!(refused.is_err_and(|why| why.to_string().contains("bytes")));
    }
}
