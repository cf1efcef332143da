//! Accesses: how many a second are recorded durably through the socket while ten million are there and others read, what it costs to let the
//! oldest go, and what all of that takes of memory.
//!
//! The limits are those of this file; nothing fails here, the figures are for reading. `IPFS_KITD_BENCH_ROWS` asks for another number of
//! accesses that are there.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/kit.rs"]
mod kit;
#[expect(dead_code, reason = "its CIDs are random from end to end, as real ones are to a file")]
mod rows;

use ipfs_kitd::cid::{self, Cid};
use ipfs_kitd::index::access::keep::keep;
use ipfs_kitd::index::access::read::{self, Wanted};
use ipfs_kitd::index::access::{AskCounted, AskFigures, KeepAccesses, Seen, Told};
use ipfs_kitd::index::apply::{self, ListingChanges};
use ipfs_kitd::index::set::Pinned;
use ipfs_kitd::index::store::Store;
use jiff::{SignedDuration, Timestamp};
use kit::Kit;
use proto_msgs::Client;
use proto_msgs::access::{AccessLog, AccessRecord, AccessSeen, AccessSource};
use proto_msgs::daemon::Status;
use proto_msgs::pin::PinType;
use rows::{say, say_time};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Pins that accesses are to; one in ten of them is read, and one access in twenty is to no pin.
const PINS: u64 = 1_000_000;
/// Accesses in one transaction while the store is filled.
const GROUP: u64 = 20_000;
/// Who records over the socket, and for how long.
const TELLERS: usize = 4;
const LAST: Duration = Duration::from_secs(20);
const RATE: f64 = 50_000.0;
const PRUNE: Duration = Duration::from_secs(2);
const STATUS: Duration = Duration::from_millis(50);
const READ: Duration = Duration::from_secs(1);
const MEMORY: u64 = 1 << 30;

fn main() {
    let rows = std::env::var("IPFS_KITD_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(10_000_000);
    let mut kit = Kit::fake();
    // Nothing lists, counts or publishes meanwhile; so many are kept, and whatever is above that goes.
    kit.script(&serde_json::json!({"never_ready": true}));
    kit.at_rest().env("IPFS_KITD_ANALYTICS_INTERVAL", "0s").env("IPFS_KITD_ANALYTICS_KEEP", &rows.to_string());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(fill(&kit.path("data"), rows));
    kit.start();
    over_the_socket(&kit, rows);
    assert!(kit.stop().success());
}

fn nth(n: u64) -> Cid {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    digest[8..16].copy_from_slice(&n.wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes());
    digest[16..24].copy_from_slice(&n.wrapping_mul(0x94d0_49bb_1331_11eb).to_be_bytes());
    digest[24..].copy_from_slice(&n.wrapping_mul(0xd6e8_feb8_6659_fd93).to_be_bytes());
    Cid::new_v1(0x55, ::cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes"))
}

/// What the n-th access is to: a few are read often.
fn read_of(n: u64) -> u64 {
    let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    match random % 20 {
        0 => PINS + random % PINS,
        1..=9 => random / 20 % (PINS / 1000) * 1000,
        _ => random / 20 % (PINS / 10) * 10,
    }
}

async fn fill(data: &Path, rows: u64) {
    // As the daemon makes them.
    for dir in [data.to_owned(), data.join("index")] {
        std::fs::create_dir_all(&dir).expect("made");
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("private");
    }
    let open = || Store::open(&data.join("index"), &data.join("journal"), &data.join("snapshots")).expect("an index");
    let store = open();
    let mut added: Vec<_> = (0..PINS).map(|n| Pinned::new(nth(n), PinType::Recursive, None)).collect();
    added.sort_unstable_by_key(Pinned::key);
    let (token, _) = store.write(|_, state| Ok(apply::begin_listing(state))).await.expect("begun");
    let (as_of, peer_id) = (Timestamp::now(), "12D3KooWNode".to_owned());
    let listing = ListingChanges { token, as_of, peer_id, added, changed: vec![], removed: vec![], whole: true };
    store.write(move |connection, state| apply::listing(connection, state, listing)).await.expect("applied");

    let began = Instant::now();
    for first in (0..rows).step_by(usize::try_from(GROUP).expect("small")) {
        let ask = group(first, rows, rows, 0);
        store.write(move |connection, state| keep(connection, state, &ask)).await.expect("kept");
    }
    let rate = rows as f64 / began.elapsed().as_secs_f64();
    say("kept by the store alone, groups of 20,000", &format!("{rate:9.0} a second"));
    // One transaction more than a twentieth above has the oldest go.
    let mut slowest = Duration::ZERO;
    for first in (rows..rows + rows / 20 + 2 * GROUP).step_by(usize::try_from(GROUP).expect("small")) {
        let ask = group(first, rows, rows, u64::MAX);
        let began = Instant::now();
        store.write(move |connection, state| keep(connection, state, &ask)).await.expect("kept");
        slowest = slowest.max(began.elapsed());
    }
    say_time("the slowest of them, when the oldest go", slowest, PRUNE);
    let timed = async |what: &str, limit, read: fn(&Store) -> futures_util::future::BoxFuture<'_, ()>| {
        let began = Instant::now();
        read(&store).await;
        say_time(what, began.elapsed(), limit);
    };
    timed("figures by source, hour and day", READ, |store| {
        Box::pin(async { drop(store.read(|c| read::figures(c, AskFigures(Timestamp::now()))).await.expect("read")) })
    })
    .await;
    timed("the newest 100", READ, |store| {
        Box::pin(async {
            drop(store.read(|c| read::page(c, &Wanted::default(), None, 100, 0, false)).await.expect("read"))
        })
    })
    .await;
    timed("the newest 100 of a pin, and how many there are", READ, |store| {
        let wanted = Wanted { cid: Some(nth(1000)), ..Wanted::default() };
        Box::pin(async {
            let count = wanted.clone();
            store.read(move |c| read::count(c, &count)).await.expect("read");
            store.read(move |c| read::page(c, &wanted, None, 100, 0, false)).await.expect("read");
        })
    })
    .await;
    let (began, mut after, mut counted) = (Instant::now(), 0, 0);
    loop {
        let page = store.read(move |c| read::counted(c, AskCounted { after, most: 100_000 })).await.expect("read");
        if page.rows.is_empty() {
            break;
        }
        (after, counted) = (page.through, counted + page.rows.len());
    }
    say(
        "read to be counted, from the beginning",
        &format!("{:9.3} s, {counted} accesses", began.elapsed().as_secs_f64()),
    );
    store.close(Duration::from_secs(60)).await;
    let bytes = std::fs::metadata(data.join("index/pins.duckdb")).expect("there").len();
    say("bytes of the index, with 1,000,000 pins", &format!("{:9} MB", bytes / 1_000_000));
    let began = Instant::now();
    open().close(Duration::from_secs(60)).await;
    say("opened and closed again", &format!("{:9.3} s", began.elapsed().as_secs_f64()));
}

fn group(first: u64, rows: u64, most: u64, counted: u64) -> KeepAccesses {
    let now = Timestamp::now();
    let seen = (first..first + GROUP).map(|n| Seen {
        // Over some weeks, to the present.
        at: now - SignedDuration::from_secs((rows.saturating_sub(n) / 4).cast_signed()),
        cid: nth(read_of(n)),
        path: n.is_multiple_of(4).then(|| format!("part {}", n % 1000)),
        op: Some("cat".into()),
        bytes: Some(n % (1 << 20)),
        offset: None,
        source: AccessSource::Record,
        by: Some("bench".into()),
    });
    KeepAccesses { told: vec![Told { seen: seen.collect(), once: None }], most, counted }
}

fn over_the_socket(kit: &Kit, rows: u64) {
    let (over, recorded, next) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(2 * rows));
    let mut statuses = Vec::new();
    let mut logs = Vec::new();
    let mut slowest = Duration::ZERO;
    let mut took = Duration::ZERO;
    std::thread::scope(|scope| {
        let began = Instant::now();
        let tellers: Vec<_> = (0..TELLERS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, mut slowest) = (kit.client(), Duration::ZERO);
                    while !over.load(Ordering::Relaxed) {
                        let first = next.fetch_add(AccessRecord::MAX as u64, Ordering::Relaxed);
                        let verb = call(first);
                        let began = Instant::now();
                        let told = client.call(verb).expect("recorded");
                        slowest = slowest.max(began.elapsed());
                        recorded.fetch_add(told.taken, Ordering::Relaxed);
                    }
                    slowest
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let (mut client, mut times) = (kit.client(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                times.push(timed(&mut client, AccessLog { limit: Some(20), ..AccessLog::default() }));
                std::thread::sleep(Duration::from_millis(200));
            }
            times
        });
        let mut client = kit.client();
        while began.elapsed() < LAST {
            statuses.push(timed(&mut client, Status {}));
            std::thread::sleep(Duration::from_millis(5));
        }
        took = began.elapsed();
        let rate = recorded.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
        say("recorded durably over the socket, calls of 5,000", &format!("{rate:9.0} a second  (limit {RATE})"));
        over.store(true, Ordering::Relaxed);
        slowest = tellers.into_iter().map(|teller| teller.join().expect("it ends")).max().unwrap_or_default();
        logs = reader.join().expect("it ends");
    });
    say("the slowest of these calls", &format!("{:9.3} s", slowest.as_secs_f64()));
    say_time("status meanwhile, p99", p99(&mut statuses), STATUS);
    say_time("access log --limit 20 meanwhile, p99", p99(&mut logs), READ);
    let status = std::fs::read_to_string(format!("/proc/{}/status", kit.pid())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024;
    say("memory of the daemon at the peak", &format!("{:9} MB  (limit {} MB)", peak / 1_000_000, MEMORY / 1_000_000));
    let total = kit.client().call(AccessLog { limit: Some(1), ..AccessLog::default() }).expect("listed").total;
    say("accesses that are kept at the end", &format!("{total:9}  (wanted {rows}, and a twentieth more at most)"));
}

fn call(first: u64) -> AccessRecord {
    let accesses = (first..first + AccessRecord::MAX as u64).map(|n| AccessSeen {
        cid: cid::text(&nth(read_of(n))),
        bytes: Some(n % (1 << 20)),
        op: Some("cat".to_owned()),
        by: Some("bench".to_owned()),
        ..AccessSeen::default()
    });
    AccessRecord { accesses: accesses.collect(), durable: true, batch: Some(format!("bench {first}")) }
}

fn timed<V: proto_msgs::verb::Verb>(client: &mut Client, verb: V) -> Duration {
    let began = Instant::now();
    client.call_with(verb, None, |_| Ok(())).expect("an answer");
    began.elapsed()
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
}
