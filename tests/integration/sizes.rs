//! Sizes and history, through the daemon and the command line.

use crate::kit::{Kit, Said, eventually, identity_cid, ipfs, said};
use proto_msgs::FaultKind;
use proto_msgs::daemon::{IndexInfo, IndexRefresh, Metrics, SizesReport};
use proto_msgs::doctor::Doctor;
use proto_msgs::pin::{ContentKind, Pin, PinAdd, PinDiff, PinInfo, PinRm, SizeKind};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

/// The CID of a block that only fake-kubo has.
fn cid(codec: u64, n: u8) -> String {
    ::cid::Cid::new_v1(codec, ::cid::multihash::Multihash::<64>::wrap(0x12, &[n; 32]).expect("32 bytes")).to_string()
}

const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const DAG_CBOR: u64 = 0x71;

fn fake() -> Kit {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_SIZE_SHARE", "1");
    kit
}

fn add(kit: &Kit, cid: &str) {
    kit.call(PinAdd { cid: cid.to_owned(), name: None, direct: false });
}

fn pin(kit: &Kit, cid: &str) -> Pin {
    kit.call(PinInfo { cid: cid.to_owned() }).pins.remove(0)
}

fn told(kit: &Kit, cid: &str) -> (Option<u64>, SizeKind, Option<ContentKind>) {
    let pin = pin(kit, cid);
    (pin.size, pin.size_kind, pin.kind)
}

fn sizes(kit: &Kit, what: &str, so: impl Fn(&SizesReport) -> bool) -> SizesReport {
    let status = kit.until(what, |status| status.index.sizes.as_ref().is_some_and(&so));
    status.index.sizes.expect("counted")
}

fn asked(kit: &Kit) -> Vec<String> {
    kit.record().into_iter().filter(|line| line.starts_with("files/stat") || line.starts_with("dag/stat")).collect()
}

#[test]
fn each_cid_is_looked_at_once_for_ever_and_never_in_the_network() {
    let mut kit = fake();
    let (raw, file, dir, cbor) = (cid(RAW, 1), cid(DAG_PB, 2), cid(DAG_PB, 3), cid(DAG_CBOR, 4));
    let (partial, missing, itself) = (cid(DAG_PB, 5), cid(RAW, 6), identity_cid("itself"));
    let content = |of_missing: Value| {
        json!({ "content": {
            raw.clone(): {"cumulative": 10},
            file.clone(): {"cumulative": 20},
            dir.clone(): {"cumulative": 300, "links": 2, "directory": true, "whole": 200},
            cbor.clone(): {"whole": 40},
            partial.clone(): {"cumulative": 500, "links": 3},
            cid(RAW, 7): of_missing,
        } })
    };
    kit.script(&content(json!({})));
    kit.start_whole();
    for cid in [&raw, &file, &dir, &cbor, &partial, &missing, &itself] {
        add(&kit, cid);
    }
    let known = sizes(&kit, "measured", |of| (of.exact, of.estimated, of.unknown, of.failed) == (5, 1, 1, 2));
    assert!(known.next_retry.is_some() && known.last_failure.expect("a reason").contains("could not find"));
    let exact = SizeKind::Exact;
    assert_eq!(told(&kit, &raw), (Some(10), exact, Some(ContentKind::Raw)));
    assert_eq!(
        told(&kit, &file),
        (Some(20), exact, Some(ContentKind::File)),
        "no links, so nothing can be counted twice"
    );
    assert_eq!(told(&kit, &dir), (Some(200), exact, Some(ContentKind::Directory)));
    assert_eq!(told(&kit, &cbor), (Some(40), exact, Some(ContentKind::Other)));
    assert_eq!(told(&kit, &partial), (Some(500), SizeKind::Estimated, Some(ContentKind::File)));
    assert_eq!(told(&kit, &missing), (None, SizeKind::Unknown, Some(ContentKind::Raw)));
    assert_eq!(told(&kit, &itself), (Some(6), exact, Some(ContentKind::Raw)));
    let metrics = kit.call(Metrics {});
    assert_eq!(metrics.bytes, Some(10 + 20 + 200 + 40 + 500 + 6));
    let info = kit.call(IndexInfo {});
    assert_eq!((info.sizes.exact, info.sizes.estimated, info.sizes.unknown), (5, 1, 1));
    assert!(info.file_bytes.is_some_and(|bytes| bytes > 0) && info.lag_s == Some(0.0));

    let calls = asked(&kit);
    assert!(calls.iter().all(|call| call.contains("offline=true")), "{calls:#?}");
    assert!(calls.iter().all(|call| !call.starts_with("dag/stat") || call.contains("progress=false")), "{calls:#?}");
    let mut once = calls.clone();
    once.sort();
    once.dedup();
    assert_eq!((once.len(), calls.len()), (8, 8), "{calls:#?}");

    // Gone and back, another name, a restart: nothing is asked again but what could not be told.
    kit.call(PinRm { cid: dir.clone() });
    kit.call(PinAdd { cid: dir.clone(), name: Some("again".into()), direct: false });
    assert_eq!(told(&kit, &dir).0, Some(200));
    kit.call(PinRm { cid: partial.clone() });
    kit.call(PinRm { cid: missing.clone() });
    kit.stop();
    kit.script(&content(json!({"cumulative": 700})));
    kit.start_whole();
    // Behind all others, so that they have been passed by when it is known.
    add(&kit, &cid(RAW, 7));
    sizes(&kit, "measured again", |sizes| (sizes.exact, sizes.unknown) == (6, 0));
    assert_eq!(asked(&kit)[calls.len()..].len(), 1, "{:#?}", asked(&kit));
}

#[test]
fn what_was_missing_is_measured_when_it_is_there() {
    let mut kit = fake();
    kit.start_whole();
    let raw = cid(RAW, 1);
    add(&kit, &raw);
    let told_of = sizes(&kit, "tried", |sizes| (sizes.failed, sizes.unknown) == (1, 1));
    assert!(told_of.last_failure.is_some_and(|why| why.starts_with(&raw)), "the pin is named");
    let found = kit.call(Doctor {}).findings.into_iter().find(|finding| finding.cause == "size_unknown");
    assert!(found.is_some_and(|finding| finding.detail.contains(&raw)));
    kit.call(PinRm { cid: raw.clone() });
    sizes(&kit, "forgotten with the pin", |sizes| sizes.failed == 0 && sizes.last_failure.is_none());
    add(&kit, &raw);
    sizes(&kit, "tried again", |sizes| (sizes.failed, sizes.unknown) == (1, 1));
    kit.stop();
    kit.script(&json!({ "content": { raw.clone(): {"cumulative": 5} } }));
    kit.start_whole();
    sizes(&kit, "measured", |sizes| sizes.exact == 1);
    assert_eq!(told(&kit, &raw).0, Some(5));
}

#[test]
fn a_huge_dag_keeps_nobody_else_waiting() {
    let mut kit = fake();
    let gate = UnixListener::bind(kit.path("gate")).expect("bound");
    let (huge, small) = (cid(DAG_PB, 1), cid(RAW, 2));
    kit.script(&json!({ "hold": kit.path("gate"), "held": "whole", "content": {
        huge.clone(): {"cumulative": 9, "links": 1, "whole": 8}, small.clone(): {"cumulative": 5} } }));
    kit.start_whole();
    add(&kit, &huge);
    let (mut held, _) = gate.accept().expect("a look at the whole");
    BufReader::new(held.try_clone().expect("cloned")).read_line(&mut String::new()).expect("a query");
    add(&kit, &small);
    sizes(&kit, "the small one measured", |sizes| (sizes.exact, sizes.estimated) == (1, 1));
    assert_eq!(kit.call(IndexRefresh { wait: true, names: false }).removed, 0);
    held.write_all(&[1]).expect("released");
    sizes(&kit, "both measured", |sizes| sizes.exact == 2);
}

#[test]
fn no_look_begins_while_a_refresh_waits_for_kubo() {
    let mut kit = fake();
    kit.start_whole();
    let gate = UnixListener::bind(kit.path("gate")).expect("bound");
    let raw = cid(RAW, 1);
    let content = json!({ raw.clone(): {"cumulative": 5} });
    kit.script(&json!({ "hold": kit.path("gate"), "held": "listing", "content": content.clone() }));
    kit.call(IndexRefresh { wait: false, names: false });
    let (mut held, _) = gate.accept().expect("a listing");
    add(&kit, &raw);
    // Whatever had a reason to look has had the time for it.
    for _ in 0..20 {
        pin(&kit, &raw);
    }
    assert_eq!(asked(&kit), Vec::<String>::new());
    kit.script(&json!({ "content": content }));
    held.write_all(&[1]).expect("released");
    sizes(&kit, "measured", |sizes| sizes.exact == 1);
}

#[test]
fn a_pin_at_which_kubo_hangs_up_keeps_nobody_else_from_being_measured() {
    let mut kit = fake();
    let (bad, good) = (cid(RAW, 1), cid(RAW, 2));
    kit.script(&json!({ "content": { good.clone(): {"cumulative": 5} }, "panics_at": bad }));
    kit.start_whole();
    add(&kit, &bad);
    add(&kit, &good);
    let told_of = sizes(&kit, "the other one measured", |sizes| (sizes.exact, sizes.failed) == (1, 1));
    assert!(told_of.last_failure.is_some_and(|why| why.starts_with(&bad)) && told_of.next_retry.is_some());
    assert_eq!(told(&kit, &good).0, Some(5));
}

#[test]
fn a_kubo_that_dies_under_a_look_is_no_failure_of_the_pin() {
    let mut kit = fake();
    let gate = UnixListener::bind(kit.path("gate")).expect("bound");
    let dag = cid(DAG_PB, 1);
    let content = json!({ dag.clone(): {"cumulative": 9, "links": 1, "whole": 8} });
    kit.script(&json!({ "hold": kit.path("gate"), "held": "whole", "content": content.clone() }));
    kit.start_whole();
    add(&kit, &dag);
    let (_held, _) = gate.accept().expect("a look at the whole");
    kit.script(&json!({ "content": content }));
    let pid = kit.status().kubo.pid.expect("a child");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::Signal::SIGKILL)
        .expect("it is there");
    let known = sizes(&kit, "measured by the next one", |sizes| sizes.exact == 1);
    assert_eq!((known.failed, known.last_failure), (0, None));
}

#[test]
fn a_share_of_zero_looks_at_nothing() {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_SIZE_SHARE", "0");
    kit.start_whole();
    add(&kit, &cid(RAW, 1));
    kit.call(IndexRefresh { wait: true, names: false });
    assert_eq!((asked(&kit).len(), kit.call(IndexInfo {}).sizes.unknown), (0, 1));
}

#[test]
fn a_lane_that_fails_is_begun_anew() {
    let mut kit = fake();
    kit.script(&json!({ "content": { cid(RAW, 1): {"cumulative": 5} } }));
    kit.panic_at("enricher.round");
    kit.start_whole();
    add(&kit, &cid(RAW, 1));
    sizes(&kit, "measured all the same", |sizes| sizes.exact == 1);
    eventually(|| !kit.panic_is_pending("enricher.round"), || "it never failed".to_owned());
    kit.until("restarted", |status| {
        status.daemon.actors.iter().any(|actor| actor.name == "enricher" && actor.restarts == 1 && actor.running)
    });
}

#[test]
fn history_and_differences_on_the_command_line() {
    let mut kit = fake();
    kit.start_whole();
    let first = kit.status().index.generation;
    let cids = ["one", "two"].map(identity_cid);
    kit.call(PinAdd { cid: cids[0].clone(), name: Some("a".into()), direct: false });
    kit.call(PinAdd { cid: cids[0].clone(), name: Some("b".into()), direct: false });
    kit.call(PinAdd { cid: cids[1].clone(), name: None, direct: false });
    let last = kit.call(PinRm { cid: cids[0].clone() }).generation;
    let out = |args: &[&str]| {
        let Said { code, out, err } = kit.ctl(args);
        assert_eq!(code, Some(0), "{args:?}: {err}");
        out
    };
    let csv = out(&["pin", "history", &cids[0], "-o", "csv", "--columns", "generation,event,name,name_before"]);
    let g = |n: u64| first + n;
    let expected =
        format!("generation,event,name,name_before\n{},removed,b,\n{},renamed,b,a\n{},added,a,\n", g(4), g(2), g(1));
    assert_eq!(csv, expected);
    let document: Value = serde_json::from_str(&out(&["pin", "history", "--limit", "2", "-o", "json"])).expect("JSON");
    assert_eq!((&document["total"], document["changes"].as_array().map(Vec::len)), (&json!(4), Some(2)));
    assert_eq!((&document["changes"][1]["event"], &document["generation"]), (&json!("added"), &json!(last)));
    let (from, to) = (first.to_string(), last.to_string());
    assert_eq!(out(&["pin", "diff", &from, &to, "-o", "cid"]), format!("{}\n", cids[1]));
    let back = out(&["pin", "diff", &to, &g(1).to_string(), "-o", "csv", "--no-header", "--columns", "event,cid,name"]);
    assert_eq!(back, format!("added,{},a\nremoved,{},\n", cids[0], cids[1]));
    assert!(out(&["pin", "history"]).contains("renamed"));
    let none = kit.ctl(&["pin", "diff", &from, &from]);
    assert_eq!((none.code, none.out.lines().count()), (Some(0), 0));
    assert!(none.err.contains("the same pins"), "{}", none.err);
    let unknown = kit.ctl(&["pin", "history", &identity_cid("never")]);
    assert_eq!(unknown.code, Some(4), "{}", unknown.err);
    let fault = kit.fault(PinDiff { from: 0, to: last + 1, limit: None, offset: 0 });
    assert_eq!(fault.kind, FaultKind::NotFound);
    assert!(fault.detail.contains(&format!("the newest is {last}")), "{}", fault.detail);
    assert!(out(&["index", "info"]).contains(&format!("{last}, kept since 0")));
}

/// What `ipfs` says of a CID: the cumulative size of its root, where it is UnixFS, and the size of the whole, where it is there.
fn says(kit: &Kit, cid: &str) -> (Option<u64>, Option<u64>) {
    let ask = |args: &[&str]| {
        let mut command = std::process::Command::new(crate::kit::real_kubo());
        command.env_clear().env("HOME", kit.path("home")).env("IPFS_PATH", kit.repo()).args(args);
        said(&mut command)
    };
    let root = ask(&["files", "stat", "--offline", "--format=<cumulsize>", &format!("/ipfs/{cid}")]);
    let whole = ask(&["dag", "stat", "--offline", "--progress=false", "--enc=json", cid]);
    let whole = serde_json::from_str::<Value>(&whole.out).ok().and_then(|stat| stat["TotalSize"].as_u64());
    (root.out.trim().parse().ok(), whole)
}

#[test]
fn sizes_are_those_that_a_real_kubo_tells() {
    let mut kit = Kit::real();
    kit.env("IPFS_KITD_SIZE_SHARE", "1");
    kit.start_whole();
    let put = |args: &[&str], input: &[u8]| ipfs(&kit, args, input).trim().to_owned();
    // Two files of some blocks, one of them twice in a directory.
    let dir = kit.path("dir");
    std::fs::create_dir(&dir).expect("made");
    let noise: Vec<u8> =
        (0..600_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2..].to_vec()).collect();
    std::fs::write(dir.join("a"), &noise).expect("written");
    std::fs::write(dir.join("b"), &noise).expect("written");
    let file = put(&["add", "-Q", "--cid-version=1"], b"a file of one block");
    let old = put(&["add", "-Q", "--cid-version=0"], b"a file of one block of another kind");
    let large = put(&["add", "-Q"], &noise[..500_000]);
    let twice = put(&["add", "-rQ", &dir.display().to_string()], b"");
    let cbor = put(&["dag", "put", "--pin"], format!("{{\"link\":{{\"/\":\"{file}\"}}}}").as_bytes());
    let json_dag = put(&["dag", "put", "--pin", "--store-codec=dag-json"], b"{\"a\":1}");
    let no_unixfs =
        put(&["dag", "put", "--pin", "--store-codec=dag-pb"], br#"{"Data":{"/":{"bytes":"AAECAw"}},"Links":[]}"#);
    let nothing = put(&["dag", "put", "--pin", "--store-codec=dag-pb"], br#"{"Links":[]}"#);
    // Only its root is kept.
    let partial = put(&["add", "-Q", "--pin=false"], &noise[500_000..1_100_000]);
    ipfs(&kit, &["pin", "add", "--recursive=false", &partial], b"");
    ipfs(&kit, &["repo", "gc", "-q"], b"");
    let itself = identity_cid("itself");
    ipfs(&kit, &["pin", "add", &itself], b"");
    kit.call(IndexRefresh { wait: true, names: false });
    // And the empty directory, which `ipfs init` pins.
    sizes(&kit, "measured", |of| (of.exact, of.estimated, of.unknown, of.failed) == (10, 1, 0, 1));

    let kind = |cid: &str| pin(&kit, cid).kind.expect("a kind");
    for (cid, expected) in [
        (&file, ContentKind::Raw),
        (&old, ContentKind::File),
        (&large, ContentKind::File),
        (&twice, ContentKind::Directory),
        (&cbor, ContentKind::Other),
        (&json_dag, ContentKind::Other),
        (&no_unixfs, ContentKind::Other),
        (&itself, ContentKind::Raw),
    ] {
        let (size, whole) = (pin(&kit, cid).size, says(&kit, cid).1);
        assert_eq!((size, pin(&kit, cid).size_kind, kind(cid)), (whole, SizeKind::Exact, expected), "{cid}");
        assert!(size.is_some(), "{cid}");
    }
    assert!(says(&kit, &twice).0 > pin(&kit, &twice).size, "its root counts the file twice");
    assert_eq!(
        (pin(&kit, &nothing).size, says(&kit, &nothing).1),
        (Some(0), None),
        "Kubo cannot say that it is nothing"
    );
    let estimated = pin(&kit, &partial);
    assert_eq!((estimated.size, estimated.size_kind), (says(&kit, &partial).0, SizeKind::Estimated));
    assert!(estimated.size > Some(600_000), "with the blocks that are not there");
}
