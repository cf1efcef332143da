//! What is learnt and remembered, in one file, so that a start need not count all accesses again.
//!
//! The file is replaced whole: eight bytes that say what it is, the version, then bincode, then a CRC-32C of all of it. Its number of
//! accesses says which of them it has counted, so a start counts those behind it and none twice. A file that is damaged, of another
//! version or of another node is of no use: everything in it can be counted anew from the accesses that are kept, but for what was learnt
//! of forecasts, which is learnt again.

use super::forecast::Forecaster;
use super::look::Mind;
use super::models::{Model, Models};
use super::trials::Trials;
use crate::cid::Key;
use crate::snapshot::atomic;
use crate::snapshot::place::regular;
use bincode::config::Config;
use bincode::error::DecodeError;
use bincode::serde::{decode_from_std_read, encode_into_std_write};
use proto_msgs::access::AccessSource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"KITMODEL";
const VERSION: u32 = 2;
const HEAD: u64 = 12;
const CHECK: u64 = 4;
/// Bytes at a time.
const CHUNK: usize = 1 << 18;
/// Bytes that one part of the file can have: the samples that wait are the most.
const PART: usize = 64 << 20;
/// A pin has more bytes than this.
const PIN: u64 = 64;

/// What the file says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    peer_id: Option<String>,
    half_life: f64,
    through: u64,
    firsts: BTreeMap<AccessSource, f64>,
    at: f64,
    pins: u64,
}

/// What was in the file.
pub struct Saved {
    /// All of it. Where the half-life is another one by now, only what does not depend on it: nothing is counted.
    pub mind: Mind,
    /// When it was written, in seconds since the Unix epoch.
    pub at: f64,
    /// Whether it was written with another half-life.
    pub other_half_life: bool,
}

/// Why there is nothing to go on with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no file.
    #[error("there is none")]
    Missing,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not as it was written.
    #[error("it is damaged")]
    Damaged,
    /// Its version is another one.
    #[error("it is of version {0}, and this one is {VERSION}")]
    Version(u32),
    /// It is about the pins of another node.
    #[error("it is of another node")]
    Node,
}

fn config() -> impl Config {
    bincode::config::standard().with_limit::<PART>()
}

/// Writes it, and answers how many bytes it has; on return it is on the disk.
pub fn save(path: &Path, mind: &Mind, peer_id: Option<&str>, at: f64) -> io::Result<u64> {
    let mut bytes = 0;
    atomic::replace_with(path, 0o600, |file| {
        let mut out = Summed { inner: BufWriter::with_capacity(CHUNK, file), crc: 0, bytes: 0 };
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        let Mind { models, forecaster, trials } = mind;
        let (through, firsts, pins) = (models.through(), models.firsts().clone(), models.len() as u64);
        let head =
            Head { peer_id: peer_id.map(str::to_owned), half_life: models.half_life(), through, firsts, at, pins };
        put(&head, &mut out)?;
        put(forecaster, &mut out)?;
        put(trials, &mut out)?;
        models.all().iter().try_for_each(|model| put(model, &mut out))?;
        let crc = out.crc;
        out.inner.write_all(&crc.to_le_bytes())?;
        bytes = out.bytes + CHECK;
        out.inner.flush()
    })?;
    Ok(bytes)
}

/// Reads it; `peer_id` is the present node, as far as that is known.
pub fn load(path: &Path, peer_id: Option<&str>, half_life: f64) -> Result<Saved, LoadError> {
    let mut file = regular(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing,
        _ => LoadError::Io(error),
    })?;
    let length = file.metadata()?.len().checked_sub(HEAD + CHECK).ok_or(LoadError::Damaged)?;
    // All of it first: nothing is made of a file that is not as it was written.
    let version = checked(&file, length)?;
    if version != VERSION {
        return Err(LoadError::Version(version));
    }
    file.seek(io::SeekFrom::Start(HEAD))?;
    let mut from = BufReader::with_capacity(CHUNK, file.take(length));
    let head: Head = get(&mut from)?;
    // Before Kubo has said who it is, nobody knows better.
    if head.peer_id.as_deref().zip(peer_id).is_some_and(|(of, now)| of != now) {
        return Err(LoadError::Node);
    }
    let forecaster: Forecaster = get(&mut from)?;
    let trials: Trials = get(&mut from)?;
    let other_half_life = head.half_life != half_life;
    let models = if other_half_life {
        Models::new(half_life)
    } else {
        if head.pins > length / PIN {
            return Err(LoadError::Damaged);
        }
        let models = (0..head.pins).map(|_| get::<(Key, Model)>(&mut from)).collect::<Result<_, _>>()?;
        Models::of(half_life, head.through, head.firsts, models)
    };
    Ok(Saved { mind: Mind { models, forecaster, trials }, at: head.at, other_half_life })
}

/// The version of a file whose sum is right.
fn checked(file: &File, length: u64) -> Result<u32, LoadError> {
    let mut from = BufReader::with_capacity(CHUNK, file);
    let (mut magic, mut version) = ([0; 8], [0; 4]);
    from.read_exact(&mut magic)?;
    from.read_exact(&mut version)?;
    if &magic != MAGIC {
        return Err(LoadError::Damaged);
    }
    let mut sum = Summed { inner: io::sink(), crc: 0, bytes: 0 };
    sum.write_all(&magic)?;
    sum.write_all(&version)?;
    io::copy(&mut from.by_ref().take(length), &mut sum)?;
    let mut told = [0; CHECK as usize];
    from.read_exact(&mut told)?;
    if u32::from_le_bytes(told) == sum.crc { Ok(u32::from_le_bytes(version)) } else { Err(LoadError::Damaged) }
}

fn put(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    encode_into_std_write(value, out, config()).map(drop).map_err(io::Error::other)
}

fn get<T: DeserializeOwned>(from: &mut impl Read) -> Result<T, LoadError> {
    decode_from_std_read(from, config()).map_err(|error| match error {
        DecodeError::Io { inner, .. } if inner.kind() != io::ErrorKind::UnexpectedEof => LoadError::Io(inner),
        // Its sum was right, so whoever wrote it wrote something else.
        _ => LoadError::Damaged,
    })
}

/// Sums up what is written.
struct Summed<W> {
    inner: W,
    crc: u32,
    bytes: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::forecast::{HORIZONS, Memory, Moment};
    use crate::analytics::trials::{Chosen, GRACE, count};
    use crate::index::access::Counted;

    /// 2026-01-05, a Monday.
    const MONDAY: f64 = 1_767_571_200.0;
    const WEEK: f64 = 7.0 * 86_400.0;

    fn mind() -> Mind {
        let mut mind = Mind::new(WEEK);
        let pin = |n: u64| Key { digest: [(n % 50) as u8; 32], ident: 0x55 << 2 | 2 };
        let memory = Memory::new(MONDAY - WEEK);
        let sample = |horizon| Forecaster::default().sample(&memory, &Moment::new(MONDAY), horizon).expect("a sample");
        let chosen = |n: u64, horizon, forecast| {
            let (pin, sample) = (pin(n), sample(horizon));
            Chosen { pin, sample, forecast, weight: 3.0, last: None, legacy: 0.1 }
        };
        mind.trials.begin(0, MONDAY, (0..40).map(|n| chosen(n, 0, Some(0.25))).collect());
        mind.trials.begin(2, MONDAY, (0..40).map(|n| chosen(n, 2, None)).collect());
        let accesses: Vec<Counted> = (1..=1_000)
            .map(|n| Counted {
                seq: n,
                at: MONDAY + n as f64,
                pin: pin(n * n),
                path: Some(format!("a/{n}")),
                offset: None,
                source: AccessSource::Record,
            })
            .collect();
        assert_eq!(count(&mut mind.models, &mut mind.trials, &accesses, 1_007, f64::MAX), 1_000);
        mind.trials.settle(&mut mind.forecaster, MONDAY + HORIZONS[0] + GRACE, |_| true);
        mind.forecaster.fit();
        mind
    }

    #[test]
    fn what_was_saved_is_loaded_as_it_was() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("models");
        assert!(matches!(load(&path, None, WEEK), Err(LoadError::Missing)));
        let mind = mind();
        let bytes = save(&path, &mind, Some("12D3KooWNode"), MONDAY).expect("saved");
        assert_eq!(bytes, path.metadata().expect("there").len());
        let saved = load(&path, Some("12D3KooWNode"), WEEK).expect("loaded");
        assert_eq!((saved.at, saved.other_half_life), (MONDAY, false));
        let (then, now) = (&mind.models, &saved.mind.models);
        assert_eq!((now.all(), now.through(), now.firsts()), (then.all(), 1_007, then.firsts()));
        assert_eq!((&saved.mind.forecaster, &saved.mind.trials), (&mind.forecaster, &mind.trials));
        assert!(matches!(load(&path, Some("12D3KooWOther"), WEEK), Err(LoadError::Node)));
        assert!(load(&path, None, WEEK).is_ok(), "nobody knows yet which node this is");
    }

    #[test]
    fn what_cannot_be_read_now_is_told_apart_from_what_is_of_no_use() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        assert!(matches!(load(&file, None, WEEK), Err(LoadError::Damaged)));
        assert!(matches!(load(&file.join("models"), None, WEEK), Err(LoadError::Io(_))), "below a file");
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert!(matches!(load(&pipe, None, WEEK), Err(LoadError::Io(_))), "it waits for nobody");
    }

    #[test]
    fn with_another_half_life_accesses_are_counted_again_and_what_was_learnt_stays() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("models");
        let mind = mind();
        save(&path, &mind, None, MONDAY).expect("saved");
        let saved = load(&path, Some("12D3KooWNode"), 2.0 * WEEK).expect("loaded");
        assert!(saved.other_half_life && saved.mind.models.is_empty() && saved.mind.models.through() == 0);
        assert_eq!((&saved.mind.forecaster, &saved.mind.trials), (&mind.forecaster, &mind.trials));
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_not_taken() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("models");
        save(&path, &mind(), None, MONDAY).expect("saved");
        let whole = std::fs::read(&path).expect("read");
        for at in [0, 9, 20, whole.len() / 2, whole.len() - 1] {
            let mut wrong = whole.clone();
            wrong[at] ^= 0x10;
            std::fs::write(&path, &wrong).expect("written");
            assert!(matches!(load(&path, None, WEEK), Err(LoadError::Damaged)), "byte {at}");
        }
        for length in [0, 5, HEAD as usize, whole.len() / 3, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).expect("written");
            assert!(load(&path, None, WEEK).is_err(), "{length} bytes");
        }
        let mut newer = whole[..whole.len() - CHECK as usize].to_vec();
        newer[8] = 3;
        newer.extend(crc32c::crc32c(&newer).to_le_bytes());
        std::fs::write(&path, &newer).expect("written");
        assert!(matches!(load(&path, None, WEEK), Err(LoadError::Version(3))));
    }
}
