//! What goes wrong: faults, usage, a daemon that is not there; each with its exit code.

use crate::failing;
use crate::stub::{Ran, Speaks, Stub, V0, fault, kitctl, page};
use proto_msgs::FaultKind;
use proto_msgs::pin::PinLs;
use proto_msgs::verb::{Body, Verb};
use serde_json::{Value, json};

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
    for args in [["pin", "ls", "--json"], ["pin", "ls", "-ojson"], ["pin", "ls", "-ondjson"]] {
        let ran = failing(FaultKind::Busy).run(&args);
        let expected = json!({"error": {"kind": "busy", "detail": "it went wrong", "hint": "do this"}});
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        assert_eq!(serde_json::from_str::<Value>(&ran.stderr).expect("one document"), expected);
    }
}

#[test]
fn what_others_named_gives_a_terminal_no_orders_in_a_hint_either() {
    let stub = Stub::one(|_| fault(FaultKind::Busy, "a\u{202e}b", Some("run c\u{1b}[2Jd")));
    let ran = stub.run(&["pin", "ls"]);
    assert_eq!(ran.stderr, "error: a\\u{202e}b\nhint: run c\\u{1b}[2Jd\n");
}

#[test]
fn a_wrong_command_line_is_usage_in_both_forms() {
    for args in [&["pin", "list"][..], &["pin", "ls", "--sort", "name:down"], &["--timeout", "30", "status"], &[]] {
        let ran = kitctl(args).output().map(Ran::of).expect("it runs");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
    for format in ["json", "ndjson"] {
        let ran = kitctl(&["-o", format, "pin", "ls", "--bogus"]).output().map(Ran::of).expect("it runs");
        let error: Value = serde_json::from_str(&ran.stderr).expect("one document");
        assert_eq!((ran.code, &error["error"]["kind"]), (Some(2), &json!("usage")));
        assert!(error["error"]["detail"].as_str().is_some_and(|detail| detail.contains("--bogus")), "{error}");
    }
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
fn the_help_of_a_command_names_no_format_that_it_lacks() {
    for command in [&["status"][..], &["pin", "ls"], &["metrics"]] {
        let help = kitctl(&[command, &["--help"]].concat()).output().map(Ran::of).expect("it runs").stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!help.contains("possible values: table") && !help.contains("One CID a line"), "{help}");
        assert!(help.contains("of lists also wide (more columns) and csv"), "{help}");
        let (own, global) = help.split_once("Global options:").expect("a heading of their own");
        assert!(own.contains("--help") && !own.contains("--socket") && global.contains("--socket"), "{help}");
    }
}
