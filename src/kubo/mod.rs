//! Kubo.
pub mod rpc;
