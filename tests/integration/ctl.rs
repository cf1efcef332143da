//! `ipfs-kitctl` against the real daemon: formats, exit codes, many at once.

use crate::kit::{Kit, identity_cid, said};
use proto_msgs::kubo::KuboStop;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn every_format_shows_the_same_pins() {
    let mut kit = Kit::fake();
    // What nobody has measured is null.
    kit.env("IPFS_KITD_SIZE_SHARE", "0");
    kit.start_whole();
    let (a, b) = (identity_cid("a"), identity_cid("b"));
    kit.set_fake_pins(&[(&a, "recursive", "with \"quotes\", and a comma"), (&b, "direct", "")]);
    assert_eq!(kit.ctl(&["index", "refresh", "--wait"]).code, Some(0));

    let table = kit.ctl(&["pin", "ls", "--sort", "type"]).out;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("CID ") && lines.len() == 3, "{table}");
    assert!(lines[1].starts_with(&a) && lines[2].starts_with(&b), "{table}");

    let json: Value = serde_json::from_str(&kit.ctl(&["pin", "ls", "-o", "json"]).out).expect("JSON");
    assert_eq!((&json["schema_version"], &json["total"], &json["complete"]), (&1.into(), &2.into(), &true.into()));
    assert_eq!((json["source"].as_str(), json["pins"].as_array().map(Vec::len)), (Some("live"), Some(2)));
    assert!(json["as_of"].is_string() && json["age_s"].is_number() && json["generation"].is_number());
    assert_eq!(json["pins"][0]["size"], Value::Null);

    let rows: Vec<Value> =
        kit.ctl(&["pin", "ls", "-o", "ndjson"]).out.lines().map(|l| serde_json::from_str(l).expect("a row")).collect();
    assert_eq!(rows, *json["pins"].as_array().expect("rows"));

    let csv = kit.ctl(&["pin", "ls", "-o", "csv", "--columns", "cid,name", "--sort", "type"]).out;
    assert_eq!(csv, format!("cid,name\n{a},\"with \"\"quotes\"\", and a comma\"\n{b},\n"));
    let cids = kit.ctl(&["pin", "ls", "-o", "cid", "--type", "direct"]).out;
    assert_eq!(cids, format!("{b}\n"));
    let limited = kit.ctl(&["pin", "ls", "-o", "cid", "--sort", "cid:desc", "--limit", "1", "--offset", "1"]).out;
    assert_eq!(limited.lines().count(), 1);

    for noun in [
        &["status"][..],
        &["metrics"],
        &["kubo", "status"],
        &["lock", "check"],
        &["config", "show", "--effective"],
        &["index", "info"],
        &["pin", "info", &a],
        &["pin", "history"],
        &["pin", "diff", "0", "1"],
    ] {
        let args = [noun, &["-o", "json"]].concat();
        let document: Value = serde_json::from_str(&kit.ctl(&args).out).unwrap_or_else(|e| panic!("{noun:?}: {e}"));
        assert_eq!(document["schema_version"], 1, "{noun:?}");
        assert!(!kit.ctl(noun).out.is_empty(), "{noun:?}");
    }
}

#[test]
fn exit_codes_say_what_a_script_has_to_know() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let code = |args: &[&str]| kit.ctl(args).code.expect("an exit code");
    let unpinned = identity_cid("unpinned");
    assert_eq!(code(&["status", "--check"]), 0);
    assert_eq!(code(&["pin", "info", "nonsense"]), 2);
    assert_eq!(code(&["pin", "add", "nonsense"]), 2);
    assert_eq!(code(&["pin", "ls", "--frobnicate"]), 2);
    assert_eq!(code(&["pin", "ls", "--columns", "colour"]), 2);
    assert_eq!(code(&["status", "-o", "cid"]), 2);
    assert_eq!(code(&["pin", "info", &unpinned]), 4);
    assert_eq!(code(&["pin", "rm", &unpinned]), 4);
    assert_eq!(code(&["wait", "--for=kubo=stopped", "--timeout", "500ms"]), 1);
    assert_eq!(code(&["wait", "--for=kubo=running", "--timeout", "30s"]), 0);
    assert_eq!(code(&["pin", "ls", "--max-age", "1h"]), 0);
    let stale = kit.ctl(&["pin", "ls", "--max-age", "0s"]);
    assert_eq!((stale.code, stale.out.as_str()), (Some(75), ""), "{}", stale.err);
    kit.call(KuboStop {});
    assert_eq!(code(&["kubo", "status"]), 3);
    assert_eq!(code(&["status", "--check"]), 3);
    assert_eq!(code(&["pin", "add", &unpinned]), 3);
    assert_eq!((code(&["pin", "ls"]), code(&["status"])), (0, 0));
}

#[test]
fn errors_go_to_stderr_as_sentences_or_as_json() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let text = kit.ctl(&["pin", "info", "nonsense"]);
    assert!(text.out.is_empty() && text.err.starts_with("error: \"nonsense\" is not a CID"), "{}", text.err);
    assert!(text.err.contains("\nhint: "), "{}", text.err);
    let json = kit.ctl(&["pin", "info", "nonsense", "-o", "json"]);
    let error: Value = serde_json::from_str(&json.err).expect("JSON");
    assert_eq!(error["error"]["kind"], "invalid");
    assert!(error["error"]["detail"].is_string() && error["error"]["hint"].is_string());
}

#[test]
fn a_missing_socket_is_exit_69_and_each_path_that_was_tried_is_named() {
    let kit = Kit::fake();
    let named = kit.ctl(&["status"]);
    assert_eq!(named.code, Some(69));
    assert!(named.err.contains(&kit.socket().display().to_string()), "{}", named.err);
    let mut command = kit.ctl_command(&["status"]);
    command.env_remove("IPFS_KITD_SOCKET").env("XDG_RUNTIME_DIR", kit.path("xdg"));
    let usual = said(&mut command);
    assert_eq!(usual.code, Some(69));
    for path in [kit.path("xdg/ipfs-kitd/ipfs-kitd.sock"), kit.path("home/.ipfs_kit/run/ipfs-kitd.sock")] {
        assert!(usual.err.contains(&format!("{} (", path.display())), "{}", usual.err);
    }
    assert!(usual.err.contains("/run/ipfs-kitd/ipfs-kitd.sock ("), "{}", usual.err);
}

#[test]
fn several_cids_are_all_tried_and_can_come_from_stdin() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let cids: Vec<String> = (0..5).map(|n| identity_cid(&n.to_string())).collect();
    let list = kit.path("list");
    std::fs::write(&list, format!("{}\n\n", cids.join("\n"))).expect("written");
    let mut command = kit.ctl_command(&["pin", "add", "-", "-o", "cid"]);
    command.stdin(std::fs::File::open(list).expect("opened"));
    let added = said(&mut command);
    assert_eq!((added.code, added.out), (Some(0), format!("{}\n", cids.join("\n"))), "{}", added.err);
    let mixed = kit.ctl(&["pin", "rm", &cids[0], "nonsense", &cids[1]]);
    assert_eq!(mixed.code, Some(2));
    assert!(mixed.err.contains("nonsense"), "{}", mixed.err);
    assert_eq!(kit.pins().len(), 3, "the others were removed all the same");
}

#[test]
fn ten_shells_in_a_loop_never_fail_and_never_wait_for_a_lock() {
    let mut kit = Kit::fake();
    kit.arg("--interval").arg("200ms");
    kit.start_whole();
    let pins: Vec<String> = (0..300).map(|n| identity_cid(&format!("pin {n}"))).collect();
    let pins: Vec<_> = pins.iter().map(|cid| (cid.as_str(), "recursive", "")).collect();
    kit.set_fake_pins(&pins);
    assert_eq!(kit.ctl(&["index", "refresh", "--wait"]).code, Some(0));
    // 30 s by `KITD_TEST_SECONDS=30`; the ordinary run is shorter.
    let seconds = std::env::var("KITD_TEST_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let until = Instant::now() + Duration::from_secs(seconds);
    let calls: usize = thread::scope(|scope| {
        let shells: Vec<_> = (0..10)
            .map(|shell| {
                let kit = &kit;
                scope.spawn(move || {
                    let mut calls = 0;
                    while Instant::now() < until {
                        let args: &[&str] = if shell % 2 == 0 { &["pin", "ls", "-o", "cid"] } else { &["status"] };
                        let said = kit.ctl(args);
                        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{args:?}");
                        assert!(shell % 2 == 1 || said.out.lines().count() == 300, "{}", said.out);
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        shells.into_iter().map(|shell| shell.join().expect("no failure")).sum()
    });
    assert!(calls >= 20, "{calls} calls in {seconds} s");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let pins: Vec<String> = (0..3000).map(|n| identity_cid(&format!("pin {n}"))).collect();
    let pins: Vec<_> = pins.iter().map(|cid| (cid.as_str(), "recursive", "")).collect();
    kit.set_fake_pins(&pins);
    assert_eq!(kit.ctl(&["index", "refresh", "--wait"]).code, Some(0));
    let mut child = kit
        .ctl_command(&["pin", "ls", "-o", "ndjson"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.stderr, b"");
    assert_ne!(output.status.code(), Some(1));
}

#[test]
fn wait_with_a_timeout_waits_for_the_daemon_too() {
    let mut kit = Kit::fake();
    assert_eq!(kit.ctl(&["wait", "--for=kubo=running"]).code, Some(69));
    let waiting = kit.ctl_command(&["wait", "--for=kubo=running", "--timeout", "60s"]).spawn().expect("it runs");
    kit.start();
    let waited = waiting.wait_with_output().expect("it ends");
    assert_eq!(waited.status.code(), Some(0));
    let late = kit.ctl(&["wait", "--for=kubo=stopped", "--timeout", "500ms"]);
    assert_eq!(late.code, Some(1));
    assert!(late.err.contains("kubo=stopped did not come true within 500ms; Kubo is running"), "{}", late.err);
}

#[test]
fn the_log_and_kubos_configuration_are_told_without_secrets() {
    let mut kit = Kit::fake();
    kit.start_whole();
    let said = kit.ctl(&["kubo", "config", "-o", "csv"]);
    assert!(said.out.contains("API.Authorizations.a.AuthSecret,\"\"\"***\"\"\"\n"), "{said:?}");
    assert!(said.out.contains("Identity.PeerID") && !said.out.contains("hunter2"), "{said:?}");
    kit.ctl(&["pin", "rm", "nonsense"]);
    let said = kit.ctl(&["log", "--level", "warn", "-n", "1", "-o", "ndjson"]);
    let line: Value = serde_json::from_str(&said.out).expect("one line");
    assert_eq!((&line["level"], &line["target"]), (&json!("warn"), &json!("audit")));
    assert!(line["text"].as_str().is_some_and(|text| text.contains("nonsense")), "{line}");
    assert!(kit.ctl(&["log", "--since", "1h"]).out.contains(" info  "));
    kit.ctl(&["kubo", "stop"]);
    assert_eq!(kit.ctl(&["kubo", "config"]).code, Some(3));
    assert_eq!(kit.ctl(&["log", "--level", "loud"]).code, Some(2));
}
