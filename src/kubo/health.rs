//! Whether Kubo answers well enough. Pure.
//!
//! Down after a few bad looks in a row, up after a few good ones; and after more of them each time that it goes down again soon, so
//! that one that keeps changing is soon told less than once a minute.

use super::restart::HEALTHY;
use std::time::Duration;

/// So many bad looks in a row are too many.
pub(super) const BAD: u32 = 3;
/// So many good ones in a row are enough, the first time; then twice as many each time ...
const GOOD: u32 = 2;
/// ... up to this.
const MOST_GOOD: u32 = 60;

/// What the looks at one Kubo have shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    good: u32,
    bad: u32,
    /// Since when it is up.
    up: Duration,
    /// How often it went down, each time soon after it had come up.
    falls: u32,
}

impl Health {
    /// It is up since now.
    pub(super) fn new(now: Duration) -> Health {
        Health { up: now, ..Health::default() }
    }

    /// A good look; the number of looks when they are enough for one that is down.
    pub(super) fn good(&mut self, now: Duration, is_down: bool) -> Option<u32> {
        (self.good, self.bad) = (self.good.saturating_add(1), 0);
        let needed = GOOD.saturating_mul(1 << self.falls.saturating_sub(1).min(8)).min(MOST_GOOD);
        let enough = is_down && self.good >= needed;
        if enough {
            self.up = now;
        }
        enough.then_some(needed)
    }

    /// A bad look; whether they are too many for one that is up.
    pub(super) fn bad(&mut self, now: Duration, is_up: bool) -> bool {
        (self.good, self.bad) = (0, self.bad.saturating_add(1));
        let too_many = is_up && self.bad >= BAD;
        if too_many {
            let soon = now.saturating_sub(self.up) < HEALTHY;
            self.falls = if soon { self.falls.saturating_add(1) } else { 1 };
        }
        too_many
    }
}
