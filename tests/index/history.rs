//! What is known of the past.

use crate::place::*;
use ipfs_kitd::cid::{Cid, Key, text};
use ipfs_kitd::index::history::{self, NotKept};
use ipfs_kitd::index::prune::{self, Forget};
use jiff::SignedDuration;
use proptest::prelude::*;
use proto_msgs::pin::{PinChange, PinDiff, PinEvent, PinType};
use std::collections::BTreeMap;

/// Number of the CID, type and name.
type Pins = BTreeMap<u64, (bool, u8)>;

fn words(direct: bool, name: u8) -> (PinType, &'static str) {
    (if direct { DIRECT } else { RECURSIVE }, ["", "a", "b"][usize::from(name)])
}

async fn history(place: &Place, of: Option<Cid>, limit: Option<u64>, offset: u64) -> (u64, Vec<PinChange>) {
    let read = place.store.read(move |connection| {
        let chosen = history::choose(connection, of.as_ref(), limit, offset)?;
        Ok((chosen.total, history::rows(connection, &chosen.keys)?))
    });
    read.await.expect("a history")
}

/// Total and rows, or the generation that is not known.
pub(crate) async fn diff(place: &Place, ask: PinDiff) -> Result<(u64, Vec<PinChange>), NotKept> {
    let read = place.store.read(move |connection| match history::choose_differing(connection, &ask)? {
        Ok(chosen) => Ok(Ok((chosen.total, history::differing(connection, &ask, &chosen.keys)?))),
        Err(kept) => Ok(Err(kept)),
    });
    read.await.expect("a difference")
}

pub(crate) fn between(from: u64, to: u64) -> PinDiff {
    PinDiff { from, to, limit: None, offset: 0 }
}

/// One line a change, without the CID's text.
fn line(change: &PinChange) -> String {
    let before = |change: &PinChange| {
        let of_type = change.type_before.map(PinType::name)?;
        Some(format!(" was {of_type} {}", change.name_before.as_deref().unwrap_or("-")))
    };
    let generation = change.generation.map(|generation| format!("{generation} ")).unwrap_or_default();
    let (event, of_type) = (change.event.name(), change.pin_type.name());
    let name = change.name.as_deref().unwrap_or("-");
    format!("{generation}{event} {of_type} {name}{}", before(change).unwrap_or_default())
}

#[tokio::test]
async fn a_pin_is_shown_as_it_was_called_each_time_newest_first() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "one"), pin(raw(2), DIRECT, "")]).await;
    place.list(minute(1), |l| l.changed = vec![pin(raw(1), RECURSIVE, "uno")]).await;
    place.list(minute(2), |l| l.changed = vec![pin(raw(1), DIRECT, "")]).await;
    place.list(minute(3), |l| l.removed = vec![Key::of(&raw(1))]).await;
    // Within the hour in which it counts as the same pin, whose first sight stays.
    place.list(minute(4), |l| l.added = vec![pin(raw(1), RECURSIVE, "again")]).await;

    let (total, rows) = history(&place, Some(raw(1)), None, 0).await;
    let expected = [
        "5 added recursive again",
        "4 removed direct -",
        "3 retyped direct - was recursive uno",
        "2 renamed recursive uno was recursive one",
        "1 added recursive one",
    ];
    assert_eq!((total, rows.iter().map(line).collect::<Vec<_>>()), (5, expected.map(str::to_owned).to_vec()));
    let times: Vec<_> = rows.iter().map(|row| row.at.clone().expect("a time")).collect();
    assert_eq!(times, [4, 3, 2, 1, 0].map(|n| ipfs_kitd::time::text(minute(n))), "each when it was seen");
    assert!(rows.iter().all(|row| row.cid == text(&raw(1))));

    let (total, rows) = history(&place, None, Some(2), 1).await;
    assert_eq!(
        (total, rows.iter().map(line).collect::<Vec<_>>()),
        (6, expected[1..3].iter().map(|s| (*s).to_owned()).collect())
    );
    assert_eq!(history(&place, Some(raw(9)), None, 0).await.0, 0);
}

#[tokio::test]
async fn the_history_of_a_dag_is_found_by_both_versions_of_its_cid() {
    let place = Place::new();
    let (v0, v1) = (Cid::new_v0(sha(1)).expect("sha2-256"), Cid::new_v1(0x70, sha(1)));
    place.add(v0, RECURSIVE, "").await;
    for form in [v0, v1] {
        assert_eq!(history(&place, Some(form), None, 0).await.1[0].cid, text(&v0));
    }
    assert_eq!(history(&place, Some(Cid::new_v1(0x55, sha(1))), None, 0).await.0, 0, "another codec, another content");
}

#[tokio::test]
async fn generations_that_are_not_there_are_refused_with_those_that_are() {
    let place = Place::new();
    place.add(raw(1), RECURSIVE, "").await;
    place.add(raw(2), RECURSIVE, "").await;
    assert_eq!(diff(&place, between(0, 3)).await, Err(NotKept { generation: 3, oldest: 0, newest: 2 }));
    assert_eq!(diff(&place, between(0, 2)).await.map(|(total, _)| total), Ok(2));
    assert_eq!(diff(&place, between(2, 2)).await.map(|(total, _)| total), Ok(0));
    let some = PinDiff { limit: Some(1), offset: 1, ..between(0, 2) };
    let (total, rows) = diff(&place, some).await.expect("kept");
    assert_eq!((total, rows.len(), &rows[0].cid), (2, 1, &text(&raw(2))));
}

#[tokio::test]
async fn what_went_long_ago_is_forgotten_and_what_is_kept_stays_right() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "one"), pin(raw(2), DIRECT, "")]).await;
    place.list(minute(1), |l| l.changed = vec![pin(raw(1), RECURSIVE, "uno")]).await;
    place.list(minute(2), |l| l.removed = vec![Key::of(&raw(2))]).await;
    place.list(minute(3), |l| l.changed = vec![pin(raw(1), RECURSIVE, "eins")]).await;
    place.list(minute(4), |l| l.added = vec![pin(raw(3), RECURSIVE, "")]).await;
    let kept = diff(&place, between(3, 5)).await;
    let forget = async |before| {
        let forget = Forget { before };
        place.store.write(move |connection, state| prune::forget(connection, state, forget)).await.expect("forgotten")
    };
    let changes = place.state().changes;
    // Places of `minute` begin now; nothing is older than the generation before the first.
    assert_eq!((forget(minute(-9)).await, place.state().changes), (0, changes), "and nothing is written");
    // The third generation is the newest that began before: what made it is forgotten, what came after it stays.
    assert_eq!(forget(minute(2) + SignedDuration::from_secs(1)).await, 5);
    assert_eq!(diff(&place, between(3, 5)).await, kept);
    assert_eq!(diff(&place, between(2, 5)).await, Err(NotKept { generation: 2, oldest: 3, newest: 5 }));
    assert_eq!(history(&place, Some(raw(2)), None, 0).await.0, 0);
    assert_eq!(place.store.verify().await.expect("looked at").problems, [] as [String; 0]);
    assert_eq!(forget(minute(2) + SignedDuration::from_secs(1)).await, 0);
}

#[derive(Clone, Debug)]
enum Step {
    One(u64, Option<(bool, u8)>),
    List(Pins),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state = || (any::<bool>(), 0..3_u8);
    let pins = prop::collection::btree_map(0..8_u64, state(), 0..8);
    let one = (0..8_u64, prop::option::of(state())).prop_map(|(n, state)| Step::One(n, state));
    prop::collection::vec(prop_oneof![6 => one, 3 => pins.prop_map(Step::List), 1 => Just(Step::Reopen)], 0..12)
}

async fn take(place: &Place, model: &Pins, step: &Pins) {
    place
        .list(minute(1), |l| {
            for (n, (direct, name)) in step {
                let (pin_type, name) = words(*direct, *name);
                match model.get(n) {
                    None => l.added.push(pin(raw(*n), pin_type, name)),
                    Some(_) => l.changed.push(pin(raw(*n), pin_type, name)),
                }
            }
            l.removed = model.keys().filter(|n| !step.contains_key(n)).map(|n| Key::of(&raw(*n))).collect();
        })
        .await;
}

/// The pins at each generation against what the index says of any two of them, and of what happened.
async fn walk(steps: Vec<Step>) {
    let mut place = Place::new();
    let mut past: Vec<Pins> = vec![Pins::new()];
    for step in steps {
        let before = past.last().cloned().expect("one");
        let mut now = before.clone();
        match step {
            Step::One(n, Some((direct, name))) => {
                let (pin_type, text) = words(direct, name);
                place.add(raw(n), pin_type, text).await;
                now.insert(n, (direct, name));
            }
            Step::One(n, None) => {
                place.remove(raw(n)).await;
                now.remove(&n);
            }
            Step::List(pins) => {
                take(&place, &before, &pins).await;
                now = pins;
            }
            Step::Reopen => place = Place::of(place.close().await),
        }
        if now != before {
            past.push(now);
        }
    }
    let numbers: BTreeMap<String, u64> = (0..8).map(|n| (text(&raw(n)), n)).collect();
    let state = |pin_type, name: &Option<String>| {
        (
            pin_type == DIRECT,
            ["", "a", "b"].iter().position(|n| *n == name.as_deref().unwrap_or_default()).expect("a name") as u8,
        )
    };
    let apply = |pins: &mut Pins, change: &PinChange| {
        let n = numbers[&change.cid];
        let before = pins.get(&n).copied();
        match change.event {
            PinEvent::Removed => assert_eq!(pins.remove(&n), Some(state(change.pin_type, &change.name))),
            event => {
                pins.insert(n, state(change.pin_type, &change.name));
                assert_eq!(before, change.type_before.map(|of_type| state(of_type, &change.name_before)));
                assert_eq!(event == PinEvent::Added, before.is_none());
                assert_eq!(
                    event == PinEvent::Retyped,
                    before.is_some_and(|before| before.0 != (change.pin_type == DIRECT))
                );
            }
        }
    };
    for from in 0..past.len() {
        for to in 0..past.len() {
            let (total, rows) = diff(&place, between(from as u64, to as u64)).await.expect("kept");
            assert_eq!(total, rows.len() as u64);
            let mut pins = past[from].clone();
            rows.iter().for_each(|change| apply(&mut pins, change));
            assert_eq!(pins, past[to], "{from} to {to}");
            let same = past[from].iter().filter(|(n, state)| past[to].get(n) == Some(state)).count();
            let union = past[from].keys().chain(past[to].keys()).collect::<std::collections::BTreeSet<_>>().len();
            assert_eq!(rows.len(), union - same, "no row too many");
        }
    }
    let (total, mut rows) = history(&place, None, None, 0).await;
    assert_eq!(total, rows.len() as u64);
    rows.reverse();
    let mut pins = Pins::new();
    for (generation, expected) in past.iter().enumerate().skip(1) {
        rows.iter().filter(|row| row.generation == Some(generation as u64)).for_each(|change| apply(&mut pins, change));
        assert_eq!(&pins, expected, "generation {generation}");
    }
    place.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn history_and_differences_agree_with_the_pins_of_every_generation(steps in steps()) {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(walk(steps));
    }
}
