//! `--watch`.

use crate::stub::{Ran, Speaks, Stub, V0, fault, page, pin, status};
use proto_msgs::FaultKind;
use proto_msgs::daemon::Status;
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::{PinLs, PinRows};
use proto_msgs::verb::{Body, Part, Verb};
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A stub whose n-th answer is this one.
fn counting(answer: impl Fn(u64) -> Body + Send + Sync + 'static) -> Stub {
    let asked = AtomicU64::new(0);
    Stub::one(move |_| answer(asked.fetch_add(1, Ordering::Relaxed)))
}

fn watching(stub: &Stub, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = stub
        .command(&[args, &["--watch=1ms"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    (child, lines)
}

fn generation(n: u64) -> Body {
    let mut report = status(KuboState::Running);
    (report.daemon.started, report.kubo.since) = ("T".to_owned(), "T".to_owned());
    (report.index.generation, report.daemon.uptime_s) = (n / 3, n as f64);
    Body::Done(Status::done(report))
}

#[test]
fn rows_for_machines_come_when_they_differ_and_a_restart_of_the_daemon_is_outlived() {
    let stub = counting(|n| match n {
        4 => panic!("the daemon ends"),
        5 => fault(FaultKind::NotReady, "it starts", None),
        n => generation(n),
    });
    let (mut child, lines) = watching(&stub, &["status", "-o", "ndjson"]);
    let generations: Vec<u64> = lines
        .take(3)
        .map(|line| serde_json::from_str::<serde_json::Value>(&line.expect("read")).expect("JSON"))
        .map(|status| status["index"]["generation"].as_u64().expect("a number"))
        .collect();
    assert_eq!(generations, [0, 1, 2]);
    child.kill().expect("our own");
    child.wait().expect("ended");
}

#[test]
fn tables_come_one_after_another_and_ctrl_c_ends_them() {
    // As of whatever a shell without job control starts in the background; what we start has it from us.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    if ignored.is_some_and(|set| u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & 2 != 0)) {
        let words = "SKIPPED: Ctrl-C and --watch: SIGINT is ignored where the tests run\n";
        return std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes()).expect("written");
    }
    let stub = Stub::new(Speaks::Binary, |_| {
        let rows = Body::Part(Part::PinLs(PinRows { pins: vec![pin(V0)] }));
        Box::new([rows, Body::Done(PinLs::done(page(1)))].into_iter())
    });
    let (mut child, mut lines) = watching(&stub, &["pin", "ls", "--columns", "cid"]);
    let read: Vec<String> = lines.by_ref().take(5).map(|line| line.expect("read")).collect();
    assert_eq!(read, ["CID", V0, "", "CID", V0]);
    let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.expect("kill runs").success());
    use std::os::unix::process::ExitStatusExt;
    // What a shell calls 130.
    assert_eq!(child.wait().expect("ended").signal(), Some(2));
}

#[test]
fn every_list_that_only_looks_at_what_may_change_can_be_watched() {
    let stub = Stub::one(|_| fault(FaultKind::Denied, "asked", None));
    for list in [
        &["pin", "ls"][..],
        &["pin", "history"],
        &["vfs", "ls"],
        &["vfs", "info", "/"],
        &["vfs", "journal"],
        &["access", "log"],
        &["snapshot", "ls"],
        &["lock", "check"],
        &["kubo", "config"],
        &["config", "show"],
        &["doctor"],
        &["state", "files", "--history"],
    ] {
        let ran = stub.run(&[list, &["--watch"]].concat());
        assert!(ran.code == Some(77) && ran.stderr.contains("asked"), "{list:?}: {ran:?}");
    }
}

#[test]
fn what_does_not_pass_ends_it_and_what_cannot_be_watched_is_refused() {
    let stub = counting(|n| if n == 0 { generation(0) } else { fault(FaultKind::Denied, "no longer", None) });
    let ran = Ran::of(stub.command(&["status", "--watch=1ms", "-o", "json"]).output().expect("it runs"));
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(77), 1), "{ran:?}");
    let stub = Stub::one(|call| panic!("asked {call:?}"));
    for args in [
        &["pin", "add", V0][..],
        &["shutdown"],
        &["status", "--check"],
        &["--offline", "pin", "ls"],
        &["pin", "info", V0],
        &["pin", "diff", "1", "2"],
        &["pin", "verify"],
        &["lock", "clean"],
        &["doctor", "--bundle"],
        &["events"],
    ] {
        let ran = stub.run(&[args, &["--watch"]].concat());
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.stderr.contains("can be watched"), "{ran:?}");
    }
}
