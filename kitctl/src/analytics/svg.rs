//! Pictures of the page: columns over time, bars, the disk, calibration. The drawing is SVG that is stretched to the width of the screen;
//! its words are HTML around it, so that they are read on a phone, too. Each has a title, and its numbers beside it. Pure.

use super::markup::text;
use crate::plot::Trend;
use std::fmt::Write;

/// A place of a picture has so many units of height.
const HEIGHT: f64 = 100.0;
const WIDTH: f64 = 1_000.0;
/// The share that is still seen as a bar.
const LEAST: f64 = 0.01;

/// A drawing with its scale (from the top) and what is below it, from left to right.
fn framed(drawing: &str, (width, title): (f64, &str), scale: &[String], below: &[(f64, String)]) -> String {
    let mut html = String::from("<div class=\"plot\"><div class=\"scale\" aria-hidden=\"true\">");
    scale.iter().for_each(|mark| {
        let _ = write!(html, "<span>{}</span>", text(mark));
    });
    let title = text(title);
    let _ = write!(
        html,
        "</div><svg viewBox=\"0 0 {width:.0} {HEIGHT:.0}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>"
    );
    for line in 0..scale.len() {
        let y = HEIGHT * line as f64 / (scale.len() - 1).max(1) as f64;
        let _ = write!(html, "<path class=\"grid\" d=\"M0 {y:.1}H{width:.0}\"/>");
    }
    let _ = write!(html, "{drawing}</svg><div class=\"below\" aria-hidden=\"true\">");
    for (place, label) in below {
        let side = match *place {
            p if p <= 0.0 => "start",
            p if p >= 1.0 => "end",
            _ => "middle",
        };
        let _ = write!(html, "<span class=\"{side}\" style=\"left:{:.1}%\">{}</span>", place * 100.0, text(label));
    }
    html.push_str("</div></div>\n");
    html
}

/// Columns, each with what it says of itself.
pub(super) fn columns(values: &[u64], title: &str, of: impl Fn(usize) -> String, ends: [String; 2]) -> String {
    let most = values.iter().copied().max().unwrap_or_default().max(1);
    let step = WIDTH / values.len().max(1) as f64;
    let mut drawing = String::new();
    for (place, value) in values.iter().enumerate().filter(|(_, value)| **value > 0) {
        let high = (*value as f64 / most as f64 * HEIGHT).max(1.0);
        let _ = write!(
            drawing,
            "<rect class=\"mark\" x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{high:.2}\"><title>{}</title></rect>",
            (place as f64 + 0.1) * step,
            HEIGHT - high,
            step * 0.8,
            text(&of(place))
        );
    }
    let scale = [most.to_string(), "0".to_owned()];
    let [from, to] = ends;
    framed(&drawing, (WIDTH, title), &scale, &[(0.0, from), (1.0, to)])
}

/// A bar of a share. What is more than nothing is seen.
pub(super) fn bar(share: f64) -> String {
    let share = if share > 0.0 { share.clamp(LEAST, 1.0) } else { 0.0 };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" width=\"100\" height=\"1\"/>\
         <rect class=\"mark\" width=\"{:.2}\" height=\"1\"/></svg>",
        share * 100.0
    )
}

/// The disk: what was measured, what is expected and its interval, from empty to full.
pub(super) fn disk(trend: &Trend, title: &str, scale: [String; 3], labels: [String; 3]) -> String {
    let Some((from, now)) = trend.ends() else { return String::new() };
    let span = (trend.until - from).max(f64::MIN_POSITIVE);
    let x = |time: f64| (time - from) / span * WIDTH;
    let y = |value: f64| HEIGHT - value / trend.ceiling * HEIGHT;
    let mut drawing = String::new();
    let points = |some: &mut dyn Iterator<Item = (f64, f64)>| -> String {
        some.map(|(time, value)| format!("{:.1},{:.2} ", x(time), y(value))).collect()
    };
    if let Some([slope, least, most]) = trend.ahead {
        // A line is bent where it reaches the end of the scale, so it is drawn in steps.
        let times: Vec<f64> = (0..=40).map(|n| now + (trend.until - now) * f64::from(n) / 40.0).collect();
        let upper = points(&mut times.iter().map(|time| (*time, trend.at(*time, most))));
        let lower = points(&mut times.iter().rev().map(|time| (*time, trend.at(*time, least))));
        // Nothing is expected of a disk that is full.
        let full = if slope > 0.0 { now + (trend.ceiling - trend.at(now, 0.0)) / slope } else { f64::INFINITY };
        let ahead = times.iter().copied().filter(|time| *time < full).chain([full.min(trend.until)]);
        let middle = points(&mut ahead.map(|time| (time, trend.at(time, slope))));
        let _ = write!(
            drawing,
            "<polygon class=\"band\" points=\"{upper}{lower}\"/><polyline class=\"expected\" points=\"{middle}\"/>\
             <path class=\"now\" d=\"M{:.1} 0V{HEIGHT:.0}\"/>",
            x(now)
        );
    }
    let seen = points(&mut trend.seen.iter().copied());
    let _ = write!(drawing, "<polyline class=\"seen\" points=\"{seen}\"/>");
    let [first, middle, last] = labels;
    let place = x(now) / WIDTH;
    let mut below = vec![(0.0, first)];
    // Where it would run into the others, the end stands for it.
    below.extend((0.25..=0.75).contains(&place).then_some((place, middle)));
    below.push((1.0, last));
    framed(&drawing, (WIDTH, title), &scale, &below)
}

/// Calibration: for each tenth, what was forecast, how often it happened, and by how many forecasts.
pub(super) fn calibration(points: &[(f64, f64, u64)], title: &str) -> String {
    let mut drawing =
        String::from("<path class=\"grid\" d=\"M50 0V100M100 0V100\"/><path class=\"even\" d=\"M0 100L100 0\"/>");
    let most = points.iter().map(|(.., times)| *times).max().unwrap_or(1).max(1) as f64;
    for (forecast, happened, times) in points {
        let _ = write!(
            drawing,
            "<circle class=\"dot\" cx=\"{:.2}\" cy=\"{:.2}\" r=\"{:.2}\"><title>{}</title></circle>",
            forecast * 100.0,
            100.0 - happened * 100.0,
            1.6 + 2.4 * (*times as f64 / most).sqrt(),
            text(&format!("forecast {:.1} %, happened {:.1} %, {times} times", forecast * 100.0, happened * 100.0))
        );
    }
    let scale = ["100 %", "happened", "0 %"].map(str::to_owned);
    let below = [(0.0, "0 %"), (0.5, "forecast"), (1.0, "100 %")].map(|(place, label)| (place, label.to_owned()));
    framed(&drawing, (HEIGHT, title), &scale, &below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_high_as_their_share_of_the_highest() {
        let html = columns(&[0, 1, 4], "a & b", |place| format!("hour {place}"), ["from".to_owned(), "to".to_owned()]);
        assert!(html.contains("y=\"75.00\" width=\"266.67\" height=\"25.00\"><title>hour 1</title>"), "{html}");
        assert!(html.contains("aria-label=\"a &amp; b\"") && html.matches("<rect").count() == 2, "{html}");
        assert!(html.contains("<span>4</span><span>0</span>"));
    }

    #[test]
    fn a_share_that_is_no_number_is_no_bar() {
        assert!([f64::NAN, -1.0].map(bar).iter().all(|bar| bar.contains("class=\"mark\" width=\"0.00\"")));
        assert!(bar(7.0).contains("class=\"mark\" width=\"100.00\""));
    }

    #[test]
    fn the_expected_line_ends_at_the_top_of_a_full_disk() {
        let trend = Trend {
            seen: vec![(0.0, 50.0), (100.0, 75.0)],
            ahead: Some([0.25, 0.0, 1.0]),
            until: 400.0,
            ceiling: 100.0,
        };
        let of = |n: usize| ["a", "b", "c"].map(str::to_owned)[..n].to_vec();
        let html = disk(&trend, "t", of(3).try_into().expect("three"), of(3).try_into().expect("three"));
        assert!(html.contains("<polyline class=\"seen\" points=\"0.0,50.00 250.0,25.00 \"/>"), "{html}");
        assert!(html.contains(" 500.0,0.00 \"/><path class=\"now\" d=\"M250.0 0V100\"/>"), "{html}");
        assert!(html.contains("style=\"left:25.0%\">b</span>"), "{html}");
    }

    #[test]
    fn a_dot_is_where_its_forecast_came_true_as_often() {
        let html = calibration(&[(0.25, 0.5, 7)], "t");
        assert!(html.contains("cx=\"25.00\" cy=\"50.00\" r=\"4.00\""), "{html}");
    }
}
