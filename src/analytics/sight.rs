//! When sources looked away between two looks at all pins, so that what was forecast for such a time has no outcome. Pure.
//!
//! A source that is switched off is blind from then on: of what was forecast while it could see reads, nobody sees the rest. One that
//! fails is blind from look to look until it comes again; a log has then lost nothing, but by then it may be too late for an outcome. And
//! where the clock has gone further than time has passed, it was set ahead or the machine was asleep.
//!
//! What it can't know: what a source misses while it seems to be well, and which of them was switched off while no daemon ran.

use super::look::seconds;
use super::trials::GRACE;
use jiff::Timestamp;
use proto_msgs::access::{AccessSource, SourceReport};
use std::time::Instant;

/// The sources at a look.
#[derive(Clone, Debug)]
pub struct Sight {
    /// In seconds since the Unix epoch.
    at: f64,
    /// The same on a clock that nobody sets.
    passed: Instant,
    /// Those that could see reads, and what is known of them.
    sources: Vec<Source>,
}

#[derive(Clone, Debug)]
struct Source {
    source: AccessSource,
    /// When it was looked at last, if that fails.
    failed: Option<f64>,
}

impl Sight {
    /// As the sources say of themselves.
    pub fn new(at: f64, passed: Instant, sources: &[SourceReport]) -> Sight {
        let sees = |of: &&SourceReport| of.on && of.since.is_some() && of.source != AccessSource::Mfs;
        let source = |of: &SourceReport| {
            let looked = || of.looked.as_ref()?.parse::<Timestamp>().ok().map(seconds);
            Source { source: of.source, failed: of.error.as_ref().and_then(|_| looked()) }
        };
        Sight { at, passed, sources: sources.iter().filter(sees).map(source).collect() }
    }

    /// From when to when some source looked away between this look and the next one; where it is off by then, for ever.
    pub fn missed(&self, next: &Sight) -> Option<(f64, f64)> {
        let now = |of: &Source| next.sources.iter().find(|now| now.source == of.source);
        // Others may tell of the same log, so that one is looked at in spite of the error.
        let is_blind = |of: &Source| now(of).is_some_and(|now| now.failed.is_some_and(|looked| looked < self.at));
        let passed = next.passed.saturating_duration_since(self.passed).as_secs_f64();
        if self.sources.iter().any(|of| now(of).is_none()) {
            Some((self.at, f64::INFINITY))
        } else if self.sources.iter().any(is_blind) || next.at - self.at - passed > GRACE {
            Some((self.at, next.at))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice::from_ref;
    use std::time::Duration;

    /// 2026-01-05, a Monday.
    const MONDAY: f64 = 1_767_571_200.0;

    fn report(source: AccessSource) -> SourceReport {
        let (since, looked) = (Some("2026-01-01T00:00:00Z".to_owned()), Some("2026-01-05T00:00:30Z".to_owned()));
        SourceReport { source, on: true, since, looked, accesses: 0, wrong: 0, error: None, blind: String::new() }
    }

    /// What is missed from `MONDAY` to so many seconds later on the clock, after so many have passed.
    fn missed(clock: f64, passed: u64, before: &[SourceReport], after: &[SourceReport]) -> Option<(f64, f64)> {
        let began = Instant::now();
        let next = Sight::new(MONDAY + clock, began + Duration::from_secs(passed), after);
        Sight::new(MONDAY, began, before).missed(&next)
    }

    #[test]
    fn while_all_look_nothing_is_missed() {
        let both = [report(AccessSource::Kubo), report(AccessSource::Gateway)];
        assert_eq!(missed(60.0, 60, &both, &both), None);
        assert_eq!(missed(-90_000.0, 60, &both, &both), None, "a clock that was set back");
        assert_eq!(missed(60.0, 60, &both[..1], &both), None, "one more");
    }

    #[test]
    fn a_clock_that_goes_ahead_has_seen_nothing_of_that_time() {
        assert_eq!(missed(7_200.0, 60, &[], &[]), Some((MONDAY, MONDAY + 7_200.0)));
    }

    #[test]
    fn a_source_that_is_switched_off_sees_nothing_of_what_is_forecast() {
        let on = report(AccessSource::Kubo);
        let off = SourceReport { on: false, ..on.clone() };
        assert_eq!(missed(60.0, 60, &[on], from_ref(&off)), Some((MONDAY, f64::INFINITY)));
        assert_eq!(
            missed(60.0, 60, from_ref(&off), from_ref(&off)),
            None,
            "what is forecast later is about the others"
        );
        let mfs = report(AccessSource::Mfs);
        assert_eq!(missed(60.0, 60, &[mfs], &[]), None, "it sees no reads");
    }

    #[test]
    fn a_source_that_fails_sees_nothing_until_it_is_looked_at_again() {
        let well = report(AccessSource::Gateway);
        let partly = SourceReport { error: Some("another log has no reader".to_owned()), ..well.clone() };
        let fails = SourceReport { looked: Some("2026-01-04T23:59:59Z".to_owned()), ..partly.clone() };
        assert_eq!(missed(60.0, 60, from_ref(&well), from_ref(&fails)), Some((MONDAY, MONDAY + 60.0)));
        assert_eq!(missed(60.0, 60, from_ref(&fails), &[partly]), None);
        assert_eq!(missed(60.0, 60, &[fails], &[well]), None);
    }
}
