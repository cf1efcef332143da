//! `log`: what the daemon says of itself; and how lines are followed, whoever says them.

use crate::args::Format;
use crate::ask::Ask;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::output::{Out, tame};
use proto_msgs::log::{Log, LogPage};
use proto_msgs::verb::{Part, Verb};

pub(crate) fn log(ask: &mut Ask, out: &mut Out, verb: Log) -> Result<u8, Failure> {
    let follow = verb.follow;
    let page = |part| if let Part::Log(page) = part { Some((page.dropped, page)) } else { None };
    tail(ask, out, verb, follow, "at,level,target,text", page, show)
}

/// The newest lines of something, or with `follow` each as it comes. `page` tells how many were missed before those of a part.
pub(crate) fn tail<V: Verb>(
    ask: &mut Ask,
    out: &mut Out,
    verb: V,
    follow: bool,
    header: &str,
    page: fn(Part) -> Option<(u64, V::Reply)>,
    show: fn(&mut Out, &V::Reply) -> Result<(), Failure>,
) -> Result<u8, Failure> {
    if out.format == Format::Csv {
        out.line(header)?;
    }
    let newest = ask.call_with(verb, |part| {
        let Some((missed, page)) = page(part) else { return Ok(()) };
        if missed > 0 {
            // A pause of the reader; what it has missed is no longer kept.
            out.note(&format!("{} missed", counted(missed, "line")))?;
        }
        show(out, &page)?;
        // Whoever reads a pipe is to see it now.
        out.finish()
    })?;
    if !follow {
        show(out, &newest)?;
    }
    Ok(exit::OK)
}

fn show(out: &mut Out, page: &LogPage) -> Result<(), Failure> {
    match out.format {
        Format::Ndjson => page.lines.iter().try_for_each(|line| out.json(line)),
        Format::Csv => {
            page.lines.iter().try_for_each(|line| out.csv([&line.at, line.level.name(), &line.target, &line.text]))
        }
        // No columns: lines come one by one, and have a fixed width but for their text.
        Format::Table => page.lines.iter().try_for_each(|line| {
            out.line(format!("{} {:<5} {}: {}", line.at, line.level.name(), tame(&line.target), tame(&line.text)))
        }),
        _ => out.answer(page),
    }
}
