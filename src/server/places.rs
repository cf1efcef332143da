//! How many connections there may be, and when the idle ones have to make room.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections at a time.
pub(super) const CONNECTIONS: usize = 256;
/// With fewer free places than this, connections without a call under way are closed early.
const ROOM: usize = 64;

/// The places for connections.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
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
        Places(Arc::new(Shared { free: Arc::new(Semaphore::new(CONNECTIONS)), crowded: watch::Sender::new(false) }))
    }

    /// A place, while there is one.
    pub(super) fn take(&self) -> Option<Place> {
        let permit = self.0.free.clone().try_acquire_owned().ok()?;
        self.count();
        Some(Place { permit: Some(permit), places: self.clone() })
    }

    fn count(&self) {
        // Counted under the watch's lock: whoever counts last has seen every change before.
        self.0.crowded.send_if_modified(|crowded| {
            let now = self.0.free.available_permits() < ROOM;
            std::mem::replace(crowded, now) != now
        });
    }
}

impl Place {
    /// Returns when there is little room left.
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
    fn it_is_crowded_while_fewer_places_are_free_than_room_is_wanted() {
        let places = Places::new();
        let first = places.take().expect("a place");
        let mut taken: Vec<_> = (1..CONNECTIONS - ROOM).map(|_| places.take().expect("a place")).collect();
        assert_eq!(first.crowded().now_or_never(), None);
        taken.push(places.take().expect("a place"));
        assert_eq!(first.crowded().now_or_never(), Some(()));
        let rest: Vec<_> = std::iter::from_fn(|| places.take()).collect();
        assert_eq!(rest.len(), ROOM - 1);
        drop((taken, rest));
        assert_eq!(first.crowded().now_or_never(), None);
        assert!(places.take().is_some());
    }
}
