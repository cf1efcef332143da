//! Bytes that clients have not read yet, over all connections: what each connection holds for sure, and what many share.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// What all connections of one kind share. A few clients that do not read take all of it; then those that wait for it have them
/// dropped sooner, and each still has a share of its own.
#[derive(Clone)]
pub(super) struct Budget {
    most: u32,
    free: Arc<Semaphore>,
    waiting: Arc<watch::Sender<usize>>,
}

/// Somebody who waits.
struct Waits<'a>(&'a watch::Sender<usize>);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl Budget {
    pub(super) fn of(most: u32) -> Budget {
        let free = Arc::new(Semaphore::new(most as usize));
        Budget { most, free, waiting: Arc::new(watch::Sender::new(0)) }
    }

    /// So many bytes of it, or all of it for more.
    async fn take(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        let bytes = bytes.min(self.most);
        if let Ok(taken) = self.free.clone().try_acquire_many_owned(bytes) {
            return Some(taken);
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _waits = Waits(&self.waiting);
        self.free.clone().acquire_many_owned(bytes).await.ok()
    }

    /// Returns when somebody waits for a part of it.
    pub(super) async fn is_short(&self) {
        // This has the sender.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

/// What one connection draws on: its own share first, which nobody can take from it.
#[derive(Clone)]
pub(super) struct Account {
    share: Arc<Semaphore>,
    budget: Budget,
}

/// Bytes of it.
pub(super) const SHARE: u32 = 32 << 10;

impl Account {
    pub(super) fn new(budget: Budget) -> Account {
        Account { share: Arc::new(Semaphore::new(SHARE as usize)), budget }
    }

    /// Room for so many bytes; waits until there is some. `None` never comes, as nobody closes it.
    pub(super) async fn take(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        if let Some(taken) = self.try_take(bytes) {
            return Some(taken);
        }
        if bytes > SHARE {
            return self.budget.take(bytes).await;
        }
        tokio::select! {
            taken = self.share.clone().acquire_many_owned(bytes) => taken.ok(),
            taken = self.budget.take(bytes) => taken,
        }
    }

    /// The same without waiting.
    pub(super) fn try_take(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        let of = |room: &Arc<Semaphore>, bytes| room.clone().try_acquire_many_owned(bytes).ok();
        of(&self.share, bytes).or_else(|| of(&self.budget.free, bytes.min(self.budget.most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn those_that_read_nothing_take_what_is_shared_and_nobodys_own_share() {
        let budget = Budget::of(4 * SHARE);
        let deaf = Account::new(budget.clone());
        let all: Vec<_> = (0..5).map(|_| deaf.try_take(SHARE).expect("room")).collect();
        assert!(deaf.try_take(1).is_none(), "with its own share it has all");
        let reads = Account::new(budget.clone());
        assert_eq!(budget.is_short().now_or_never(), None);
        let mut long = Box::pin(reads.take(2 * SHARE));
        assert!(long.as_mut().now_or_never().is_none());
        assert_eq!(budget.is_short().now_or_never(), Some(()), "somebody waits");
        let short = reads.take(SHARE).now_or_never().flatten().expect("its own share");
        let mut next = Box::pin(reads.take(1));
        assert!(next.as_mut().now_or_never().is_none());
        drop(short);
        assert!(next.now_or_never().flatten().is_some(), "its own share is free before the budget is");
        drop(all);
        assert!(long.now_or_never().flatten().is_some());
        assert_eq!(budget.is_short().now_or_never(), None);
    }

    #[test]
    fn what_is_longer_than_all_goes_when_it_is_alone() {
        let account = Account::new(Budget::of(SHARE));
        let longest = account.take(u32::MAX).now_or_never().flatten().expect("alone");
        assert!(account.take(2 * SHARE).now_or_never().is_none());
        drop(longest);
        assert!(account.take(2 * SHARE).now_or_never().flatten().is_some());
    }
}
