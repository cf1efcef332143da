//! `log`: what the daemon says of itself.

use crate::args::Format;
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, tame};
use proto_msgs::log::{Log, LogPage};
use proto_msgs::verb::Part;

pub(crate) fn log(ask: &mut Ask, out: &mut Out, verb: Log) -> Result<u8, Failure> {
    let follow = verb.follow;
    if out.format == Format::Csv {
        out.line("at,level,target,text")?;
    }
    let page = ask.call_with(verb, |part| {
        if let Part::Log(page) = part {
            if page.dropped > 0 {
                // A pause of the reader; what it has missed is no longer kept.
                out.note(&format!("{} lines were missed", page.dropped))?;
            }
            show(out, &page)?;
            // Whoever reads a pipe is to see it now.
            out.finish()?;
        }
        Ok(())
    })?;
    if !follow {
        show(out, &page)?;
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
