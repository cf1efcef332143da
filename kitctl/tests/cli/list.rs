//! Listings of pins: formats, columns, what is asked.

use crate::stub::{Speaks, Stub, V0, V1, ago, page, pin};
use crate::two_pins;
use proto_msgs::daemon::{ConfigReport, ConfigShow, Setting};
use proto_msgs::doctor::{Doctor, DoctorReport, Finding, Severity};
use proto_msgs::lock::{LockAction, LockCheck, LockFile, LockReport, LockRole, Verdict};
use proto_msgs::pin::{
    Pin, PinHistory, PinInfo, PinInfoReply, PinLs, PinPage, PinRows, PinSort, PinType, SizeKind, Source,
};
use proto_msgs::verb::{Body, Call, Part, Verb};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

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
fn columns_are_the_fields_of_rows_in_json_and_make_no_sense_where_there_is_one() {
    let stub = two_pins(Speaks::Binary);
    let rows = stub.run(&["pin", "ls", "-o", "ndjson", "--columns", "cid,type"]).stdout;
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows, [json!({"cid": V0, "type": "recursive"}), json!({"cid": V1, "type": "direct"})]);
    let document = stub.run(&["pin", "ls", "--json", "--columns", "size"]).stdout;
    let document: Value = serde_json::from_str(&document).expect("one document");
    assert_eq!(document["pins"], json!([{"size": 1_468_006}, {"size": null}]));
    assert_eq!((&document["schema_version"], &document["total"]), (&json!(1), &json!(2)));
    let stub = Stub::one(|call| panic!("asked {call:?}"));
    for list in [&["pin", "ls"][..], &["pin", "verify"], &["vfs", "ls"], &["state", "files", "--history"]] {
        let ran = stub.run(&[list, &["-o", "cid", "--columns", "cid"]].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{list:?}");
    }
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
        limit: Some(5),
        offset: 2,
        sort: Some(PinSort::Size),
        descending: true,
        ..PinLs::default()
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
fn a_wide_table_has_more_columns() {
    let ran = two_pins(Speaks::Binary).run(&["pin", "ls", "-o", "wide"]);
    assert!(ran.stdout.starts_with("CID ") && ran.stdout.contains("PATTERN  TIER  TAGS"), "{ran:?}");
    let ran = two_pins(Speaks::Binary).run(&["status", "-o", "wide"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("it has table, json, ndjson"), "{ran:?}");
}

#[test]
fn an_order_that_the_daemon_knows_is_its_own_and_another_one_is_made_of_all_rows() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let stub = Stub::new(Speaks::Binary, move |call| {
        let Call::PinLs(verb) = call else { panic!("{call:?}") };
        seen.lock().expect("unpoisoned").push((verb.sort, verb.descending, verb.limit, verb.offset));
        let tagged = |cid: &str, tag: &str| Pin { tags: vec![tag.to_owned()], ..pin(cid) };
        let pins = vec![tagged(V0, "b"), pin("untagged"), tagged(V1, "a"), tagged("c", "c")];
        Box::new([Body::Part(Part::PinLs(PinRows { pins })), Body::Done(PinLs::done(page(4)))].into_iter())
    });
    let cut = ["--limit", "2", "--offset", "1"];
    let ls = |sort| stub.run(&[&["pin", "ls", "-o", "cid", "--sort", sort][..], &cut].concat()).stdout;
    ls("size:desc");
    assert_eq!(ls("tags"), format!("{V0}\nc\n"));
    assert_eq!(ls("tags:desc"), format!("{V0}\n{V1}\n"));
    let document = stub.run(&["pin", "ls", "--json", "--sort", "tags", "--limit", "1"]).stdout;
    let document: Value = serde_json::from_str(&document).expect("one document");
    assert_eq!((&document["pins"][0]["cid"], &document["pins"][1]), (&json!(V1), &Value::Null));
    let here = (None, false, None, 0);
    assert_eq!(asked.lock().expect("unpoisoned")[..], [(Some(PinSort::Size), true, Some(2), 1), here, here, here]);
}

#[test]
fn every_list_takes_columns_an_order_and_a_cut_and_names_what_it_has() {
    let stub = Stub::one(|call| match call {
        Call::LockCheck(_) => Body::Done(LockCheck::done(LockReport { as_of: ago(1), locks: locks() })),
        Call::ConfigShow(_) => {
            let setting =
                |key: &str| Setting { key: key.to_owned(), value: "1".to_owned(), source: "default".to_owned() };
            Body::Done(ConfigShow::done(ConfigReport { settings: ["a", "c", "b"].map(setting).to_vec() }))
        }
        Call::Doctor(_) => {
            let finding = |cause: &str| Finding {
                cause: cause.to_owned(),
                severity: Severity::Warning,
                detail: "d".to_owned(),
                hint: "h".to_owned(),
                command: None,
            };
            let findings = ["x", "y"].map(finding).to_vec();
            Body::Done(Doctor::done(DoctorReport { as_of: ago(1), findings }))
        }
        other => panic!("asked {other:?}"),
    });
    let csv = |args: &[&str]| stub.run(&[args, &["-o", "csv"]].concat()).stdout;
    let cut = ["--columns", "path", "--sort", "path:desc", "--offset", "1", "--limit", "1"];
    assert_eq!(csv(&[&["lock", "check"][..], &cut].concat()), "path\n/b\n");
    let document = stub.run(&[&["lock", "check", "--json"][..], &cut].concat()).stdout;
    let document: Value = serde_json::from_str(&document).expect("one document");
    assert_eq!(document["locks"], json!([{"path": "/b"}]));
    assert_eq!(csv(&["config", "show", "--sort", "key", "--columns", "key", "--no-header"]), "a\nb\nc\n");
    assert_eq!(csv(&["doctor", "--columns", "cause,command", "--limit", "1"]), "cause,command\nx,\n");
    assert_eq!(stub.run(&["doctor"]).stdout, "1. warning (x): d\n   to do: h\n2. warning (y): d\n   to do: h\n");
    // Nothing is asked before the columns are known.
    for list in [
        &["pin", "history"][..],
        &["pin", "diff", "1", "2"],
        &["vfs", "ls"],
        &["vfs", "journal"],
        &["access", "log"],
        &["snapshot", "ls"],
        &["snapshot", "verify"],
        &["lock", "clean"],
        &["state", "files", "--history"],
        &["index", "import", "/x"],
        &["analytics", "hot"],
        &["analytics", "patterns"],
        &["analytics", "tiers"],
        &["analytics", "predict"],
        &["analytics", "unpin-first", "--free", "1G"],
        &["analytics", "score"],
    ] {
        for wrong in [["--sort", "colour:desc"], ["--columns", "colour"]] {
            let ran = stub.run(&[list, &wrong].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{list:?}");
            assert!(ran.stderr.starts_with("error: there is no column \"colour\"; there are "), "{ran:?}");
        }
    }
}

fn locks() -> Vec<LockFile> {
    let lock = |path: &str| LockFile {
        path: path.to_owned(),
        role: LockRole::RepoLock,
        verdict: Verdict::Live,
        blocks: true,
        holder_pid: Some(42),
        holder: None,
        ours: true,
        evidence: vec!["e".to_owned()],
        action: LockAction::None,
        needs_force: false,
        hint: None,
    };
    ["/a", "/c", "/b"].map(lock).to_vec()
}
