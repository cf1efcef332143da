//! The newest lines of something that goes on for ever: bounded in number and in bytes, numbered, and awaited by those who follow it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Lines that are kept ...
pub(crate) const KEPT_LINES: usize = 2000;
/// ... unless they have more bytes than this together: a page of all of them must fit into one message to a client.
pub(crate) const KEPT_BYTES: usize = 1 << 20;

/// A ring that one side writes and many read.
pub(crate) struct Shared<T>(Mutex<Ring<T>>);

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared(Mutex::default())
    }
}

impl<T> Shared<T> {
    /// The ring, for a moment.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ring<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest lines.
pub(crate) struct Ring<T> {
    /// Each with its bytes.
    lines: VecDeque<(usize, T)>,
    bytes: usize,
    dropped: u64,
    /// Lines of this daemon's life, for those who follow.
    newest: watch::Sender<u64>,
}

impl<T> Default for Ring<T> {
    fn default() -> Ring<T> {
        Ring { lines: VecDeque::new(), bytes: 0, dropped: 0, newest: watch::Sender::new(0) }
    }
}

impl<T: Clone> Ring<T> {
    /// Adds a line of so many bytes.
    pub(crate) fn push(&mut self, line: T, bytes: usize) {
        self.bytes += bytes;
        self.lines.push_back((bytes, line));
        while self.lines.len() > KEPT_LINES || self.bytes > KEPT_BYTES {
            let Some((bytes, _)) = self.lines.pop_front() else { break };
            self.bytes -= bytes;
            self.dropped += 1;
        }
        self.newest.send_replace(self.written());
    }

    /// Lines of this daemon's life, which is the number of the newest one.
    pub(crate) fn written(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }

    /// Lines of this daemon's life that are no longer kept.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What is kept, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.lines.iter().map(|(_, line)| line)
    }

    /// So many of the newest that are wanted, oldest first, back to the first that is not recent.
    pub(crate) fn newest(&self, lines: usize, recent: impl Fn(&T) -> bool, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let recent = self.iter().rev().take_while(|line| recent(line));
        let mut lines: Vec<T> = recent.filter(|line| wanted(line)).take(lines).cloned().collect();
        lines.reverse();
        lines
    }

    /// Those of the lines after that number that are wanted, and how many lines are no longer kept.
    pub(crate) fn after(&self, number: u64, wanted: impl Fn(&T) -> bool) -> (Vec<T>, u64) {
        let skip = usize::try_from(number.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        let lines = self.iter().skip(skip).filter(|line| wanted(line)).cloned();
        (lines.collect(), self.dropped.saturating_sub(number))
    }

    /// The number of the newest line, as it rises.
    pub(crate) fn growth(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_within_both_bounds_and_the_rest_is_counted() {
        let mut ring = Ring::default();
        (0..KEPT_LINES + 10).for_each(|n| ring.push(n, 1));
        assert_eq!((ring.iter().len(), ring.dropped(), ring.written()), (KEPT_LINES, 10, KEPT_LINES as u64 + 10));
        let even = |line: &usize| line.is_multiple_of(2);
        assert_eq!(ring.after(5, |_| true).1, 5);
        assert_eq!(ring.after(ring.written() - 2, |_| true).0, [KEPT_LINES + 8, KEPT_LINES + 9]);
        assert_eq!(ring.after(ring.written() - 2, even).0, [KEPT_LINES + 8]);
        assert_eq!(ring.newest(2, |_| true, even), [KEPT_LINES + 6, KEPT_LINES + 8]);
        assert_eq!(ring.newest(2, |line| *line > KEPT_LINES + 7, even), [KEPT_LINES + 8]);
        ring.push(0, KEPT_BYTES);
        assert_eq!((ring.iter().len(), *ring.growth().borrow()), (1, KEPT_LINES as u64 + 11));
    }
}
