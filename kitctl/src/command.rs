//! What each command can do: which formats it has, what answers it without the daemon, whether its answer has an age.

use crate::args::{Access, Analytics, Command, Deferred, Format, Index, Kubo, Lock, Pin, Snapshot, Vfs};
use crate::state::State;

/// What answers without the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offline {
    /// The index, as the newest good snapshot has it.
    Index,
    /// A look at the snapshots that there are.
    Files,
}

impl Command {
    /// `csv` is for rows that are all alike, `wide` for those with more columns than a table has, `cid` for what has CIDs, `arrow`
    /// and `parquet` for what may be millions of rows.
    pub(crate) fn formats(&self) -> &'static [Format] {
        const LIST: &[Format] = &[Format::Table, Format::Wide, Format::Json, Format::Ndjson, Format::Csv];
        const CIDS: &[Format] = &[Format::Table, Format::Wide, Format::Json, Format::Ndjson, Format::Csv, Format::Cid];
        match self {
            Command::Pin(Pin::Ls(_)) => &[
                Format::Table,
                Format::Wide,
                Format::Json,
                Format::Ndjson,
                Format::Csv,
                Format::Cid,
                Format::Arrow,
                Format::Parquet,
            ],
            Command::Sql(_) => {
                &[Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Arrow, Format::Parquet]
            }
            Command::Pin(Pin::History { .. } | Pin::Diff { .. } | Pin::Verify(_)) => CIDS,
            Command::Vfs(Vfs::Ls { .. } | Vfs::Journal { .. }) | Command::Access(Access::Log { .. }) => CIDS,
            Command::Pin(_) | Command::Vfs(_) | Command::State(State::Files(_)) => {
                &[Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Cid]
            }
            Command::Analytics(Deferred(Analytics::Summary)) => {
                &[Format::Table, Format::Wide, Format::Json, Format::Ndjson]
            }
            Command::Analytics(Deferred(Analytics::Disk)) => {
                &[Format::Table, Format::Json, Format::Ndjson, Format::Csv]
            }
            Command::Analytics(Deferred(Analytics::Report { .. })) => &[Format::Table, Format::Json, Format::Html],
            Command::Analytics(Deferred(Analytics::Score(_))) => LIST,
            Command::Analytics(_) => CIDS,
            Command::Kubo(Kubo::Config(_)) => LIST,
            Command::Snapshot(Snapshot::Ls(_) | Snapshot::Verify { .. }) => LIST,
            Command::Lock(Lock::Check(_) | Lock::Clean { .. }) => LIST,
            Command::Doctor { .. } | Command::Config(_) | Command::Index(Index::Import { .. }) => LIST,
            Command::Access(Access::Import { .. }) => LIST,
            Command::State(_)
            | Command::Metrics
            | Command::Events(_)
            | Command::Log { .. }
            | Command::Kubo(Kubo::Logs { .. }) => &[Format::Table, Format::Json, Format::Ndjson, Format::Csv],
            Command::Completion { .. } | Command::Man { .. } => &[Format::Table],
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
            Command::Snapshot(Snapshot::Ls(_) | Snapshot::Path | Snapshot::Verify { .. }) => Some(Offline::Files),
            _ => None,
        }
    }

    /// Whether it never asks the daemon.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self, Command::Sql(_))
    }

    /// Whether it can be shown again and again: it looks at what may change, has no effect, and does not read everything. What is told
    /// as it comes has `-f` for that.
    pub(crate) fn can_be_watched(&self) -> bool {
        matches!(
            self,
            Command::Status { check: false }
                | Command::Pin(Pin::Ls(_) | Pin::History { .. })
                | Command::Kubo(Kubo::Status | Kubo::Config(_))
                | Command::Index(Index::Info)
                | Command::Metrics
                | Command::Lock(Lock::Check(_))
                | Command::Snapshot(Snapshot::Ls(_))
                | Command::State(_)
                | Command::Vfs(_)
                | Command::Access(Access::Log { .. })
                | Command::Doctor { bundle: None, .. }
                | Command::Config(_)
        ) || matches!(self, Command::Analytics(Deferred(verb)) if !matches!(verb, Analytics::UnpinFirst { .. }))
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
                | Command::Analytics(_)
                | Command::Sql(_)
                | Command::Snapshot(Snapshot::Ls(_) | Snapshot::Path | Snapshot::Fd { .. })
        )
    }
}
