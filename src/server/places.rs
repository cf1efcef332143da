//! How many connections there may be, and when the idle ones have to make room.

use super::budget::{Account, Budget};
use super::route::LISTINGS;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections at a time, where there are descriptors for them.
const CONNECTIONS: usize = 256;

/// Of these so many are left to the daemon's own uid and to root.
const RESERVED: usize = 4;
/// Connections of one other uid at a time.
const OF_ONE: usize = 32;
/// Calls of one other uid at a time, over all its connections.
const CALLS_OF_ONE: usize = 64;
/// Listings of one other uid at a time, each of which may wait for its reader.
const LISTINGS_OF_ONE: usize = 8;
/// Listings of all other uids: the rest is left to the daemon's own and to root.
const LISTINGS_OF_OTHERS: usize = LISTINGS - LISTINGS_OF_ONE;

/// Bytes that clients have not read yet: of the daemon's own uid and root, and of all others. With a share for each connection and 16 MiB
/// of long requests this is what clients can have us hold.
const OWN_UNREAD: u32 = 16 << 20;
const OTHERS_UNREAD: u32 = 8 << 20;

/// Long requests that may be arriving at a time: with the longest that there may be, 16 MiB.
pub(super) const LONG_REQUESTS: usize = 16;

/// A quarter of the descriptors that the process may have: one is for connections, one for calls to Kubo, one for those that are on their
/// way to clients, and one for all else.
pub(super) fn quarter_of_descriptors() -> usize {
    getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX) / 4
}

/// The places for connections.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    all: usize,
    free: Arc<Semaphore>,
    long: Arc<Semaphore>,
    crowded: watch::Sender<bool>,
    own_unread: Budget,
    others_unread: Budget,
    /// Other uids than the daemon's own and root's.
    others: Mutex<HashMap<u32, Held>>,
}

/// What one uid has at present.
#[derive(Default)]
struct Held {
    connections: usize,
    calls: usize,
    /// Of these.
    listings: usize,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// So many connections are open.
    All(usize),
    /// So many of this uid are.
    OfOne(usize),
}

/// Why a call has to wait.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Many {
    /// So many calls of this uid are under way.
    Calls(usize),
    /// So many of its listings are.
    Listings(usize),
    /// So many listings of other uids than the daemon's own are.
    OfOthers(usize),
}

/// One connection's place; dropping it gives it back.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Places,
    /// Where it is counted.
    other: Option<u32>,
}

/// One call of somebody whose calls are counted; dropping it ends the count of it.
pub(super) struct Turn {
    places: Places,
    other: Option<u32>,
    lists: bool,
}

impl Places {
    pub(super) fn new() -> Places {
        Places::of(CONNECTIONS.min(quarter_of_descriptors()))
    }

    fn of(all: usize) -> Places {
        let free = Arc::new(Semaphore::new(all));
        let long = Arc::new(Semaphore::new(LONG_REQUESTS));
        Places(Arc::new(Shared {
            all,
            free,
            long,
            crowded: watch::Sender::new(false),
            own_unread: Budget::of(OWN_UNREAD),
            others_unread: Budget::of(OTHERS_UNREAD),
            others: Mutex::default(),
        }))
    }

    /// A place, while there is one. `other` is the uid of a caller that is neither the daemon's own nor root.
    pub(super) fn take(&self, other: Option<u32>) -> Result<Place, Full> {
        let full = || Full::All(self.0.all);
        let mut others = self.others();
        if let Some(uid) = other {
            let own = others.entry(uid).or_default();
            if own.connections >= OF_ONE {
                return Err(Full::OfOne(OF_ONE));
            }
            own.connections += 1;
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

    fn others(&self) -> MutexGuard<'_, HashMap<u32, Held>> {
        self.0.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts less of a uid.
    fn give_back(&self, uid: u32, give: impl FnOnce(&mut Held)) {
        let mut others = self.others();
        if let Some(held) = others.get_mut(&uid) {
            give(held);
        }
        others.retain(|_, held| held.connections > 0 || held.calls > 0);
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
    /// Leave to hold a long request, unless so many are arriving.
    pub(super) fn long_request(&self) -> Option<OwnedSemaphorePermit> {
        self.places.0.long.clone().try_acquire_owned().ok()
    }

    fn unread(&self) -> &Budget {
        let shared = &self.places.0;
        if self.other.is_some() { &shared.others_unread } else { &shared.own_unread }
    }

    /// What its messages draw on.
    pub(super) fn account(&self) -> Account {
        Account::new(self.unread().clone())
    }

    /// Returns when others wait for the room that this one's unread messages take, or for its place.
    pub(super) async fn wanted(&self) {
        tokio::select! {
            () = self.crowded() => {}
            () = self.unread().is_short() => {}
        }
    }

    /// Returns when there is little room left, so that connections without a call under way are to go.
    pub(super) async fn crowded(&self) {
        // The sender is as old as the place.
        let _ = self.places.0.crowded.subscribe().wait_for(|crowded| *crowded).await;
    }

    /// A turn for a call that lists rows or does not, unless so many are under way.
    pub(super) fn turn(&self, lists: bool) -> Result<Turn, Many> {
        if let Some(uid) = self.other {
            let mut others = self.places.others();
            let listings: usize = others.values().map(|held| held.listings).sum();
            let held = others.entry(uid).or_default();
            if held.calls >= CALLS_OF_ONE {
                return Err(Many::Calls(CALLS_OF_ONE));
            } else if lists && held.listings >= LISTINGS_OF_ONE {
                return Err(Many::Listings(LISTINGS_OF_ONE));
            } else if lists && listings >= LISTINGS_OF_OTHERS {
                return Err(Many::OfOthers(LISTINGS_OF_OTHERS));
            }
            held.calls += 1;
            held.listings += usize::from(lists);
        }
        Ok(Turn { places: self.places.clone(), other: self.other, lists })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(uid) = self.other {
            self.places.give_back(uid, |held| {
                held.calls -= 1;
                held.listings -= usize::from(self.lists);
            });
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(uid) = self.other {
            self.places.give_back(uid, |held| held.connections -= 1);
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

    #[test]
    fn no_other_uid_has_more_calls_than_its_own_and_a_turn_comes_back() {
        let places = Places::of(8);
        let (first, second) = (places.take(Some(1)).expect("a place"), places.take(Some(1)).expect("a place"));
        let mut turns: Vec<_> = (0..CALLS_OF_ONE / 2).map(|_| first.turn(false).expect("a turn")).collect();
        turns.extend((0..CALLS_OF_ONE / 2).map(|_| second.turn(false).expect("a turn")));
        assert!(first.turn(false).is_err() && second.turn(false).is_err());
        assert!(places.take(Some(2)).expect("a place").turn(false).is_ok(), "another uid has its own");
        let own = places.take(None).expect("a place");
        assert!((0..2 * CALLS_OF_ONE).all(|_| own.turn(false).is_ok()));
        turns.pop();
        turns.push(first.turn(false).expect("a turn"));
        // Calls may outlive their connection for a moment.
        drop((first, second));
        assert!(places.take(Some(1)).expect("a place").turn(false).is_err());
        drop(turns);
        assert!(places.0.others.lock().expect("whole").is_empty());
    }

    #[test]
    fn no_other_uid_takes_all_listings_and_all_others_together_leave_some() {
        let places = Places::of(16);
        let others: Vec<_> = (1..6).map(|uid| places.take(Some(uid)).expect("a place")).collect();
        let mut turns: Vec<_> = (0..LISTINGS_OF_ONE).map(|_| others[0].turn(true).expect("a turn")).collect();
        assert_eq!(others[0].turn(true).err(), Some(Many::Listings(LISTINGS_OF_ONE)));
        assert!(others[0].turn(false).is_ok(), "other calls are not listings");
        for place in &others[1..] {
            turns.extend(std::iter::from_fn(|| place.turn(true).ok()));
        }
        assert_eq!(turns.len(), LISTINGS_OF_OTHERS);
        assert_eq!(others[4].turn(true).err(), Some(Many::OfOthers(LISTINGS_OF_OTHERS)));
        let own = places.take(None).expect("a place");
        assert!(own.turn(true).is_ok());
        turns.pop();
        assert!(others[4].turn(true).is_ok());
    }
}
