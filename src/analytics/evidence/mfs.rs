//! What is put into MFS, as the journal of its tree in the index tells it: an entry that is added or changed counts as an access of its
//! CID, once.
//!
//! The first walk tells what is there and not what is done, so it does not count; nor does what came while the journal was not whole, or
//! thousands at a time, which is a copy of a tree and no use of it.

use super::health;
use crate::analytics::actor::AnalyticsArgs;
use crate::fault::ask;
use crate::index::access::{AskCursor, Once, Seen, Told};
use crate::index::actor::vfs::{AskJournal, AskJournalEnd};
use crate::index::vfs::Told as Line;
use proto_msgs::Fault;
use proto_msgs::access::AccessSource;
use proto_msgs::vfs::VfsOp;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Lines of the journal that count at a time.
const MOST: u64 = 2_000;
/// After a look that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Counts for as long as it is not dropped.
pub(super) async fn run(args: AnalyticsArgs) {
    let mut config = args.config.clone();
    let mut trees = args.board.mfs.subscribe();
    let mut too_many = None;
    loop {
        // The board is as old as the process, so the senders can't be gone.
        let _ = config.wait_for(|config| config.analytics.mfs).await;
        // A walk that goes on tells of directories before what is in them; what is whole was looked at by this process.
        let Ok(looked) = trees.wait_for(|tree| tree.whole && tree.run.is_some()).await.map(|tree| tree.as_of) else {
            return;
        };
        args.life.fault_point("mfs_journal");
        match look(&args).await {
            Ok(looked) => {
                // It stays to be seen until there is something new.
                if let Looked::New { left_out } = looked {
                    too_many = left_out.map(|lines| format!("{lines} changes of MFS came at once and do not count"));
                }
                health::looked(&args.board, AccessSource::Mfs, 0, too_many.clone());
            }
            Err(error) => {
                health::failed(&args.board, AccessSource::Mfs, Some(error));
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        tokio::select! {
            _ = trees.wait_for(|tree| tree.whole && tree.as_of != looked) => {}
            _ = config.wait_for(|config| !config.analytics.mfs) => {}
        }
    }
}

/// What a look has found.
enum Looked {
    Nothing,
    /// Lines that did not count since there were too many.
    New {
        left_out: Option<u64>,
    },
}

async fn look(args: &AnalyticsArgs) -> Result<Looked, String> {
    let name = AccessSource::Mfs.name();
    let detail = |fault: Fault| fault.detail;
    let end = ask(&args.index, AskJournalEnd).await.map_err(detail)?;
    let cursor = ask(&args.index, AskCursor(name.to_owned())).await.map_err(detail)?;
    if let Some(cursor) = &cursor {
        health::since(&args.board, AccessSource::Mfs, cursor.since);
    }
    let from = cursor.map(|cursor| cursor.place);
    let known = from.as_deref().and_then(|place| place.parse::<u64>().ok());
    if known == Some(end) {
        return Ok(Looked::Nothing);
    }
    let (seen, left_out) = match known {
        Some(known) if known < end => {
            let lines = ask(&args.index, AskJournal(known, MOST + 1)).await.map_err(detail)?;
            between(known, end, lines)
        }
        // Nothing was counted yet, or the journal is another one.
        _ => (Vec::new(), None),
    };
    let once = Once::Cursor { of: name.to_owned(), from, to: end.to_string() };
    // What somebody else has told meanwhile is looked for at the next look.
    args.recorder.record(Told { seen, once: Some(once) }, true).await.map_err(detail)?;
    Ok(Looked::New { left_out })
}

/// What counts of the lines behind one place, up to the next; or how many do not, since they are too many. A walk may have written
/// more meanwhile, which come again at the next look.
fn between(known: u64, end: u64, mut lines: Vec<Line>) -> (Vec<Seen>, Option<u64>) {
    lines.retain(|line| line.seq <= end);
    match lines.len() as u64 {
        all if all > MOST => (Vec::new(), Some(end - known)),
        // Numbers have no gaps unless something is lost.
        all if all == end - known => (seen(&lines), None),
        _ => (Vec::new(), None),
    }
}

/// What these lines tell of accesses. A directory that changed since something in it did is no access.
fn seen(lines: &[Line]) -> Vec<Seen> {
    let mut above = HashSet::new();
    for line in lines {
        let mut path = line.path.as_str();
        while let Some((parent, _)) = path.rsplit_once('/') {
            if !above.insert(if parent.is_empty() { "/" } else { parent }) {
                break;
            }
            path = parent;
        }
    }
    let told = |line: &Line| {
        let op = match line.op {
            VfsOp::Added => "added",
            VfsOp::Changed => "changed",
            _ => return None,
        };
        if line.path == "/" || (line.op == VfsOp::Changed && above.contains(line.path.as_str())) {
            return None;
        }
        Some(Seen {
            at: line.at,
            cid: line.cid?,
            path: None,
            op: Some(Arc::from(op)),
            bytes: None,
            offset: None,
            source: AccessSource::Mfs,
            by: None,
        })
    };
    lines.iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn line(op: VfsOp, path: &str) -> Line {
        let cid = Some("bafkqaaa".parse().expect("a CID"));
        Line { seq: 1, at: Timestamp::UNIX_EPOCH, op, path: path.to_owned(), cid, before: None }
    }

    fn ops(lines: &[Line]) -> Vec<String> {
        seen(lines).into_iter().filter_map(|seen| seen.op).map(|op| op.to_string()).collect()
    }

    #[test]
    fn what_is_put_somewhere_counts_and_the_directories_above_it_do_not() {
        use VfsOp::{Added, Changed, Removed, Unread};
        assert_eq!(ops(&[line(Changed, "/"), line(Changed, "/a"), line(Added, "/a/b")]), ["added"]);
        assert_eq!(ops(&[line(Changed, "/"), line(Changed, "/a"), line(Changed, "/a/b")]), ["changed"]);
        assert_eq!(ops(&[line(Changed, "/"), line(Changed, "/a"), line(Removed, "/a/b")]), [] as [&str; 0]);
        assert_eq!(ops(&[line(Changed, "/"), line(Unread, "/a")]), [] as [&str; 0]);
        assert_eq!(
            ops(&[line(Added, "/a"), line(Added, "/a/b")]),
            ["added", "added"],
            "one is no reason for the other"
        );
        assert_eq!(ops(&[line(Changed, "/ab"), line(Added, "/a/b")]), ["changed", "added"]);
    }

    #[test]
    fn a_line_that_is_written_during_a_look_counts_at_the_next_one_alone() {
        let lines = |from: u64, to: u64| -> Vec<Line> {
            (from..=to).map(|seq| Line { seq, ..line(VfsOp::Added, &format!("/{seq}")) }).collect()
        };
        let counted = |known, end, lines| {
            let (seen, left_out) = between(known, end, lines);
            (seen.len(), left_out)
        };
        assert_eq!(counted(3, 5, lines(4, 8)), (2, None));
        assert_eq!(counted(5, 8, lines(6, 8)), (3, None));
        let mut gap = lines(6, 9);
        gap.remove(1);
        assert_eq!(counted(5, 8, gap.clone()), (0, None), "what the lost line told is not known");
        assert_eq!(counted(5, 6, gap), (1, None), "it is lost behind what is looked at");
        assert_eq!(counted(0, MOST, lines(1, MOST + 1)), (2_000, None));
        assert_eq!(counted(0, MOST + 5, lines(1, MOST + 1)), (0, Some(MOST + 5)));
    }
}
