//! A snapshot answers as the index did that it was taken from.

use crate::place::*;
use crate::snapshot::{publish, snapshots};
use ipfs_kitd::cid::{Cid, text};
use ipfs_kitd::index::frozen::Frozen;
use ipfs_kitd::index::{history, query};
use ipfs_kitd::snapshot::place::Place as Snapshots;
use proto_msgs::FaultKind;
use proto_msgs::daemon::Metrics;
use proto_msgs::pin::*;
use proto_msgs::verb::{Call, Done, Part, Verb};
use std::collections::BTreeMap;
use std::fs;

/// Pins of every kind, with and without name, size and marks; some that went, came back, or were called otherwise before.
pub(crate) async fn varied() -> Place {
    let place = Place::new();
    let v0 = Cid::new_v0(sha(2)).expect("sha2-256");
    let v1 = Cid::new_v1(0x70, sha(2));
    place
        .list(minute(0), |l| {
            l.added = vec![
                pin(raw(1), RECURSIVE, "100% sure"),
                pin(v0, RECURSIVE, "under_score"),
                pin(v1, DIRECT, ""),
                pin(Cid::new_v1(0x71, sha(3)), DIRECT, "ünï 日本"),
                pin(Cid::new_v1(0x0129, sha(4)), RECURSIVE, "a\nb, \"c\""),
                pin(Cid::new_v1(0x70, sha(5)), RECURSIVE, ""),
                pin(Cid::new_v1(0x1234_5678, sha(6)), DIRECT, "it's"),
            ];
        })
        .await;
    place.add(raw(7), RECURSIVE, "late").await;
    place.remove(raw(1)).await;
    place.add(raw(1), DIRECT, "back").await;
    place.list(minute(2), |l| l.changed = vec![pin(raw(7), RECURSIVE, "renamed"), pin(v0, DIRECT, "retyped")]).await;
    place.remove(Cid::new_v1(0x70, sha(5))).await;
    place
        .sql(
            "UPDATE pins SET size = 10 * id, size_kind = 2, kind = id % 4 WHERE id IN (1, 2, 4);
             UPDATE pins SET size = 7, size_kind = 1, kind = 1 WHERE id = 3;
             INSERT INTO marks SELECT cid, ['keep', 'zz;'], 'a note', 'cold', first_seen, 1 FROM pins WHERE id = 2;
             INSERT INTO marks SELECT cid, [], NULL, 'hot', first_seen, 2 FROM pins WHERE id = 3;
             INSERT INTO marks SELECT cid, ['keep'], NULL, NULL, first_seen, 3 FROM gone LIMIT 1;",
        )
        .await;
    place
}

pub(crate) async fn frozen(place: &Place) -> Frozen {
    let to = snapshots(place);
    publish(place, &to).await.expect("published");
    Frozen::read(&to).expect("readable")
}

/// What it answers, and the rows before that.
pub(crate) fn ask<V: Verb>(frozen: &Frozen, verb: V) -> Result<(V::Reply, Vec<Part>), proto_msgs::Fault> {
    let mut parts = Vec::new();
    let mut take = |part| {
        parts.push(part);
        Ok(())
    };
    let done: Done = frozen.answer(verb.into(), &mut take).expect("answerable")?;
    Ok((V::reply(done).expect("its reply"), parts))
}

fn pins(parts: Vec<Part>) -> Vec<Pin> {
    let pins = |part| match part {
        Part::PinLs(rows) => rows.pins,
        other => panic!("{other:?}"),
    };
    parts.into_iter().flat_map(pins).collect()
}

fn changes(parts: Vec<Part>) -> Vec<PinChange> {
    let changes = |part| match part {
        Part::PinChanges(rows) => rows.changes,
        other => panic!("{other:?}"),
    };
    parts.into_iter().flat_map(changes).collect()
}

/// Every filter and every pair of them, in every order; then every window of one of them.
fn questions() -> Vec<PinLs> {
    let since = || Some(minute(1).to_string());
    let filters: [fn(&mut PinLs, Option<String>); 8] = [
        |ask, _| ask.pin_type = Some(RECURSIVE),
        |ask, _| ask.pin_type = Some(DIRECT),
        |ask, _| ask.name = Some("a".to_owned()),
        |ask, _| ask.tag = Some("keep".to_owned()),
        |ask, _| ask.tag = Some("zz;".to_owned()),
        |ask, _| ask.tier = Some("hot".to_owned()),
        |ask, _| ask.min_size = Some(8),
        |ask, since| ask.since = since,
    ];
    let mut questions = vec![PinLs::default()];
    for (at, one) in filters.iter().enumerate() {
        for other in &filters[at..] {
            let mut ask = PinLs::default();
            one(&mut ask, since());
            other(&mut ask, since());
            questions.push(ask);
        }
    }
    let sorts = [PinSort::Cid, PinSort::Name, PinSort::Type, PinSort::Codec, PinSort::Size, PinSort::FirstSeen];
    let sorts = [None].into_iter().chain(sorts.map(Some)).flat_map(|sort| [(sort, false), (sort, true)]);
    let sorted = |ask: &PinLs| {
        let ask = ask.clone();
        sorts.clone().map(move |(sort, descending)| PinLs { sort, descending, ..ask.clone() })
    };
    let mut all: Vec<PinLs> = questions.iter().flat_map(sorted).collect();
    all.extend((0..9).map(|offset| PinLs { offset, limit: Some(2), sort: Some(PinSort::Name), ..PinLs::default() }));
    all
}

#[tokio::test]
async fn every_filter_sort_and_window_gives_the_rows_of_the_index() {
    let place = varied().await;
    let frozen = frozen(&place).await;
    let mut not_empty = 0;
    for question in questions() {
        let asked = question.clone();
        let online = place.store.read(move |connection| {
            let since = asked.since.as_deref().map(|since| since.parse().expect("a time"));
            let chosen = query::choose(connection, &asked, since)?;
            Ok((chosen.generation, chosen.total, query::rows(connection, &chosen.keys)?))
        });
        let online = online.await.expect("rows");
        let (page, parts) = ask(&frozen, question.clone()).expect("rows");
        not_empty += usize::from(page.total > 0);
        assert_eq!((page.generation, page.total, pins(parts)), online, "{question:?}");
        assert_eq!((page.source, page.complete), (Source::Snapshot, true));
        assert_eq!(page.as_of, place.state().as_of.map(ipfs_kitd::time::text));
        assert!(page.age_s.is_some_and(|age| age >= 0.0));
    }
    assert!(not_empty > 200, "{not_empty}");
}

#[tokio::test]
async fn history_differences_totals_and_single_pins_are_those_of_the_index() {
    let place = varied().await;
    let frozen = frozen(&place).await;
    let newest = place.state().generation;
    let cids: Vec<String> = place.pins().await.into_iter().map(|(cid, ..)| cid).collect();
    let gone = text(&Cid::new_v1(0x70, sha(5)));
    for cid in cids.iter().chain([&gone]).map(|cid| Some(cid.clone())).chain([None]) {
        let of = cid.as_deref().map(|cid| ipfs_kitd::cid::parse(cid).expect("a CID"));
        let online = place.store.read(move |connection| {
            let chosen = history::choose(connection, of.as_ref(), Some(20), 0)?;
            Ok((chosen.total, history::rows(connection, &chosen.keys)?))
        });
        let online = online.await.expect("history");
        let (page, parts) = ask(&frozen, PinHistory { cid, limit: Some(20), offset: 0 }).expect("history");
        assert_eq!((page.total, changes(parts)), online);
    }
    for (from, to) in (0..=newest).flat_map(|from| (0..=newest).map(move |to| (from, to))) {
        let verb = PinDiff { from, to, limit: None, offset: 0 };
        let asked = verb.clone();
        let online = place.store.read(move |connection| {
            let chosen = history::choose_differing(connection, &asked)?.expect("kept");
            Ok((chosen.total, history::differing(connection, &asked, &chosen.keys)?))
        });
        let online = online.await.expect("differences");
        let (page, parts) = ask(&frozen, verb).expect("differences");
        assert_eq!((page.total, changes(parts)), online, "{from} {to}");
    }
    let now = jiff::Timestamp::now();
    let totals = place.store.read(move |connection| query::totals(connection, now)).await.expect("totals");
    let metrics = ask(&frozen, Metrics {}).expect("totals").0;
    assert_eq!(
        (metrics.pins, metrics.named, &metrics.by_codec, &metrics.by_size, metrics.bytes, metrics.generation),
        (totals.pins, totals.named, &totals.by_codec, &totals.by_size, totals.bytes, newest)
    );
    let rows: BTreeMap<String, Pin> =
        place.ls(PinLs::default()).await.1.into_iter().map(|pin| (pin.cid.clone(), pin)).collect();
    for cid in &cids {
        let pins = ask(&frozen, PinInfo { cid: cid.clone() }).expect("pinned").0.pins;
        assert_eq!(Some(&pins[0]), rows.get(cid));
        let both = cid == &text(&Cid::new_v0(sha(2)).expect("sha2-256")) || cid == &text(&Cid::new_v1(0x70, sha(2)));
        assert_eq!(pins.len(), 1 + usize::from(both));
    }
    let fault = ask(&frozen, PinInfo { cid: gone.clone() }).expect_err("gone");
    let hint = format!("a pinned parent may hold it: `ipfs pin ls {gone}`");
    assert_eq!((fault.kind, fault.hint), (FaultKind::NotFound, Some(hint)), "and nothing that needs the daemon");
    let unknown = PinHistory { cid: Some(text(&raw(99))), limit: None, offset: 0 };
    assert_eq!(ask(&frozen, unknown).expect_err("never pinned").kind, FaultKind::NotFound);
    let later = PinDiff { from: 0, to: newest + 1, limit: None, offset: 0 };
    assert_eq!(ask(&frozen, later).expect_err("not yet").kind, FaultKind::NotFound);
    let refused = Call::from(PinRm { cid: gone });
    assert!(frozen.answer(refused, &mut |_| Ok(())).is_none());
}

#[tokio::test]
async fn one_that_is_damaged_or_does_not_fit_is_passed_over_for_the_one_before() {
    let place = Place::new();
    place.list(minute(0), |l| l.added = vec![pin(raw(1), RECURSIVE, "")]).await;
    let to = snapshots(&place);
    let first = publish(&place, &to).await.expect("published");
    place.add(raw(2), RECURSIVE, "").await;
    let second = publish(&place, &to).await.expect("published");
    // Its digests are right, and its rows make no index.
    place.add(raw(3), RECURSIVE, "").await;
    place.sql("INSERT INTO pins SELECT id + 1000, * EXCLUDE id FROM pins LIMIT 1").await;
    let third = publish(&place, &to).await.expect("published");
    let file = to.dir().join(&second.name).join("marks.parquet");
    let mut bytes = fs::read(&file).expect("bytes");
    bytes[10] ^= 1;
    fs::write(&file, bytes).expect("written");
    let frozen = Frozen::read(&to).expect("the first");
    let at = ask(&frozen, proto_msgs::snapshot::SnapshotPath {}).expect("a snapshot").0;
    assert_eq!(at.manifest, first);
    let said = at.passed_over.join("; ");
    assert!(said.contains(&format!("{}: ", third.name)) && said.contains("have the same CID"), "{said}");
    assert!(said.contains(&format!("{}: marks.parquet", second.name)), "{said}");
    let (page, parts) = ask(&frozen, PinLs::default()).expect("rows");
    assert_eq!((page.generation, pins(parts).len()), (first.generation, 1));
    fs::remove_dir_all(to.dir().join(&first.name)).expect("removed");
    let reasons = Frozen::read(&to).err().expect("nothing is left");
    assert!(reasons.iter().any(|reason| reason.starts_with(&second.name)), "{reasons:?}");
    assert_eq!(Frozen::read(&Snapshots::at(&place.path().join("none"))).err(), Some(Vec::new()));
}
