//! Which rows of `pins` a copy of the table still answers for: those that have not changed since it was begun.

use std::sync::atomic::{AtomicU64, Ordering};

/// One bit a row. What can be added later has higher ids, and is never fresh.
#[derive(Debug)]
pub struct Fresh {
    stale: Box<[AtomicU64]>,
    below: u64,
}

impl Fresh {
    /// All rows with lower ids are fresh.
    pub(super) fn below(id: u64) -> Fresh {
        let words = usize::try_from(id.div_ceil(64)).unwrap_or_default();
        Fresh { stale: std::iter::repeat_with(AtomicU64::default).take(words).collect(), below: id }
    }

    /// The row has changed, or the copy never had all of it.
    pub(super) fn touch(&self, id: u64) {
        if let Some((word, bit)) = self.bit(id) {
            word.fetch_or(bit, Ordering::Release);
        }
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
    }
}
