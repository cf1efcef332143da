//! What the writer knows of accesses without asking the file. It changes only after a commit.

use super::read;
use crate::cid::{Cid, Key};
use crate::index::rows;
use crate::index::set::Keyed;
use duckdb::Connection;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, HashSet};

/// Look-ups that are remembered; beyond, the oldest tenth is forgotten.
const LOOKED: usize = 50_000;
/// While pins come and go, what keeps nothing is looked for again after this time.
const NOTHING: SignedDuration = SignedDuration::from_hours(1);

/// The name under which the cursor of what applications record is kept.
pub(super) const RECORD: &str = "record";

/// What the writer knows.
pub(in crate::index) struct Known {
    /// The newest number.
    pub(super) seq: u64,
    /// Rows that are kept.
    pub(super) rows: u64,
    /// With fewer rows it is not tried again to let some go.
    pub(super) prune_from: u64,
    /// What applications have called what they told of late, hashed.
    pub(super) batches: HashSet<u128>,
    /// When old ones of these were forgotten.
    pub(super) forgot: Option<Timestamp>,
    /// The earliest access that an application told of.
    pub(super) recorded_since: Option<Timestamp>,
    looked: HashMap<Key, Looked>,
}

/// What was looked up of a CID.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    /// The pin that it is within; `None`: nothing was found.
    pub(super) pin: Option<Box<[u8]>>,
    /// When.
    pub(super) at: Timestamp,
    /// The generation of the pin set in which it was looked for.
    pub(super) generation: u64,
}

/// What a look-up says now.
pub(super) enum Said {
    /// It is within this pin, if that is one still.
    Inside(Cid),
    /// Nothing keeps it.
    Nothing,
}

impl Known {
    /// As the file has it.
    pub(in crate::index) fn load(connection: &Connection, keyed: &Keyed) -> duckdb::Result<Known> {
        let (rows, seq) = connection.query_row(
            "SELECT count(*), greatest(coalesce(max(seq), 0), (SELECT max(begin) FROM access_meta)) FROM access",
            [],
            |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned())),
        )?;
        let mut statement =
            connection.prepare("SELECT cid, pin, epoch_us(looked_at), generation FROM access_keeper")?;
        let looked = statement.query_map([], |row| {
            let looked = Looked {
                pin: row.get::<_, Option<Vec<u8>>>(1)?.map(Vec::into_boxed_slice),
                at: Timestamp::from_microsecond(row.get(2)?).unwrap_or(Timestamp::UNIX_EPOCH),
                generation: row.get::<_, i64>(3)?.cast_unsigned(),
            };
            Ok((Key::of(&rows::cid(row, 0)?), looked))
        })?;
        Ok(Known {
            seq,
            rows,
            prune_from: 0,
            batches: batches(connection, keyed)?,
            forgot: None,
            recorded_since: read::cursor_of(connection, RECORD)?.map(|cursor| cursor.since),
            looked: looked.collect::<duckdb::Result<_>>()?,
        })
    }

    /// What was looked up of a CID, as far as it still says anything.
    pub(super) fn look(&self, key: &Key, generation: u64, now: Timestamp) -> Option<Said> {
        let looked = self.looked.get(key)?;
        match &looked.pin {
            Some(pin) => Cid::try_from(&pin[..]).ok().map(Said::Inside),
            // Any new pin may have it within.
            None => {
                let fresh = looked.generation == generation || now.duration_since(looked.at).abs() < NOTHING;
                fresh.then_some(Said::Nothing)
            }
        }
    }

    /// Takes what was looked up; answers up to which time look-ups are forgotten, if there are too many.
    pub(super) fn remember(&mut self, looked: impl Iterator<Item = (Key, Looked)>) -> Option<Timestamp> {
        self.looked.extend(looked);
        if self.looked.len() <= LOOKED {
            return None;
        }
        let mut times: Vec<Timestamp> = self.looked.values().map(|looked| looked.at).collect();
        let (_, last, _) = times.select_nth_unstable(LOOKED / 10);
        let last = *last;
        self.looked.retain(|_, looked| looked.at > last);
        Some(last)
    }
}

/// What applications have called what they told, hashed.
pub(super) fn batches(connection: &Connection, keyed: &Keyed) -> duckdb::Result<HashSet<u128>> {
    let mut statement = connection.prepare("SELECT name FROM access_batch")?;
    let names = statement.query_map([], |row| Ok(keyed.text_hash(row.get_ref(0)?.as_str()?)))?;
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::schema;

    fn known() -> Known {
        let connection = Connection::open_in_memory().expect("in memory");
        schema::create(&connection, 0).expect("tables");
        Known::load(&connection, &Keyed::random()).expect("loaded")
    }

    fn cid(n: u32) -> Cid {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&n.to_be_bytes());
        Cid::new_v1(0x55, cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).expect("a time")
    }

    #[test]
    fn what_nothing_kept_is_looked_for_again_when_pins_have_come_and_an_hour_has_gone() {
        let mut known = known();
        let looked = |pin: Option<Cid>| Looked { pin: pin.map(|pin| pin.to_bytes().into()), at: at(0), generation: 7 };
        let keys = [Key::of(&cid(1)), Key::of(&cid(2))];
        assert_eq!(known.remember([(keys[0], looked(None)), (keys[1], looked(Some(cid(9))))].into_iter()), None);
        let nothing = |generation, second| matches!(known.look(&keys[0], generation, at(second)), Some(Said::Nothing));
        assert!(nothing(7, 0) && nothing(7, 360_000) && nothing(8, 3599));
        assert!(!nothing(8, 3600), "another pin may have it by now");
        assert!(matches!(known.look(&keys[1], 8, at(360_000)), Some(Said::Inside(pin)) if pin == cid(9)));
        assert!(known.look(&Key::of(&cid(3)), 7, at(0)).is_none());
    }

    #[test]
    fn only_so_many_look_ups_are_remembered_and_the_oldest_go_first() {
        let mut known = known();
        let looked = |n: u32| (Key::of(&cid(n)), Looked { pin: None, at: at(n.into()), generation: 0 });
        let most = u32::try_from(LOOKED).expect("small");
        assert_eq!(known.remember((0..most).map(looked)), None);
        assert_eq!(known.remember([looked(most)].into_iter()), Some(at(i64::from(most) / 10)));
        assert!(known.look(&Key::of(&cid(0)), 0, at(0)).is_none());
        assert!(known.look(&Key::of(&cid(most)), 0, at(0)).is_some());
    }
}
