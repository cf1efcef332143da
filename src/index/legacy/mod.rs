//! What the Python system of before has left in its files: recognised, read apart, judged row by row, kept in tables of its own.
//!
//! ```text
//! import    which files, one after the other, and the report
//! worker    the process that opens a foreign file: a hidden mode of our own program
//! source    what the worker takes: a regular file, whole, unchanged meanwhile
//! parquet   rows of a Parquet file, by column name
//! tables    rows of a DuckDB file, read-only, from a copy
//! wire      what the worker says
//! form      which form it is, by the columns (pure)
//! rules     what a row is worth (pure)
//! report    what came of a file
//! keep      the tables `legacy` and `legacy_sources`
//! original  the files that lie where ours go
//! ```
//! This process opens no foreign file to make sense of it: what is damaged can end a process, and a file system can hang one. What
//! is imported is a record of what was known; pins come from Kubo alone.

mod form;
pub mod import;
mod keep;
pub mod original;
mod parquet;
mod report;
mod rules;
mod source;
mod tables;
mod wire;
pub mod worker;
