//! A million pins out of `ipfs-kitctl pin ls` as whole processes, beside DuckDB in Python on the same snapshot; and one pin out of ten million by
//! the descriptor of `pins.arrow`, against one out of a thousand.
//!
//! DuckDB is looked for in the Python that `IPFS_KITD_PYTHON` names, else `python3`. `IPFS_KITD_BENCH_ROWS` asks for another number than
//! the ten million.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;

use ipfs_kitd::cid::Cid;
use ipfs_kitd::index::apply::{self, ListingChanges};
use ipfs_kitd::index::set::Pinned;
use ipfs_kitd::index::store::Store;
use ipfs_kitd::snapshot::place::Place;
use ipfs_kitd::snapshot::publish::{self, Order};
use jiff::Timestamp;
use kit::Kit;
use proto_msgs::pin::PinType;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::Mutex;

const ROUNDS: usize = 5;
const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
const ARROW: Duration = Duration::from_secs(1);
const NDJSON: Duration = Duration::from_millis(2500);
/// Times what a thousand pins take.
const FIND: f64 = 1.5;
const FINDS: usize = 51;

fn main() {
    let most = std::env::var("IPFS_KITD_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(10_000_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let served = |rows| runtime.block_on(serve(rows));
    {
        let (kit, dir) = served(MANY);
        for (format, limit) in [("arrow", Some(ARROW)), ("ndjson", Some(NDJSON)), ("parquet", None), ("cid", None)] {
            let ls = || kit.ctl_command(&["pin", "ls", "-o", format]);
            say(&format!("pin ls of {MANY} -o {format}"), median(ROUNDS, ls), limit);
        }
        let python = std::env::var("IPFS_KITD_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = "import duckdb, sys; duckdb.connect().execute(f\"COPY (FROM '{sys.argv[1]}') TO '/dev/null' (FORMAT json)\")";
        let duck = || {
            let mut command = Command::new(&python);
            command.args(["-c", script]).arg(newest(dir.path()).join("pins.parquet")).stderr(Stdio::null());
            command
        };
        match duck().status() {
            Ok(status) if status.success() => say("the same by DuckDB in Python, to JSON", median(ROUNDS, duck), None),
            _ => line("DuckDB in Python", &format!("SKIPPED, {python} has none")),
        }
    }
    let nothing = median(FINDS, || Command::new("/bin/true"));
    let found: Vec<Duration> = [FEW, most]
        .into_iter()
        .map(|rows| {
            let (kit, _dir) = served(rows);
            let key: String = digest(rows / 2).iter().map(|byte| format!("{byte:02x}")).collect();
            let program = Path::new(env!("CARGO_BIN_EXE_ipfs-kitd")).with_file_name("examples/find_pin");
            let took = median(FINDS, || {
                let mut find = Command::new(&program);
                find.arg(kit.socket()).arg(&key);
                find
            });
            took.saturating_sub(nothing)
        })
        .collect();
    let ratio = found[1].as_secs_f64() / found[0].as_secs_f64();
    let figure = format!(
        "{:?} and {:?} of {FEW}, ratio {ratio:.2}  (limit {FIND}; less /bin/true, {nothing:?})",
        found[1], found[0]
    );
    line(&format!("a pin of {most} by snapshot fd"), &figure);
}

fn line(what: &str, figure: &str) {
    writeln!(std::io::stdout(), "{what:40}  {figure}").expect("written");
}

fn say(what: &str, took: Duration, limit: Option<Duration>) {
    let limit = limit.map(|limit| format!("  (limit {} s)", limit.as_secs_f64())).unwrap_or_default();
    line(what, &format!("{:7.3} s{limit}", took.as_secs_f64()));
}

fn median(rounds: usize, command: impl Fn() -> Command) -> Duration {
    let run = |_| {
        let mut command = command();
        let began = Instant::now();
        assert!(command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it runs").success());
        began.elapsed()
    };
    let mut times: Vec<Duration> = (0..rounds).map(run).collect();
    times.sort();
    times[rounds / 2]
}

fn digest(n: u64) -> [u8; 32] {
    let mut digest = [0; 32];
    // Spread over all keys, so that rising numbers are not rising keys.
    digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    digest[8..16].copy_from_slice(&n.to_be_bytes());
    digest
}

fn pinned(n: u64) -> Pinned {
    let cid = Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x12, &digest(n)).expect("32 bytes"));
    let name = n.is_multiple_of(3).then(|| format!("name {n}"));
    Pinned::new(cid, PinType::Recursive, name.as_deref())
}

fn newest(data: &Path) -> PathBuf {
    let place = Place::at(&data.join("snapshots"));
    place.path(place.names().expect("readable")[0])
}

/// A daemon without a Kubo over an index of so many pins, with one snapshot.
async fn serve(rows: u64) -> (Kit, TempDir) {
    // Beside the build, on a real disk; /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temp dir");
    let at = dir.path();
    let store = Store::open(&at.join("index"), &at.join("journal"), &at.join("snapshots")).expect("an index");
    let (token, _) = store.write(|_, state| Ok(apply::begin_listing(state))).await.expect("begun");
    let mut added: Vec<Pinned> = (0..rows).map(pinned).collect();
    added.sort_unstable_by_key(Pinned::key);
    let (as_of, peer_id) = (Timestamp::now(), "12D3KooWNode".to_owned());
    let changes = ListingChanges { token, as_of, peer_id, added, changed: vec![], removed: vec![], whole: true };
    store.write(move |connection, state| apply::listing(connection, state, changes)).await.expect("applied");
    let place = Place::open(&at.join("snapshots")).expect("a directory");
    let order = Order { place, generation: 1, as_of: None, complete: true, arrow: Some(rows) };
    publish::publish(&store, order, Arc::new(Mutex::new(())).lock_owned().await).await.expect("published");
    store.close(Duration::from_secs(60)).await;
    let mut kit = Kit::fake();
    std::os::unix::fs::symlink(at, kit.path("data")).expect("linked");
    // A look at ten million pins takes both processors for some seconds, and is no part of handing a file over.
    kit.env("IPFS_KITD_SNAPSHOT_ENABLED", "false").env("IPFS_KITD_ANALYTICS_INTERVAL", "0s");
    kit.with_kubo(Path::new("/no/kubo")).start();
    (kit, dir)
}
