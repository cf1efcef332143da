//! One value of a row: what machines read of it, what people read of it, and where it stands in an order.

use crate::output::{ago, due, few, percent, size, span};
use jiff::Timestamp;
use std::borrow::Cow;
use std::cmp::Ordering;

/// What is known of it, and in which unit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Unknown, or nothing.
    None,
    Text(Cow<'a, str>),
    Count(u64),
    Number(f64),
    /// A number of which the first digits matter, however small it is.
    Few(f64),
    /// A share of 1.
    Share(f64),
    Bytes(u64),
    /// Bytes, as somebody else says.
    About(u64),
    /// Bytes a second.
    Rate(f64),
    Seconds(f64),
    /// RFC 3339.
    Time(Cow<'a, str>),
    /// The same, of what is to come.
    Due(Cow<'a, str>),
    /// What machines read, and what people read.
    Both(Cow<'a, str>, Cow<'a, str>),
}

impl<'a> Cell<'a> {
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Cell<'a> {
        Cell::Text(text.into())
    }

    pub(crate) fn maybe(text: Option<&'a str>) -> Cell<'a> {
        text.map_or(Cell::None, Cell::text)
    }

    pub(crate) fn time(at: Option<&'a str>) -> Cell<'a> {
        at.map_or(Cell::None, |at| Cell::Time(at.into()))
    }

    pub(crate) fn due(at: Option<&'a str>) -> Cell<'a> {
        at.map_or(Cell::None, |at| Cell::Due(at.into()))
    }

    pub(crate) fn few(number: Option<f64>) -> Cell<'a> {
        number.map_or(Cell::None, Cell::Few)
    }

    pub(crate) fn share(share: Option<f64>) -> Cell<'a> {
        share.map_or(Cell::None, Cell::Share)
    }

    pub(crate) fn bytes(bytes: Option<u64>) -> Cell<'a> {
        bytes.map_or(Cell::None, Cell::Bytes)
    }

    pub(crate) fn count(count: Option<u64>) -> Cell<'a> {
        count.map_or(Cell::None, Cell::Count)
    }

    /// For people only where it is so.
    pub(crate) fn flag(flag: bool) -> Cell<'a> {
        if flag { Cell::Both("true".into(), "yes".into()) } else { Cell::Both("false".into(), "-".into()) }
    }

    /// For machines; empty where nothing is known.
    pub(crate) fn plain(self) -> Cow<'a, str> {
        match self {
            Cell::None => Cow::Borrowed(""),
            Cell::Text(text) | Cell::Time(text) | Cell::Due(text) | Cell::Both(text, _) => text,
            Cell::Count(n) | Cell::Bytes(n) | Cell::About(n) => n.to_string().into(),
            Cell::Number(n) | Cell::Few(n) | Cell::Share(n) | Cell::Rate(n) | Cell::Seconds(n) => n.to_string().into(),
        }
    }

    /// For people; `-` where nothing is known.
    pub(crate) fn readable(self) -> Cow<'a, str> {
        let shown: Cow<'a, str> = match self {
            Cell::None => Cow::Borrowed(""),
            Cell::Text(text) | Cell::Both(_, text) => text,
            Cell::Count(n) => n.to_string().into(),
            Cell::Number(n) => format!("{n:.2}").into(),
            Cell::Few(n) => few(n).into(),
            Cell::Share(n) => percent(n).into(),
            Cell::Bytes(n) => size(Some(n)).into(),
            Cell::About(n) => format!("~{}", size(Some(n))).into(),
            Cell::Rate(n) => format!("{}/s", size(Some(n as u64))).into(),
            Cell::Seconds(n) => span(n).into(),
            Cell::Time(at) => ago(&at).into(),
            Cell::Due(at) => due(&at).into(),
        };
        if shown.is_empty() { Cow::Borrowed("-") } else { shown }
    }

    /// By value; what is not known stands last, whichever way the order goes.
    pub(crate) fn order(&self, other: &Cell<'_>, descending: bool) -> Ordering {
        match (self.is_nothing(), other.is_nothing()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if descending => self.compare(other).reverse(),
            (false, false) => self.compare(other),
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Cell::None) || matches!(self, Cell::Text(text) | Cell::Time(text) if text.is_empty())
    }

    fn compare(&self, other: &Cell<'_>) -> Ordering {
        match (self.number(), other.number()) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            _ => match (self, other) {
                // As text 05Z would stand behind 05.5Z.
                (Cell::Time(one), Cell::Time(other)) | (Cell::Due(one), Cell::Due(other)) => {
                    one.parse::<Timestamp>().ok().cmp(&other.parse::<Timestamp>().ok())
                }
                _ => self.clone().plain().cmp(&other.clone().plain()),
            },
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Cell::Count(n) | Cell::Bytes(n) | Cell::About(n) => Some(*n as f64),
            Cell::Number(n) | Cell::Few(n) | Cell::Share(n) | Cell::Rate(n) | Cell::Seconds(n) => Some(*n),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_machines_and_people_read() {
        let read = |cell: Cell<'static>| (cell.clone().plain().into_owned(), cell.readable().into_owned());
        let pair = |plain: &str, readable: &str| (plain.to_owned(), readable.to_owned());
        assert_eq!(read(Cell::None), pair("", "-"));
        assert_eq!(read(Cell::text("")), pair("", "-"));
        assert_eq!(read(Cell::Bytes(2048)), pair("2048", "2.0 KiB"));
        assert_eq!(read(Cell::About(2048)), pair("2048", "~2.0 KiB"));
        assert_eq!(read(Cell::Rate(1536.9)), pair("1536.9", "1.5 KiB/s"));
        assert_eq!(read(Cell::Seconds(125.0)), pair("125", "2m"));
        assert_eq!(read(Cell::Number(0.126)), pair("0.126", "0.13"));
        assert_eq!(read(Cell::Few(0.00126)), pair("0.00126", "0.0013"));
        assert_eq!(read(Cell::Share(0.126)), pair("0.126", "13 %"));
        assert_eq!(read(Cell::flag(false)), pair("false", "-"));
    }

    #[test]
    fn an_order_is_by_value_and_what_is_unknown_stands_last_both_ways() {
        let sorted = |mut cells: Vec<Cell<'static>>, descending| {
            cells.sort_by(|one, other| one.order(other, descending));
            cells.into_iter().map(|cell| cell.plain().into_owned()).collect::<Vec<_>>()
        };
        let sizes = || vec![Cell::Bytes(10), Cell::None, Cell::About(9)];
        assert_eq!(sorted(sizes(), false), ["9", "10", ""]);
        assert_eq!(sorted(sizes(), true), ["10", "9", ""]);
        let times = vec![Cell::Time("2026-01-01T00:00:05.5Z".into()), Cell::Time("2026-01-01T00:00:05Z".into())];
        assert_eq!(sorted(times, false), ["2026-01-01T00:00:05Z", "2026-01-01T00:00:05.5Z"]);
    }
}
