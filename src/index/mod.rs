//! The pin index.
pub mod set;
