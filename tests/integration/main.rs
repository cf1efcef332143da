//! The real daemon in a temporary home, one file per noun: with fake-kubo where Kubo has to misbehave, with a real Kubo in
//! `real_kubo`. Everything waits for events; nothing touches the user's home or other people's processes.

mod access;
mod actors;
mod analytics;
mod attach;
mod backup;
mod bulk;
mod clients;
mod clock;
mod ctl;
mod daemon;
mod events;
mod held;
mod hostile;
mod kills;
mod kit;
mod kubo;
mod legacy;
mod limits;
mod lock;
mod mark;
mod namespace;
mod offline;
mod pages;
mod pin;
mod protocol;
mod raw;
mod real_kubo;
mod sizes;
mod snapshot;
mod sources;
mod sql;
mod state;
mod systemd;
mod unit;
mod vfs;
