//! Where accesses come from.
//!
//! ```text
//! recorder  what all sources tell, on its way into the index
//! ```

pub mod recorder;
