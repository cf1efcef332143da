//! Figures over all pins, and what accesses tell of them.
//!
//! ```text
//! evidence   where accesses come from       models  what is remembered of pins that were read
//! hotness, pattern, forecast: one pin       trials  forecasts that wait for their outcome; score: how good they were
//! look, rank all pins, and which come first cycle   when that is done; checkpoint: what outlives a restart
//! sight      when sources looked away
//! tier, device, disk: where pins are, and for how long there is room
//! answer     what the verbs answer
//! ```

pub mod actor;
mod answer;
pub mod checkpoint;
pub mod cycle;
pub mod device;
pub mod disk;
pub mod evidence;
pub mod forecast;
pub mod hotness;
pub mod look;
pub mod models;
pub mod pattern;
pub mod rank;
pub mod score;
pub mod sight;
pub mod tier;
pub mod trials;
