//! RPC.
/// Placeholder.
#[derive(Clone, Debug)]
pub struct Rpc;
