//! Pictures made of characters: bars, columns over time, a line with what is expected of it. Each stands beside its numbers and is
//! never their only carrier. Pure.

/// Where it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canvas {
    /// Places in a line.
    pub(crate) width: usize,
    /// Whether blocks can be shown; otherwise ASCII has to do.
    pub(crate) blocks: bool,
}

/// Parts of a place, from the left and from below.
const LEFT: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const BELOW: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BELOW: [char; 3] = ['.', ':', '#'];
/// A bar is no longer than this, and a column no wider.
const LONGEST: usize = 40;
const WIDEST: usize = 4;

/// A row of a histogram.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// The number as it is read.
    pub(crate) shown: String,
    pub(crate) value: f64,
}

/// A bar of this share of so many places. What is more than nothing is seen.
pub(crate) fn bar(share: f64, places: usize, blocks: bool) -> String {
    let parts = if blocks { LEFT.len() } else { 1 };
    let filled = ((share.clamp(0.0, 1.0) * (places * parts) as f64).round() as usize).max(usize::from(share > 0.0));
    if !blocks {
        return "#".repeat(filled);
    }
    let mut bar = "█".repeat(filled / parts);
    bar.extend((filled % parts).checked_sub(1).map(|part| LEFT[part]));
    bar
}

/// A histogram: label, number, bar.
pub(crate) fn bars(rows: &[Bar], canvas: Canvas) -> Vec<String> {
    let longest = |of: fn(&Bar) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (label, shown) = (longest(|row| &row.label), longest(|row| &row.shown));
    let places = canvas.width.saturating_sub(label + shown + 4).clamp(1, LONGEST);
    let most = rows.iter().map(|row| row.value).fold(0.0, f64::max);
    let line = |row: &Bar| {
        let bar = bar(row.value / most, places, canvas.blocks);
        format!("{:label$}  {:>shown$}  {bar}", row.label, row.shown).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Sums of so many neighbours each that `places` are enough, and of how many. The first sum may be of fewer: the newest is whole.
pub(crate) fn grouped(values: &[u64], places: usize) -> (Vec<u64>, usize) {
    let of = values.len().div_ceil(places.max(1)).max(1);
    let mut sums: Vec<u64> = values.rchunks(of).map(|some| some.iter().sum()).collect();
    sums.reverse();
    (sums, of)
}

/// Places that are left beside a scale with this text.
pub(crate) fn beside(most: &str, canvas: Canvas) -> usize {
    canvas.width.saturating_sub(most.chars().count() + 3).max(1)
}

/// Columns, a scale that ends with `most`, the text of the highest one, and below it what the first and the last are of.
pub(crate) fn columns(values: &[u64], most: &str, ends: [&str; 2], canvas: Canvas, height: usize) -> Vec<String> {
    let steps: &[char] = if canvas.blocks { &BELOW } else { &ASCII_BELOW };
    let highest = values.iter().copied().max().unwrap_or(0).max(1);
    let wide = (beside(most, canvas) / values.len().max(1)).clamp(1, WIDEST);
    let levels = (height * steps.len()) as f64;
    let level = |value: u64| ((value as f64 / highest as f64 * levels).round() as usize).max(usize::from(value > 0));
    let mut lines = Vec::with_capacity(height + 1);
    for row in 0..height {
        let below = (height - 1 - row) * steps.len();
        let mut line = scale(most, row, height, canvas.blocks);
        for value in values {
            let part = level(*value).saturating_sub(below).min(steps.len());
            let mark = part.checked_sub(1).map_or(' ', |part| steps[part]);
            // A gap, where there is room for one.
            let marks = if wide > 2 { wide - 1 } else { wide };
            line.extend(std::iter::repeat_n(mark, marks).chain(std::iter::repeat_n(' ', wide - marks)));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(under(most, &[(0, ends[0]), (values.len() * wide, ends[1])], values.len() * wide));
    lines
}

/// The scale before a row: the highest value, nothing, and 0.
fn scale(most: &str, row: usize, height: usize, blocks: bool) -> String {
    let label = match row {
        0 => most,
        row if row + 1 == height => "0",
        _ => "",
    };
    let edge = if blocks { '│' } else { '|' };
    format!("{label:>width$} {edge}", width = most.chars().count())
}

/// Labels below places of a picture, each centred there as far as it fits between its neighbours; the first and the last stand at the ends.
fn under(most: &str, labels: &[(usize, &str)], places: usize) -> String {
    let long = |text: &str| text.chars().count();
    let widest = labels.iter().map(|(_, text)| long(text)).max().unwrap_or(0);
    let mut line = vec![' '; places.max(widest)];
    let end = line.len();
    // The ends first, so that what is between them gives way.
    let last = labels.len().saturating_sub(1);
    let order = (0..labels.len()).filter(|n| *n == 0 || *n == last).chain(1..last);
    for (place, text) in order.map(|n| labels[n]) {
        let from = place.saturating_sub(long(text) / 2).min(end.saturating_sub(long(text)));
        let around = from.saturating_sub(1)..(from + long(text) + 1).min(end);
        if line[around].iter().all(|c| *c == ' ') {
            line[from..].iter_mut().zip(text.chars()).for_each(|(place, c)| *place = c);
        }
    }
    let line: String = line.into_iter().collect();
    format!("{:margin$}{}", "", line.trim_end(), margin = long(most) + 2)
}

/// What was measured over time, and what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trend {
    /// Times and values, in the order of time.
    pub(crate) seen: Vec<(f64, f64)>,
    /// The slope that is expected, and the least and the most of its interval.
    pub(crate) ahead: Option<[f64; 3]>,
    /// The end of the time that is shown.
    pub(crate) until: f64,
    /// No value is above this.
    pub(crate) ceiling: f64,
}

impl Trend {
    /// The first time, and the last that was measured.
    pub(crate) fn ends(&self) -> Option<(f64, f64)> {
        Some((self.seen.first()?.0, self.seen.last()?.0))
    }

    /// The value that is expected at a time with this slope.
    pub(crate) fn at(&self, time: f64, slope: f64) -> f64 {
        let (from, value) = self.seen.last().copied().unwrap_or_default();
        (value + slope * (time - from)).clamp(0.0, self.ceiling)
    }
}

/// A line over time: what was seen, then what is expected and its interval. `labels`: of its beginning, of now, of its end.
pub(crate) fn line(of: &Trend, most: &str, labels: [&str; 3], canvas: Canvas, height: usize) -> Vec<String> {
    let Some((from, now)) = of.ends() else { return Vec::new() };
    let [seen, expected, within] = if canvas.blocks { ['●', '━', '░'] } else { ['*', '=', '.'] };
    let places = beside(most, canvas);
    let span = (of.until.max(now) - from).max(f64::MIN_POSITIVE);
    let place = |time: f64| (((time - from) / span * places as f64) as usize).min(places - 1);
    let row = |value: f64| height - 1 - ((value / of.ceiling * height as f64) as usize).min(height - 1);
    let mut grid = vec![vec![' '; places]; height];
    if let Some([slope, least, most]) = of.ahead {
        (place(now) + 1..places).for_each(|column| {
            let time = from + (column as f64 + 0.5) / places as f64 * span;
            let band = row(of.at(time, most))..=row(of.at(time, least));
            band.for_each(|row| grid[row][column] = within);
            grid[row(of.at(time, slope))][column] = expected;
        });
    }
    for (time, value) in &of.seen {
        grid[row(*value)][place(*time)] = seen;
    }
    let mut lines: Vec<String> = grid
        .into_iter()
        .enumerate()
        .map(|(row, cells)| {
            let cells: String = cells.into_iter().collect();
            format!("{}{cells}", scale(most, row, height, canvas.blocks)).trim_end().to_owned()
        })
        .collect();
    lines.push(under(most, &[(0, labels[0]), (place(now), labels[1]), (places, labels[2])], places));
    let legend = if of.ahead.is_some() {
        format!(", {expected} expected, {within} its interval of 90 %")
    } else {
        String::new()
    };
    lines.push(format!("{:margin$}{seen} measured{legend}", "", margin = most.chars().count() + 2));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCII: Canvas = Canvas { width: 40, blocks: false };
    const BLOCKS: Canvas = Canvas { width: 40, blocks: true };

    fn row(label: &str, value: u64) -> Bar {
        Bar { label: label.to_owned(), shown: value.to_string(), value: value as f64 }
    }

    #[test]
    fn a_histogram_stands_beside_its_numbers() {
        let rows = [row("<1KiB", 7), row("1KiB-1MiB", 112), row(">=1TiB", 0)];
        assert_eq!(
            bars(&rows, BLOCKS),
            ["<1KiB        7  █▌", "1KiB-1MiB  112  ████████████████████████", ">=1TiB       0"]
        );
        assert_eq!(
            bars(&rows, ASCII),
            ["<1KiB        7  ##", "1KiB-1MiB  112  ########################", ">=1TiB       0"]
        );
        assert_eq!(bars(&[row("none", 0)], ASCII), ["none  0"]);
        assert!(bars(&[], ASCII).is_empty());
    }

    #[test]
    fn what_is_more_than_nothing_is_seen_and_a_narrow_terminal_is_no_trouble() {
        assert_eq!([bar(1e-9, 10, true), bar(1e-9, 10, false), bar(0.0, 10, true)], ["▏", "#", ""]);
        assert_eq!([bar(f64::NAN, 10, true), bar(7.0, 2, true)], ["", "██"]);
        let narrow = Canvas { width: 1, blocks: true };
        assert_eq!(bars(&[row("a", 1), row("b", 2)], narrow), ["a  1  ▌", "b  2  █"]);
        assert_eq!(columns(&[1, 2], "2", ["a", "b"], narrow, 1), ["2 │▄█", "   a"]);
    }

    #[test]
    fn columns_have_a_scale_and_two_ends() {
        let values: Vec<u64> = (0..12).map(|n| n * n).collect();
        assert_eq!(
            columns(&values, "121", ["22 Nov 05:00", "now"], BLOCKS, 3),
            [
                "121 │                    ▄▄██",
                "    │              ▂▂▅▅██████",
                "  0 │  ▁▁▁▁▂▂▃▃▅▅▇▇██████████",
                "     22 Nov 05:00         now",
            ]
            .map(|line| line.to_owned())
        );
        assert_eq!(columns(&[0, 1, 3, 0], "3", ["a", "b"], ASCII, 1), ["3 |    ... ###", "   a              b"]);
    }

    #[test]
    fn more_values_than_places_are_summed_from_the_newest_on() {
        assert_eq!(grouped(&[1, 2, 3, 4, 5], 5), (vec![1, 2, 3, 4, 5], 1));
        assert_eq!(grouped(&[1, 2, 3, 4, 5], 3), (vec![1, 5, 9], 2));
        assert_eq!(grouped(&[], 3), (vec![], 1));
    }

    #[test]
    fn a_line_goes_on_into_what_is_expected() {
        let trend = Trend {
            seen: vec![(0.0, 20.0), (5.0, 30.0), (10.0, 40.0)],
            ahead: Some([2.0, 1.0, 4.0]),
            until: 40.0,
            ceiling: 100.0,
        };
        assert_eq!(
            line(&trend, "100 B", ["1 Nov", "now", "1 Dec"], ASCII, 5),
            [
                "100 B |                ........========",
                "      |            ....========........",
                "      |        *=======........",
                "      |*   *",
                "    0 |",
                "       1 Nov  now                 1 Dec",
                "       * measured, = expected, . its interval of 90 %",
            ]
            .map(str::to_owned)
        );
    }
}
