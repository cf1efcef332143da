//! Where accesses come from: Kubo's log of requests, logs of web servers, MFS; and what they have to do with pins.

use crate::kit::{DEADLINE, Kit, eventually, identity_cid, ipfs};
use nix::sys::signal::Signal;
use proto_msgs::FaultKind;
use proto_msgs::access::{Access, AccessImport, AccessLog, AccessSource, Keeper, SourceReport};
use proto_msgs::daemon::{Condition, IndexRefresh};
use proto_msgs::kubo::KuboRestart;
use proto_msgs::verb::Part;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::Path;

fn accesses(kit: &Kit) -> Vec<Access> {
    let mut accesses = Vec::new();
    let listed = kit.client().call_with(AccessLog::default(), Some(DEADLINE), |part| {
        if let Part::AccessLog(rows) = part {
            accesses.extend(rows.accesses);
        }
        Ok(())
    });
    listed.unwrap_or_else(|error| panic!("access_log: {error}\n{}", kit.log()));
    accesses
}

/// Those of one CID by one source, as path, operation and pin.
fn of(kit: &Kit, source: AccessSource, cid: &str) -> Vec<(Option<String>, String, Option<String>)> {
    let all = accesses(kit).into_iter().filter(|access| access.source == source && access.cid == cid);
    let mut rows: Vec<_> = all.map(|access| (access.path, access.op.unwrap_or_default(), access.pin)).collect();
    rows.sort();
    rows
}

fn source(kit: &Kit, source: AccessSource) -> SourceReport {
    let reports = kit.status().accesses;
    reports.into_iter().find(|report| report.source == source).unwrap_or_else(|| panic!("no {source:?}"))
}

/// Waits until so many accesses are there, and holds for a moment of that source's work that there are no more.
fn counted(kit: &Kit, many: usize) {
    let found = || accesses(kit).len();
    eventually(|| found() >= many, || format!("{} of {many}: {:#?}\n{}", found(), accesses(kit), kit.log()));
    assert_eq!(found(), many, "{:#?}", accesses(kit));
}

/// Waits until Kubo's log was read twice from now on.
fn looked_twice(kit: &Kit) {
    for _ in 0..2 {
        let before = source(kit, AccessSource::Kubo).looked;
        eventually(|| source(kit, AccessSource::Kubo).looked != before, || format!("not looked\n{}", kit.log()));
    }
}

/// Adds a directory with `sub/file`; the CIDs of the directory and of the file.
fn directory(kit: &Kit) -> (String, String) {
    let dir = kit.path("dir");
    fs::create_dir_all(dir.join("sub")).expect("made");
    fs::write(dir.join("sub/file"), "a file in a directory").expect("written");
    let said = ipfs(kit, &["add", "-r", "--cid-version=1", "--quiet", &dir.display().to_string()], b"");
    let cids: Vec<String> = said.lines().map(str::to_owned).collect();
    let [file, _, dir] = &cids[..] else { panic!("{said}") };
    (dir.clone(), file.clone())
}

fn line(target: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
    format!("192.0.2.7 - - [{now}] \"GET {target} HTTP/1.1\" 200 21 \"-\" \"curl/8.14\"\n")
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

#[test]
fn reads_of_a_real_kubo_are_counted_once_with_the_pin_that_keeps_them_also_after_restarts() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("500ms").env("IPFS_KITD_ANALYTICS_MFS", "false");
    kit.start_whole();
    let (dir, file) = directory(&kit);
    let single = ipfs(&kit, &["add", "--cid-version=1", "--quiet"], b"a file of its own").trim().to_owned();
    ipfs(&kit, &["files", "write", "--create", "--cid-version=1", "/note"], b"in MFS alone");
    let note = ipfs(&kit, &["files", "stat", "--hash", "/note"], b"").trim().to_owned();
    kit.call(IndexRefresh { wait: true, names: true });
    let known = || kit.ctl(&["vfs", "info", "/note"]).code == Some(0);
    eventually(known, || format!("/note is not known\n{}", kit.log()));

    ipfs(&kit, &["cat", &single], b"");
    ipfs(&kit, &["cat", &format!("/ipfs/{dir}/sub/file")], b"");
    ipfs(&kit, &["cat", &file], b"");
    ipfs(&kit, &["cat", &note], b"");
    ipfs(&kit, &["files", "read", "/note"], b"");
    ipfs(&kit, &["ls", &dir], b"");
    ipfs(&kit, &["cat", "--offset=2", "--length=4", &single], b"");
    counted(&kit, 7);
    let kubo = |cid: &str| of(&kit, AccessSource::Kubo, cid);
    let row = |path: Option<&str>, op: &str, pin: Option<&str>| {
        (path.map(str::to_owned), op.to_owned(), pin.map(str::to_owned))
    };
    assert_eq!(kubo(&dir), [row(None, "ls", Some(&dir)), row(Some("sub/file"), "cat", Some(&dir))]);
    assert_eq!(kubo(&note), [row(None, "cat", None), row(None, "files/read", None)]);
    let keeper = |cid: &str| accesses(&kit).into_iter().find(|access| access.cid == cid).map(|access| access.keeper);
    assert_eq!(keeper(&note), Some(Keeper::Mfs));
    let ranged = accesses(&kit).into_iter().find(|access| access.offset.is_some()).expect("a range");
    assert_eq!((ranged.cid.as_str(), ranged.offset, ranged.bytes), (single.as_str(), Some(2), Some(4)));
    // Kubo is asked what keeps it, in its time.
    let settled = || kubo(&file) == [row(None, "cat", Some(&dir))];
    eventually(settled, || format!("{:?}\n{}", accesses(&kit), kit.log()));
    assert_eq!(keeper(&file), Some(Keeper::Inside));

    kit.call(KuboRestart {});
    kit.wait(Condition::KuboRunning);
    looked_twice(&kit);
    counted(&kit, 7);
    ipfs(&kit, &["cat", &single], b"");
    counted(&kit, 8);
    kit.stop();
    kit.start_whole();
    looked_twice(&kit);
    counted(&kit, 8);
    ipfs(&kit, &["cat", &single], b"");
    counted(&kit, 9);
    let report = source(&kit, AccessSource::Kubo);
    assert!(report.on && report.error.is_none() && report.since.is_some(), "{report:?}");
    let status = kit.ctl(&["status"]).out;
    assert!(status.contains("kubo, record; gateway, mfs off"), "{status}");
}

#[test]
fn our_own_reads_and_names_of_ipns_are_no_accesses() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("100ms").env("IPFS_KITD_BUSY_SHARE", "1.0").env("IPFS_KITD_ANALYTICS_MFS", "false");
    kit.start_whole();
    for n in 0..5 {
        ipfs(&kit, &["files", "write", "--create", "--parents", &format!("/a/b/{n}")], b"text");
    }
    let walked = || kit.ctl(&["vfs", "ls", "/a/b", "-o", "ndjson"]).out.lines().count() == 5;
    eventually(walked, || format!("MFS is not walked\n{}", kit.log()));
    looked_twice(&kit);
    assert_eq!(accesses(&kit), []);
    assert_eq!(source(&kit, AccessSource::Kubo).wrong, 0);
}

#[test]
fn requests_of_the_gateway_are_followed_through_rotation_and_counted_once() {
    let mut kit = Kit::fake();
    let log = kit.path("access.log");
    kit.env("IPFS_KITD_ANALYTICS_GATEWAY_LOGS", &log.display().to_string());
    kit.start_whole();
    let report = || source(&kit, AccessSource::Gateway);
    eventually(|| report().error.is_some(), || "a log that is not there is not told of".to_owned());
    assert!(report().error.is_some_and(|error| error.ends_with("access.log is not there")));
    let cid = identity_cid("read by somebody");
    append(&log, &line(&format!("/ipfs/{cid}/1")));
    append(&log, &line("/favicon.ico"));
    append(&log, "nonsense\n");
    counted(&kit, 1);
    eventually(|| report().wrong == 1 && report().error.is_none(), || format!("{:?}", report()));

    // Renamed, while the web server goes on to write there for a while.
    let before = kit.path("access.log.1");
    append(&log, &line(&format!("/ipfs/{cid}/2")));
    fs::rename(&log, &before).expect("renamed");
    append(&before, &line(&format!("/ipfs/{cid}/3")));
    append(&log, &line(&format!("/ipfs/{cid}/4")));
    append(&before, &line(&format!("/ipfs/{cid}/5")));
    counted(&kit, 5);

    // Copied and emptied.
    let copy = kit.path("access.log.2");
    append(&log, &line(&format!("/ipfs/{cid}/6")));
    fs::copy(&log, &copy).expect("copied");
    fs::OpenOptions::new().write(true).truncate(true).open(&log).expect("emptied");
    append(&log, &line(&format!("/ipfs/{cid}/7")));
    counted(&kit, 7);

    // While nobody followed it.
    kit.stop();
    append(&log, &line(&format!("/ipfs/{cid}/8")));
    fs::rename(&log, kit.path("access.log.3")).expect("renamed");
    append(&log, &line(&format!("/ipfs/{cid}/9")));
    kit.start();
    counted(&kit, 9);
    kit.kill();
    append(&log, &line(&format!("/ipfs/{cid}/10")));
    kit.start();
    counted(&kit, 10);
    let mut paths: Vec<u32> = accesses(&kit).into_iter().filter_map(|access| access.path?.parse().ok()).collect();
    paths.sort_unstable();
    assert_eq!(paths, (1..=10).collect::<Vec<u32>>());
    assert!(accesses(&kit).iter().all(|access| access.by.as_deref() == Some("access.log")));

    // Imported, each is known, whatever it is called and however it is packed.
    let packed = std::process::Command::new("gzip").arg(&before).status();
    assert!(packed.is_ok_and(|status| status.success()), "gzip fails");
    for name in ["access.log", "access.log.1.gz", "access.log.2", "access.log.3"] {
        let said = kit.ctl(&["access", "import", &kit.path(name).display().to_string(), "-o", "csv", "--no-header"]);
        assert_eq!((said.code, said.out.contains(",0,0,0,")), (Some(0), true), "{said:?}");
    }
    counted(&kit, 10);
}

#[test]
fn a_log_is_imported_once_and_further_lines_of_it_later() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let (log, cid) = (kit.path("old.log"), identity_cid("read long ago"));
    for n in 0..5_000 {
        append(&log, &line(&format!("/ipfs/{cid}/{n}")));
    }
    append(&log, "[\n");
    let import = |name: &str| kit.ctl(&["access", "import", &kit.path(name).display().to_string(), "-o", "ndjson"]);
    let first: serde_json::Value = serde_json::from_str(&import("old.log").out).expect("JSON");
    assert_eq!((&first["taken"], &first["wrong"], &first["first_wrong"]), (&5000.into(), &1.into(), &"[".into()));
    let again: serde_json::Value = serde_json::from_str(&import("old.log").out).expect("JSON");
    assert_eq!((&again["taken"], &again["passed"]), (&0.into(), &fs::metadata(&log).expect("there").len().into()));
    append(&log, &line(&format!("/ipfs/{cid}")));
    let further: serde_json::Value = serde_json::from_str(&import("old.log").out).expect("JSON");
    assert_eq!((&further["taken"], &further["others"], &further["wrong"]), (&1.into(), &0.into(), &0.into()));
    assert!(std::process::Command::new("gzip").arg(&log).status().is_ok_and(|status| status.success()), "gzip fails");
    let packed: serde_json::Value = serde_json::from_str(&import("old.log.gz").out).expect("JSON");
    assert_eq!((&packed["taken"], &packed["wrong"]), (&0.into(), &0.into()));
    fs::write(kit.path("other"), "nothing\nof the kind\n").expect("written");
    assert_eq!(import("other").code, Some(1));
    assert!(kit.ctl(&["access", "import", "/nonexistent"]).err.contains("cannot read /nonexistent"));
    assert_eq!(accesses(&kit).len(), 5001);
}

#[test]
fn lines_that_come_in_two_calls_at_once_are_counted_once() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cid = identity_cid("read twice at once");
    let lines: Vec<String> = (0..500).map(|n| line(&format!("/ipfs/{cid}/{n}")).trim_end().to_owned()).collect();
    let log = Sha256::digest(format!("{}\n", lines[0])).iter().map(|byte| format!("{byte:02x}")).collect();
    let import = AccessImport { log, by: "access.log".to_owned(), from: 0, lines };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| kit.call(import.clone()));
        }
    });
    assert_eq!(accesses(&kit).len(), 500);
    // One that leaves out what nobody has read is told so.
    let known = kit.call(AccessImport { lines: Vec::new(), ..import.clone() }).known;
    let fault = kit.fault(AccessImport { from: known + 1, ..import.clone() });
    assert_eq!((fault.kind, accesses(&kit).len()), (FaultKind::Invalid, 500));
}

#[test]
fn a_read_of_what_was_just_put_into_mfs_counts_for_what_was_read() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("12s").env("IPFS_KITD_ANALYTICS_MFS", "false");
    kit.start_whole();
    let walked = || kit.ctl(&["vfs", "info", "/"]).code == Some(0);
    eventually(walked, || format!("MFS is not walked\n{}", kit.log()));
    let cids = ["one", "two"].map(|text| {
        let cid = ipfs(&kit, &["add", "--quieter", "--pin=false"], text.as_bytes()).trim().to_owned();
        ipfs(&kit, &["files", "cp", &format!("/ipfs/{cid}"), &format!("/{text}")], b"");
        ipfs(&kit, &["files", "read", &format!("/{text}")], b"");
        cid
    });
    // Does not wait with them.
    ipfs(&kit, &["cat", &cids[0]], b"");
    counted(&kit, 3);
    let row = |op: &str| (None::<String>, op.to_owned(), None::<String>);
    assert_eq!(of(&kit, AccessSource::Kubo, &cids[0]), [row("cat"), row("files/read")]);
    assert_eq!(of(&kit, AccessSource::Kubo, &cids[1]), [row("files/read")]);
    assert_eq!(source(&kit, AccessSource::Kubo).wrong, 0);
}

#[test]
fn what_is_put_into_mfs_counts_and_what_was_there_does_not() {
    let mut kit = Kit::real();
    kit.arg("--interval").arg("100ms").env("IPFS_KITD_BUSY_SHARE", "1.0").env("IPFS_KITD_ANALYTICS_KUBO", "false");
    fs::create_dir(kit.repo()).expect("made");
    ipfs(&kit, &["init", "--profile=test"], b"");
    ipfs(&kit, &["files", "write", "--create", "--parents", "/photos/one"], b"one");
    kit.start_whole();
    let looked = |kit: &Kit| source(kit, AccessSource::Mfs).looked.is_some();
    eventually(|| looked(&kit), || format!("MFS was not looked at\n{}", kit.log()));
    assert_eq!(accesses(&kit), []);
    // Not written: Kubo makes an empty file first, and a walk may see that.
    let two = ipfs(&kit, &["add", "--quieter", "--pin=false"], b"two").trim().to_owned();
    ipfs(&kit, &["files", "cp", &format!("/ipfs/{two}"), "/photos/two"], b"");
    counted(&kit, 1);
    assert_eq!(of(&kit, AccessSource::Mfs, &two), [(None, "added".to_owned(), None)]);
    kit.stop();
    kit.start_whole();
    eventually(|| looked(&kit), || "MFS was not looked at again".to_owned());
    counted(&kit, 1);
}

#[test]
fn a_source_is_switched_off_and_on_by_a_reload_and_says_what_is_wrong() {
    let mut kit = Kit::fake();
    let config = kit.path("config.toml");
    let log = kit.path("access.log");
    fs::write(&config, "[analytics]\nkubo = false\n").expect("written");
    kit.arg("--config").arg(&config.display().to_string());
    kit.start_whole();
    let is_on = |of| source(&kit, of).on;
    assert!(!is_on(AccessSource::Kubo) && !is_on(AccessSource::Gateway) && is_on(AccessSource::Record));
    assert_eq!(kit.recorded("keep requests"), 0);
    fs::create_dir(&log).expect("made");
    fs::write(&config, format!("[analytics]\nkubo = true\ngateway_logs = [\"{}\"]\n", log.display())).expect("written");
    kit.signal(Signal::SIGHUP);
    eventually(|| kit.recorded("keep requests 60s") == 1, || kit.log());
    eventually(|| source(&kit, AccessSource::Gateway).error.is_some(), || kit.log());
    let found = kit.ctl(&["doctor", "-o", "json"]).out;
    assert!(found.contains("gateway_log") && found.contains("is no regular file"), "{found}");
    fs::remove_dir(&log).expect("removed");
    append(&log, &"a line of something else\n".repeat(12));
    let strange = |why: &String| why.contains("none of 12 lines could be understood");
    eventually(|| source(&kit, AccessSource::Gateway).error.as_ref().is_some_and(strange), || kit.log());
    let cid = identity_cid("after all");
    append(&log, &line(&format!("/ipfs/{cid}")));
    counted(&kit, 1);
    eventually(|| source(&kit, AccessSource::Gateway).error.is_none(), || kit.log());
}

#[test]
fn a_log_of_requests_that_is_shown_again_and_again_is_counted_once_and_the_pin_is_asked_for() {
    let mut kit = Kit::fake();
    let (cid, pin) = (identity_cid("inside"), identity_cid("pin"));
    kit.start_whole();
    kit.set_fake_pins(&[(&pin, "recursive", "")]);
    kit.call(IndexRefresh { wait: true, names: true });
    let request = |id: u64, args: &[&str]| {
        let at = format!("2026-11-22T05:40:{id:02}.5Z");
        serde_json::json!({"ID": id, "Command": "cat", "Args": args, "Options": {"encoding": "json"}, "Active": false,
            "StartTime": at, "EndTime": at})
    };
    let requests = [request(1, &[&cid]), request(2, &["/ipns/example.org"]), request(3, &[&cid])];
    kit.script(&serde_json::json!({"requests": requests, "within": {&cid: &pin}}));
    // Numbers below those that were seen, and all of them later.
    counted(&kit, 2);
    looked_twice(&kit);
    counted(&kit, 2);
    assert_eq!(source(&kit, AccessSource::Kubo).wrong, 1);
    let kept = || accesses(&kit).iter().all(|access| access.pin.as_deref() == Some(&pin));
    eventually(kept, || format!("{:#?}\n{}", accesses(&kit), kit.log()));
    assert_eq!(kit.recorded("indirect"), 1);
    kit.panic_at("analytics.requests");
    eventually(|| !kit.panic_is_pending("analytics.requests"), || kit.log());
    looked_twice(&kit);
    counted(&kit, 2);
}

#[test]
fn a_log_of_requests_that_is_too_long_is_made_shorter_and_long_again_when_it_is_read() {
    let mut kit = Kit::fake();
    let at = "2026-11-22T05:40:01Z";
    let long = serde_json::json!({"ID": 1, "Command": "cat", "Args": ["x".repeat(17 << 20)], "Options": {}, "Active": false,
        "StartTime": at, "EndTime": at});
    kit.script(&serde_json::json!({"requests": [long]}));
    kit.start_whole();
    eventually(|| kit.recorded("keep requests 10s") > 0, || kit.log());
    let error = || source(&kit, AccessSource::Kubo).error;
    eventually(|| error().is_some_and(|error| error.contains("log of requests")), || kit.log());
    kit.script(&serde_json::json!({}));
    eventually(|| kit.recorded("keep requests 60s") == 1 && error().is_none(), || kit.log());
    looked_twice(&kit);
    assert_eq!((kit.recorded("keep requests 10s"), kit.recorded("keep requests 60s")), (1, 1));
}

#[test]
fn what_kubo_could_not_say_stays_unknown_and_holds_up_nobody_and_the_next_daemon_asks_again() {
    let mut kit = Kit::fake();
    let (first, second, pin) = (identity_cid("first"), identity_cid("second"), identity_cid("pin"));
    let within = serde_json::json!({&first: &pin, &second: &pin});
    kit.script(&serde_json::json!({"within": within, "panics_at": &first}));
    kit.start_whole();
    kit.set_fake_pins(&[(&pin, "recursive", "")]);
    kit.call(IndexRefresh { wait: true, names: true });
    for cid in [&first, &second] {
        assert_eq!(kit.ctl(&["access", "record", cid, "--durable"]).code, Some(0));
    }
    let keeper =
        |kit: &Kit, cid: &str| accesses(kit).iter().find(|access| access.cid == cid).map(|access| access.keeper);
    let inside = |kit: &Kit, cid: &str| keeper(kit, cid) == Some(Keeper::Inside);
    eventually(|| inside(&kit, &second), || format!("{:#?}\n{}", accesses(&kit), kit.log()));
    assert_eq!(keeper(&kit, &first), Some(Keeper::Unknown));
    kit.stop();
    kit.script(&serde_json::json!({"within": within}));
    kit.start_whole();
    eventually(|| inside(&kit, &first), || format!("{:#?}\n{}", accesses(&kit), kit.log()));
}
