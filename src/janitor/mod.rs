//! The lock janitor: says of each lock file of the repo whether it is live, by asking the kernel.
//!
//! `evidence` looks and touches nothing, `verdict` judges (pure), `actor` looks on a slow timer and publishes. Kubo's start asks
//! [`evidence::start_is_blocked`] itself. Nothing is ever removed or changed here.

pub mod actor;
pub mod evidence;
pub mod verdict;
