//! What Kubo's log of requests says of reads: which requests are new, which of them read content, and what. Ours are left out.
//!
//! Kubo numbers requests from 0 at each start, and drops those that were answered some time ago. So where reading has come to is the
//! number of the newest request and the latest start of any: what has a higher number or started later is new. In the same run of Kubo
//! a number says it; after a restart all have started later; and a log whose highest number, which is our own question's, is not above
//! the known one is another run's, whatever the clock says.

use super::content::{Named, Subject, argument};
use crate::kubo::requests::{OURS, Request};
use jiff::Timestamp;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// Where reading has come to; as text `2026-11-22T05:40:00.123456789Z/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    latest: Timestamp,
    id: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.latest, self.id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Cursor, ()> {
        let (latest, id) = text.split_once('/').ok_or(())?;
        Ok(Cursor { latest: latest.parse().map_err(|_| ())?, id: id.parse().map_err(|_| ())? })
    }
}

/// The new requests of a log, and where reading has come to with them; `None`: where it was, since the log is empty.
pub fn new(known: Option<Cursor>, log: &[Request]) -> (Vec<&Request>, Option<Cursor>) {
    let Some(highest) = log.iter().map(|request| request.id).max() else { return (Vec::new(), None) };
    let known = known.filter(|known| highest > known.id);
    let fresh =
        |request: &&Request| known.is_none_or(|known| request.id > known.id || request.start_time > known.latest);
    let fresh: Vec<&Request> = log.iter().filter(fresh).collect();
    let starts = fresh.iter().map(|request| request.start_time).chain(known.map(|known| known.latest));
    let latest = starts.max().unwrap_or(Timestamp::UNIX_EPOCH);
    (fresh, Some(Cursor { latest, id: highest }))
}

/// What one read was about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Content.
    Named(Named),
    /// What stands at this path of MFS.
    Mfs(String),
    /// Something that nobody can tell afterwards: a name of IPNS, or nonsense.
    Unknown,
}

/// What a request has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub about: About,
    /// The command.
    pub op: &'static str,
    /// Bytes that were asked for: what was there may have been less.
    pub bytes: Option<u64>,
    /// The first of them.
    pub offset: Option<u64>,
}

/// Commands that read content, those of older Kubos among them. What only looks at a block (`files/stat`, `block/stat`, `dag/stat`,
/// `resolve`) or at what is there (`refs/local`, `files/ls`) is none.
const READS: [&str; 13] = [
    "cat",
    "get",
    "ls",
    "refs",
    "dag/get",
    "dag/export",
    "block/get",
    "files/read",
    "object/get",
    "object/data",
    "object/links",
    "file/ls",
    "tar/cat",
];

/// What a request has read: nothing, unless it is a read and not ours. A read without an argument that is seen is of something unknown.
pub fn wanted(request: &Request) -> Vec<Wanted> {
    let command = request.command.trim_matches('/');
    let Some(op) = READS.into_iter().find(|read| *read == command) else { return Vec::new() };
    if request.options.contains_key(OURS) {
        return Vec::new();
    }
    // Of several files they are about all of them together.
    let one = request.args.len() == 1;
    let number =
        |names: &[&str]| names.iter().find_map(|name| request.options.get(*name).and_then(whole)).filter(|_| one);
    let (offset, bytes) = match op {
        "cat" => (number(&["offset", "o"]), number(&["length", "l"])),
        "files/read" => (number(&["offset", "o"]), number(&["count", "n"])),
        _ => (None, None),
    };
    let about = |text: &String| match argument(text) {
        Subject::Named(named) if op != "files/read" => About::Named(named),
        _ if op == "files/read" => About::Mfs(text.clone()),
        _ => About::Unknown,
    };
    if request.args.is_empty() {
        return vec![Wanted { about: About::Unknown, op, bytes: None, offset: None }];
    }
    request.args.iter().map(|arg| Wanted { about: about(arg), op, bytes, offset }).collect()
}

/// Whether it has read a path of MFS.
pub fn in_mfs(request: &Request) -> bool {
    wanted(request).iter().any(|read| matches!(read.about, About::Mfs(_)))
}

/// A number that is not below zero, also as a text.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|number| *number < 1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid;
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use serde_json::json;

    const CID: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_326_000 + second).expect("a time")
    }

    fn request(id: u64, second: i64, command: &str, args: &[&str]) -> Request {
        Request {
            id,
            command: command.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            options: [("encoding".to_owned(), json!("json"))].into(),
            start_time: at(second),
            end_time: at(second),
            active: false,
        }
    }

    fn ids(new: &[&Request]) -> Vec<u64> {
        new.iter().map(|request| request.id).collect()
    }

    #[test]
    fn a_request_is_new_once_though_the_log_shows_it_again_and_again() {
        let log: Vec<Request> = (0..6).map(|n| request(n, n.cast_signed(), "cat", &[CID])).collect();
        let (first, cursor) = new(None, &log[..3]);
        assert_eq!(ids(&first), [0, 1, 2]);
        let again: Option<Cursor> = cursor.map(|cursor| cursor.to_string().parse().expect("as it was written"));
        assert_eq!(again, cursor);
        let (second, cursor) = new(cursor, &log[1..5]);
        assert_eq!(ids(&second), [3, 4]);
        let (third, cursor) = new(cursor, &log[5..]);
        assert_eq!(ids(&third), [5], "all others were dropped");
        assert_eq!(new(cursor, &log[3..]).0.len(), 6 - 3, "a log without anything newer than known is another run's");
    }

    #[test]
    fn after_a_restart_of_kubo_its_numbers_begin_again_and_all_of_them_are_new() {
        let (_, cursor) = new(None, &[request(40, 100, "diag/cmds", &[])]);
        let short: Vec<Request> = (0..3).map(|n| request(n, 200 + n.cast_signed(), "cat", &[CID])).collect();
        assert_eq!(ids(&new(cursor, &short).0), [0, 1, 2]);
        let long: Vec<Request> = (0..50).map(|n| request(n, 200 + n.cast_signed(), "cat", &[CID])).collect();
        assert_eq!(new(cursor, &long).0.len(), 50, "also when it has gone past the known number");
        let set_back: Vec<Request> = (0..3).map(|n| request(n, n.cast_signed(), "cat", &[CID])).collect();
        assert_eq!(new(cursor, &set_back).0.len(), 3, "also when the clock was set back");
    }

    #[test]
    fn requests_that_came_at_one_time_are_all_counted_whatever_order_they_were_numbered_in() {
        let (_, cursor) = new(None, &[request(7, 10, "diag/cmds", &[])]);
        let log = [request(7, 10, "diag/cmds", &[]), request(8, 9, "cat", &[CID]), request(9, 12, "diag/cmds", &[])];
        let (fresh, cursor) = new(cursor, &log);
        assert_eq!(ids(&fresh), [8, 9]);
        let later = [log[1].clone(), request(10, 14, "diag/cmds", &[])];
        assert_eq!(ids(&new(cursor, &later).0), [10]);
    }

    #[test]
    fn an_empty_log_moves_nothing() {
        assert_eq!(new(None, &[]), (Vec::new(), None));
    }

    #[test]
    fn reads_are_told_from_everything_else_and_from_our_own() {
        let read = |command: &str| wanted(&request(1, 0, command, &[CID])).len();
        for command in READS.iter().filter(|command| **command != "files/read") {
            assert_eq!(read(command), 1, "{command}");
        }
        assert_eq!(read("/cat/"), 1);
        for command in ["add", "pin/ls", "files/stat", "dag/stat", "refs/local", "diag/cmds", "block/stat", ""] {
            assert_eq!(read(command), 0, "{command}");
        }
        let mut ours = request(1, 0, "ls", &[CID]);
        ours.options.insert(OURS.to_owned(), json!("true"));
        assert_eq!(wanted(&ours), Vec::new());
    }

    #[test]
    fn an_argument_becomes_a_cid_with_its_path_and_a_range() {
        let mut ranged = request(1, 0, "cat", &[&format!("/ipfs/{CID}/a/b")]);
        ranged.options.extend([("offset".to_owned(), json!(100)), ("length".to_owned(), json!("12"))]);
        let named = Named { cid: cid::parse(CID).expect("a CID"), path: Some("a/b".to_owned()) };
        let expected = Wanted { about: About::Named(named), op: "cat", bytes: Some(12), offset: Some(100) };
        assert_eq!(wanted(&ranged), [expected]);
        ranged.args.push(CID.to_owned());
        let both = wanted(&ranged);
        assert!(both.len() == 2 && both.iter().all(|one| one.offset.is_none() && one.bytes.is_none()), "{both:?}");
    }

    #[test]
    fn what_a_name_stood_for_and_what_the_log_does_not_show_is_unknown() {
        for args in [&["/ipns/example.org"][..], &["nonsense"], &[]] {
            let about: Vec<About> = wanted(&request(1, 0, "cat", args)).into_iter().map(|read| read.about).collect();
            assert_eq!(about, [About::Unknown], "{args:?}");
        }
        let read = wanted(&request(1, 0, "files/read", &["/photos/cat.jpg"]));
        assert_eq!(read[0].about, About::Mfs("/photos/cat.jpg".to_owned()));
    }

    proptest! {
        /// Any order of looks, with what Kubo drops in between, and with restarts: each request is counted at most once, and all
        /// that a look shows are.
        #[test]
        fn every_request_that_is_shown_is_counted_once(runs in prop::collection::vec(prop::collection::vec(0usize..5, 1..12), 1..4)) {
            let (mut cursor, mut counted, mut shown, mut now) = (None, Vec::new(), std::collections::BTreeSet::new(), 0);
            for (run, looks) in runs.iter().enumerate() {
                let mut log: Vec<Request> = Vec::new();
                let mut id = 0;
                for kept in looks {
                    for _ in 0..3 {
                        log.push(request(id, now, "cat", &[CID]));
                        (id, now) = (id + 1, now + 1);
                    }
                    // Our own question is always there.
                    log.drain(..log.len().saturating_sub(kept + 1));
                    let (fresh, to) = new(cursor, &log);
                    counted.extend(fresh.iter().map(|request| (run, request.id)));
                    shown.extend(log.iter().map(|request| (run, request.id)));
                    cursor = to;
                }
                now += SignedDuration::from_secs(10).as_secs();
            }
            counted.sort_unstable();
            prop_assert_eq!(counted, shown.into_iter().collect::<Vec<_>>());
        }
    }
}
