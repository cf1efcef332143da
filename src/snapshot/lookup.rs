//! One pin out of `pins.arrow`: found by its key and read by its few bytes, so that whoever asks for a pin does not wait for
//! DuckDB.
//!
//! It answers for rows that are as they were when it was written, which [`Fresh`] knows. It is read and not mapped: a disk that
//! fails is an error then, and not the end of the process.

use super::place::regular;
use crate::cid::{codec_name, text};
use crate::index::fresh::Fresh;
use crate::index::set::Entry;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::read_footer_length;
use arrow_ipc::{root_as_footer, root_as_message};
use arrow_schema::{DataType, Schema};
use jiff::Timestamp;
use proto_msgs::pin::Pin;
use rustix::io::{ReadWriteFlags, preadv2};
use serde::de::value::{Error, StrDeserializer};
use serde::de::{Deserialize, IntoDeserializer};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The end of an Arrow file: the length of its footer, and six bytes that say what it is.
const TRAILER: u64 = 10;
/// Bytes of a key.
const KEY: u64 = 32;
/// So many keys are read at a time: a page of memory.
const SCAN: u64 = 128;
/// The longest text that is read.
const TEXT: u64 = 16 << 20;

/// The file of a snapshot, open; it stays readable when the snapshot is removed.
#[derive(Debug)]
pub struct PinFile {
    file: File,
    columns: Columns,
    batches: Vec<Batch>,
    rows: u64,
    fresh: Arc<Fresh>,
}

/// The number of each column's first buffer, which says what is null; its values, or the ends of its texts, are in the next.
#[derive(Clone, Copy, Debug)]
struct Columns {
    key: usize,
    id: usize,
    cid: usize,
    name: usize,
    size: usize,
    size_kind: usize,
    codec: usize,
    kind: usize,
    first_seen: usize,
}

#[derive(Debug)]
struct Batch {
    first_row: u64,
    rows: u64,
    /// Where each buffer is in the file, and its bytes; none of those that say of a column what is null in it, and nothing is.
    buffers: Vec<(u64, u64)>,
}

struct Row<'file> {
    file: &'file File,
    batch: &'file Batch,
    number: u64,
    disk: Disk,
}

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug)]
pub enum Disk {
    /// As long as it takes: not on a thread of the runtime.
    Wait,
    /// What is not in the kernel's page cache is [`io::ErrorKind::WouldBlock`].
    Cached,
}

/// The pins of these entries out of the file, if there is one and it answers for all of them.
pub async fn pins(file: Option<Arc<PinFile>>, entries: Vec<Entry>) -> Option<Vec<Pin>> {
    let file = file?;
    let read = tokio::task::spawn_blocking(move || file.pins(&entries, Disk::Wait)).await.ok()?;
    // The index has the rows too.
    read.inspect_err(|error| tracing::debug!(%error, "pins.arrow could not be read")).ok()?
}

impl PinFile {
    /// Opens it; `fresh` was begun before the rows were read.
    pub fn open(path: &Path, fresh: Arc<Fresh>) -> io::Result<PinFile> {
        let file = regular(path)?;
        let length = file.metadata()?.len();
        let end = length.checked_sub(TRAILER).ok_or_else(|| invalid("it is too short"))?;
        let trailer = exactly(&file, end, TRAILER)?.try_into().map_err(|_| invalid("it is too short"))?;
        let footer = read_footer_length(trailer).map_err(invalid)? as u64;
        let at = end.checked_sub(footer).ok_or_else(|| invalid("it has no footer"))?;
        let footer = exactly(&file, at, footer)?;
        let footer = root_as_footer(&footer).map_err(|error| invalid(error.to_string()))?;
        let schema = fb_to_schema(footer.schema().ok_or_else(|| invalid("it has no schema"))?);
        let columns = Columns::of(&schema)?;
        let (mut batches, mut rows) = (Vec::new(), 0);
        for block in footer.recordBatches().into_iter().flatten() {
            let (at, metadata) = (block.offset().cast_unsigned(), block.metaDataLength().cast_unsigned().into());
            let message = exactly(&file, at, metadata)?;
            // After a mark and its own length.
            let message = root_as_message(message.get(8..).unwrap_or_default());
            let message = message.map_err(|error| invalid(error.to_string()))?;
            let batch = message.header_as_record_batch().ok_or_else(|| invalid("it has a block that is no batch"))?;
            if batch.compression().is_some() {
                return Err(invalid("it is compressed"));
            }
            let place = |buffer: &arrow_ipc::Buffer| {
                (at + metadata + buffer.offset().cast_unsigned(), buffer.length().cast_unsigned())
            };
            let mut buffers: Vec<_> = batch.buffers().into_iter().flatten().map(place).collect();
            for (node, nulls) in batch.nodes().into_iter().flatten().zip(first_buffers(&schema)) {
                if let Some(nulls) = buffers.get_mut(nulls).filter(|_| node.null_count() == 0) {
                    *nulls = (0, 0);
                }
            }
            batches.push(Batch { first_row: rows, rows: batch.length().cast_unsigned(), buffers });
            rows += batch.length().cast_unsigned();
        }
        Ok(PinFile { file, columns, batches, rows, fresh })
    }

    /// The pins of these entries; `None` when it cannot answer for one of them.
    pub fn pins(&self, entries: &[Entry], disk: Disk) -> io::Result<Option<Vec<Pin>>> {
        if !entries.iter().all(|entry| self.fresh.has(entry.id())) {
            return Ok(None);
        }
        entries.iter().map(|entry| self.pin(entry, disk)).collect()
    }

    fn pin(&self, entry: &Entry, disk: Disk) -> io::Result<Option<Pin>> {
        let key = entry.key().digest;
        // The same block in other versions and codecs.
        for number in self.first(&key, disk)?..self.rows {
            let row = self.row(number, disk)?;
            if row.number(self.columns.id)? == Some(entry.id().cast_signed()) {
                return self.read(entry, &row).map(Some);
            }
            if row.bytes(self.columns.key + 1, KEY)? != key {
                break;
            }
        }
        Ok(None)
    }

    /// The first row whose key is not below this one. Each read is a system call, and digests are spread evenly: so it begins where the
    /// key would be then.
    fn first(&self, key: &[u8; 32], disk: Disk) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.rows);
        let share = key.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        let mut middle = ((u128::from(share) * u128::from(self.rows)) >> 64) as u64;
        while low < high {
            let at = middle.saturating_sub(SCAN / 2).max(low);
            let keys = self.row(at, disk)?.keys(self.columns.key + 1, SCAN.min(high - at))?;
            let below = keys.chunks_exact(KEY as usize).take_while(|found| *found < key.as_slice()).count() as u64;
            match below * KEY == keys.len() as u64 {
                true => low = at + below,
                false if below == 0 => high = at,
                false => return Ok(at + below),
            }
            middle = low + (high - low) / 2;
        }
        Ok(low)
    }

    fn row(&self, number: u64, disk: Disk) -> io::Result<Row<'_>> {
        let batch = self.batches.partition_point(|batch| batch.first_row <= number).checked_sub(1);
        let batch = batch.and_then(|batch| self.batches.get(batch)).ok_or_else(|| invalid("it lacks a row"))?;
        Ok(Row { file: &self.file, batch, number: number - batch.first_row, disk })
    }

    /// What the entry does not know itself is read.
    fn read(&self, entry: &Entry, row: &Row<'_>) -> io::Result<Pin> {
        let columns = self.columns;
        let lacks = || invalid("it lacks a value");
        let cid = entry.key().cid();
        let seen = row.number(columns.first_seen)?.ok_or_else(lacks)?;
        Ok(Pin {
            cid: cid.map_or_else(|| row.text(columns.cid), |cid| Ok(Some(text(&cid))))?.ok_or_else(lacks)?,
            name: if entry.name_hash() == 0 { None } else { row.text(columns.name)? },
            pin_type: entry.pin_type(),
            size: row.number(columns.size)?.map(i64::cast_unsigned),
            size_kind: row.word(columns.size_kind)?.ok_or_else(lacks)?,
            codec: cid
                .map_or_else(|| row.text(columns.codec), |cid| Ok(Some(codec_name(cid.codec()))))?
                .ok_or_else(lacks)?,
            kind: row.word(columns.kind)?,
            first_seen: crate::time::text(Timestamp::from_microsecond(seen).map_err(invalid)?),
            access_count: None,
            last_access: None,
            hotness: None,
            pattern: None,
            // What people say of a CID is in no row of the file, and such a row is not fresh.
            tier: None,
            tags: Vec::new(),
            note: None,
        })
    }
}

impl Columns {
    fn of(schema: &Schema) -> io::Result<Columns> {
        let column = |name: &str, wanted: fn(&DataType) -> bool| {
            let mut columns = schema.fields().iter().zip(first_buffers(schema));
            let found = columns.find(|(field, _)| field.name() == name && wanted(field.data_type()));
            found.map(|(_, buffer)| buffer).ok_or_else(|| invalid(format!("it has no column {name} that can be read")))
        };
        let utf8 = |name| column(name, |found| *found == DataType::Utf8);
        let number = |name| column(name, |found| found.primitive_width() == Some(8));
        Ok(Columns {
            key: column("key", |found| *found == DataType::FixedSizeBinary(32))?,
            id: number("id")?,
            cid: utf8("cid")?,
            name: utf8("name")?,
            size: number("size")?,
            size_kind: utf8("size_kind")?,
            codec: utf8("codec")?,
            kind: utf8("kind")?,
            first_seen: number("first_seen")?,
        })
    }
}

/// Each column's first buffer. A text has three, a value two.
fn first_buffers(schema: &Schema) -> impl Iterator<Item = usize> {
    schema.fields().iter().scan(0, |next, field| {
        let first = *next;
        *next += if *field.data_type() == DataType::Utf8 { 3 } else { 2 };
        Some(first)
    })
}

impl Row<'_> {
    /// The keys of so many rows from this one on, as far as they are in its batch.
    fn keys(&self, buffer: usize, rows: u64) -> io::Result<Vec<u8>> {
        self.within(buffer, self.number * KEY, rows.min(self.batch.rows - self.number) * KEY)
    }

    /// The value in this buffer, where each has so many bytes.
    fn bytes(&self, buffer: usize, width: u64) -> io::Result<Vec<u8>> {
        self.within(buffer, self.number * width, width)
    }

    fn within(&self, buffer: usize, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let (start, length) = self.batch.buffers.get(buffer).copied().unwrap_or_default();
        if at.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(invalid("a value is not where it should be"));
        }
        let mut read = vec![0; usize::try_from(bytes).map_err(invalid)?];
        match self.disk {
            Disk::Wait => self.file.read_exact_at(&mut read, start + at)?,
            Disk::Cached => read_cached(self.file, &mut read, start + at)?,
        }
        Ok(read)
    }

    fn is_null(&self, column: usize) -> io::Result<bool> {
        // A column without nulls may leave this buffer out.
        if self.batch.buffers.get(column).is_none_or(|(_, length)| *length == 0) {
            return Ok(false);
        }
        Ok(self.within(column, self.number / 8, 1)?[0] >> (self.number % 8) & 1 == 0)
    }

    fn number(&self, column: usize) -> io::Result<Option<i64>> {
        if self.is_null(column)? {
            return Ok(None);
        }
        Ok(self.bytes(column + 1, 8)?.try_into().ok().map(i64::from_le_bytes))
    }

    fn text(&self, column: usize) -> io::Result<Option<String>> {
        if self.is_null(column)? {
            return Ok(None);
        }
        let ends = self.within(column + 1, self.number * 4, 8)?;
        let end = |bytes: &[u8]| bytes.try_into().map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
        let (start, end) = (end(&ends[..4]), end(&ends[4..]));
        let length = end.checked_sub(start).filter(|length| *length <= TEXT);
        let length = length.ok_or_else(|| invalid("a text has no length"))?;
        String::from_utf8(self.within(column + 2, start, length)?).map(Some).map_err(invalid)
    }

    fn word<T: for<'de> Deserialize<'de>>(&self, column: usize) -> io::Result<Option<T>> {
        let text = self.text(column)?;
        let word = text.map(|text| {
            let text: StrDeserializer<'_, Error> = text.as_str().into_deserializer();
            T::deserialize(text)
        });
        word.transpose().map_err(invalid)
    }
}

fn exactly(file: &File, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut read = vec![0; usize::try_from(bytes).map_err(invalid)?];
    file.read_exact_at(&mut read, at)?;
    Ok(read)
}

/// Reads what is in memory.
fn read_cached(file: &File, to: &mut [u8], at: u64) -> io::Result<()> {
    let length = to.len();
    let read = preadv2(file, &mut [IoSliceMut::new(to)], at, ReadWriteFlags::NOWAIT)?;
    // The rest is on the disk.
    if read < length { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
