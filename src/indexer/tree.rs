//! What one entry of a listed directory means for the index. Pure.
//!
//! ```text
//!                 new                     all below it is applied
//!   (nothing) ──────────► Loading ───────────────────────────────► Whole
//!                            │                                     ▲   │ another CID
//!                            │ a block is not here                 │   ▼
//!                          Unread ◄────────────────────────────── Stale
//! ```
//! A directory whose blocks were not here goes from `Unread` to `Whole` in one, which the journal is told as if it were new.
//! Only a directory that is `Whole` under the same CID is passed over, so a walk that ended anywhere goes on from there. The
//! journal is told of an entry unless its directory is `Loading`: then the directory's own line has told it.

use crate::index::vfs::State;
use crate::index::vfs::known::KnownEntry;
use proto_msgs::pin::ContentKind;

/// How a directory is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The index has entries of it, which are to be compared.
    pub known: bool,
    /// Its entries are no news for the journal.
    pub quiet: bool,
}

impl Visit {
    const NEW: Visit = Visit { known: false, quiet: true };
    const LOADING: Visit = Visit { known: true, quiet: true };
    const STALE: Visit = Visit { known: true, quiet: false };
}

/// What is to be done about an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The row is to be written, with this state; whether the journal is told where the CID is another one.
    pub put: Option<(State, bool)>,
    /// It is a directory that is to be read.
    pub visit: Option<Visit>,
}

impl Step {
    /// Nothing.
    pub const NONE: Step = Step { put: None, visit: None };
}

/// Compares what the index has with what the listing says: whether the CIDs are equal, and what Kubo measured.
pub fn step(
    old: Option<&KnownEntry>,
    same_cid: bool,
    kind: Option<ContentKind>,
    size: Option<u64>,
    in_quiet: bool,
) -> Step {
    if kind != Some(ContentKind::Directory) {
        let state = if kind.is_some() { State::Whole } else { State::Unread };
        let equal = old.is_some_and(|old| same_cid && (old.kind(), old.size(), old.state) == (kind, size, state));
        return if equal { Step::NONE } else { Step { put: Some((state, !in_quiet)), visit: None } };
    }
    let put = |state, visit| Step { put: Some((state, !in_quiet)), visit: Some(visit) };
    let go_on = |visit| Step { put: None, visit: Some(visit) };
    let Some(old) = old else { return put(State::Loading, Visit::NEW) };
    let stale = Visit { quiet: in_quiet, ..Visit::STALE };
    match (old.state, same_cid) {
        // Nobody could tell that it is a directory.
        (State::Unread, true) if old.kind() != kind => put(State::Unread, Visit::NEW),
        _ if old.kind() != kind => put(State::Loading, Visit::NEW),
        (State::Whole, true) => Step::NONE,
        (State::Loading, true) => go_on(Visit::LOADING),
        (State::Stale, true) => go_on(stale),
        // What is below it was dropped, or is of this CID.
        (State::Unread, true) => go_on(Visit::NEW),
        (State::Whole | State::Stale, false) => put(State::Stale, stale),
        (State::Loading | State::Unread, false) => put(State::Loading, Visit::LOADING),
    }
}

/// Whether an entry can be named by a path. Names come from whoever made the directory.
pub fn has_path(parent: &str, name: &str) -> bool {
    const LONGEST: usize = 4096;
    !matches!(name, "" | "." | "..") && !name.contains('/') && parent.len() + 1 + name.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid;
    use crate::index::vfs::Put;
    use crate::index::vfs::known::Known;

    fn old(kind: Option<ContentKind>, size: Option<u64>, state: State) -> KnownEntry {
        let cid = cid::parse("bafkqaaa").expect("a CID");
        Known::default().entry(&Put { cid, kind, size, state })
    }

    const DIR: Option<ContentKind> = Some(ContentKind::Directory);
    const FILE: Option<ContentKind> = Some(ContentKind::File);

    #[test]
    fn an_entry_that_is_as_it_was_is_left_alone_and_a_whole_directory_is_not_read() {
        assert_eq!(step(Some(&old(FILE, Some(3), State::Whole)), true, FILE, Some(3), false), Step::NONE);
        assert_eq!(step(Some(&old(DIR, None, State::Whole)), true, DIR, None, false), Step::NONE);
        assert_eq!(step(Some(&old(None, None, State::Unread)), true, None, None, false), Step::NONE);
    }

    #[test]
    fn a_walk_that_ended_early_goes_on_below_what_it_had_begun() {
        let begun = |state| step(Some(&old(DIR, None, state)), true, DIR, None, false);
        assert_eq!(begun(State::Loading), Step { put: None, visit: Some(Visit::LOADING) });
        assert_eq!(begun(State::Stale), Step { put: None, visit: Some(Visit::STALE) });
        assert_eq!(begun(State::Unread), Step { put: None, visit: Some(Visit::NEW) });
    }

    #[test]
    fn the_journal_is_told_of_a_new_directory_and_not_of_what_is_in_it() {
        let new = step(None, false, DIR, None, false);
        assert_eq!(new, Step { put: Some((State::Loading, true)), visit: Some(Visit::NEW) });
        assert_eq!(step(None, false, FILE, Some(1), true).put, Some((State::Whole, false)));
        let changed = step(Some(&old(DIR, None, State::Whole)), false, DIR, None, false);
        assert_eq!(changed, Step { put: Some((State::Stale, true)), visit: Some(Visit::STALE) });
        let while_loading = step(Some(&old(DIR, None, State::Loading)), false, DIR, None, false);
        assert_eq!(while_loading.visit, Some(Visit::LOADING), "its entries were never told");
    }

    #[test]
    fn a_file_in_a_directorys_place_and_a_block_that_is_back_are_written_anew() {
        assert_eq!(
            step(Some(&old(DIR, None, State::Whole)), false, FILE, Some(1), false).put,
            Some((State::Whole, true))
        );
        let back = step(Some(&old(None, None, State::Unread)), true, FILE, Some(1), false);
        assert_eq!(back.put, Some((State::Whole, true)));
        let back = step(Some(&old(None, None, State::Unread)), true, DIR, None, false);
        assert_eq!(back, Step { put: Some((State::Unread, true)), visit: Some(Visit::NEW) });
    }

    #[test]
    fn names_that_would_make_another_path_are_left_out() {
        assert!(has_path("/", "a b\n") && has_path("/a", "ü"));
        for name in ["", ".", "..", "a/b", &"x".repeat(5000)] {
            assert!(!has_path("/", name), "{name:?}");
        }
    }
}
