//! `events`: what has happened, and with `-f` what comes.

use crate::args::Format;
use crate::ask::Ask;
use crate::exit::{self, Failure};
use crate::output::{Out, tame};
use proto_msgs::event::{Event, EventPage, Events, What};
use proto_msgs::verb::Part;
use std::io::{self, Write};

pub(crate) fn events(ask: &mut Ask, out: &mut Out, since: Option<u64>, follow: bool) -> Result<u8, Failure> {
    let page = ask.call_with(Events { since, epoch: None, follow }, |part| {
        if let Part::Events(page) = part {
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

fn show(out: &mut Out, page: &EventPage) -> Result<(), Failure> {
    if page.gap > 0 {
        let _ = writeln!(io::stderr(), "{} events before these are no longer kept", page.gap);
    }
    match out.format {
        Format::Table => page.events.iter().try_for_each(|event| out.line(line(event))),
        Format::Ndjson => page.events.iter().try_for_each(|event| out.json(event)),
        _ => out.answer(page),
    }
}

/// No columns: lines come one by one, and the time has a fixed width.
fn line(event: &Event) -> String {
    let what = match &event.what {
        What::Kubo(change) => {
            let (from, to) = (change.from.name(), change.to.name());
            format!("kubo {from} -> {to}: {} ({})", change.cause, change.evidence)
        }
        What::Error(error) => format!("error in {}: {}", error.actor, error.detail),
    };
    format!("{}  {:>4}  {}", event.at, event.seq, tame(&what))
}
