//! Figures over all pins.

pub mod actor;
pub mod hotness;
pub mod score;
