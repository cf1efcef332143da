//! Enrichment: what pins are and how large, measured once for ever, from Kubo's own blocks and never from the network.
//!
//! ```text
//! actor     two lanes, one for each look
//! lane      goes through the pins that lack a look, within its share of time
//! judge     what a CID tells by itself, and what Kubo's answers mean (pure)
//! misses    who is tried again, and when (pure)
//! ```
//! The first lane looks at the root block alone and is quick; the second has Kubo read every block, behind the first, one DAG
//! at a time. Each goes by the ids, which rise and are never used again, so that a pin is met once and nothing is scanned while
//! nothing changes. Both begin no look while a refresh is under way.

pub mod actor;
pub mod judge;
pub mod lane;
pub mod misses;
