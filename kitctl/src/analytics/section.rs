//! The sections of the page: each its figures, its pictures with their numbers, or why there are none.

use super::markup::{count, narrow, numbers, pin, prose, table, text};
use super::report::Report;
use super::screen::{self, full, rule, signed, source_line, span_of, verdict};
use super::svg;
use super::time::{Series, day, day_at, minute, short, trend};
use crate::output::{few, percent, size, span};
use jiff::Timestamp;
use proto_msgs::daemon::Count;
use std::fmt::Write;

/// In a cell of which nothing is known.
const NONE: &str = "–";

/// What is said where there is nothing to show.
fn empty(why: &str) -> String {
    format!("<p class=\"empty\">{}</p>\n", prose(&capital(why)))
}

pub(super) fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Why a list of pins has nothing in it.
fn nothing(report: &Report, otherwise: &str) -> String {
    empty(if report.as_of.is_some() { otherwise } else { screen::NEVER })
}

pub(super) fn accesses(report: &Report, now: Timestamp) -> String {
    let summary = &report.summary;
    let mut html = String::new();
    let series = [
        ("hour", Series::of_hours(&summary.by_hour, &summary.sources, now)),
        ("day", Series::of_days(&summary.by_day, &summary.sources, now)),
    ];
    for (unit, series) in series {
        let Some(series) = series else { continue };
        let when = |place: usize| match unit {
            "hour" => minute(series.at(place)),
            _ => day(series.at(place)),
        };
        let total: u64 = series.accesses.iter().sum();
        let of = |place: usize| format!("{} UTC: {}", when(place), accesses_of(series.accesses[place]));
        let title = format!("Accesses by {unit}: {total} since {}", when(0));
        let _ =
            write!(html, "<figure><figcaption>By {unit} <span>{} since {}</span></figcaption>", count(total), when(0));
        html.push_str(&svg::columns(&series.accesses, &title, of, [when(0), "now".to_owned()]));
        let some = (0..series.accesses.len()).rev().filter(|place| series.accesses[*place] > 0);
        html.push_str(&numbers([unit, "accesses"], some.map(|place| [when(place), count(series.accesses[place])])));
        html.push_str("</figure>\n");
    }
    if html.is_empty() { nothing(report, screen::UNSEEN) } else { format!("<div class=\"pair\">{html}</div>\n") }
}

fn accesses_of(number: u64) -> String {
    if number == 1 { "1 access".to_owned() } else { format!("{} accesses", count(number)) }
}

/// A time in a cell.
fn time(at: Option<&str>) -> String {
    match at.map(str::parse::<Timestamp>) {
        Some(Ok(at)) => format!("<span class=\"at\">{}</span>", minute(at)),
        _ => NONE.to_owned(),
    }
}

pub(super) fn hot(report: &Report) -> String {
    let pins: Vec<_> = report.hot.pins.iter().filter(|pin| pin.accesses > 0).collect();
    if pins.is_empty() {
        return nothing(report, screen::UNSEEN);
    }
    let most = pins.iter().map(|pin| pin.hotness).fold(0.0, f64::max);
    let rows: Vec<Vec<String>> = pins
        .iter()
        .map(|heat| {
            vec![
                pin(&heat.cid, heat.name.as_deref()),
                format!("{}{}", text(&few(heat.hotness)), svg::bar(heat.hotness / most)),
                count(heat.accesses),
                time(heat.last_access.as_deref()),
                text(&heat.pattern),
                heat.day.map_or_else(|| NONE.to_owned(), |share| text(&percent(share))),
                bytes(heat.size),
            ]
        })
        .collect();
    let heads = [
        ("Pin", false),
        ("Accesses a day", true),
        ("Accesses", true),
        ("Last", false),
        ("Pattern", false),
        ("Within a day", true),
        ("Size", true),
    ];
    let caption = format!(
        "Accesses a day at present: each counts half as much after {}. Within a day: the probability of another.",
        span(report.summary.half_life_s)
    );
    table(&caption, &heads, &rows)
}

/// Rows of label, bar and number.
fn bars(caption: &str, rows: &[(String, u64, String)]) -> String {
    let most = rows.iter().map(|(_, number, _)| *number).max().unwrap_or_default().max(1);
    let mut html = format!("<table class=\"bars\"><caption>{}</caption><tbody>", text(caption));
    for (label, number, shown) in rows {
        let bar = svg::bar(*number as f64 / most as f64);
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{bar}</td><td class=\"n\">{}</td></tr>",
            text(label),
            text(shown)
        );
    }
    html.push_str("</tbody></table>\n");
    html
}

pub(super) fn patterns(report: &Report) -> String {
    let counts = &report.patterns.patterns;
    let rows: Vec<_> = counts
        .iter()
        .filter(|of| of.pins > 0)
        .map(|of| (of.pattern.clone(), of.pins, format!("{} · {}", count(of.pins), size(Some(of.bytes)))))
        .collect();
    if rows.is_empty() {
        return nothing(report, screen::UNSEEN);
    }
    let mut html = bars("Pins by the way they are read, and their bytes", &rows);
    let rows: Vec<Vec<String>> = report
        .patterns
        .pins
        .iter()
        .map(|of| {
            vec![
                pin(&of.cid, of.name.as_deref()),
                text(&of.pattern),
                count(of.accesses),
                of.gap_s.map_or_else(|| NONE.to_owned(), |gap| text(&span(gap))),
                of.burstiness.map_or_else(|| NONE.to_owned(), |number| format!("{number:.2}")),
                time(of.last_access.as_deref()),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let heads = [
            ("Pin", false),
            ("Pattern", false),
            ("Accesses", true),
            ("Mean gap", true),
            ("Burstiness", true),
            ("Last", false),
        ];
        html.push_str("<h3>The pins with most accesses</h3>\n");
        html.push_str(&table("Burstiness: -1 is a clock, 0 chance, 1 bursts.", &heads, &rows));
    }
    html
}

pub(super) fn expected(report: &Report) -> String {
    let page = &report.predict;
    let uses: String =
        page.forecasts.iter().map(|of| format!("<li>{}.</li>", text(&capital(&screen::forecast_use(of))))).collect();
    let mut html = if uses.is_empty() { String::new() } else { format!("<ul class=\"plain small\">{uses}</ul>\n") };
    if page.pins.is_empty() {
        html.push_str(&nothing(report, "no pin has a forecast"));
        return html;
    }
    let share = |share: Option<f64>| share.map_or_else(|| NONE.to_owned(), |share| text(&percent(share)));
    let rows: Vec<Vec<String>> = page
        .pins
        .iter()
        .map(|of| {
            let between = match (&of.next_earliest, &of.next_latest) {
                (Some(from), Some(to)) => {
                    format!("<br><span class=\"small\">{} to {}</span>", time(Some(from)), time(Some(to)))
                }
                _ => String::new(),
            };
            vec![
                pin(&of.cid, of.name.as_deref()),
                share(of.hour),
                of.day.map_or_else(|| NONE.to_owned(), |day| format!("{}{}", text(&percent(day)), svg::bar(day))),
                share(of.week),
                format!("<span>{}{between}</span>", time(of.next.as_deref())),
            ]
        })
        .collect();
    let heads = [("Pin", false), ("Within an hour", true), ("A day", true), ("A week", true), ("Next access", false)];
    html.push_str(&table(
        "The probability that a pin is read, and when it is read next: by the model, as likely before as after, and 8 times in 10 between \
         the two times below; these follow from the probabilities and have no score of their own, least of all beyond a week.",
        &heads,
        &rows,
    ));
    html
}

pub(super) fn disk(report: &Report) -> String {
    let disk = &report.disk;
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("Disk", disk.total.map(|total| format!("{}, {} free", size(Some(total)), size(disk.free))));
    let most =
        disk.storage_max.map(|most| format!(", of {} that Kubo is to keep to", size(Some(most)))).unwrap_or_default();
    fact("Repo", disk.repo_size.map(|bytes| format!("{}{most}", size(Some(bytes)))));
    if let (Some(growth), Some(least), Some(most)) = (disk.growth, disk.growth_least, disk.growth_most) {
        fact("Growth", Some(format!("{} a day; 90 %: {} to {}", signed(growth), signed(least), signed(most))));
        fact("Full", Some(full(disk)));
    }
    let mut html = String::new();
    if let Some(at) = &disk.as_of {
        let _ = writeln!(html, "<p class=\"soft\">Measured {} UTC</p>", time(Some(at)));
    }
    if !facts.is_empty() {
        let facts = facts.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>", text(name), text(value)));
        let _ = writeln!(html, "<dl class=\"facts\">{}</dl>", facts.collect::<String>());
    }
    if let Some(why) = &disk.without {
        html.push_str(&empty(&format!("there is no forecast: {why}")));
    }
    let Some(trend) = trend(disk) else { return html };
    let (from, now) = trend.ends().unwrap_or_default();
    let half = size(Some((trend.ceiling / 2.0) as u64));
    let scale = [size(Some(trend.ceiling as u64)), half, "0".to_owned()];
    let last = if trend.ahead.is_some() { day_at(trend.until) } else { day_at(now) };
    let title = format!("Bytes in use from {} to {last}, of {}", day_at(from), scale[0]);
    let ahead = if trend.ahead.is_some() {
        "<li><i class=\"k-expected\"></i>expected</li><li><i class=\"k-band\"></i>its interval of 90 %</li>"
    } else {
        ""
    };
    let labels = [short(from), "now".to_owned(), if trend.ahead.is_some() { short(trend.until) } else { short(now) }];
    let drawing = svg::disk(&trend, &title, scale, labels);
    let at = |at: &str| at.parse().map_or_else(|_| at.to_owned(), minute);
    let samples = disk.samples.iter().rev().map(|sample| [at(&sample.at), size(Some(sample.used))]);
    let _ = writeln!(
        html,
        "<figure class=\"tall\"><figcaption>Bytes in use</figcaption>{drawing}<ul class=\"key\"><li><i></i>measured</li>{ahead}</ul>{}</figure>",
        numbers(["time", "in use"], samples)
    );
    html
}

pub(super) fn tiers(report: &Report) -> String {
    let page = &report.tiers;
    let rows: Vec<Vec<String>> = page
        .tiers
        .iter()
        .map(|tier| {
            let what = tier.what.as_deref().map(|what| format!("<span class=\"small\">{}</span>", text(what)));
            vec![
                format!("<span class=\"name\">{}</span>{}", text(&tier.name), what.unwrap_or_default()),
                text(&tier.known_by),
                tier.pins.map_or_else(|| NONE.to_owned(), count),
                bytes(tier.bytes),
                bytes(tier.free),
                few_or(tier.storage),
                few_or(tier.access),
                few_or(tier.read),
            ]
        })
        .collect();
    let heads = [
        ("Tier", false),
        ("Known by", false),
        ("Pins", true),
        ("Bytes", true),
        ("Free", true),
        ("GiB and month", true),
        ("Access", true),
        ("GiB read", true),
    ];
    let mut html = String::new();
    if !rows.is_empty() {
        html.push_str(&table("The last three columns are costs, in the unit of the configuration.", &heads, &rows));
    }
    if let Some(why) = &page.without {
        html.push_str(&empty(why));
        return html;
    }
    if page.pins.is_empty() {
        html.push_str(&nothing(report, "no pin would be cheaper elsewhere"));
        return html;
    }
    let rows: Vec<Vec<String>> = page
        .pins
        .iter()
        .map(|of| {
            vec![
                pin(&of.cid, of.name.as_deref()),
                format!("<span class=\"move\">{} → {}</span>", text(&of.tier), text(&of.advice)),
                few_or(of.saved),
                text(&of.reason),
            ]
        })
        .collect();
    let moves = format!(
        "{} would be cheaper elsewhere, by {} a month. Nothing is moved.",
        pins_of(page.moves),
        few(page.saved)
    );
    let heads = [("Pin", false), ("Move", false), ("Saved a month", true), ("Why", false)];
    html.push_str(&table(&moves, &heads, &rows));
    html
}

fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| NONE.to_owned(), |_| text(&size(bytes)))
}

fn few_or(number: Option<f64>) -> String {
    number.map_or_else(|| NONE.to_owned(), |number| text(&few(number)))
}

pub(super) fn pins(report: &Report) -> String {
    let metrics = &report.metrics;
    let rows = |counts: &[Count]| -> Vec<(String, u64, String)> {
        counts.iter().map(|of| (of.key.clone(), of.pins, count(of.pins))).collect()
    };
    format!(
        "<div class=\"pair\">{}{}</div>\n",
        bars("Pins by size; those of unknown size are in none", &rows(&metrics.by_size)),
        bars("Pins by time since they were first seen", &rows(&metrics.by_age))
    )
}

pub(super) fn score(report: &Report) -> String {
    let mut html = String::new();
    if report.score.horizons.is_empty() {
        return nothing(report, "no forecast has been made yet");
    }
    html.push_str(
        "<p class=\"soft\">Each forecast is compared with what happened. Skill is the share of the base rate's Brier error that the model does \
         without; area is the chance that what happened was forecast higher than what did not. In the picture a forecast that lies on the \
         line came true as often as it said; the larger a dot, the more forecasts.</p>\n",
    );
    for horizon in &report.score.horizons {
        let _ = write!(
            html,
            "<h3>Within {}</h3>\n<p>{}.</p>\n",
            text(&span_of(horizon.horizon_s)),
            text(&capital(&verdict(horizon)))
        );
        let (Some(brier), Some(log_loss)) = (horizon.brier, horizon.log_loss) else { continue };
        let mut rows = vec![vec![
            "The model".to_owned(),
            text(&few(brier)),
            text(&few(log_loss)),
            horizon.skill.map_or_else(|| NONE.to_owned(), |skill| text(&percent(skill))),
            horizon.area.map_or_else(|| NONE.to_owned(), |area| format!("{area:.3}")),
        ]];
        rows.extend(horizon.rules.iter().map(|by| {
            let name = capital(rule(&by.rule));
            vec![text(&name), text(&few(by.brier)), text(&few(by.log_loss)), String::new(), String::new()]
        }));
        let heads = [("By", false), ("Brier", true), ("Log loss", true), ("Skill", true), ("Area", true)];
        let scores = narrow("Errors: less is better", &heads, &rows);
        let points: Vec<(f64, f64, u64)> = horizon
            .tenths
            .iter()
            .filter_map(|tenth| Some((tenth.forecast?, tenth.happened?, tenth.forecasts)))
            .collect();
        let shown = points.iter().map(|(forecast, happened, times)| {
            [
                format!("forecast {}", percent(*forecast)),
                format!("happened {}, of {}", percent(*happened), count(*times)),
            ]
        });
        let title = format!("Calibration within {}", span_of(horizon.horizon_s));
        let _ = writeln!(
            html,
            "<div class=\"pair\"><div>{scores}</div><figure class=\"square\"><figcaption>Calibration</figcaption>{}{}</figure></div>",
            svg::calibration(&points, &title),
            numbers(["mean of a tenth", "of its forecasts"], shown)
        );
    }
    html
}

pub(super) fn limits(report: &Report) -> String {
    let summary = &report.summary;
    let mut html = String::from("<p>Nothing is counted that no source has seen.</p>\n<ul class=\"plain\">");
    for source in &summary.sources {
        let error = source.error.as_deref().map(|error| format!("<br><span class=\"bad\">{}</span>", text(error)));
        let _ = write!(
            html,
            "<li><b>{}</b>{}<br><span class=\"soft\">It can't see: {}</span></li>",
            text(&source_line(source)),
            error.unwrap_or_default(),
            text(&source.blind)
        );
    }
    let unwatched = summary.pins.saturating_sub(summary.watched);
    if unwatched > 0 {
        let _ = write!(
            html,
            "<li>{} have no source that could have seen an access: nothing is said of them.</li>",
            pins_of(unwatched)
        );
    }
    html.push_str(
        "<li>Sizes count for each pin, also the blocks that it shares with others; sizes that are not measured are left out.</li>\
         <li>Forecasts know neither a reader's plans nor what has never happened; the disk's holds as long as it grows as it did.</li></ul>\n",
    );
    html
}

fn pins_of(number: u64) -> String {
    if number == 1 { "1 pin".to_owned() } else { format!("{} pins", count(number)) }
}
