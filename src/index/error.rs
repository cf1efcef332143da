//! Why the index does not do something.

use super::journal::JournalError;
use super::open;
use std::io;
use std::time::Duration;

/// For one read. A listing is many reads.
pub(super) const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// DuckDB refused.
    #[error(transparent)]
    Duckdb(#[from] duckdb::Error),
    /// DuckDB has given up on the file, or file and set have drifted apart; only a new process can put that right.
    #[error("the index has failed for good: {0}")]
    Fatal(String),
    /// Too much to do.
    #[error("the index has too much to do")]
    Busy,
    /// A read took longer than one may.
    #[error("it took longer than {} s", READ_DEADLINE.as_secs())]
    Slow,
    /// It was closed, because the daemon is stopping.
    #[error("the index is closed")]
    Closed,
    /// What the rows of an export went into refused them.
    #[error("the rows could not be written: {0}")]
    Export(io::Error),
    /// What a backup holds is no index.
    #[error("it does not fit: {0}")]
    Unfit(String),
    /// A defect: the job panicked.
    #[error("a defect of the daemon ended it")]
    Panicked,
    /// A defect: a listing that has a CID twice.
    #[error("the listing has a CID twice")]
    Twice,
    /// What is to be said of a CID is more than may be.
    #[error("{0}")]
    Mark(String),
    /// Something is said of so many CIDs that are not pinned, and of no more.
    #[error("something is said of {0} CIDs already that are not pinned")]
    Marks(usize),
    /// What people say cannot be put on disk.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A listing that began before another one.
    #[error("the listing is out of date: a newer one has begun")]
    StaleListing,
    /// A listing or a backup of another node.
    #[error("it is of node {listed}, and the index belongs to node {owner}")]
    OtherNode {
        /// Whose it is.
        listed: String,
        /// Whose index it is.
        owner: String,
    },
}

impl IndexError {
    /// Whether room on the disk would help.
    pub fn wants_room(&self) -> bool {
        match self {
            IndexError::Duckdb(error) => open::is_full(error),
            IndexError::Export(error) => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            IndexError::Journal(error) => error.wants_room(),
            _ => false,
        }
    }
}

/// The journal's file is the only one that the index reads and writes itself; whatever goes into an export is named as such.
impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> IndexError {
        IndexError::Journal(JournalError::Whole(error))
    }
}
