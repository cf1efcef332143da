//! `access log`: what was read, and what keeps it.

use crate::args::{self, Format, Show};
use crate::ask::Ask;
use crate::cell::Cell;
use crate::exit::{self, Failure};
use crate::list::{Listing, Row, Shape};
use crate::output::Out;
use crate::record;
use crate::weblog;
use proto_msgs::access::{Access, AccessLog, AccessSeen};
use proto_msgs::verb::Part;

const ALL: &[&str] = &["at", "source", "op", "bytes", "offset", "cid", "path", "keeper", "pin", "by"];
pub(crate) const LOG: Shape =
    Shape { all: ALL, table: &["at", "source", "op", "bytes", "keeper", "cid", "path"], wide: ALL };

pub(crate) fn run(ask: &mut Ask, out: &mut Out, verb: args::Access) -> Result<u8, Failure> {
    match verb {
        args::Access::Record { cid, path, at, bytes, offset, op, by, durable, batch } => {
            let how = record::How { durable, batch };
            let at = at.map(|at| at.to_string());
            let seen = AccessSeen { cid, at, path, bytes, offset, op, by };
            if seen.cid == "-" { record::lines(ask, out, how, seen) } else { record::one(ask, out, how, seen) }
        }
        args::Access::Import { files, show } => weblog::run(ask, out, &files, &show),
        args::Access::Log { cid, source, since, show } => log(
            ask,
            out,
            AccessLog { cid, source, since: since.map(|since| since.to_string()), ..AccessLog::default() },
            &show,
        ),
    }
}

fn log(ask: &mut Ask, out: &mut Out, wanted: AccessLog, show: &Show) -> Result<u8, Failure> {
    let (mut list, (limit, offset)) = Listing::cut_there(out, &LOG, show, "accesses", |_| false)?;
    let any = wanted.cid.is_none() && wanted.source.is_none() && wanted.since.is_none();
    let page = ask.call_with(AccessLog { limit, offset, ..wanted }, |part| {
        let Part::AccessLog(rows) = part else { return Ok(()) };
        rows.accesses.into_iter().try_for_each(|access| list.row(out, access))?;
        out.finish()
    })?;
    if out.format == Format::Table && page.total == 0 {
        // Not data, so not on stdout, and no header over nothing.
        let none = match &page.oldest {
            None => {
                "no access is known: no source has seen one yet; `ipfs-kitctl access record --help` says how to record them"
            }
            Some(_) if any => "no access is known",
            Some(_) => "no access that is kept is like that",
        };
        out.note(none)?;
    } else {
        list.end(out, &page)?;
    }
    Ok(exit::OK)
}

impl Row for Access {
    fn cell(&self, column: &str, _: &[String]) -> Cell<'_> {
        match column {
            "at" => Cell::Time((&*self.at).into()),
            "source" => Cell::text(self.source.name()),
            "op" => Cell::maybe(self.op.as_deref()),
            "bytes" => Cell::bytes(self.bytes),
            "offset" => Cell::count(self.offset),
            "cid" => Cell::text(&self.cid),
            "path" => Cell::maybe(self.path.as_deref()),
            "keeper" => Cell::text(self.keeper.name()),
            "pin" => match &self.pin {
                Some(pin) if *pin == self.cid => Cell::Both(pin.into(), "itself".into()),
                pin => Cell::maybe(pin.as_deref()),
            },
            "by" => Cell::maybe(self.by.as_deref()),
            _ => Cell::None,
        }
    }

    fn cid(&self) -> Option<&str> {
        Some(&self.cid)
    }
}
