//! What keeps CIDs: a pin, the directory of MFS that they are in, or what somebody has looked up before.

use super::known::Said;
use crate::cid::{Cid, Key};
use crate::index::apply::State;
use crate::index::error::IndexError;
use crate::index::rows::{cid, fill_temp};
use crate::index::vfs::Place;
use arrow_array::{BinaryArray, StringArray};
use duckdb::Connection;
use jiff::Timestamp;
use proto_msgs::access::Keeper;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Places in MFS that are looked at for one CID.
const PLACES: u32 = 4;
/// Directories above a place that are looked at, the nearest first.
const ABOVE: usize = 64;

/// What keeps a CID.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) keeper: Keeper,
    /// The pin, where that is another CID.
    pub(super) pin: Option<Cid>,
}

/// What keeps these, within a transaction.
pub(super) fn of(
    connection: &Connection,
    state: &State,
    cids: HashMap<Key, Cid>,
    now: Timestamp,
) -> Result<HashMap<Key, Held>, IndexError> {
    let mut held = HashMap::with_capacity(cids.len());
    let mut open = HashMap::new();
    for (key, cid) in cids {
        match (pinned(state, &cid), state.accesses.look(&key, state.generation(), now)) {
            (Some(keeper), _) => drop(held.insert(key, keeper)),
            (None, Some(Said::Inside(pin))) if state.pin_of(&pin).is_some() => {
                held.insert(key, Held { keeper: Keeper::Inside, pin: Some(pin) });
            }
            (None, said) => {
                let nothing = matches!(said, Some(Said::Nothing));
                held.insert(key, Held { keeper: if nothing { Keeper::Nothing } else { Keeper::Unknown }, pin: None });
                open.insert(key, cid);
            }
        }
    }
    held.extend(in_mfs(connection, state, &open)?);
    Ok(held)
}

/// Says that it is pinned itself, if it is.
pub(super) fn pinned(state: &State, of: &Cid) -> Option<Held> {
    let pin = state.pin_of(of)?;
    Some(Held { keeper: Keeper::Pin, pin: Some(pin).filter(|pin| pin != of) })
}

/// What MFS has of these: within the nearest directory that is pinned, else in MFS alone.
fn in_mfs(connection: &Connection, state: &State, cids: &HashMap<Key, Cid>) -> Result<HashMap<Key, Held>, IndexError> {
    let entries: i64 = connection.query_row("SELECT count(*) FROM vfs", [], |row| row.get(0))?;
    if entries == 0 || cids.is_empty() {
        return Ok(HashMap::new());
    }
    let blobs = BinaryArray::from_iter_values(cids.values().map(|cid| cid.to_bytes()));
    fill_temp(connection, "asked(cid BLOB NOT NULL)", vec![Arc::new(blobs)])?;
    let mut statement = connection.prepare(&format!(
        "SELECT v.cid, v.parent, v.name FROM vfs v JOIN asked USING (cid)
         QUALIFY row_number() OVER (PARTITION BY v.cid ORDER BY v.parent, v.name) <= {PLACES}"
    ))?;
    let found = statement.query_map([], |row| {
        Ok((Key::of(&cid(row, 0)?), Place { parent: row.get::<_, String>(1)?.into(), name: row.get(2)? }))
    })?;
    let found = found.collect::<duckdb::Result<Vec<_>>>()?;
    let directories = directories(connection, state, &found)?;
    let mut held = HashMap::new();
    for (key, place) in found {
        let within = above(&place).find_map(|place| directories.get(&place));
        let entry = held.entry(key).or_insert(Held { keeper: Keeper::Mfs, pin: None });
        if let (Keeper::Mfs, Some(pin)) = (entry.keeper, within) {
            *entry = Held { keeper: Keeper::Inside, pin: Some(*pin) };
        }
    }
    Ok(held)
}

/// The directories above these places that are pinned.
fn directories(
    connection: &Connection,
    state: &State,
    found: &[(Key, Place)],
) -> Result<HashMap<Place, Cid>, IndexError> {
    let places: HashSet<Place> = found.iter().flat_map(|(_, place)| above(place)).collect();
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let places: Vec<Place> = places.into_iter().collect();
    fill_temp(
        connection,
        "above(parent VARCHAR NOT NULL, name VARCHAR NOT NULL)",
        vec![
            Arc::new(StringArray::from_iter_values(places.iter().map(|place| &*place.parent))),
            Arc::new(StringArray::from_iter_values(places.iter().map(|place| &place.name))),
        ],
    )?;
    let mut statement =
        connection.prepare("SELECT v.parent, v.name, v.cid FROM vfs v JOIN above USING (parent, name)")?;
    let rows = statement.query_map([], |row| {
        Ok((Place { parent: row.get::<_, String>(0)?.into(), name: row.get(1)? }, cid(row, 2)?))
    })?;
    let mut pinned = HashMap::new();
    for row in rows {
        let (place, cid) = row?;
        if let Some(pin) = state.pin_of(&cid) {
            pinned.insert(place, pin);
        }
    }
    Ok(pinned)
}

/// The directories above a place, the nearest first.
fn above(place: &Place) -> impl Iterator<Item = Place> + use<> {
    std::iter::successors(Place::of(&place.parent), |place| Place::of(&place.parent)).take(ABOVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directories_above_a_place_end_with_the_root() {
        let paths = |path: &str| -> Vec<String> {
            above(&Place::of(path).expect("a path")).map(|place| place.path()).collect()
        };
        assert_eq!(paths("/a/b/c"), ["/a/b", "/a", "/"]);
        assert_eq!(paths("/a"), ["/"]);
        assert_eq!(paths("/"), [] as [&str; 0]);
    }
}
