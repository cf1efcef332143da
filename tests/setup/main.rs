//! The set-up scripts, against a local server and with the programs they may find or miss.
//! Each test has its own temp dir, cache and PATH: nothing here reaches the network, the user's home or the real cache.

mod check_tools;
mod kubo;
mod libduckdb;
mod place;
mod server;
