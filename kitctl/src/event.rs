//! `events`: what has happened, and with `-f` what comes.

use crate::args::{self, Format};
use crate::ask::Ask;
use crate::daemon::counted;
use crate::exit::{self, Failure};
use crate::output::{Out, say, size, tame};
use crate::parse::After;
use jiff::Timestamp;
use proto_msgs::event::{Event, EventPage, EventState, Events, What};
use proto_msgs::verb::Part;
use serde::Serialize;

/// How many old ones are shown before those that are followed.
const OLD: usize = 10;

pub(crate) fn events(ask: &mut Ask, out: &mut Out, options: args::Events) -> Result<u8, Failure> {
    let (since, from) = match options.since {
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
    let follow = options.follow;
    let old = options.lines.or((follow && options.since.is_none()).then_some(OLD));
    let mut wanted = Wanted { from, kinds: options.kinds, old };
    let mut page = ask.call_with(Events { since, epoch: None, follow }, |part| {
        if let Part::Events(mut page) = part {
            wanted.of(&mut page);
            if page.events.is_empty() && page.gap == 0 && page.state.is_none() {
                // Nothing that is wanted has come.
                return Ok(());
            }
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
        wanted.of(&mut page);
        show(out, &page)?;
    }
    Ok(exit::OK)
}

/// Which events are shown. The daemon counts events and keeps few, so what else there is is left out here.
struct Wanted {
    from: Option<Timestamp>,
    /// All, where none is named.
    kinds: Vec<String>,
    /// So many of those that there were before the first page; then all that come.
    old: Option<usize>,
}

impl Wanted {
    fn of(&mut self, page: &mut EventPage) {
        page.events.retain(|event| {
            let kind = || self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == event.what.kind());
            let recent = |from| event.at.parse::<Timestamp>().is_ok_and(|at| at >= from);
            kind() && self.from.is_none_or(recent)
        });
        if let Some(old) = self.old.take()
            && let Some(more) = page.events.len().checked_sub(old)
        {
            page.events.drain(..more);
            // What is no longer kept was not asked for.
            page.gap = 0;
        }
    }
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
        let (events, are) = (counted(page.gap, "event"), if page.gap == 1 { "is" } else { "are" });
        say(&format!("{events} before these {are} no longer kept"));
    }
    match out.format {
        Format::Table => page.events.iter().try_for_each(|event| out.line(line(event))),
        Format::Ndjson => page.events.iter().try_for_each(|event| out.json(event)),
        Format::Csv => page
            .events
            .iter()
            .try_for_each(|event| out.csv([&event.seq.to_string(), &event.at, event.what.kind(), &told(&event.what)])),
        _ => out.answer(page),
    }
}

/// No columns: lines come one by one, and the time has a fixed width.
fn line(event: &Event) -> String {
    format!("{}  {:>4}  {} {}", event.at, event.seq, tame(event.what.kind()), tame(&told(&event.what)))
}

/// What it tells, apart from its kind.
fn told(what: &What) -> String {
    match what {
        What::Kubo(change) => {
            let (from, to) = (change.from.name(), change.to.name());
            format!("{from} -> {to}: {} ({})", change.cause, change.evidence)
        }
        What::Error(error) => format!("in {}: {}", error.actor, error.detail),
        What::Pin(end) => match &end.failed {
            None => format!("{} is pinned", end.cid),
            Some(_) if end.cancelled => format!("the pin of {} was given up, as was asked for", end.cid),
            Some(why) => format!("{} was not pinned: {why}", end.cid),
        },
        What::Index(change) => {
            let counts = [(change.added, "added"), (change.changed, "changed"), (change.removed, "removed")];
            let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
            let restored = change.restored.then(|| "an index was restored".to_owned());
            let counts = restored.into_iter().chain(counts).collect::<Vec<_>>().join(", ");
            format!("{} -> {}: {counts}, {}", change.from, change.to, counted(change.pins, "pin"))
        }
        What::Refresh(change) if change.failing => {
            format!("fails: {}", change.error.as_deref().unwrap_or("the log says why"))
        }
        What::Refresh(change) => format!("goes well again, after {} that failed", change.failed),
        What::Snapshot(new) => {
            let (pins, bytes) = (counted(new.pins, "pin"), size(Some(new.bytes)));
            format!("{}: generation {}, {pins}, {bytes}", new.name, new.generation)
        }
        What::Reload(reload) if reload.later.is_empty() => "the configuration was read again".to_owned(),
        What::Reload(reload) => {
            format!("the configuration was read again; only a restart applies {}", reload.later.join(", "))
        }
        What::Unknown(event) => event.json.clone(),
    }
}
