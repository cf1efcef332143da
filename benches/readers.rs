//! Twenty readers, half of them DuckDB in this process and half pyarrow in processes of their own, loop over the manifest for a
//! minute while snapshots are published all the time. An error or two generations in one snapshot end the bench.
//!
//! pyarrow is looked for in the Python that `IPFS_KITD_PYTHON` names, else `python3`.

use ipfs_kitd::cid::Cid;
use ipfs_kitd::index::apply::{self, ApplyAdded};
use ipfs_kitd::index::store::Store;
use ipfs_kitd::snapshot::place::Place;
use ipfs_kitd::snapshot::publish::{self, Order};
use jiff::Timestamp;
use proto_msgs::pin::PinType;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const READERS: usize = 10;
const TIME: Duration = Duration::from_secs(60);

const PYTHON: &str = r#"
import json, os, sys, time
import pyarrow.parquet as pq
import pyarrow.ipc, pyarrow
top, until, seen, reads = sys.argv[1], time.time() + float(sys.argv[2]), set(), 0
while time.time() < until:
    manifest = json.load(open(os.path.join(top, "manifest.json")))
    here = os.path.join(top, manifest["name"])
    for file in manifest["files"]:
        path = os.path.join(here, file["name"])
        if path.endswith(".arrow"):
            table = pyarrow.ipc.open_file(pyarrow.memory_map(path)).read_all()
        else:
            table = pq.read_table(path)
            assert int(pq.read_metadata(path).metadata[b"ipfs_kitd.serial"]) == manifest["serial"]
        assert table.num_rows == file["rows"]
        if file["name"].startswith("pins."):
            assert table.num_rows == manifest["generation"]
    seen.add(manifest["serial"])
    reads += 1
print(reads, len(seen))
"#;

fn main() {
    let mut out = std::io::stdout();
    let mut say = |text: String| writeln!(out, "readers  {text}").expect("written");
    let dir = tempfile::tempdir().expect("a temp dir");
    let place = Place::open(&dir.path().join("snapshots")).expect("a directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = Store::open(&dir.path().join("index"), &dir.path().join("journal"), &dir.path().join("snapshots"))
        .expect("an index");
    let mut generation = runtime.block_on(publish_one_more(&store, &place));
    let python = std::env::var("IPFS_KITD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_pyarrow = Command::new(&python).args(["-c", "import pyarrow.parquet"]).stderr(Stdio::null()).status();
    let snakes: Vec<Child> = if has_pyarrow.is_ok_and(|status| status.success()) {
        let time = TIME.as_secs().to_string();
        let snake = |_| {
            let mut command = Command::new(&python);
            command.args(["-c", PYTHON]).arg(place.dir()).arg(&time).stdout(Stdio::piped());
            command.spawn().expect("python starts")
        };
        (0..READERS).map(snake).collect()
    } else {
        say(format!("pyarrow: SKIPPED, {python} has none"));
        Vec::new()
    };
    let over = Arc::new(AtomicBool::new(false));
    let ducks: Vec<_> = (0..READERS)
        .map(|_| {
            let (place, over) = (place.clone(), over.clone());
            std::thread::spawn(move || duck(&place, &over))
        })
        .collect();
    let began = Instant::now();
    while began.elapsed() < TIME {
        generation = runtime.block_on(publish_one_more(&store, &place));
    }
    over.store(true, Ordering::Relaxed);
    let reads: u64 = ducks.into_iter().map(|duck| duck.join().expect("a DuckDB reader met an error")).sum();
    say(format!(
        "{READERS} DuckDB: {reads} whole snapshots read, no error (limit 0), of {generation} published in {TIME:?}"
    ));
    let mut read = 0;
    for snake in snakes {
        let output = snake.wait_with_output().expect("it ends");
        assert!(output.status.success(), "a pyarrow reader met an error");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        read += said.split(' ').next().and_then(|reads| reads.parse::<u64>().ok()).expect("a number");
    }
    if read > 0 {
        say(format!("{READERS} pyarrow: {read} whole snapshots read, no error (limit 0)"));
    }
}

/// Each generation has one pin more.
async fn publish_one_more(store: &Store, place: &Place) -> u64 {
    let generation = store.state().borrow().generation;
    let digest = digest(generation);
    let cid = Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes"));
    let pin = ApplyAdded { cid, pin_type: PinType::Recursive, name: Some("a name".to_owned()) };
    let added = store.write(|connection, state| apply::added(connection, state, pin)).await.expect("added");
    let order = Order { place: place.clone(), generation: added.0, as_of: None, complete: true, arrow: Some(added.0) };
    publish::publish(store, order, Arc::new(Mutex::new(())).lock_owned().await).await.expect("published");
    publish::retire(place, Timestamp::now(), 2, Duration::from_secs(20), None).expect("tidy");
    added.0
}

fn digest(n: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    digest[8..16].copy_from_slice(&n.to_be_bytes());
    digest
}

fn duck(place: &Place, over: &AtomicBool) -> u64 {
    let connection = duckdb::Connection::open_in_memory().expect("in memory");
    let mut reads = 0;
    while !over.load(Ordering::Relaxed) {
        let manifest = place.newest().expect("readable").expect("there is one always");
        for file in manifest.files.iter().filter(|file| file.name.ends_with(".parquet")) {
            let path = place.dir().join(&manifest.name).join(&file.name).display().to_string();
            let count = |sql: &str| {
                connection.query_row(&sql.replace('?', &format!("'{path}'")), [], |row| row.get::<_, i64>(0))
            };
            let rows = count("SELECT count(*) FROM (SELECT DISTINCT * FROM read_parquet(?))").expect("rows");
            assert_eq!(rows.cast_unsigned(), file.rows);
            let serial = count(
                "SELECT decode(value)::BIGINT FROM parquet_kv_metadata(?) WHERE decode(key) = 'ipfs_kitd.serial'",
            );
            assert_eq!(serial.expect("a serial").cast_unsigned(), manifest.serial);
        }
        assert_eq!(manifest.rows("pins.parquet"), Some(manifest.generation));
        reads += 1;
    }
    reads
}
