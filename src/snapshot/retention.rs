//! Which snapshots are no longer needed. Pure.

use jiff::{SignedDuration, Timestamp};

/// What the decision needs to know of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub serial: u64,
    /// When it was made.
    pub created: Timestamp,
    /// Whether a look shows nothing wrong with it.
    pub good: bool,
}

/// The serials of those that can go: all but the newest `keep` good ones, what was made since, and what was still the newest less
/// than `age` ago, since a reader that was told of it then may be reading it. Those to `spare` stay in any case.
pub fn superfluous(all: &[Kept], now: Timestamp, keep: usize, age: SignedDuration, spare: &[u64]) -> Vec<u64> {
    let mut all = all.to_vec();
    all.sort_by_key(|kept| std::cmp::Reverse(kept.serial));
    let mut good = 0;
    let mut replaced = None;
    let mut gone = Vec::new();
    for kept in all {
        let old = replaced.is_some_and(|at: Timestamp| now.duration_since(at) > age);
        if good >= keep.max(1) && old && !spare.contains(&kept.serial) {
            gone.push(kept.serial);
        }
        good += usize::from(kept.good);
        replaced = Some(kept.created);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(60 * minute).expect("a time")
    }

    fn kept(serial: u64, minute: i64, good: bool) -> Kept {
        Kept { serial, created: at(minute), good }
    }

    const AGE: SignedDuration = SignedDuration::from_mins(10);

    #[test]
    fn the_newest_two_stay_however_old() {
        let all = [kept(1, 0, true), kept(2, 1, true), kept(3, 2, true), kept(4, 3, true)];
        assert_eq!(superfluous(&all, at(1_000_000), 2, AGE, &[]), [2, 1]);
        assert_eq!(superfluous(&all[2..], at(1_000_000), 2, AGE, &[]), [] as [u64; 0]);
        assert_eq!(superfluous(&all, at(1_000_000), 2, AGE, &[1]), [2]);
        assert_eq!(superfluous(&all, at(1_000_000), 0, AGE, &[]), [3, 2, 1], "never all of them");
    }

    #[test]
    fn what_was_the_newest_a_moment_ago_stays() {
        // 1 is old, and was replaced only at minute 100.
        let all = [kept(1, 0, true), kept(2, 100, true), kept(3, 101, true)];
        assert_eq!(superfluous(&all, at(101), 2, AGE, &[]), [] as [u64; 0]);
        assert_eq!(superfluous(&all, at(110), 2, AGE, &[]), [] as [u64; 0]);
        assert_eq!(superfluous(&all, at(111), 2, AGE, &[]), [1]);
    }

    #[test]
    fn a_damaged_one_does_not_count_as_one_of_the_newest() {
        let all = [kept(1, 0, true), kept(2, 1, true), kept(3, 2, false), kept(4, 3, true)];
        assert_eq!(superfluous(&all, at(1000), 2, AGE, &[]), [1]);
        let broken = [kept(1, 0, true), kept(2, 1, false), kept(3, 2, false)];
        assert_eq!(superfluous(&broken, at(1000), 2, AGE, &[]), [] as [u64; 0]);
    }
}
