//! The newest lines of something that goes on for ever: bounded in number and in bytes, numbered, and awaited by those who follow it.

use std::collections::VecDeque;
use tokio::sync::watch;

/// Lines that are kept ...
pub(crate) const KEPT_LINES: usize = 2000;
/// ... unless they have more bytes than this together: a page of all of them must fit into one message to a client.
pub(crate) const KEPT_BYTES: usize = 1 << 20;

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

    /// The lines after that number, and how many of them are no longer kept.
    pub(crate) fn after(&self, number: u64) -> (Vec<T>, u64) {
        let skip = usize::try_from(number.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        (self.iter().skip(skip).cloned().collect(), self.dropped.saturating_sub(number))
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
        assert_eq!(ring.after(5).1, 5);
        assert_eq!(ring.after(ring.written() - 2).0, [KEPT_LINES + 8, KEPT_LINES + 9]);
        ring.push(0, KEPT_BYTES);
        assert_eq!((ring.iter().len(), *ring.growth().borrow()), (1, KEPT_LINES as u64 + 11));
    }
}
