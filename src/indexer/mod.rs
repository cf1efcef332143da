//! The refresh: keeps the index equal to Kubo's pins.
//!
//! ```text
//! actor     when, one at a time; who waits for it
//! cycle     one refresh: list, compare, and only on a difference parse, diff, confirm, apply
//! listing   Kubo's answer as sums (cheap) or as pins (dear)
//! names     the names of what a listing without names has found new
//! diff      what a listing changes, and which absence counts (pure)
//! mfs       the lane beside it: when MFS is looked at, and what a walk of it asks Kubo and tells the index
//! tree      what one entry of a listed directory means for the index (pure)
//! pace      when the next one is due (pure)
//! node_state  the node itself, now and then, by an actor of its own
//! enrich    what pins are and how large, in lanes of their own
//! ```

pub mod actor;
pub mod cycle;
pub mod diff;
pub mod enrich;
pub mod listing;
pub mod mfs;
pub mod names;
pub mod node_state;
pub mod pace;
pub mod tree;
