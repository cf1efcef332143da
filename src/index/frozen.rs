//! The index as a snapshot has it, in memory: for whoever asks while no daemon answers. The statements are those of the live index, over
//! the same tables.

use super::error::IndexError;
use super::recover::newest_that_fits;
use super::refill::{self, Refusal};
use super::reply::{self, Dated};
use super::schema;
use super::set::{Entry, PinSet};
use super::{history, listing, pages, query};
use crate::cid;
use crate::snapshot::bulk::Encoder;
use crate::snapshot::place::Place;
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::daemon::Metrics;
use proto_msgs::pin::{PinDiff, PinHistory, PinInfo, PinLs, PinPage, PinRows, Source};
use proto_msgs::snapshot::{SnapshotAt, SnapshotPath};
use proto_msgs::verb::{Call, Done, Part, Verb};
use proto_msgs::{Fault, FaultKind};

/// Memory that DuckDB may take.
const MEMORY: &str = "4GB";

/// What takes the parts of an answer.
pub type Parts<'a> = dyn FnMut(Part) -> Result<(), Fault> + 'a;

/// The newest snapshot that can be used.
pub struct Frozen {
    connection: Connection,
    set: PinSet,
    at: SnapshotAt,
}

impl Frozen {
    /// Reads it whole; otherwise says of each why it cannot be used.
    pub fn read(place: &Place) -> Result<Frozen, Vec<String>> {
        let words = |error: duckdb::Error| vec![format!("its tables do not fit into memory: {error}")];
        let connection = schema::in_memory(MEMORY).map_err(words)?;
        let (found, passed_over) =
            newest_that_fits(place, |dir, manifest| match refill::from_snapshot(&connection, dir, manifest, None) {
                Ok(set) => Ok(Ok(set)),
                Err(Refusal::Unfit(why)) => Ok(Err(why)),
                // An older one would meet the same, and hide what is wrong.
                Err(Refusal::Duckdb(error)) => Err(words(error)),
            })?;
        let Some((name, manifest, set)) = found else { return Err(passed_over) };
        let at = SnapshotAt { path: place.path(name).display().to_string(), manifest, passed_over, made: false };
        Ok(Frozen { connection, set, at })
    }

    /// Answers what a snapshot can answer; `None`: that needs the daemon.
    pub fn answer(&self, call: Call, parts: &mut Parts<'_>) -> Option<Result<Done, Fault>> {
        Some(match call {
            Call::PinLs(ask) => self.ls(&ask, parts).map(PinLs::done),
            Call::PinInfo(ask) => self.info(&ask),
            Call::PinHistory(ask) => self.history(&ask, parts).map(PinHistory::done),
            Call::PinDiff(ask) => self.diff(&ask, parts).map(PinDiff::done),
            Call::Metrics(_) => self.metrics(),
            Call::SnapshotPath(_) => Ok(SnapshotPath::done(self.at.clone())),
            _ => return None,
        })
    }

    fn dated(&self) -> Dated {
        let manifest = &self.at.manifest;
        Dated {
            as_of: manifest.as_of.clone(),
            age_s: manifest.as_of.as_deref().and_then(crate::time::age_of),
            generation: manifest.generation,
            complete: manifest.complete,
            source: Source::Snapshot,
        }
    }

    fn ls(&self, ask: &PinLs, parts: &mut Parts<'_>) -> Result<PinPage, Fault> {
        let since = ask.since.as_deref().map(crate::time::parse).transpose()?;
        let chosen = query::choose(&self.connection, ask, since).map_err(failed("list pins"))?;
        let page = self.dated().page(chosen.generation, chosen.total);
        let read = |ids: &[u64]| listing::read(&self.connection, ids);
        let unread = failed("read the rows of a listing");
        let mut encoder = match ask.bulk {
            Some(form) => Some(Encoder::begin(form, &read(&[]).map_err(&unread)?.schema(), &ask.columns, &page)?),
            None => None,
        };
        for ids in chosen.keys.chunks(listing::PAGE) {
            let rows = read(ids).map_err(&unread)?;
            match &mut encoder {
                Some(encoder) => {
                    let bytes = encoder.push(&rows).map_err(|error| unread(IndexError::Export(error)))?;
                    bytes.into_iter().try_for_each(|bytes| parts(Part::Bulk(bytes)))?;
                }
                None => pages::in_parts(listing::pins(&rows).map_err(&unread)?, reply::pins)
                    .into_iter()
                    .try_for_each(&mut *parts)?,
            }
        }
        if let Some(encoder) = encoder {
            let bytes = encoder.end().map_err(|error| unread(IndexError::Export(error)))?;
            bytes.into_iter().try_for_each(|bytes| parts(Part::Bulk(bytes)))?;
        }
        Ok(page)
    }

    fn info(&self, ask: &PinInfo) -> Result<Done, Fault> {
        let cid = cid::parse(&ask.cid)?;
        let ids: Vec<u64> = reply::of_block(&self.set, &cid).iter().map(Entry::id).collect();
        let pins = query::rows(&self.connection, &ids).map_err(failed("look a pin up"))?;
        self.dated().info(&cid, pins).map(PinInfo::done)
    }

    fn history(&self, ask: &PinHistory, parts: &mut Parts<'_>) -> Result<PinPage, Fault> {
        let of = ask.cid.as_deref().map(cid::parse).transpose()?;
        let chosen = history::choose(&self.connection, of.as_ref(), ask.limit, ask.offset);
        let chosen = chosen.map_err(failed("read the history"))?;
        if let Some(cid) = of.filter(|_| chosen.total == 0) {
            return Err(reply::never_pinned(&cid));
        }
        for keys in chosen.keys.chunks(PinRows::MAX) {
            let rows = history::rows(&self.connection, keys).map_err(failed("read the history"))?;
            parts(Part::PinChanges(reply::changes(rows)))?;
        }
        Ok(self.dated().page(chosen.generation, chosen.total))
    }

    fn diff(&self, ask: &PinDiff, parts: &mut Parts<'_>) -> Result<PinPage, Fault> {
        let chosen = history::choose_differing(&self.connection, ask).map_err(failed("compare generations"))?;
        let chosen = chosen.map_err(reply::not_kept)?;
        for keys in chosen.keys.chunks(PinRows::MAX) {
            let rows = history::differing(&self.connection, ask, keys).map_err(failed("compare generations"))?;
            parts(Part::PinChanges(reply::changes(rows)))?;
        }
        Ok(self.dated().page(chosen.generation, chosen.total))
    }

    fn metrics(&self) -> Result<Done, Fault> {
        let totals = query::totals(&self.connection, Timestamp::now()).map_err(failed("count pins"))?;
        Ok(Metrics::done(self.dated().metrics(totals)))
    }
}

fn failed(action: &'static str) -> impl Fn(IndexError) -> Fault {
    move |error| Fault::new(FaultKind::Internal, format!("cannot {action}: {error}"))
}
