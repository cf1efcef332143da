//! Accesses: kept once, with what keeps their CID, counted in the order in which that was settled, and let go when there are too many.

use crate::actor::{actors, config};
use crate::place::*;
use futures_util::future::join_all;
use ipfs_kitd::analytics::evidence::recorder::{Heard, Recorder};
use ipfs_kitd::cid::{Cid, Key, text};
use ipfs_kitd::index::access::keep::keep;
use ipfs_kitd::index::access::read::{self, Wanted};
use ipfs_kitd::index::access::settle::settle;
use ipfs_kitd::index::access::{
    AskCounted, AskFigures, AskUnsettled, CountedRows, Cursor, KeepAccesses, Kept, Once, Seen, Settle, Told, Unsettled,
};
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::vfs::{self, Put, State, VfsBatch};
use jiff::{SignedDuration, Timestamp};
use proto_msgs::FaultKind;
use proto_msgs::access::{Access, AccessSource, Keeper};
use proto_msgs::pin::ContentKind;
use std::path::Path;

/// An access in the n-th minute.
pub(crate) fn seen(cid: Cid, n: i64) -> Seen {
    Seen {
        at: minute(n),
        cid,
        path: None,
        op: Some("cat".into()),
        bytes: Some(10),
        offset: None,
        source: AccessSource::Record,
        by: None,
    }
}

pub(crate) fn told(seen: Vec<Seen>) -> Told {
    Told { seen, once: None }
}

pub(crate) fn named(name: &str, seen: Vec<Seen>) -> Told {
    Told { seen, once: Some(Once::Batch(name.to_owned())) }
}

fn read_from(from: Option<&str>, to: &str, seen: Vec<Seen>) -> Told {
    let (from, to) = (from.map(str::to_owned), to.to_owned());
    Told { seen, once: Some(Once::Cursor { of: "log a".to_owned(), from, to }) }
}

impl Place {
    pub(crate) async fn try_keep(&self, told: Vec<Told>, most: u64, counted: u64) -> Result<Vec<Kept>, IndexError> {
        let ask = KeepAccesses { told, most, counted };
        self.store.write(move |connection, state| keep(connection, state, &ask)).await
    }

    pub(crate) async fn keep(&self, told: Vec<Told>) -> Vec<Kept> {
        self.try_keep(told, 1_000_000, u64::MAX).await.expect("kept")
    }

    async fn settle(&self, settled: Vec<(Cid, Option<Cid>)>) {
        self.store.write(move |connection, state| settle(connection, state, Settle(settled))).await.expect("settled");
    }

    async fn unsettled(&self) -> Vec<Cid> {
        let ask = AskUnsettled { after: 0, most: 100 };
        self.store.read(move |connection| read::unsettled(connection, ask)).await.expect("read").cids
    }

    async fn cursor(&self) -> Option<Cursor> {
        self.store.read(|connection| read::cursor(connection, "log a")).await.expect("read")
    }

    pub(crate) async fn counted(&self, after: u64, most: usize) -> CountedRows {
        self.store.read(move |connection| read::counted(connection, AskCounted { after, most })).await.expect("read")
    }

    pub(crate) async fn log(&self, wanted: Wanted) -> Vec<Access> {
        self.store
            .read(move |connection| read::page(connection, &wanted, None, 1_000_000, 0, false))
            .await
            .expect("read")
            .0
    }

    /// What keeps each access, newest first.
    async fn keepers(&self) -> Vec<(Keeper, Option<String>)> {
        self.log(Wanted::default()).await.into_iter().map(|access| (access.keeper, access.pin)).collect()
    }
}

fn kept(taken: u64) -> Kept {
    Kept { taken, repeated: false }
}

const REPEATED: Kept = Kept { taken: 0, repeated: true };

/// A directory of MFS with entries at these paths, parents first.
async fn mfs(place: &Place, entries: &[(&str, Cid, ContentKind)]) {
    let entries = entries.iter().map(|(path, cid, kind)| {
        let put = Put { cid: *cid, kind: Some(*kind), size: None, state: State::Whole };
        (vfs::Place::of(path).expect("a path"), (Some(put), false))
    });
    let batch = VfsBatch { entries: entries.collect(), finished: Some(minute(0)), ..VfsBatch::default() };
    place.store.write(|connection, state| vfs::apply::apply(connection, state, batch)).await.expect("applied");
}

#[tokio::test]
async fn what_was_told_is_read_as_it_was_told_also_by_the_next_process_and_changes_no_pin() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
    let before = place.state();
    let whole = Seen {
        path: Some("a/b c".to_owned()),
        offset: Some(7),
        source: AccessSource::Gateway,
        by: Some("access.log".into()),
        ..seen(raw(1), 2)
    };
    let bare = Seen { op: None, bytes: None, ..seen(raw(1), 1) };
    assert_eq!(place.keep(vec![told(vec![bare, whole])]).await, [kept(2)]);
    let after = place.state();
    assert_eq!((after.generation, after.changes, after.as_of), (before.generation, before.changes, before.as_of));
    let place = Place::of(place.close().await);
    let rows = place.log(Wanted::default()).await;
    let expected = Access {
        at: ipfs_kitd::time::text(minute(2)),
        cid: text(&raw(1)),
        path: Some("a/b c".to_owned()),
        pin: Some(text(&raw(1))),
        keeper: Keeper::Pin,
        op: Some("cat".to_owned()),
        bytes: Some(10),
        offset: Some(7),
        source: AccessSource::Gateway,
        by: Some("access.log".to_owned()),
    };
    assert_eq!(rows[0], expected);
    assert_eq!((&rows[1].op, rows[1].bytes, rows[1].source), (&None, None, AccessSource::Record));
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
}

#[tokio::test]
async fn what_comes_again_under_its_name_is_not_counted_again_also_by_the_next_process() {
    let place = Place::new();
    let batch = |name: &str| named(name, vec![seen(raw(1), 1), seen(raw(2), 1)]);
    assert_eq!(place.keep(vec![batch("a"), batch("b"), batch("a")]).await, [kept(2), kept(2), REPEATED]);
    assert_eq!(place.keep(vec![batch("b"), batch("c")]).await, [REPEATED, kept(2)]);
    let place = Place::of(place.close().await);
    assert_eq!(place.keep(vec![batch("c"), batch("d")]).await, [REPEATED, kept(2)]);
    assert_eq!(place.number("SELECT count(*) FROM access").await, 8);
    // The next process forgets what is older than a day.
    place.sql("UPDATE access_batch SET told_at = told_at - INTERVAL 25 HOUR WHERE name = 'd'").await;
    let place = Place::of(place.close().await);
    assert_eq!(place.keep(vec![batch("a")]).await, [REPEATED]);
    assert_eq!(place.keep(vec![batch("d")]).await, [kept(2)]);
}

#[tokio::test]
async fn a_source_is_read_from_where_it_stands_and_from_nowhere_else() {
    let place = Place::new();
    assert_eq!(place.cursor().await, None);
    let one = |n| vec![seen(raw(1), n)];
    // One after the other in one transaction, and what was read from elsewhere is not taken.
    let told = vec![read_from(None, "10", one(5)), read_from(Some("10"), "20", one(6)), read_from(None, "30", one(7))];
    assert_eq!(place.keep(told).await, [kept(1), kept(1), REPEATED]);
    let cursor = place.cursor().await.expect("read");
    assert_eq!((cursor.place.as_str(), cursor.since), ("20", minute(5)));
    // What has nothing moves it all the same.
    assert_eq!(place.keep(vec![read_from(Some("20"), "25", vec![])]).await, [kept(0)]);
    assert_eq!(place.keep(vec![read_from(Some("20"), "26", one(8))]).await, [REPEATED]);
    assert_eq!(place.keep(vec![read_from(Some("25"), "27", one(1))]).await, [kept(1)]);
    let cursor = place.cursor().await.expect("read");
    assert_eq!((cursor.place.as_str(), cursor.since), ("27", minute(1)), "it told of something earlier");
    assert_eq!(place.number("SELECT count(*) FROM access_cursor WHERE source = 'log a'").await, 1);
}

#[tokio::test]
async fn applications_tell_since_the_earliest_access_that_they_told_of() {
    let place = Place::new();
    let since = async |place: &Place| {
        let read = place.store.read(|connection| read::cursor(connection, "record")).await;
        read.expect("read").map(|cursor| cursor.since)
    };
    assert_eq!(since(&place).await, None);
    place.keep(vec![told(vec![seen(raw(1), 5), seen(raw(1), 3)]), told(vec![seen(raw(1), 4)])]).await;
    assert_eq!(since(&place).await, Some(minute(3)));
    let place = Place::of(place.close().await);
    place.keep(vec![told(vec![seen(raw(1), 9)])]).await;
    assert_eq!(since(&place).await, Some(minute(3)));
    place.keep(vec![told(vec![seen(raw(1), 1)])]).await;
    assert_eq!(since(&place).await, Some(minute(1)));
}

#[tokio::test]
async fn it_is_known_what_keeps_a_cid_by_pins_by_mfs_and_by_what_was_looked_up() {
    let place = Place::new();
    let (dir, file, loose, deep) = (raw(10), raw(11), raw(12), raw(13));
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, ""), pin(dir, RECURSIVE, "")]).await;
    let (directory, plain) = (ContentKind::Directory, ContentKind::File);
    let entries = [
        ("/", raw(99), directory),
        ("/d", dir, directory),
        ("/d/e", raw(98), directory),
        ("/d/file", file, plain),
        ("/d/e/deep", deep, plain),
        ("/loose", loose, plain),
    ];
    mfs(&place, &entries).await;
    let all = [raw(1), dir, file, deep, loose, raw(20), raw(21)];
    let look = || told(all.iter().enumerate().map(|(n, cid)| seen(*cid, -(n as i64))).collect());
    place.keep(vec![look()]).await;
    let within = |pin: Cid| (Keeper::Inside, Some(text(&pin)));
    let itself = |pin: Cid| (Keeper::Pin, Some(text(&pin)));
    let unknown = (Keeper::Unknown, None);
    let known = [itself(raw(1)), itself(dir), within(dir), within(dir), (Keeper::Mfs, None)];
    assert_eq!(place.keepers().await, [&known[..], &[unknown.clone(), unknown]].concat());

    assert_eq!(place.unsettled().await, [raw(20), raw(21)]);
    place.settle(vec![(raw(20), Some(raw(1))), (raw(21), None)]).await;
    let settled = [&known[..], &[within(raw(1)), (Keeper::Nothing, None)]].concat();
    assert_eq!(place.keepers().await, settled);
    assert_eq!(place.unsettled().await, []);
    // What was looked up is known of accesses to come, also by the next process.
    let place = Place::of(place.close().await);
    place.sql("DELETE FROM access").await;
    place.keep(vec![look()]).await;
    assert_eq!(place.keepers().await, settled);
    // Within a pin that is gone it is within nothing that is known.
    place.remove(raw(1)).await;
    place.keep(vec![told(vec![seen(raw(20), 5), seen(raw(1), 4)])]).await;
    assert_eq!(place.keepers().await[..2], [(Keeper::Unknown, None), (Keeper::Unknown, None)]);
}

#[tokio::test]
async fn what_nobody_knows_is_gone_through_in_the_order_in_which_it_was_read_each_cid_once() {
    let place = Place::new();
    let reads = [1, 2, 1, 3, 2, 4].map(raw);
    place.keep(vec![told(reads.iter().map(|cid| seen(*cid, 1)).collect())]).await;
    let ask = async |after, most| {
        let ask = AskUnsettled { after, most };
        place.store.read(move |connection| read::unsettled(connection, ask)).await.expect("read")
    };
    let begin = ask(0, 100).await.through.expect("some") - 6;
    let some = |cids: &[u64], through: u64| Unsettled {
        cids: cids.iter().copied().map(raw).collect(),
        through: Some(begin + through),
    };
    assert_eq!(ask(begin, 2).await, some(&[1, 2], 2));
    assert_eq!(ask(begin + 2, 2).await, some(&[1, 3], 4), "it was read again behind the place");
    assert_eq!(ask(begin + 4, 9).await, some(&[2, 4], 6));
    assert_eq!(ask(begin + 6, 9).await, Unsettled::default());
}

#[tokio::test]
async fn a_look_up_that_does_not_hold_any_more_settles_nothing_and_a_pin_of_its_own_goes_first() {
    let place = Place::new();
    place.keep(vec![told(vec![seen(raw(1), 1), seen(raw(2), 2)])]).await;
    place.settle(vec![(raw(1), Some(raw(9)))]).await;
    assert_eq!(place.unsettled().await, [raw(1), raw(2)], "there is no pin 9");
    place.add(raw(2), RECURSIVE, "").await;
    place.settle(vec![(raw(2), None)]).await;
    assert_eq!(place.keepers().await, [(Keeper::Pin, Some(text(&raw(2)))), (Keeper::Unknown, None)]);
}

#[tokio::test]
async fn a_block_that_is_pinned_in_another_form_is_kept_by_that_pin() {
    let place = Place::new();
    let (v0, v1) = (Cid::new_v0(sha(1)).expect("sha2-256"), Cid::new_v1(0x70, sha(1)));
    place.add(v1, RECURSIVE, "").await;
    place.keep(vec![told(vec![seen(v0, 1)])]).await;
    assert_eq!(place.keepers().await, [(Keeper::Pin, Some(text(&v1)))]);
    assert_eq!(place.counted(0, 10).await.rows[0].pin, Key::of(&v1));
    for cid in [v0, v1] {
        assert_eq!(place.log(Wanted { cid: Some(cid), ..Wanted::default() }).await.len(), 1, "{cid}");
    }
}

#[tokio::test]
async fn accesses_to_pins_are_counted_once_in_the_order_in_which_they_were_settled() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    assert_eq!(place.counted(0, 10).await.rows, []);
    let late = Seen { path: Some("x".to_owned()), offset: Some(3), ..seen(raw(5), 1) };
    place.keep(vec![told(vec![late, seen(raw(1), 2), seen(raw(6), 3), seen(raw(1), 4)])]).await;
    let first = place.counted(0, 100).await;
    let minutes = |rows: &CountedRows| {
        let minutes = rows.rows.iter().map(|row| ((row.at - minute(0).as_second() as f64) / 60.0) as i64);
        minutes.collect::<Vec<_>>()
    };
    assert_eq!(minutes(&first), [2, 4]);
    assert!(first.begin < first.rows[0].seq && first.through == first.rows[1].seq);
    assert_eq!(place.counted(first.through, 100).await, CountedRows { rows: vec![], ..first.clone() });
    // A page may end anywhere, and may have nothing that counts.
    let page = place.counted(0, 1).await;
    assert_eq!((minutes(&page), place.counted(page.through, 1).await.rows.len()), (vec![2], 1));

    place.settle(vec![(raw(5), Some(raw(1)))]).await;
    let next = place.counted(first.through, 100).await;
    assert_eq!(minutes(&next), [1]);
    let row = &next.rows[0];
    assert_eq!((row.pin, row.path.as_deref(), row.offset), (Key::of(&raw(1)), Some("x"), Some(3)));
    assert!(next.through > first.through);
    // Without any that counts it is known all the same how far that is.
    place.keep(vec![told(vec![seen(raw(6), 5)])]).await;
    let none = place.counted(next.through, 100).await;
    assert_eq!((none.rows.len(), none.through), (0, next.through + 1));
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many_and_none_that_is_not_counted_yet() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    let some = |from: i64, many: i64| vec![told((from..from + many).map(|n| seen(raw(1), n)).collect())];
    let rows = || place.number("SELECT count(*) FROM access");
    place.try_keep(some(0, 1000), 1000, 0).await.expect("kept");
    place.try_keep(some(1000, 50), 1000, 0).await.expect("kept");
    assert_eq!(rows().await, 1050, "a twentieth more is borne");
    place.try_keep(some(1050, 1), 1000, 0).await.expect("kept");
    assert_eq!(rows().await, 1051, "none is counted");
    let counted = place.counted(0, 21).await.through;
    place.try_keep(some(1051, 20), 1000, counted).await.expect("kept");
    assert_eq!(rows().await, 1071 - 21, "those that are counted go");
    let oldest = place.log(Wanted::default()).await.pop().expect("some").at;
    assert_eq!(oldest, ipfs_kitd::time::text(minute(21)));
    place.try_keep(some(1071, 100), 1000, u64::MAX).await.expect("kept");
    assert_eq!(rows().await, 1000);
    // Whoever counts nothing any more does not have them grow for ever.
    for n in 0..30 {
        place.try_keep(some(2000 + 100 * n, 100), 1000, 0).await.expect("kept");
    }
    assert!((2000..=2200).contains(&rows().await), "{}", rows().await);
    // Numbers go on rising.
    let last = place.counted(0, usize::MAX >> 1).await.through;
    let place = Place::of(place.close().await);
    place.try_keep(some(9000, 1), 1000, 0).await.expect("kept");
    assert_eq!(place.counted(last, 10).await.rows.len(), 1);
}

#[tokio::test]
async fn a_listing_is_newest_first_page_by_page_and_narrowed_by_what_is_asked() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    let gateway = |n| Seen { source: AccessSource::Gateway, ..seen(raw(2), n) };
    place.keep(vec![told(vec![seen(raw(1), 3), gateway(1), seen(raw(2), 2), seen(raw(1), 3), gateway(5)])]).await;
    let wanted = |fill: fn(&mut Wanted)| {
        let mut wanted = Wanted::default();
        fill(&mut wanted);
        wanted
    };
    let log = async |wanted: Wanted| {
        let rows = place.log(wanted.clone()).await;
        let counted = place.store.read(move |connection| read::count(connection, &wanted)).await.expect("counted");
        assert_eq!(counted, (rows.len() as u64, Some(minute(1))));
        rows.into_iter().map(|row| row.at).collect::<Vec<_>>()
    };
    let minutes = |all: &[i64]| all.iter().map(|n| ipfs_kitd::time::text(minute(*n))).collect::<Vec<_>>();
    assert_eq!(log(Wanted::default()).await, minutes(&[5, 3, 3, 2, 1]));
    assert_eq!(log(wanted(|w| w.cid = Some(raw(1)))).await, minutes(&[3, 3]));
    assert_eq!(log(wanted(|w| w.source = Some(AccessSource::Gateway))).await, minutes(&[5, 1]));
    assert_eq!(log(wanted(|w| w.since = Some(minute(3)))).await, minutes(&[5, 3, 3]));
    // What a pin keeps is listed with it.
    place.settle(vec![(raw(2), Some(raw(1)))]).await;
    assert_eq!(log(wanted(|w| w.cid = Some(raw(1)))).await.len(), 5);
    // Also where pages end between accesses of the same time.
    for (most, more) in [(1, false), (1, true), (2, true), (3, true)] {
        let (mut after, mut rows) = (None, Vec::new());
        loop {
            let read = place.store.read(move |connection| {
                let all = Wanted::default();
                read::page(connection, &all, after, most, 0, more)
            });
            let (page, next) = read.await.expect("read");
            rows.extend(page.into_iter().map(|row| row.at));
            after = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(rows, minutes(&[5, 3, 3, 2, 1]), "{most}");
    }
    let beyond =
        place.store.read(|connection| read::page(connection, &Wanted::default(), None, u64::MAX, u64::MAX, true));
    assert_eq!(beyond.await.expect("read"), (vec![], None));
}

#[tokio::test]
async fn an_access_that_is_settled_between_two_pages_is_listed_once() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    let all = [5, 3, 3, 3, 1].map(|n| Seen { path: Some(n.to_string()), ..seen(raw(2), n) });
    place.keep(vec![told(all.to_vec())]).await;
    let page = async |after| {
        let page = place.store.read(move |connection| read::page(connection, &Wanted::default(), after, 3, 0, true));
        let (rows, next) = page.await.expect("read");
        (rows.into_iter().filter_map(|row| row.path).collect::<Vec<_>>(), next)
    };
    let (mut rows, mut next) = page(None).await;
    place.settle(vec![(raw(2), Some(raw(1)))]).await;
    while next.is_some() {
        let (more, after) = page(next).await;
        rows.extend(more);
        next = after;
    }
    assert_eq!(rows, ["5", "3", "3", "3", "1"]);
}

#[tokio::test]
async fn figures_count_by_source_by_hour_and_by_day() {
    let place = Place::new();
    let figures = |now: Timestamp| place.store.read(move |connection| read::figures(connection, AskFigures(now)));
    assert_eq!(figures(minute(0)).await.expect("none").accesses, 0);
    let now = minute(0);
    let hours = |n: i64| Seen { at: now - SignedDuration::from_hours(n), ..seen(raw(1), 0) };
    let unmeasured = Seen { bytes: None, source: AccessSource::Gateway, ..hours(1) };
    place.keep(vec![told(vec![hours(0), hours(1), unmeasured, hours(200), hours(24 * 91)])]).await;
    let found = figures(now).await.expect("counted");
    assert_eq!((found.accesses, found.oldest), (5, Some(hours(24 * 91).at)));
    let sources: Vec<_> = found.by_source.iter().map(|(source, count, ..)| (*source, *count)).collect();
    assert_eq!(sources, [(AccessSource::Record, 4), (AccessSource::Gateway, 1)]);
    let counts = |of: &[ipfs_kitd::index::access::Figure]| of.iter().map(|f| (f.accesses, f.bytes)).collect::<Vec<_>>();
    assert_eq!(counts(&found.by_hour), [(2, 10), (1, 10)]);
    assert_eq!(found.by_day.iter().map(|figure| figure.accesses).sum::<u64>(), 4, "those of 90 days");
    assert!(found.by_hour.iter().all(|figure| figure.at.as_second() % 3600 == 0));
    assert!(found.by_day.iter().all(|figure| figure.at.as_second() % 86_400 == 0));
}

#[tokio::test]
async fn what_fails_leaves_all_as_it_was_and_can_be_told_again() {
    let place = Place::new();
    place.keep(vec![named("a", vec![seen(raw(1), 1)])]).await;
    place.sql("ALTER TABLE access_batch RENAME TO elsewhere").await;
    let again = || vec![named("b", vec![seen(raw(1), 2)]), read_from(None, "1", vec![seen(raw(1), 3)])];
    assert!(place.try_keep(again(), 1000, 0).await.is_err());
    assert_eq!((place.log(Wanted::default()).await.len(), place.cursor().await), (1, None));
    place.sql("ALTER TABLE elsewhere RENAME TO access_batch").await;
    assert_eq!(place.keep(again()).await, [kept(1), kept(1)]);
    assert_eq!(place.counted(0, 10).await.through, place.counted(0, 1).await.begin + 3, "no number is left out");
}

#[tokio::test]
async fn what_waits_is_written_together_and_everyone_is_answered_for_himself() {
    let place = Place::new();
    let recorder = Recorder::start(place.store.clone(), actors(&place).board, config());
    let batch = |n: i64| named(&format!("{}", n / 2), vec![seen(raw(1), n)]);
    let answers = join_all((0..200).map(|n| recorder.record(batch(n), true))).await;
    let taken: Vec<_> = answers.into_iter().map(|kept| kept.expect("kept")).filter(|kept| !kept.repeated).collect();
    assert_eq!((taken.len(), place.number("SELECT count(*) FROM access").await), (100, 100));
    assert_eq!(recorder.heard(AccessSource::Record).accesses, 100);
    assert_eq!(recorder.heard(AccessSource::Kubo), Heard::default());
    // What was only accepted is there once somebody asks for it, and at the end.
    assert_eq!(recorder.record(batch(1000), false).await, Ok(kept(1)));
    let before = Timestamp::now();
    assert!(recorder.catch_up().await >= before);
    assert_eq!(place.number("SELECT count(*) FROM access").await, 101);
    for n in 0..20 {
        recorder.record(told(vec![seen(raw(1), n); 100]), false).await.expect("accepted");
    }
    recorder.end(LONG).await;
    assert_eq!(place.number("SELECT count(*) FROM access").await, 2101);
    assert_eq!(recorder.record(batch(2000), false).await.expect_err("over").kind, FaultKind::NotReady);
}

#[tokio::test]
async fn whoever_tells_more_than_can_wait_is_told_so_and_nothing_of_it_is_taken() {
    let place = Place::new();
    let recorder = Recorder::start(place.store.clone(), actors(&place).board, config());
    // The writer is busy until this is let go.
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    let busy = place.store.write(move |_, _| {
        let _ = held.recv();
        Ok(())
    });
    let mut accepted = 0;
    let refused = loop {
        match recorder.record(told(vec![seen(raw(1), 1); 5000]), false).await {
            Ok(kept) => accepted += kept.taken,
            Err(fault) => break fault,
        }
    };
    assert!(refused.kind == FaultKind::Busy && refused.hint.is_some(), "{refused}");
    assert!((50_000..=200_000).contains(&accepted), "{accepted}");
    drop(let_go);
    busy.await.expect("done");
    recorder.catch_up().await;
    assert_eq!(place.number("SELECT count(*) FROM access").await.unsigned_abs(), accepted);
    recorder.record(told(vec![seen(raw(1), 1)]), true).await.expect("there is room again");
}

#[tokio::test]
async fn what_ails_one_telling_is_not_the_others_matter() {
    let place = Place::new();
    let recorder = Recorder::start(place.store.clone(), actors(&place).board, config());
    place.sql("ALTER TABLE access_cursor RENAME TO elsewhere").await;
    let whole = told(vec![Seen { source: AccessSource::Kubo, ..seen(raw(1), 1) }]);
    let (good, bad) = (|| recorder.record(whole.clone(), true), recorder.record(read_from(None, "1", vec![]), true));
    let (first, bad, second) = tokio::join!(good(), bad, good());
    assert_eq!((first, second), (Ok(kept(1)), Ok(kept(1))));
    assert_eq!(bad.expect_err("its table is not there").kind, FaultKind::Internal);
    assert_eq!(place.number("SELECT count(*) FROM access").await, 2);
}

/// The index of version 2 as it was released.
#[tokio::test]
async fn an_index_that_knew_no_accesses_gets_room_for_them_and_a_lost_one_begins_above_its_numbers() {
    let dir = tempfile::tempdir().expect("a temp dir");
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/index/golden/v2.tar.zst");
    let packed = std::fs::File::open(packed).expect("in the repository");
    tar::Archive::new(zstd::Decoder::new(packed).expect("zstd")).unpack(dir.path()).expect("unpacked");
    let place = Place::of(dir);
    place.keep(vec![told(vec![seen(raw(1), 1)])]).await;
    let before = place.counted(0, 10).await;
    let file = place.file();
    let dir = place.close().await;
    std::fs::write(&file, "no index").expect("written");
    let place = Place::of(dir);
    let after = place.counted(0, 10).await;
    assert!(after.begin > before.through && after.rows.is_empty());
    assert_eq!(place.log(Wanted::default()).await, []);
}
