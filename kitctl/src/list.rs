//! Lists: which columns are shown, in which order and how many rows, in every format.
//!
//! A list is written as it comes. Only an order that the daemon does not know needs all rows first; they are held, up to a bound.

use crate::args::{Format, Show};
use crate::cell::Cell;
use crate::exit::Failure;
use crate::output::{Document, Out, Table};
use serde::Serialize;
use serde_json::Value;
use std::io;

/// Bytes of rows that are held for the sake of their order, about.
const HELD: usize = 256 << 20;

/// One row of a list.
pub(crate) trait Row: Serialize {
    /// What stands in this column, while these are shown.
    fn cell(&self, column: &str, shown: &[String]) -> Cell<'_>;

    /// What `-o cid` prints of it.
    fn cid(&self) -> Option<&str> {
        None
    }
}

/// The columns that there are: all of them (csv), those of the table, and those of the wide one.
pub(crate) struct Shape {
    pub(crate) all: &'static [&'static str],
    pub(crate) table: &'static [&'static str],
    pub(crate) wide: &'static [&'static str],
}

/// A column to sort by, and whether the other way round.
type Order = (String, bool);

/// At most so many rows, without so many first.
type Cut = (Option<u64>, u64);

/// A list on its way out.
pub(crate) struct Listing<R> {
    columns: Vec<String>,
    header: bool,
    /// The columns that were asked for, which are fields of JSON, too.
    chosen: Option<Vec<String>>,
    order: Option<Order>,
    /// What is left out, and what still may come, where the daemon does not see to that.
    offset: u64,
    left: u64,
    table: Table,
    document: Option<Document>,
    held: Vec<R>,
    /// For how many more bytes of them there is room.
    room: usize,
}

impl<R: Row> Listing<R> {
    /// A list that the daemon cuts as it was asked; with what it is to be asked: at most so many, without so many first. In an order
    /// that it does not know it is cut here. `known`: whether it knows this one.
    pub(crate) fn cut_there(
        out: &Out,
        shape: &Shape,
        show: &Show,
        rows: &'static str,
        known: impl Fn(&str) -> bool,
    ) -> Result<(Listing<R>, Cut), Failure> {
        let mut list = Listing::cut_here(out, shape, show, rows)?;
        if list.order.as_ref().is_some_and(|(key, _)| !known(key)) {
            return Ok((list, (None, 0)));
        }
        (list.order, list.offset, list.left) = (None, 0, u64::MAX);
        Ok((list, (show.limit, show.offset)))
    }

    /// A list that is cut here.
    pub(crate) fn cut_here(out: &Out, shape: &Shape, show: &Show, rows: &'static str) -> Result<Listing<R>, Failure> {
        known(out, shape, show)?;
        let default = match out.format {
            Format::Csv => shape.all,
            _ if out.wide => shape.wide,
            _ => shape.table,
        };
        let columns: Vec<String> =
            show.columns.clone().unwrap_or_else(|| default.iter().map(|column| (*column).to_owned()).collect());
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let table = Table::new((!show.no_header).then_some(&names[..]));
        Ok(Listing {
            table,
            columns,
            header: !show.no_header,
            chosen: show.columns.clone(),
            order: show.sort.clone(),
            offset: show.offset,
            left: show.limit.unwrap_or(u64::MAX),
            document: Some(Document::new(rows)),
            held: Vec::new(),
            room: HELD,
        })
    }

    /// The rows of a reply that came whole, in order and cut.
    pub(crate) fn arrange(&self, rows: &mut Vec<R>) {
        if let Some((key, descending)) = &self.order {
            rows.sort_by(|one, other| one.cell(key, &[]).order(&other.cell(key, &[]), *descending));
        }
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(rows.len());
        rows.drain(..offset);
        rows.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
    }

    /// Takes a row, and writes it unless its place is not known yet.
    pub(crate) fn row(&mut self, out: &mut Out, row: R) -> Result<(), Failure> {
        if self.order.is_none() {
            return self.cut(out, &row);
        }
        let Some(room) = self.room.checked_sub(weight(&row)?) else { return Err(self.too_much()) };
        self.room = room;
        self.held.push(row);
        Ok(())
    }

    /// The end: the fields of what came last, for a document.
    pub(crate) fn end<T: Serialize>(mut self, out: &mut Out, page: &T) -> Result<(), Failure> {
        self.rest(out)?;
        match self.document {
            Some(document) if out.format == Format::Json => document.end(out, page),
            _ => Ok(()),
        }
    }

    /// The end of a list that is no document.
    pub(crate) fn rest(&mut self, out: &mut Out) -> Result<(), Failure> {
        let mut held = std::mem::take(&mut self.held);
        self.arrange(&mut held);
        (self.offset, self.left) = if self.order.take().is_some() { (0, u64::MAX) } else { (self.offset, self.left) };
        held.iter().try_for_each(|row| self.cut(out, row))?;
        match out.format {
            Format::Csv if std::mem::take(&mut self.header) => out.csv(&self.columns),
            Format::Table => self.table.finish(out),
            _ => Ok(()),
        }
    }

    fn too_much(&self) -> Failure {
        let key = self.order.as_ref().map_or("", |(key, _)| key);
        Failure::Usage(format!(
            "the first {} rows are all that is held to be put in the order of {key}, and there are more; narrow the list, leave \
             out --sort, or let `ipfs-kitctl sql` sort them",
            self.held.len()
        ))
    }

    fn json(&mut self, out: &mut Out, row: &impl Serialize) -> Result<(), Failure> {
        match &mut self.document {
            Some(document) if out.format == Format::Json => document.row(out, row),
            _ => out.json(row),
        }
    }

    fn cut(&mut self, out: &mut Out, row: &R) -> Result<(), Failure> {
        if self.offset > 0 {
            self.offset -= 1;
            return Ok(());
        }
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        self.write(out, row)
    }

    fn write(&mut self, out: &mut Out, row: &R) -> Result<(), Failure> {
        match out.format {
            Format::Cid => row.cid().map_or(Ok(()), |cid| out.line(cid)),
            Format::Ndjson | Format::Json => match self.chosen.as_deref() {
                None => self.json(out, row),
                Some(columns) => {
                    let mut row = value(row)?;
                    choose(&mut row, columns);
                    self.json(out, &row)
                }
            },
            Format::Csv => {
                if std::mem::take(&mut self.header) {
                    out.csv(&self.columns)?;
                }
                let cells: Vec<_> = self.columns.iter().map(|name| row.cell(name, &self.columns).plain()).collect();
                out.csv(&cells)
            }
            _ => {
                let columns = &self.columns;
                self.table.row(out, columns.iter().map(|name| row.cell(name, columns).readable()))
            }
        }
    }
}

/// JSON with the chosen fields of its rows, or of what is one row.
pub(crate) fn choose(rows: &mut Value, columns: &[String]) {
    match rows {
        Value::Array(rows) => rows.iter_mut().for_each(|row| choose(row, columns)),
        Value::Object(row) => row.retain(|field, _| columns.contains(field)),
        _ => {}
    }
}

/// Bytes that a row takes, about: its own, and those of its texts.
fn weight<R: Row>(row: &R) -> Result<usize, Failure> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut texts = Count(0);
    serde_json::to_writer(&mut texts, row).map_err(io::Error::from)?;
    Ok(size_of::<R>() + texts.0)
}

fn value(of: &impl Serialize) -> Result<Value, Failure> {
    Ok(serde_json::to_value(of).map_err(io::Error::from)?)
}

/// Writes a reply as a document, with the chosen fields of its rows.
pub(crate) fn document(out: &mut Out, show: &Show, reply: &impl Serialize, rows: &str) -> Result<(), Failure> {
    let Some(columns) = &show.columns else { return out.document(reply) };
    let mut reply = value(reply)?;
    choose(&mut reply[rows], columns);
    out.document(&reply)
}

/// Refuses columns that there are not. Before anything is asked: a command that can't show its answer must not have had its effect.
pub(crate) fn known(out: &Out, shape: &Shape, show: &Show) -> Result<(), Failure> {
    if out.format == Format::Cid && show.columns.is_some() {
        return Err(Failure::Usage("-o cid has one column; leave out --columns, or take -o csv".to_owned()));
    }
    let asked = show.columns.iter().flatten().chain(show.sort.as_ref().map(|(column, _)| column));
    match asked.into_iter().find(|column| !shape.all.contains(&column.as_str())) {
        Some(unknown) => {
            Err(Failure::Usage(format!("there is no column {unknown:?}; there are {}", shape.all.join(", "))))
        }
        None => Ok(()),
    }
}

/// A list that came whole, as a field of a reply and by that name: the reply in `json`, its rows in every other format.
pub(crate) fn whole<T: Serialize, R: Row>(
    out: &mut Out,
    shape: &Shape,
    show: &Show,
    reply: &mut T,
    (name, rows): (&str, fn(&mut T) -> &mut Vec<R>),
) -> Result<(), Failure> {
    let mut list: Listing<R> = Listing::cut_here(out, shape, show, "")?;
    list.arrange(rows(reply));
    if out.format == Format::Json {
        return document(out, show, reply, name);
    }
    (list.order, list.offset, list.left) = (None, 0, u64::MAX);
    std::mem::take(rows(reply)).into_iter().try_for_each(|row| list.row(out, row))?;
    list.rest(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Named(&'static str);

    impl Row for Named {
        fn cell(&self, _: &str, _: &[String]) -> Cell<'_> {
            Cell::text(self.0)
        }
    }

    #[test]
    fn rows_that_are_held_for_their_order_have_a_bound_in_bytes() {
        let shape = Shape { all: &["name"], table: &["name"], wide: &["name"] };
        let show = Show { sort: Some(("name".to_owned(), false)), ..Show::default() };
        let mut out = Out::new(Format::Csv);
        let mut list = Listing::cut_here(&out, &shape, &show, "names").expect("a list");
        let long = "n".repeat(1000).leak();
        list.room = 2 * weight(&Named(long)).expect("JSON");
        assert!(list.row(&mut out, Named(long)).is_ok() && list.row(&mut out, Named(long)).is_ok());
        let Err(Failure::Usage(why)) = list.row(&mut out, Named("n")) else { panic!("it is held") };
        assert!(why.starts_with("the first 2 rows are all that is held to be put in the order of name"), "{why}");
    }
}
