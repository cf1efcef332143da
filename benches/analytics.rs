//! A cycle of analytics over a million pins, all of them read, and ten million accesses: counting them, a look at all pins, what is
//! saved and loaded, the lists, and the memory of it all. Each figure beside its limit; a figure over it is for reading.
//!
//! A cycle counts what is new since the last one, and all ten million after a start without its file alone. They are made here and
//! not read out of the index, so what that costs is in none of these figures.
//!
//! `IPFS_KITD_BENCH_ROWS` asks for another number of pins.

mod memory;
mod rows;

use ipfs_kitd::analytics::checkpoint::{load, save};
use ipfs_kitd::analytics::forecast::{HORIZONS, Memory, Moment};
use ipfs_kitd::analytics::look::{Look, Mind, View, seconds};
use ipfs_kitd::analytics::score::OUTCOMES;
use ipfs_kitd::analytics::trials::{Chosen, GRACE, count};
use ipfs_kitd::cid::Key;
use ipfs_kitd::index::access::Counted;
use ipfs_kitd::index::apply::{self, ListingChanges};
use ipfs_kitd::index::held;
use ipfs_kitd::index::set::Pinned;
use ipfs_kitd::index::store::Store;
use jiff::Timestamp;
use memory::{peak, rest};
use proto_msgs::access::AccessSource;
use proto_msgs::analytics::Rows;
use proto_msgs::pin::PinType;
use rows::{nth, say, say_time};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Accesses of each pin.
const ACCESSES: u64 = 10;
const PAGE: u64 = 50_000;
const CYCLE: Duration = Duration::from_secs(10);
const LIST: Duration = Duration::from_secs(1);
const MEMORY: u64 = 1_000_000_000;
const DAY: f64 = 86_400.0;

/// A list of so many rows.
type List = fn(&Look, &Rows) -> usize;

fn main() {
    let pins = std::env::var("IPFS_KITD_BENCH_ROWS").ok().and_then(|pins| pins.parse().ok()).unwrap_or(1_000_000);
    // Beside the build, on a real disk; /tmp may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temp dir");
    tokio::runtime::Runtime::new().expect("a runtime").block_on(cycle(dir.path(), pins));
}

/// Within the last month, and for most pins at no two of the same times.
fn access(seq: u64, pins: u64, now: f64) -> Counted {
    let n = seq.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 20;
    let at = now - 30.0 * DAY * (1.0 - seq as f64 / (ACCESSES * pins) as f64);
    let path = seq.is_multiple_of(2).then(|| format!("frames/{seq:08}.png"));
    Counted { seq, at, pin: Key::of(&nth(n % pins)), path, offset: None, source: AccessSource::Gateway }
}

async fn cycle(dir: &Path, pins: u64) {
    let store = fill(dir, pins).await;
    let before = rest();
    let now = seconds(Timestamp::now());
    let mut mind = Mind::new(7.0 * DAY);
    let (mut counting, mut from) = (Duration::ZERO, 1);
    while from <= ACCESSES * pins {
        let to = (from + PAGE).min(ACCESSES * pins + 1);
        let page: Vec<Counted> = (from..to).map(|seq| access(seq, pins, now)).collect();
        let began = Instant::now();
        count(&mut mind.models, &mut mind.trials, &page, to - 1, now);
        counting += began.elapsed();
        from = to;
    }
    let each = counting.as_nanos() as u64 / (ACCESSES * pins);
    let read = mind.models.len();
    say("counting", &format!("{each:9} ns an access, without reading them from the index; {read} pins were read"));
    learn(&mut mind, now);
    let (mut looks, mut looking) = (Vec::new(), Duration::ZERO);
    for round in 0..3 {
        let began = Instant::now();
        let held = Arc::new(store.read(held::all).await.expect("read"));
        let read = began.elapsed();
        let (set, generation) = {
            let state = store.state();
            let state = state.borrow();
            (state.set.clone(), state.generation)
        };
        let watched = Some(now - 30.0 * DAY);
        let view = View { held, set: &set, generation, restored: 0, watched, at: Timestamp::now() };
        looks.push(mind.look(&view, &mut rand::random::<f64>));
        looking = began.elapsed();
        let what = format!("look {}, {:.3} s of it reading pins", round + 1, read.as_secs_f64());
        say_time(&what, looking, CYCLE);
        if looks.len() > 2 {
            looks.remove(0);
        }
    }
    let path = dir.join("models");
    let began = Instant::now();
    let bytes = save(&path, &mind, None, now).expect("saved");
    let saving = began.elapsed();
    say("saving", &format!("{:9.3} s, {} MB", saving.as_secs_f64(), bytes / 1_000_000));
    say_time("counting all of them, a look, and saving", counting + looking + saving, CYCLE);
    let memory = peak() - before.min(peak());
    say(
        "memory at the peak",
        &format!(
            "{:9} MB, {} MB of it the store's before  (limit {} MB)",
            peak() / 1_000_000,
            before / 1_000_000,
            MEMORY / 1_000_000
        ),
    );
    say("  of it for analytics", &format!("{:9} MB", memory / 1_000_000));
    let look = looks.pop().expect("a look");
    let rows = Rows { limit: Some(100), offset: 0 };
    for (what, list) in [
        ("hot", (|look, rows| look.hot(rows).rows.len()) as List),
        ("cold", |look, rows| look.cold(rows).rows.len()),
        ("predict", |look, rows| look.likeliest(rows).rows.len()),
        ("patterns", |look, rows| look.by_pattern(None, rows).rows.len()),
        ("unpin-first", |look, _| look.unpin_first().pins.len()),
    ] {
        let began = Instant::now();
        let shown = list(&look, &rows);
        say_time(&format!("{what}, {shown} rows"), began.elapsed(), LIST);
    }
    let began = Instant::now();
    let seen = (0..pins).filter(|n| look.brief(1 + n.wrapping_mul(0x9e37_79b9) % pins).is_some()).count();
    let each = began.elapsed().as_nanos() as u64 / pins;
    say("figures of a row", &format!("{each:9} ns, of {seen} pins in no order  (limit 2000 ns)"));
    drop(mind);
    let began = Instant::now();
    let saved = load(&path, None, 7.0 * DAY).expect("loaded");
    say("loading", &format!("{:9.3} s, {} pins", began.elapsed().as_secs_f64(), saved.mind.models.len()));
    store.close(Duration::from_secs(60)).await;
}

/// As after some weeks: without enough outcomes of good forecasts none are told, and there is no work with them.
fn learn(mind: &mut Mind, now: f64) {
    let memory = Memory::new(now - 30.0 * DAY);
    for (horizon, length) in HORIZONS.into_iter().enumerate() {
        let at = now - length - 2.0 * GRACE;
        let sample = mind.forecaster.sample(&memory, &Moment::new(at), horizon).expect("watched for long");
        let is_read = |n: u64| n.is_multiple_of(8);
        let chosen = |n: u64| Chosen {
            pin: Key::of(&nth(n)),
            sample: sample.clone(),
            forecast: Some(if is_read(n) { 0.9 } else { 0.02 }),
            weight: 1.0,
            last: None,
            legacy: 0.0,
        };
        mind.trials.begin(horizon, at, (0..OUTCOMES).map(chosen).collect());
        (0..OUTCOMES).filter(|n| is_read(*n)).for_each(|n| mind.trials.seen(&Key::of(&nth(n)), at + 1.0));
        assert_eq!(mind.trials.settle(&mut mind.forecaster, now, |_| true), OUTCOMES);
    }
}

async fn fill(dir: &Path, pins: u64) -> Store {
    let store = Store::open(&dir.join("index"), &dir.join("journal"), &dir.join("snapshots")).expect("an index");
    let mut added: Vec<Pinned> = (0..pins).map(|n| Pinned::new(nth(n), PinType::Recursive, None)).collect();
    added.sort_unstable_by_key(Pinned::key);
    let (token, _) = store.write(|_, state| Ok(apply::begin_listing(state))).await.expect("begun");
    let (as_of, peer_id) = (Timestamp::now(), "12D3KooWNode".to_owned());
    let changes = ListingChanges { token, as_of, peer_id, added, changed: vec![], removed: vec![], whole: true };
    store.write(move |connection, state| apply::listing(connection, state, changes)).await.expect("applied");
    let measured = "UPDATE pins SET size = 1000 * id, size_kind = 2";
    store.write(|connection, _| Ok(connection.execute_batch(measured)?)).await.expect("measured");
    store
}
