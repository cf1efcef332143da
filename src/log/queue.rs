//! The queue between whoever logs and the one thread that writes. To log is to take a place in it or to be counted as dropped, and
//! never to wait.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes of the lines that wait together.
const ROOM: usize = 1 << 20;
/// As many more are for lines of the audit alone: what else fills the log is not to push them out.
const AUDIT: usize = 1 << 20;

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Not told yet.
    dropped: u64,
    /// The thread has taken a line that it has not written yet.
    writing: bool,
}

impl Queue {
    /// Starts the thread that writes each line; `dropped` is told how many were not written, when all that waited is.
    pub(super) fn start(
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
        dropped: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Arc<Queue>> {
        let queue = Arc::new(Queue::default());
        let lines = queue.clone();
        let run = move || {
            loop {
                let line = lines.next();
                // A line that fails is one more that is not there; the next one that does not fail is followed by the count.
                let lost = lines.written(write(&line).is_ok());
                if lost > 0 {
                    dropped(lost);
                }
            }
        };
        thread::Builder::new().name("log".to_owned()).spawn(run)?;
        Ok(queue)
    }

    /// Adds a line where there is room for it.
    pub(super) fn push(&self, line: Vec<u8>, about: &Metadata<'_>) {
        self.push_to(line, room(about));
    }

    fn push_to(&self, line: Vec<u8>, room: usize) {
        let mut waiting = self.waiting();
        if waiting.bytes + line.len() > room {
            waiting.dropped += 1;
        } else {
            waiting.bytes += line.len();
            waiting.lines.push_back(line);
            self.changed.notify_all();
        }
    }

    /// Returns when all is written, or after `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let unwritten = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        // What nobody reads is lost with the process.
        drop(self.changed.wait_timeout_while(self.waiting(), patience, unwritten));
    }

    fn next(&self) -> Vec<u8> {
        let mut waiting = self.waiting();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.len();
                waiting.writing = true;
                return line;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many were dropped, if that is to be told now.
    fn written(&self, well: bool) -> u64 {
        let mut waiting = self.waiting();
        waiting.writing = false;
        self.changed.notify_all();
        if !well {
            waiting.dropped += 1;
            return 0;
        }
        if waiting.lines.is_empty() { std::mem::take(&mut waiting.dropped) } else { 0 }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room(about: &Metadata<'_>) -> usize {
    if about.target() == "audit" { ROOM + AUDIT } else { ROOM }
}

/// Where `tracing_subscriber::fmt` writes.
pub(super) struct Lines(pub(super) Arc<Queue>);

/// One line's way into the queue.
pub(super) struct Line<'a> {
    queue: &'a Queue,
    room: usize,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: &self.0, room: ROOM }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        Line { queue: &self.0, room: room(about) }
    }
}

/// One write is one line: `tracing_subscriber::fmt` writes so.
impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push_to(line.to_vec(), self.room);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(30);

    /// A queue whose thread has written a line when that could be received, and how many it said were dropped.
    fn slow(well: bool) -> (Arc<Queue>, mpsc::Receiver<Vec<u8>>, mpsc::Receiver<u64>) {
        // Without any room: the thread waits for each line's reader.
        let (write, written) = mpsc::sync_channel(0);
        let (tell, told) = mpsc::channel();
        let write = move |line: &[u8]| match write.send(line.to_vec()) {
            Ok(()) if well => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        };
        let queue = Queue::start(write, move |lines| tell.send(lines).expect("a test")).expect("a thread");
        (queue, written, told)
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told_once_the_rest_is_written() {
        let (queue, written, told) = slow(true);
        let line = vec![b'x'; ROOM / 4];
        // The thread takes one or none of these, so four or five find room, and all return.
        (0..20).for_each(|_| queue.push_to(line.clone(), ROOM));
        let mut lines = 0;
        let lost = loop {
            match told.try_recv() {
                Ok(lost) => break lost,
                Err(_) => lines += u64::from(written.recv_timeout(Duration::from_millis(10)).is_ok()),
            }
        };
        assert!((4..=5).contains(&lines) && lines + lost == 20, "{lines} written, {lost} dropped");
        queue.push_to(b"after".to_vec(), ROOM);
        assert_eq!(written.recv_timeout(SOON).expect("written"), b"after");
        queue.flush(SOON);
        assert!(told.try_recv().is_err(), "told once");
    }

    #[test]
    fn what_cannot_be_written_does_not_speak_of_itself_for_ever() {
        let (queue, written, told) = slow(false);
        queue.push_to(b"lost".to_vec(), ROOM);
        written.recv_timeout(SOON).expect("taken");
        queue.flush(SOON);
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn what_fills_the_log_leaves_room_for_the_audit() {
        let (queue, written, _told) = slow(true);
        let log = tracing_subscriber::fmt().with_writer(Lines(queue)).with_ansi(false).finish();
        tracing::subscriber::with_default(log, || {
            let long = "x".repeat(ROOM / 4);
            (0..20).for_each(|_| tracing::warn!(target: "kubo", "{long}"));
            tracing::info!(target: "audit", "audit: done");
        });
        let lines = std::iter::from_fn(|| written.recv_timeout(SOON).ok());
        let lines: Vec<_> = lines.take_while(|line| !line.ends_with(b"audit: done\n")).collect();
        assert!((4..=5).contains(&lines.len()), "{}", lines.len());
    }
}
