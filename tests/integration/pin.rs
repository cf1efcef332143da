//! Pins through the daemon, and listings that come late, cut, or wrong.

use crate::kit::{DEADLINE, Kit, eventually, identity_cid};
use proto_msgs::daemon::{Condition, IndexRefresh, Metrics};
use proto_msgs::event::{Events, PinEnd, What};
use proto_msgs::kubo::{KuboStart, KuboStop};
use proto_msgs::pin::{PinAdd, PinBegin, PinInfo, PinRm, PinType, PinUpdate, PinVerify, PinsUnderWay, Source};
use proto_msgs::verb::Verb;
use proto_msgs::{Client, ClientError, FaultKind};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

fn add(cid: &str) -> PinAdd {
    PinAdd { cid: cid.to_owned(), name: None, direct: false }
}

#[test]
fn a_pin_added_or_removed_through_the_daemon_is_seen_by_the_next_listing() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("one");
    let added = kit.call(PinAdd { cid: cid.clone(), name: Some("first".into()), direct: false });
    assert_eq!((added.pin.name.as_deref(), added.pin.pin_type), (Some("first"), PinType::Recursive));
    assert_eq!(kit.pins(), std::slice::from_ref(&cid));
    let again = kit.call(PinAdd { cid: cid.clone(), name: Some("first".into()), direct: false });
    assert_eq!(again.generation, added.generation, "nothing changed");
    let removed = kit.call(PinRm { cid: cid.clone() });
    assert_eq!(removed.generation, added.generation + 1);
    assert_eq!(kit.pins(), Vec::<String>::new());
    assert_eq!(kit.fault(PinRm { cid: cid.clone() }).kind, FaultKind::NotFound);
    assert_eq!(kit.fault(PinInfo { cid }).kind, FaultKind::NotFound);
}

#[test]
fn a_pin_is_found_by_every_form_of_its_cid() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let v0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG";
    kit.call(add(v0));
    let cid = ::cid::Cid::try_from(v0).expect("a CID");
    let v1 = ::cid::Cid::new_v1(0x70, *cid.hash()).to_string();
    let found = kit.call(PinInfo { cid: v1 }).pins;
    assert_eq!(found.iter().map(|pin| pin.cid.as_str()).collect::<Vec<_>>(), [v0]);
}

/// The test's side of `hold`: each call of that kind connects, says its query, and waits for a byte.
struct Gate(UnixListener);

impl Gate {
    fn open(kit: &Kit, held: &str) -> Gate {
        let path = kit.path("gate");
        let listener = UnixListener::bind(&path).expect("bound");
        kit.script(&json!({ "hold": path, "held": held }));
        Gate(listener)
    }

    fn held(&self) -> UnixStream {
        let (stream, _) = self.0.accept().expect("a call");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        let mut query = String::new();
        BufReader::new(stream.try_clone().expect("cloned")).read_line(&mut query).expect("a query");
        assert!(query.contains("type=") || query.contains("arg="), "{query}");
        stream
    }
}

fn release(mut held: UnixStream) {
    held.write_all(&[1]).expect("released");
}

#[test]
fn a_listing_that_began_before_a_change_through_the_daemon_does_not_override_it() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let (kept, gone) = (identity_cid("kept"), identity_cid("gone"));
    kit.call(add(&gone));
    kit.call(IndexRefresh { wait: true, names: false });

    let gate = Gate::open(&kit, "listing");
    let refreshing = {
        let socket = kit.socket();
        thread::spawn(move || {
            let mut client = Client::connect(&socket, "test").expect("connected");
            client.call_with(IndexRefresh { wait: true, names: false }, Some(DEADLINE), |_| Ok(()))
        })
    };
    // The first listing has been answered as of now, before the changes; so will be the second, since its pins are read when
    // it arrives and the changes come after that.
    let recursive = gate.held();
    kit.call(add(&kept));
    kit.call(PinRm { cid: gone.clone() });
    assert_eq!(kit.pins(), std::slice::from_ref(&kept));
    release(recursive);
    let direct = gate.held();
    assert_eq!(kit.pins(), std::slice::from_ref(&kept), "while the other listing is held back");
    kit.script(&json!({}));
    release(direct);
    refreshing.join().expect("joined").expect("refreshed");
    assert_eq!(kit.pins(), std::slice::from_ref(&kept), "after the stale listing was applied");
    kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!(kit.pins(), [kept]);
}

/// Whether something that must not happen happens soon.
fn soon(happened: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        if happened() {
            return true;
        }
        thread::yield_now();
    }
    false
}

/// Calls over a connection of its own, in a thread of its own.
fn call<V: Verb + Send + 'static>(kit: &Kit, verb: V) -> thread::JoinHandle<Result<V::Reply, ClientError>>
where
    V::Reply: Send + 'static,
{
    let mut client = kit.client();
    thread::spawn(move || client.call_with(verb, Some(DEADLINE), |_| Ok(())))
}

#[test]
fn of_an_add_and_a_removal_of_one_cid_at_a_time_the_index_has_what_kubo_has() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("both");
    let gate = Gate::open(&kit, "look");
    let adding = call(&kit, add(&cid));
    // Kubo has pinned, and what it says of the pin is on its way as it was before the removal.
    let held = gate.held();
    kit.script(&json!({}));
    let removing = call(&kit, PinRm { cid: cid.clone() });
    eventually(|| kit.recorded("rm") > 0, || kit.log());
    assert!(!soon(|| removing.is_finished()), "it waits for the look that came before it");
    release(held);
    adding.join().expect("joined").expect("added");
    removing.join().expect("joined").expect("removed");
    assert_eq!(kit.pins(), Vec::<String>::new());
}

#[test]
fn a_pin_that_kubo_has_made_is_indexed_although_its_caller_is_gone() {
    for held in ["look", "add"] {
        let mut kit = Kit::fake();
        kit.start_whole();
        let cid = identity_cid(held);
        let gate = Gate::open(&kit, held);
        let mut hasty = UnixStream::connect(kit.socket()).expect("connected");
        hasty
            .write_all(format!("{{\"id\":1,\"call\":{{\"pin_add\":{{\"cid\":\"{cid}\"}}}}}}\n").as_bytes())
            .expect("sent");
        let call = gate.held();
        drop(hasty);
        kit.script(&json!({}));
        if held == "look" {
            // After the daemon had time to notice; the other call is given up by itself.
            kit.status();
            release(call);
        }
        kit.until("indexed", |status| status.index.pins == 1);
        assert_eq!(kit.pins(), [cid], "{held}");
    }
}

#[test]
fn a_pin_that_the_index_could_not_take_is_brought_by_a_refresh_at_once() {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_SIZE_SHARE", "0");
    kit.start_whole();
    let cid = identity_cid("refused");
    let fault = loop {
        kit.panic_at("index.message");
        match kit.try_call(add(&cid)) {
            Err(ClientError::Fault(fault)) => break fault,
            // Somebody else has asked the index in between.
            added => assert_eq!(added.expect("an answer").pin.cid, cid),
        }
        kit.call(PinRm { cid: cid.clone() });
    };
    assert!(fault.detail.starts_with("Kubo has done it, but the index does not have it yet: "), "{fault:?}");
    kit.until("brought", |status| status.index.pins == 1);
    assert_eq!(kit.pins(), [cid]);
}

#[test]
fn a_change_that_is_under_way_when_kubo_ends_is_answered_and_the_index_learns_of_it_later() {
    for held in ["look", "add"] {
        let mut kit = Kit::fake();
        kit.start_whole();
        let cid = identity_cid(held);
        let gate = Gate::open(&kit, held);
        let adding = call(&kit, add(&cid));
        let on_hold = gate.held();
        kit.call(KuboStop {});
        drop(on_hold);
        let answer = adding.join().expect("joined");
        assert!(
            matches!(&answer, Err(ClientError::Fault(fault)) if fault.kind == FaultKind::KuboDown || fault.kind == FaultKind::Kubo),
            "{answer:?}"
        );
        kit.script(&json!({}));
        kit.call(KuboStart {});
        kit.wait(Condition::IndexFresh);
        assert_eq!(kit.pins(), [cid], "{held}");
    }
}

#[test]
fn a_pin_that_kubo_has_made_is_indexed_although_the_daemon_is_stopping() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("late");
    let gate = Gate::open(&kit, "look");
    let adding = call(&kit, add(&cid));
    let held = gate.held();
    kit.signal(nix::sys::signal::Signal::SIGTERM);
    kit.until("stopping", |status| status.daemon.stopping);
    assert!(!soon(|| kit.recorded("signal") > 0), "Kubo is needed for a moment");
    release(held);
    assert_eq!(kit.ended().code(), Some(0));
    drop(adding.join().expect("joined"));
    kit.script(&json!({"exit_at_start": 1}));
    kit.start();
    assert_eq!(kit.pins(), [cid], "from the index alone");
}

#[test]
fn d14_pins_changed_behind_the_daemons_back_are_in_the_index_after_a_refresh() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let [a, b, c] = ["a", "b", "c"].map(identity_cid);
    kit.set_fake_pins(&[(&a, "recursive", "x"), (&b, "direct", ""), (&c, "recursive", "")]);
    let refreshed = kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!((refreshed.added, refreshed.removed, refreshed.changed), (3, 0, 0));
    kit.set_fake_pins(&[(&a, "recursive", "y"), (&b, "recursive", ""), (&c, "recursive", "")]);
    assert_eq!(kit.call(IndexRefresh { wait: true, names: false }).changed, 2);
    let pin = kit.call(PinInfo { cid: a.clone() }).pins.remove(0);
    assert_eq!(pin.name.as_deref(), Some("y"));
    kit.set_fake_pins(&[(&a, "recursive", "y"), (&b, "recursive", "")]);
    assert_eq!(
        kit.call(IndexRefresh { wait: true, names: false }).removed,
        1,
        "a second listing at once has confirmed it"
    );
    let metrics = kit.call(Metrics {});
    assert_eq!((metrics.pins, metrics.named), (2, 1));
    kit.set_fake_pins(&[]);
    kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!(kit.pins(), Vec::<String>::new(), "an empty set, confirmed, is data");
}

#[test]
fn d15_a_listing_that_is_cut_or_fails_late_or_is_another_nodes_changes_nothing() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("kept");
    kit.call(add(&cid));
    let before = kit.call(IndexRefresh { wait: true, names: false });
    for script in
        [json!({"cut_listing": true}), json!({"stream_error": "disk on fire"}), json!({"peer_id": "12D3KooWOther"})]
    {
        kit.script(&script);
        let fault = kit.fault(IndexRefresh { wait: true, names: false });
        assert!(matches!(fault.kind, FaultKind::Kubo | FaultKind::Conflict), "{script}: {fault:?}");
        let status = kit.status();
        assert_eq!(
            (status.index.as_of, status.index.generation),
            (before.as_of.clone(), before.generation),
            "{script}"
        );
        assert!(status.index.failed_refreshes > 0 && status.index.last_error.is_some());
        assert_eq!(status.index.source, Source::Index, "not confirmed");
        assert_eq!(kit.pins(), std::slice::from_ref(&cid));
    }
    kit.script(&json!({}));
    kit.call(IndexRefresh { wait: true, names: false });
    let index = kit.status().index;
    assert_eq!((index.failed_refreshes, index.source), (0, Source::Live));
}

#[test]
fn d1_a_killed_daemon_starts_again_with_everything_that_it_had_confirmed() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cids: Vec<String> = (0..20).map(|n| identity_cid(&format!("pin {n:02}"))).collect();
    for cid in &cids {
        kit.call(add(cid));
    }
    let before = kit.status().index;
    kit.kill();
    kit.script(&json!({"exit_at_start": 1}));
    kit.start();
    let after = kit.status().index;
    assert_eq!((after.pins, after.generation, after.complete), (20, before.generation, true));
    let mut sorted = cids;
    sorted.sort();
    assert_eq!(kit.pins(), sorted, "without Kubo, from the index alone");
}

#[test]
fn d8_a_damaged_index_is_moved_aside_and_rebuilt() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("from kubo");
    kit.call(add(&cid));
    kit.stop();
    let file = kit.path("data/index/pins.duckdb");
    std::fs::write(&file, b"this is no database, and it is long enough to be looked at ".repeat(300)).expect("written");
    kit.start();
    kit.wait(Condition::IndexFresh);
    assert_eq!(kit.pins(), [cid]);
    let recovery = kit.status().index.recovery.expect("it is said");
    assert!(recovery.contains("moved to"), "{recovery}");
    let aside = std::fs::read_dir(kit.path("data/index")).expect("listed");
    let aside =
        aside.filter_map(Result::ok).find(|e| e.file_name().to_string_lossy().starts_with("damaged-")).expect("kept");
    assert!(aside.path().join("pins.duckdb").exists());
}

#[test]
fn wrong_cids_are_refused_in_one_sentence() {
    let mut kit = Kit::fake();
    kit.start_whole();
    for wrong in ["", "hello", "bafy", "../../etc/passwd", "Qm\0"] {
        let fault = kit.fault(PinInfo { cid: wrong.into() });
        assert_eq!(fault.kind, FaultKind::Invalid, "{wrong:?}");
        assert!(fault.detail.contains("is not a CID"), "{}", fault.detail);
    }
    assert_eq!(PinInfo::NAME, "pin_info");
    assert!(matches!(kit.try_call(add("nonsense")), Err(ClientError::Fault(f)) if f.kind == FaultKind::Invalid));
}

#[test]
fn nothing_is_pinned_on_another_node_that_answers_at_the_address() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("elsewhere");
    kit.script(&json!({"peer_id": "12D3KooWOther"}));
    for fault in [kit.fault(add(&cid)), kit.fault(PinRm { cid: cid.clone() })] {
        assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}");
        assert!(fault.detail.starts_with("node 12D3KooWOther answers at "), "{fault:?}");
    }
    assert_eq!(kit.recorded("rm"), 0, "{:?}", kit.record());
    kit.script(&json!({}));
    kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!(kit.pins(), Vec::<String>::new());
    kit.call(add(&cid));
}

#[test]
fn a_pin_that_another_node_confirms_does_not_enter_the_index() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("elsewhere");
    let gate = Gate::open(&kit, "add");
    let adding = call(&kit, add(&cid));
    let held = gate.held();
    kit.script(&json!({"peer_id": "12D3KooWOther"}));
    release(held);
    match adding.join().expect("joined") {
        Err(ClientError::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Conflict, "{fault:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(kit.pins(), Vec::<String>::new());
}

#[test]
fn a_pin_takes_the_place_of_another_one_under_its_name() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let (old, new, third) = (identity_cid("old"), identity_cid("new"), identity_cid("third"));
    kit.call(PinAdd { cid: old.clone(), name: Some("site".into()), direct: false });
    let before = kit.status().index.generation;
    let updated = kit.call(PinUpdate { from: old.clone(), to: new.clone(), keep: false });
    assert_eq!((updated.pin.name.as_deref(), updated.kept, updated.generation), (Some("site"), false, before + 2));
    assert_eq!(kit.pins(), std::slice::from_ref(&new));
    let kept = kit.call(PinUpdate { from: new.clone(), to: third.clone(), keep: true });
    assert!(kept.kept && kit.pins().len() == 2);
    assert_eq!(kit.fault(PinUpdate { from: old, to: new.clone(), keep: false }).kind, FaultKind::NotFound);
    assert_eq!(kit.fault(PinUpdate { from: new.clone(), to: new, keep: false }).kind, FaultKind::Invalid);
}

#[test]
fn pins_that_lack_blocks_are_named_by_verify() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let (whole, broken) = (identity_cid("whole"), identity_cid("broken"));
    kit.call(add(&whole));
    kit.call(add(&broken));
    let found = kit.call(PinVerify {});
    assert_eq!((found.pins, found.broken, found.examples.len()), (2, 0, 0));
    kit.script(&json!({ "broken": broken }));
    let found = kit.call(PinVerify {});
    assert_eq!((found.pins, found.broken, found.examples[0].cid.as_str()), (2, 1, &*broken));
    assert_eq!(found.examples[0].blocks[0].error, "block was not found locally");
    let said = kit.ctl(&["pin", "verify", "-o", "cid"]);
    assert_eq!((said.code, said.out.trim_end()), (Some(1), &*broken));
    kit.call(KuboStop {});
    assert_eq!(kit.fault(PinVerify {}).kind, FaultKind::KuboDown);
}

/// How detached pins have ended.
fn ends(kit: &Kit) -> Vec<PinEnd> {
    let page = kit.call(Events { since: None, epoch: None, follow: false });
    let ends = page.events.into_iter().filter_map(|event| match event.what {
        What::Pin(end) => Some(end),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_detached_pin_is_told_while_it_is_under_way_and_given_up_by_its_removal() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let gate = Gate::open(&kit, "add");
    let cid = identity_cid("slow");
    let begin = || kit.try_call(PinBegin(add(&cid)));
    begin().expect("begun");
    let held = gate.held();
    begin().expect("as before");
    assert_eq!(kit.fault(PinBegin(PinAdd { name: Some("other".into()), ..add(&cid) })).kind, FaultKind::Conflict);
    let detached = kit.status().detached;
    assert_eq!((detached.count, detached.oldest.len(), &detached.oldest[0].cid), (1, 1, &cid));
    let said = kit.ctl(&["status"]);
    assert!(said.out.contains(&format!("1 detached pin under way, {cid} begun ")), "{}", said.out);
    assert_eq!(ends(&kit), []);

    let removed = kit.call(PinRm { cid: cid.clone() });
    assert_eq!((removed.cid, removed.given_up), (cid.clone(), true));
    let [end] = &ends(&kit)[..] else { panic!("one end: {:?}", ends(&kit)) };
    assert_eq!((&end.cid, end.failed.is_some(), end.cancelled), (&cid, true, true));
    assert_eq!(kit.status().detached, PinsUnderWay::default());
    gate.0.set_nonblocking(true).expect("set");
    assert!(gate.0.accept().is_err(), "Kubo was asked once");
    assert_eq!(kit.fault(PinRm { cid }).kind, FaultKind::NotFound, "nothing is under way any more");
    drop(held);
}

#[test]
fn a_detached_pin_outlives_its_client_and_its_end_is_an_event() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let gate = Gate::open(&kit, "add");
    let cid = identity_cid("slow");
    let said = kit.ctl(&["pin", "add", "--detach", "--name", "n", &cid, "-o", "cid"]);
    assert_eq!((said.code, said.out.trim_end()), (Some(0), &*cid));
    let held = gate.held();
    assert_eq!(ends(&kit), []);
    kit.script(&json!({}));
    release(held);
    let pinned = PinEnd { cid: cid.clone(), failed: None, cancelled: false };
    eventually(|| ends(&kit) == [pinned.clone()], || kit.log());
    assert_eq!(kit.call(PinInfo { cid }).pins[0].name.as_deref(), Some("n"));
    assert_eq!(kit.ctl(&["pin", "add", "--detach", "nonsense"]).code, Some(2));
}
