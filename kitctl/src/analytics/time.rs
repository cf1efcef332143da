//! Accesses over time, and the disk over time, as they are drawn. Pure.

use crate::plot::Trend;
use jiff::{SignedDuration, Timestamp};
use proto_msgs::access::SourceReport;
use proto_msgs::analytics::{AccessCount, DiskReport};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Hours and days of which accesses are told.
const HOURS: i64 = 168;
const DAYS: i64 = 90;

/// Accesses of each hour or day of a time, also of those without one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Series {
    /// When the first of them began.
    pub(super) from: Timestamp,
    /// Seconds of each.
    pub(super) step: i64,
    pub(super) accesses: Vec<u64>,
}

impl Series {
    /// Of the last week.
    pub(super) fn of_hours(counts: &[AccessCount], sources: &[SourceReport], now: Timestamp) -> Option<Series> {
        Series::new(counts, sources, now, (HOUR, HOURS))
    }

    /// Of the last quarter of a year.
    pub(super) fn of_days(counts: &[AccessCount], sources: &[SourceReport], now: Timestamp) -> Option<Series> {
        Series::new(counts, sources, now, (DAY, DAYS))
    }

    /// From the first access, or from when a source could first have seen one. `None` while neither was.
    fn new(
        counts: &[AccessCount],
        sources: &[SourceReport],
        now: Timestamp,
        (step, most): (i64, i64),
    ) -> Option<Series> {
        let place = |at: &str| Some(at.parse::<Timestamp>().ok()?.as_second().div_euclid(step));
        let last = now.as_second().div_euclid(step);
        let counted: Vec<(i64, u64)> =
            counts.iter().filter_map(|count| Some((place(&count.at)?, count.accesses))).collect();
        let watched = sources.iter().filter_map(|source| place(source.since.as_deref()?));
        let first = counted.iter().map(|(place, _)| *place).chain(watched).min()?.clamp(last - most + 1, last);
        let mut accesses = vec![0; usize::try_from(last - first + 1).unwrap_or(1)];
        for (place, count) in counted {
            let place = usize::try_from(place - first).ok().and_then(|place| accesses.get_mut(place));
            place.into_iter().for_each(|sum| *sum += count);
        }
        Some(Series { from: Timestamp::from_second(first * step).ok()?, step, accesses })
    }

    /// When one of them began.
    pub(super) fn at(&self, place: usize) -> Timestamp {
        let seconds = i64::try_from(place).unwrap_or(i64::MAX).saturating_mul(self.step);
        self.from.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(self.from)
    }
}

/// The disk as it was measured, and what is expected of it; `None` before the second sample.
pub(super) fn trend(disk: &DiskReport) -> Option<Trend> {
    let seconds = |at: &str| at.parse::<Timestamp>().ok().map(|at| at.as_second() as f64);
    let seen: Vec<(f64, f64)> =
        disk.samples.iter().filter_map(|sample| Some((seconds(&sample.at)?, sample.used as f64))).collect();
    let (first, last) = (seen.first()?.0, seen.last()?.0);
    if last <= first {
        return None;
    }
    let ahead = match (disk.growth, disk.growth_least, disk.growth_most) {
        (Some(growth), Some(least), Some(most)) => Some([growth, least, most].map(|bytes| bytes / DAY as f64)),
        _ => None,
    };
    // As far as it was looked back, or until it is full; never beyond what can be looked ahead.
    let full = disk.full_latest.as_deref().or(disk.full.as_deref()).and_then(seconds);
    let wanted = full.map_or(last, |full| full + (full - first) / 20.0).max(last + (last - first));
    let until = disk.until.as_deref().and_then(seconds).map_or(last, |until| wanted.min(until));
    let most = seen.iter().map(|(_, used)| *used).fold(1.0, f64::max);
    let ceiling = disk.total.map_or(most, |total| (total as f64).max(most));
    Some(Trend { seen, ahead, until: if ahead.is_some() { until.max(last) } else { last }, ceiling })
}

/// `2026-11-22 05:00`, in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// `2026-11-22`, in UTC.
pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// The same of an RFC 3339 time; what is none stays as it is.
pub(super) fn day_of(at: &str) -> String {
    at.parse().map_or_else(|_| at.to_owned(), day)
}

/// `22 Nov`, of seconds since the Unix epoch, for a picture whose title has the year.
pub(super) fn short(seconds: f64) -> String {
    Timestamp::from_second(seconds as i64).map_or_else(|_| String::new(), |at| at.strftime("%-d %b").to_string())
}

/// `2026-11-22`, of seconds since the Unix epoch.
pub(super) fn day_at(seconds: f64) -> String {
    Timestamp::from_second(seconds as i64).map_or_else(|_| String::new(), day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::access::AccessSource;
    use proto_msgs::analytics::DiskSample;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn count(at: &str, accesses: u64) -> AccessCount {
        AccessCount { at: at.to_owned(), accesses, bytes: 0 }
    }

    fn since(at: Option<&str>) -> SourceReport {
        SourceReport {
            source: AccessSource::Kubo,
            on: true,
            since: at.map(str::to_owned),
            looked: None,
            accesses: 0,
            wrong: 0,
            error: None,
            blind: String::new(),
        }
    }

    #[test]
    fn hours_without_an_access_are_there_and_those_that_nobody_watched_are_not() {
        let now = time("2026-11-22T05:38:00Z");
        let counts = [count("2026-11-22T02:00:00Z", 3), count("2026-11-22T05:00:00Z", 1)];
        let series = Series::of_hours(&counts, &[since(Some("2026-11-22T01:30:00Z"))], now).expect("known");
        assert_eq!((series.from, &series.accesses[..]), (time("2026-11-22T01:00:00Z"), &[0, 3, 0, 0, 1][..]));
        assert_eq!(minute(series.at(4)), "2026-11-22 05:00");
        assert_eq!(Series::of_hours(&counts, &[], now).expect("known").accesses, [3, 0, 0, 1], "told of the past");
        assert_eq!(Series::of_hours(&[], &[since(None)], now), None);
    }

    #[test]
    fn a_series_has_a_bound_whatever_the_clock_says() {
        let now = time("2026-11-22T05:38:00Z");
        let old = Series::of_days(&[count("1970-01-01T00:00:00Z", 3)], &[], now).expect("known");
        assert_eq!((old.accesses.len(), old.accesses.iter().sum::<u64>()), (90, 0));
        let future = Series::of_days(&[count("2999-01-01T00:00:00Z", 3)], &[], now).expect("known");
        assert_eq!(future.accesses, [0]);
    }

    #[test]
    fn the_disk_is_shown_until_it_is_full_and_no_further_than_can_be_looked() {
        let sample =
            |day: u64| DiskSample { at: format!("2026-11-{day:02}T00:00:00Z"), used: day * 10, repo_size: None };
        let disk = |full: Option<&str>| DiskReport {
            as_of: None,
            total: Some(1000),
            free: Some(900),
            repo_size: None,
            storage_max: None,
            without: None,
            growth: Some(10.0),
            growth_least: Some(5.0),
            growth_most: Some(20.0),
            full: full.map(str::to_owned),
            full_earliest: None,
            full_latest: None,
            until: Some("2026-12-20T00:00:00Z".to_owned()),
            samples: vec![sample(1), sample(2), sample(11)],
        };
        let until = |disk: &DiskReport| trend(disk).map(|trend| day_at(trend.until));
        assert_eq!(until(&disk(None)), Some("2026-11-21".to_owned()));
        assert_eq!(until(&disk(Some("2026-12-10T00:00:00Z"))), Some("2026-12-11".to_owned()));
        assert_eq!(until(&disk(Some("2026-12-19T12:00:00Z"))), Some("2026-12-20".to_owned()));
        let known = trend(&disk(None)).expect("known");
        assert_eq!((known.at(known.until, 10.0 / 86_400.0), known.ceiling), (210.0, 1000.0));
        assert_eq!(trend(&DiskReport { samples: vec![sample(1)], ..disk(None) }), None);
        assert_eq!(until(&DiskReport { growth: None, ..disk(None) }), Some("2026-11-11".to_owned()));
    }
}
