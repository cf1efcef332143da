//! What Kubo writes: two threads read stdout and stderr to their end, whatever comes, because a full pipe would block Kubo and
//! a closed one would kill it. The newest lines are kept for `kubo logs`; all of them go to the log under the target `kubo`.
//!
//! Bounded three ways: a line is cut, the number of kept lines is limited, and so is their size together.

use crate::ring::Ring;
use jiff::Timestamp;
use proto_msgs::kubo::{KuboLogLine, KuboLogPage};
use std::io::{self, BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;

/// A longer line is cut here and goes on as another one.
const LINE: u64 = 64 << 10;
/// Characters of each line that the end of a run keeps: they go into reports and events.
const WORD: usize = 500;
/// Lines that the end of a run keeps.
const LAST_WORDS: usize = 20;

/// The output of all children, shared by the threads that read it.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<Ring<KuboLogLine>>>);

/// The two threads that read one child's output.
pub struct Readers {
    output: Output,
    /// Lines of earlier children.
    before: u64,
    /// Ends when both threads have ended.
    reading: mpsc::Receiver<()>,
}

impl Output {
    /// The newest lines of all children, oldest first, of those that were written since; and the number of the newest one.
    pub fn newest(&self, lines: usize, since: Option<Timestamp>) -> (KuboLogPage, u64) {
        let ring = self.ring();
        let old =
            |line: &&KuboLogLine| since.is_some_and(|since| line.at.parse::<Timestamp>().is_ok_and(|at| at < since));
        let old = ring.iter().take_while(old).count();
        let skip = ring.iter().len().saturating_sub(lines).max(old);
        (KuboLogPage { lines: ring.iter().skip(skip).cloned().collect(), dropped: ring.dropped() }, ring.written())
    }

    /// The lines after that number, and how many of them are no longer kept; and the number of the newest one.
    pub fn after(&self, number: u64) -> (KuboLogPage, u64) {
        let ring = self.ring();
        let (lines, dropped) = ring.after(number);
        (KuboLogPage { lines, dropped }, ring.written())
    }

    /// The number of the newest line, as it rises.
    pub fn growth(&self) -> watch::Receiver<u64> {
        self.ring().growth()
    }

    /// Starts to read a child's pipes.
    pub fn read(&self, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> io::Result<Readers> {
        let (alive, reading) = mpsc::channel();
        let before = self.ring().written();
        if let Some(pipe) = stdout {
            self.drain("stdout", pipe, alive.clone())?;
        }
        if let Some(pipe) = stderr {
            self.drain("stderr", pipe, alive)?;
        }
        Ok(Readers { output: self.clone(), before, reading })
    }

    fn drain(&self, stream: &'static str, pipe: impl Read + Send + 'static, alive: mpsc::Sender<()>) -> io::Result<()> {
        let output = self.clone();
        let read = move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.by_ref().take(LINE).read_until(b'\n', &mut line), Ok(n) if n > 0) {
                let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
                line.clear();
                tracing::info!(target: "kubo", stream, "{text}");
                let bytes = text.len();
                output.ring().push(KuboLogLine { at: crate::time::now(), stream: stream.to_owned(), text }, bytes);
            }
            drop(alive);
        };
        thread::Builder::new().name(format!("kubo-{stream}")).spawn(read).map(drop)
    }

    fn ring(&self) -> MutexGuard<'_, Ring<KuboLogLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    /// The last lines of this child, once its pipes are read to their end, or after `patience`: a process that it left behind
    /// may hold them open for ever, and is then read on.
    pub fn last_words(self, patience: Duration) -> Vec<String> {
        // Nothing is ever sent: it ends when the threads have dropped their ends, or at the deadline.
        let _ = self.reading.recv_timeout(patience);
        let ring = self.output.ring();
        let own = usize::try_from(ring.written() - self.before).unwrap_or(usize::MAX);
        let skip = ring.iter().len().saturating_sub(own.min(LAST_WORDS));
        let cut = |line: &KuboLogLine| line.text.chars().take(WORD).collect();
        ring.iter().skip(skip).map(cut).collect()
    }
}
