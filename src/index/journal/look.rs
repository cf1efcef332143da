//! What a look at the whole file of the journal finds. Nothing is changed.

use super::super::record::{Entry, Next, Reader};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// What a look at the whole file finds.
pub(super) struct Found {
    /// Of the last record.
    pub(super) epoch: u64,
    /// Of the last record.
    pub(super) seq: u64,
    /// End of the last good record.
    pub(super) end: u64,
    /// Where the records end that the last compaction left.
    pub(super) base: u64,
    /// The record that it began with, if all that it left is there.
    pub(super) compacted: Option<u64>,
    /// Records before that which do not say any more what they said.
    pub(super) spoilt: Vec<Spoilt>,
    /// How it ends.
    pub(super) tail: Next,
}

pub(super) struct Spoilt {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) why: String,
}

/// Looks at the whole file.
pub(super) fn look(mut file: &File) -> io::Result<Found> {
    let length = written(file)?;
    file.seek(SeekFrom::Start(0))?;
    let mut reader = Reader::new(file.take(length));
    let (mut base, mut to_come, mut began, mut compacted) = (0, None, 0, None);
    let mut spoilt = Vec::new();
    let tail = loop {
        match reader.read_one()? {
            Next::Record(record) => {
                to_come = match record.entry {
                    Entry::Compacted { records } => {
                        began = record.seq;
                        Some(records)
                    }
                    _ => to_come.and_then(|n: u64| n.checked_sub(1)),
                };
                if to_come == Some(0) {
                    (base, compacted) = (reader.offset(), Some(began));
                }
            }
            Next::Spoilt { length, why, .. } => {
                // Not all that the last compaction left is there.
                to_come = None;
                spoilt.push(Spoilt { offset: reader.offset() - length, length, why });
            }
            end => break end,
        }
    };
    let (epoch, seq) = reader.last().unwrap_or_default();
    Ok(Found { epoch, seq, end: reader.offset(), base, compacted, spoilt, tail })
}

/// The file's length without the zeros at its end.
fn written(file: &File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut buffer = vec![0; 64 << 10];
    while end > 0 {
        let size = end.min(buffer.len() as u64);
        let part = &mut buffer[..size as usize];
        file.read_exact_at(part, end - size)?;
        match part.iter().rposition(|byte| *byte != 0) {
            Some(last) => return Ok(end - size + last as u64 + 1),
            None => end -= size,
        }
    }
    Ok(0)
}
