//! Clients in other languages, and one-liners: each is run against a daemon.

use crate::kit::{Kit, identity_cid, said, skipped};
use proto_msgs::pin::PinAdd;
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
