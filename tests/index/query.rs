//! What is asked of the index.

use crate::place::*;
use ipfs_kitd::cid::Cid;
use ipfs_kitd::index::query;
use jiff::SignedDuration;
use proto_msgs::pin::{ContentKind, PinLs, PinSort, SizeKind};
use std::time::Instant;

fn names(rows: &[proto_msgs::pin::Pin]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_deref().unwrap_or_default()).collect()
}

async fn six() -> Place {
    let place = Place::new();
    place
        .list(minute(0), |l| {
            l.added = vec![
                pin(raw(1), RECURSIVE, "100% sure"),
                pin(Cid::new_v0(sha(2)).expect("sha2-256"), RECURSIVE, "under_score"),
                pin(Cid::new_v1(0x71, sha(3)), DIRECT, ""),
            ];
        })
        .await;
    place
        .list(minute(1), |l| {
            l.added = vec![
                pin(Cid::new_v1(0x70, sha(4)), DIRECT, "it's; DROP TABLE pins"),
                pin(raw(5), RECURSIVE, "back\\slash"),
                pin(Cid::new_v1(0x0129, sha(6)), RECURSIVE, "100 percent"),
            ];
        })
        .await;
    place
}

#[tokio::test]
async fn filters_take_words_as_they_are() {
    let place = six().await;
    let cases = [
        ("100", vec!["100% sure", "100 percent"]),
        ("0%", vec!["100% sure"]),
        ("_", vec!["under_score"]),
        ("\\", vec!["back\\slash"]),
        ("'s; D", vec!["it's; DROP TABLE pins"]),
        ("", vec!["100% sure", "under_score", "it's; DROP TABLE pins", "back\\slash", "100 percent"]),
        ("SURE", vec![]),
    ];
    for (word, expected) in cases {
        let (total, rows) = place.ls(PinLs { name: Some(word.to_owned()), ..PinLs::default() }).await;
        assert_eq!((total, names(&rows)), (expected.len() as u64, expected), "{word:?}");
    }
    let both = PinLs { name: Some("o".to_owned()), pin_type: Some(DIRECT), ..PinLs::default() };
    assert_eq!(place.ls(both).await.0, 0);
}

#[tokio::test]
async fn rows_are_sorted_limited_and_counted() {
    let place = six().await;
    let sorted = async |sort, descending| {
        let (_, rows) = place.ls(PinLs { sort, descending, ..PinLs::default() }).await;
        rows.iter().map(|row| row.codec.clone() + ":" + row.name.as_deref().unwrap_or("-")).collect::<Vec<_>>()
    };
    let first = ["raw:100% sure", "dag-pb:under_score", "dag-cbor:-", "dag-pb:it's; DROP TABLE pins"];
    let last = ["raw:back\\slash", "dag-json:100 percent"];
    let seen = [&first[..], &last[..]].concat();
    assert_eq!(sorted(None, false).await, seen);
    assert_eq!(sorted(None, true).await, seen.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(sorted(Some(PinSort::Size), true).await, seen, "no size is known");
    assert_eq!(sorted(Some(PinSort::FirstSeen), true).await[0], "dag-pb:it's; DROP TABLE pins", "ties as seen");
    let by_codec: Vec<_> = sorted(Some(PinSort::Codec), false).await;
    let codecs: Vec<_> = by_codec.iter().map(|row| row.split(':').next().expect("a codec")).collect();
    assert_eq!(codecs, ["raw", "raw", "dag-pb", "dag-pb", "dag-cbor", "dag-json"], "v0 and v1 together");
    for descending in [false, true] {
        let by_name = sorted(Some(PinSort::Name), descending).await;
        assert_eq!(by_name[5], "dag-cbor:-", "without a name last");
        assert_eq!(by_name[if descending { 4 } else { 0 }], "dag-json:100 percent");
    }
    assert_eq!(sorted(Some(PinSort::Type), true).await[..2], ["dag-cbor:-", "dag-pb:it's; DROP TABLE pins"]);
    let (_, by_cid) = place.ls(PinLs { sort: Some(PinSort::Cid), ..PinLs::default() }).await;
    let bytes: Vec<_> = by_cid.iter().map(|row| ipfs_kitd::cid::parse(&row.cid).expect("a CID").to_bytes()).collect();
    assert!(bytes.is_sorted());

    let page = async |limit, offset| {
        let (total, rows) = place.ls(PinLs { limit, offset, ..PinLs::default() }).await;
        assert_eq!(total, 6, "before limit and offset");
        rows.len()
    };
    assert_eq!((page(Some(2), 0).await, page(Some(2), 5).await, page(Some(0), 0).await), (2, 1, 0));
    assert_eq!((page(None, 4).await, page(Some(u64::MAX), 0).await, page(None, u64::MAX).await), (2, 6, 0));
}

#[tokio::test]
async fn a_row_says_what_is_known_and_null_for_the_rest() {
    let place = six().await;
    let (_, rows) = place.ls(PinLs::default()).await;
    let kinds: Vec<_> = rows.iter().map(|row| row.kind).collect();
    let (raw_block, other) = (Some(ContentKind::Raw), Some(ContentKind::Other));
    assert_eq!(kinds, [raw_block, None, other, None, raw_block, other]);
    let row = &rows[1];
    assert!(row.cid.starts_with("Qm"), "v0 as Kubo prints it");
    assert_eq!((row.size, row.size_kind, row.hotness, row.access_count), (None, SizeKind::Unknown, None, None));
    assert_eq!(row.first_seen, ipfs_kitd::time::text(minute(0)));
}

#[tokio::test]
async fn totals_count_types_codecs_and_ages() {
    let place = six().await;
    let totals = async |now| place.store.read(move |connection| query::totals(connection, now)).await.expect("totals");
    let now = totals(minute(60)).await;
    let told = |counts: &[proto_msgs::daemon::Count]| {
        counts.iter().map(|c| format!("{} {}", c.key, c.pins)).collect::<Vec<_>>()
    };
    assert_eq!((now.generation, now.pins, now.named), (2, 6, 5));
    assert_eq!(told(&now.by_type), ["recursive 4", "direct 2"]);
    assert_eq!(told(&now.by_codec), ["raw 2", "dag-pb 2", "dag-cbor 1", "dag-json 1"]);
    assert_eq!(told(&now.by_age), ["<1h 3", "1h-1d 3", "1d-7d 0", "7d-30d 0", ">=30d 0"]);
    let later = totals(minute(0) + SignedDuration::from_hours(24 * 30)).await;
    assert_eq!(told(&later.by_age), ["<1h 0", "1h-1d 0", "1d-7d 0", "7d-30d 3", ">=30d 3"]);
    let nothing = Place::new();
    let empty = nothing.store.read(move |connection| query::totals(connection, minute(0))).await.expect("totals");
    assert_eq!(
        (empty.pins, empty.by_codec.len(), told(&empty.by_type)),
        (0, 0, vec!["recursive 0".to_owned(), "direct 0".to_owned()])
    );
}

#[tokio::test]
async fn a_read_after_the_reply_to_a_write_sees_it() {
    let place = Place::new();
    for n in 0..50 {
        place.add(raw(n), RECURSIVE, "").await;
        let (total, rows) = place.ls(PinLs { descending: true, limit: Some(1), ..PinLs::default() }).await;
        assert_eq!((total, &rows[0].cid), (n + 1, &ipfs_kitd::cid::text(&raw(n))));
    }
}

#[tokio::test]
async fn a_hundred_thousand_pins_load_and_list_in_seconds() {
    let place = Place::new();
    let began = Instant::now();
    let name = |n: u64| if n.is_multiple_of(3) { format!("name {n}") } else { String::new() };
    place.list(minute(0), |l| l.added = (0..100_000).map(|n| pin(raw(n), RECURSIVE, &name(n))).collect()).await;
    place
        .list(minute(1), |l| {
            l.added = (100_000..100_500).map(|n| pin(raw(n), DIRECT, "")).collect();
            l.changed = (0..500).map(|n| pin(raw(n), DIRECT, "x")).collect();
            l.removed = (500..1000).map(|n| ipfs_kitd::cid::Key::of(&raw(n))).collect();
        })
        .await;
    assert_eq!(place.pins().await.len(), 100_000);
    let place = Place::of(place.close().await);
    let state = place.state();
    assert_eq!((state.set.len(), state.set.direct(), state.generation), (100_000, 1000, 2));
    assert!(began.elapsed() < LONG);
}
