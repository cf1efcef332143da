//! `access record` and `access log`.

use crate::stub::{Speaks, Stub, V0, V1, ago, fault};
use proto_msgs::FaultKind;
use proto_msgs::access::{
    Access, AccessLog, AccessPage, AccessRecord, AccessRecorded, AccessRows, AccessSeen, AccessSource, Keeper,
};
use proto_msgs::verb::{Body, Call, Part, Verb};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

type Asked = Arc<Mutex<Vec<AccessRecord>>>;

/// A stub that keeps what it is told, and answers as this says.
fn recording(answer: impl Fn(usize, &AccessRecord) -> Body + Send + Sync + 'static) -> (Stub, Asked) {
    let asked = Asked::default();
    let kept = asked.clone();
    let stub = Stub::one(move |call| {
        let Call::AccessRecord(verb) = call else { panic!("{call:?}") };
        let mut asked = kept.lock().expect("unpoisoned");
        asked.push(verb.clone());
        answer(asked.len(), &verb)
    });
    (stub, asked)
}

fn taken(verb: &AccessRecord) -> Body {
    let taken = verb.accesses.len() as u64;
    Body::Done(AccessRecord::done(AccessRecorded { taken, repeated: false, durable: verb.durable }))
}

fn line(cid: &str) -> String {
    json!({ "cid": cid }).to_string() + "\n"
}

#[test]
fn one_access_is_recorded_as_the_options_say() {
    let (stub, asked) = recording(|_, verb| taken(verb));
    assert_eq!(stub.run(&["access", "record", V0]).all(), (0, "recorded 1 access\n", ""));
    let words = ["--path", "a/b", "--at", "2026-11-21T08:00:00Z", "--bytes", "7", "--offset", "3", "--op", "cat"];
    let args = [&["access", "record", V1, "--source", "player", "--durable", "--json"][..], &words].concat();
    let document: Value = serde_json::from_str(&stub.run(&args).stdout).expect("a document");
    assert_eq!(document, json!({"schema_version": 1, "taken": 1, "repeated": false, "durable": true}));
    let asked = asked.lock().expect("unpoisoned");
    assert_eq!(asked[0].accesses, [AccessSeen { cid: V0.to_owned(), ..AccessSeen::default() }]);
    let whole = AccessSeen {
        cid: V1.to_owned(),
        at: Some("2026-11-21T08:00:00Z".to_owned()),
        path: Some("a/b".to_owned()),
        bytes: Some(7),
        offset: Some(3),
        op: Some("cat".to_owned()),
        by: Some("player".to_owned()),
    };
    assert_eq!((&asked[1].accesses[..], asked[1].durable), (&[whole][..], true));
    let names: Vec<_> = asked.iter().map(|verb| verb.batch.as_deref().expect("a name")).collect();
    assert!(names[0] != names[1] && names.iter().all(|name| name.len() == 32), "{names:?}");
}

#[test]
fn lines_go_in_batches_of_which_each_has_a_name() {
    let (stub, asked) = recording(|_, verb| taken(verb));
    let input =
        "\n".to_owned() + &line(V0).repeat(AccessRecord::MAX + 1) + &json!({"cid": V1, "op": "get"}).to_string();
    let ran = stub.run_with_stdin(&["access", "record", "-", "--op", "cat", "--batch", "monday"], &input);
    assert_eq!(ran.all(), (0, "recorded 5002 accesses\n", ""));
    let asked = asked.lock().expect("unpoisoned");
    let all: Vec<_> = asked.iter().flat_map(|verb| &verb.accesses).collect();
    assert_eq!((all.len(), all[0].op.as_deref(), all[5001].op.as_deref()), (5002, Some("cat"), Some("get")));
    assert!(asked.iter().all(|verb| verb.accesses.len() <= AccessRecord::MAX));
    assert_eq!((asked[0].batch.as_deref(), asked[1].batch.as_deref()), (Some("monday.1"), Some("monday.2")));
}

#[test]
fn long_lines_go_in_requests_that_are_not_too_long() {
    let (stub, asked) = recording(|_, verb| taken(verb));
    let long = json!({"cid": V0, "path": "x".repeat(1024)}).to_string() + "\n";
    let ran = stub.run_with_stdin(&["access", "record", "-"], &long.repeat(3000));
    assert_eq!(ran.all(), (0, "recorded 3000 accesses\n", ""));
    let asked = asked.lock().expect("unpoisoned");
    let lengths = asked.iter().map(|verb| serde_json::to_vec(verb).expect("JSON").len());
    assert!(asked.len() > 1 && lengths.max() < Some(proto_msgs::MAX_REQUEST - 1000), "{}", asked.len());
}

#[test]
fn what_comes_is_recorded_while_nothing_more_comes() {
    let (told, came) = mpsc::channel();
    let (stub, _) = recording(move |_, verb| {
        told.send(verb.accesses.len()).expect("a test that listens");
        taken(verb)
    });
    let mut command = stub.command(&["access", "record", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    for _ in 0..2 {
        stdin.write_all(line(V0).as_bytes()).expect("written");
        assert_eq!(came.recv(), Ok(1));
    }
    drop(stdin);
    let output = child.wait_with_output().expect("ended");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "recorded 2 accesses\n");
}

#[test]
fn the_same_lines_under_a_name_go_in_the_same_batches_however_slowly_they_come() {
    let (stub, asked) = recording(|_, verb| taken(verb));
    let args = ["access", "record", "-", "--batch", "monday"];
    let slowly = |pieces: &[String]| {
        let mut child = stub.command(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        for piece in pieces {
            stdin.write_all(piece.as_bytes()).expect("written");
            std::thread::sleep(Duration::from_millis(300));
        }
        drop(stdin);
        assert_eq!(child.wait_with_output().expect("ended").status.code(), Some(0));
    };
    slowly(&[line(V0), line(V1), line(V0).repeat(AccessRecord::MAX)]);
    slowly(&[line(V0) + &line(V1) + &line(V0).repeat(AccessRecord::MAX)]);
    let asked = asked.lock().expect("unpoisoned");
    assert_eq!((asked.len(), asked[0].accesses.len(), asked[1].accesses.len()), (4, AccessRecord::MAX, 2));
    assert_eq!(asked[..2], asked[2..]);
}

#[test]
fn lines_before_one_that_cannot_be_read_wait_for_it_where_they_have_a_name() {
    let (stub, asked) = recording(|_, verb| taken(verb));
    let long = line(&"x".repeat(20_000));
    let args = ["access", "record", "-", "--batch", "monday"];
    let ran = stub.run_with_stdin(&args, &(line(V0) + &long));
    assert!(ran.code == Some(1) && ran.stderr.contains("line 2: it is longer"), "{ran:?}");
    assert_eq!(stub.run_with_stdin(&args, &(line(V0) + &line(V1))).code, Some(0));
    let asked = asked.lock().expect("unpoisoned");
    assert_eq!(asked.iter().map(|verb| verb.accesses.len()).collect::<Vec<_>>(), [2]);
}

#[test]
fn where_a_batch_ends_does_not_hang_on_a_line_that_is_put_right() {
    let first = |input: &str| {
        let (stub, asked) = recording(|_, verb| taken(verb));
        stub.run_with_stdin(&["access", "record", "-", "--batch", "monday"], input);
        let asked = asked.lock().expect("unpoisoned");
        asked.first().map(|verb| verb.accesses.len())
    };
    let long = json!({"cid": V0, "path": "x".repeat(1000)}).to_string() + "\n";
    // Lines that are nearly enough for a batch, or just.
    let sent = (750..790).step_by(4).filter_map(|many| {
        let before = long.repeat(many);
        let wrong = first(&(before.clone() + &"x".repeat(15_000) + "\n"))?;
        Some((wrong, first(&(before + &line(V0).repeat(100)))))
    });
    let sent: Vec<_> = sent.collect();
    assert!(!sent.is_empty() && sent.iter().all(|(wrong, right)| Some(*wrong) == *right), "{sent:?}");
}

#[test]
fn a_batch_whose_answer_is_lost_or_that_finds_no_room_is_sent_again_under_its_name() {
    let (stub, asked) = recording(|n, verb| match n {
        1 => fault(FaultKind::Busy, "too many accesses wait", None),
        2 => fault(FaultKind::Interrupted, "restarted", None),
        _ => Body::Done(AccessRecord::done(AccessRecorded { taken: 0, repeated: true, durable: verb.durable })),
    });
    let ran = stub.run_with_stdin(&["access", "record", "-"], &line(V0));
    assert_eq!(ran.all(), (0, "recorded 0 accesses; what was known already is not counted again\n", ""));
    let asked = asked.lock().expect("unpoisoned");
    assert!(asked.len() == 3 && asked.iter().all(|verb| verb == &asked[0]));
}

#[test]
fn a_wrong_line_is_named_and_what_stands_before_it_is_said() {
    let (stub, _) = recording(|n, verb| match n {
        1 => taken(verb),
        _ => fault(FaultKind::Invalid, "access 2 of 3: \"x\" is not a CID", Some("nothing was recorded")),
    });
    let args = ["access", "record", "-"];
    let input = line(V0).repeat(AccessRecord::MAX) + "\n" + &line(V0) + &line("x") + &line(V0);
    let ran = stub.run_with_stdin(&args, &input);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), "recorded 5000 accesses\n"));
    let hint = "hint: the lines before line 5002 are recorded, and none from there on: mend it, and go on there\n";
    assert_eq!(ran.stderr, format!("error: line 5003: \"x\" is not a CID\n{hint}"));

    let (stub, asked) = recording(|_, verb| taken(verb));
    for (input, why) in [
        (line(V0) + "{", "nothing from line 1 on is recorded"),
        ("7".to_owned(), "line 1: it is no access"),
        ("{}".to_owned(), "line 1: it has no cid"),
        (format!("{{\"cid\":\"{}\"}}", "x".repeat(20_000)), "line 1: it is longer than 16384 bytes"),
    ] {
        let ran = stub.run_with_stdin(&args, &input);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{why}: {ran:?}");
        assert!(ran.stderr.contains(why), "{why}: {ran:?}");
    }
    assert_eq!(asked.lock().expect("unpoisoned").len(), 0, "all or none of a batch");
    let ran = stub.run_with_stdin(&args, "");
    assert_eq!(ran.all(), (0, "recorded 0 accesses\n", ""));
}

fn access(cid: &str, pin: Option<&str>) -> Access {
    Access {
        at: ago(180),
        cid: cid.to_owned(),
        path: Some("a/b".to_owned()),
        pin: pin.map(str::to_owned),
        keeper: if pin == Some(cid) { Keeper::Pin } else { Keeper::Inside },
        op: Some("cat".to_owned()),
        bytes: Some(2048),
        offset: None,
        source: AccessSource::Record,
        by: None,
    }
}

/// A stub with these accesses, that tells what it was asked.
fn logging(accesses: Vec<Access>, oldest: Option<String>) -> (Stub, mpsc::Receiver<AccessLog>) {
    let (told, asked) = mpsc::channel();
    let told = Mutex::new(told);
    let stub = Stub::new(Speaks::Binary, move |call| {
        let Call::AccessLog(verb) = call else { panic!("{call:?}") };
        told.lock().expect("unpoisoned").send(verb).expect("a test that listens");
        let total = accesses.len() as u64;
        let page = AccessPage { as_of: ago(1), total, oldest: oldest.clone(), sources: Vec::new() };
        let rows = Body::Part(Part::AccessLog(AccessRows { accesses: accesses.clone() }));
        Box::new([rows, Body::Done(AccessLog::done(page))].into_iter())
    });
    (stub, asked)
}

#[test]
fn accesses_are_listed_in_every_format() {
    let (stub, asked) = logging(vec![access(V0, Some(V0)), access(V1, Some(V0))], Some(ago(300)));
    let ran = stub.run(&["access", "log"]);
    let lines: Vec<_> = ran.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "AT SOURCE OP BYTES KEEPER CID PATH".to_owned(),
            format!("3m ago record cat 2.0 KiB pin {V0} a/b"),
            format!("3m ago record cat 2.0 KiB inside {V1} a/b"),
        ]
    );
    assert_eq!(asked.recv().expect("asked"), AccessLog::default());
    let narrow = ["--source", "gateway", "--since", "2026-11-21T08:00:00Z", "--limit", "2", "--offset", "1"];
    let csv = ["access", "log", V1, "-o", "csv", "--columns", "cid,pin,offset"];
    let ran = stub.run(&[&csv[..], &narrow].concat());
    assert_eq!(ran.stdout, format!("cid,pin,offset\n{V0},{V0},\n{V1},{V0},\n"));
    let expected = AccessLog {
        cid: Some(V1.to_owned()),
        source: Some("gateway".to_owned()),
        since: Some("2026-11-21T08:00:00Z".to_owned()),
        limit: Some(2),
        offset: 1,
    };
    assert_eq!(asked.recv().expect("asked"), expected);
    assert_eq!(stub.run(&["access", "log", "-o", "cid"]).stdout, format!("{V0}\n{V1}\n"));
    let document: Value = serde_json::from_str(&stub.run(&["access", "log", "--json"]).stdout).expect("a document");
    assert_eq!((&document["total"], &document["accesses"][1]["keeper"]), (&json!(2), &json!("inside")));
    let wide = stub.run(&["access", "log", "-o", "wide"]).stdout;
    assert!(wide.contains("itself") && wide.contains(V0), "{wide}");
    let sorted = stub.run(&["access", "log", "--sort", "cid:desc", "-o", "cid", "--limit", "1"]).stdout;
    assert_eq!(sorted, format!("{V1}\n"), "sorted here, so all of them were asked for");
}

#[test]
fn where_there_is_no_access_it_is_said_why() {
    for (oldest, args, why) in [
        (None, &["access", "log"][..], "no source has seen one yet"),
        (Some(ago(9)), &["access", "log", "--source", "mfs"], "no access that is kept is like that"),
    ] {
        let (stub, _asked) = logging(Vec::new(), oldest);
        let ran = stub.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
}
