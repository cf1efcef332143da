//! Each actor made to panic under load: nobody else notices.

use crate::kit::{DEADLINE, Kit, identity_cid};
use proto_msgs::daemon::{IndexRefresh, Metrics, Status};
use proto_msgs::kubo::KuboStart;
use proto_msgs::lock::LockCheck;
use proto_msgs::pin::{PinAdd, PinLs};
use proto_msgs::state::StateSystem;
use proto_msgs::verb::Verb;
use proto_msgs::{Client, ClientError, FaultKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Calls a verb again and again over one connection; every failure must be a typed fault that says what it was.
fn load<V: Verb + Clone + Send + 'static>(
    kit: &Kit,
    verb: V,
    run: &Arc<AtomicBool>,
    faults: &Arc<AtomicUsize>,
) -> thread::JoinHandle<()> {
    let (mut client, run, faults) = (kit.client(), run.clone(), faults.clone());
    thread::spawn(move || {
        while run.load(Ordering::Relaxed) {
            match client.call_with(verb.clone(), Some(DEADLINE), |_| Ok(())) {
                Ok(_) => {}
                Err(ClientError::Fault(fault)) => {
                    assert!(matches!(fault.kind, FaultKind::Interrupted | FaultKind::Busy), "{}: {fault:?}", V::NAME);
                    faults.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => panic!("{}: {error}", V::NAME),
            }
        }
    })
}

fn survives(actor: &str) {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(PinAdd { cid: identity_cid("kept"), name: None, direct: false });
    let before = kit.status();
    let descriptors = kit.index_descriptors();
    assert!(!descriptors.is_empty());

    let (run, faults) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let loads = [
        load(&kit, PinLs::default(), &run, &faults),
        load(&kit, Metrics {}, &run, &faults),
        load(&kit, IndexRefresh { wait: true, names: false }, &run, &faults),
        load(&kit, LockCheck {}, &run, &faults),
        load(&kit, KuboStart {}, &run, &faults),
        load(&kit, Status {}, &run, &faults),
    ];
    let fault = format!("{actor}.message");
    kit.panic_at(&fault);
    while kit.panic_is_pending(&fault) {
        // For the server, whose message is a new connection, which is lost with it.
        drop(Client::connect(&kit.socket(), "bait"));
    }
    let after =
        kit.until("restarted", |s| s.daemon.actors.iter().any(|a| a.name == actor && a.restarts == 1 && a.running));
    run.store(false, Ordering::Relaxed);
    for load in loads {
        load.join().expect("only typed faults");
    }

    assert_eq!(after.kubo.pid, before.kubo.pid, "the same Kubo");
    assert_eq!(kit.index_descriptors(), descriptors, "the index was not opened a second time");
    let entry = after.daemon.actors.iter().find(|a| a.name == actor).expect("an actor");
    assert!(entry.last_failure.as_ref().is_some_and(|f| f.detail.contains("fault point")), "{entry:?}");
    let others = after.daemon.actors.iter().filter(|a| a.name != actor).map(|a| a.restarts).sum::<u64>();
    assert_eq!(others, 0, "nobody else was restarted: {:?}", after.daemon.actors);
    let fresh = kit.call(PinAdd { cid: identity_cid("after"), name: None, direct: false });
    assert_eq!(fresh.generation, before.index.generation + 1);
    assert_eq!(kit.pins().len(), 2);
    assert_eq!(kit.stop().code(), Some(0));
    assert_eq!(kit.recorded("signal 15"), 1);
}

#[test]
fn s22_a_panic_of_the_supervisor_is_survived() {
    survives("supervisor");
}

#[test]
fn s22_a_panic_of_index_is_survived() {
    survives("index");
}

#[test]
fn s22_a_panic_of_kubo_is_survived() {
    survives("kubo");
}

#[test]
fn s22_a_panic_of_the_janitor_is_survived() {
    survives("janitor");
}

#[test]
fn s22_a_panic_of_the_indexer_is_survived() {
    survives("indexer");
}

#[test]
fn s22_a_panic_of_analytics_is_survived() {
    survives("analytics");
}

#[test]
fn s22_a_panic_of_the_server_is_survived() {
    survives("server");
}

#[test]
fn s22_a_panic_in_the_start_of_an_actor_is_counted_and_survived() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.panic_at("janitor.start");
    kit.panic_at("janitor.message");
    let fault = kit.fault(LockCheck {});
    assert_eq!(fault.kind, FaultKind::Interrupted);
    let status =
        kit.until("restarted", |s| s.daemon.actors.iter().any(|a| a.name == "janitor" && a.restarts == 2 && a.running));
    let janitor = status.daemon.actors.into_iter().find(|a| a.name == "janitor").and_then(|a| a.last_failure);
    assert_eq!(janitor.expect("a failure").detail, "it failed while it was starting");
    kit.call(LockCheck {});
    assert_eq!(kit.stop().code(), Some(0));
}

#[test]
fn s22_more_panics_than_allowed_end_in_an_ordered_stop_and_exit_1() {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(PinAdd { cid: identity_cid("kept"), name: None, direct: false });
    let mut client = kit.client();
    let mut panics = 0;
    // Until the daemon, which is stopping, closes the connection or refuses.
    loop {
        kit.panic_at("analytics.message");
        match client.call_with(Metrics {}, Some(DEADLINE), |_| Ok(())) {
            Ok(_) => {}
            Err(ClientError::Fault(fault)) if fault.kind == FaultKind::Interrupted => panics += 1,
            Err(ClientError::Fault(fault)) if fault.kind == FaultKind::NotReady => break,
            Err(ClientError::Fault(fault)) => panic!("{fault:?}"),
            Err(_) => break,
        }
        assert!(panics < 50, "it never gives up");
    }
    assert_eq!(panics, 6, "five restarts are allowed");
    assert_eq!(kit.ended().code(), Some(1));
    assert_eq!((kit.recorded("signal 15"), kit.recorded("exit 0")), (1, 1));
    assert!(kit.log().contains("the analytics actor failed more than 5 times"), "{}", kit.log());
    assert!(!kit.path("data/index/pins.duckdb.wal").exists(), "the index was closed");
    kit.start_whole();
    assert_eq!(kit.pins().len(), 1);
}

const CHILDREN: [&str; 8] = ["index", "janitor", "kubo", "indexer", "enricher", "node_state", "analytics", "server"];

/// The daemon has given up: exit 1, nothing left behind, Kubo asked once if it was there.
fn gave_up(kit: &mut Kit, actor: &str) {
    assert_eq!(kit.ended().code(), Some(1), "{actor}");
    assert!(kit.log().contains(&format!("the {actor} actor failed more than 5 times")), "{}", kit.log());
    assert!(!kit.socket().exists(), "{actor}: the socket is left");
    assert!(!kit.path("data/index/pins.duckdb.wal").exists(), "{actor}: the index was not closed");
    assert_eq!(kit.recorded("signal"), kit.recorded("start"), "{actor}");
    assert_eq!(kit.recorded("exit 0"), kit.recorded("start"), "{actor}");
    assert!(!kit.log().contains("did not stop"), "{}", kit.log());
}

#[test]
fn s22_an_actor_that_fails_at_each_start_ends_the_daemon_that_was_never_ready() {
    let mut kits = CHILDREN.map(|actor| {
        let mut kit = Kit::fake();
        kit.panic_at(&format!("{actor}.start.always"));
        kit.spawn();
        (actor, kit)
    });
    for (actor, kit) in &mut kits {
        gave_up(kit, actor);
        assert!(!kit.log().contains(r#""message":"ready""#), "{actor}: {}", kit.log());
    }
}

#[test]
fn s22_whichever_actor_fails_too_often_the_stop_is_in_order() {
    let mut kits = CHILDREN.map(|actor| {
        let mut kit = Kit::fake();
        kit.env("IPFS_KITD_STATE_INTERVAL", "1s").start_whole();
        let client = kit.client();
        // Some work without being asked.
        let point = match actor {
            "enricher" => "round",
            "node_state" => "sample",
            _ => "message",
        };
        kit.panic_at(&format!("{actor}.{point}.always"));
        (actor, kit, client)
    });
    for (actor, kit, client) in &mut kits {
        // Until nobody is there any more.
        let one = Some(DEADLINE);
        for n in 0.. {
            let called = match *actor {
                "index" => client.call_with(PinLs::default(), one, |_| Ok(())).map(drop),
                "janitor" => client.call_with(LockCheck {}, one, |_| Ok(())).map(drop),
                "kubo" => client.call_with(KuboStart {}, one, |_| Ok(())).map(drop),
                "indexer" => client.call_with(IndexRefresh { wait: true, names: false }, one, |_| Ok(())).map(drop),
                "enricher" => {
                    let add = PinAdd { cid: identity_cid(&format!("work {n}")), name: None, direct: false };
                    client.call_with(add, one, |_| Ok(())).map(drop)
                }
                "node_state" => client.call_with(StateSystem::default(), one, |_| Ok(())).map(drop),
                "analytics" => client.call_with(Metrics {}, one, |_| Ok(())).map(drop),
                _ => Client::connect(&kit.socket(), "bait").map(drop),
            };
            match called {
                Ok(()) => {}
                Err(ClientError::Fault(fault)) => {
                    let kinds = [FaultKind::Interrupted, FaultKind::NotReady, FaultKind::KuboDown, FaultKind::Conflict];
                    assert!(kinds.contains(&fault.kind), "{actor}: {fault:?}");
                }
                Err(_) => break,
            }
        }
        gave_up(kit, actor);
    }
}
