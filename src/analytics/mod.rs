//! Figures over all pins.

pub mod actor;
pub mod disk;
pub mod evidence;
pub mod forecast;
pub mod hotness;
pub mod pattern;
pub mod score;
pub mod tier;
