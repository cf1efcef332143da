//! What is known of the sources themselves: whether they are on, since when, what is wrong with them, and what they can't see. It
//! stands on the board, which outlives a restart of an actor.

use crate::analytics::actor::AnalyticsArgs;
use crate::board::Board;
use crate::config::Analytics;
use crate::fault::ask;
use crate::index::access::AskCursor;
use jiff::Timestamp;
use proto_msgs::access::{AccessSource, SourceReport};
use std::time::Duration;

/// Between two looks at what the recorder has counted.
const LOOK: Duration = Duration::from_secs(2);

/// In the order in which they are shown.
pub const SOURCES: [AccessSource; 4] =
    [AccessSource::Kubo, AccessSource::Gateway, AccessSource::Record, AccessSource::Mfs];

/// Whether a source is switched on.
pub fn is_on(source: AccessSource, config: &Analytics) -> bool {
    match source {
        AccessSource::Record => config.record,
        AccessSource::Kubo => config.kubo,
        AccessSource::Gateway => !config.gateway_logs.is_empty(),
        AccessSource::Mfs => config.mfs,
        AccessSource::Unknown => false,
    }
}

/// What a source can't see.
pub fn blind(source: AccessSource) -> &'static str {
    match source {
        AccessSource::Record => "everything that no application tells",
        AccessSource::Kubo => {
            "reads through the gateway and those of other peers, names of IPNS, and whether a read went well and how much it brought"
        }
        AccessSource::Gateway => {
            "requests that a cache answered before they came to the web server, and names of IPNS and DNSLink"
        }
        AccessSource::Mfs => {
            "reads: it sees what is put into MFS, and of several changes between two looks only the last"
        }
        AccessSource::Unknown => "nothing is known of it",
    }
}

/// Changes what is known of a source.
pub fn note(board: &Board, source: AccessSource, change: impl FnOnce(&mut SourceReport)) {
    board.sources.send_modify(|reports| {
        let at = reports.iter().position(|report| report.source == source).unwrap_or_else(|| {
            let (since, looked, error) = (None, None, None);
            let blind = blind(source).to_owned();
            reports.push(SourceReport { source, on: false, since, looked, accesses: 0, wrong: 0, error, blind });
            reports.len() - 1
        });
        change(&mut reports[at]);
    });
}

/// A source was looked at, and told so much that could not be understood; what is wrong with it all the same.
pub fn looked(board: &Board, source: AccessSource, wrong: u64, error: Option<String>) {
    note(board, source, |report| {
        report.looked = Some(crate::time::now());
        report.wrong += wrong;
        report.error = error.filter(|_| report.on);
    });
}

/// A source could not be looked at.
pub fn failed(board: &Board, source: AccessSource, error: Option<String>) {
    note(board, source, |report| report.error = error.filter(|_| report.on));
}

/// It could have seen accesses since then.
pub fn since(board: &Board, source: AccessSource, since: Timestamp) {
    note(board, source, |report| {
        let known = report.since.as_deref().and_then(|known| known.parse::<Timestamp>().ok());
        if known.is_none_or(|known| since < known) {
            report.since = Some(crate::time::text(since));
        }
    });
}

/// Keeps what is on and what was counted as it is, for as long as it is not dropped.
pub(super) async fn run(args: AnalyticsArgs) {
    let mut config = args.config.clone();
    let mut told = None;
    loop {
        let analytics = config.borrow_and_update().analytics.clone();
        for source in SOURCES {
            let on = is_on(source, &analytics);
            let heard = args.recorder.heard(source);
            note(&args.board, source, |report| {
                (report.on, report.accesses) = (on, heard.accesses);
                if !on {
                    report.error = None;
                }
                if let (AccessSource::Record, Some(last)) = (source, heard.last) {
                    report.looked = Some(crate::time::text(last));
                }
            });
        }
        // What applications tell may be older than what they told before.
        let recorded = args.recorder.heard(AccessSource::Record).accesses;
        if told != Some(recorded)
            && let Ok(cursor) = ask(&args.index, AskCursor(AccessSource::Record.name().to_owned())).await
        {
            told = Some(recorded);
            if let Some(cursor) = cursor {
                since(&args.board, AccessSource::Record, cursor.since);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            Ok(()) = config.changed() => {}
        }
    }
}
