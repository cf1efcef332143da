//! The index and analytics actors as the rest of the daemon asks them.

use crate::place::*;
use clap::Parser;
use futures_util::future::join_all;
use ipfs_kitd::analytics::actor::{Analytics, AnalyticsArgs};
use ipfs_kitd::analytics::cycle::Desk;
use ipfs_kitd::analytics::evidence::recorder::Recorder;
use ipfs_kitd::board::{Board, StopReason};
use ipfs_kitd::cid::{Cid, Key, text};
use ipfs_kitd::config::{Config, Flags};
use ipfs_kitd::fault::ask;
use ipfs_kitd::index::actor::{Index, IndexArgs, Probe};
use ipfs_kitd::index::apply::{ApplyAdded, ApplyRemoved, BeginListing};
use ipfs_kitd::index::mark::What;
use ipfs_kitd::index::marks::Say;
use ipfs_kitd::index::sizes::{ApplySizes, Measured};
use ipfs_kitd::kubo::memory;
use ipfs_kitd::outside::Turns;
use ipfs_kitd::supervisor::{Life, Stop};
use kameo::actor::{ActorRef, Spawn};
use proto_msgs::FaultKind;
use proto_msgs::daemon::Metrics;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{Pin, PinInfo, PinLs, PinRows, SizeKind, Source};
use proto_msgs::verb::Part;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub(crate) struct Actors {
    pub(crate) board: Arc<Board>,
    pub(crate) index: ActorRef<Index>,
    args: IndexArgs,
}

/// The configuration without any settings.
pub(crate) fn config() -> watch::Receiver<Arc<Config>> {
    let flags = Flags::parse_from(["ipfs-kitd", "--data-dir", "/d", "--runtime-dir", "/r", "--ipfs-path", "/i"]);
    watch::channel(Arc::new(Config::load(&flags).expect("a configuration"))).1
}

pub(crate) fn actors(place: &Place) -> Actors {
    let kubo = memory::before_start(&config().borrow());
    let board = Arc::new(Board::new(kubo, place.store.state()));
    let args = IndexArgs { life: Life::new("index", &board), board: board.clone(), store: place.store.clone() };
    Actors { board, index: Index::spawn(args.clone()), args }
}

fn added(cid: Cid) -> ApplyAdded {
    ApplyAdded { cid, pin_type: RECURSIVE, name: None }
}

pub(crate) async fn with_pins(count: u64) -> Place {
    let place = Place::new();
    place.list(minute(0), |l| l.added = (0..count).map(|n| pin(raw(n), RECURSIVE, "")).collect()).await;
    place
}

#[tokio::test]
async fn a_listing_comes_in_parts_and_holds_nobody_up_while_nobody_reads_it() {
    let place = with_pins(40_000).await;
    let Actors { board, index, .. } = actors(&place);
    let (page, mut rows) = ask(&index, PinLs::default()).await.expect("a listing");
    assert_eq!((page.total, page.generation, page.complete, page.source), (40_000, 1, true, Source::Index));
    assert_eq!(page.as_of, Some(ipfs_kitd::time::text(minute(0))));
    // A client that reads slowly: writes, checkpoints and other listings go on.
    let (generation, _) = ask(&index, added(raw(99_999))).await.expect("added");
    ask(&index, ApplyRemoved { cid: raw(39_999) }).await.expect("removed");
    let checkpoint = || place.store.write(|connection, _| Ok(connection.execute_batch("CHECKPOINT")?));
    // Refused while a page is being read, and only then.
    let checkpointed = async { while checkpoint().await.is_err() {} };
    tokio::time::timeout(LONG, checkpointed).await.expect("no transaction waits for the client");
    board.kubo.send_modify(|kubo| kubo.state = KuboState::Running);
    let (of_the_last_run, _unread) = ask(&index, PinLs::default()).await.expect("a listing");
    assert_eq!(of_the_last_run.source, Source::Index);
    board.refresh.send_modify(|refresh| refresh.run = Some(0));
    let (other, _dropped) = ask(&index, PinLs::default()).await.expect("a listing");
    assert_eq!((other.total, other.generation, other.source), (40_000, generation + 1, Source::Live));
    let mut cids = Vec::new();
    while let Some(part) = rows.recv().await {
        let Part::PinLs(PinRows { pins }) = part.expect("rows") else { panic!("no rows") };
        assert!(!pins.is_empty() && pins.len() <= PinRows::MAX);
        cids.extend(pins.into_iter().map(|pin| pin.cid));
    }
    let expected: Vec<_> = (0..39_999).map(|n| text(&raw(n))).collect();
    assert!(cids == expected, "as chosen, without the pin that went away");
}

#[tokio::test]
async fn a_listing_after_another_has_every_change_that_came_between() {
    let place = with_pins(3).await;
    let Actors { index, .. } = actors(&place);
    let listed = async |asked: PinLs| {
        let (page, mut rows) = ask(&index, asked).await.expect("a listing");
        let mut pins = Vec::new();
        while let Some(part) = rows.recv().await {
            let Part::PinLs(PinRows { pins: some }) = part.expect("rows") else { panic!("no rows") };
            pins.extend(some);
        }
        (page.generation, page.total, pins)
    };
    let cids = |pins: &[Pin]| pins.iter().map(|pin| pin.cid.clone()).collect::<Vec<_>>();
    let expected = |of: &[u64]| of.iter().map(|n| text(&raw(*n))).collect::<Vec<_>>();
    for _ in 0..2 {
        let (generation, total, pins) = listed(PinLs::default()).await;
        assert_eq!((generation, total, cids(&pins)), (1, 3, expected(&[0, 1, 2])));
    }
    let (_, total, pins) = listed(PinLs { limit: Some(1), offset: 1, ..PinLs::default() }).await;
    assert_eq!((total, cids(&pins)), (3, expected(&[1])));
    ask(&index, added(raw(7))).await.expect("added");
    ask(&index, ApplyRemoved { cid: raw(0) }).await.expect("removed");
    let (generation, total, pins) = listed(PinLs::default()).await;
    assert_eq!((generation, total, cids(&pins)), (3, 3, expected(&[1, 2, 7])));
    let what = What::tags(vec!["kept".to_owned()], Vec::new()).expect("tags");
    ask(&index, Say { cid: raw(1), what }).await.expect("said");
    assert_eq!(listed(PinLs::default()).await.2[0].tags, ["kept"]);
    let id = place.state().set.get(&Key::of(&raw(2))).expect("pinned").id();
    let measured = Measured { id, size: Some((17, SizeKind::Exact)), kind: None };
    ask(&index, ApplySizes(vec![measured])).await.expect("written");
    assert_eq!(listed(PinLs::default()).await.2[1].size, Some(17));
}

#[tokio::test]
async fn a_pin_is_found_by_any_form_of_its_cid() {
    let place = Place::new();
    let Actors { index, .. } = actors(&place);
    let (v0, v1, raw) = (Cid::new_v0(sha(1)).expect("sha2-256"), Cid::new_v1(0x70, sha(1)), raw(1));
    let info = async |cid: String| ask(&index, PinInfo { cid }).await;
    let fault = info(v0.to_string()).await.expect_err("nothing yet");
    assert_eq!(fault.kind, FaultKind::NotFound);
    for cid in [v0, v1] {
        ask(&index, added(cid)).await.expect("added");
    }
    let cids = |reply: proto_msgs::pin::PinInfoReply| reply.pins.into_iter().map(|pin| pin.cid).collect::<Vec<_>>();
    let base58 = v1.to_string_of_base(cid::multibase::Base::Base58Btc).expect("base58");
    assert_eq!(cids(info(base58).await.expect("pinned")), [text(&v1), text(&v0)], "exactly this one first");
    assert_eq!(cids(info(v0.to_string()).await.expect("pinned")), [text(&v0), text(&v1)]);
    assert_eq!(cids(info(text(&raw)).await.expect("the block is pinned")).len(), 2);
    assert_eq!(info(text(&crate::place::raw(2))).await.expect_err("not pinned").kind, FaultKind::NotFound);
    assert_eq!(info("hello".to_owned()).await.expect_err("no CID").kind, FaultKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_changes_take_place_in_the_order_of_the_messages() {
    let place = Place::new();
    let Actors { index, .. } = actors(&place);
    let change = async |n: u64| match n % 2 {
        0 => ask(&index, added(raw(1))).await.map(|(generation, _)| generation),
        _ => ask(&index, ApplyRemoved { cid: raw(1) }).await,
    };
    let done = join_all((0..40).map(change)).await;
    let generations: Vec<_> = done.into_iter().map(|done| done.expect("applied")).collect();
    assert_eq!(generations, (1..=40).collect::<Vec<_>>());
    assert_eq!(place.pins().await, []);
}

#[tokio::test]
async fn another_incarnation_finds_everything_where_it_was() {
    let place = with_pins(3).await;
    let Actors { index, args, .. } = actors(&place);
    let (token, _) = ask(&index, BeginListing).await.expect("begun");
    ask(&index, ApplyRemoved { cid: raw(1) }).await.expect("removed");
    index.kill();
    index.wait_for_shutdown().await;
    let index = Index::spawn(args);
    let mut stale = listing(token, minute(1));
    stale.added = vec![pin(raw(1), RECURSIVE, ""), pin(raw(7), RECURSIVE, "")];
    ask(&index, stale).await.expect("the listing goes on");
    let cids: Vec<_> = place.pins().await.into_iter().map(|pin| pin.0).collect();
    assert_eq!(cids, [text(&raw(0)), text(&raw(2)), text(&raw(7))], "what was touched is still known");
}

#[tokio::test]
async fn a_stop_closes_the_file_and_later_calls_are_told_so() {
    let place = with_pins(3).await;
    let Actors { index, .. } = actors(&place);
    let last = ask(&index, added(raw(9)));
    let (last, stopped) = tokio::join!(last, index.ask(Stop).into_future());
    assert_eq!(last.expect("queued before the stop").0, 2);
    stopped.expect("stopped");
    assert!(!place.wal().exists());
    assert_eq!(ask(&index, added(raw(10))).await.expect_err("closed").kind, FaultKind::NotReady);
    assert_eq!(ask(&index, PinLs::default()).await.map(drop).expect_err("closed").kind, FaultKind::NotReady);
}

#[tokio::test]
async fn file_and_set_that_have_drifted_apart_end_the_daemon() {
    let place = with_pins(3).await;
    let Actors { board, index, .. } = actors(&place);
    place
        .store
        .write(|connection, _| Ok(connection.execute_batch("DELETE FROM pins WHERE id = 2")?))
        .await
        .expect("gone");
    let fault = ask(&index, added(raw(9))).await.expect_err("noticed");
    assert_eq!(fault.kind, FaultKind::Interrupted, "{fault}");
    assert!(matches!(&*board.stopping.borrow(), Some(StopReason::GaveUp(_))));
    assert_eq!(place.number("SELECT count(*) FROM pins").await, 2, "nothing more was stored");
    assert_eq!(place.state().generation, 1);
}

#[tokio::test]
async fn metrics_are_counted_once_for_each_generation() {
    let place = with_pins(3).await;
    let Actors { board, index, .. } = actors(&place);
    let life = Life::new("analytics", &board);
    // Nobody looks at accesses, nor saves anything.
    let mut quiet = Config::clone(&config().borrow());
    quiet.analytics.interval = Duration::ZERO;
    let config = watch::channel(Arc::new(quiet)).1;
    let recorder = Recorder::start(place.store.clone(), board.clone(), config.clone());
    let (desk, turns) = (Desk::default(), Turns::default());
    let args = AnalyticsArgs { life, board: board.clone(), config, index: index.clone(), recorder, desk, turns };
    let analytics = Analytics::spawn(args);
    let report = ask(&analytics, Metrics {}).await.expect("a report");
    assert_eq!((report.pins, report.named, report.generation, report.bytes), (3, 0, 1, None));
    assert_eq!((report.by_codec.len(), report.by_codec[0].pins), (1, 3));
    place
        .store
        .write(|connection, _| Ok(connection.execute_batch("UPDATE pins SET name = 'x'")?))
        .await
        .expect("renamed");
    assert_eq!(ask(&analytics, Metrics {}).await.expect("a report").named, 0, "the same generation");
    ask(&index, added(raw(9))).await.expect("added");
    let report = ask(&analytics, Metrics {}).await.expect("a report");
    assert_eq!((report.pins, report.named, report.generation), (4, 3, 2));
}

#[tokio::test]
async fn a_probe_is_answered_by_the_writer_and_not_before_what_it_does_is_done() {
    let place = with_pins(1).await;
    let Actors { index, .. } = actors(&place);
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let job = place.store.write(move |_, _| {
        let _ = wait.recv();
        Ok(())
    });
    let mut answer = std::pin::pin!(ask(&index, Probe));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut answer).await.is_err(), "the writer is at work");
    done.send(()).expect("it waits");
    answer.await.expect("answered");
    job.await.expect("done");
}
