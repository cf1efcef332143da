//! `ipfs-kitd`: one process that keeps a Kubo node running, owns the index of its pins, and answers for both over a Unix
//! socket. `docs/ARCHITECTURE.md` has the picture; each module says at its head what it owns.

pub mod board;
pub mod cid;
pub mod config;
pub mod index;
pub mod kubo;
pub mod supervisor;
pub mod time;
