//! The current pins.
/// Placeholder.
#[derive(Debug, Default)]
pub struct PinSet;
