//! `status`, `metrics`, `wait`, `events`, `shutdown`.

use crate::failing;
use crate::stub::{Ran, Speaks, Stub, ago, kitctl, page, status};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{
    Count, IndexRefreshed, LastError, Metrics, MetricsReport, Shutdown, ShuttingDown, Status, Wait, Waited,
};
use proto_msgs::event::{
    Event, EventPage, EventState, Events, RefreshChange, Reloaded, SnapshotPublished, UnknownEvent, What,
};
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{PinPage, Source};
use proto_msgs::verb::{Body, Call, Part, Verb};
use serde_json::{Value, json};
use std::io::Read;
use std::sync::{Arc, Mutex};

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
        Body::Done(Events::done(EventPage {
            epoch: "e".into(),
            state: None,
            gap: 0,
            events: vec![event(1, 3600), event(2, 300)],
        }))
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
fn followed_events_begin_with_the_state_and_each_kind_is_shown_even_one_of_a_newer_daemon() {
    let at = "2026-11-21T08:00:00Z".to_owned();
    let state = EventState {
        at: at.clone(),
        seq: 6,
        version: "9".to_owned(),
        stopping: false,
        kubo: KuboState::Running,
        generation: 4,
        pins: 1,
        complete: true,
        as_of: None,
    };
    let refresh = |failing: bool| {
        What::Refresh(RefreshChange { failing, failed: 2, error: failing.then(|| "it was cut".to_owned()) })
    };
    let whats = [
        refresh(true),
        refresh(false),
        What::Snapshot(SnapshotPublished { name: "gen-4.2".to_owned(), generation: 4, pins: 1, bytes: 2048 }),
        What::Reload(Reloaded { later: vec![] }),
        What::Reload(Reloaded { later: vec!["hook".to_owned()] }),
        What::Unknown(UnknownEvent { kind: "flood".to_owned(), json: r#"{"depth":3}"#.to_owned() }),
    ];
    let events: Vec<_> = (1..).zip(whats).map(|(seq, what)| Event { seq, at: at.clone(), what }).collect();
    let stub = Stub::new(Speaks::Binary, move |call| {
        assert!(matches!(&call, Call::Events(events) if events.follow), "{call:?}");
        let page = |state, events| EventPage { epoch: "e".to_owned(), state, gap: 0, events };
        let part = Body::Part(Part::Events(page(Some(state.clone()), events.clone())));
        Box::new([part, Body::Done(Events::done(page(None, vec![])))].into_iter())
    });
    let ran = stub.run(&["events", "-f"]);
    let expected = "\
2026-11-21T08:00:00Z     6  now: kubo running; generation 4, 1 pin, complete
2026-11-21T08:00:00Z     1  refresh fails: it was cut
2026-11-21T08:00:00Z     2  refresh goes well again, after 2 that failed
2026-11-21T08:00:00Z     3  snapshot gen-4.2: generation 4, 1 pin, 2.0 KiB
2026-11-21T08:00:00Z     4  reload the configuration was read again
2026-11-21T08:00:00Z     5  reload the configuration was read again; only a restart applies hook
2026-11-21T08:00:00Z     6  flood {\"depth\":3}
";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{ran:?}");
    let lines = stub.run(&["events", "-f", "-o", "ndjson"]).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["state"]["pins"], &lines[1]["seq"], lines.len()), (&json!(1), &json!(1), 7));
}

#[test]
fn of_old_events_the_newest_are_shown_of_the_kinds_that_are_wanted_and_all_that_come() {
    let event = |seq: u64| {
        let error = LastError { at: "T".into(), actor: "index".into(), detail: "it broke".into() };
        let reload = What::Reload(Reloaded { later: vec![] });
        Event { seq, at: ago(300), what: if seq.is_multiple_of(2) { What::Error(error) } else { reload } }
    };
    let stub = Stub::new(Speaks::Binary, move |call| {
        let Call::Events(events) = call else { panic!("{call:?}") };
        let page = |gap, seqs: std::ops::Range<u64>| EventPage {
            epoch: "e".into(),
            state: None,
            gap,
            events: seqs.map(event).collect(),
        };
        let part = |page| Body::Part(Part::Events(page));
        match events.follow {
            true => Box::new(
                [part(page(60, 61..91)), part(page(0, 91..111)), Body::Done(Events::done(page(0, 0..0)))].into_iter(),
            ),
            false => Box::new(std::iter::once(Body::Done(Events::done(page(60, 61..91))))),
        }
    });
    let seqs = |args: &[&str]| {
        let ran = stub.run(&[&["events", "-o", "csv"], args].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let seqs = ran.stdout.lines().skip(1).filter_map(|line| line.split(',').next()?.parse().ok());
        (seqs.collect::<Vec<u64>>(), !ran.stderr.is_empty())
    };
    let of = |seqs: &mut dyn Iterator<Item = u64>| seqs.collect::<Vec<u64>>();
    // That older ones are no longer kept is told to whoever asked for them.
    assert_eq!(seqs(&[]), (of(&mut (61..=90)), true));
    assert_eq!(seqs(&["-f"]), (of(&mut (81..=110)), false));
    assert_eq!(seqs(&["-f", "-n", "0"]), (of(&mut (91..=110)), false));
    assert_eq!(seqs(&["-f", "--since", "1h"]), (of(&mut (61..=110)), true));
    assert_eq!(seqs(&["-n", "3", "--kind", "error"]), (vec![86, 88, 90], false));
    assert_eq!(seqs(&["-n", "3", "--kind", "error,reload"]), (vec![88, 89, 90], false));
    assert_eq!(seqs(&["--kind", "kubo", "--kind", "pin"]), (vec![], true));
    let documents = stub.run(&["events", "-f", "-o", "json", "--kind", "kubo", "-n", "0"]);
    assert_eq!(documents.all(), (0, "", ""), "nothing that is wanted has come");
    let wrong = stub.run(&["events", "--kind", "weather"]);
    assert_eq!(wrong.code, Some(2));
    assert!(What::KINDS.iter().all(|kind| wrong.stderr.contains(kind)), "{wrong:?}");
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
