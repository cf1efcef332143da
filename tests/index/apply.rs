//! What listings and single changes do to the index.

use crate::place::*;
use duckdb::Connection;
use ipfs_kitd::cid::Key;
use ipfs_kitd::index::apply::State;
use ipfs_kitd::index::error::IndexError;
use ipfs_kitd::index::set::Sums;
use proptest::prelude::*;
use proto_msgs::pin::{ContentKind, PinLs, SizeKind};
use std::collections::BTreeMap;

#[tokio::test]
async fn a_listing_is_applied_and_survives_a_restart() {
    let place = Place::new();
    let applied = place.list(minute(0), |l| {
        l.added =
            vec![pin(raw(1), RECURSIVE, "one"), pin(raw(2), DIRECT, ""), pin(raw(3), RECURSIVE, "drei ü \u{0}\n'")];
    });
    assert_eq!((applied.await.generation, place.state().complete), (1, true));
    let applied = place.list(minute(1), |l| {
        l.added = vec![pin(raw(4), RECURSIVE, "")];
        l.changed = vec![pin(raw(1), DIRECT, "uno"), pin(raw(2), DIRECT, ""), pin(raw(9), DIRECT, "absent")];
        l.removed = vec![Key::of(&raw(3)), Key::of(&raw(9))];
    });
    let applied = applied.await;
    assert_eq!((applied.generation, applied.added, applied.changed, applied.removed), (2, 1, 1, 1));
    let expected = vec![told(raw(1), DIRECT, "uno"), told(raw(2), DIRECT, ""), told(raw(4), RECURSIVE, "")];
    assert_eq!(place.pins().await, expected);
    let before = place.state();

    let place = Place::of(place.close().await);
    assert_eq!(place.pins().await, expected);
    let after = place.state();
    assert_eq!((after.generation, after.as_of, after.complete), (2, Some(minute(1)), true));
    assert_eq!((after.peer_id.as_deref(), after.recovery.as_deref()), (Some(NODE), None));
    let ids = |state: &ipfs_kitd::board::IndexState| state.set.iter().map(|e| (e.key(), e.id())).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before));
    place.list(minute(2), |l| l.added = vec![pin(raw(3), RECURSIVE, "")]).await;
    let id = place.state().set.get(&Key::of(&raw(3))).expect("pinned").id();
    assert!(ids(&before).iter().all(|(_, old)| *old < id), "an id is used once");
}

#[tokio::test]
async fn a_listing_never_overrides_what_was_touched_since_it_began() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "a"), pin(raw(2), RECURSIVE, "b")]).await;
    let (token, _) = place.begin().await;
    place.add(raw(3), RECURSIVE, "new").await;
    place.add(raw(1), RECURSIVE, "renamed").await;
    place.remove(raw(2)).await;
    // Changed and changed back: what the listing saw in between does not count either.
    place.add(raw(4), RECURSIVE, "").await;
    place.remove(raw(4)).await;
    let generation = place.state().generation;

    let mut stale = listing(token, minute(1));
    stale.added = vec![pin(raw(2), RECURSIVE, "b"), pin(raw(4), RECURSIVE, "")];
    stale.changed = vec![pin(raw(1), RECURSIVE, "a")];
    stale.removed = vec![Key::of(&raw(3))];
    let applied = place.apply(stale).await.expect("applied");
    assert_eq!((applied.generation, applied.added, applied.changed, applied.removed), (generation, 0, 0, 0));
    assert_eq!(place.pins().await, [told(raw(1), RECURSIVE, "renamed"), told(raw(3), RECURSIVE, "new")]);
    assert_eq!(place.state().as_of, Some(minute(1)));

    place.list(minute(2), |l| l.removed = vec![Key::of(&raw(3))]).await;
    assert_eq!(place.pins().await, [told(raw(1), RECURSIVE, "renamed")], "the next listing decides again");
}

#[tokio::test]
async fn an_older_listing_is_void_when_a_newer_one_has_begun() {
    let place = Place::new();
    let (old, _) = place.begin().await;
    let (new, _) = place.begin().await;
    let mut changes = listing(old, minute(0));
    changes.added = vec![pin(raw(1), RECURSIVE, "")];
    assert!(matches!(place.apply(changes).await, Err(IndexError::StaleListing)));
    assert!(matches!(place.unchanged(old, minute(0)).await, Err(IndexError::StaleListing)));
    assert_eq!((place.state().generation, place.state().complete), (0, false));
    place.unchanged(new, minute(1)).await.expect("the newer one counts");
}

#[tokio::test]
async fn a_listing_of_another_node_changes_nothing() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
    let mut foreign = listing(place.begin().await.0, minute(1));
    foreign.peer_id = "12D3KooWOther".to_owned();
    foreign.removed = vec![Key::of(&raw(1))];
    match place.apply(foreign).await {
        Err(IndexError::OtherNode { listed, owner }) => assert_eq!((&*listed, &*owner), ("12D3KooWOther", NODE)),
        other => panic!("{other:?}"),
    }
    assert_eq!(place.pins().await.len(), 1);
    assert_eq!(place.state().as_of, Some(minute(0)));
}

#[tokio::test]
async fn a_listing_that_fails_changes_nothing_at_all() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "a"), pin(raw(2), RECURSIVE, "")]).await;
    let before = place.state();
    let mut twice = listing(place.begin().await.0, minute(1));
    twice.added = vec![pin(raw(3), RECURSIVE, ""), pin(raw(3), DIRECT, "")];
    twice.changed = vec![pin(raw(1), DIRECT, "b")];
    twice.removed = vec![Key::of(&raw(2))];
    assert!(matches!(place.apply(twice).await, Err(IndexError::Twice)));
    let mut known = listing(place.begin().await.0, minute(1));
    known.added = vec![pin(raw(1), RECURSIVE, "")];
    assert!(matches!(place.apply(known).await, Err(IndexError::Twice)));
    assert_eq!(place.pins().await, [told(raw(1), RECURSIVE, "a"), told(raw(2), RECURSIVE, "")]);
    assert_eq!(place.number("SELECT count(*) FROM gone").await, 0);
    assert_eq!(place.number("SELECT generation FROM meta").await, 1);
    assert_eq!((place.state().generation, place.state().as_of), (before.generation, before.as_of));
    place.list(minute(2), |l| l.added = vec![pin(raw(3), RECURSIVE, "")]).await;
    assert_eq!(place.pins().await.len(), 3, "the next one is applied");
}

#[tokio::test]
async fn a_pin_that_goes_leaves_a_tombstone_and_comes_back_with_its_first_sight() {
    let place = Place::new();
    let seen = |pins: Vec<proto_msgs::pin::Pin>| pins.into_iter().map(|pin| pin.first_seen).collect::<Vec<_>>();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "a"), pin(raw(2), RECURSIVE, "")]).await;
    place.list(minute(10), |l| l.removed = vec![Key::of(&raw(1))]).await;
    assert_eq!(
        place.number("SELECT count(*) FROM gone WHERE name = 'a' AND generation = 1 AND gone_generation = 2").await,
        1
    );
    place.list(minute(60), |l| l.added = vec![pin(raw(1), RECURSIVE, "b")]).await;
    let (_, rows) = place.ls(PinLs { name: Some("b".to_owned()), ..PinLs::default() }).await;
    assert_eq!(seen(rows), [ipfs_kitd::time::text(minute(0))], "within the hour it is the same pin");
    place.list(minute(100), |l| l.removed = vec![Key::of(&raw(1))]).await;
    place.list(minute(161), |l| l.added = vec![pin(raw(1), RECURSIVE, "c")]).await;
    let (_, rows) = place.ls(PinLs { name: Some("c".to_owned()), ..PinLs::default() }).await;
    assert_eq!(seen(rows), [ipfs_kitd::time::text(minute(161))], "later it is a new one");
}

#[tokio::test]
async fn what_was_measured_comes_back_with_the_pin() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, ""), pin(raw(2), RECURSIVE, "")]).await;
    let measure = |connection: &Connection, _: &mut State| {
        Ok(connection.execute("UPDATE pins SET size = 7, size_kind = 2, kind = 2 WHERE id = 1", [])?)
    };
    assert_eq!(place.store.write(measure).await.expect("measured"), 1);
    place.remove(raw(1)).await;
    let (_, back) = place.add(raw(1), RECURSIVE, "again").await;
    assert_eq!((back.size, back.size_kind, back.kind), (Some(7), SizeKind::Exact, Some(ContentKind::Raw)));
    let (_, rows) = place.ls(PinLs { min_size: Some(7), ..PinLs::default() }).await;
    assert_eq!(rows, [back], "the other one's size is unknown");
}

#[tokio::test]
async fn what_a_pin_was_called_before_is_kept_with_the_generation_that_changed_it() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "a"), pin(raw(2), DIRECT, "")]).await;
    place.list(minute(1), |l| l.changed = vec![pin(raw(1), DIRECT, ""), pin(raw(2), DIRECT, "")]).await;
    place.add(raw(1), RECURSIVE, "b").await;
    assert_eq!(place.number("SELECT count(*) FROM changes").await, 2, "a change that changes nothing is none");
    let first = "SELECT count(*) FROM changes WHERE generation = 2 AND type_before = 0 AND name_before = 'a'
        AND type = 1 AND name IS NULL";
    let second = "SELECT count(*) FROM changes WHERE generation = 3 AND type_before = 1 AND name_before IS NULL
        AND type = 0 AND name = 'b'";
    assert_eq!((place.number(first).await, place.number(second).await), (1, 1));
}

#[tokio::test]
async fn a_listing_that_changes_nothing_moves_the_age_alone() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
    let before = place.state();
    place.unchanged(place.begin().await.0, minute(1)).await.expect("noted");
    let mut same = listing(place.begin().await.0, minute(2));
    same.changed = vec![pin(raw(1), RECURSIVE, "")];
    assert_eq!(place.apply(same).await.expect("applied").generation, 1);
    let after = place.state();
    assert_eq!((after.generation, after.as_of), (1, Some(minute(2))));
    assert!(std::sync::Arc::ptr_eq(&before.set, &after.set));
    assert_eq!(place.number("SELECT as_of_us FROM meta").await, minute(0).as_microsecond(), "not worth a write");
    let mut open = listing(place.begin().await.0, minute(3));
    open.whole = false;
    place.apply(open).await.expect("applied");
    assert_eq!(place.state().as_of, Some(minute(2)), "a listing that leaves something open dates nothing");
    let place = Place::of(place.close().await);
    assert_eq!(place.state().as_of, Some(minute(2)), "an ordered stop keeps it");
}

#[tokio::test]
async fn an_empty_first_listing_makes_the_index_complete() {
    let place = Place::new();
    assert!(!place.state().complete);
    place.unchanged(place.begin().await.0, minute(0)).await.expect("noted");
    assert_eq!(place.number("SELECT count(*) FROM meta WHERE complete AND peer_id IS NOT NULL").await, 1);
    assert_eq!((place.state().complete, place.state().generation), (true, 0));
}

#[tokio::test]
async fn adding_is_idempotent_and_renames_and_retypes() {
    let place = Place::new();
    let (generation, first) = place.add(raw(1), RECURSIVE, "").await;
    assert_eq!((generation, first.name.clone()), (1, None), "an empty name is none");
    assert_eq!(place.add(raw(1), RECURSIVE, "").await, (1, first.clone()));
    let (generation, renamed) = place.add(raw(1), RECURSIVE, "a").await;
    assert_eq!((generation, renamed.name.as_deref()), (2, Some("a")));
    assert_eq!(renamed.first_seen, first.first_seen);
    assert_eq!(place.add(raw(1), DIRECT, "a").await.0, 3);
    assert_eq!(place.pins().await, [told(raw(1), DIRECT, "a")]);
    assert_eq!((place.remove(raw(1)).await, place.remove(raw(1)).await), (4, 4));
    assert_eq!(place.pins().await, []);
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, bool, u8),
    Remove(u64),
    /// What a listing shows: pins by number, type and name.
    List(BTreeMap<u64, (bool, u8)>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..20u64, any::<bool>(), 0..3u8).prop_map(|(n, direct, name)| Step::Add(n, direct, name)),
        3 => (0..20u64).prop_map(Step::Remove),
        3 => prop::collection::btree_map(0..20u64, (any::<bool>(), 0..3u8), 0..20).prop_map(Step::List),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..15)
}

fn words(direct: bool, name: u8) -> (proto_msgs::pin::PinType, &'static str) {
    (if direct { DIRECT } else { RECURSIVE }, ["", "a", "ü"][name as usize])
}

async fn walk(steps: Vec<Step>) {
    let mut place = Place::new();
    let mut model = BTreeMap::<u64, (bool, u8)>::new();
    let mut generation = 0;
    for step in steps {
        let before = model.clone();
        match step {
            Step::Add(n, direct, name) => {
                let (pin_type, text) = words(direct, name);
                place.add(raw(n), pin_type, text).await;
                model.insert(n, (direct, name));
            }
            Step::Remove(n) => {
                place.remove(raw(n)).await;
                model.remove(&n);
            }
            Step::List(shown) => {
                place
                    .list(minute(1), |l| {
                        for (n, (direct, name)) in &shown {
                            let (pin_type, text) = words(*direct, *name);
                            match model.get(n) {
                                None => l.added.push(pin(raw(*n), pin_type, text)),
                                Some(old) if *old != (*direct, *name) => {
                                    l.changed.push(pin(raw(*n), pin_type, text));
                                }
                                Some(_) => {}
                            }
                        }
                        l.removed =
                            model.keys().filter(|n| !shown.contains_key(n)).map(|n| Key::of(&raw(*n))).collect();
                    })
                    .await;
                model = shown;
            }
            Step::Reopen => place = Place::of(place.close().await),
        }
        generation += u64::from(before != model);
        assert_eq!(place.state().generation, generation, "counts changes and nothing else");
    }
    let mut pins = place.pins().await;
    pins.sort();
    let mut expected: Vec<_> =
        model.iter().map(|(n, (d, name))| (*n, words(*d, *name))).map(|(n, (t, s))| told(raw(n), t, s)).collect();
    expected.sort();
    assert_eq!(pins, expected);
    let (_, keyed) = place.begin().await;
    let mut sums = Sums::default();
    for (cid, pin_type, name) in &expected {
        sums.add(&keyed, cid, *pin_type, Some(name));
    }
    assert_eq!(place.state().set.sums(), sums);
    for (n, (direct, name)) in &model {
        let (entry, (pin_type, text)) =
            (place.state().set.get(&Key::of(&raw(*n))).expect("pinned"), words(*direct, *name));
        assert_eq!((entry.pin_type(), entry.name_hash()), (pin_type, keyed.name_hash(Some(text))));
    }
    place.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn file_set_and_sums_agree_with_a_map_after_any_history(steps in steps()) {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(walk(steps));
    }
}
