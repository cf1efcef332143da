//! Exit codes of `ipfs-kitd`. The unit's `RestartPreventExitStatus=` names those that a restart does not mend.

/// Stopped in order.
pub const OK: u8 = 0;
/// Everything else.
pub const FAILED: u8 = 1;
/// Another daemon owns the data dir or the runtime dir.
pub const OWNED: u8 = 75;
/// The configuration or the index is of no use to this version.
pub const CONFIG: u8 = 78;
