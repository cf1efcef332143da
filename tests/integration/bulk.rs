//! Rows as bytes, from a running daemon and from its newest snapshot.

use crate::kit::{Kit, identity_cid, said, skipped};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use proto_msgs::FaultKind;
use proto_msgs::pin::{PinAdd, PinTag};
use proto_msgs::snapshot::{SnapshotFd, SnapshotNow};
use proto_msgs::{Client, ClientError};
use rustix::io::{FdFlags, fcntl_getfd};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

fn with_pins() -> Kit {
    let mut kit = Kit::fake();
    kit.start_whole();
    for (text, name) in [("one", Some("first")), ("two", None)] {
        kit.call(PinAdd { cid: identity_cid(text), name: name.map(str::to_owned), direct: false });
    }
    kit.call(PinTag { cid: identity_cid("two"), add: vec!["keep".to_owned()], remove: vec![] });
    kit
}

fn bytes(kit: &Kit, args: &[&str]) -> Vec<u8> {
    let mut command = kit.ctl_command(args);
    let output = command.env("IPFS_KITD_DATA_DIR", kit.path("data")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn cids<E: std::fmt::Debug>(batches: impl Iterator<Item = Result<RecordBatch, E>>) -> Vec<String> {
    let cids = |batch: RecordBatch| -> Vec<String> {
        let column = batch.column_by_name("cid").expect("CIDs").as_string::<i32>();
        column.iter().map(|cid| cid.expect("a CID").to_owned()).collect()
    };
    batches.flat_map(|batch| cids(batch.expect("a batch"))).collect()
}

#[test]
fn pin_ls_gives_arrow_and_parquet_with_and_without_the_daemon() {
    let mut kit = with_pins();
    let listed = |args: &[&str]| -> Vec<String> {
        String::from_utf8(bytes(&kit, &[args, &["-o", "cid"]].concat()))
            .expect("text")
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let (all, kept) = (listed(&["pin", "ls"]), listed(&["pin", "ls", "--tag", "keep"]));
    assert!(all.len() >= 2 && kept == [identity_cid("two")], "{all:?}");
    kit.call(SnapshotNow::default());
    let check = |kit: &Kit, extra: &[&str], source: &str| {
        let arrow = bytes(kit, &[&["pin", "ls", "-o", "arrow"], extra].concat());
        let reader = StreamReader::try_new(&arrow[..], None).expect("a stream");
        assert_eq!(reader.schema().metadata()["ipfs_kitd.source"], source);
        assert_eq!(cids(reader), all);
        let parquet = bytes(kit, &[&["pin", "ls", "--tag", "keep", "-o", "parquet"], extra].concat());
        let reader = ParquetRecordBatchReader::try_new(Bytes::from(parquet), 100).expect("a file");
        assert_eq!(cids(reader), kept);
    };
    check(&kit, &[], "live");
    let refused = kit.ctl(&["pin", "ls", "-o", "arrow", "--columns", "colour"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
    assert!(refused.err.contains("there is no column \"colour\"; there are id, cid,"), "{}", refused.err);
    kit.kill();
    check(&kit, &["--offline"], "snapshot");
}

#[test]
fn the_python_client_gives_rows_as_a_table() {
    let python = std::env::var("IPFS_KITD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !Command::new(&python).args(["-c", "import pyarrow"]).output().is_ok_and(|ran| ran.status.success()) {
        return skipped("tables of the Python client", "there is no pyarrow");
    }
    let kit = with_pins();
    let script = r#"
import sys
from ipfs_kitd import Client, Fault

with Client(timeout=30) as kitd:
    table = kitd.table("pin_ls", tag="keep", columns=["cid", "tags"])
    assert table.to_pylist() == [{"cid": sys.argv[1], "tags": ["keep"]}], table
    assert table.schema.metadata[b"ipfs_kitd.complete"] == b"true", table.schema
    assert kitd.table("pin_ls").num_rows == len(list(kitd.rows("pin_ls")))
    try:
        kitd.table("pin_ls", columns=["colour"])
        raise AssertionError("no fault")
    except Fault as fault:
        assert fault.kind == "invalid", fault
print("all is well")
"#;
    let mut command = Command::new(python);
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python");
    command.env("PYTHONPATH", client).env("PYTHONDONTWRITEBYTECODE", "1").env("IPFS_KITD_SOCKET", kit.socket());
    let ran = said(command.args(["-c", script, &identity_cid("two")]));
    assert_eq!((ran.code, ran.out.trim_end()), (Some(0), "all is well"), "{}", ran.err);
}

#[test]
fn a_descriptor_of_the_newest_pins_comes_with_the_answer_and_outlives_the_snapshot() {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_SNAPSHOT_ENABLED", "false").start_whole();
    let told = kit.fault(SnapshotFd {});
    assert_eq!((told.kind, told.detail.as_str()), (FaultKind::NotFound, "there is no snapshot yet"));
    assert_eq!(kit.ctl(&["snapshot", "fd", "--", "cat"]).code, Some(4));
    kit.call(PinAdd { cid: identity_cid("one"), name: None, direct: false });
    let made = kit.call(SnapshotNow { arrow: true });
    let expected = std::fs::read(Path::new(&made.path).join("pins.arrow")).expect("there");
    let mut held = Vec::new();
    let json = Client::connect_json(&kit.socket()).expect("connected");
    for mut client in [kit.client(), json] {
        // Twice over one connection: the answer leaves nothing behind.
        for _ in 0..2 {
            let (at, fd) = client.snapshot_fd(None).expect("a descriptor");
            assert_eq!((&at.path, at.manifest.serial), (&made.path, made.manifest.serial));
            assert!(fcntl_getfd(&fd).expect("flags").contains(FdFlags::CLOEXEC));
            held.push(File::from(fd));
        }
        client.call(proto_msgs::daemon::Status {}).expect("and goes on");
    }
    let run = kit.ctl(&["snapshot", "fd", "--", "sh", "-c", "wc -c; echo $IPFS_KITD_SNAPSHOT; exit 7"]);
    let (bytes, name) = (expected.len().to_string(), &made.manifest.name);
    assert_eq!((run.code, run.out.split_whitespace().collect::<Vec<_>>()), (Some(7), vec![bytes.as_str(), name]));
    for (program, code) in [("/no/such/program", 127), ("/", 126)] {
        let ran = kit.ctl(&["snapshot", "fd", "--", program]);
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        assert!(ran.err.contains(&format!("{program} cannot be started")), "{}", ran.err);
    }
    std::fs::remove_dir_all(&made.path).expect("removed");
    for mut file in held {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("read");
        assert!(bytes == expected && file.write_all(b"x").is_err(), "what was published, for reading alone");
    }
    let told = kit.try_call(SnapshotFd {}).expect_err("gone");
    assert!(matches!(told, ClientError::Fault(fault) if fault.detail.contains("cannot be opened")));
}

#[test]
fn the_python_client_is_handed_the_descriptor() {
    let kit = with_pins();
    if Command::new("python3").arg("--version").output().is_err() {
        return skipped("descriptors of the Python client", "there is no python3");
    }
    kit.call(SnapshotNow { arrow: true });
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/DATA.md")).expect("readable");
    let example =
        page.split_once("### `pins.arrow` by descriptor").and_then(|(_, rest)| rest.split_once("```python\n"));
    let example = example.and_then(|(_, rest)| rest.split_once("```")).expect("an example").0;
    let script = r#"
with Client(timeout=30) as kitd:
    at, fd = kitd.snapshot_fd()
    (file,) = [file for file in at["manifest"]["files"] if file["name"] == "pins.arrow"]
    with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as pins:
        assert len(pins) == file["bytes"] and pins[:6] == b"ARROW1", file
    assert not os.get_inheritable(fd)
    os.close(fd)
    assert kitd.call("status")["index"]["pins"] >= 2
print("all is well")
"#;
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", root.join("clients/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = said(command.env("IPFS_KITD_SOCKET", kit.socket()).args(["-c", &format!("{example}{script}")]));
    assert_eq!((ran.code, ran.out.lines().last()), (Some(0), Some("all is well")), "{}", ran.err);
}
