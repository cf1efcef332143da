//! The access log of a web server as a file: known by its first line, whatever it is called by now, and read in whole lines from any
//! place on. All of it waits for a disk.
//!
//! A file that was emptied and written anew (`copytruncate`) has another first line, so before what was read is believed, the first line
//! is looked at once more.

use super::web_line::LONGEST;
use crate::fault::chain;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes that are read at a time; a line is shorter.
const CHUNK: usize = 256 << 10;
const _: () = assert!(LONGEST < CHUNK);
/// Lines in a chunk.
const LINES: usize = 4_000;
/// Bytes of a line that is passed over, since it is too long, at a time.
const LONG: u64 = 64 << 20;
/// Files beside a log that are looked at.
const BESIDE: usize = 16;
/// Those that were written to within this time.
const FRESH: Duration = Duration::from_secs(2 * 86_400);

/// Why a log is not read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It may come.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// Somebody has to allow it.
    #[error("{} may not be read by the daemon's user", .0.display())]
    Denied(PathBuf),
    /// It is a pipe or a directory.
    #[error("{} is no regular file", .0.display())]
    NoFile(PathBuf),
    /// As it is when its beginning was cut away while the web server wrote to it at a place of its own.
    #[error("{}: its first line is longer than {CHUNK} bytes, so it is no log of a web server, or a damaged one", .0.display())]
    NoLine(PathBuf),
    /// The disk.
    #[error("{}: {}", .0.display(), chain(.1))]
    Io(PathBuf, io::Error),
}

/// An open log.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    /// Device and inode.
    place: (u64, u64),
    digest: String,
}

/// Some lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Without their ends.
    pub lines: Vec<String>,
    /// Lines that are too long to be read.
    pub long: u64,
    /// Where the next line begins.
    pub to: u64,
    /// Whether there may be more already.
    pub more: bool,
}

impl LogFile {
    /// Opens a log; `None` while it has no whole line.
    pub fn open(path: &Path) -> Result<Option<LogFile>, LogError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => LogError::Missing(path.to_owned()),
            io::ErrorKind::PermissionDenied => LogError::Denied(path.to_owned()),
            _ => LogError::Io(path.to_owned(), error),
        };
        // Before the opening, which a device may take for a command, and after it: by then it may be something else.
        if !path.metadata().map_err(failed)?.is_file() {
            return Err(LogError::NoFile(path.to_owned()));
        }
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(LogError::NoFile(path.to_owned()));
        }
        match digest(&file).map_err(failed)? {
            First::Line(digest) => Ok(Some(LogFile { file, place: (found.dev(), found.ino()), digest })),
            First::None => Ok(None),
            First::TooLong => Err(LogError::NoLine(path.to_owned())),
        }
    }

    /// The SHA-256 of its first line with its end, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether this is the same file with the same beginning.
    pub fn is(&self, other: &LogFile) -> bool {
        self.place == other.place && self.digest == other.digest
    }

    /// Whether this has the same beginning, by which a log is known.
    pub fn begins_as(&self, other: &LogFile) -> bool {
        self.digest == other.digest
    }

    /// Bytes that it has.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Lines from a place on, which is the beginning of one; `None` when it is another log by now.
    pub fn read(&self, from: u64) -> io::Result<Option<Chunk>> {
        let mut bytes = vec![0; CHUNK];
        let length = fill(&self.file, &mut bytes, from)?;
        bytes.truncate(length);
        let chunk = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => whole(&bytes[..=end], from, length == CHUNK),
            None if length == CHUNK => self.pass(from)?,
            None => Chunk { to: from, ..Chunk::default() },
        };
        let same = matches!(digest(&self.file)?, First::Line(digest) if digest == self.digest);
        Ok(same.then_some(chunk))
    }

    /// Passes over a line that is too long.
    fn pass(&self, from: u64) -> io::Result<Chunk> {
        let (mut at, mut bytes) = (from + CHUNK as u64, vec![0; CHUNK]);
        while at - from < LONG {
            let length = fill(&self.file, &mut bytes, at)?;
            if let Some(end) = bytes[..length].iter().position(|byte| *byte == b'\n') {
                return Ok(Chunk { long: 1, to: at + end as u64 + 1, more: true, lines: Vec::new() });
            }
            if length < CHUNK {
                // It has no end yet.
                return Ok(Chunk { to: from, ..Chunk::default() });
            }
            at += length as u64;
        }
        Ok(Chunk { long: 1, to: at, more: true, lines: Vec::new() })
    }
}

/// Whole lines, of which those beyond the most that a chunk has are left for the next.
fn whole(bytes: &[u8], from: u64, more: bool) -> Chunk {
    let mut chunk = Chunk { to: from, more, ..Chunk::default() };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if chunk.lines.len() == LINES {
            chunk.more = true;
            break;
        }
        chunk.to += line.len() as u64;
        chunk.lines.push(String::from_utf8_lossy(&line[..line.len() - 1]).into_owned());
    }
    chunk
}

enum First {
    Line(String),
    None,
    TooLong,
}

fn digest(file: &File) -> io::Result<First> {
    // Nearly all lines are short.
    let mut bytes = vec![0; 4 << 10];
    let mut length = fill(file, &mut bytes, 0)?;
    if length == bytes.len() && !bytes.contains(&b'\n') {
        bytes.resize(CHUNK, 0);
        length = fill(file, &mut bytes, 0)?;
    }
    Ok(match bytes[..length].iter().position(|byte| *byte == b'\n') {
        Some(end) => First::Line(hex(&Sha256::digest(&bytes[..=end]))),
        None if length == CHUNK => First::TooLong,
        None => First::None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A String takes all.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], from + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Files beside a log that may be what it was before it was rotated: `access.log.1`, `access.log-20261122`; the newest few, and none that
/// is compressed. What cannot be read is none.
pub fn beside(path: &Path) -> Vec<LogFile> {
    const PACKED: [&str; 5] = ["gz", "bz2", "xz", "zst", "lz4"];
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<(SystemTime, PathBuf)> = entries
        .take(10_000)
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let of = path.file_name()?.to_str()?.strip_prefix(name)?;
            let packed = path.extension().is_some_and(|end| PACKED.iter().any(|packed| end == *packed));
            let written = path.metadata().ok().filter(std::fs::Metadata::is_file)?.modified().ok()?;
            let fresh = written.elapsed().is_ok_and(|age| age < FRESH);
            (of.starts_with(['.', '-']) && !packed && fresh).then_some((written, path))
        })
        .collect();
    found.sort();
    let newest = found.split_off(found.len().saturating_sub(BESIDE));
    newest.iter().filter_map(|(_, path)| LogFile::open(path).ok().flatten()).collect()
}

#[cfg(test)]
impl LogFile {
    /// One that cannot be read any more, as on a file server that was restarted.
    pub(super) fn stale(path: &Path) -> LogFile {
        let file = OpenOptions::new().write(true).open(path).expect("there");
        LogFile { file, place: (0, 0), digest: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn log(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("access.log");
        std::fs::write(&path, text).expect("written");
        (dir, path)
    }

    fn open(path: &Path) -> LogFile {
        LogFile::open(path).expect("readable").expect("a line")
    }

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).open(path).expect("there");
        file.write_all(text.as_bytes()).expect("written");
    }

    #[test]
    fn whole_lines_are_read_and_the_rest_when_it_is_whole() {
        let (_dir, path) = log("one\ntwo\nthr");
        let file = open(&path);
        let first = file.read(0).expect("read").expect("the same");
        assert_eq!(first, Chunk { lines: vec!["one".into(), "two".into()], long: 0, to: 8, more: false });
        assert_eq!(file.read(8).expect("read"), Some(Chunk { to: 8, ..Chunk::default() }));
        append(&path, "ee\n");
        assert_eq!(file.read(8).expect("read").expect("the same").lines, ["three"]);
    }

    #[test]
    fn a_log_is_known_by_its_first_line_whatever_it_is_called() {
        let (dir, path) = log("one\n");
        let file = open(&path);
        let digest: String = Sha256::digest(b"one\n").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file.digest(), digest);
        let moved = dir.path().join("access.log.1");
        std::fs::rename(&path, &moved).expect("moved");
        std::fs::write(&path, "other\n").expect("written");
        assert!(open(&moved).is(&file) && !open(&path).is(&file));
        let names: Vec<String> = beside(&path).into_iter().map(|log| log.digest).collect();
        assert_eq!(names, [digest]);
    }

    #[test]
    fn compressed_files_and_other_logs_are_not_what_a_log_was_before() {
        let (dir, path) = log("one\n");
        for name in ["access.log.2.gz", "access.logs", "other.log.1"] {
            std::fs::write(dir.path().join(name), "two\n").expect("written");
        }
        std::fs::create_dir(dir.path().join("access.log.d")).expect("made");
        assert_eq!(beside(&path).len(), 0);
    }

    #[test]
    fn what_was_read_of_a_log_that_was_emptied_meanwhile_is_not_believed() {
        let (_dir, path) = log("one\ntwo\n");
        let file = open(&path);
        let truncated = OpenOptions::new().write(true).truncate(true).open(&path).expect("there");
        assert_eq!(file.read(4).expect("read"), None);
        append(&path, "three\nfour\nfive\n");
        assert_eq!(file.read(4).expect("read"), None);
        drop(truncated);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = "x".repeat(3 * CHUNK);
        let (_dir, path) = log(&format!("one\n{long}\nthree\n"));
        let file = open(&path);
        let first = file.read(0).expect("read").expect("the same");
        assert_eq!((first.lines.len(), first.more), (1, true));
        let second = file.read(first.to).expect("read").expect("the same");
        assert_eq!((second.lines.len(), second.long, second.more), (0, 1, true));
        assert_eq!(file.read(second.to).expect("read").expect("the same").lines, ["three"]);
        let (_dir, path) = log(&format!("one\n{long}"));
        assert_eq!(open(&path).read(4).expect("read"), Some(Chunk { to: 4, ..Chunk::default() }), "it has no end yet");
    }

    #[test]
    fn a_long_log_is_read_in_pieces_and_each_line_once() {
        let lines: Vec<String> = (0..20_000).map(|n| format!("line {n}")).collect();
        let (_dir, path) = log(&(lines.join("\n") + "\n"));
        let file = open(&path);
        let (mut read, mut at) = (Vec::new(), 0);
        loop {
            let chunk = file.read(at).expect("read").expect("the same");
            assert!(chunk.lines.len() <= LINES);
            at = chunk.to;
            read.extend(chunk.lines);
            if !chunk.more {
                break;
            }
        }
        assert!(read == lines && at == file.size().expect("a size"));
    }

    #[test]
    fn what_is_no_log_is_told_apart() {
        let (dir, path) = log("");
        assert!(LogFile::open(&path).expect("readable").is_none(), "it has no line yet");
        assert!(matches!(LogFile::open(&dir.path().join("none")), Err(LogError::Missing(_))));
        assert!(matches!(LogFile::open(dir.path()), Err(LogError::NoFile(_))));
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert!(matches!(LogFile::open(&pipe), Err(LogError::NoFile(_))));
        File::create(&path).and_then(|file| file.set_len(1 << 30)).expect("made");
        assert!(matches!(LogFile::open(&path), Err(LogError::NoLine(_))));
    }
}
