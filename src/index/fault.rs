//! What a failure of the index means to whoever asked, and to the daemon.

use super::error::IndexError;
use super::journal::JournalError;
use crate::board::{Board, StopReason};
use proto_msgs::{Fault, FaultKind};

/// The answer to whoever asked `actor`. Defects and a failing journal are recorded; what only a new process can put right ends
/// this one.
pub(crate) fn fault(board: &Board, actor: &str, action: &str, error: &IndexError) -> Fault {
    let (kind, hint) = match error {
        IndexError::Busy => (FaultKind::Busy, "ask again in a moment"),
        IndexError::Slow => (FaultKind::Timeout, "ask for less at a time, with `--limit` and `--offset`"),
        IndexError::Closed => (FaultKind::NotReady, "the daemon is stopping; ask again when it is back"),
        IndexError::StaleListing => (FaultKind::Conflict, "nothing to do: the newer listing decides"),
        IndexError::OtherNode { .. } => {
            (FaultKind::Conflict, "one data dir belongs to one node; give the other repo a data dir of its own")
        }
        IndexError::Mark(_) => (FaultKind::Invalid, "take something away first"),
        IndexError::Marks(_) => (
            FaultKind::Conflict,
            "pin it first, or take away what is said of others; `ipfs-kitctl sql` finds them in `marks`",
        ),
        IndexError::Unfit(_) => (FaultKind::Conflict, "nothing was changed; another backup may be good"),
        IndexError::Journal(error) if error.wants_room() => (
            FaultKind::Conflict,
            "nothing was recorded; free space on the disk of the daemon's data dir, then say it again",
        ),
        IndexError::Journal(JournalError::Write { .. }) => (
            FaultKind::Conflict,
            "nothing was recorded; look after the disk of the daemon's data dir, then say it again",
        ),
        IndexError::Journal(JournalError::Closed { .. } | JournalError::Whole(_)) => (
            FaultKind::Conflict,
            "look after the disk of the daemon's data dir, restart the daemon, then see what is recorded",
        ),
        IndexError::Fatal(why) => {
            board.stop(StopReason::GaveUp(format!("the index has failed for good: {why}")));
            (FaultKind::Interrupted, "the daemon ends so that a new process opens the index; look then")
        }
        error if error.wants_room() => {
            (FaultKind::Conflict, "nothing was changed; make room on the disk of the daemon's data dir, then ask again")
        }
        IndexError::Duckdb(_) | IndexError::Export(_) | IndexError::Panicked | IndexError::Twice => {
            (FaultKind::Internal, "nothing was changed; the daemon's log says more")
        }
    };
    let detail = format!("cannot {action}: {error}");
    if matches!(kind, FaultKind::Internal | FaultKind::Interrupted) || matches!(error, IndexError::Journal(_)) {
        board.error(actor, detail.clone());
    }
    Fault::new(kind, detail).hint(hint)
}
