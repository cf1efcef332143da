//! What analytics has seen of pins, into their rows: out of the last look, which nobody waits for.

use super::error::IndexError;
use super::held;
use super::set::Entry;
use crate::analytics::look::{Look, time};
use duckdb::Connection;
use proto_msgs::pin::Pin;

/// The rows of these ids, in their order, with what was seen; those that are gone are left out.
pub(super) fn rows(connection: &Connection, ids: &[u64], look: Option<&Look>) -> Result<Vec<Pin>, IndexError> {
    let rows = held::rows(connection, ids)?;
    Ok(rows.into_iter().map(|(id, pin)| with(look, id, pin)).collect())
}

/// The same for the rows of these entries, each of which has one.
pub(super) fn fill(look: Option<&Look>, entries: &[Entry], pins: Vec<Pin>) -> Vec<Pin> {
    if pins.len() != entries.len() {
        return pins;
    }
    entries.iter().zip(pins).map(|(entry, pin)| with(look, entry.id(), pin)).collect()
}

fn with(look: Option<&Look>, id: u64, pin: Pin) -> Pin {
    let Some((accesses, last, hotness, class)) = look.and_then(|look| look.brief(id)) else { return pin };
    Pin {
        access_count: Some(accesses),
        last_access: last.and_then(time).map(crate::time::text),
        hotness: Some(hotness),
        pattern: Some(class.name().to_owned()),
        ..pin
    }
}
