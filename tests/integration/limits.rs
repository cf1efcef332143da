//! What a client may take of the daemon, and that others do not notice: the table of limits in docs/PROTOCOL.md.

use crate::kit::{Kit, identity_cid, skipped};
use crate::raw::{Raw, connect_as, descriptors, start_granting, start_open_to};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use proto_msgs::binary::{self, Hello};
use proto_msgs::daemon::{IndexPause, Status};
use proto_msgs::limits::{MAX_DEPTH, MAX_ENTRIES, MAX_TEXT};
use proto_msgs::pin::{PinInfo, PinTag};
use proto_msgs::snapshot::SnapshotNow;
use proto_msgs::{ClientError, FaultKind};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::thread;

const OTHER: u32 = 54321;
const WAITS: &str = r#""call":{"wait":{"for":"kubo_stopped"}}}"#;

/// A daemon whose configuration lets these in, if this is root.
fn open_to(what: &str, uids: &[u32]) -> Option<Kit> {
    if !nix::unistd::geteuid().is_root() {
        skipped(what, "not root");
        return None;
    }
    let mut kit = Kit::fake();
    start_open_to(&mut kit, uids);
    Some(kit)
}

#[test]
fn a_line_that_holds_too_much_is_refused_under_its_id_and_costs_only_itself() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    let list = vec!["a"; MAX_ENTRIES + 1];
    let text = "x".repeat(MAX_TEXT + 1);
    for (n, call) in [
        format!(r#"{{"status":{{"x":{deep}}}}}"#),
        json!({"pin_tag": {"cid": "x", "add": list, "remove": []}}).to_string(),
        json!({"pin_info": {"cid": text}}).to_string(),
    ]
    .iter()
    .enumerate()
    {
        raw.send(format!("{{\"id\":{n},\"call\":{call}}}\n").as_bytes());
        let fault = raw.line();
        assert_eq!((&fault["id"], &fault["fault"]["kind"]), (&json!(n), &json!("invalid")), "{fault}");
        let hint = fault["fault"]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("limits"), "{fault}");
    }
    raw.send(b"{\"id\":9,\"call\":{\"status\":{}}}\n");
    assert_eq!(raw.line()["id"], 9);
}

#[test]
fn a_frame_that_holds_too_much_is_refused_under_its_id_and_costs_only_itself() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut client = kit.client();
    let tags = PinTag { cid: identity_cid("x"), add: vec![String::new(); MAX_ENTRIES + 1], remove: vec![] };
    let refused = |error: ClientError| matches!(error, ClientError::Fault(fault) if fault.kind == FaultKind::Invalid && fault.detail.contains("more than"));
    assert!(client.call(tags).is_err_and(refused));
    let refused =
        |error: ClientError| matches!(error, ClientError::Fault(fault) if fault.detail.contains("a text is longer"));
    assert!(client.call(PinInfo { cid: "x".repeat(MAX_TEXT + 1) }).is_err_and(refused));
    assert!(client.call(Status {}).is_ok());
}

#[test]
fn whoever_says_nothing_or_half_of_something_is_closed() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut silent = Raw::connect(&kit);
    let mut half_hello = Raw::connect(&kit);
    half_hello.send(&binary::PREAMBLE);
    let mut half_line = Raw::connect(&kit);
    half_line.send(b"{\"id\":1,\"call\":{\"status\":{}}}\n{\"id\":2,");
    assert_eq!(half_line.line()["id"], 1);
    let mut half_frame = Raw::connect(&kit);
    half_frame.send(&[&binary::PREAMBLE[..], &binary::frame(&Hello::of("test")), &[9, 0, 0, 0, 1]].concat());
    assert!(silent.at_end(), "closed without a word");
    assert_eq!(half_hello.line()["fault"]["kind"], "invalid");
    let fault = half_line.line();
    assert!(fault["fault"]["detail"].as_str().is_some_and(|detail| detail.contains("10 s")), "{fault}");
    assert!(half_hello.at_end() && half_line.at_end());
    assert!(half_frame.0.read_to_end(&mut Vec::new()).is_ok());
    assert!(kit.status().daemon.actors.iter().all(|actor| actor.restarts == 0));
}

#[test]
fn one_uid_has_so_many_calls_over_all_its_connections_and_others_have_theirs() {
    let Some(kit) = open_to("calls of other uids", &[OTHER, OTHER + 1]) else { return };
    let mut connections: Vec<_> = (0..5).map(|_| Raw::over(connect_as(&kit, OTHER))).collect();
    for connection in &mut connections[..4] {
        let calls: String = (0..16).map(|id| format!("{{\"id\":{id},{WAITS}\n")).collect();
        connection.send(calls.as_bytes());
        // Answered at once, by whoever reads calls in order: the others have begun.
        connection.send(b"{\"id\":99,\"call\":{\"cancel\":{\"id\":98}}}\n");
        assert_eq!(connection.line()["id"], 99);
    }
    let fifth = &mut connections[4];
    fifth.send(b"{\"id\":1,\"call\":{\"status\":{}}}\n");
    let busy = fifth.line();
    assert_eq!(busy["fault"]["kind"], "busy");
    assert!(busy["fault"]["detail"].as_str().is_some_and(|detail| detail.contains("64 calls of uid 54321")), "{busy}");
    let mut another = Raw::over(connect_as(&kit, OTHER + 1));
    another.send(b"{\"id\":1,\"call\":{\"status\":{}}}\n");
    assert!(another.line()["done"].is_object(), "another uid has calls of its own");
    assert!(kit.try_call(Status {}).is_ok());
    connections[0].send(b"{\"id\":100,\"call\":{\"cancel\":{\"id\":3}}}\n");
    let mut ids = [connections[0].line()["id"].as_u64(), connections[0].line()["id"].as_u64()];
    ids.sort_unstable();
    assert_eq!(ids, [Some(3), Some(100)]);
    let ask = |raw: &mut Raw| -> Value {
        raw.send(b"{\"id\":2,\"call\":{\"status\":{}}}\n");
        raw.line()
    };
    // The cancelled call's end is seen a moment after its answer.
    while ask(&mut connections[4])["fault"]["kind"] == "busy" {
        thread::yield_now();
    }
}

#[test]
fn a_connection_that_is_open_over_a_reload_is_judged_by_the_new_rule() {
    let Some(kit) = open_to("levels over a reload", &[OTHER]) else { return };
    let mut raw = Raw::over(connect_as(&kit, OTHER));
    let mut ask = || {
        raw.send(b"{\"id\":1,\"call\":{\"status\":{}}}\n");
        raw.line()
    };
    assert!(ask()["done"].is_object());
    std::fs::write(kit.path("home/.config/ipfs-kitd/config.toml"), "").expect("written");
    kit.signal(Signal::SIGHUP);
    let denied = loop {
        let answer = ask();
        if answer["done"].is_null() {
            break answer;
        }
        thread::yield_now();
    };
    assert_eq!(denied["fault"]["kind"], "denied");
}

#[test]
fn without_a_descriptor_left_a_client_is_told_so_and_served_again_when_there_is_one() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let before = getrlimit(Resource::Nofile);
    let pid = Pid::from_raw(kit.pid().cast_signed());
    let mut held = kit.client();
    // Every descriptor below the limit is in use, so that the next one is refused.
    let used = descriptors(&kit);
    let free = (0..).find(|fd| !used.contains(fd)).expect("a number");
    let limit = |current: Option<u64>| Rlimit { current, maximum: before.maximum };
    prlimit(pid, Resource::Nofile, limit(Some(free.unsigned_abs().into()))).expect("its limit");
    let ask = |raw: &mut Raw| {
        // It may be closed already.
        let _ = raw.0.get_mut().write_all(b"{\"id\":1,\"call\":{\"status\":{}}}\n");
        raw.line()
    };
    // What the daemon has closed meanwhile is taken first.
    let mut taken = Vec::new();
    let answer = loop {
        let mut raw = Raw::connect(&kit);
        let answer = ask(&mut raw);
        if answer["done"].is_null() {
            break answer;
        }
        taken.push(raw);
    };
    let detail = answer["fault"]["detail"].as_str().unwrap_or_default();
    assert_eq!((&answer["fault"]["kind"], detail), (&json!("busy"), "ipfs-kitd has no descriptors left"));
    assert!(held.call(Status {}).is_ok(), "who is connected is served");
    prlimit(pid, Resource::Nofile, limit(before.current)).expect("its limit");
    assert!(ask(&mut Raw::connect(&kit))["done"].is_object());
}

#[test]
fn descriptors_that_are_sent_along_are_dropped() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let file = std::fs::File::open("/dev/zero").expect("there");
    let sent = vec![file.as_raw_fd(); 200];
    let zeros = |kit: &Kit| {
        let of = |fd: &i32| std::fs::read_link(format!("/proc/{}/fd/{fd}", kit.pid()));
        descriptors(kit).iter().filter(|fd| of(fd).is_ok_and(|to| to.ends_with("zero"))).count()
    };
    let before = zeros(&kit);
    let mut raws: Vec<_> = (0..4).map(|_| Raw::connect(&kit)).collect();
    for (n, raw) in raws.iter_mut().enumerate() {
        let line = format!("{{\"id\":{n},\"call\":{{\"status\":{{}}}}}}\n");
        let data = [IoSlice::new(line.as_bytes())];
        let rights = [ControlMessage::ScmRights(&sent)];
        sendmsg::<()>(raw.0.get_ref().as_raw_fd(), &data, &rights, MsgFlags::empty(), None).expect("sent");
        assert_eq!(raw.line()["id"], n);
        assert_eq!(zeros(&kit), before);
    }
}

#[test]
fn others_have_a_snapshot_made_once_a_minute_and_the_daemons_own_uid_as_often_as_it_likes() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("snapshots of another uid", "not root");
    }
    let mut kit = Kit::fake();
    start_granting(kit.at_rest(), "record", &[OTHER]);
    kit.wait_for_mfs();
    kit.call(IndexPause {});
    let mut other = Raw::over(connect_as(&kit, OTHER));
    let mut ask = || {
        other.send(b"{\"id\":1,\"call\":{\"snapshot_now\":{}}}\n");
        other.line()
    };
    let first = ask();
    assert_eq!(first["done"]["snapshot_now"]["made"], true, "{first}");
    assert_eq!(ask()["done"]["snapshot_now"]["made"], false, "nothing has changed");
    kit.call(PinTag { cid: identity_cid("said"), add: vec!["so".to_owned()], remove: vec![] });
    assert_eq!(ask()["fault"]["kind"], "busy");
    assert!(kit.call(SnapshotNow::default()).made);
    assert_eq!(ask()["done"]["snapshot_now"]["made"], false, "that one is as good");
}
