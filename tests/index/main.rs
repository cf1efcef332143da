//! The index as its callers meet it, on real files in directories of their own: what it keeps, what it refuses, what it
//! answers, and what happens to it in the hands of a killed process, another process or a bad disk.

mod access;
mod actor;
mod apply;
mod backup;
mod bulk;
mod damage;
mod file_faults;
mod frozen;
mod golden;
mod held;
mod history;
mod journal;
mod lookup;
mod mark;
mod other;
mod place;
mod query;
mod readers;
mod recovery;
mod refusal;
mod sizes;
mod snapshot;
mod snapshot_faults;
mod state;
mod store;
