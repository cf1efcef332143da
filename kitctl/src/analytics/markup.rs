//! Text as HTML, and tables. Names of pins are whatever somebody chose: nothing gets into a page but through here. Pure.

use crate::output::tame;
use std::fmt::Write;

/// Text that means itself, in an element or between double quotes; what would turn the direction of writing or be seen by nobody is shown
/// as an escape.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in tame(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The same of a sentence, with what stands between backticks as code.
pub(super) fn prose(sentence: &str) -> String {
    let parts = sentence.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { format!("<code>{}</code>", text(part)) } else { text(part) }).collect()
}

/// A number with a thin blank between its thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut spaced = String::with_capacity(digits.len() + 8);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            spaced.push('\u{202f}');
        }
        spaced.push(digit);
    }
    spaced
}

/// A pin in a cell: its name, and its CID in full below it.
pub(super) fn pin(cid: &str, name: Option<&str>) -> String {
    let name = match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("<bdi class=\"name\">{}</bdi>", text(name)),
        None => "<span class=\"name none\">without a name</span>".to_owned(),
    };
    format!("{name}<code>{}</code>", text(cid))
}

/// A table whose first column names its rows. `heads`: of each column, and whether it has numbers. Cells are HTML. On a narrow screen a row
/// is a block, with the heads before its cells.
pub(super) fn table(caption: &str, heads: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    rows_of("rows stacked", caption, heads, rows)
}

/// One that is narrow enough to stay as it is.
pub(super) fn narrow(caption: &str, heads: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    rows_of("rows", caption, heads, rows)
}

/// The roles are those that the elements have by themselves, and lose in some browsers where they are shown as blocks.
fn rows_of(class: &str, caption: &str, heads: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    let mut html = format!(
        "<table class=\"{class}\" role=\"table\"><caption>{}</caption><thead role=\"rowgroup\"><tr role=\"row\">",
        text(caption)
    );
    let class = |number: bool| if number { " class=\"n\"" } else { "" };
    for (head, number) in heads {
        let _ = write!(html, "<th scope=\"col\" role=\"columnheader\"{}>{}</th>", class(*number), text(head));
    }
    html.push_str("</tr></thead><tbody role=\"rowgroup\">");
    for row in rows {
        html.push_str("<tr role=\"row\">");
        for (place, (cell, (head, number))) in row.iter().zip(heads).enumerate() {
            let _ = match place {
                0 => write!(html, "<th scope=\"row\" role=\"rowheader\">{cell}</th>"),
                _ => write!(html, "<td role=\"cell\" data-head=\"{}\"{}>{cell}</td>", text(head), class(*number)),
            };
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>\n");
    html
}

/// The numbers of a picture, folded away.
pub(super) fn numbers(heads: [&str; 2], rows: impl Iterator<Item = [String; 2]>) -> String {
    let mut html = format!(
        "<details><summary>The numbers</summary><div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr>\
         <th scope=\"col\">{}</th><th scope=\"col\" class=\"n\">{}</th></tr></thead><tbody>",
        text(heads[0]),
        text(heads[1])
    );
    for [of, number] in rows {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td></tr>", text(&of), text(&number));
    }
    html.push_str("</tbody></table></div></details>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place() {
        let hostile = "</bdi><script>alert('1')</script> & \"quoted\" \u{202e}desrever\u{0}";
        let html = pin("bafy\"><img src=x onerror=alert(1)>", Some(hostile));
        assert_eq!(
            html,
            "<bdi class=\"name\">&lt;/bdi&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;quoted&quot; \
             \\u{202e}desrever\\u{0}</bdi><code>bafy&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</code>"
        );
        assert!(pin("c", Some("")).contains("without a name") && pin("c", None).contains("without a name"));
    }

    #[test]
    fn commands_in_a_sentence_are_code() {
        assert_eq!(prose("see `a <b>`; that's `all`"), "see <code>a &lt;b&gt;</code>; that&#39;s <code>all</code>");
    }

    #[test]
    fn long_numbers_have_gaps() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }

    #[test]
    fn each_cell_knows_its_head() {
        let html = table("t", &[("pin", false), ("a<b", true)], &[vec!["x".to_owned(), "<b>7</b>".to_owned()]]);
        assert!(html.contains("<td role=\"cell\" data-head=\"a&lt;b\" class=\"n\"><b>7</b></td>"), "{html}");
    }
}
