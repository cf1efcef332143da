//! The state of the node: what Kubo and the machine are like, measured every minute while Kubo is ready, kept for a month.
//!
//! ```text
//! actor     keeps the sampler and the keeper going
//! sampler   measures, on a pace of its own
//! machine   what the machine says of itself
//! rates     what two samples of the same run tell together (pure)
//! shelf     samples that wait to be written, and when they are (pure)
//! keeper    writes them to the index and to `program_state`, in batches
//! ```
//! Nothing waits for it, and it waits for nobody: every question has a deadline of its own, and what is not answered is unknown.

pub mod actor;
mod keeper;
mod machine;
pub mod rates;
mod sampler;
pub mod shelf;
