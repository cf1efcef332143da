//! What has happened, numbered: the newest are kept, and whoever follows them is woken. Nobody who is slow holds up anybody: what
//! is no longer kept when it is asked for is told as a gap.

use crate::board::{Board, IndexState};
use proto_msgs::event::{Event, EventPage, IndexChange, What};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Events that are kept. Each is some hundred bytes: a page of all of them fits into one message to a client.
const KEPT: usize = 1000;

/// Between two events of the pins, so that a burst does not push out everything else.
const FOLD: Duration = Duration::from_secs(1);

/// Tells of changes of the pins for as long as the daemon runs.
pub fn tell_of_pins(board: Arc<Board>) -> impl Future<Output = ()> + Send {
    let mut index = board.index.subscribe();
    let state = |index: &IndexState| (index.generation, index.counts, index.set.len(), index.restored);
    let mut told = state(&index.borrow_and_update());
    async move {
        // The board is as old as the process, so the sender can't be gone.
        while let Ok(now) = index.wait_for(|index| index.generation != told.0).await.map(|index| state(&index)) {
            board.events.push(What::Index(IndexChange {
                from: told.0,
                to: now.0,
                added: now.1.added - told.1.added,
                changed: now.1.changed - told.1.changed,
                removed: now.1.removed - told.1.removed,
                pins: now.2,
                restored: now.3 != told.3,
            }));
            told = now;
            tokio::time::sleep(FOLD).await;
        }
    }
}

/// The events of one life of the daemon.
pub struct EventLog {
    epoch: String,
    kept: Mutex<VecDeque<Event>>,
    newest: watch::Sender<u64>,
}

impl EventLog {
    /// An empty one, with an epoch of its own.
    pub fn new() -> EventLog {
        let epoch = format!("{:016x}", rand::random::<u64>());
        EventLog { epoch, kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Adds an event that has happened just now.
    pub fn push(&self, what: What) {
        let mut kept = self.kept();
        let seq = *self.newest.borrow() + 1;
        kept.push_back(Event { seq, at: crate::time::now(), what });
        while kept.len() > KEPT {
            kept.pop_front();
        }
        // With the lock held, so that nobody is woken for an event that is not there yet.
        self.newest.send_replace(seq);
    }

    /// What is kept of the events after number `since` of this epoch; all that are kept, if that is another one.
    pub fn after(&self, since: u64, epoch: Option<&str>) -> EventPage {
        let since = if epoch.is_none_or(|epoch| epoch == self.epoch) { since } else { 0 };
        let kept = self.kept();
        let events: Vec<Event> = kept.iter().filter(|event| event.seq > since).cloned().collect();
        let gap = events.first().map_or(0, |first| first.seq - 1 - since);
        EventPage { epoch: self.epoch.clone(), state: None, gap, events }
    }

    /// The number of the newest event, as it rises.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for EventLog {
    fn default() -> EventLog {
        EventLog::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::daemon::LastError;

    fn error(n: usize) -> What {
        What::Error(LastError { at: String::new(), actor: "index".to_owned(), detail: n.to_string() })
    }

    #[test]
    fn events_are_numbered_and_what_is_no_longer_kept_is_a_gap() {
        let log = EventLog::new();
        assert_eq!(log.after(0, None).events, []);
        (0..KEPT + 10).for_each(|n| log.push(error(n)));
        let all = log.after(0, None);
        assert_eq!((all.gap, all.events.len(), all.events[0].seq), (10, KEPT, 11));
        let newest = KEPT as u64 + 10;
        assert_eq!(*log.newest().borrow(), newest);
        let some = log.after(newest - 2, Some(&all.epoch));
        assert_eq!((some.gap, some.events.len()), (0, 2));
        let none = log.after(newest, None);
        assert_eq!((none.gap, none.events.len()), (0, 0));
        assert_eq!(log.after(newest, Some("another epoch")).events.len(), KEPT);
    }
}
