//! `pins.arrow`: all pins in an uncompressed Arrow IPC file, sorted by the key that the index has in memory, so that a program can
//! map it and find a CID by binary search.
//!
//! The sort needs the memory of one bucket, not of all pins: keys are digests and spread evenly, so rows go by the first bits
//! of their key into temporary files without names, and each of these is sorted by itself.

use super::output::{Finished, Output};
use crate::cid::{self, Key};
use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, StringArray, UInt32Array};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use arrow_select::coalesce::BatchCoalescer;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek};
use std::path::Path;
use std::sync::Arc;

/// The file's name.
pub const PINS_ARROW: &str = "pins.arrow";
/// Rows of a batch, and about as many as a bucket should have.
pub const BATCH: usize = 65_536;
/// Buckets, however many pins there are; each has an open file.
const BUCKETS: u64 = 256;

/// The file under way. It is a multiple of about 12 MB that this takes beside the page cache, whatever the number of pins (up to
/// 16 million; above, a bucket grows).
pub struct Sorted {
    buckets: Vec<StreamWriter<BufWriter<File>>>,
    coming: BatchCoalescer,
    schema: SchemaRef,
    rows: u64,
}

impl Sorted {
    /// Begins to sort about `expected` rows with these columns, with temporary files in this directory.
    pub fn begin(dir: &Path, columns: &Schema, expected: u64) -> io::Result<Sorted> {
        let key = Field::new("key", DataType::FixedSizeBinary(32), false);
        let fields = std::iter::once(Arc::new(key)).chain(columns.fields().iter().cloned());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let buckets = expected.div_ceil(BATCH as u64).next_power_of_two().min(BUCKETS);
        let bucket = |_| {
            let file = BufWriter::with_capacity(32 << 10, tempfile::tempfile_in(dir)?);
            StreamWriter::try_new(file, &schema).map_err(plain)
        };
        let buckets = (0..buckets).map(bucket).collect::<io::Result<_>>()?;
        Ok(Sorted { buckets, coming: BatchCoalescer::new(schema.clone(), BATCH), schema, rows: 0 })
    }

    /// Adds rows, in any order.
    pub fn push(&mut self, rows: &RecordBatch) -> io::Result<()> {
        self.rows += rows.num_rows() as u64;
        let mut keys = FixedSizeBinaryBuilder::with_capacity(rows.num_rows(), 32);
        for key in keys_of(rows)? {
            keys.append_value(key.digest).map_err(plain)?;
        }
        let columns = std::iter::once(Arc::new(keys.finish()) as _).chain(rows.columns().iter().cloned()).collect();
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(plain)?;
        self.coming.push_batch(rows).map_err(plain)?;
        self.distribute()
    }

    fn distribute(&mut self) -> io::Result<()> {
        while let Some(rows) = self.coming.next_completed_batch() {
            let shift = 8 - self.buckets.len().ilog2();
            let mut picked = vec![Vec::new(); self.buckets.len()];
            for (row, key) in (0..).zip(rows.column(0).as_fixed_size_binary().iter()) {
                let first = key.and_then(|key| key.first()).copied().unwrap_or_default();
                picked[usize::from(first).checked_shr(shift).unwrap_or_default()].push(row);
            }
            for (bucket, picked) in self.buckets.iter_mut().zip(picked).filter(|(_, picked)| !picked.is_empty()) {
                let rows = take_record_batch(&rows, &UInt32Array::from(picked)).map_err(plain)?;
                bucket.write(&rows).map_err(plain)?;
            }
        }
        Ok(())
    }

    /// Sorts and writes all of it.
    pub fn finish(mut self, to: Output, stamp: &[(String, String)]) -> io::Result<Finished> {
        self.coming.finish_buffered_batch().map_err(plain)?;
        self.distribute()?;
        let mut writer = FileWriter::try_new(to, &self.schema).map_err(plain)?;
        stamp.iter().for_each(|(key, value)| writer.write_metadata(key, value));
        let mut going = BatchCoalescer::new(self.schema.clone(), BATCH);
        for bucket in self.buckets {
            let mut file = bucket.into_inner().map_err(plain)?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            let batches = StreamReader::try_new(BufReader::new(file), None).map_err(plain)?;
            let batches = batches.collect::<Result<Vec<_>, _>>().map_err(plain)?;
            let rows = concat_batches(&self.schema, &batches).map_err(plain)?;
            drop(batches);
            let order = order_of(&rows)?;
            going.push_batch(take_record_batch(&rows, &order).map_err(plain)?).map_err(plain)?;
            while let Some(rows) = going.next_completed_batch() {
                writer.write(&rows).map_err(plain)?;
            }
        }
        going.finish_buffered_batch().map_err(plain)?;
        while let Some(rows) = going.next_completed_batch() {
            writer.write(&rows).map_err(plain)?;
        }
        writer.into_inner().map_err(plain)?.finish(self.rows)
    }
}

/// The rows by key; of one key by codec and version, as the index has them.
fn order_of(rows: &RecordBatch) -> io::Result<UInt32Array> {
    let keys = rows.column(0).as_fixed_size_binary();
    let cids = cids(rows)?;
    let whole = |row: u32| cid::parse(cids.value(row as usize)).ok().map(|cid| Key::of(&cid));
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_unstable_by(|a, b| {
        let by_key = keys.value(*a as usize).cmp(keys.value(*b as usize));
        by_key.then_with(|| whole(*a).cmp(&whole(*b)))
    });
    Ok(UInt32Array::from(order))
}

fn cids(rows: &RecordBatch) -> io::Result<&StringArray> {
    let cids = rows.column_by_name("cid").and_then(|column| column.as_string_opt::<i32>());
    cids.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "pins without CIDs"))
}

/// The keys of these pins.
fn keys_of(rows: &RecordBatch) -> io::Result<Vec<Key>> {
    let key = |text: Option<&str>| cid::parse(text.unwrap_or_default()).map(|cid| Key::of(&cid));
    let invalid = |fault: proto_msgs::Fault| io::Error::new(io::ErrorKind::InvalidData, fault.detail);
    cids(rows)?.iter().map(|text| key(text).map_err(invalid)).collect()
}

/// Rows of an Arrow file.
pub fn rows(mut file: File) -> io::Result<u64> {
    file.rewind()?;
    let reader = FileReader::try_new(BufReader::new(file), Some(vec![0])).map_err(plain)?;
    reader.map(|batch| Ok(batch.map_err(plain)?.num_rows() as u64)).sum()
}

/// The error of the file below, where it is one.
fn plain(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
