//! How many connections there may be, and when the idle ones have to make room.

use rustix::process::{Resource, getrlimit};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections at a time, where there are descriptors for them.
const CONNECTIONS: usize = 256;

/// A quarter of the descriptors that the process may have: one is for connections, one for calls to Kubo, half for all else.
pub(super) fn quarter_of_descriptors() -> usize {
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX) / 4
}

/// The places for connections.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    all: usize,
    free: Arc<Semaphore>,
    crowded: watch::Sender<bool>,
}

/// One connection's place; dropping it gives it back.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Places,
}

impl Places {
    pub(super) fn new() -> Places {
        Places::of(CONNECTIONS.min(quarter_of_descriptors()))
    }

    fn of(all: usize) -> Places {
        let free = Arc::new(Semaphore::new(all));
        Places(Arc::new(Shared { all, free, crowded: watch::Sender::new(false) }))
    }

    /// How many there are.
    pub(super) fn all(&self) -> usize {
        self.0.all
    }

    /// A place, while there is one.
    pub(super) fn take(&self) -> Option<Place> {
        let permit = self.0.free.clone().try_acquire_owned().ok()?;
        self.count();
        Some(Place { permit: Some(permit), places: self.clone() })
    }

    fn count(&self) {
        let room = self.0.all / 4;
        // Counted under the watch's lock: whoever counts last has seen every change before.
        self.0.crowded.send_if_modified(|crowded| {
            let now = self.0.free.available_permits() < room;
            std::mem::replace(crowded, now) != now
        });
    }
}

impl Place {
    /// Returns when there is little room left, so that connections without a call under way are to go.
    pub(super) async fn crowded(&self) {
        // The sender is as old as the place.
        let _ = self.places.0.crowded.subscribe().wait_for(|crowded| *crowded).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.places.count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn it_is_crowded_while_less_than_a_quarter_of_the_places_is_free() {
        let places = Places::of(8);
        let first = places.take().expect("a place");
        let mut taken: Vec<_> = (1..6).map(|_| places.take().expect("a place")).collect();
        assert_eq!(first.crowded().now_or_never(), None);
        taken.push(places.take().expect("a place"));
        assert_eq!(first.crowded().now_or_never(), Some(()));
        let last = places.take();
        assert!(last.is_some() && places.take().is_none());
        drop((taken, last));
        assert_eq!(first.crowded().now_or_never(), None);
        assert!(places.take().is_some());
    }
}
