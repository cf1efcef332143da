//! Figures over all pins.

pub mod actor;
