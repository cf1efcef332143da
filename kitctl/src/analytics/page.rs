//! `analytics report -o html`: one page that needs nothing but itself. No script, no address of anywhere, a policy that forbids both;
//! light or dark as its reader's screen is. A picture has its numbers beside it.

use super::markup::{count, prose, text};
use super::report::Report;
use super::screen::{self, span_of};
use super::section::{self, capital};
use super::time::{day, day_of, minute};
use crate::daemon;
use crate::output::{percent, size, span};
use jiff::Timestamp;
use proto_msgs::analytics::{HorizonScore, Used};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// The page, made at this time.
pub(super) fn page(report: &Report, now: Timestamp) -> String {
    let sections = [
        ("accesses", "Accesses", section::accesses(report, now)),
        ("hot", "Read most", section::hot(report)),
        ("patterns", "How pins are read", section::patterns(report)),
        ("expect", "What to expect", section::expected(report)),
        ("disk", "The disk", section::disk(report)),
        ("tiers", "Tiers", section::tiers(report)),
        ("pins", "Sizes and ages", section::pins(report)),
        ("score", "How good the forecasts were", section::score(report)),
        ("limits", "What this page can't know", section::limits(report)),
    ];
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Pins and their accesses, {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        day(now)
    );
    html.push_str(&head(report, now, &sections.each_ref().map(|(id, title, _)| (*id, *title))));
    html.push_str("<main>\n");
    for (id, title, body) in sections {
        let _ = write!(html, "<section id=\"{id}\"><h2>{}</h2>\n{body}</section>\n", text(title));
    }
    let _ = write!(
        html,
        "</main>\n<footer><p>Made {} UTC by ipfs-kitctl {}. All times are UTC, and ages as of then. docs/ANALYTICS.md has the formulas and their sources.</p></footer>\n\
         </body>\n</html>\n",
        minute(now),
        env!("CARGO_PKG_VERSION")
    );
    html
}

/// Title, date, the figures that matter most, and where what is.
fn head(report: &Report, now: Timestamp, sections: &[(&str, &str)]) -> String {
    let (summary, metrics) = (&report.summary, &report.metrics);
    let as_of = match report.as_of.as_deref().and_then(|at| at.parse::<Timestamp>().ok()) {
        Some(at) => format!(
            "As of <time datetime=\"{at}\">{} UTC</time>, {} before this page was made; generation {} of the pins.",
            minute(at),
            span(now.duration_since(at).as_secs_f64()),
            count(summary.generation)
        ),
        None => format!("{}.", prose(&capital(screen::NEVER))),
    };
    let (read, watched) = (summary.read, summary.watched);
    // Where nobody looked, nothing was seen, which is not none.
    let [read, share] = match watched {
        0 => ["unknown".to_owned(), "no source watches any pin".to_owned()],
        _ => [count(read), format!("of {} that a source watches", count(watched))],
    };
    let tile = |term: &str, big: &str, note: &str| {
        format!(
            "<div><dt>{}</dt><dd class=\"big\">{}</dd><dd class=\"note\">{}</dd></div>",
            text(term),
            text(big),
            text(note)
        )
    };
    let [disk_full, disk_note] = disk_tile(report);
    let [skill, skill_note] = score_tile(&report.score.horizons);
    let tiles = [
        tile("Pins", &count(metrics.pins), &daemon::total(metrics)),
        tile("Read", &read, &share),
        tile("Accesses kept", &count(summary.accesses), &format!("of at most {}", count(summary.accesses_most))),
        tile("Disk full", &disk_full, &disk_note),
        tile("Forecasts", &skill, &skill_note),
    ];
    let links: String = sections.iter().map(|(id, title)| format!("<a href=\"#{id}\">{}</a>", text(title))).collect();
    format!(
        "<header>\n<p class=\"kicker\">ipfs-kitd</p>\n<h1>What is read, and what to expect</h1>\n<p class=\"soft\">{as_of}</p>\n\
         <nav aria-label=\"Sections\">{links}</nav>\n<dl class=\"tiles\">{}</dl>\n</header>\n",
        tiles.concat()
    )
}

fn disk_tile(report: &Report) -> [String; 2] {
    let disk = &report.disk;
    let free = disk.free.map(|free| format!("{} free", size(Some(free))));
    match (&disk.full, &disk.without, &disk.until) {
        _ if disk.as_of.is_none() => ["unknown".to_owned(), "the disk was not measured yet".to_owned()],
        (Some(full), ..) => [day_of(full), free.unwrap_or_default()],
        (None, None, Some(until)) => [format!("not before {}", day_of(until)), free.unwrap_or_default()],
        _ => ["unknown".to_owned(), free.unwrap_or_default()],
    }
}

/// The skill of the forecasts of the longest horizon at most a day.
fn score_tile(horizons: &[HorizonScore]) -> [String; 2] {
    let day = horizons.iter().rfind(|horizon| horizon.horizon_s <= 86_400.0);
    match day {
        Some(HorizonScore { used: Used::Model, skill: Some(skill), horizon_s, .. }) => [
            format!("{} skill", percent(*skill)),
            format!("within {}: that much less error than the base rate", span_of(*horizon_s)),
        ],
        Some(HorizonScore { used: Used::BaseRate, .. }) => {
            ["base rate".to_owned(), "the model is no better than a simple rule".to_owned()]
        }
        _ => ["none yet".to_owned(), "too few have come to their end".to_owned()],
    }
}
