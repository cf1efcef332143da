//! The socket as a stranger meets it: lines, frames, garbage, other users.

use crate::kit::{Kit, eventually, identity_cid, said};
use crate::raw::Raw;
use proto_msgs::binary::{self, Hello};
use proto_msgs::daemon::{Condition, Status, Wait};
use proto_msgs::pin::PinAdd;
use proto_msgs::verb::Call;
use proto_msgs::{Client, ClientError};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

#[test]
fn json_lines_are_answered_under_their_ids_and_a_wrong_line_costs_only_itself() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    raw.send(b"{\"id\":7,\"call\":{\"status\":{}},\"a_field_from_the_future\":1}\n");
    let status = raw.line();
    assert_eq!((&status["id"], &status["done"]["status"]["kubo"]["state"]), (&json!(7), &json!("running")));
    for (line, id, words) in [
        ("{\"id\":8,\"call\":{\"pin_lss\":{}}}", 8, "unknown verb \"pin_lss\""),
        ("{\"id\":9,\"call\":{\"pin_info\":{}}}", 9, "missing field `cid`"),
        ("{\"id\":10}", 10, "missing field `call`"),
        ("{nonsense", 0, "not a request"),
    ] {
        raw.send(format!("{line}\n").as_bytes());
        let fault = raw.line();
        assert_eq!((&fault["id"], &fault["fault"]["kind"]), (&json!(id), &json!("invalid")), "{line}");
        assert!(fault["fault"]["detail"].as_str().is_some_and(|d| d.contains(words)), "{fault}");
    }
    raw.send(b"{\"id\":11,\"call\":{\"kubo_status\":{}}}\n");
    assert_eq!(raw.line()["id"], 11);
}

#[test]
fn a_client_that_stops_writing_gets_its_answers() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    raw.send(b"{\"id\":1,\"call\":{\"index_refresh\":{\"wait\":true}}}\n{\"id\":2,\"call\":{\"status\":{}}}\n");
    raw.0.get_mut().shutdown(Shutdown::Write).expect("shut down");
    let mut ids = [raw.line()["id"].as_u64(), raw.line()["id"].as_u64()];
    ids.sort_unstable();
    assert_eq!(ids, [Some(1), Some(2)]);
    assert!(raw.at_end(), "the daemon closes when it has answered");
}

#[test]
fn calls_can_be_cancelled_and_have_deadlines() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    raw.send(
        b"{\"id\":1,\"call\":{\"wait\":{\"for\":\"kubo_stopped\"}}}\n{\"id\":2,\"call\":{\"cancel\":{\"id\":1}}}\n",
    );
    assert_eq!(
        raw.line(),
        json!({"id":1,"fault":{"kind":"cancelled","detail":"the client cancelled the call","hint":null}})
    );
    assert_eq!(raw.line(), json!({"id":2,"done":{"cancel":{"id":1,"was_running":true}}}));
    raw.send(b"{\"id\":3,\"deadline_ms\":1,\"call\":{\"wait\":{\"for\":\"kubo_stopped\"}}}\n");
    assert_eq!(raw.line()["fault"]["kind"], "timeout");
    let ids: Vec<String> = (0..17)
        .map(|n| format!("{{\"id\":{},\"call\":{{\"wait\":{{\"for\":\"kubo_stopped\"}}}}}}\n", 100 + n))
        .collect();
    raw.send(ids.concat().as_bytes());
    let busy = raw.line();
    assert_eq!((&busy["id"], &busy["fault"]["kind"]), (&json!(116), &json!("busy")));
}

#[test]
fn garbage_is_refused_in_one_sentence_and_harms_nobody() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cases: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 3000],
        b"\0KIT\x09\x00rest",
        b"\0XYZ",
        &[0, b'K', b'I', b'T', 1, 0, 0xff, 0xff, 0xff, 0xff],
    ];
    for bytes in cases {
        let mut raw = Raw::connect(&kit);
        // The daemon may have refused before all of it was sent.
        let _ = raw.0.get_mut().write_all(bytes);
        let _ = raw.0.get_mut().shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = raw.0.read_to_end(&mut answer);
        let fault: Value = serde_json::from_slice(&answer).unwrap_or_else(|e| panic!("{bytes:?}: {e}: {answer:?}"));
        assert_eq!(fault["fault"]["kind"], "invalid");
    }
    let mut long = Raw::connect(&kit);
    let line = vec![b' '; 4 * proto_msgs::MAX_REQUEST];
    long.send(&line);
    assert_eq!(long.line()["fault"]["kind"], "invalid");
    assert!(long.at_end());
    assert!(kit.status().daemon.actors.iter().all(|a| a.restarts == 0));
}

#[test]
fn a_binary_frame_that_is_no_request_is_a_fault_and_the_end_of_the_connection() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let greeting = [&binary::PREAMBLE[..], &binary::frame(&Hello::of("test"))].concat();
    for body in [vec![], vec![0xff; 40], [binary::encode(&Call::from(Status {})), vec![0; 9]].concat()] {
        let mut raw = Raw::connect(&kit);
        raw.send(&greeting);
        let mut preamble = [0; binary::PREAMBLE.len()];
        raw.0.read_exact(&mut preamble).expect("a preamble");
        binary::read_frame(&mut raw.0, binary::MAX_HELLO).expect("a hello");
        raw.send(&[&(body.len() as u32).to_le_bytes()[..], &body].concat());
        let frame = binary::read_frame(&mut raw.0, proto_msgs::MAX_RESPONSE).expect("a frame");
        let fault: proto_msgs::Response = binary::decode(&frame).expect("a response");
        assert!(matches!(fault.body, proto_msgs::verb::Body::Fault(_)), "{fault:?}");
        assert!(raw.at_end());
    }
}

#[test]
fn a_client_of_another_schema_is_told_so_and_speaks_json() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    let hello = Hello { schema: "another".into(), program: "test".into(), features: vec!["x".into()] };
    raw.send(&[&binary::PREAMBLE[..], &binary::frame(&hello)].concat());
    let mut preamble = [0; binary::PREAMBLE.len()];
    raw.0.read_exact(&mut preamble).expect("a preamble");
    let frame = binary::read_frame(&mut raw.0, binary::MAX_HELLO).expect("a hello");
    let hello: Hello = binary::decode(&frame).expect("a hello");
    assert_eq!(hello.schema, proto_msgs::SCHEMA_HASH.trim());
    assert!(raw.at_end());
    let mut json = Client::connect_json(&kit.socket()).expect("connected");
    assert_eq!(json.call(Status {}).expect("answered").daemon.pid, kit.pid());
}

#[test]
fn a_client_that_hangs_up_in_the_middle_of_a_call_costs_nothing() {
    let mut kit = Kit::fake();
    kit.start_whole();
    for _ in 0..300 {
        let mut raw = Raw::connect(&kit);
        raw.send(b"{\"id\":1,\"call\":{\"wait\":{\"for\":\"kubo_stopped\"}}}\n");
    }
    // More than the daemon serves at a time: the places of those that are gone have come back.
    kit.call(PinAdd { cid: identity_cid("still there"), name: None, direct: false });
    kit.wait(Condition::KuboRunning);
}

#[test]
fn when_all_places_are_taken_a_caller_is_told_so_and_idle_connections_make_room() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut idle: Vec<Raw> = std::iter::from_fn(|| {
        let mut raw = Raw::connect(&kit);
        // The daemon may have closed already.
        let _ = raw.0.get_mut().write_all(b"{\"id\":1,\"call\":{\"kubo_status\":{}}}\n");
        let answer = raw.line();
        if answer["fault"].is_null() {
            Some(raw)
        } else {
            assert_eq!(answer["fault"]["kind"], "busy");
            None
        }
    })
    .collect();
    assert_eq!(idle.len(), 256);
    let said = kit.ctl(&["status"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("256 connections are open"), "{}", said.err);
    assert!(idle[0].at_end(), "an idle connection is closed to make room");
    while kit.try_call(Status {}).is_err() {
        std::thread::yield_now();
    }
}

#[test]
fn a_caller_of_another_uid_is_denied_although_directory_and_socket_are_open_to_it() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can become somebody else.
        return crate::kit::skipped("a caller of another uid", "not root");
    }
    let mut kit = Kit::fake();
    kit.start_whole();
    let opened = |path: std::path::PathBuf, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod")
    };
    opened(kit.path(""), 0o755);
    opened(kit.path("run"), 0o755);
    opened(kit.socket(), 0o777);
    let program = kit.path("ipfs-kitctl");
    std::fs::copy(kit.ctl_command(&[]).get_program(), &program).expect("copied");
    opened(program.clone(), 0o755);
    for args in [&["status"][..], &["shutdown"], &["pin", "ls", "-o", "json"]] {
        let mut command = std::process::Command::new(&program);
        command.env_clear().env("IPFS_KITD_SOCKET", kit.socket()).args(args).uid(65534).gid(65534).current_dir("/");
        let said = said(&mut command);
        assert_eq!((said.code, said.out.as_str()), (Some(77), ""), "{args:?}: {}", said.err);
        assert!(said.err.contains("uid 65534 may not use this ipfs-kitd"), "{}", said.err);
    }
    assert!(!kit.status().daemon.stopping);
}

#[test]
fn others_may_do_what_the_configuration_grants_them_and_a_reload_takes_it_back() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can become somebody else.
        return crate::kit::skipped("levels of other uids", "not root");
    }
    const OTHER: u32 = 54321;
    let mut kit = Kit::fake();
    let config = kit.path("home/.config/ipfs-kitd/config.toml");
    std::fs::create_dir_all(config.parent().expect("a directory")).expect("made");
    std::fs::write(&config, format!("[access]\nrecord = [\"{OTHER}\"]\n")).expect("written");
    kit.start_whole();
    std::fs::set_permissions(kit.path(""), PermissionsExt::from_mode(0o755)).expect("chmod");
    let program = kit.path("ipfs-kitctl");
    std::fs::copy(kit.ctl_command(&[]).get_program(), &program).expect("copied");
    let ask = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.env_clear().env("IPFS_KITD_SOCKET", kit.socket()).args(args).uid(OTHER).gid(OTHER).current_dir("/");
        said(&mut command)
    };
    eventually(|| ask(&["status"]).code == Some(0), || ask(&["status"]).err);
    let cid = crate::kit::identity_cid("theirs");
    assert_eq!(ask(&["pin", "tag", &cid, "+mine"]).code, Some(0));
    for refused in [&["pin", "add", &cid][..], &["kubo", "restart"], &["kubo", "logs"], &["shutdown"]] {
        let ran = ask(refused);
        assert_eq!((ran.code, ran.out.as_str()), (Some(77), ""), "{refused:?}: {}", ran.err);
        assert!(ran.err.contains("needs the level admin, and uid 54321 has record"), "{}", ran.err);
    }
    assert!(kit.log().contains("audit: not done") && kit.log().contains("\"uid\":54321"), "{}", kit.log());

    std::fs::write(&config, "").expect("written");
    kit.signal(nix::sys::signal::Signal::SIGHUP);
    eventually(|| ask(&["status"]).code != Some(0), || kit.log());
    let mode = || std::fs::metadata(kit.socket()).expect("there").permissions().mode() & 0o777;
    eventually(|| mode() == 0o600, || kit.log());
    assert_eq!(kit.ctl(&["status"]).code, Some(0), "the own uid stays");
}

#[test]
fn wait_answers_when_it_is_so() {
    let mut kit = Kit::fake();
    kit.start();
    assert!(kit.call(Wait { condition: Condition::IndexFresh }).waited_s >= 0.0);
    assert!(matches!(
        kit.client().call_with(Wait { condition: Condition::KuboStopped }, Some(std::time::Duration::from_millis(5)), |_| Ok(())),
        Err(ClientError::Fault(fault)) if fault.kind == proto_msgs::FaultKind::Timeout
    ));
}

#[test]
fn an_id_may_be_used_again_as_soon_as_its_end_is_read_and_so_may_a_place() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    for _ in 0..1000 {
        raw.send(b"{\"id\":1,\"call\":{\"lock_check\":{}}}\n");
        assert!(raw.line()["done"].is_object());
    }
    // As many as a connection may have under way, each in the place of one that has just ended.
    let call = |id: u64| format!("{{\"id\":{id},\"call\":{{\"config_show\":{{}}}}}}\n");
    raw.send((1..=16).map(call).collect::<String>().as_bytes());
    for _ in 0..1000 {
        let end = raw.line();
        assert!(end["done"].is_object(), "{end}");
        raw.send(call(end["id"].as_u64().expect("an id")).as_bytes());
    }
}

#[test]
fn a_deadline_may_be_as_long_as_a_number() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let mut raw = Raw::connect(&kit);
    raw.send(format!("{{\"id\":1,\"deadline_ms\":{},\"call\":{{\"doctor\":{{}}}}}}\n", (1_u64 << 53) - 1).as_bytes());
    assert!(raw.line()["done"].is_object());
}
