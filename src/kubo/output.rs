//! What Kubo writes: two threads read stdout and stderr to their end, whatever comes, because a full pipe would block Kubo and
//! a closed one would kill it. The newest lines are kept for `kubo logs`; all of them go to the log under the target `kubo`.
//!
//! Bounded three ways: a line is cut, the number of kept lines is limited, and so is their size together.

use crate::ring::Shared;
use proto_msgs::kubo::KuboLogLine;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{ChildStderr, ChildStdout};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// A longer line is cut here and goes on as another one.
const LINE: u64 = 64 << 10;
/// Characters of each line that the end of a run keeps: they go into reports and events.
const WORD: usize = 500;
/// Lines that the end of a run keeps.
const LAST_WORDS: usize = 20;

/// The output of all children, shared by the threads that read it.
#[derive(Clone, Default)]
pub struct Output(Arc<Shared<KuboLogLine>>);

/// The two threads that read one child's output.
pub struct Readers {
    output: Output,
    /// Lines of earlier children.
    before: u64,
    /// Ends when both threads have ended.
    reading: mpsc::Receiver<()>,
}

impl Output {
    /// The newest line of all.
    pub fn newest(&self) -> Option<KuboLogLine> {
        self.0.lock().iter().next_back().cloned()
    }

    /// The lines of all children.
    pub(crate) fn lines(&self) -> &Shared<KuboLogLine> {
        &self.0
    }

    /// Starts to read a child's pipes.
    pub fn read(&self, stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> io::Result<Readers> {
        let (alive, reading) = mpsc::channel();
        let before = self.0.lock().written();
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
                output.0.lock().push(KuboLogLine { at: crate::time::now(), stream: stream.to_owned(), text }, bytes);
            }
            drop(alive);
        };
        thread::Builder::new().name(format!("kubo-{stream}")).spawn(read).map(drop)
    }
}

impl Readers {
    /// The last lines of this child, once its pipes are read to their end, or after `patience`: a process that it left behind
    /// may hold them open for ever, and is then read on.
    pub fn last_words(self, patience: Duration) -> Vec<String> {
        // Nothing is ever sent: it ends when the threads have dropped their ends, or at the deadline.
        let _ = self.reading.recv_timeout(patience);
        let ring = self.output.0.lock();
        let own = usize::try_from(ring.written() - self.before).unwrap_or(usize::MAX);
        let skip = ring.iter().len().saturating_sub(own.min(LAST_WORDS));
        let cut = |line: &KuboLogLine| line.text.chars().take(WORD).collect();
        ring.iter().skip(skip).map(cut).collect()
    }
}
