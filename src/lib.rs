//! `ipfs-kitd`: one process that keeps a Kubo node running, owns the index of its pins, and answers for both over a Unix
//! socket. `docs/ARCHITECTURE.md` has the picture; each module says at its head what it owns.

pub mod analytics;
pub mod app;
pub mod board;
pub mod check;
pub mod cid;
pub mod config;
mod confine;
pub mod events;
pub mod exit;
pub mod fault;
mod file_lock;
pub mod index;
pub mod indexer;
pub mod instance;
pub mod janitor;
pub mod kubo;
pub mod last_resort;
pub mod log;
pub mod offline;
pub mod outside;
mod ring;
pub mod server;
mod shell;
pub mod snapshot;
pub mod sql;
pub mod supervisor;
pub mod systemd;
pub mod time;
pub mod watchdog;
