//! `pin info`, `add`, `rm`, `history`.

use crate::stub::{Speaks, Stub, V0, V1, ago, fault, page, pin};
use proto_msgs::FaultKind;
use proto_msgs::pin::{
    Pin, PinAdd, PinAdded, PinBegin, PinBegun, PinChange, PinChanges, PinEvent, PinHistory, PinInfo, PinInfoReply,
    PinPage, PinRemoved, PinRm, PinType, Progress,
};
use proto_msgs::verb::{Body, Call, Part, Verb};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[test]
fn several_cids_are_all_tried_and_the_highest_code_is_returned() {
    let stub = Stub::one(|call| match call {
        Call::PinRm(PinRm { cid }) => match cid.as_str() {
            "bad" => fault(FaultKind::Invalid, "bad is no CID", None),
            "gone" => fault(FaultKind::NotFound, "it is not pinned", None),
            _ => Body::Done(PinRm::done(PinRemoved { generation: 1, cid, given_up: false })),
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

/// What a terminal of this kind gets to see of standard error, up to the end of the line that says this.
fn on_a_terminal(stub: &Stub, term: &str, args: &[&str], last: &str) -> String {
    // What is written to this end comes back as an echo, with `^[` for an escape.
    let mut options = File::options();
    let mut terminal = options.read(true).write(true).open("/dev/ptmx").expect("a terminal");
    let stderr = terminal.try_clone().expect("a second descriptor");
    stub.command(args).env("TERM", term).stderr(stderr).status().expect("it runs");
    let (echo, echoed) = mpsc::channel();
    // It ends with this process.
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(read) = terminal.read(&mut bytes)
            && echo.send(bytes[..read].to_vec()).is_ok()
        {}
    });
    let mut seen = String::new();
    while !seen.split_once(last).is_some_and(|(_, rest)| rest.contains('\n')) {
        let more = echoed.recv_timeout(Duration::from_secs(10)).expect("the echo");
        seen += std::str::from_utf8(&more).expect("UTF-8");
    }
    seen
}

#[test]
fn progress_is_shown_where_a_line_can_be_written_over() {
    let stub = Stub::new(Speaks::Binary, |_| {
        let progress = Body::Part(Part::Progress(Progress { blocks: 3, bytes: None }));
        Box::new([progress, fault(FaultKind::Kubo, "it broke", None)].into_iter())
    });
    let seen = |term| on_a_terminal(&stub, term, &["pin", "add", "x"], "it broke");
    let shown = seen("xterm");
    assert!(shown.contains("^[[Kpinning x: 3 blocks"), "{shown}");
    assert_eq!(seen("dumb").trim_end(), "error: x: it broke");
}

#[test]
fn what_is_not_waited_for_is_asked_again_until_the_daemon_has_room() {
    let asked = AtomicU64::new(0);
    let stub = Stub::one(move |call| {
        let Call::PinBegin(PinBegin(PinAdd { cid, .. })) = call else { panic!("{call:?}") };
        // Each is refused once.
        match (cid == "never", asked.fetch_add(1, Ordering::Relaxed) % 2) {
            (false, 1) => Body::Done(PinBegin::done(PinBegun { cid })),
            _ => fault(FaultKind::Busy, "1024 changes of pins are under way", None),
        }
    });
    let ran = stub.run_with_stdin(&["pin", "add", "--detach", "-", "-o", "cid"], &format!("{V0}\n{V1}\n"));
    assert_eq!(ran.all(), (0, format!("{V0}\n{V1}\n").as_str(), ""));
    let ran = stub.run(&["pin", "add", "--detach", "never", "--timeout", "1s"]);
    assert_eq!(ran.all(), (1, "", "error: never: 1024 changes of pins are under way\n"));
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
