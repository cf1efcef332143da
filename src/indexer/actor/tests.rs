//! The indexer against the real index and a Kubo that answers as the test wants it.

mod rig;

use super::*;
use crate::cid;
use crate::fault;
use crate::index::apply::{ApplyAdded, ApplyRemoved};
use proto_msgs::pin::PinType;
use rig::{DEADLINE, Rig, cid_of, soon};
use std::collections::BTreeMap;

/// The task of the refresh under way panics.
struct Panic;

impl Message<Panic> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Panic, _: &mut Context<Self, ()>) {
        let round = self.refreshing.as_ref().expect("a refresh").round;
        let outcome = tokio::spawn(async { panic!("on purpose") }).await;
        self.finished(round, outcome);
    }
}

/// A word from a refresh of a former incarnation.
struct Late;

impl Message<Late> for Indexer {
    type Reply = ();

    async fn handle(&mut self, _: Late, _: &mut Context<Self, ()>) {
        self.finished(u64::MAX, Ok((Ok(Found { added: 99, ..Found::default() }), Suspects::default())));
    }
}

#[tokio::test]
async fn the_first_refresh_begins_when_kubo_is_ready_and_fills_the_index() {
    let rig = Rig::filled().await;
    let state = rig.board.index.borrow().clone();
    assert_eq!((state.set.recursive(), state.set.direct(), state.generation), (4, 1, 1));
    assert_eq!((state.complete, state.peer_id.as_deref()), (true, Some("peer-a")));
    let refresh = rig.board.refresh.borrow().clone();
    assert_eq!((refresh.failed, refresh.last_error, refresh.interval), (0, None, Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_refresh_that_finds_nothing_new_moves_only_the_time() {
    let rig = Rig::filled().await;
    let before = rig.board.index.borrow().clone();
    let done = rig.refresh().await.expect("a refresh");
    assert!(done.done && (done.added, done.changed, done.removed, done.missing) == (0, 0, 0, 0));
    let after = rig.board.index.borrow().clone();
    assert_eq!(after.generation, before.generation);
    assert!(after.as_of > before.as_of);
    assert!(Arc::ptr_eq(&after.set, &before.set));
}

#[tokio::test]
async fn added_renamed_and_retyped_pins_are_found_by_one_listing() {
    let rig = Rig::filled().await;
    rig.kubo.pin(6, "");
    rig.kubo.pin(1, "eins");
    rig.kubo.change(|a| drop(a.direct.remove(&cid::text(&cid_of(5)))));
    rig.kubo.pin(5, "");
    let done = rig.refresh().await.expect("a refresh");
    assert_eq!((done.added, done.changed, done.removed, done.generation), (1, 2, 0, 2));
    assert_eq!(rig.kubo.listings(), 2);
}

/// As the actor has it for many pins between two cycles of names.
const UNNAMED: Plan = Plan { full: false, confirm: true, names: false, stream_above: 1000 };

#[tokio::test]
async fn without_names_pins_are_compared_and_only_new_ones_asked_for_theirs() {
    let rig = Rig::filled().await;
    let quiet = rig.cycle(UNNAMED).await.expect("a refresh");
    assert_eq!((quiet, rig.kubo.looked_up()), (Found::default(), 0), "the sums are equal");
    rig.kubo.pin(1, "renamed");
    rig.kubo.pin(6, "six");
    rig.kubo.unpin(2);
    rig.kubo.change(|a| drop(a.direct.remove(&cid::text(&cid_of(5)))));
    rig.kubo.pin(5, "five");
    let found = rig.cycle(UNNAMED).await.expect("a refresh");
    assert_eq!((found.added, found.changed, found.removed, found.named), (1, 1, 1, false));
    assert_eq!((rig.pinned(), rig.kubo.looked_up()), (vec![1, 3, 4, 5, 6], 2));
    assert_eq!((rig.name(6).await.as_deref(), rig.name(5).await.as_deref()), (Some("six"), Some("five")));
    assert_eq!(rig.name(1).await.as_deref(), Some("one"), "an old name is the next cycle's affair");
    let found = rig.cycle(Plan { names: true, ..UNNAMED }).await.expect("a refresh");
    assert_eq!((found.added, found.changed, found.named), (0, 1, true));
    assert_eq!(rig.name(1).await.as_deref(), Some("renamed"));
}

#[tokio::test]
async fn d15_a_streamed_listing_finds_what_an_unstreamed_one_finds() {
    let streamed = Plan { stream_above: 0, ..UNNAMED };
    let rig = Rig::filled().await;
    assert_eq!(rig.cycle(streamed).await.expect("a refresh"), Found::default());
    rig.kubo.pin(1, "eins");
    rig.kubo.pin(6, "six");
    rig.kubo.unpin(2);
    let found = rig.cycle(Plan { names: true, ..streamed }).await.expect("a refresh");
    assert_eq!((found.added, found.changed, found.removed), (1, 1, 1));
    assert_eq!((rig.pinned(), rig.name(1).await.as_deref()), (vec![1, 3, 4, 5, 6], Some("eins")));

    rig.kubo.change(|a| (a.cut, a.recursive) = (true, BTreeMap::new()));
    assert_eq!(rig.cycle(streamed).await.expect_err("cut").kind, FaultKind::Kubo);
    assert_eq!(rig.pinned(), [1, 3, 4, 5, 6], "what is cut changes nothing");
}

#[tokio::test]
async fn a_pause_lasts_until_somebody_resumes_and_a_request_is_answered_all_the_same() {
    let rig = Rig::filled().await;
    soon(fault::ask(&rig.indexer, IndexPause {})).await.expect("paused");
    rig.kubo.pin(6, "");
    rig.down();
    rig.up();
    soon(rig.indexer.ask(Due).into_future()).await.expect("alive");
    assert_eq!((rig.board.refresh.borrow().paused, rig.board.refresh.borrow().finished), (true, 1));
    assert_eq!(rig.refresh().await.expect("a refresh").added, 1);
    assert!(rig.board.refresh.borrow().paused, "one request is no resumption");
    rig.kubo.pin(7, "");
    soon(fault::ask(&rig.indexer, IndexResume {})).await.expect("resumed");
    rig.finished(3).await;
    assert_eq!(rig.pinned(), [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn a_request_is_answered_by_a_refresh_that_began_after_it() {
    let mut rig = Rig::filled().await;
    rig.kubo.open.send_replace(false);
    rig.refresh_soon().await;
    rig.listing_asked().await;
    rig.kubo.pin(9, "");
    let waiter = rig.queued().await;
    rig.kubo.open.send_replace(true);
    let done = soon(waiter).await.expect("no panic").expect("a refresh");
    assert_eq!((done.added, rig.kubo.listings()), (1, 3));
    assert_eq!(rig.pinned(), [1, 2, 3, 4, 5, 9]);
}

#[tokio::test]
async fn one_absence_is_no_removal_unless_somebody_waits_for_a_second_look() {
    let rig = Rig::filled().await;
    rig.kubo.unpin(2);
    let as_of = rig.board.index.borrow().as_of;
    rig.refresh_soon().await;
    rig.finished(2).await;
    assert_eq!((rig.pinned(), rig.generation()), (vec![1, 2, 3, 4, 5], 1));
    assert_eq!(rig.board.index.borrow().as_of, as_of, "what is open is not said to be equal");
    rig.refresh_soon().await;
    rig.finished(3).await;
    assert_eq!((rig.pinned(), rig.kubo.listings()), (vec![1, 3, 4, 5], 3));

    rig.kubo.unpin(3);
    let done = rig.refresh().await.expect("a refresh");
    assert_eq!((done.removed, done.missing, rig.kubo.listings()), (1, 0, 5));
    assert_eq!(rig.pinned(), [1, 4, 5]);
}

#[tokio::test]
async fn a_pin_that_comes_back_before_the_second_look_was_never_gone() {
    let rig = Rig::filled().await;
    rig.kubo.unpin(2);
    rig.refresh_soon().await;
    rig.finished(2).await;
    rig.kubo.pin(2, "");
    rig.refresh_soon().await;
    rig.finished(3).await;
    rig.kubo.unpin(2);
    rig.refresh_soon().await;
    rig.finished(4).await;
    assert_eq!((rig.pinned(), rig.generation()), (vec![1, 2, 3, 4, 5], 1));
}

#[tokio::test]
async fn when_most_pins_are_missing_a_second_listing_decides_at_once() {
    let rig = Rig::filled().await;
    rig.kubo.change(|a| (a.recursive, a.direct) = Default::default());
    rig.refresh_soon().await;
    rig.finished(2).await;
    assert_eq!((rig.pinned(), rig.kubo.listings()), (vec![], 3));
    assert!(rig.board.index.borrow().complete, "an empty set is data");
}

#[tokio::test]
async fn a_listing_that_is_cut_changes_nothing_and_the_next_one_works() {
    let rig = Rig::filled().await;
    rig.kubo.change(|a| (a.cut, a.recursive) = (true, BTreeMap::new()));
    let fault = rig.refresh().await.expect_err("cut");
    assert_eq!(fault.kind, FaultKind::Kubo);
    let refresh = rig.board.refresh.borrow().clone();
    assert_eq!((refresh.failed, refresh.finished, refresh.last_error), (1, 1, Some(fault.detail)));
    assert_eq!((rig.pinned(), rig.generation()), (vec![1, 2, 3, 4, 5], 1));

    rig.kubo.change(|a| a.cut = false);
    rig.kubo.pin(6, "");
    rig.refresh().await.expect("whole");
    let refresh = rig.board.refresh.borrow().clone();
    assert_eq!((refresh.failed, refresh.finished, refresh.last_error), (0, 2, None));
}

#[tokio::test]
async fn a_node_that_takes_anothers_place_in_the_middle_is_not_believed() {
    let rig = Rig::filled().await;
    rig.kubo.change(|a| (a.peers, a.recursive) = (vec!["peer-a", "peer-b"], BTreeMap::new()));
    assert_eq!(rig.refresh().await.expect_err("two nodes").kind, FaultKind::Kubo);
    assert_eq!(rig.refresh().await.expect_err("the wrong node").kind, FaultKind::Conflict);
    assert_eq!(rig.pinned(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_pin_that_cannot_be_read_is_named_and_hides_no_other() {
    let rig = Rig::filled().await;
    rig.kubo.change(|a| drop(a.recursive.insert("bodd".to_owned(), String::new())));
    rig.kubo.pin(6, "");
    assert_eq!(rig.refresh().await.expect("a refresh").added, 1);
    let refresh = rig.board.refresh.borrow().clone();
    assert_eq!((refresh.failed, refresh.finished), (0, 2));
    assert!(refresh.last_error.is_some_and(|error| error.contains("\"bodd\"")));
}

#[tokio::test]
async fn what_is_changed_singly_while_a_listing_runs_is_not_overridden_by_it() {
    let mut rig = Rig::filled().await;
    rig.kubo.unpin(4);
    rig.refresh_soon().await;
    rig.finished(2).await;
    rig.listing_asked().await;
    rig.kubo.open.send_replace(false);
    rig.kubo.pin(9, "");
    let waiter = rig.waiter();
    rig.listing_asked().await;
    // The listing that is under way has 3 and 9, and neither 4 nor 8.
    for n in [4, 8] {
        let pin = ApplyAdded { cid: cid_of(n), pin_type: PinType::Recursive, name: None };
        fault::ask(&rig.index, pin).await.expect("added");
        rig.kubo.pin(n, "");
    }
    for n in [3, 9] {
        fault::ask(&rig.index, ApplyRemoved { cid: cid_of(n) }).await.expect("removed");
        rig.kubo.unpin(n);
    }
    rig.kubo.open.send_replace(true);
    soon(waiter).await.expect("no panic").expect("a refresh");
    assert_eq!(rig.pinned(), [1, 2, 4, 5, 8]);
    assert_eq!(rig.generation(), 3, "only 8 and 3 were news, and nothing followed them");
}

#[tokio::test]
async fn while_kubo_is_gone_nothing_is_tried_and_nothing_fails() {
    let mut rig = Rig::filled().await;
    rig.down();
    assert_eq!(rig.refresh().await.expect_err("down").kind, FaultKind::KuboDown);
    rig.kubo.pin(6, "");
    rig.up();
    rig.finished(2).await;
    rig.listing_asked().await;
    assert_eq!(rig.pinned(), [1, 2, 3, 4, 5, 6]);

    rig.kubo.open.send_replace(false);
    let waiter = rig.waiter();
    rig.listing_asked().await;
    rig.down();
    assert_eq!(soon(waiter).await.expect("no panic").expect_err("gone").kind, FaultKind::KuboDown);
    assert_eq!(rig.board.refresh.borrow().failed, 0);
    assert_eq!(*rig.board.last_error.borrow(), None);
}

#[tokio::test]
async fn a_shorter_interval_counts_at_once() {
    let rig = Rig::filled().await;
    let config = Config { interval: Duration::from_millis(1), ..Config::clone(&rig.config.borrow()) };
    rig.config.send_replace(Arc::new(config));
    rig.finished(4).await;
    assert!(rig.board.refresh.borrow().interval < Duration::from_secs(3600));
}

#[tokio::test]
async fn a_word_from_a_former_incarnation_is_not_taken_for_this_ones() {
    let mut rig = Rig::filled().await;
    rig.kubo.open.send_replace(false);
    rig.kubo.pin(6, "");
    let waiter = rig.waiter();
    rig.listing_asked().await;
    rig.indexer.ask(Late).await.expect("alive");
    rig.kubo.open.send_replace(true);
    assert_eq!(soon(waiter).await.expect("no panic").expect("a refresh").added, 1);
}

#[tokio::test]
async fn a_refresh_that_panics_restarts_the_actor_and_whoever_waited_is_told() {
    let mut rig = Rig::filled().await;
    rig.kubo.open.send_replace(false);
    let waiter = rig.waiter();
    rig.listing_asked().await;
    let later = rig.queued().await;
    rig.indexer.ask(Panic).await.expect_err("it panicked");
    for waiting in [soon(waiter).await, soon(later).await] {
        assert_eq!(waiting.expect("no panic").expect_err("interrupted").kind, FaultKind::Interrupted);
    }
    rig.kubo.open.send_replace(true);
    rig.kubo.pin(6, "");
    rig.refresh().await.expect("the same reference, the next incarnation");
    assert_eq!(rig.pinned(), [1, 2, 3, 4, 5, 6]);
    let restarts: Vec<_> = rig.board.actors.borrow().iter().map(|a| (a.name.clone(), a.restarts, a.running)).collect();
    assert!(restarts.contains(&("indexer".to_owned(), 1, true)), "{restarts:?}");
}

#[tokio::test]
async fn after_the_stop_nobody_waits_and_nothing_begins() {
    let mut rig = Rig::filled().await;
    rig.kubo.open.send_replace(false);
    let waiter = rig.waiter();
    rig.listing_asked().await;
    let later = rig.queued().await;
    soon(rig.indexer.ask(Stop).into_future()).await.expect("stopped");
    for waiting in [soon(waiter).await, soon(later).await] {
        assert_eq!(waiting.expect("no panic").expect_err("stopping").kind, FaultKind::NotReady);
    }
    assert_eq!(rig.refresh().await.expect_err("stopped").kind, FaultKind::NotReady);
    soon(rig.store.close(DEADLINE)).await;
}
