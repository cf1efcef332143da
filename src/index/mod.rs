//! The pin index: what Kubo pins, durable in DuckDB, quick in memory.
//!
//! ```text
//! actor     the front: messages in, faults out; a restarted one attaches to the same store
//! store     the threads that own the one open handle: one writer, two readers, one for exports
//! open      how the file is opened, and what happens to a damaged one
//! damage    what is met later, for the next start to know
//! migrate   the file of an older version, brought to this one in a copy
//! apply     what the writer does: listings and single changes, one transaction each
//! rows      the statements of such a transaction
//! marks     what people say of CIDs: journal first, then the file
//! mark      what a mark is (pure)
//! journal   the file that keeps marks for ever; record has its form (pure)
//! query     what the readers do
//! listing   rows of pins: columns as readers see them, and what is made of those
//! listed    all rows of a small index, as they were listed last
//! pages     the rows of a listing, page by page, as its reader takes them
//! export    whole tables, streamed
//! recover   what a new file begins with
//! refill    the way back: tables out of what was exported
//! restore   a backup in the place of what there is
//! verify    a look at everything, and the giving back of room
//! sound     what is true of every sound index
//! history   what they do about the past
//! reply     what an answer says besides its rows
//! frozen    the same answers from a snapshot, without the file
//! info      what they say of the file
//! held      all pins as analytics look at them
//! seen      what analytics has seen of pins, into their rows
//! disk      the disk of the repo, evenly over time
//! prune     what is forgotten
//! sizes     which pins lack a size, and what was measured
//! legacy    what was imported from files of the old system
//! state     what was measured of the node, by time
//! error     why something is not done
//! fault     what that means to whoever asked
//! schema    tables and settings
//! set       the current pins in memory, immutable
//! fresh     which rows a copy of the table still answers for
//! vfs       the tree of MFS: changes in batches, and what is asked of it
//! access    what was read, who has seen it, and which pin keeps it
//! ```
//! Nothing else in this process may open the file, not even to read it: POSIX locks drop at the first close.

pub mod access;
pub mod actor;
pub mod apply;
mod damage;
pub mod disk;
pub mod error;
pub mod export;
pub(crate) mod fault;
pub mod fresh;
pub mod frozen;
pub mod held;
pub mod history;
pub mod info;
pub mod journal;
pub mod legacy;
mod listed;
pub mod listing;
pub mod mark;
pub mod marks;
mod migrate;
pub mod open;
mod pages;
pub mod prune;
pub mod query;
pub mod record;
mod recover;
mod refill;
pub mod reply;
pub mod restore;
mod rows;
pub mod schema;
mod seen;
pub mod set;
pub mod sizes;
mod sound;
pub mod state;
pub mod store;
pub mod verify;
pub mod vfs;
