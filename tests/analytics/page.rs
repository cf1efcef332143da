//! The worked example of docs/ANALYTICS.md, computed with what the daemon computes with: each number of the page, to its last digit.

use ipfs_kitd::analytics::disk::{Outlook, Used, outlook};
use ipfs_kitd::analytics::forecast::{chance_by_rate, exposure};
use ipfs_kitd::analytics::hotness::Hotness;
use ipfs_kitd::analytics::pattern::Reading;
use ipfs_kitd::analytics::rank::Candidate;
use ipfs_kitd::analytics::score::{Score, skill};
use ipfs_kitd::analytics::tier::{Held, Policy, Tier, advise};
use jiff::Timestamp;

const DAY: f64 = 86_400.0;
const GIB: f64 = (1u64 << 30) as f64;

/// The tables of the worked example, by the head of their first column.
struct Tables(Vec<Vec<Vec<String>>>);

impl Tables {
    fn of_page() -> Tables {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ANALYTICS.md")).expect("readable");
        let (_, example) = page.split_once("\n## Worked example\n").expect("the page has an example");
        let mut tables = vec![Vec::new()];
        for line in example.lines() {
            match line.strip_prefix('|') {
                Some(row) if row.starts_with("---") => {}
                Some(row) => {
                    let cells = row.trim_end_matches('|').split('|').map(|cell| cell.trim().to_owned());
                    tables.last_mut().expect("never empty").push(cells.collect());
                }
                None => tables.push(Vec::new()),
            }
        }
        Tables(tables)
    }

    /// The rows of a table.
    fn rows(&self, head: &str) -> &[Vec<String>] {
        let found = self.0.iter().find(|table| table.first().is_some_and(|row: &Vec<String>| row[0] == head));
        &found.unwrap_or_else(|| panic!("no table {head:?}"))[1..]
    }

    /// What a table says of something.
    fn value(&self, head: &str, of: &str) -> &str {
        let row = self.rows(head).iter().find(|row| row[0] == of);
        &row.unwrap_or_else(|| panic!("{head:?} has no {of:?}"))[1]
    }

    /// Compares with as many decimals as the page has.
    fn same(&self, head: &str, of: &str, computed: f64) {
        let told = self.value(head, of);
        let decimals = told.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        assert_eq!(format!("{computed:.decimals$}"), told, "{of}");
    }
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

fn seconds(text: &str) -> f64 {
    text.parse::<Timestamp>().expect("a time").as_second() as f64
}

fn date(at: Option<f64>) -> String {
    Timestamp::from_second(at.expect("a date") as i64).expect("in range").strftime("%Y-%m-%d").to_string()
}

#[test]
fn the_pin_of_the_worked_example() {
    let tables = Tables::of_page();
    let (since, now, week) = (seconds("2026-11-01T00:00:00Z"), seconds("2026-11-15T00:00:00Z"), 7.0 * DAY);
    let (mut hotness, mut reading) = (Hotness::default(), Reading::default());
    for row in tables.rows("access") {
        hotness.record(seconds(&row[0]), week);
        reading.record(seconds(&row[0]), None);
    }
    let of = "of the pin";
    let count = hotness.count(now, week);
    tables.same(of, "decayed count", count);
    tables.same(of, "hotness", hotness.per_day(now, week));
    let judged = reading.judge(Some(now - since), now);
    tables.same(of, "mean gap in hours", judged.gap.expect("gaps") / 3_600.0);
    tables.same(of, "burstiness", judged.burstiness.expect("enough accesses"));
    assert_eq!(format!("{:?}", judged.class).to_lowercase(), tables.value(of, "class"));
    let chance = chance_by_rate(count, exposure(now - since, week), DAY);
    tables.same(of, "chance of an access within a day, by the rate of 7 days", chance);
}

#[test]
fn the_forecasts_of_the_worked_example() {
    let tables = Tables::of_page();
    let mut score = Score::default();
    for row in tables.rows("forecast") {
        score.add(number(&row[0]), row[1] == "1");
    }
    let of = "of the forecasts";
    tables.same(of, "Brier", score.brier());
    tables.same(of, "log loss", score.log_loss());
    tables.same(of, "skill", skill(score.brier(), score.base().brier()));
    tables.same(of, "area", score.area().expect("both kinds"));
}

#[test]
fn the_disk_of_the_worked_example() {
    let tables = Tables::of_page();
    let samples: Vec<Used> =
        tables.rows("measured").iter().map(|row| Used { at: seconds(&row[0]), bytes: number(&row[1]) * GIB }).collect();
    let Outlook::Known { growth, least, most, full, earliest, latest, .. } = outlook(&samples, 28.0 * GIB) else {
        panic!("it is known")
    };
    let of = "of the disk";
    for (name, bytes) in [("growth", growth), ("least growth", least), ("most growth", most)] {
        tables.same(of, name, bytes / GIB);
    }
    for (name, at) in [("full", full), ("earliest", earliest), ("latest", latest)] {
        assert_eq!(date(at), tables.value(of, name), "{name}");
    }
}

#[test]
fn the_tiers_of_the_worked_example() {
    let tables = Tables::of_page();
    let tiers: Vec<Tier> = tables
        .rows("tier")
        .iter()
        .map(|row| Tier {
            name: row[0].clone(),
            storage: number(&row[1]),
            access: number(&row[2]),
            read: number(&row[3]),
            room: None,
        })
        .collect();
    let pin = Held { tier: 0, dwelt: None, size: Some(10.0 * GIB), rate: Some(1.0) };
    let advice = advise(&tiers, &Policy::default(), &pin).expect("its tier is in the list");
    assert_eq!(tiers[advice.tier].name, tables.value("of the tiers", "advice"));
    assert_eq!(advice.reason.to_string(), tables.value("of the tiers", "reason"));
}

#[test]
fn what_to_unpin_first_in_the_worked_example() {
    let tables = Tables::of_page();
    let candidate = |row: &Vec<String>| Candidate {
        place: 0,
        size: number(&row[1]) as u64 * GIB as u64,
        week: row[2].parse().ok(),
        hotness: number(&row[3]),
    };
    let rows = tables.rows("unpin first");
    let each: Vec<f64> = rows.iter().map(|row| candidate(row).reads_per_byte() * GIB).collect();
    assert!(each.is_sorted() && each.len() == 4, "{each:?}");
    for (row, each) in rows.iter().zip(each) {
        assert_eq!(format!("{each:.5}"), row[4], "{}", row[0]);
    }
}

/// Every constant that the page states in words.
#[test]
fn the_page_states_the_constants_of_the_code() {
    use ipfs_kitd::analytics::{disk, forecast, pattern, score};
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ANALYTICS.md")).expect("readable");
    let page = page.replace('\n', " ");
    let policy = Policy::default();
    for said in [
        format!("a horizon after {} outcomes", forecast::OUTCOMES),
        format!("fewer than {} accesses", pattern::ACCESSES),
        format!("of {} steps or more", pattern::STEPS),
        format!("takes {} samples over {} days", disk::SAMPLES, disk::SPAN / DAY),
        format!("or {} of either kind", score::OF_EITHER),
        format!("Below 1,{:03} outcomes", score::OUTCOMES - 1_000),
        format!("saves at least {} %", policy.saved * 100.0),
        format!("where it is for {} days", policy.dwell / DAY),
    ] {
        assert!(page.contains(&said), "{said}");
    }
    assert_eq!((forecast::WATCHED, forecast::HORIZONS), (DAY, [3_600.0, DAY, 7.0 * DAY]));
}
