//! `analytics`: lists in pages, what is said where nothing is known, pictures, and the report as a screen, a document and a page.

use crate::stub::{Ran, Stub, V0, V1, ago, fault};
use proto_msgs::FaultKind;
use proto_msgs::access::{AccessSource, SourceReport};
use proto_msgs::analytics::*;
use proto_msgs::daemon::{Count, Metrics, MetricsReport};
use proto_msgs::pin::{SizeKind, Source};
use proto_msgs::verb::{Body, Call, Verb};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const HOSTILE: &str = "</title><script>alert(1)</script>\u{202e}";

/// A node whose accesses have been seen for two weeks.
fn answer(call: Call) -> Body {
    let (as_of, age_s, generation) = (Some(ago(30)), Some(30.0), 12);
    match call {
        Call::AnalyticsSummary(_) => Body::Done(AnalyticsSummary::done(summary())),
        Call::Metrics(_) => Body::Done(Metrics::done(metrics())),
        Call::AnalyticsHot(verb) => {
            let pins = cut(vec![heat(V1, Some("site"), 4.25), heat(V0, Some(HOSTILE), 0.0034)], &verb.0);
            Body::Done(AnalyticsHot::done(HeatPage { as_of, age_s, generation, total: 2, pins }))
        }
        Call::AnalyticsCold(verb) => {
            let pins = cut(vec![heat(V0, None, 0.0034), heat(V1, Some("site"), 4.25)], &verb.0);
            Body::Done(AnalyticsCold::done(HeatPage { as_of, age_s, generation, total: 2, pins }))
        }
        Call::AnalyticsPatterns(verb) => {
            let pins = cut(vec![pattern(V1, "periodic"), pattern(V0, "single")], &verb.rows);
            let page = PatternPage { as_of, age_s, generation, patterns: summary().patterns, total: 2, pins };
            Body::Done(AnalyticsPatterns::done(page))
        }
        Call::AnalyticsTiers(verb) => Body::Done(AnalyticsTiers::done(TierPage {
            as_of,
            age_s,
            generation,
            tiers: tiers(),
            without: None,
            moves: 1,
            saved: 0.77,
            total: 1,
            pins: cut(vec![advice()], &verb.rows),
        })),
        Call::AnalyticsPredict(verb) => Body::Done(AnalyticsPredict::done(ForecastPage {
            as_of,
            age_s,
            generation,
            forecasts: summary().forecasts,
            total: 1,
            pins: cut(vec![forecast()], &verb.rows),
        })),
        Call::AnalyticsDisk(_) => Body::Done(AnalyticsDisk::done(disk())),
        Call::AnalyticsScore(_) => {
            let horizons = vec![scored(3_600.0, Used::BaseRate), scored(86_400.0, Used::Model), unscored()];
            Body::Done(AnalyticsScore::done(ScoreReport { as_of, age_s, generation, horizons }))
        }
        other => panic!("asked {other:?}"),
    }
}

fn cut<R>(rows: Vec<R>, asked: &Rows) -> Vec<R> {
    let most = usize::try_from(asked.limit.unwrap_or(MOST)).expect("small");
    rows.into_iter().skip(usize::try_from(asked.offset).expect("small")).take(most).collect()
}

fn summary() -> AnalyticsReport {
    let source = |source, on, since: Option<i64>, error: Option<&str>| SourceReport {
        source,
        on,
        since: since.map(ago),
        looked: since.map(|_| ago(3)),
        accesses: 400,
        wrong: 0,
        error: error.map(str::to_owned),
        blind: "what goes past it".to_owned(),
    };
    let hour = |hours: i64, accesses| AccessCount { at: ago(3_600 * hours), accesses, bytes: 1 << 20 };
    let used = |horizon_s, used, outcomes| ForecastUse { horizon_s, used, outcomes };
    let of = |pattern: &str, pins, bytes| PatternCount { pattern: pattern.to_owned(), pins, bytes };
    AnalyticsReport {
        as_of: Some(ago(30)),
        age_s: Some(30.0),
        generation: 12,
        took_s: Some(0.2),
        pins: 4154,
        watched: 4000,
        half_life_s: 604_800.0,
        sources: vec![
            source(AccessSource::Kubo, true, Some(14 * 86_400), None),
            source(
                AccessSource::Gateway,
                true,
                Some(14 * 86_400),
                Some("/var/log/nginx/access.log: permission denied"),
            ),
            source(AccessSource::Mfs, false, None, None),
        ],
        accesses: 1200,
        accesses_most: 10_000_000,
        oldest_access: Some(ago(14 * 86_400)),
        read: 812,
        patterns: vec![of("cold", 3000, 3 << 40), of("periodic", 12, 1 << 30), of("bursty", 0, 0)],
        by_hour: (0..150).map(|n| hour(150 - n, (n.cast_unsigned() * 7) % 24)).collect(),
        by_day: (0..14)
            .map(|n| AccessCount { at: ago(86_400 * (13 - n)), accesses: 60 + n.cast_unsigned() * 5 % 23, bytes: 0 })
            .collect(),
        forecasts: vec![
            used(3_600.0, Used::BaseRate, 9_000),
            used(86_400.0, Used::Model, 12_000),
            used(604_800.0, Used::Nothing, 120),
        ],
    }
}

fn metrics() -> MetricsReport {
    let counts =
        |keys: &[(&str, u64)]| keys.iter().map(|(key, pins)| Count { key: (*key).to_owned(), pins: *pins }).collect();
    MetricsReport {
        as_of: Some(ago(5)),
        age_s: Some(5.0),
        generation: 12,
        complete: true,
        source: Source::Live,
        pins: 4154,
        named: 100,
        by_type: counts(&[("recursive", 4150), ("direct", 4)]),
        by_codec: counts(&[("dag-pb", 4154)]),
        by_age: counts(&[("<1h", 4), ("1h-1d", 50), ("1d-7d", 400), ("7d-30d", 700), (">=30d", 3000)]),
        by_size_kind: counts(&[("exact", 4154), ("estimated", 0), ("unknown", 0)]),
        by_size: counts(&[("<1KiB", 100), ("1KiB-1MiB", 3000), ("1MiB-1GiB", 1050), ("1GiB-1TiB", 4), (">=1TiB", 0)]),
        bytes: Some(3 << 40),
    }
}

fn heat(cid: &str, name: Option<&str>, hotness: f64) -> PinHeat {
    PinHeat {
        cid: cid.to_owned(),
        name: name.map(str::to_owned),
        size: Some(1_468_006),
        hotness,
        accesses: 40,
        last_access: Some(ago(7_300)),
        pattern: "periodic".to_owned(),
        day: Some(0.62),
    }
}

fn pattern(cid: &str, pattern: &str) -> PinPattern {
    PinPattern {
        cid: cid.to_owned(),
        name: None,
        pattern: pattern.to_owned(),
        accesses: 40,
        last_access: Some(ago(7_300)),
        gap_s: Some(26.0 * 3_600.0),
        burstiness: Some(-0.639),
        next: None,
        onward: None,
    }
}

fn tiers() -> Vec<TierReport> {
    let tier = |name: &str, known_by: &str, what: &str, pins| TierReport {
        name: name.to_owned(),
        known_by: known_by.to_owned(),
        what: Some(what.to_owned()),
        pins,
        bytes: pins.map(|_| 3 << 40),
        free: Some(1 << 40),
        storage: Some(0.1),
        access: Some(0.0),
        read: None,
    };
    vec![tier("nvme", "measured", "/dev/nvme0n1, ext4", Some(4154)), tier("hdd", "configured", "the shelf", None)]
}

fn advice() -> PinTierAdvice {
    PinTierAdvice {
        cid: V0.to_owned(),
        name: Some("archive".to_owned()),
        size: Some(10 << 30),
        hotness: Some(1.0),
        tier: "nvme".to_owned(),
        advice: "hdd".to_owned(),
        saved: Some(0.77),
        reason: "10.000 GiB, read 1.000 times a day, cost 0.2300 a month on hdd instead of 1.0000".to_owned(),
    }
}

fn forecast() -> PinForecast {
    PinForecast {
        cid: V1.to_owned(),
        name: Some("site".to_owned()),
        hour: Some(0.0004),
        day: Some(0.62),
        week: Some(0.9995),
        next: Some(ago(-7_300)),
        next_earliest: Some(ago(-700)),
        next_latest: Some(ago(-70_000)),
    }
}

fn disk() -> DiskReport {
    let gib = |gib: u64| gib << 30;
    let samples = (0..40)
        .map(|n| DiskSample {
            at: ago((39 - n) * 43_200),
            used: gib(100) + gib(n.cast_unsigned()) / 2 + gib(n.cast_unsigned() % 3),
            repo_size: Some(gib(50)),
        })
        .collect();
    DiskReport {
        as_of: Some(ago(20)),
        total: Some(gib(148)),
        free: Some(gib(28)),
        repo_size: Some(gib(50)),
        storage_max: Some(gib(93)),
        without: None,
        growth: Some(1.05 * (1u64 << 30) as f64),
        growth_least: Some(0.8 * (1u64 << 30) as f64),
        growth_most: Some(1.3 * (1u64 << 30) as f64),
        full: Some(ago(-27 * 86_400)),
        full_earliest: Some(ago(-22 * 86_400)),
        full_latest: Some(ago(-35 * 86_400)),
        until: Some(ago(-78 * 86_400)),
        samples,
    }
}

fn scored(horizon_s: f64, used: Used) -> HorizonScore {
    let rule = |rule: &str, brier, log_loss| RuleScore { rule: rule.to_owned(), brier, log_loss };
    let tenth = |n: u32| TenthScore {
        from: f64::from(n) / 10.0,
        forecasts: u64::from(10_000 / (n + 1)),
        forecast: Some(f64::from(n) / 10.0 + 0.04),
        happened: Some(f64::from(n) / 10.0 + 0.05),
    };
    HorizonScore {
        horizon_s,
        used,
        since: Some(ago(12 * 86_400)),
        forecasts: 12_000,
        waiting: 900,
        base_rate: Some(0.0125),
        brier: Some(0.0081),
        skill: Some(0.342),
        log_loss: Some(0.041),
        area: Some(0.937),
        rules: vec![
            rule("base_rate", 0.0123, 0.067),
            rule("last_period", 0.0101, 0.055),
            rule("legacy", 0.0119, 0.066),
        ],
        tenths: (0..10).map(tenth).collect(),
    }
}

fn unscored() -> HorizonScore {
    HorizonScore {
        since: None,
        forecasts: 120,
        base_rate: None,
        brier: None,
        skill: None,
        log_loss: None,
        area: None,
        rules: vec![],
        tenths: vec![],
        ..scored(604_800.0, Used::Nothing)
    }
}

fn node() -> Stub {
    Stub::one(answer)
}

/// A daemon that was started a moment ago.
fn fresh(as_of: Option<&'static str>) -> Stub {
    Stub::one(move |call| {
        let (as_of, age_s, generation) = (as_of.map(str::to_owned), as_of.map(|_| 1.0), 1);
        match call {
            Call::AnalyticsHot(_) => {
                Body::Done(AnalyticsHot::done(HeatPage { as_of, age_s, generation, total: 0, pins: vec![] }))
            }
            Call::AnalyticsPatterns(_) => {
                let page = PatternPage { as_of, age_s, generation, patterns: vec![], total: 0, pins: vec![] };
                Body::Done(AnalyticsPatterns::done(page))
            }
            Call::AnalyticsTiers(_) => Body::Done(AnalyticsTiers::done(TierPage {
                as_of,
                age_s,
                generation,
                tiers: vec![],
                without: Some("no tier has costs: set analytics.tiers".to_owned()),
                moves: 0,
                saved: 0.0,
                total: 0,
                pins: vec![],
            })),
            Call::AnalyticsPredict(_) => {
                let forecasts = vec![ForecastUse { horizon_s: 86_400.0, used: Used::Nothing, outcomes: 120 }];
                let page = ForecastPage { as_of, age_s, generation, forecasts, total: 0, pins: vec![] };
                Body::Done(AnalyticsPredict::done(page))
            }
            Call::AnalyticsDisk(_) => Body::Done(AnalyticsDisk::done(DiskReport {
                as_of: None,
                total: None,
                free: None,
                repo_size: None,
                storage_max: None,
                without: Some("nothing was measured yet".to_owned()),
                growth: None,
                growth_least: None,
                growth_most: None,
                full: None,
                full_earliest: None,
                full_latest: None,
                until: None,
                samples: vec![],
            })),
            Call::AnalyticsScore(_) => {
                Body::Done(AnalyticsScore::done(ScoreReport { as_of, age_s, generation, horizons: vec![] }))
            }
            Call::AnalyticsSummary(_) => Body::Done(AnalyticsSummary::done(AnalyticsReport {
                as_of,
                age_s,
                sources: vec![],
                accesses: 0,
                oldest_access: None,
                patterns: vec![],
                by_hour: vec![],
                by_day: vec![],
                watched: 0,
                read: 0,
                ..summary()
            })),
            Call::Metrics(_) => Body::Done(Metrics::done(metrics())),
            other => panic!("asked {other:?}"),
        }
    })
}

#[test]
fn hot_pins_come_in_every_format() {
    let stub = node();
    let table = stub.run(&["analytics", "hot"]);
    assert_eq!(
        table.all(),
        (
            0,
            "\
CID                                                          HOTNESS  ACCESSES  LAST_ACCESS  PATTERN   SIZE     NAME
bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi  4.2      40        2h ago       periodic  1.4 MiB  site
QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPBdG               0.0034   40        2h ago       periodic  1.4 MiB  </title><script>alert(1)</script>\\u{202e}
",
            ""
        )
    );
    assert!(
        stub.run(&["analytics", "hot", "-o", "wide"]).stdout.lines().next().is_some_and(|head| head.contains("DAY"))
    );
    assert_eq!(stub.run(&["analytics", "hot", "-o", "cid"]).all(), (0, &*format!("{V1}\n{V0}\n"), ""));
    let csv = stub.run(&["analytics", "cold", "-o", "csv", "--columns", "cid,hotness,day"]);
    assert_eq!(csv.all(), (0, &*format!("cid,hotness,day\n{V0},0.0034,0.62\n{V1},4.25,0.62\n"), ""));
    let document: Value =
        serde_json::from_str(&stub.run(&["analytics", "hot", "--json"]).stdout).expect("one document");
    assert_eq!(
        (&document["schema_version"], &document["total"], &document["generation"]),
        (&json!(1), &json!(2), &json!(12))
    );
    assert_eq!(document["pins"][1]["name"], json!(HOSTILE));
    let rows = stub.run(&["analytics", "hot", "-o", "ndjson", "--columns", "cid"]).stdout;
    assert_eq!(rows, format!("{{\"cid\":\"{V1}\"}}\n{{\"cid\":\"{V0}\"}}\n"));
    assert_eq!(stub.run(&["analytics", "hot", "--sort", "hotness", "-o", "cid"]).stdout, format!("{V0}\n{V1}\n"));
}

#[test]
fn a_long_list_is_asked_for_in_pages_and_a_table_has_the_first_rows() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let stub = Stub::one(move |call| {
        let Call::AnalyticsHot(AnalyticsHot(rows)) = call else { panic!("{call:?}") };
        seen.lock().expect("unpoisoned").push((rows.limit, rows.offset));
        let most = rows.limit.unwrap_or(MOST).min(MOST).min(2_500_u64.saturating_sub(rows.offset));
        let pins = (0..most).map(|n| heat(&format!("c{}", rows.offset + n), None, 1.0)).collect();
        Body::Done(AnalyticsHot::done(HeatPage {
            as_of: Some(ago(1)),
            age_s: Some(1.0),
            generation: 1,
            total: 2_500,
            pins,
        }))
    });
    let run = |more: &[&str]| {
        let ran = stub.run(&[&["analytics", "hot"], more].concat());
        (ran, std::mem::take(&mut *asked.lock().expect("unpoisoned")))
    };
    let (table, calls) = run(&[]);
    assert_eq!((table.stdout.lines().count(), table.stderr.as_str()), (21, "20 of 2500; --limit shows more\n"));
    assert_eq!(calls, [(Some(20), 0)]);
    let (rows, calls) = run(&["-o", "cid"]);
    assert_eq!((rows.stdout.lines().count(), rows.stderr.as_str()), (1000, "1000 of 2500; --limit shows more\n"));
    assert_eq!(calls, [(Some(1000), 0)]);
    let (rows, calls) = run(&["-o", "cid", "--limit", "1200", "--offset", "5"]);
    assert_eq!((rows.stdout.lines().next_back(), rows.stderr.as_str()), (Some("c1204"), ""));
    assert_eq!(calls, [(Some(1000), 5), (Some(200), 1005)]);
    let (rows, calls) = run(&["-o", "json", "--limit", "9999"]);
    let document: Value = serde_json::from_str(&rows.stdout).expect("one document");
    assert_eq!((document["pins"].as_array().map(Vec::len), calls.len()), (Some(2_500), 3));
    // Another order needs all of them.
    let (rows, calls) = run(&["-o", "cid", "--sort", "cid:desc", "--limit", "1"]);
    assert_eq!((rows.stdout.as_str(), calls.len()), ("c999\n", 3));
}

#[test]
fn an_old_look_is_refused_before_anything_of_it_is_printed() {
    let stub = node();
    for command in [
        &["analytics", "summary"][..],
        &["analytics", "hot"],
        &["analytics", "patterns", "-o", "csv"],
        &["analytics", "tiers"],
        &["analytics", "predict"],
        &["analytics", "score"],
        &["analytics", "disk"],
        &["analytics", "report", "-o", "html"],
    ] {
        let run = |most| stub.run(&[&["--max-age", most], command].concat());
        assert_eq!(run("10m").code, Some(0), "{command:?}");
        let stale = run("10s");
        assert_eq!((stale.code, stale.stdout.as_str()), (Some(75), ""), "{command:?}");
        assert!(stale.stderr.contains(" old and --max-age is 10s\nhint: "), "{stale:?}");
    }
    let never = fresh(None).run(&["--max-age", "1h", "analytics", "hot"]);
    assert_eq!(never.code, Some(75));
    assert!(never.stderr.contains("no look at all pins has been taken yet"), "{never:?}");
}

#[test]
fn where_nothing_is_known_it_is_said_why() {
    let told = |as_of, command: &[&str]| {
        let ran = fresh(as_of).run(&[&["analytics"], command].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{command:?}: {ran:?}");
        ran.stderr
    };
    let never = "no look at all pins has been taken yet: the daemon takes one every `analytics.interval`\n";
    let unseen = "no source has seen an access yet: `ipfs-kitctl analytics summary` shows the sources, `ipfs-kitctl access --help` how to \
                  tell of accesses\n";
    let some = Some("2026-11-22T05:00:00Z");
    assert_eq!((told(None, &["hot"]), told(some, &["hot"])), (never.to_owned(), unseen.to_owned()));
    assert_eq!((told(None, &["patterns"]), told(some, &["patterns"])), (never.to_owned(), unseen.to_owned()));
    assert_eq!(told(some, &["patterns", "--pattern", "cold"]), "no pin is read in this way\n");
    let waits = "within 1 day: none yet; forecasts need a day of watching and 500 outcomes, 120 so far\n";
    assert_eq!(told(some, &["predict"]), format!("no pin has a forecast\n{waits}"));
    assert_eq!(told(some, &["disk"]), "there is no forecast: nothing was measured yet\n");
    assert_eq!(told(some, &["score"]), "no forecast has been made yet\n");
    let tiers = fresh(some).run(&["analytics", "tiers"]);
    assert_eq!(tiers.stderr, "no tier has costs: set analytics.tiers\n");
    for format in ["json", "ndjson", "csv", "cid"] {
        let ran = fresh(None).run(&["analytics", "hot", "-o", format]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{format}");
    }
    let summary = fresh(some).run(&["analytics", "summary"]);
    assert!(summary.code == Some(0) && summary.stderr == unseen, "{summary:?}");
}

#[test]
fn the_summary_has_its_sources_and_its_pictures_as_the_locale_can_show_them() {
    let stub = node();
    let shown = |locale: &[(&str, &str)]| {
        let mut command = stub.command(&["analytics", "summary", "-o", "wide"]);
        command.envs(locale.iter().copied());
        Ran::of(command.output().expect("it runs")).stdout
    };
    let (ascii, blocks) = (shown(&[]), shown(&[("LANG", "C.UTF-8")]));
    assert!(ascii.is_ascii() && ascii.contains("cold"), "{ascii}");
    assert!(blocks.contains("█") && shown(&[("LANG", "C.UTF-8"), ("TERM", "dumb")]).is_ascii());
    assert!(ascii.lines().chain(blocks.lines()).all(|line| line.chars().count() <= 120), "{blocks}");
    for part in [
        "pins       4154 pins, 4000 watched, 812 read, generation 12\n",
        "sources    kubo: 400 accesses since the daemon began, looked at 3s ago, sees since ",
        "           wrong with it: /var/log/nginx/access.log: permission denied\n",
        "           it can't see: what goes past it\n",
        "           mfs: off\n",
        "forecasts  within 1 hour: the base rate for all, since the model is no better than a simple rule",
        "           within 7 days: none yet; forecasts need a day of watching and 500 outcomes, 120 so far\n",
        "pins by the way they are read, and their bytes\ncold      3000     3.0 TiB  ####",
        "accesses, a column for each 3 hours, ",
        "now (UTC)",
    ] {
        assert!(ascii.contains(part), "{part:?} is not in\n{ascii}");
    }
    assert!(!ascii.contains("bursty"), "nothing is read in bursts: {ascii}");
}

#[test]
fn totals_by_size_and_age_have_bars_beside_them() {
    let table = node().run(&["metrics"]).stdout;
    let line = |of: &str| table.lines().find(|line| line.starts_with(of)).unwrap_or_default().to_owned();
    assert_eq!(line("size 1KiB-1MiB"), format!("size 1KiB-1MiB   3000     {}", "#".repeat(40)));
    assert_eq!(line("size <1KiB"), "size <1KiB       100      #");
    assert_eq!(line("size >=1TiB"), "size >=1TiB      0");
    assert_eq!(line("codec dag-pb"), "codec dag-pb     4154");
}

#[test]
fn a_forecast_reads_as_what_is_to_come() {
    let stub = node();
    let ran = stub.run(&["analytics", "predict", V1]);
    assert_eq!(
        ran.stdout,
        format!("CID{:58}HOUR    DAY   WEEK     NEXT   NAME\n{V1}  <0.1 %  62 %  >99.9 %  in 2h  site\n", "")
    );
    assert!(ran.stderr.starts_with("within 1 hour: the base rate for all"), "{ran:?}");
    let missing = Stub::one(|_| fault(FaultKind::NotFound, "it is not pinned", None));
    assert_eq!(missing.run(&["analytics", "predict", V1]).code, Some(4));
}

#[test]
fn what_to_unpin_first_says_that_nothing_was_done_and_feeds_pin_rm() {
    let removed = Arc::new(Mutex::new(Vec::new()));
    let seen = removed.clone();
    let stub = Stub::one(move |call| match call {
        Call::AnalyticsUnpinFirst(AnalyticsUnpinFirst { free }) => {
            let row = |cid: &str, size| PinUnpin {
                cid: cid.to_owned(),
                name: None,
                size,
                size_kind: SizeKind::Exact,
                week: Some(0.003),
                hotness: 0.0,
                last_access: None,
                reason: "read by nobody for 40 days".to_owned(),
            };
            Body::Done(AnalyticsUnpinFirst::done(UnpinPage {
                as_of: Some(ago(30)),
                age_s: Some(30.0),
                generation: 1,
                free,
                bytes: 3 << 30,
                distinct: Some(2 << 30),
                enough: free <= 2 << 30,
                candidates: Some(if free > 1 << 40 { 1_001 } else { 2 }),
                unmeasured: 1,
                unwatched: 20,
                fresh: Some(2),
                in_mfs: 0,
                pins: vec![row(V0, 2 << 30), row(V1, 1 << 30)],
            }))
        }
        Call::PinRm(verb) => {
            seen.lock().expect("unpoisoned").push(verb.cid.clone());
            let removed = proto_msgs::pin::PinRemoved { cid: verb.cid, generation: 2, given_up: false };
            Body::Done(proto_msgs::pin::PinRm::done(removed))
        }
        other => panic!("asked {other:?}"),
    });
    let ran = stub.run(&["analytics", "unpin-first", "--free", "2GiB"]);
    assert!(ran.stdout.contains("2.0 GiB") && ran.stdout.lines().count() == 3, "{ran:?}");
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            Some(0),
            "2 pins with 3.0 GiB; their blocks, each counted once, 2.0 GiB: enough for 2.0 GiB\n\
             left out: 20 pins whose accesses no source sees, 2 pins watched for less than a day, 1 pin of unknown size\n\
             nothing was unpinned; what does it: ipfs-kitctl analytics unpin-first --free 2147483648 -o cid | ipfs-kitctl pin rm - && \
             ipfs-kitctl kubo gc; blocks that other pins have, too, stay\n"
        )
    );
    let cids = stub.run(&["analytics", "unpin-first", "--free", "2GiB", "-o", "cid"]);
    assert_eq!(cids.all(), (0, &*format!("{V0}\n{V1}\n"), ""));
    assert_eq!(*removed.lock().expect("unpoisoned"), Vec::<String>::new());
    assert_eq!(stub.run_with_stdin(&["pin", "rm", "-"], &cids.stdout).code, Some(0));
    assert_eq!(*removed.lock().expect("unpoisoned"), [V0, V1]);
    let short = stub.run(&["analytics", "unpin-first", "--free", "10G", "-o", "cid"]);
    // A pipe into `pin rm` knows nothing of the exit code.
    let none = "so none is listed; ask for less, or look at them without -o cid\n";
    assert_eq!(short.all(), (1, "", &*format!("2.0 GiB of 9.3 GiB is all that could be freed\n{none}")));
    let cut = stub.run(&["analytics", "unpin-first", "--free", "2TiB", "-o", "cid"]);
    assert_eq!(cut.code, Some(1));
    let more = "these are the first 1,000, and there are more: ask again when they are gone\n";
    assert_eq!(cut.stderr, format!("2.0 GiB of 2.0 TiB; {more}{none}"));
    let cut = stub.run(&["analytics", "unpin-first", "--free", "2TiB"]);
    assert!(cut.stderr.contains(&format!("not enough for 2.0 TiB\n{more}")), "{cut:?}");
    assert!(cut.stdout.contains(V0) && !cut.stderr.contains("pin rm"), "{cut:?}");
    assert_eq!(stub.run(&["analytics", "unpin-first"]).code, Some(2), "how much?");
}

#[test]
fn the_disk_has_its_dates_and_a_line_that_goes_on() {
    let ran = node().run(&["analytics", "disk"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for part in [
        "disk    119.5 GiB in use of 148.0 GiB, 28.0 GiB free\n",
        "growth  1.0 GiB a day; 90 %: 819.2 MiB to 1.3 GiB\n",
        " (in 26d); 90 %: ",
        "148.0 GiB |",
        "* measured, = expected, . its interval of 90 %",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} is not in\n{}", ran.stdout);
    }
    let csv = node().run(&["analytics", "disk", "-o", "csv"]).stdout;
    assert!(csv.starts_with("at,used,repo_size\n") && csv.lines().count() == 41, "{csv}");
}

#[test]
fn the_score_is_told_beside_that_of_simple_rules() {
    let stub = node();
    let ran = stub.run(&["analytics", "score"]);
    for part in [
        "within 1 hour: the model is not used, since a simple rule is as good",
        "within 1 day: the model's forecasts are used: they beat every simple rule by both scores; 12000 forecasts came to their end since ",
        "the model                0.0081  0.041     34 %   0.937\n",
        "the same as last period",
        "within 7 days: nothing is said yet",
        "10 to 20 %   5000   14.0 %  15.0 %    ###\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} is not in\n{}", ran.stdout);
    }
    let csv = stub.run(&["analytics", "score", "-o", "csv", "--columns", "horizon_s,used,skill"]).stdout;
    assert_eq!(csv, "horizon_s,used,skill\n3600,base_rate,0.342\n86400,model,0.342\n604800,nothing,\n");
}

#[test]
fn tiers_come_with_what_a_move_would_save() {
    let ran = node().run(&["analytics", "tiers"]);
    assert!(
        ran.stdout.starts_with("TIER  KNOWN BY    PINS  BYTES    FREE     STORAGE  ACCESS  READ  WHAT\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("1 pin would be cheaper elsewhere, by 0.77 a month; nothing is moved\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("nvme  hdd     0.77   archive  10.000 GiB, read"), "{}", ran.stdout);
    let plain = node().run(&["analytics", "tiers", "--columns", "cid,advice", "--no-header"]).stdout;
    assert_eq!(plain, format!("{V0}  hdd\n"));
}

#[test]
fn the_report_is_one_screen_one_document_or_one_page() {
    let stub = node();
    let screen = stub.run(&["analytics", "report"]);
    assert_eq!((screen.code, screen.stderr.as_str()), (Some(0), ""));
    for part in ["READ MOST\n", "HOW THEY ARE READ\n", "TIERS\n", "DISK\n", "SCORE OF THE FORECASTS\n"] {
        assert!(screen.stdout.contains(part), "{part}");
    }
    let document: Value =
        serde_json::from_str(&stub.run(&["analytics", "report", "-o", "json"]).stdout).expect("one document");
    // In whatever order.
    let fields: BTreeSet<&str> = document.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = [
        "schema_version",
        "as_of",
        "age_s",
        "summary",
        "metrics",
        "hot",
        "patterns",
        "tiers",
        "predict",
        "disk",
        "score",
    ];
    assert_eq!(fields, expected.into());
    let rows = stub.run(&["analytics", "report", "-o", "json", "--rows", "1"]).stdout;
    assert_eq!(
        serde_json::from_str::<Value>(&rows).expect("one document")["hot"]["pins"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(stub.run(&["analytics", "hot", "-o", "html"]).code, Some(2), "only of the report");
    assert_eq!(stub.run(&["analytics", "report", "-o", "html", "--watch"]).code, Some(2), "one page");
    assert_eq!(stub.run(&["analytics", "patterns", "--pattern", "odd"]).code, Some(2));
}

#[test]
fn the_page_needs_nothing_but_itself_and_a_name_cannot_get_out_of_its_place() {
    let html = node().run(&["analytics", "report", "-o", "html"]).stdout;
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    for forbidden in ["<script", "http:", "https:", "//", "url(", "@import", "src=", "onload", "\u{202e}"] {
        let found = html.find(forbidden);
        assert_eq!(found.map(|at| &html[at.saturating_sub(40)..at + 20]), None, "{forbidden}");
    }
    assert!(html.contains("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\u{202e}"), "the name is shown");
    for part in [
        "content=\"default-src 'none'; style-src 'unsafe-inline'\"",
        "width=device-width",
        "prefers-color-scheme: dark",
        "<html lang=\"en\">",
        "It can't see: what goes past it",
        "154 pins have no source that could have seen an access",
        "permission denied",
        "34 % skill",
    ] {
        assert!(html.contains(part), "{part}");
    }
    balanced(&html);
    let empty = fresh(None).run(&["analytics", "report", "-o", "html"]);
    assert!(empty.code == Some(0) && empty.stdout.contains("No look at all pins has been taken yet"), "{empty:?}");
    assert!(
        empty.stdout.contains("no source watches any pin") && empty.stdout.contains("<code>analytics.interval</code>")
    );
    balanced(&empty.stdout);
}

/// Every element is closed where it should be, and each picture has a title.
fn balanced(html: &str) {
    let (head, body) = html.split_once("<style>").expect("a style");
    let (_, body) = body.split_once("</style>").expect("its end");
    let text = format!("{head}{body}");
    let mut open: Vec<&str> = Vec::new();
    for tag in text.split('<').skip(1).map(|rest| rest.split_once('>').expect("a tag ends").0) {
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or_default();
        match tag {
            _ if ["!doctype", "meta", "br"].contains(&name) || tag.ends_with('/') => {}
            tag if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "in the page"),
            _ => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    let pictures = text.split("<svg ").skip(1);
    for picture in pictures {
        let tag = picture.split('>').next().unwrap_or_default();
        assert!(tag.contains("aria-hidden") || tag.contains("aria-label"), "{tag}");
    }
}
