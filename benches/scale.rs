//! Ten million synthetic pins: the diff against a bare merge of the same keys, the first and a later apply, totals, `pin info`,
//! opening the file again, and what all of that takes of memory.
//!
//! The limits are those of this file; nothing fails here, the figures are for reading. `IPFS_KITD_BENCH_ROWS` asks for another
//! number of pins.

mod memory;
mod rows;

use ipfs_kitd::cid::{self, Key};
use ipfs_kitd::index::apply::{self, ListingChanges};
use ipfs_kitd::index::query;
use ipfs_kitd::index::set::{Entry, Keyed, PinSet, Pinned, Sums};
use ipfs_kitd::index::store::Store;
use ipfs_kitd::indexer::diff::diff;
use ipfs_kitd::snapshot::arrow::PINS_ARROW;
use ipfs_kitd::snapshot::lookup::{self, PinFile};
use ipfs_kitd::snapshot::place::Place;
use ipfs_kitd::snapshot::publish::{self, Order};
use jiff::Timestamp;
use memory::{peak, rest};
use proto_msgs::pin::PinType;
use rows::{nth, say, say_time};
use std::cmp::Ordering;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const ROUNDS: usize = 5;
const LOOKUPS: usize = 5_000;
/// Pins that a later listing changes, a third each added, renamed and removed.
const CHANGES: u64 = 1_000;
/// Times the bare merge.
const DIFF: f64 = 2.0;
const FIRST_APPLY: Duration = Duration::from_secs(60);
const LATER_APPLY: Duration = Duration::from_secs(2);
const TOTALS: Duration = Duration::from_secs(1);
const INFO: Duration = Duration::from_millis(1);
const OPEN: Duration = Duration::from_secs(5);
const MEMORY: u64 = 2 << 30;

fn main() {
    let pins = std::env::var("IPFS_KITD_BENCH_ROWS").ok().and_then(|pins| pins.parse().ok()).unwrap_or(10_000_000);
    let keyed = Keyed::random();
    compare(pins, &keyed);
    // Beside the build, on a real disk; /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temp dir");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(fill_and_ask(dir.path(), pins));
}

fn pinned(n: u64) -> Pinned {
    let name = n.is_multiple_of(3).then(|| format!("name {n}"));
    Pinned::new(nth(n), PinType::Recursive, name.as_deref())
}

fn listed(pins: std::ops::Range<u64>, pinned: impl Fn(u64) -> Pinned) -> Vec<Pinned> {
    let mut listed: Vec<Pinned> = pins.map(pinned).collect();
    listed.sort_unstable_by_key(Pinned::key);
    listed
}

/// A refresh without names against a set that it equals: the dearest diff, for nothing ends it early.
fn compare(pins: u64, keyed: &Keyed) {
    let mut listing = listed(0..pins, |n| Pinned::new(nth(n), PinType::Recursive, None));
    let entries = |(id, pin): (u64, &Pinned)| Entry::new(pin.key(), pin.pin_type(), id, keyed.name_hash(pin.name()));
    let set = PinSet::from_sorted((0..).zip(&listing).map(entries).collect(), Sums { pins, ..Sums::default() });
    let keys: [Vec<Key>; 2] = std::array::from_fn(|_| listing.iter().map(Pinned::key).collect());
    let (mut merges, mut diffs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        assert_eq!(black_box(merge(black_box(&keys[0]), black_box(&keys[1]))), pins);
        merges.push(began.elapsed());
        let began = Instant::now();
        let found = diff(&set, &mut listing, false, keyed);
        diffs.push(began.elapsed());
        assert_eq!((found.before as u64, found.added.len(), found.missing.len()), (pins, 0, 0));
    }
    merges.sort();
    diffs.sort();
    let (merge, diff) = (merges[ROUNDS / 2].as_secs_f64(), diffs[ROUNDS / 2].as_secs_f64());
    say(
        "diff, and a bare merge of the keys",
        &format!("{diff:9.3} s and {merge:.3} s, ratio {:.2}  (limit {DIFF}, median of {ROUNDS})", diff / merge),
    );
}

/// How many keys two sorted lists have in common.
fn merge(one: &[Key], other: &[Key]) -> u64 {
    let (mut at, mut there, mut common) = (0, 0, 0);
    while at < one.len() && there < other.len() {
        match one[at].cmp(&other[there]) {
            Ordering::Less => at += 1,
            Ordering::Greater => there += 1,
            Ordering::Equal => (at, there, common) = (at + 1, there + 1, common + 1),
        }
    }
    common
}

async fn fill_and_ask(dir: &Path, pins: u64) {
    let store = open(dir);
    let before = rest();
    let first = ListingChanges { added: listed(0..pins, pinned), ..changes(&store).await };
    say_time("first apply", apply(&store, first).await, FIRST_APPLY);
    let third = CHANGES / 3;
    let later = ListingChanges {
        added: listed(pins..pins + third, pinned),
        changed: (0..third).map(|n| Pinned::new(nth(n), PinType::Recursive, Some("another name"))).collect(),
        removed: (third..2 * third).map(|n| Key::of(&nth(n))).collect(),
        ..changes(&store).await
    };
    say_time("a later apply of 1,000 changes", apply(&store, later).await, LATER_APPLY);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let totals = store.read(|connection| query::totals(connection, Timestamp::now())).await.expect("totals");
        times.push(began.elapsed());
        assert_eq!(totals.pins, pins);
    }
    times.sort();
    say_time("totals", times[ROUNDS / 2], TOTALS);
    look_up("pin info by DuckDB, p99", &store, None, pins).await;
    let file = publish(&store, dir, pins).await;
    look_up("pin info by pins.arrow, p99", &store, Some(file), pins).await;
    say(
        "memory at the peak",
        &format!(
            "{:9} MB, {} MB of it before  (limit {} MB)",
            peak() / 1_000_000,
            before / 1_000_000,
            MEMORY / 1_000_000
        ),
    );
    store.close(Duration::from_secs(60)).await;
    let began = Instant::now();
    let store = open(dir);
    say_time("opening it again", began.elapsed(), OPEN);
    store.close(Duration::from_secs(60)).await;
}

fn open(dir: &Path) -> Store {
    Store::open(&dir.join("index"), &dir.join("journal"), &dir.join("snapshots")).expect("an index")
}

/// A listing that changes nothing yet.
async fn changes(store: &Store) -> ListingChanges {
    let (token, _) = store.write(|_, state| Ok(apply::begin_listing(state))).await.expect("begun");
    let (as_of, peer_id) = (Timestamp::now(), "12D3KooWNode".to_owned());
    ListingChanges { token, as_of, peer_id, added: vec![], changed: vec![], removed: vec![], whole: true }
}

async fn apply(store: &Store, changes: ListingChanges) -> Duration {
    let began = Instant::now();
    store.write(move |connection, state| apply::listing(connection, state, changes)).await.expect("applied");
    began.elapsed()
}

async fn publish(store: &Store, dir: &Path, pins: u64) -> Arc<PinFile> {
    let fresh = store.write(apply::begin_copy).await.expect("begun");
    let place = Place::open(&dir.join("snapshots")).expect("a directory");
    let path = place.dir().to_owned();
    let order = Order { place, generation: 2, as_of: None, complete: true, arrow: Some(pins) };
    let turn = Arc::new(Mutex::new(())).lock_owned().await;
    let manifest = publish::publish(store, order, turn).await.expect("published");
    Arc::new(PinFile::open(&path.join(manifest.name).join(PINS_ARROW), fresh).expect("readable"))
}

/// What the server does for `pin info`, but for the socket.
async fn look_up(what: &str, store: &Store, file: Option<Arc<PinFile>>, pins: u64) {
    let mut times = Vec::with_capacity(LOOKUPS);
    for n in 0..LOOKUPS as u64 {
        // From all over the table, and none that was removed or renamed.
        let cid = nth(CHANGES + n.wrapping_mul(0x9e37_79b9) % (pins - CHANGES));
        let text = cid::text(&cid);
        let began = Instant::now();
        let key = Key::of(&cid::parse(&text).expect("a CID"));
        let entries = store.state().borrow().set.block(&key);
        let ids: Vec<u64> = entries.iter().map(Entry::id).collect();
        let found = match lookup::pins(file.clone(), entries).await {
            Some(found) => found,
            None => store.read(move |connection| query::rows(connection, &ids)).await.expect("read"),
        };
        times.push(began.elapsed());
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].cid, text);
    }
    times.sort();
    let at = |share: f64| times[(share * LOOKUPS as f64) as usize].as_secs_f64() * 1e3;
    let figure =
        format!("{:9.3} ms, median {:.3} ms  (limit {} ms, {LOOKUPS} CIDs)", at(0.99), at(0.5), INFO.as_millis());
    say(what, &figure);
}
