//! What a snapshot costs: of a million and of ten million synthetic pins, against writing and syncing as many bytes; and the
//! memory that it takes beside what the process had before.
//!
//! The limits are those of this file; nothing fails here, the figures are for reading.

mod memory;

use ipfs_kitd::index::store::Store;
use ipfs_kitd::snapshot::legacy;
use ipfs_kitd::snapshot::place::Place;
use ipfs_kitd::snapshot::publish::{self, Order};
use memory::{peak, rest};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Times the bare writing and syncing.
const RATIO: f64 = 15.0;
/// Bytes of memory beside what the process had.
const MEMORY: u64 = 400 << 20;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (pins, arrow) in [(1_000_000, true), (10_000_000, false), (10_000_000, true)] {
        // Beside the build, on a real disk; /tmp may be memory.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temp dir");
        runtime.block_on(measure(dir.path(), pins, arrow));
    }
}

async fn measure(dir: &Path, pins: u64, arrow: bool) {
    let store = Store::open(&dir.join("index"), &dir.join("journal"), &dir.join("snapshots")).expect("an index");
    let rows = format!(
        "INSERT INTO pins SELECT i, '\\x01\\x55\\x12\\x20'::BLOB || unhex(sha256(i::VARCHAR)), i % 50 = 0,
           CASE WHEN i % 3 = 0 THEN 'name ' || i END, TIMESTAMP '2026-01-01' + to_seconds(i // 10), 85, 1,
           CASE WHEN i % 10 > 0 THEN hash(i) % 100000000 END, CASE WHEN i % 10 > 0 THEN 2 ELSE 0 END, NULL
         FROM range({pins}) r(i)"
    );
    store.write(move |connection, _| Ok(connection.execute_batch(&rows)?)).await.expect("rows");
    store.write(|connection, _| Ok(connection.execute_batch("CHECKPOINT")?)).await.expect("written");
    let place = Place::open(&dir.join("snapshots")).expect("a directory");
    let (before, began) = (rest(), Instant::now());
    let order =
        Order { place: place.clone(), generation: 1, as_of: None, complete: true, arrow: arrow.then_some(pins) };
    let turn = Arc::new(Mutex::new(())).lock_owned().await;
    let manifest = publish::publish(&store, order, turn).await.expect("published");
    let took = began.elapsed();
    let memory = peak().saturating_sub(before);
    let bare = write_and_sync(&dir.join("bare"), manifest.bytes());
    let again = Instant::now();
    legacy::renew(dir, &place.dir().join(&manifest.name), &manifest).expect("renewed");
    let old_form = again.elapsed();
    let verifying = Instant::now();
    assert!(place.choose().is_ok_and(|(_, chosen, passed_over)| chosen == manifest && passed_over.is_empty()));
    let lines = format!(
        "snapshot {pins:>8} pins{}  {:6.2} s for {:4} MB; write and sync alone {:5.2} s, ratio {:5.2} (limit {RATIO})\n\
         {:24} memory {:4} MB more (limit {} MB), the form of before {:.2} s, verify {:.2} s\n",
        if arrow { " and pins.arrow" } else { "               " },
        took.as_secs_f64(),
        manifest.bytes() / 1_000_000,
        bare.as_secs_f64(),
        took.as_secs_f64() / bare.as_secs_f64(),
        "",
        memory / 1_000_000,
        MEMORY / 1_000_000,
        old_form.as_secs_f64(),
        verifying.elapsed().as_secs_f64(),
    );
    std::io::stdout().write_all(lines.as_bytes()).expect("written");
    store.close(Duration::from_secs(60)).await;
}

/// As many bytes that no disk can make shorter.
fn write_and_sync(path: &Path, bytes: u64) -> Duration {
    let block: Vec<u8> = std::iter::repeat_with(rand::random).take(1 << 20).collect();
    let began = Instant::now();
    let mut file = File::create(path).expect("made");
    let mut left = bytes as usize;
    while left > 0 {
        let some = left.min(block.len());
        file.write_all(&block[..some]).expect("written");
        left -= some;
    }
    file.sync_all().expect("synced");
    began.elapsed()
}
