//! The built `ipfs-kitctl` against a stub daemon: what it prints in each format, what it exits with, what it asks.

mod stub;

use proto_msgs::FaultKind;
use proto_msgs::daemon::{
    Count, IndexRefreshed, LastError, Metrics, MetricsReport, Shutdown, ShuttingDown, Status, Wait, Waited,
};
use proto_msgs::event::{Event, EventPage, Events, What};
use proto_msgs::kubo::{KuboLogLine, KuboLogPage, KuboLogs, KuboState, KuboStatus, KuboStop};
use proto_msgs::legacy::{IndexImport, IndexImported, LegacyOutcome, LegacySource};
use proto_msgs::pin::*;
use proto_msgs::snapshot::{SnapshotAt, SnapshotList, SnapshotLs, SnapshotManifest, SnapshotPath, SnapshotRow};
use proto_msgs::state::{NetworkState, StateNetwork, StateReport};
use proto_msgs::upkeep::{IndexCompact, IndexCompacted};
use proto_msgs::verb::{Body, Call, Part, Verb};
use proto_msgs::vfs::{VfsJournal, VfsJournalPage};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use stub::{Ran, Speaks, Stub, V0, V1, ago, fault, kitctl, kubo, page, pin, status};

fn two_pins(speaks: Speaks) -> Stub {
    Stub::new(speaks, |call| match call {
        Call::PinLs(_) => {
            let first = Pin { name: Some("a, \"b\"".to_owned()), size: Some(1_468_006), ..pin(V0) };
            let second = Pin { pin_type: PinType::Direct, codec: "raw".to_owned(), ..pin(V1) };
            let part = |pin| Body::Part(Part::PinLs(PinRows { pins: vec![pin] }));
            Box::new([part(first), part(second), Body::Done(PinLs::done(page(2)))].into_iter())
        }
        Call::Status(_) => Box::new(std::iter::once(Body::Done(Status::done(status(KuboState::Running))))),
        other => panic!("{other:?}"),
    })
}

/// A stub that answers a call with a fault of this kind.
fn failing(kind: FaultKind) -> Stub {
    Stub::one(move |_| fault(kind, "it went wrong", Some("do this")))
}

#[test]
fn a_listing_is_aligned_and_cids_are_never_cut() {
    for speaks in [Speaks::Binary, Speaks::Json] {
        let ran = two_pins(speaks).run(&["pin", "ls"]);
        let expected = format!(
            "{:59}  TYPE       CODEC   SIZE     FIRST_SEEN  NAME\n\
             {V0:59}  recursive  dag-pb  1.4 MiB  3m ago      a, \"b\"\n\
             {V1}  direct     raw     -        3m ago      -\n",
            "CID"
        );
        assert_eq!(ran.all(), (0, expected.as_str(), ""));
    }
}

#[test]
fn columns_and_header_are_chosen() {
    let stub = two_pins(Speaks::Binary);
    let ran = stub.run(&["pin", "ls", "--columns", "type,cid", "--no-header"]);
    assert_eq!(ran.all(), (0, format!("recursive  {V0}\ndirect     {V1}\n").as_str(), ""));
    let ran = stub.run(&["pin", "ls", "--columns", "colour"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("there is no column \"colour\"; there are cid, name, type"), "{ran:?}");
}

#[test]
fn csv_quotes_and_leaves_null_empty() {
    let ran = two_pins(Speaks::Binary).run(&["pin", "ls", "-o", "csv", "--columns", "cid,name,size"]);
    assert_eq!(ran.all(), (0, format!("cid,name,size\n{V0},\"a, \"\"b\"\"\",1468006\n{V1},,\n").as_str(), ""));
}

#[test]
fn cid_is_one_cid_a_line() {
    let ran = two_pins(Speaks::Binary).run(&["pin", "ls", "-o", "cid"]);
    assert_eq!(ran.all(), (0, format!("{V0}\n{V1}\n").as_str(), ""));
}

#[test]
fn ndjson_is_one_row_a_line_and_nothing_else() {
    let ran = two_pins(Speaks::Binary).run(&["pin", "ls", "-o", "ndjson"]);
    let rows: Vec<Pin> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows.iter().map(|pin| pin.cid.as_str()).collect::<Vec<_>>(), [V0, V1]);
}

#[test]
fn json_is_one_document_with_the_age_of_the_answer() {
    for speaks in [Speaks::Binary, Speaks::Json] {
        let ran = two_pins(speaks).run(&["--json", "pin", "ls"]);
        let mut document: Value = serde_json::from_str(&ran.stdout).expect("one document");
        let pins = document["pins"].take();
        let expected = json!({
            "schema_version": 1, "as_of": "2026-01-02T03:04:05.678Z", "age_s": 12.5, "generation": 3,
            "complete": true, "source": "live", "total": 2, "pins": null,
        });
        assert_eq!(document, expected);
        assert_eq!((pins[0]["cid"].as_str(), pins[1]["type"].as_str()), (Some(V0), Some("direct")));
        assert_eq!(pins[1]["size"], Value::Null);
    }
}

#[test]
fn an_empty_listing_is_a_whole_document_and_an_empty_table() {
    let stub = Stub::one(|_| Body::Done(PinLs::done(page(0))));
    let document: Value = serde_json::from_str(&stub.run(&["pin", "ls", "--json"]).stdout).expect("one document");
    assert_eq!((&document["pins"], &document["total"]), (&json!([]), &json!(0)));
    assert_eq!(stub.run(&["pin", "ls"]).all(), (0, "", "no pins\n"));
    assert_eq!(stub.run(&["pin", "ls", "-o", "csv", "--columns", "cid"]).all(), (0, "cid\n", ""));
}

#[test]
fn a_listing_asks_for_what_the_options_say() {
    let asked = Arc::new(Mutex::new(None));
    let seen = asked.clone();
    let stub = Stub::one(move |call| {
        *seen.lock().expect("unpoisoned") = Some(call);
        Body::Done(PinLs::done(page(0)))
    });
    let args = ["pin", "ls", "--type", "direct", "--name", "x", "--limit", "5", "--offset", "2", "--sort", "size:desc"];
    assert_eq!(stub.run(&args).code, Some(0));
    let expected = PinLs {
        pin_type: Some(PinType::Direct),
        name: Some("x".to_owned()),
        tag: None,
        tier: None,
        min_size: None,
        since: None,
        limit: Some(5),
        offset: 2,
        sort: Some(PinSort::Size),
        descending: true,
    };
    assert_eq!(*asked.lock().expect("unpoisoned"), Some(expected.into()));
}

#[test]
fn rows_are_written_as_they_come_and_a_closed_pipe_is_a_quiet_end() {
    for format in ["ndjson", "json", "csv", "cid", "table"] {
        let rows = || PinRows { pins: vec![pin(V0); PinRows::MAX] };
        let stub = Stub::new(Speaks::Binary, move |_| {
            Box::new(std::iter::repeat_with(move || Body::Part(Part::PinLs(rows()))))
        });
        let mut child = stub
            .command(&["pin", "ls", "-o", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // The listing has no end, so these rows can only come from one that is under way.
        let read = lines.by_ref().take(3 * PinRows::MAX).filter(|line| line.as_ref().is_ok_and(|l| l.contains(V0)));
        assert!(read.count() >= 3 * PinRows::MAX - 1, "{format}");
        drop(lines);
        let ended = child.wait().expect("it ends");
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("read");
        assert_eq!((ended.code(), stderr.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn every_kind_of_fault_has_its_exit_code() {
    use FaultKind::*;
    for (kind, code) in [
        (Invalid, 2),
        (KuboDown, 3),
        (NotFound, 4),
        (Denied, 77),
        (Conflict, 1),
        (NotReady, 1),
        (Busy, 1),
        (Timeout, 1),
        (Kubo, 1),
        (NotOurs, 1),
        (Interrupted, 1),
        (Internal, 1),
        (Unknown, 1),
    ] {
        let ran = failing(kind).run(&["pin", "add", V0]);
        let said = format!("error: {V0}: it went wrong\nhint: do this\n");
        assert_eq!(ran.all(), (code, "", said.as_str()), "{kind:?}");
    }
}

#[test]
fn a_fault_is_json_on_stderr_where_the_answer_would_be_json() {
    for args in [["pin", "ls", "--json"], ["pin", "ls", "-ojson"]] {
        let ran = failing(FaultKind::Busy).run(&args);
        let expected = json!({"error": {"kind": "busy", "detail": "it went wrong", "hint": "do this"}});
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert_eq!(serde_json::from_str::<Value>(&ran.stderr).expect("one document"), expected);
    }
}

#[test]
fn a_wrong_command_line_is_usage_in_both_forms() {
    for args in [&["pin", "list"][..], &["pin", "ls", "--sort", "colour"], &["--timeout", "30", "status"], &[]] {
        let ran = kitctl(args).output().map(Ran::of).expect("it runs");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
    let ran = kitctl(&["-o", "json", "pin", "ls", "--bogus"]).output().map(Ran::of).expect("it runs");
    let error: Value = serde_json::from_str(&ran.stderr).expect("one document");
    assert_eq!((ran.code, &error["error"]["kind"]), (Some(2), &json!("usage")));
    assert!(error["error"]["detail"].as_str().is_some_and(|detail| detail.contains("--bogus")), "{error}");
    assert_eq!(kitctl(&["--help"]).output().map(Ran::of).expect("it runs").code, Some(0));
}

#[test]
fn a_format_that_a_command_lacks_is_refused_before_the_call() {
    let stub = Stub::one(|call| panic!("asked {call:?}"));
    for args in [["shutdown", "-o", "csv"], ["status", "-o", "cid"], ["metrics", "-o", "cid"]] {
        let ran = stub.run(&args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
    assert_eq!(stub.run(&["kubo", "stop", "-o", "csv"]).code, Some(2));
}

#[test]
fn where_nobody_answers_every_path_is_named_with_its_reason() {
    if std::path::Path::new("/run/ipfs-kitd/ipfs-kitd.sock").exists() {
        // This machine's own daemon would answer, and it is not for tests.
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (runtime, home) = (dir.path().join("run"), dir.path().join("home"));
    std::fs::create_dir_all(runtime.join("ipfs-kitd")).expect("made");
    // A socket whose daemon was killed.
    let dead = runtime.join("ipfs-kitd/ipfs-kitd.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).expect("a socket"));
    let mut command = kitctl(&["status"]);
    let ran = Ran::of(command.env("XDG_RUNTIME_DIR", &runtime).env("HOME", &home).output().expect("it runs"));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(69), ""));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines[0], "error: no ipfs-kitd answers");
    assert_eq!(
        lines[1],
        format!("  tried {} (nobody listens there; a daemon that was killed has left it behind)", dead.display())
    );
    assert_eq!(lines[2], format!("  tried {}/.ipfs_kit/run/ipfs-kitd.sock (no such file)", home.display()));
    assert!(lines[3].starts_with("  tried /run/ipfs-kitd/ipfs-kitd.sock ("), "{ran:?}");
    assert!(lines[4].starts_with("hint: start it"), "{ran:?}");
}

#[test]
fn a_socket_that_was_named_is_the_only_one_tried() {
    let stub = Stub::one(|_| Body::Done(PinLs::done(page(0))));
    let nowhere = stub.socket().with_file_name("nowhere");
    let ran = stub.run(&["--socket", &nowhere.display().to_string(), "pin", "ls", "--json"]);
    assert_eq!(ran.code, Some(69));
    let error: Value = serde_json::from_str(&ran.stderr).expect("one document");
    let detail = format!("no ipfs-kitd answers; tried {} (no such file)", nowhere.display());
    assert_eq!((&error["error"]["kind"], &error["error"]["detail"]), (&json!("unreachable"), &json!(detail)));
}

#[test]
fn an_answer_older_than_max_age_is_refused_before_it_is_printed() {
    let stub = two_pins(Speaks::Binary);
    assert_eq!(stub.run(&["--max-age", "1m", "pin", "ls", "-o", "cid"]).code, Some(0));
    let ran = stub.run(&["--max-age", "10s", "pin", "ls", "-o", "cid"]);
    let stderr =
        "error: the index is 12s old and --max-age is 10s\nhint: `ipfs-kitctl index refresh --wait` renews the index\n";
    assert_eq!(ran.all(), (75, "", stderr));
}

#[test]
fn several_cids_are_all_tried_and_the_highest_code_is_returned() {
    let stub = Stub::one(|call| match call {
        Call::PinRm(PinRm { cid }) => match cid.as_str() {
            "bad" => fault(FaultKind::Invalid, "bad is no CID", None),
            "gone" => fault(FaultKind::NotFound, "it is not pinned", None),
            _ => Body::Done(PinRm::done(PinRemoved { generation: 1, cid })),
        },
        other => panic!("{other:?}"),
    });
    let ran = stub.run(&["pin", "rm", V0, "gone", "bad", V1]);
    let stdout = format!("unpinned {V0}\nunpinned {V1}\n");
    assert_eq!(ran.all(), (4, stdout.as_str(), "error: gone: it is not pinned\nerror: bad is no CID\n"));
    let ran = stub.run_with_stdin(&["pin", "rm", "-", "-o", "cid"], &format!("{V0}\n\n  {V1}  \n"));
    assert_eq!(ran.all(), (0, format!("{V0}\n{V1}\n").as_str(), ""));
    assert_eq!(stub.run_with_stdin(&["pin", "rm", "-"], "").all(), (0, "", ""));
    let ran = stub.run_with_stdin(&["pin", "rm", "-"], &"x".repeat(5000));
    assert!(ran.code != Some(0) && ran.stderr.contains("longer than 4096 bytes") && ran.stderr.len() < 200, "{ran:?}");
}

#[test]
fn info_shows_all_that_is_known_of_a_pin() {
    let stub = Stub::one(|_| {
        let known = Pin { size: Some(2048), name: Some("evil \u{1b}[2J".to_owned()), ..pin(V0) };
        let PinPage { as_of, age_s, generation, complete, source, .. } = page(1);
        Body::Done(PinInfo::done(PinInfoReply { as_of, age_s, generation, complete, source, pins: vec![known] }))
    });
    let ran = stub.run(&["pin", "info", V0]);
    let shown: Vec<&str> = ran.stdout.lines().take(5).collect();
    let cid = format!("cid           {V0}");
    let expected =
        [&cid, "name          evil \\u{1b}[2J", "type          recursive", "size          2.0 KiB (2048 bytes)"];
    assert_eq!(shown[..4], expected);
    let document: Value = serde_json::from_str(&stub.run(&["pin", "info", V0, "--json"]).stdout).expect("JSON");
    assert_eq!((&document["generation"], &document["pins"][0]["size"]), (&json!(3), &json!(2048)));
}

#[test]
fn add_says_what_was_pinned() {
    let stub = Stub::new(Speaks::Binary, |call| {
        let Call::PinAdd(PinAdd { cid, name, direct }) = call else { panic!("{call:?}") };
        let pin_type = if direct { PinType::Direct } else { PinType::Recursive };
        let added = PinAdded { generation: 9, pin: Pin { name, pin_type, ..pin(&cid) } };
        let progress = Body::Part(Part::Progress(Progress { blocks: 3, bytes: None }));
        Box::new([progress, Body::Done(PinAdd::done(added))].into_iter())
    });
    assert_eq!(stub.run(&["pin", "add", V0]).all(), (0, format!("pinned {V0} recursive\n").as_str(), ""));
    let ran = stub.run(&["pin", "add", V0, "--name", "n", "--direct"]);
    assert_eq!(ran.all(), (0, format!("pinned {V0} direct as \"n\"\n").as_str(), ""));
    let ran = stub.run(&["pin", "add", V0, V1, "--json"]);
    let documents: Vec<Value> = ran.stdout.lines().map(|l| serde_json::from_str(l).expect("a document")).collect();
    assert_eq!((documents.len(), &documents[1]["pin"]["cid"]), (2, &json!(V1)));
}

#[test]
fn kubo_status_exits_with_3_and_the_report_when_kubo_is_not_running() {
    for (state, code) in [(KuboState::Running, 0), (KuboState::Stopped, 3), (KuboState::CrashLoop, 3)] {
        let ran = Stub::one(move |_| Body::Done(KuboStatus::done(kubo(state)))).run(&["kubo", "status"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""));
        let words = state.name().replace('_', " ");
        assert!(ran.stdout.starts_with(&format!("state     {words} for 3m\n")), "{ran:?}");
    }
    let ran = Stub::one(|_| Body::Done(KuboStop::done(kubo(KuboState::Stopped)))).run(&["kubo", "stop"]);
    assert_eq!(ran.all(), (0, "Kubo is stopped\n", ""));
}

#[test]
fn logs_are_lines_without_orders_to_the_terminal() {
    let stub = Stub::one(|_| {
        let line = KuboLogLine { at: "T".to_owned(), stream: "stdout".to_owned(), text: "\u{1b}[31mred\tx".to_owned() };
        Body::Done(KuboLogs::done(KuboLogPage { lines: vec![line], dropped: 0 }))
    });
    assert_eq!(stub.run(&["kubo", "logs", "-n", "5"]).all(), (0, "T \\u{1b}[31mred\tx\n", ""));
}

#[test]
fn status_is_one_screen() {
    let ran = Stub::one(|_| Body::Done(Status::done(status(KuboState::Running)))).run(&["status"]);
    let expected = "\
daemon  version 0.1.0, PID 42, up 2h
        data in /data
        socket /run/s
kubo    running for 3m, version 0.43.1, PID 77, 0 restarts
        repo /repo
index   2 pins (1 recursive, 1 direct), generation 3
        as of 12s ago, complete, refreshed every 30s
";
    assert_eq!(ran.all(), (0, expected, ""));
}

#[test]
fn status_check_says_what_is_degraded() {
    let check = |change: fn(&mut proto_msgs::daemon::StatusReport)| {
        let stub = Stub::one(move |_| {
            let mut report = status(KuboState::Running);
            change(&mut report);
            Body::Done(Status::done(report))
        });
        let ran = stub.run(&["status", "--check"]);
        assert!(ran.stdout.starts_with("daemon  "), "{ran:?}");
        (ran.code.unwrap_or(-1), ran.stderr)
    };
    assert_eq!(check(|_| {}), (0, String::new()));
    assert_eq!(
        check(|r| r.kubo.state = KuboState::Backoff),
        (3, "error: Kubo is not running: backoff for 3m\n".to_owned())
    );
    let stale = check(|r| (r.index.complete, r.index.failed_refreshes) = (false, 2));
    assert_eq!(stale, (1, "error: the index is not complete yet; the last 2 refreshes failed\n".to_owned()));
    let actor = check(|r| r.daemon.actors[0].running = false);
    assert_eq!(actor, (1, "error: the indexer is being restarted\n".to_owned()));
}

#[test]
fn wait_and_refresh_ask_for_what_they_say() {
    let stub = Stub::one(|call| match call {
        Call::Wait(Wait { condition }) => Body::Done(Wait::done(Waited { condition, waited_s: 0.5 })),
        Call::IndexRefresh(verb) => Body::Done(proto_msgs::daemon::IndexRefresh::done(IndexRefreshed {
            as_of: Some(ago(1)),
            age_s: Some(1.0),
            generation: 4,
            complete: true,
            source: Source::Live,
            done: verb.wait,
            added: 1,
            removed: 2,
            changed: 3,
            missing: 0,
        })),
        other => panic!("{other:?}"),
    });
    let waited: Value = serde_json::from_str(&stub.run(&["wait", "--for=index=fresh", "--json"]).stdout).expect("JSON");
    assert_eq!(waited, json!({"schema_version": 1, "for": "index_fresh", "waited_s": 0.5}));
    assert_eq!(stub.run(&["wait", "--for=kubo=up"]).code, Some(2));
    let refreshed = stub.run(&["index", "refresh", "--wait"]);
    assert_eq!(refreshed.all(), (0, "refreshed: 1 added, 2 removed, 3 changed; generation 4\n", ""));
    assert_eq!(stub.run(&["index", "refresh"]).all(), (0, "a refresh was asked for\n", ""));
    let late = failing(FaultKind::Timeout).run(&["wait", "--for=kubo=running", "--timeout", "5s"]);
    assert_eq!(late.all(), (1, "", "error: it went wrong\nhint: do this\n"));
}

#[test]
fn shutdown_returns_when_the_connection_ends() {
    // A daemon that stays: the wait is given up.
    let stays = Stub::one(|_| Body::Done(Shutdown::done(ShuttingDown { pid: 42 })));
    let ran = stays.run(&["shutdown", "--timeout", "50ms"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.contains("is stopping and has not ended yet"), "{ran:?}");

    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let ends = std::thread::spawn(move || {
        use proto_msgs::binary::{self, Hello};
        use std::io::Write;
        let (mut stream, _) = listener.accept().expect("a client");
        stream.read_exact(&mut [0; 6]).expect("a preamble");
        binary::read_frame(&mut stream, binary::MAX_HELLO).expect("a hello");
        stream.write_all(&[&binary::PREAMBLE[..], &binary::frame(&Hello::of("stub"))].concat()).expect("written");
        binary::read_frame(&mut stream, 4096).expect("the call");
        let body = Body::Done(Shutdown::done(ShuttingDown { pid: 42 }));
        stream.write_all(&binary::frame(&proto_msgs::Response { id: 1, body })).expect("written");
    });
    let ran = kitctl(&["shutdown", "--socket", &socket.display().to_string()]).output().map(Ran::of).expect("it runs");
    assert_eq!(ran.all(), (0, "stopped\n", "ipfs-kitd (PID 42) is stopping\n"));
    ends.join().expect("the stub ends");
}

#[test]
fn a_daemon_that_closes_in_the_middle_is_unreachable() {
    let stub = Stub::new(Speaks::Binary, |_| panic!("a defect of the daemon"));
    let ran = stub.run(&["pin", "ls", "--json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(69), ""));
    assert!(ran.stderr.contains("closed the connection before it had answered"), "{ran:?}");
}

#[test]
fn what_is_no_socket_is_told_from_one_that_nobody_listens_on() {
    let dir = tempfile::tempdir().expect("a temp dir");
    for path in [dir.path().to_owned(), dir.path().join("file")] {
        if !path.exists() {
            std::fs::write(&path, "").expect("written");
        }
        let ran = kitctl(&["--socket", &path.display().to_string(), "status"]).output().map(Ran::of).expect("it runs");
        assert_eq!(ran.code, Some(69), "{ran:?}");
        assert!(ran.stderr.contains("it is there and no socket"), "{ran:?}");
    }
}

#[test]
fn events_are_wanted_after_a_number_or_from_a_time_on() {
    let event = |seq, seconds| Event {
        seq,
        at: ago(seconds),
        what: What::Error(LastError { at: ago(seconds), actor: "index".into(), detail: format!("number {seq}") }),
    };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let stub = Stub::one(move |call| {
        let Call::Events(events) = call else { panic!("{call:?}") };
        seen.lock().expect("unpoisoned").push(events.since);
        Body::Done(Events::done(EventPage { epoch: "e".into(), gap: 0, events: vec![event(1, 3600), event(2, 300)] }))
    });
    let since = stub.run(&["events", "--since", "10m"]);
    assert!(since.stdout.contains("number 2") && !since.stdout.contains("number 1"), "{since:?}");
    assert_eq!(stub.run(&["events", "--since", "1"]).stderr, "");
    assert_eq!(*asked.lock().expect("unpoisoned"), [None, None, Some(1)]);
    let ahead = stub.run(&["events", "--since", "7"]);
    let told = "no event has the number 7: numbers begin anew with each start of the daemon, and the newest is 2\n";
    assert_eq!((ahead.code, ahead.stderr.as_str()), (Some(0), told));
    let wrong = stub.run(&["events", "--since", "soon"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("an event's number, or a time"), "{wrong:?}");
}

#[test]
fn the_help_of_a_command_names_no_format_that_it_lacks() {
    for command in [&["status"][..], &["pin", "ls"], &["metrics"]] {
        let help = kitctl(&[command, &["--help"]].concat()).output().map(Ran::of).expect("it runs").stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!help.contains("possible values: table") && !help.contains("One CID a line"), "{help}");
        assert!(help.contains("with `pin` and `vfs` also csv and cid"), "{help}");
        let (own, global) = help.split_once("Global options:").expect("a heading of their own");
        assert!(own.contains("--help") && !own.contains("--socket") && global.contains("--socket"), "{help}");
    }
}

/// A stub that keeps what it is asked and answers with a mark.
fn marking(asked: &Arc<Mutex<Vec<Call>>>, shown: bool) -> Stub {
    let asked = asked.clone();
    let marked = move || PinMarked {
        cid: V1.to_owned(),
        tags: vec!["a".to_owned(), "b c".to_owned()],
        note: None,
        tier: Some("hot".to_owned()),
        seq: Some(7),
        shown,
    };
    Stub::one(move |call| {
        asked.lock().expect("unpoisoned").push(call.clone());
        Body::Done(match call {
            Call::PinTag(_) => PinTag::done(marked()),
            Call::PinNote(_) => PinNote::done(marked()),
            Call::PinTier(_) => PinTier::done(marked()),
            other => panic!("{other:?}"),
        })
    })
}

#[test]
fn words_behind_the_cid_are_tags_that_come_and_go() {
    let asked = Arc::default();
    let stub = marking(&asked, true);
    let table = format!("cid   {V1}\ntags  a;b c\nnote  -\ntier  hot\n");
    // Also such as look like options.
    let args = ["pin", "tag", V1, "+a", "-holidays", "-old", "+b c", "-o", "+-V"];
    assert_eq!(stub.run(&args).all(), (0, table.as_str(), ""));
    assert_eq!(
        stub.run(&["pin", "tag", "-o", "csv", V1]).all(),
        (0, format!("cid,tags,note,tier\n{V1},a;b c,,hot\n").as_str(), "")
    );
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let tag = |add, remove| Call::from(PinTag { cid: V1.to_owned(), add: words(add), remove: words(remove) });
    let expected = [tag(&["a", "b c", "-V"], &["holidays", "old", "o"]), tag(&[], &[])];
    assert_eq!(asked.lock().expect("unpoisoned")[..], expected);
    for wrong in [
        &["pin", "tag", V1, "plain"][..],
        &["pin", "tag", V1, "+a", "--json"],
        &["pin", "tag", V1, "-o", "json"],
        &["pin", "tag"],
    ] {
        assert_eq!(stub.run(wrong).code, Some(2), "{wrong:?}");
    }
    assert_eq!(asked.lock().expect("unpoisoned").len(), 2, "nothing was asked");
}

#[test]
fn notes_and_tiers_are_set_shown_and_taken_away() {
    let asked = Arc::default();
    let stub = marking(&asked, true);
    for args in [
        &["note", V0, "two words"][..],
        &["note", V0, ""],
        &["note", V0, "-"],
        &["note", V0],
        &["tier", V0, "hot"],
        &["tier", V0, "-"],
        &["tier", V0, "--clear"],
        &["tier", V0],
    ] {
        let document: Value =
            serde_json::from_str(&stub.run(&[&["--json", "pin"], args].concat()).stdout).expect("a document");
        assert_eq!((&document["schema_version"], &document["seq"]), (&json!(1), &json!(7)));
    }
    let note = |note: Option<&str>| Call::from(PinNote { cid: V0.to_owned(), note: note.map(str::to_owned) });
    let tier = |tier: Option<&str>| Call::from(PinTier { cid: V0.to_owned(), tier: tier.map(str::to_owned) });
    let expected = [
        note(Some("two words")),
        note(Some("")),
        note(Some("")),
        note(None),
        tier(Some("hot")),
        tier(Some("")),
        tier(Some("")),
        tier(None),
    ];
    assert_eq!(asked.lock().expect("unpoisoned")[..], expected);
    assert_eq!(stub.run(&["pin", "tier", V0, "hot", "--clear"]).code, Some(2));
}

#[test]
fn each_cid_on_standard_input_is_marked_and_who_has_to_wait_is_told() {
    let asked = Arc::default();
    let ran =
        marking(&asked, false).run_with_stdin(&["pin", "tag", "-o", "cid", "-", "+a"], &format!("{V0}\n\n{V1}\n"));
    let told = format!("{V1} is recorded; listings show it with the next change of the index\n");
    assert_eq!(ran.all(), (0, format!("{V1}\n{V1}\n").as_str(), format!("{told}{told}").as_str()));
    let cids: Vec<_> = asked
        .lock()
        .expect("unpoisoned")
        .iter()
        .map(|call| match call {
            Call::PinTag(tag) => tag.cid.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(cids, [V0, V1]);
}

#[test]
fn max_age_holds_for_samples_and_snapshots_too() {
    let stub = Stub::one(|call| match call {
        Call::StateNetwork(_) => {
            let newest = NetworkState { at: ago(300), peers: Some(3), ..NetworkState::default() };
            let report = StateReport { as_of: Some(ago(300)), age_s: Some(300.0), newest: Some(newest) };
            Body::Done(StateNetwork::done(report))
        }
        Call::SnapshotPath(_) => {
            let manifest = SnapshotManifest { as_of: Some(ago(300)), ..SnapshotManifest::default() };
            let path = "/data/snapshots/gen-1.1".to_owned();
            Body::Done(SnapshotPath::done(SnapshotAt { path, manifest, passed_over: vec![] }))
        }
        Call::SnapshotLs(_) => {
            let row = |serial: u64, seconds, problem: Option<&str>| SnapshotRow {
                name: format!("gen-1.{serial}"),
                generation: 1,
                created_at: None,
                as_of: Some(ago(seconds)),
                pins: None,
                bytes: None,
                newest: false,
                problem: problem.map(str::to_owned),
            };
            let snapshots = vec![row(2, 1, Some("damaged")), row(1, 300, None)];
            Body::Done(SnapshotLs::done(SnapshotList { dir: "/data/snapshots".to_owned(), snapshots }))
        }
        other => panic!("{other:?}"),
    });
    for command in
        [&["state", "network"][..], &["state", "network", "--history"], &["snapshot", "path"], &["snapshot", "ls"]]
    {
        let run = |most| stub.run(&[&["--max-age", most, "-o", "ndjson"], command].concat());
        assert_eq!(run("10m").code, Some(0), "{command:?}");
        let stale = run("10s");
        assert_eq!((stale.code, stale.stdout.as_str()), (Some(75), ""), "{command:?}");
        assert!(stale.stderr.contains(" is 5m old and --max-age is 10s\nhint: "), "{stale:?}");
    }
}

#[test]
fn max_age_is_refused_where_nothing_has_an_age() {
    let stub = Stub::one(|call| panic!("asked {call:?}"));
    for args in [
        &["pin", "tag", V0, "+a"][..],
        &["pin", "add", V0],
        &["events"],
        &["doctor"],
        &["kubo", "stop"],
        &["index", "refresh"],
        &["snapshot", "now"],
        &["shutdown"],
    ] {
        let ran = stub.run(&[&["--max-age", "1h"], args].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(
            ran.stderr.starts_with("error: what this command answers has no age; leave out --max-age\n"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_table_from_the_index_alone_says_so_and_how_old_it_is() {
    let dated = || PinPage { as_of: Some(ago(11_000)), source: Source::Index, ..page(1) };
    let stub = Stub::new(Speaks::Binary, move |call| match call {
        Call::PinLs(_) => {
            let rows = Body::Part(Part::PinLs(PinRows { pins: vec![pin(V0)] }));
            Box::new([rows, Body::Done(PinLs::done(dated()))].into_iter())
        }
        Call::PinInfo(_) => {
            let PinPage { as_of, age_s, generation, complete, source, .. } = dated();
            let info = PinInfoReply { as_of, age_s, generation, complete, source, pins: vec![pin(V0)] };
            Box::new(std::iter::once(Body::Done(PinInfo::done(info))))
        }
        Call::PinHistory(_) => Box::new(std::iter::once(Body::Done(PinHistory::done(dated())))),
        other => panic!("{other:?}"),
    });
    let told = "as of 3h ago, from the index alone; `ipfs-kitctl status` says why\n";
    for command in [&["pin", "ls"][..], &["pin", "info", V0, V0], &["pin", "history"]] {
        let ran = stub.run(command);
        assert_eq!(ran.code, Some(0));
        assert_eq!(ran.stderr.matches(told).count(), 1, "{command:?}: {ran:?}");
        for format in ["json", "ndjson", "csv", "cid"] {
            let ran = stub.run(&[command, &["-o", format]].concat());
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{command:?} {format}");
        }
    }
}

#[test]
fn where_nothing_was_measured_it_is_told_why_except_in_a_document_which_says_null() {
    let stub = Stub::one(|call| match call {
        Call::StateNetwork(_) => Body::Done(StateNetwork::done(StateReport { as_of: None, age_s: None, newest: None })),
        other => panic!("{other:?}"),
    });
    let told = "nothing was measured: Kubo is not running, or runs offline\n";
    for history in [&[][..], &["--history"]] {
        let run = |format| stub.run(&[&["state", "network", "-o", format], history].concat());
        assert_eq!(run("table").all(), (0, "", told));
        assert_eq!(run("csv").all(), (0, "at,peers,bytes_in,bytes_out,rate_in,rate_out\n", told));
        assert_eq!(run("ndjson").all(), (0, "", told));
        assert_eq!((run("json").code, run("json").stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn without_a_daemon_only_what_a_snapshot_answers_is_sent_there() {
    let hint = |args: &[&str]| {
        let ran = kitctl(&[&["--socket", "/nowhere/s"], args].concat()).output().map(Ran::of).expect("it runs");
        assert_eq!(ran.code, Some(69), "{ran:?}");
        ran.stderr
    };
    assert!(hint(&["pin", "ls"]).contains("snapshot with --offline"));
    assert!(hint(&["snapshot", "ls"]).contains("snapshot with --offline"));
    for args in [&["pin", "tag", V0, "+a"][..], &["vfs", "ls"], &["state", "system"]] {
        let hint = hint(args);
        assert!(hint.contains("hint: start it") && !hint.contains("--offline"), "{hint}");
    }
}

#[test]
fn changes_that_went_are_told_from_a_number_that_has_not_come() {
    let journal = |changes: Vec<proto_msgs::vfs::VfsChange>| {
        let stub = Stub::one(move |_| {
            let PinPage { as_of, age_s, generation, complete, source, .. } = page(0);
            let (unread, error, changes) = (0, None, changes.clone());
            let page = VfsJournalPage {
                as_of,
                age_s,
                generation,
                complete,
                source,
                unread,
                error,
                gap: true,
                more: false,
                changes,
            };
            Body::Done(VfsJournal::done(page))
        });
        stub.run(&["vfs", "journal", "--since", "3", "-o", "csv"]).stderr
    };
    let change = proto_msgs::vfs::VfsChange {
        seq: 9,
        at: ago(1),
        op: proto_msgs::vfs::VfsOp::Removed,
        path: "/a".to_owned(),
        cid: None,
        cid_before: None,
    };
    assert_eq!(journal(vec![change]), "changes before these are no longer kept\n");
    let ahead = journal(Vec::new());
    assert_eq!(ahead, "no change has the number 3 yet; in an index that was made anew numbers begin anew\n");
}

#[test]
fn the_history_shows_what_a_retyped_pin_was() {
    let change = |event, type_before| PinChange {
        event,
        generation: Some(2),
        at: Some(ago(200)),
        cid: V1.to_owned(),
        pin_type: PinType::Direct,
        name: None,
        type_before,
        name_before: None,
    };
    let stub = Stub::new(Speaks::Binary, move |_| {
        let retyped = change(PinEvent::Retyped, Some(PinType::Recursive));
        let changes = vec![retyped, change(PinEvent::Renamed, Some(PinType::Direct))];
        let part = Body::Part(Part::PinChanges(PinChanges { changes }));
        Box::new([part, Body::Done(PinHistory::done(page(2)))].into_iter())
    });
    let shown = |columns| stub.run(&["pin", "history", "--no-header", "--columns", columns]).stdout;
    assert_eq!(shown("event,type"), "retyped  recursive -> direct\nrenamed  direct\n");
    assert_eq!(shown("type,type_before"), "direct  recursive\ndirect  direct\n");
    let csv = stub.run(&["pin", "history", "-o", "csv", "--no-header", "--columns", "type"]).stdout;
    assert_eq!(csv, "direct\ndirect\n");
}

#[test]
fn a_small_index_that_grew_when_it_was_compacted_is_explained() {
    let compacted = |index_before, index_after| {
        let (journal_before, journal_after, put_off) = (0, 0, None);
        let saved = IndexCompacted { index_before, index_after, journal_before, journal_after, put_off };
        Stub::one(move |_| Body::Done(IndexCompact::done(saved.clone()))).run(&["index", "compact"]).stdout
    };
    assert!(compacted(800_000, 3_000_000).contains("has a least size of a few MiB"));
    assert!(!compacted(3_000_000, 3_000_000).contains("least size"));
    assert!(!compacted(3 << 30, 4 << 30).contains("least size"));
}

#[test]
fn totals_as_csv_are_one_dated_table() {
    let stub = Stub::one(|_| {
        let PinPage { as_of, age_s, generation, complete, source, .. } = page(2);
        let count = |key: &str, pins| vec![Count { key: key.to_owned(), pins }];
        Body::Done(Metrics::done(MetricsReport {
            as_of,
            age_s,
            generation,
            complete,
            source,
            pins: 2,
            named: 1,
            by_type: count("recursive", 2),
            by_codec: count("raw", 2),
            by_age: count("<1h", 2),
            by_size_kind: count("exact", 2),
            by_size: count("<1KiB", 2),
            bytes: Some(99),
        }))
    });
    let expected = "\
group,key,pins,bytes,as_of
total,all,2,99,T
total,named,1,,T
type,recursive,2,,T
codec,raw,2,,T
age,<1h,2,,T
size,<1KiB,2,,T
sizes,exact,2,,T
";
    assert_eq!(
        stub.run(&["metrics", "-o", "csv"]).all(),
        (0, expected.replace('T', "2026-01-02T03:04:05.678Z").as_str(), "")
    );
}

#[test]
fn an_estimated_size_is_marked_in_the_table_alone() {
    let stub = Stub::new(Speaks::Binary, |_| {
        let sized = |size_kind| Pin { size: Some(2048), size_kind, ..pin(V0) };
        let rows = PinRows { pins: vec![sized(SizeKind::Estimated), sized(SizeKind::Exact)] };
        Box::new([Body::Part(Part::PinLs(rows)), Body::Done(PinLs::done(page(2)))].into_iter())
    });
    let run = |format| stub.run(&["pin", "ls", "--columns", "size", "--no-header", "-o", format]).stdout;
    assert_eq!((run("table").as_str(), run("csv").as_str()), ("~2.0 KiB\n2.0 KiB\n", "2048\n2048\n"));
}

#[test]
fn an_import_that_took_rows_says_where_they_are_seen() {
    let imported = |taken| {
        let source = LegacySource { outcome: LegacyOutcome::Imported, taken, ..LegacySource::default() };
        let stub = Stub::one(move |_| Body::Done(IndexImport::done(IndexImported { sources: vec![source.clone()] })));
        stub.run(&["index", "import", "/old"]).stdout
    };
    assert!(imported(3).ends_with("\nwhat was taken stands in legacy.parquet of the next snapshot (docs/DATA.md)\n"));
    assert!(!imported(0).contains("legacy.parquet"));
}
