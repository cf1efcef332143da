//! Files that others read.
//!
//! ```text
//! actor      when a snapshot is made, and who asks about them
//! publish    one snapshot: written under a temporary name, sealed, renamed; the manifest of the newest last
//! place      the directory: which snapshots there are, which is the newest good one, what is wrong with one
//! answer     what is said of those that there are
//! parquet    a table as a Parquet file
//! arrow      the pins as an Arrow file, sorted by key, for lookups without a daemon
//! lookup     one pin out of that file
//! bulk       rows of a listing as an Arrow stream or a Parquet file, piece by piece
//! output     a file that counts and hashes what is written
//! legacy     `pins.parquet` as older programs look for it
//! program_state  the newest state of the node as older programs look for it
//! pace       when the next one may be made (pure)
//! retention  which ones are no longer needed (pure)
//! backup     everything in one file
//! kept       what a restore keeps of what there was
//! upkeep     who asks for a backup, a restore, a look at everything
//! atomic     the one way a file is replaced
//! ```

pub mod actor;
pub mod answer;
pub mod arrow;
pub mod atomic;
pub mod backup;
pub mod bulk;
mod kept;
pub mod legacy;
pub mod lookup;
pub mod output;
pub mod pace;
pub mod parquet;
pub mod place;
pub mod program_state;
pub mod publish;
pub mod retention;
mod upkeep;
