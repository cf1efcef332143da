//! Pins: what Kubo does with them that takes long: a pin that nobody waits for, one in the place of another, a look at all blocks.

#[cfg(doc)]
use super::Progress;
use super::{Pin, PinAdd};
use serde::{Deserialize, Serialize};

/// `pin add --detach CID`: the same, but answers at once. The daemon goes on whatever becomes of the client; how it ended is told as
/// an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinBegin(pub PinAdd);

/// Kubo has been asked for the pin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinBegun {
    /// The CID as Kubo prints it.
    pub cid: String,
}

/// Pins that were begun so and have not come to their end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinsUnderWay {
    /// How many.
    pub count: u64,
    /// The oldest of them, at most ten.
    pub oldest: Vec<PinUnderWay>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinUnderWay {
    /// The CID as Kubo prints it.
    pub cid: String,
    /// When it was begun.
    pub since: String,
}

/// `pin update FROM TO`: has Kubo pin `to` in the place of `from`, under the same name, and answers when the index knows it too. Kubo
/// looks only at what differs between the two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinUpdate {
    /// A recursive pin, in any form.
    pub from: String,
    /// What takes its place, in any form; not pinned recursively yet.
    pub to: String,
    /// Keep the pin of `from`, too.
    #[serde(default)]
    pub keep: bool,
}

/// Kubo holds the new pin and the index knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinUpdated {
    /// The generation that has both changes.
    pub generation: u64,
    /// The CID that was pinned before, as Kubo prints it.
    pub from: String,
    /// Whether it still is.
    pub kept: bool,
    /// The row of the new pin.
    pub pin: Pin,
}

/// `pin verify`: has Kubo look whether its repo holds every block with links of every recursive pin, without fetching any. Kubo does not
/// look whether raw blocks are there, of which most files consist: `ipfs repo verify` reads all blocks that are. Its parts are
/// [`Progress`], counted in pins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinVerify {}

/// What Kubo has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PinVerified {
    /// Recursive pins that it has looked at.
    pub pins: u64,
    /// Those that lack blocks.
    pub broken: u64,
    /// Of these the first [`PinVerified::MAX`].
    pub examples: Vec<BrokenPin>,
}

impl PinVerified {
    /// Broken pins in an answer at most.
    pub const MAX: usize = 1000;
}

/// A pin that lacks blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BrokenPin {
    /// The CID as Kubo prints it.
    pub cid: String,
    /// The first blocks that are missing or bad, with Kubo's words on each; at most [`BrokenPin::MAX`].
    pub blocks: Vec<BrokenBlock>,
}

impl BrokenPin {
    /// Blocks of one pin at most.
    pub const MAX: usize = 10;
}

/// A block that is missing or bad.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BrokenBlock {
    /// Its CID.
    pub cid: String,
    /// Kubo's words.
    pub error: String,
}
