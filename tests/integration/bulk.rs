//! Rows as bytes, from a running daemon and from its newest snapshot.

use crate::kit::{Kit, identity_cid, said, skipped};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use proto_msgs::pin::{PinAdd, PinTag};
use proto_msgs::snapshot::SnapshotNow;
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
