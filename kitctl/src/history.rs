//! `pin history` and `pin diff`: what happened to pins, written as it comes.

use crate::args::{Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{Listing, Row, Shape};
use crate::output::Out;
use proto_msgs::pin::{PinChange, PinPage, PinType};
use proto_msgs::verb::{Part, Verb};

pub(crate) const HISTORY: Shape = Shape {
    all: &["at", "generation", "event", "cid", "type", "name", "type_before", "name_before"],
    table: &["at", "generation", "event", "cid", "type", "name", "name_before"],
    wide: &["at", "generation", "event", "cid", "type", "type_before", "name", "name_before"],
};

pub(crate) const DIFF: Shape = Shape {
    all: &["event", "cid", "type", "name", "type_before", "name_before"],
    table: &["event", "cid", "type", "name", "type_before", "name_before"],
    wide: &["event", "cid", "type", "type_before", "name", "name_before"],
};

/// `verb`: what is asked, of at most so many changes, without so many first. `nothing`: what is said where there is none.
pub(crate) fn changes<V: Verb<Reply = PinPage>>(
    ask: &mut Ask,
    out: &mut Out,
    show: &Show,
    (shape, nothing): (&Shape, &str),
    verb: impl FnOnce(Option<u64>, u64) -> V,
) -> Result<u8, Failure> {
    let (mut list, (limit, offset)) = Listing::cut_there(out, shape, show, "changes", |_| false)?;
    ask.check_age()?;
    let page = ask.call_with(verb(limit, offset), |part| {
        let Part::PinChanges(some) = part else { return Ok(()) };
        some.changes.into_iter().try_for_each(|change| list.row(out, change))?;
        out.finish()
    })?;
    if out.format == Format::Table && page.total == 0 {
        // Not data, so not on stdout, and no header over nothing.
        out.note(nothing)?;
    } else {
        list.end(out, &page)?;
    }
    out.date(page.source, page.as_of.as_deref())?;
    Ok(exit::OK)
}

impl Row for PinChange {
    fn cell(&self, column: &str, shown: &[String]) -> Cell<'_> {
        match column {
            "at" => Cell::time(self.at.as_deref()),
            "generation" => Cell::count(self.generation),
            "event" => Cell::text(self.event.name()),
            "cid" => Cell::text(&self.cid),
            "type" => match self.type_before.filter(|before| *before != self.pin_type) {
                // Where that has no column of its own.
                Some(before) if !shown.iter().any(|column| column == "type_before") => {
                    let now = self.pin_type.name();
                    Cell::Both(now.into(), format!("{} -> {now}", before.name()).into())
                }
                _ => Cell::text(self.pin_type.name()),
            },
            "name" => Cell::maybe(self.name.as_deref()),
            "type_before" => Cell::maybe(self.type_before.map(PinType::name)),
            "name_before" => Cell::maybe(self.name_before.as_deref()),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}
