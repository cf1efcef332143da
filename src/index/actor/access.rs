//! What the index actor answers about accesses: to those who find out what keeps CIDs, to those who count, and to clients.

use super::{Index, IndexArgs, Rows, answer, fault, write};
use crate::cid;
use crate::index::access::read::{self, Wanted};
use crate::index::access::{
    AskCounted, AskCursor, AskFigures, AskUnsettled, CountedRows, Cursor, Figures, Settle, Unsettled, settle,
};
use crate::index::error::IndexError;
use crate::index::pages::{AHEAD, Row, in_parts};
use duckdb::Connection;
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use proto_msgs::access::{Access, AccessLog, AccessPage, AccessRows, AccessSource};
use proto_msgs::{Fault, FaultKind};
use tokio::sync::mpsc;

/// Rows that one query of a listing reads.
const PAGE: u64 = 10_000;

written!(Settle => (), "say what keeps CIDs", settle::settle);
read!(AskCursor => Option<Cursor>, "look up how far a source was read", |connection, AskCursor(of)| {
    read::cursor(connection, &of)
});
read!(AskUnsettled => Unsettled, "look for CIDs of which nobody knows what keeps them", read::unsettled);
read!(AskCounted => CountedRows, "read accesses", read::counted);
read!(AskFigures => Figures, "count accesses", read::figures);

impl Row for Access {
    fn texts(&self) -> usize {
        let texts = [&self.path, &self.pin, &self.op, &self.by].into_iter().flatten();
        self.cid.len() + texts.map(String::len).sum::<usize>()
    }
}

fn wanted(ask: &AccessLog) -> Result<Wanted, Fault> {
    let source = |name: &String| {
        let all = [AccessSource::Record, AccessSource::Kubo, AccessSource::Gateway, AccessSource::Mfs];
        let known = all.into_iter().find(|source| source.name() == name);
        known.ok_or_else(|| {
            let shown = crate::fault::brief(name);
            Fault::new(FaultKind::Invalid, format!("{shown:?} is no source of accesses"))
                .hint("a source is one of record, kubo, gateway, mfs")
        })
    };
    Ok(Wanted {
        cid: ask.cid.as_deref().map(cid::parse).transpose()?,
        source: ask.source.as_ref().map(source).transpose()?,
        since: ask.since.as_deref().map(crate::time::parse).transpose()?,
    })
}

impl Message<AccessLog> for Index {
    type Reply = DelegatedReply<Result<(AccessPage, Rows<AccessRows>), Fault>>;

    async fn handle(&mut self, ask: AccessLog, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.args.life.fault_point("message");
        let args = self.args.clone();
        answer(ctx, async move {
            let as_of = crate::time::now();
            let wanted = wanted(&ask)?;
            let of = wanted.clone();
            let counted = args.store.read(move |connection| read::count(connection, &of)).await;
            let (total, oldest) = counted.map_err(|error| fault(&args, "count accesses", &error))?;
            let oldest = oldest.map(crate::time::text);
            let page = AccessPage { as_of, total, oldest, sources: args.board.sources.borrow().clone() };
            let (send, parts) = mpsc::channel(AHEAD);
            // It ends with its reader, and a listing that has begun need not fail with this incarnation.
            tokio::spawn(read_pages(args, wanted, ask.limit.unwrap_or(u64::MAX), ask.offset, send));
            Ok((page, parts))
        })
    }
}

/// Reads page by page until all is sent or nobody wants it any more.
async fn read_pages(
    args: IndexArgs,
    wanted: Wanted,
    mut left: u64,
    mut offset: u64,
    send: mpsc::Sender<Result<AccessRows, Fault>>,
) {
    let mut after = None;
    while left > 0 {
        let (of, limit) = (wanted.clone(), left.min(PAGE));
        let more = limit < left;
        let read = move |connection: &Connection| read::page(connection, &of, after, limit, offset, more);
        let page: Result<_, IndexError> = tokio::select! {
            page = args.store.read(read) => page,
            () = send.closed() => return,
        };
        let (rows, next) = match page {
            Ok(page) => page,
            Err(error) => return drop(send.send(Err(fault(&args, "list accesses", &error))).await),
        };
        let count = rows.len() as u64;
        for part in in_parts(rows, |accesses| AccessRows { accesses }) {
            if send.send(Ok(part)).await.is_err() {
                return;
            }
        }
        if next.is_none() {
            return;
        }
        (after, left, offset) = (next, left - count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_there_is_not_is_named_with_those_that_there_are() {
        let ask = |source: &str| AccessLog { source: Some(source.to_owned()), ..AccessLog::default() };
        assert_eq!(wanted(&ask("gateway")).expect("known").source, Some(AccessSource::Gateway));
        let fault = wanted(&ask("unknown")).expect_err("none");
        assert!(fault.kind == FaultKind::Invalid && fault.hint.expect("a hint").contains("mfs"));
        let wrong = AccessLog { since: Some("yesterday".to_owned()), ..AccessLog::default() };
        assert!(wanted(&wrong).is_err() && wanted(&AccessLog::default()).is_ok());
    }
}
