//! The records of the journal, and how a run of them is read. Pure: bytes in, records out.
//!
//! ```text
//! u32 length of the payload | u32 CRC32C of the payload | u64 epoch | u64 sequence | u32 CRC32C of these 24 bytes | payload
//! ```
//! All numbers are little-endian. The payload is one JSON object that says all of its CID, so the newest record of a CID alone
//! counts and reading one twice does no harm. The sequence rises by one from record to record; the epoch, one more at every open,
//! never falls. The head has a check of its own, so that a record that was cut can be told from one whose length is wrong.

use super::mark::Mark;
use crate::cid;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// Bytes before the payload.
pub const HEAD: usize = 28;
/// The longest payload: the longest mark takes 18 kB.
pub const PAYLOAD: usize = 64 << 10;
/// The highest epoch and sequence: more than there will ever be, and so few that one more is always a number, in DuckDB as well.
pub const HIGHEST: u64 = 1 << 53;
/// What is read at a time.
const CHUNK: usize = 128 << 10;

/// What a record says.
#[expect(clippy::large_enum_variant, reason = "one at a time is read and used up")]
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// All that people say of a CID; a blank one takes it back.
    Mark(Mark),
    /// First record of a journal that was written anew: so many records follow that hold all that was said before.
    Compacted {
        /// How many.
        records: u64,
    },
    /// What a later version writes and this one keeps.
    Other,
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Counts opens of the journal.
    pub epoch: u64,
    /// Counts records, through all epochs.
    pub seq: u64,
    /// As it stands there.
    pub payload: Vec<u8>,
    /// What it says.
    pub entry: Entry,
}

/// The form of the payload. Fields that are not known are ignored, so later versions may add some.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Mark {
        cid: String,
        #[serde(default)]
        tags: Vec<String>,
        note: Option<String>,
        tier: Option<String>,
        at: Timestamp,
    },
    Compacted {
        records: u64,
    },
}

/// The payload of a mark.
pub fn mark(mark: &Mark) -> Vec<u8> {
    let Mark { cid, tags, note, tier, at } = mark.clone();
    json(&Form::Mark { cid: cid::text(&cid), tags: tags.into_iter().collect(), note, tier, at })
}

/// The payload of the first record of a journal that is written anew.
pub fn compacted(records: u64) -> Vec<u8> {
    json(&Form::Compacted { records })
}

fn json(form: &Form) -> Vec<u8> {
    // Text and numbers alone, which always have a form in JSON.
    serde_json::to_vec(form).unwrap_or_default()
}

/// What a payload says, or what is wrong with it.
fn entry(payload: &[u8]) -> Result<Entry, String> {
    match serde_json::from_slice(payload) {
        Ok(Form::Mark { cid, tags, note, tier, at }) => {
            let cid = cid::parse(&cid).map_err(|fault| fault.detail)?;
            Ok(Entry::Mark(Mark { cid, tags: tags.into_iter().collect(), note, tier, at }))
        }
        Ok(Form::Compacted { records }) => Ok(Entry::Compacted { records }),
        Err(error) => {
            let kind = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(payload);
            let known = |kind: &String| ["mark", "compacted"].contains(&kind.as_str());
            match kind {
                Ok(kind) if !kind.keys().any(known) => Ok(Entry::Other),
                _ => Err(error.to_string()),
            }
        }
    }
}

/// A record as it stands in the file.
pub fn encode(epoch: u64, seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    // No payload is as long as 4 GiB.
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(crc32c::crc32c(payload).to_le_bytes());
    bytes.extend(epoch.to_le_bytes());
    bytes.extend(seq.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// What comes next in a run of records.
#[expect(clippy::large_enum_variant, reason = "one at a time is read and used up")]
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A record.
    Record(Record),
    /// A record that stands where it should and does not say any more what it said; those behind it may be good.
    Spoilt {
        /// Its sequence.
        seq: u64,
        /// Its bytes in the file, with the head.
        length: u64,
        /// What is wrong.
        why: String,
    },
    /// Nothing: the last one was the last.
    End,
    /// The end, with a record that was never written to its end, so that nobody was told of it.
    Torn,
    /// The end, with something that can't stand there; what is behind it may have been acknowledged.
    Damaged(String),
}

/// What the head of a record says.
struct Head {
    length: usize,
    check: u32,
    epoch: u64,
    seq: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Result<Head, String>> {
        let head: &[u8; HEAD] = bytes.first_chunk()?;
        let u32_at = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let length = u32_at(0) as usize;
        Some(if u32_at(HEAD - 4) != crc32c::crc32c(&head[..HEAD - 4]) {
            Err("the head of a record fails its check".to_owned())
        } else if length > PAYLOAD {
            Err(format!("a record of {length} bytes"))
        } else if u64_at(8).max(u64_at(16)) > HIGHEST {
            Err(format!("record {} of epoch {}", u64_at(16), u64_at(8)))
        } else {
            Ok(Head { length, check: u32_at(4), epoch: u64_at(8), seq: u64_at(16) })
        })
    }
}

/// Reads records one after the other. The source is to end where the file's last byte that is not zero stands: a crash may leave
/// zeros behind what was written, and a record never ends with one.
pub struct Reader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Of the buffer, what was read already.
    begin: usize,
    offset: u64,
    last: Option<(u64, u64)>,
}

impl<R: Read> Reader<R> {
    /// From the beginning.
    pub fn new(source: R) -> Reader<R> {
        Reader { source, buffer: Vec::new(), begin: 0, offset: 0, last: None }
    }

    /// Bytes up to the end of the last record that stands where it should.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Epoch and sequence of that record.
    pub fn last(&self) -> Option<(u64, u64)> {
        self.last
    }

    /// The next record, or how the run ends; then it is not to be asked again.
    pub fn read_one(&mut self) -> io::Result<Next> {
        if !self.fill(HEAD)? {
            return Ok(if self.buffer.len() == self.begin { Next::End } else { Next::Torn });
        }
        let head = match Head::read(&self.buffer[self.begin..]) {
            Some(Ok(head)) => head,
            Some(Err(why)) => return Ok(Next::Damaged(why)),
            None => return Ok(Next::Torn),
        };
        let length = HEAD + head.length;
        if !self.fill(length)? {
            return Ok(Next::Torn);
        }
        let payload = &self.buffer[self.begin + HEAD..self.begin + length];
        let Head { epoch, seq, check, .. } = head;
        let entry = match crc32c::crc32c(payload) == check {
            true => entry(payload).map_err(|why| format!("record {seq} cannot be read: {why}")),
            false => Err(format!("record {seq} fails its check")),
        };
        if let Err(why) = self.admit(&head, entry.as_ref().ok()) {
            return Ok(Next::Damaged(why));
        }
        let next = match entry {
            Ok(entry) => Next::Record(Record { epoch, seq, payload: payload.to_vec(), entry }),
            Err(why) => Next::Spoilt { seq, length: length as u64, why },
        };
        self.last = Some((epoch, seq));
        self.begin += length;
        self.offset += length as u64;
        Ok(next)
    }

    /// Whether this record may stand here; of one that is spoilt nobody knows what it said.
    fn admit(&self, head: &Head, entry: Option<&Entry>) -> Result<(), String> {
        let Head { epoch, seq, .. } = *head;
        match self.last {
            Some((last, _)) if epoch < last => {
                Err(format!("record {seq} is of epoch {epoch} and follows epoch {last}"))
            }
            Some((_, last)) if Some(seq) != last.checked_add(1) => Err(format!("record {seq} follows record {last}")),
            // A journal begins with the first thing that was said, or with a sum of all before.
            None if seq != 1 && !matches!(entry, None | Some(Entry::Compacted { .. })) => {
                Err(format!("it begins with record {seq}"))
            }
            _ => Ok(()),
        }
    }

    /// Has so many bytes ready, if there are so many.
    fn fill(&mut self, length: usize) -> io::Result<bool> {
        if self.buffer.len() - self.begin < length {
            self.buffer.drain(..self.begin);
            self.begin = 0;
            let wanted = length.max(CHUNK) - self.buffer.len();
            self.source.by_ref().take(wanted as u64).read_to_end(&mut self.buffer)?;
        }
        Ok(self.buffer.len() - self.begin >= length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(n: u64) -> Mark {
        let hash = ::cid::multihash::Multihash::wrap(0, &n.to_be_bytes()).expect("8 bytes");
        let tags = (0..n % 4).map(|tag| format!("tag {tag}")).collect();
        let note = n.is_multiple_of(3).then(|| format!("a note: \"{n}\""));
        let at = Timestamp::from_second(1_790_000_000 + n.cast_signed()).expect("a time");
        Mark { cid: cid::Cid::new_v1(0x55, hash), tags, note, tier: n.is_multiple_of(5).then(|| "cold".to_owned()), at }
    }

    /// Records 1 to `count`, three to an epoch, and where each of them ends.
    fn journal(count: u64) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for seq in 1..=count {
            bytes.extend(encode(seq.div_ceil(3), seq, &mark(&said(seq))));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// The marks, how they end, and how many bytes are good. As the journal does: without the zeros at the end.
    fn read(bytes: &[u8]) -> (Vec<Mark>, Next, usize) {
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut reader = Reader::new(&bytes[..written]);
        let mut marks = Vec::new();
        loop {
            match reader.read_one().expect("bytes cannot fail") {
                Next::Record(record) => match record.entry {
                    Entry::Mark(mark) => marks.push(mark),
                    Entry::Compacted { .. } | Entry::Other => {}
                },
                Next::Spoilt { .. } => {}
                end => return (marks, end, usize::try_from(reader.offset()).expect("small")),
            }
        }
    }

    fn why(end: Next) -> String {
        match end {
            Next::Damaged(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, _) = journal(20);
        let expected: Vec<_> = (1..=20).map(said).collect();
        assert_eq!(read(&bytes), (expected, Next::End, bytes.len()));
        assert_eq!(read(b""), (vec![], Next::End, 0));
    }

    #[test]
    fn the_form_is_the_one_that_is_documented() {
        let bytes = encode(2, 1, &mark(&said(15)));
        let payload = r#"{"mark":{"cid":"bafkqacaaaaaaaaaaaahq","tags":["tag 0","tag 1","tag 2"],"note":"a note: \"15\"","tier":"cold","at":"2026-09-21T14:13:35Z"}}"#;
        assert_eq!(std::str::from_utf8(&bytes[HEAD..]), Ok(payload));
        assert_eq!(bytes[..4], (payload.len() as u32).to_le_bytes());
        assert_eq!(bytes[4..8], crc32c::crc32c(payload.as_bytes()).to_le_bytes());
        assert_eq!(
            (bytes[8..16].to_vec(), bytes[16..24].to_vec()),
            (2_u64.to_le_bytes().to_vec(), 1_u64.to_le_bytes().to_vec())
        );
        // The check value of CRC-32C (iSCSI).
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_longest_mark_fits() {
        let hash = ::cid::multihash::Multihash::wrap(0, &[7; 128]).expect("128 bytes");
        let quotes = |n: usize| "\"".repeat(n);
        let tags =
            (0..crate::index::mark::TAGS).map(|n| format!("{n:02}{}", quotes(crate::index::mark::TAG - 2))).collect();
        let note = Some(quotes(crate::index::mark::NOTE));
        let tier = Some("x".repeat(crate::index::mark::TIER));
        let longest = Mark { cid: cid::Cid::new_v1(0x55, hash), tags, note, tier, at: Timestamp::MAX };
        assert!(mark(&longest).len() < PAYLOAD / 3, "{}", mark(&longest).len());
        assert_eq!(read(&encode(1, 1, &mark(&longest))).0, [longest]);
    }

    #[test]
    fn fields_and_kinds_of_a_later_version_are_passed_over() {
        let mut bytes = encode(1, 1, br#"{"mark":{"cid":"bafkqaaa","at":"2026-11-21T08:00:00Z","mood":{"x":1}}}"#);
        bytes.extend(encode(1, 2, br#"{"audit":{"who":1000}}"#));
        bytes.extend(encode(1, 3, &mark(&said(3))));
        let (marks, end, _) = read(&bytes);
        assert_eq!((marks.len(), end), (2, Next::End));
        assert!(marks[0].is_blank(), "what is left out is not there");
        for wrong in [
            &br#"{"mark":{"cid":"bafkqaaa"}}"#[..],
            br#"{"mark":{"cid":"x","at":"2026-11-21T08:00:00Z"}}"#,
            b"hello",
            b"[]",
        ] {
            let record = encode(1, 1, wrong);
            match Reader::new(&record[..]).read_one().expect("bytes cannot fail") {
                Next::Spoilt { seq: 1, length, why } if why.starts_with("record 1 cannot be read") => {
                    assert_eq!(length, record.len() as u64);
                }
                other => panic!("{wrong:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn d6_cut_at_every_byte_all_whole_records_are_read_and_the_rest_is_a_torn_tail() {
        let (bytes, ends) = journal(7);
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let expected: Vec<_> = (1..=whole as u64).map(said).collect();
            let (marks, end, good) = read(&bytes[..cut]);
            assert_eq!((marks, good), (expected.clone(), ends[whole]), "cut at {cut}");
            assert!(matches!(end, Next::End | Next::Torn), "cut at {cut}: {end:?}");
            // What the file system had promised and not written.
            let mut zeros = bytes[..cut].to_vec();
            zeros.resize(cut + 5000, 0);
            let (marks, end, good) = read(&zeros);
            assert_eq!((marks, good), (expected, ends[whole]), "zeros from {cut}");
            assert!(matches!(end, Next::End | Next::Torn), "zeros from {cut}: {end:?}");
        }
    }

    #[test]
    fn d6_any_flipped_bit_costs_its_own_record_or_is_damage_and_is_never_taken_for_a_torn_tail() {
        let (bytes, ends) = journal(4);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let before = ends.iter().filter(|end| **end <= bit / 8).count() - 1;
            let (marks, end, good) = read(&flipped);
            let others = (1..=4).filter(|seq| *seq != before as u64 + 1);
            if bit / 8 < ends[before] + HEAD {
                assert_eq!((marks, good), (others.take(before).map(said).collect(), ends[before]), "bit {bit}");
                assert!(matches!(end, Next::Damaged(_)), "bit {bit}: {end:?}");
            } else {
                assert_eq!((marks, end, good), (others.map(said).collect(), Next::End, bytes.len()), "bit {bit}");
            }
        }
    }

    #[test]
    fn d19_a_gap_or_a_duplicate_of_the_sequence_is_damage() {
        let (bytes, ends) = journal(6);
        let without = |n: usize| [&bytes[..ends[n - 1]], &bytes[ends[n]..]].concat();
        for n in 2..6 {
            let (marks, end, good) = read(&without(n));
            assert_eq!((marks.len(), good), (n - 1, ends[n - 1]));
            assert_eq!(why(end), format!("record {} follows record {}", n + 1, n - 1));
        }
        assert_eq!(why(read(&without(1)).1), "it begins with record 2");
        let twice = [&bytes[..ends[3]], &bytes[ends[2]..]].concat();
        assert_eq!(why(read(&twice).1), "record 3 follows record 3");
        let back = [&bytes[..], &encode(9, 2, &mark(&said(2)))].concat();
        assert_eq!(why(read(&back).1), "record 2 follows record 6");
        let last = [encode(1, 1, &mark(&said(1))), encode(1, HIGHEST, &mark(&said(2)))].concat();
        assert!(why(read(&last).1).contains("follows record 1"));
        for (epoch, seq) in [(HIGHEST + 1, 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(matches!(read(&encode(epoch, seq, &compacted(0))), (_, Next::Damaged(_), 0)), "{epoch} {seq}");
        }
    }

    #[test]
    fn d19_an_epoch_that_falls_is_damage() {
        let (mut bytes, ends) = journal(6);
        bytes.extend(encode(1, 7, &mark(&said(7))));
        let (marks, end, good) = read(&bytes);
        assert_eq!((marks.len(), good, why(end).as_str()), (6, ends[6], "record 7 is of epoch 1 and follows epoch 2"));
    }

    #[test]
    fn a_compacted_journal_begins_with_any_number() {
        let bytes = [encode(4, 101, &compacted(1)), encode(4, 102, &mark(&said(1)))].concat();
        assert_eq!(read(&bytes), (vec![said(1)], Next::End, bytes.len()));
    }

    proptest! {
        #[test]
        fn d6_whatever_is_done_to_a_journal_its_untouched_beginning_is_read_and_nothing_false(
            count in 1..12_u64,
            at in any::<prop::sample::Index>(),
            junk in prop::collection::vec(any::<u8>(), 0..80),
            skip in 0..80_usize,
        ) {
            let (bytes, ends) = journal(count);
            let at = at.index(bytes.len() + 1);
            let spoilt = [&bytes[..at], &junk[..], &bytes[(at + skip).min(bytes.len())..]].concat();
            let (marks, _, good) = read(&spoilt);
            let untouched = ends.iter().filter(|end| **end <= at).count() - 1;
            prop_assert!(good <= spoilt.len());
            let all: Vec<_> = (1..=count).map(said).collect();
            prop_assert_eq!(&marks[..untouched], &all[..untouched]);
            // Behind it some may be missing, and none is another.
            let mut later = all[untouched..].iter();
            prop_assert!(marks[untouched..].iter().all(|mark| later.any(|said| said == mark)));
        }

        #[test]
        fn every_mark_survives_its_record(tags in prop::collection::btree_set("[^\\p{Cc};]{1,20}", 0..5), note in any::<Option<String>>(), n in any::<u64>()) {
            let one = Mark { tags, note, ..said(n % 1_000_000) };
            prop_assert_eq!(read(&encode(1, 1, &mark(&one))).0, [one]);
        }
    }
}
