//! `sql`: questions of one's own.

use crate::parse::size;

const TABLES: &str = "\
Tables: pins, gone, changes, generations, marks, vfs, vfs_journal, state_system, state_network, state_storage, state_files, legacy, \
legacy_sources; `DESCRIBE pins` shows columns, docs/DATA.md explains them. Without --timeout a query has 30s.

Examples:
  ipfs-kitctl sql 'SELECT name, size FROM pins ORDER BY size DESC NULLS LAST LIMIT 20'
  ipfs-kitctl sql \"SELECT date_trunc('month', first_seen) AS month, count(*) AS pins FROM pins GROUP BY ALL ORDER BY ALL\" -o csv
  ipfs-kitctl sql - -o parquet < kept.sql > kept.parquet

Exit codes: 1 the query failed or took too much, 2 it is no SQL or names what there is not, 69 no snapshot can be used.";

#[derive(clap::Args, Clone, Debug)]
#[command(after_help = TABLES)]
pub(crate) struct Sql {
    /// The query, of at most 64 KiB; `-` reads it from standard input
    pub(crate) query: String,
    /// At most so many rows; that there were more is said on stderr
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) limit: u64,
    /// Memory for the query, at least 64MiB
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "1GiB")]
    pub(crate) memory: u64,
    /// Leave out the header of table and csv
    #[arg(long)]
    pub(crate) no_header: bool,
}
