//! Which rows of `pins` a copy of the table still answers for: those that have not changed since it was begun.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rows with ids from here on are never fresh, so that a copy's bits take 128 MiB at most, however high an id is.
const MOST: u64 = 1 << 30;

/// One bit a row. What can be added later has higher ids, and is never fresh.
#[derive(Debug)]
pub struct Fresh {
    stale: Box<[AtomicU64]>,
    below: u64,
}

impl Fresh {
    /// All rows with lower ids are fresh.
    pub(super) fn below(id: u64) -> Fresh {
        let id = id.min(MOST);
        let words = usize::try_from(id.div_ceil(64)).unwrap_or_default();
        Fresh { stale: std::iter::repeat_with(AtomicU64::default).take(words).collect(), below: id }
    }

    /// The row has changed, or the copy never had all of it.
    pub(super) fn touch(&self, id: u64) {
        if let Some((word, bit)) = self.bit(id) {
            word.fetch_or(bit, Ordering::Release);
        }
    }

    /// No row is as it was.
    pub(super) fn end(&self) {
        self.stale.iter().for_each(|word| word.store(u64::MAX, Ordering::Release));
    }

    /// Whether the row is as it was.
    pub fn has(&self, id: u64) -> bool {
        id < self.below && self.bit(id).is_some_and(|(word, bit)| word.load(Ordering::Acquire) & bit == 0)
    }

    fn bit(&self, id: u64) -> Option<(&AtomicU64, u64)> {
        Some((self.stale.get(usize::try_from(id / 64).ok()?)?, 1 << (id % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_fresh_until_it_is_touched_and_one_that_came_later_never_is() {
        let fresh = Fresh::below(130);
        assert!([0, 63, 64, 129].iter().all(|id| fresh.has(*id)));
        fresh.touch(64);
        fresh.touch(1 << 40);
        assert!(!fresh.has(64) && fresh.has(63) && fresh.has(65));
        assert!(!fresh.has(130) && !fresh.has(191) && !fresh.has(1 << 40));
        assert!(!Fresh::below(0).has(0));
        fresh.end();
        assert!([0, 63, 64, 129].iter().all(|id| !fresh.has(*id)));
        let most = Fresh::below(u64::MAX);
        assert!(most.has(MOST - 1) && !most.has(MOST) && !most.has(u64::MAX));
    }
}
