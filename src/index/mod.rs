//! The pin index: what Kubo pins, durable in DuckDB, quick in memory.
//!
//! ```text
//! actor     the front: messages in, faults out; a restarted one attaches to the same store
//! store     the threads that own the one open handle: one writer, two readers
//! apply     what the writer does: listings and single changes, one transaction each
//! query     what the readers do
//! schema    tables and settings
//! set       the current pins in memory, immutable
//! ```
//! Nothing else in this process may open the file, not even to read it: POSIX locks drop at the first close.

pub mod actor;
pub mod apply;
pub mod query;
pub mod schema;
pub mod set;
pub mod store;
