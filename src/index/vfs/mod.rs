//! The tree of MFS in the index: `apply` is what the writer does to it, a batch a transaction, `read` what readers ask of it, and
//! `known` one directory of it in memory.
//!
//! A row names its directory by path, so that a directory's entries and everything below it are ranges of one column, which
//! DuckDB scans in milliseconds at a million rows and without an index. A directory's `state` makes a walk that ended anywhere
//! go on from there: only a [`State::Whole`] one with the same CID is passed over.

pub mod apply;
pub mod known;
pub mod read;

use crate::cid::Cid;
use jiff::Timestamp;
use proto_msgs::pin::ContentKind;
use proto_msgs::vfs::VfsOp;
use std::collections::HashMap;
use std::sync::Arc;

/// What a row of the journal has for its `op` that is no line and tells nobody anything.
const LOST: u8 = 4;

/// How far an entry has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A directory that is read for the first time.
    Loading,
    /// All that is below it is here; of anything but a directory: it was looked at.
    Whole,
    /// Its block, or a block of the directory, is not here.
    Unread,
    /// A directory whose CID has changed, while it is being compared.
    Stale,
}

impl State {
    fn code(self) -> u8 {
        match self {
            State::Loading => 0,
            State::Whole => 1,
            State::Unread => 2,
            State::Stale => 3,
        }
    }

    fn of(code: u8) -> State {
        match code {
            0 => State::Loading,
            1 => State::Whole,
            2 => State::Unread,
            _ => State::Stale,
        }
    }
}

/// Where an entry stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The path of its directory.
    pub parent: Arc<str>,
    /// Its name there.
    pub name: String,
}

impl Place {
    /// The root, which is in no directory.
    pub fn root() -> Place {
        Place { parent: "".into(), name: String::new() }
    }

    /// Where a path leads, read as Kubo reads one; `None` when it does not begin with a slash.
    pub fn of(path: &str) -> Option<Place> {
        let mut names: Vec<&str> = Vec::new();
        for name in path.strip_prefix('/')?.split('/') {
            match name {
                "" | "." => {}
                ".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        Some(match names.pop() {
            None => Place::root(),
            Some(name) => Place { parent: format!("/{}", names.join("/")).into(), name: name.to_owned() },
        })
    }

    /// Its path.
    pub fn path(&self) -> String {
        match &*self.parent {
            "" => "/".to_owned(),
            "/" => format!("/{}", self.name),
            parent => format!("{parent}/{}", self.name),
        }
    }
}

/// An entry as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// What stands there.
    pub cid: Cid,
    /// What it is; `None` when its block is not here.
    pub kind: Option<ContentKind>,
    /// Bytes of a file.
    pub size: Option<u64>,
    /// How far it was read.
    pub state: State,
}

/// What one transaction does.
#[derive(Clone, Debug, Default)]
pub struct VfsBatch {
    /// Entries as they are to be, `None` when they are gone, with all below them; and whether the journal is to tell.
    pub entries: HashMap<Place, (Option<Put>, bool)>,
    /// Directories that were read to their end, or can't be: then what was below them is dropped. Only while they still have
    /// this CID.
    pub settled: Vec<(Place, Cid, State)>,
    /// With it the tree is what MFS held at this time.
    pub finished: Option<Timestamp>,
}

/// What the tree has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VfsCounts {
    /// Entries, with the root.
    pub entries: u64,
    /// Those whose blocks are not here.
    pub unread: u64,
    /// When it last was what MFS held.
    pub as_of: Option<Timestamp>,
}

/// An entry as the tree has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// What.
    pub put: Put,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub seq: u64,
    /// When the change was seen.
    pub at: Timestamp,
    /// What happened.
    pub op: VfsOp,
    /// Where.
    pub path: String,
    /// What stands there now.
    pub cid: Option<Cid>,
    /// What stood there before.
    pub before: Option<Cid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_where_it_leads_in_kubo() {
        let read = |path: &str| Place::of(path).map(|place| place.path());
        for (path, leads) in
            [("/", "/"), ("//", "/"), ("/a", "/a"), ("/a/b/", "/a/b"), ("//a//./b", "/a/b"), ("/a/../../b", "/b")]
        {
            assert_eq!(read(path).as_deref(), Some(leads), "{path}");
        }
        assert_eq!(Place::of("/a").map(|place| place.parent), Some("/".into()));
        assert_eq!((read(""), read("a/b")), (None, None));
    }
}
