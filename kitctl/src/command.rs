//! What each command can do: which formats it has, what answers it without the daemon, whether its answer has an age.

use crate::args::{Command, Format, Index, Pin, Snapshot, Vfs};

/// What answers without the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offline {
    /// The index, as the newest good snapshot has it.
    Index,
    /// A look at the snapshots that there are.
    Files,
}

impl Command {
    /// `csv` is for rows that are all alike, `cid` for what has CIDs.
    pub(crate) fn formats(&self) -> &'static [Format] {
        match self {
            Command::Pin(_) => &[Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Cid],
            Command::Vfs(Vfs::Journal { .. }) => &[Format::Table, Format::Json, Format::Ndjson, Format::Csv],
            Command::Vfs(_) => &[Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Cid],
            Command::State(_) | Command::Metrics => &[Format::Table, Format::Json, Format::Ndjson, Format::Csv],
            _ => &[Format::Table, Format::Json, Format::Ndjson],
        }
    }

    /// What answers it without the daemon, if anything does.
    pub(crate) fn offline(&self) -> Option<Offline> {
        match self {
            Command::Pin(Pin::Ls(_) | Pin::Info { .. } | Pin::History { .. } | Pin::Diff { .. }) => {
                Some(Offline::Index)
            }
            Command::Metrics => Some(Offline::Index),
            Command::Snapshot(Snapshot::Ls | Snapshot::Path | Snapshot::Verify { .. }) => Some(Offline::Files),
            _ => None,
        }
    }

    /// Whether its answer has an age that `--max-age` can be held against.
    pub(crate) fn has_age(&self) -> bool {
        matches!(
            self,
            Command::Pin(Pin::Ls(_) | Pin::Info { .. } | Pin::History { .. } | Pin::Diff { .. })
                | Command::Status { .. }
                | Command::Metrics
                | Command::Index(Index::Info)
                | Command::Vfs(_)
                | Command::State(_)
                | Command::Snapshot(Snapshot::Ls | Snapshot::Path)
        )
    }
}
