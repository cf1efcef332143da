//! `events`: what has happened, and with `-f` what comes.

use crate::args::Format;
use crate::ask::Ask;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::output::{Out, say, size, tame};
use crate::parse::After;
use jiff::Timestamp;
use proto_msgs::event::{Event, EventPage, EventState, Events, What};
use proto_msgs::verb::Part;
use serde::Serialize;

pub(crate) fn events(ask: &mut Ask, out: &mut Out, after: Option<After>, follow: bool) -> Result<u8, Failure> {
    let (since, from) = match after {
        Some(After::Seq(seq)) => (Some(seq), None),
        Some(After::Time(time)) => (None, Some(time)),
        None => (None, None),
    };
    if let Some(seq) = since.filter(|seq| *seq > 0) {
        ahead(ask, seq)?;
    }
    if out.format == Format::Csv {
        out.line("seq,at,what,detail")?;
    }
    // The daemon counts events and keeps few, so what is older is left out here.
    let wanted = |event: &Event| from.is_none_or(|from| event.at.parse::<Timestamp>().is_ok_and(|at| at >= from));
    let mut page = ask.call_with(Events { since, epoch: None, follow }, |part| {
        if let Part::Events(mut page) = part {
            page.events.retain(wanted);
            if let Some(state) = page.state.as_ref() {
                begin(out, state)?;
            }
            show(out, &page)?;
            // Whoever reads a pipe is to see it now.
            out.finish()?;
        }
        Ok(())
    })?;
    if !follow {
        page.events.retain(wanted);
        show(out, &page)?;
    }
    Ok(exit::OK)
}

/// Tells whoever has a number from before the daemon's start, who would wait for what is not to come.
fn ahead(ask: &mut Ask, seq: u64) -> Result<(), Failure> {
    let kept = ask.call(Events { since: None, epoch: None, follow: false })?;
    let newest = kept.events.last().map_or(0, |event| event.seq);
    if seq > newest {
        say(&format!(
            "no event has the number {seq}: numbers begin anew with each start of the daemon, and the newest is {newest}"
        ));
    }
    Ok(())
}

/// Where things stand, before the events that are followed.
fn begin(out: &mut Out, state: &EventState) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        state: &'a EventState,
    }
    match out.format {
        Format::Ndjson => return out.json(&Line { state }),
        Format::Table => {}
        _ => return Ok(()),
    }
    let complete = if state.complete { "complete" } else { "not complete yet" };
    let pins = counted(state.pins, "pin");
    let (at, seq, kubo, generation) = (&state.at, state.seq, state.kubo.name(), state.generation);
    out.line(format!("{at}  {seq:>4}  now: kubo {kubo}; generation {generation}, {pins}, {complete}"))
}

fn show(out: &mut Out, page: &EventPage) -> Result<(), Failure> {
    if page.gap > 0 {
        say(&format!("{} events before these are no longer kept", page.gap));
    }
    match out.format {
        Format::Table => page.events.iter().try_for_each(|event| out.line(line(event))),
        Format::Ndjson => page.events.iter().try_for_each(|event| out.json(event)),
        Format::Csv => page.events.iter().try_for_each(|event| {
            let (what, detail) = told(&event.what);
            out.csv([&event.seq.to_string(), &event.at, what, &detail])
        }),
        _ => out.answer(page),
    }
}

/// No columns: lines come one by one, and the time has a fixed width.
fn line(event: &Event) -> String {
    let (what, detail) = told(&event.what);
    format!("{}  {:>4}  {} {}", event.at, event.seq, tame(what), tame(&detail))
}

/// Of what it tells, and what.
fn told(what: &What) -> (&str, String) {
    match what {
        What::Kubo(change) => {
            let (from, to) = (change.from.name(), change.to.name());
            ("kubo", format!("{from} -> {to}: {} ({})", change.cause, change.evidence))
        }
        What::Error(error) => ("error", format!("in {}: {}", error.actor, error.detail)),
        What::Pin(end) => match &end.failed {
            None => ("pin", format!("{} is pinned", end.cid)),
            Some(why) => ("pin", format!("{} was not pinned: {why}", end.cid)),
        },
        What::Index(change) => {
            let counts = [(change.added, "added"), (change.changed, "changed"), (change.removed, "removed")];
            let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
            let restored = change.restored.then(|| "an index was restored".to_owned());
            let counts = restored.into_iter().chain(counts).collect::<Vec<_>>().join(", ");
            ("index", format!("{} -> {}: {counts}, {}", change.from, change.to, counted(change.pins, "pin")))
        }
        What::Refresh(change) if change.failing => {
            ("refresh", format!("fails: {}", change.error.as_deref().unwrap_or("the log says why")))
        }
        What::Refresh(change) => ("refresh", format!("goes well again, after {} that failed", change.failed)),
        What::Snapshot(new) => {
            let (pins, bytes) = (counted(new.pins, "pin"), size(Some(new.bytes)));
            ("snapshot", format!("{}: generation {}, {pins}, {bytes}", new.name, new.generation))
        }
        What::Reload(reload) if reload.later.is_empty() => ("config", "was read again".to_owned()),
        What::Reload(reload) => {
            ("config", format!("was read again; only a restart applies {}", reload.later.join(", ")))
        }
        What::Unknown(event) => (event.kind.as_str(), event.json.clone()),
    }
}
