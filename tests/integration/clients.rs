//! Clients in other languages, and one-liners: each is run against a daemon.

use crate::kit::{Kit, identity_cid, said, skipped};
use proto_msgs::pin::PinAdd;
use proto_msgs::snapshot::SnapshotNow;
use std::path::Path;
use std::process::Command;

fn kit() -> Kit {
    let mut kit = Kit::fake();
    kit.start_whole();
    kit.call(PinAdd { cid: identity_cid("one"), name: Some("first".to_owned()), direct: false });
    kit
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_python_client_asks_lists_follows_and_tells_faults() {
    let kit = kit();
    if Command::new("python3").arg("--version").output().is_err() {
        return skipped("the Python client", "there is no python3");
    }
    let script = r#"
import sys
from ipfs_kitd import Client, Fault

cid = sys.argv[1]
with Client(timeout=30) as kitd:
    assert kitd.call("status")["kubo"]["state"] == "running"
    marked = kitd.call("pin_tag", cid=cid, add=["holidays"], remove=[])
    assert marked["tags"] == ["holidays"], marked
    seen = kitd.call("access_record", accesses=[{"cid": cid, "op": "cat", "bytes": 7}], durable=True, batch="one")
    assert seen == {"taken": 1, "repeated": False, "durable": True}, seen
    [access] = kitd.rows("access_log", cid=cid)
    assert (access["op"], access["bytes"], access["keeper"]) == ("cat", 7, "pin"), access
    pins = list(kitd.rows("pin_ls", tag="holidays"))
    assert [pin["name"] for pin in pins] == ["first"], pins
    *parts, page = kitd.parts("pin_ls")
    assert page["total"] == sum(len(part["pins"]) for part in parts), (parts, page)
    try:
        kitd.call("pin_info", cid="nonsense")
        raise AssertionError("no fault")
    except Fault as fault:
        assert fault.kind == "invalid" and "nonsense" in fault.detail, fault
    try:
        kitd.call("no_such_verb")
        raise AssertionError("no fault")
    except Fault as fault:
        assert fault.kind == "invalid" and "unknown verb" in str(fault), fault
    for event in kitd.rows("events", follow=True):
        if "index" in event["what"]:
            break
with Client() as kitd:
    assert kitd.call("wait", for_="index_complete", deadline_ms=5000)["waited_s"] >= 0
try:
    Client("/nowhere/at/all.sock")
    raise AssertionError("connected")
except ConnectionError as error:
    assert "/nowhere/at/all.sock" in str(error), error
print("all is well")
"#;
    let mut python = Command::new("python3");
    python.env_clear().env("PYTHONPATH", root().join("clients/python")).env("IPFS_KITD_SOCKET", kit.socket());
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let ran = said(python.args(["-c", script, &identity_cid("one")]));
    assert_eq!((ran.code, ran.out.trim_end()), (Some(0), "all is well"), "{}", ran.err);
}

#[test]
fn what_the_python_client_does_not_read_to_its_end_is_in_nobodys_way() {
    let kit = kit();
    kit.call(SnapshotNow { arrow: true });
    let script = r#"
import os
from ipfs_kitd import Client

with Client(timeout=30) as kitd:
    for _ in range(40):
        for event in kitd.rows("events", follow=True):
            break
    for pin in kitd.rows("pin_ls"):
        break
    at, fd = kitd.snapshot_fd()
    assert at["manifest"]["name"] and os.fstat(fd).st_size > 0, at
    os.close(fd)
    assert kitd.call("status")["kubo"]["state"] == "running"
    left = kitd.rows("pin_ls")
    next(left)
left.close()
print("all is well")
"#;
    let Some(out) = run_python(&kit, script) else { return };
    assert_eq!(out.trim_end(), "all is well");
}

/// Runs a program that has the client; `None`: there is no Python.
fn run_python(kit: &Kit, script: &str) -> Option<String> {
    let place = root().join("clients/python").display().to_string();
    run(kit, &["python3"], &["python3", "-Bc", &format!("import sys; sys.path.append({place:?})\n{script}")])
}

/// The program on docs/PROTOCOL.md whose block begins with these words.
fn on_the_page(head: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/PROTOCOL.md")).expect("the page");
    let (_, rest) = page.split_once(&format!("```{head}\n")).unwrap_or_else(|| panic!("no block {head}"));
    rest.split_once("```").expect("its end").0.to_owned()
}

/// Runs a program of the page as its reader would; `None`: one of the tools is not there.
fn run(kit: &Kit, tools: &[&str], words: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for tool in tools {
        if !std::env::split_paths(&path).any(|dir| dir.join(tool).exists()) {
            skipped(&format!("{} on docs/PROTOCOL.md", words[0]), &format!("there is no {tool}"));
            return None;
        }
    }
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("PATH", path).env("IPFS_KITD_SOCKET", kit.socket());
    // For Go: a cache that stays, in nobody's home, and no network.
    command.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go")).env("GOPATH", kit.path("go"));
    command.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("HOME", kit.path("home"));
    let ran = said(&mut command);
    assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.err);
    Some(ran.out)
}

#[test]
fn the_one_liners_on_the_page_of_the_protocol_do_what_they_say() {
    let kit = kit();
    let says_running = |tools: &[&str], words: &[&str]| {
        assert!(run(&kit, tools, words).is_none_or(|out| out == "running\n"), "{words:?}");
    };
    says_running(&["socat", "jq"], &["sh", "-c", &on_the_page("sh socat")]);
    says_running(&["node"], &["node", "-e", &on_the_page("js node")]);
    let go = kit.path("main.go");
    std::fs::write(&go, on_the_page("go go")).expect("written");
    says_running(&["go"], &["go", "run", &go.display().to_string()]);
    if let Some(listed) = run(&kit, &["socat", "jq"], &["sh", "-c", &on_the_page("sh jq")]) {
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, kit.pins());
    }
}

#[test]
fn the_client_in_forty_lines_lists_pins() {
    let kit = kit();
    let program = on_the_page("python client");
    assert!(program.lines().filter(|line| !line.trim().is_empty()).count() <= 40);
    let Some(out) = run(&kit, &["python3"], &["python3", "-c", &program]) else { return };
    assert!(out.contains(&format!("{} first\n", identity_cid("one"))), "{out}");
    assert!(out.contains(&format!("{} pins, as of 2", kit.pins().len())), "{out}");
}
