//! `kill -9` while everything is written at once: listings, marks, checkpoints, snapshots.

use crate::kit::{Kit, eventually, identity_cid};
use ipfs_kitd::snapshot::place::Place;
use proto_msgs::daemon::{Condition, IndexRefresh};
use proto_msgs::pin::PinTag;
use proto_msgs::snapshot::{SnapshotNow, SnapshotVerify};
use proto_msgs::upkeep::{IndexCompact, IndexVerify};
use proto_msgs::verb::Verb;
use proto_msgs::{Client, ClientError};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Pins that are always there, and those that come and go with every listing.
const STAY: usize = 2_000;
const TURN: usize = 500;
/// Who tags at the same time.
const TAGGERS: usize = 2;

/// What the rounds have shown.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// Tags that the daemon had acknowledged; all of them were there at the end.
    pub(crate) tags: usize,
    /// Listings that were waited for.
    pub(crate) refreshes: usize,
    /// Snapshots that were answered.
    pub(crate) snapshots: usize,
    /// Checkpoints that were, with the journal written anew.
    pub(crate) checkpoints: usize,
    /// From each start to the readiness.
    pub(crate) reopened: Vec<Duration>,
}

/// Kills a daemon so often, checks after each kill what is on disk and after each start what it knows.
pub(crate) fn rounds(rounds: usize) -> Rounds {
    let mut kit = Kit::fake();
    kit.start_whole();
    let acknowledged = Mutex::new(Vec::new());
    let (next, refreshes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (snapshots, checkpoints) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut seen = Rounds::default();
    for round in 0..rounds {
        let dead = AtomicBool::new(false);
        let before = acknowledged.lock().expect("whole").len();
        let enough = before + 1 + rand::random_range(0..40);
        std::thread::scope(|scope| {
            let (kit, dead) = (&kit, &dead);
            for _ in 0..TAGGERS {
                scope.spawn(|| {
                    let Ok(mut client) = Client::connect(&kit.socket(), "test") else { return };
                    while !dead.load(Ordering::Relaxed) {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if client.call(tag(n, &["kept"])).is_ok() {
                            acknowledged.lock().expect("whole").push(n);
                        }
                    }
                });
            }
            scope.spawn(|| {
                while !dead.load(Ordering::Relaxed) {
                    turn(kit, refreshes.load(Ordering::Relaxed));
                    let refreshed = asked(kit, IndexRefresh { wait: true, names: false });
                    refreshes.fetch_add(usize::from(refreshed.is_ok()), Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                while !dead.load(Ordering::Relaxed) {
                    let compacted = asked(kit, IndexCompact {});
                    checkpoints.fetch_add(usize::from(compacted.is_ok()), Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                while !dead.load(Ordering::Relaxed) {
                    let made = asked(kit, SnapshotNow { arrow: round % 2 == 0 });
                    snapshots.fetch_add(usize::from(made.is_ok()), Ordering::Relaxed);
                }
            });
            let count = || acknowledged.lock().expect("whole").len();
            eventually(|| count() >= enough, || format!("round {round}: nothing is acknowledged any more"));
            kit.signal(nix::sys::signal::Signal::SIGKILL);
            dead.store(true, Ordering::Relaxed);
        });
        kit.ended();
        let place = Place::open(&kit.path("data/snapshots")).expect("a directory");
        if let Some(newest) = place.newest().expect("a whole manifest") {
            let (_, chosen, passed_over) = place.choose().expect("a good snapshot");
            assert_eq!((chosen.name, passed_over), (newest.name, vec![]), "round {round}");
        }
        let began = Instant::now();
        kit.start();
        seen.reopened.push(began.elapsed());
        let acknowledged = acknowledged.lock().expect("whole");
        assert_kept(&kit, &acknowledged[before..]);
        assert_eq!(kit.status().index.recovery, None, "round {round}");
        // Every row, every set, every record.
        assert_eq!(kit.call(IndexVerify {}).problems, [] as [String; 0], "round {round}");
        kit.wait(Condition::IndexComplete);
    }
    let acknowledged = acknowledged.into_inner().expect("whole");
    assert_kept(&kit, &acknowledged);
    kit.call(IndexRefresh { wait: true, names: false });
    let pins = kit.pins();
    assert!(pins.len() == STAY || pins.len() == STAY + TURN, "{} pins", pins.len());
    kit.call(SnapshotNow::default());
    assert!(kit.call(SnapshotVerify { snapshot: None }).snapshots.iter().all(|check| check.problems.is_empty()));
    Rounds {
        tags: acknowledged.len(),
        refreshes: refreshes.into_inner(),
        snapshots: snapshots.into_inner(),
        checkpoints: checkpoints.into_inner(),
        ..seen
    }
}

/// What a daemon answers that may be dead.
fn asked<V: Verb>(kit: &Kit, verb: V) -> Result<V::Reply, ClientError> {
    Client::connect(&kit.socket(), "test")?.call(verb)
}

fn tag(n: usize, add: &[&str]) -> PinTag {
    let add = add.iter().map(|tag| (*tag).to_owned()).collect();
    PinTag { cid: identity_cid(&format!("tagged {n}")), add, remove: vec![] }
}

fn assert_kept(kit: &Kit, acknowledged: &[usize]) {
    let mut client = kit.client();
    for n in acknowledged {
        assert_eq!(client.call(tag(*n, &[])).expect("an answer").tags, ["kept"], "{n}");
    }
}

/// Has a part of the pins come or go.
fn turn(kit: &Kit, n: usize) {
    let pins: Vec<String> = (0..STAY + TURN * (n % 2)).map(|n| identity_cid(&format!("pin {n}"))).collect();
    let pins: Vec<_> = pins.iter().map(|cid| (cid.as_str(), "recursive", "")).collect();
    kit.set_fake_pins(&pins);
}

#[test]
fn d1_kills_during_listings_tags_checkpoints_and_snapshots_lose_nothing_that_was_acknowledged() {
    let seen = rounds(8);
    assert!(seen.tags >= 8 && seen.snapshots > 0 && seen.refreshes > 0 && seen.checkpoints > 0, "{seen:?}");
}
