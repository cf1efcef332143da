//! What analytics make of accesses, through the daemon and over its restarts.

use crate::kit::{Kit, eventually, identity_cid, ipfs};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use proto_msgs::FaultKind;
use proto_msgs::access::{AccessRecord, AccessSeen};
use proto_msgs::analytics::{
    AnalyticsCold, AnalyticsDisk, AnalyticsHot, AnalyticsPatterns, AnalyticsPredict, AnalyticsScore, AnalyticsSummary,
    AnalyticsTiers, AnalyticsUnpinFirst, HeatPage, PinHeat, Rows, UnpinPage, Used,
};
use proto_msgs::daemon::{IndexRefresh, Metrics};
use proto_msgs::pin::{Pin, PinAdd, PinInfo, PinRm};
use proto_msgs::vfs::VfsInfo;
use std::cell::RefCell;

/// A daemon with a fake Kubo that looks as often as may be; only what is recorded is an access.
fn quick() -> Kit {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_ANALYTICS_INTERVAL", "100ms").env("IPFS_KITD_ANALYTICS_KUBO", "false");
    kit.env("IPFS_KITD_ANALYTICS_MFS", "false");
    kit
}

fn pinned(kit: &Kit, names: &[&str]) {
    for name in names {
        kit.call(PinAdd { cid: identity_cid(name), name: Some((*name).to_owned()), direct: false });
    }
}

/// So many hours ago.
fn ago(hours: f64) -> Option<String> {
    let passed = SignedDuration::from_secs_f64(hours * 3_600.0);
    Some((Timestamp::now() - passed).to_string())
}

/// Accesses of a pin, one for each of these times in hours ago.
fn read(kit: &Kit, name: &str, hours: impl IntoIterator<Item = f64>) {
    let seen = |hours| AccessSeen { cid: identity_cid(name), at: ago(hours), ..AccessSeen::default() };
    let accesses: Vec<_> = hours.into_iter().map(seen).collect();
    let count = accesses.len() as u64;
    assert_eq!(kit.call(AccessRecord { accesses, durable: true, batch: None }).taken, count);
}

/// Waits until the hottest pins are so.
fn hot(kit: &Kit, so: impl Fn(&HeatPage) -> bool) -> HeatPage {
    let found = RefCell::new(kit.call(AnalyticsHot::default()));
    let come = || {
        found.replace(kit.call(AnalyticsHot::default()));
        so(&found.borrow())
    };
    eventually(come, || format!("{:?}\n{}", found.borrow(), kit.log()));
    found.into_inner()
}

fn accesses(page: &HeatPage) -> u64 {
    page.pins.iter().map(|pin| pin.accesses).sum()
}

fn names(pins: &[PinHeat]) -> Vec<&str> {
    pins.iter().map(|pin| pin.name.as_deref().unwrap_or_default()).collect()
}

fn info(kit: &Kit, name: &str) -> Pin {
    kit.call(PinInfo { cid: identity_cid(name) }).pins.remove(0)
}

#[test]
fn pins_have_figures_as_soon_as_a_source_has_seen_any_and_none_before() {
    let mut kit = quick();
    kit.start_whole();
    pinned(&kit, &["never", "seldom", "often"]);
    eventually(|| kit.call(AnalyticsSummary {}).pins == 3, || kit.log());
    let summary = kit.call(AnalyticsSummary {});
    assert!(summary.as_of.is_some() && summary.half_life_s == 604_800.0);
    assert_eq!((summary.watched, summary.read, summary.accesses), (0, 0, 0));
    assert_eq!(kit.call(AnalyticsHot::default()).total, 0);
    let unpin = kit.call(AnalyticsUnpinFirst { free: 1 });
    assert_eq!((unpin.unwatched, unpin.pins.len(), unpin.enough), (3, 0, false));
    let pin = info(&kit, "often");
    assert_eq!((pin.access_count, pin.hotness, pin.pattern), (None, None, None));

    read(&kit, "often", (0..40).rev().map(f64::from));
    read(&kit, "seldom", [50.0]);
    let page = hot(&kit, |page| accesses(page) == 41);
    assert_eq!((names(&page.pins), page.total), (vec!["often", "seldom", "never"], 3));
    assert!(page.pins[0].hotness > 10.0 * page.pins[1].hotness && page.pins[2].hotness == 0.0, "{page:?}");
    assert_eq!((page.pins[0].pattern.as_str(), page.pins[1].pattern.as_str()), ("periodic", "single"));
    let cold = kit.call(AnalyticsCold(Rows { limit: Some(1), offset: 0 }));
    assert_eq!((names(&cold.pins), cold.total), (vec!["never"], 3));
    let patterns = kit.call(AnalyticsPatterns { pattern: Some("periodic".to_owned()), rows: Rows::default() });
    assert_eq!((patterns.total, patterns.pins[0].accesses), (1, 40));
    assert!(patterns.pins[0].burstiness < Some(-0.9) && patterns.pins[0].gap_s > Some(3_000.0), "{patterns:?}");
    let pin = info(&kit, "often");
    assert_eq!((pin.access_count, pin.pattern.as_deref()), (Some(40), Some("periodic")));
    assert_eq!(pin.last_access, page.pins[0].last_access);
    assert_eq!((info(&kit, "never").access_count, info(&kit, "never").hotness), (Some(0), Some(0.0)));
    let listed = kit.ctl(&["pin", "ls", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    let counts: Vec<_> = listed["pins"].as_array().expect("pins").iter().map(|pin| &pin["access_count"]).collect();
    assert!(counts.iter().any(|count| **count == 40) && counts.iter().all(|count| count.is_u64()), "{counts:?}");
    let summary = kit.call(AnalyticsSummary {});
    assert_eq!((summary.watched, summary.read, summary.accesses), (3, 2, 41));
    assert!(summary.by_hour.iter().map(|hour| hour.accesses).sum::<u64>() >= 41, "{summary:?}");
}

#[test]
fn before_there_is_anything_to_say_answers_are_empty_and_say_why() {
    let mut kit = Kit::fake();
    kit.env("IPFS_KITD_ANALYTICS_INTERVAL", "0s");
    kit.start_whole();
    pinned(&kit, &["one"]);
    assert_eq!(kit.call(AnalyticsHot::default()).as_of, None);
    assert_eq!(kit.call(AnalyticsPatterns::default()).pins, []);
    let predict = kit.call(AnalyticsPredict::default());
    assert_eq!((predict.as_of, predict.total, predict.forecasts.len()), (None, 0, 3));
    let score = kit.call(AnalyticsScore {});
    assert!(score.horizons.iter().all(|of| of.used == Used::Nothing && of.forecasts == 0 && of.brier.is_none()));
    assert!(kit.call(AnalyticsTiers::default()).without.is_some());
    assert!(kit.call(AnalyticsDisk {}).without.is_some());
    let summary = kit.call(AnalyticsSummary {});
    assert_eq!((summary.as_of, summary.pins, summary.watched), (None, 1, 0));
    let unknown = kit.fault(AnalyticsPredict { cid: Some(identity_cid("two")), rows: Rows::default() });
    assert_eq!(unknown.kind, FaultKind::NotFound);
    let wrong = kit.fault(AnalyticsPatterns { pattern: Some("odd".to_owned()), rows: Rows::default() });
    assert!(wrong.kind == FaultKind::Invalid && wrong.hint.is_some_and(|hint| hint.contains("bursty")));
    assert_eq!(
        kit.fault(AnalyticsPredict { cid: Some("x".to_owned()), rows: Rows::default() }).kind,
        FaultKind::Invalid
    );
}

#[test]
fn the_half_life_that_is_told_is_that_of_the_figures() {
    let mut kit = Kit::fake();
    let file = kit.path("config.toml");
    std::fs::write(&file, "[analytics]\ninterval = \"100ms\"\n").expect("written");
    kit.arg("--config").arg(&file.display().to_string()).start_whole();
    eventually(|| kit.call(AnalyticsSummary {}).as_of.is_some(), || kit.log());
    // No other look comes.
    std::fs::write(&file, "[analytics]\ninterval = \"0s\"\nhalf_life = \"1h\"\n").expect("written");
    kit.signal(Signal::SIGHUP);
    kit.ready_again();
    assert_eq!(kit.call(AnalyticsSummary {}).half_life_s, 604_800.0);
}

/// What does not change with time.
fn counted(page: &HeatPage) -> Vec<(String, u64, Option<String>, String)> {
    let of = |pin: &PinHeat| (pin.cid.clone(), pin.accesses, pin.last_access.clone(), pin.pattern.clone());
    page.pins.iter().map(of).collect()
}

#[test]
fn over_kills_and_lost_files_each_access_counts_once() {
    let mut kit = quick();
    kit.start_whole();
    let pins = ["a", "b", "c", "d"];
    pinned(&kit, &pins);
    let file = kit.path("data/analytics/models");
    let mut total = 0;
    for round in 0..3u32 {
        for (n, name) in pins.iter().enumerate() {
            let times: Vec<f64> = (0..=n as u32 * 7 + round).map(|hour| f64::from(hour) * 1.5).collect();
            total += times.len() as u64;
            read(&kit, name, times);
        }
        if round == 1 {
            hot(&kit, |page| accesses(page) == total);
        }
        kit.kill();
        kit.start();
        hot(&kit, |page| accesses(page) == total);
    }
    let before = counted(&hot(&kit, |page| accesses(page) == total));
    assert!(kit.stop().success());
    assert!(file.exists(), "it is saved at the end");
    kit.start();
    assert_eq!(counted(&hot(&kit, |page| accesses(page) == total)), before, "out of the file");
    kit.kill();
    std::fs::write(&file, "something else").expect("written");
    kit.start();
    assert_eq!(counted(&hot(&kit, |page| accesses(page) == total)), before, "counted anew");
    assert!(kit.log().contains("it is counted again from the accesses that are kept"), "{}", kit.log());
    eventually(|| std::fs::read(&file).is_ok_and(|file| file.starts_with(b"KITMODEL")), || kit.log());
    kit.kill();
    kit.env("IPFS_KITD_ANALYTICS_HALF_LIFE", "1h");
    kit.start();
    let other = hot(&kit, |page| accesses(page) == total);
    assert_eq!(kit.call(AnalyticsSummary {}).half_life_s, 3_600.0);
    assert!(kit.log().contains("another half-life"), "{}", kit.log());
    let sorted = |mut rows: Vec<_>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(counted(&other)), sorted(before), "another half-life, the same accesses");
}

#[test]
fn a_panic_in_the_middle_of_a_count_loses_nothing_and_counts_nothing_twice() {
    let mut kit = quick();
    kit.start_whole();
    pinned(&kit, &["one"]);
    read(&kit, "one", [1.0, 2.0, 3.0]);
    hot(&kit, |page| accesses(page) == 3);
    kit.panic_at("analytics.counted");
    read(&kit, "one", [4.0, 5.0]);
    eventually(|| !kit.panic_is_pending("analytics.counted"), || kit.log());
    assert_eq!(hot(&kit, |page| accesses(page) >= 5).pins[0].accesses, 5);
    // What was counted before is not counted again by another look.
    let as_of = kit.call(AnalyticsHot::default()).as_of;
    assert_eq!(hot(&kit, |page| page.as_of > as_of).pins[0].accesses, 5);
    assert_eq!(kit.call(Metrics {}).pins, 1);
}

#[test]
fn a_pin_that_is_gone_is_in_no_list() {
    let mut kit = quick();
    kit.start_whole();
    pinned(&kit, &["stays", "goes"]);
    read(&kit, "stays", [1.0]);
    read(&kit, "goes", [1.0, 2.0]);
    hot(&kit, |page| accesses(page) == 3);
    kit.call(PinRm { cid: identity_cid("goes") });
    let page = hot(&kit, |page| page.total == 1);
    assert_eq!(names(&page.pins), ["stays"]);
}

#[test]
fn the_present_tier_is_measured_and_there_is_advice_when_costs_are_known() {
    let mut kit = quick();
    kit.start_whole();
    pinned(&kit, &["one"]);
    read(&kit, "one", [1.0]);
    hot(&kit, |page| accesses(page) == 1);
    let page = kit.call(AnalyticsTiers { all: true, rows: Rows::default() });
    let why = page.without.expect("nobody has said what tiers cost");
    if let Some(here) = page.tiers.first() {
        assert_eq!((here.known_by.as_str(), here.pins, here.storage), ("measured", Some(1), None));
        assert!(why.contains(&here.name) && why.contains("analytics.tiers"), "{why}");
    }
}

#[test]
fn blocks_that_pins_share_are_counted_once_and_what_mfs_has_is_left_out() {
    let mut kit = Kit::real();
    kit.env("IPFS_KITD_ANALYTICS_INTERVAL", "100ms").env("IPFS_KITD_ANALYTICS_MFS", "false");
    kit.arg("--interval").arg("100ms").start_whole();
    let shared = vec![7; 200_000];
    for (name, own) in [("one", 1), ("two", 2), ("three", 3), ("four", 4)] {
        let dir = kit.path("content").join(name);
        std::fs::create_dir_all(&dir).expect("made");
        std::fs::write(dir.join("shared"), &shared).expect("written");
        std::fs::write(dir.join("own"), vec![own; 1_000]).expect("written");
    }
    let add =
        |name: &str| ipfs(&kit, &["add", "-Q", "-r", kit.path("content").join(name).to_str().expect("text")], b"");
    let cids = ["one", "two", "three", "four"].map(|name| add(name).trim().to_owned());
    ipfs(&kit, &["files", "cp", &format!("/ipfs/{}", cids[2]), "/three"], b"");
    kit.call(IndexRefresh { wait: true, names: false });
    let known = || kit.try_call(VfsInfo { path: "/three".to_owned() });
    eventually(|| known().is_ok(), || format!("{:?}", known()));
    // Each is watched for two days, by what is told of it.
    let seen = |cid: &String, hours| AccessSeen { cid: cid.clone(), at: ago(hours), ..AccessSeen::default() };
    let mut accesses: Vec<_> = cids.iter().map(|cid| seen(cid, 48.0)).collect();
    accesses.push(seen(&cids[0], 1.0));
    kit.call(AccessRecord { accesses, durable: true, batch: None });
    let unpin = || kit.call(AnalyticsUnpinFirst { free: 1 << 40 });
    let is_so = |page: UnpinPage| page.bytes > 603_000 && page.pins.iter().all(|pin| pin.cid != cids[2]);
    eventually(|| is_so(unpin()), || format!("{:?}\n{}", unpin(), kit.log()));
    let page = unpin();
    let first: Vec<_> = page.pins.iter().map(|pin| pin.cid.as_str()).collect();
    assert_eq!(first.last(), Some(&cids[0].as_str()), "what was read more goes last: {page:?}");
    assert!(page.in_mfs > 0 && !page.enough, "{page:?}");
    let distinct = page.distinct.expect("Kubo runs");
    assert!(distinct > 200_000 && distinct < page.bytes - 390_000, "{page:?}");
    // By their sizes two would do; their blocks say that all three don't.
    let page = kit.call(AnalyticsUnpinFirst { free: 300_000 });
    let seen = (Some(page.pins.len() as u64), page.distinct, page.enough);
    assert_eq!(seen, (page.candidates, Some(distinct), false), "{page:?}");
}
