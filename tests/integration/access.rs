//! Accesses through the daemon: recorded by `ipfs-kitctl` and over the socket, listed with what keeps them, kept over kills.

use crate::kit::{Kit, eventually, identity_cid};
use nix::sys::signal::Signal;
use proto_msgs::access::{Access, AccessLog, AccessPage, AccessRecord, AccessSeen, Keeper};
use proto_msgs::pin::PinAdd;
use proto_msgs::upkeep::IndexVerify;
use proto_msgs::verb::Part;
use proto_msgs::{Client, FaultKind};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

fn seen(cid: &str) -> AccessSeen {
    AccessSeen { cid: cid.to_owned(), ..AccessSeen::default() }
}

fn log(kit: &Kit, verb: AccessLog) -> (AccessPage, Vec<Access>) {
    let mut rows = Vec::new();
    let page = kit.client().call_with(verb, None, |part| {
        if let Part::AccessLog(some) = part {
            rows.extend(some.accesses);
        }
        Ok(())
    });
    (page.unwrap_or_else(|e| panic!("access_log: {e}\n{}", kit.log())), rows)
}

fn all(kit: &Kit) -> Vec<Access> {
    let (page, rows) = log(kit, AccessLog::default());
    assert_eq!(page.total, rows.len() as u64);
    rows
}

#[test]
fn what_was_recorded_is_listed_at_once_with_its_pin() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let (pinned, other) = (identity_cid("pinned"), identity_cid("other"));
    kit.call(PinAdd { cid: pinned.clone(), name: None, direct: false });
    let none = kit.ctl(&["access", "log"]);
    assert!(none.out.is_empty() && none.err.contains("no source has seen one yet"), "{none:?}");
    let recorded = kit.ctl(&["access", "record", &pinned, "--op", "cat", "--bytes", "7", "--source", "player"]);
    assert_eq!((recorded.code, recorded.out.as_str()), (Some(0), "recorded 1 access\n"));
    let lines =
        format!("{{\"cid\":\"{other}\",\"at\":\"2026-01-01T00:00:00Z\"}}\n{{\"cid\":\"{other}\",\"path\":\"a\"}}\n");
    let mut command = kit.ctl_command(&["access", "record", "--durable", "--batch", "b", "-"]);
    for expected in ["recorded 2 accesses\n", "recorded 0 accesses; what was known already is not counted again\n"] {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }

    let rows = all(&kit);
    let shown = |row: &Access| (row.cid.clone(), row.keeper, row.pin.clone(), row.path.clone());
    let mut told: Vec<_> = rows.iter().map(shown).collect();
    assert_eq!(told.pop(), Some((other.clone(), Keeper::Unknown, None, None)), "the oldest");
    assert!(told.contains(&(pinned.clone(), Keeper::Pin, Some(pinned.clone()), None)));
    assert!(told.contains(&(other.clone(), Keeper::Unknown, None, Some("a".to_owned()))));
    let player = rows.iter().find(|row| row.cid == pinned).expect("listed");
    assert_eq!((player.op.as_deref(), player.bytes, player.by.as_deref()), (Some("cat"), Some(7), Some("player")));
    assert_eq!(kit.ctl(&["access", "log", &pinned, "-o", "cid"]).out, format!("{pinned}\n"));
    let old = kit.ctl(&["access", "log", "--limit", "1", "--offset", "2", "-o", "csv", "--columns", "at,cid"]);
    assert_eq!(old.out, format!("at,cid\n2026-01-01T00:00:00.000Z,{other}\n"));
    let (page, _) = log(&kit, AccessLog::default());
    assert_eq!(page.oldest.as_deref(), Some("2026-01-01T00:00:00.000Z"));

    // The stop writes what was accepted, and the next start has all of it.
    let verb = AccessRecord { accesses: vec![seen(&pinned); 3], ..AccessRecord::default() };
    assert_eq!(kit.call(verb).taken, 3);
    assert!(kit.stop().success());
    kit.start();
    assert_eq!(all(&kit).len(), 6);
    assert_eq!(kit.call(IndexVerify {}).problems, [] as [String; 0]);
}

#[test]
fn a_wrong_access_is_named_and_none_of_its_call_is_taken() {
    let mut kit = Kit::fake();
    kit.start();
    let good = identity_cid("good");
    let fault = kit.fault(AccessRecord { accesses: vec![seen(&good), seen("x")], ..AccessRecord::default() });
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert!(fault.detail.starts_with("access 2 of 2: \"x\" is not a CID"), "{}", fault.detail);
    let many = vec![seen(&good); AccessRecord::MAX + 1];
    assert_eq!(kit.fault(AccessRecord { accesses: many, ..AccessRecord::default() }).kind, FaultKind::Invalid);
    assert_eq!(kit.fault(AccessLog { source: Some("x".to_owned()), ..AccessLog::default() }).kind, FaultKind::Invalid);
    assert_eq!(all(&kit), []);
}

#[test]
fn whether_applications_may_record_is_a_setting_that_a_reload_changes() {
    let mut kit = Kit::fake();
    let file = kit.path("config.toml");
    std::fs::write(&file, "[analytics]\nrecord = false\n").expect("written");
    kit.arg("--config").arg(&file.display().to_string());
    kit.start();
    let verb = || AccessRecord { accesses: vec![seen(&identity_cid("a"))], ..AccessRecord::default() };
    let fault = kit.fault(verb());
    assert!(fault.kind == FaultKind::Conflict && fault.detail.contains("`analytics.record` is false"), "{fault:?}");
    std::fs::write(&file, "").expect("written");
    kit.signal(Signal::SIGHUP);
    kit.ready_again();
    assert_eq!(kit.call(verb()).taken, 1);
    assert_eq!(all(&kit).len(), 1);
}

#[test]
fn recording_goes_on_while_the_actors_are_restarted() {
    let mut kit = Kit::fake();
    kit.start();
    let verb = || AccessRecord { accesses: vec![seen(&identity_cid("a"))], durable: true, ..AccessRecord::default() };
    for fault in ["analytics-message", "index-message"] {
        kit.panic_at(fault);
        assert_eq!(kit.call(verb()).taken, 1, "{fault}");
    }
    // The index actor meets it now, and answers again.
    let listed = || kit.try_call(AccessLog::default()).is_ok();
    eventually(listed, || "accesses are not listed any more".to_owned());
    assert_eq!(all(&kit).len(), 2);
}

/// Accesses that one client has told of, with the names that it gave.
fn tell(socket: &Path, teller: usize, over: &AtomicBool, count: &AtomicUsize) -> Vec<(String, usize)> {
    let mut acknowledged = Vec::new();
    let mut client = None;
    while !over.load(Ordering::Relaxed) {
        let name = format!("{teller}.{}", acknowledged.len());
        let many = rand::random_range(1..30);
        let by = Some(name.clone());
        let accesses = (0..many).map(|_| AccessSeen { by: by.clone(), ..seen(&identity_cid(&name)) }).collect();
        let verb = AccessRecord { accesses, durable: true, batch: Some(name.clone()) };
        // Whatever becomes of the daemon: until it says that it has them.
        loop {
            client = client.or_else(|| Client::connect(socket, "test").ok());
            match client.as_mut().map(|client| client.call(verb.clone())) {
                Some(Ok(recorded)) => {
                    assert!(recorded.durable && (recorded.repeated || recorded.taken == many));
                    break;
                }
                Some(Err(_)) => client = None,
                None => std::thread::yield_now(),
            }
        }
        acknowledged.push((name, usize::try_from(many).expect("few")));
        count.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

#[test]
fn d1_kills_while_clients_record_lose_nothing_that_was_acknowledged_and_count_nothing_twice() {
    const ROUNDS: usize = 6;
    const TELLERS: usize = 3;
    let mut kit = Kit::fake();
    kit.start();
    let (over, count, socket) = (AtomicBool::new(false), AtomicUsize::new(0), kit.socket());
    let acknowledged = std::thread::scope(|scope| {
        let (over, count, socket) = (&over, &count, &socket);
        let tellers: Vec<_> =
            (0..TELLERS).map(|teller| scope.spawn(move || tell(socket, teller, over, count))).collect();
        for round in 0..=ROUNDS {
            let enough = count.load(Ordering::Relaxed) + 1 + rand::random_range(0..60);
            let more = || count.load(Ordering::Relaxed) >= enough;
            eventually(more, || format!("round {round}: nothing is acknowledged any more"));
            // In the last round all end what they have begun.
            over.store(round == ROUNDS, Ordering::Relaxed);
            if round < ROUNDS {
                kit.kill();
                kit.start();
            }
        }
        tellers.into_iter().flat_map(|teller| teller.join().expect("it ends")).collect::<BTreeMap<_, _>>()
    });
    kit.kill();
    kit.start();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for row in all(&kit) {
        *found.entry(row.by.expect("a name")).or_default() += 1;
    }
    assert!(acknowledged.len() > ROUNDS);
    assert_eq!(found, acknowledged);
    assert_eq!(kit.call(IndexVerify {}).problems, [] as [String; 0]);
}
