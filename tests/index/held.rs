//! What analytics reads of the index: all pins, some rows, and how full the disk was.

use crate::place::*;
use ipfs_kitd::index::held::{self, Held};
use ipfs_kitd::index::{disk, query};
use proto_msgs::pin::SizeKind;

async fn all(place: &Place) -> Vec<Held> {
    place.store.read(held::all).await.expect("read")
}

#[tokio::test]
async fn all_pins_come_in_the_order_of_their_ids_with_what_is_known_of_them() {
    let place = Place::new();
    assert_eq!(all(&place).await, []);
    place.list(minute(0), |l| l.added = (1..=3).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
    place.list(minute(5), |l| l.added = vec![pin(raw(4), DIRECT, "")]).await;
    place.sql("UPDATE pins SET size = 7, size_kind = 2 WHERE id = 2").await;
    place.sql("UPDATE pins SET size = 8, size_kind = 1 WHERE id = 3").await;
    place.sql("INSERT INTO vfs SELECT '/', 'a', cid, 0, 7, 1 FROM pins WHERE id = 3").await;
    let found = all(&place).await;
    assert_eq!(found.iter().map(Held::id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let sizes: Vec<_> = found.iter().map(|pin| (pin.size(), pin.size_kind())).collect();
    let known = [
        (None, SizeKind::Unknown),
        (Some(7), SizeKind::Exact),
        (Some(8), SizeKind::Estimated),
        (None, SizeKind::Unknown),
    ];
    assert_eq!(sizes, known);
    assert_eq!(found.iter().map(Held::is_in_mfs).collect::<Vec<_>>(), [false, false, true, false]);
    let seen = |n: usize| found[n].first_seen();
    let wall = jiff::Timestamp::now().as_second() as f64;
    assert!((0.0..=wall + 1.0).contains(&seen(0)) && seen(0) <= seen(3), "{} {}", seen(0), seen(3));
}

#[tokio::test]
async fn a_direct_pin_has_the_bytes_of_its_root_alone() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), DIRECT, "")]).await;
    place.list(minute(5), |l| l.added = vec![pin(raw(2), DIRECT, "")]).await;
    // What was measured is the whole of it.
    place.sql("UPDATE pins SET size = 7, size_kind = 2").await;
    place.sql("UPDATE pins SET codec = 112 WHERE id = 2").await;
    let sizes: Vec<_> = all(&place).await.iter().map(|pin| (pin.size(), pin.size_kind())).collect();
    assert_eq!(sizes, [(Some(7), SizeKind::Exact), (None, SizeKind::Unknown)]);
}

#[tokio::test]
async fn rows_come_with_their_ids_and_those_that_are_gone_are_left_out() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (1..=3).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
    let rows = place.store.read(|connection| held::rows(connection, &[3, 99, 1])).await.expect("read");
    let plain = place.store.read(|connection| query::rows(connection, &[3, 1])).await.expect("read");
    assert_eq!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(rows.into_iter().map(|(_, pin)| pin).collect::<Vec<_>>(), plain);
}

#[tokio::test]
async fn of_many_samples_of_the_disk_the_last_of_each_of_equal_times_is_told() {
    let place = Place::new();
    assert_eq!(place.store.read(disk::samples).await.expect("read"), []);
    // One a minute for a day and a half, and one of which nothing is known.
    place
        .sql(
            "INSERT INTO state_storage SELECT TIMESTAMP '2026-01-01' + to_minutes(i), if(i % 2 = 0, i, NULL), NULL, 1000000, 1000000 - i, NULL
             FROM range(2160) r(i)",
        )
        .await;
    place.sql("INSERT INTO state_storage VALUES (TIMESTAMP '2026-01-05', 7, NULL, NULL, NULL, 7)").await;
    let samples = place.store.read(disk::samples).await.expect("read");
    assert!((190..=disk::MOST).contains(&samples.len()), "{}", samples.len());
    assert!(samples.is_sorted_by_key(|sample| sample.at));
    let last = samples.last().expect("there are some");
    assert_eq!((last.used, last.repo_size), (2159, Some(2158)));
    assert_eq!(last.at.to_string(), "2026-01-02T11:59:00Z");
}
