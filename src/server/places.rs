//! How many connections there may be, and when the idle ones have to make room.

use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections at a time, where there are descriptors for them.
const CONNECTIONS: usize = 256;

/// Of these so many are left to the daemon's own uid and to root.
const RESERVED: usize = 4;
/// Connections of one other uid at a time.
const OF_ONE: usize = 32;

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
    /// Connections of other uids than the daemon's own and root's.
    others: Mutex<HashMap<u32, usize>>,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// So many connections are open.
    All(usize),
    /// So many of this uid are.
    OfOne(usize),
}

/// One connection's place; dropping it gives it back.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Places,
    /// Where it is counted.
    other: Option<u32>,
}

impl Places {
    pub(super) fn new() -> Places {
        Places::of(CONNECTIONS.min(quarter_of_descriptors()))
    }

    fn of(all: usize) -> Places {
        let free = Arc::new(Semaphore::new(all));
        Places(Arc::new(Shared { all, free, crowded: watch::Sender::new(false), others: Mutex::default() }))
    }

    /// A place, while there is one. `other` is the uid of a caller that is neither the daemon's own nor root.
    pub(super) fn take(&self, other: Option<u32>) -> Result<Place, Full> {
        let full = || Full::All(self.0.all);
        let mut others = self.0.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(uid) = other {
            let own = others.entry(uid).or_default();
            if *own >= OF_ONE {
                return Err(Full::OfOne(OF_ONE));
            }
            *own += 1;
        }
        let left = self.0.free.available_permits();
        let permit = (other.is_none() || left > RESERVED).then(|| self.0.free.clone().try_acquire_owned().ok());
        // Dropped, it is counted no more.
        drop(others);
        let mut place = Place { permit: None, places: self.clone(), other };
        place.permit = Some(permit.flatten().ok_or_else(full)?);
        self.count();
        Ok(place)
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
        if let Some(uid) = self.other {
            let mut others = self.places.0.others.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(own) = others.get_mut(&uid) {
                *own -= 1;
            }
            others.retain(|_, connections| *connections > 0);
        }
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
        let first = places.take(None).expect("a place");
        let mut taken: Vec<_> = (1..6).map(|_| places.take(None).expect("a place")).collect();
        assert_eq!(first.crowded().now_or_never(), None);
        taken.push(places.take(None).expect("a place"));
        assert_eq!(first.crowded().now_or_never(), Some(()));
        let last = places.take(None);
        assert!(last.is_ok() && places.take(None).is_err_and(|full| full == Full::All(8)));
        drop((taken, last));
        assert_eq!(first.crowded().now_or_never(), None);
        assert!(places.take(None).is_ok());
    }

    #[test]
    fn no_other_uid_takes_all_places_and_all_others_together_leave_some() {
        let places = Places::of(OF_ONE + 10);
        let one: Vec<_> = (0..OF_ONE).map(|_| places.take(Some(1)).expect("a place")).collect();
        assert!(places.take(Some(1)).is_err_and(|full| full == Full::OfOne(OF_ONE)));
        let two: Vec<_> = (0..10 - RESERVED).map(|_| places.take(Some(2)).expect("a place")).collect();
        assert!(places.take(Some(2)).is_err_and(|full| full == Full::All(OF_ONE + 10)));
        let own: Vec<_> = (0..RESERVED).map(|_| places.take(None).expect("a place")).collect();
        assert!(places.take(None).is_err());
        drop((one, two, own));
        assert!(places.0.others.lock().expect("whole").is_empty());
        assert!(places.take(Some(1)).is_ok());
    }
}
