//! The rows of a listing, page by page, as its reader takes them. Each page is a question of its own, so a client that reads slowly
//! holds no transaction; the next one is read while one is on its way, so a client that reads quickly does not wait.
//!
//! A listing ends with its reader, and one that has begun need not fail with an incarnation of the actor.

use super::actor::{IndexArgs, Rows};
use super::error::IndexError;
use super::listing;
use super::store::Store;
use crate::snapshot::bulk::Encoder;
use arrow_array::RecordBatch;
use duckdb::Connection;
use proto_msgs::Fault;
use proto_msgs::pin::{Pin, PinChange, PinRows};
use proto_msgs::verb::Part;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Parts that wait for a client.
pub(super) const AHEAD: usize = 4;

type Reading<T> = AbortOnDropHandle<Result<T, IndexError>>;

/// Pages, the next one of which is being read.
struct Pages<T> {
    next: Option<Reading<T>>,
    begin: Box<dyn FnMut() -> Option<Reading<T>> + Send>,
}

impl<T: Send + 'static> Pages<T> {
    fn begin<K, R>(store: Store, keys: Vec<K>, size: usize, read: R) -> Pages<T>
    where
        K: Clone + Send + Sync + 'static,
        R: Fn(&Connection, &[K]) -> Result<T, IndexError> + Clone + Send + Sync + 'static,
    {
        let mut from = 0;
        let mut begin: Box<dyn FnMut() -> Option<Reading<T>> + Send> = Box::new(move || {
            let page = keys.get(from..).filter(|rest| !rest.is_empty())?;
            let page = page[..page.len().min(size)].to_vec();
            from += page.len();
            let (store, read) = (store.clone(), read.clone());
            let reading = async move { store.read(move |connection| read(connection, &page)).await };
            Some(AbortOnDropHandle::new(tokio::spawn(reading)))
        });
        Pages { next: begin(), begin }
    }

    async fn next(&mut self) -> Option<Result<T, IndexError>> {
        let read = self.next.take()?.await.unwrap_or(Err(IndexError::Panicked));
        if read.is_ok() {
            self.next = (self.begin)();
        }
        Some(read)
    }
}

/// Bytes of texts in one part: escaped they have to fit into a message.
const PART: usize = 512 << 10;

/// A row, by how long it is.
pub(super) trait Row {
    /// Bytes of its texts that people can make long.
    fn texts(&self) -> usize;
}

impl Row for Pin {
    fn texts(&self) -> usize {
        let texts = [&self.name, &self.note, &self.tier].into_iter().flatten().chain(&self.tags);
        self.cid.len() + texts.map(String::len).sum::<usize>()
    }
}

impl Row for PinChange {
    fn texts(&self) -> usize {
        self.cid.len() + [&self.name, &self.name_before].into_iter().flatten().map(String::len).sum::<usize>()
    }
}

/// Rows in parts of at most [`PinRows::MAX`].
pub(super) fn rows<K, T, P, R>(args: IndexArgs, keys: Vec<K>, size: usize, read: R, part: fn(Vec<T>) -> P) -> Rows<P>
where
    K: Clone + Send + Sync + 'static,
    T: Row + Send + 'static,
    P: Send + 'static,
    R: Fn(&Connection, &[K]) -> Result<Vec<T>, IndexError> + Clone + Send + Sync + 'static,
{
    let pages = Pages::begin(args.store.clone(), keys, size, read);
    send(args, pages, move |rows| Ok(in_parts(rows.unwrap_or_default(), part)))
}

/// These rows in parts that are neither long lists nor long messages.
pub(super) fn in_parts<T: Row, P>(rows: Vec<T>, part: fn(Vec<T>) -> P) -> Vec<P> {
    let (mut some, mut bytes, mut parts) = (Vec::new(), 0, Vec::new());
    for row in rows {
        bytes += row.texts();
        some.push(row);
        if some.len() == PinRows::MAX || bytes > PART {
            parts.push(part(std::mem::take(&mut some)));
            bytes = 0;
        }
    }
    if !some.is_empty() {
        parts.push(part(some));
    }
    parts
}

/// Rows of pins as bytes.
pub(super) fn bulk(args: IndexArgs, ids: Vec<u64>, encoder: Encoder) -> Rows<Part> {
    let pages = Pages::begin(args.store.clone(), ids, listing::PAGE, listing::read);
    let mut encoder = Some(encoder);
    send(args, pages, move |rows: Option<RecordBatch>| {
        let bytes = match (rows, &mut encoder) {
            (Some(rows), Some(encoder)) => encoder.push(&rows),
            (None, encoder) => encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::end),
            (Some(_), None) => Ok(Vec::new()),
        };
        Ok(bytes.map_err(IndexError::Export)?.into_iter().map(Part::Bulk).collect())
    })
}

/// Sends what `cut` makes of each page and, of none, of the end; until all is sent or nobody wants it any more.
fn send<T, P, C>(args: IndexArgs, mut pages: Pages<T>, mut cut: C) -> Rows<P>
where
    T: Send + 'static,
    P: Send + 'static,
    C: FnMut(Option<T>) -> Result<Vec<P>, IndexError> + Send + 'static,
{
    let (send, rows) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        loop {
            let page = tokio::select! {
                page = pages.next() => page.transpose(),
                () = send.closed() => return,
            };
            let over = !matches!(page, Ok(Some(_)));
            let parts;
            // To compress a page takes longer than a thread of the runtime may be held up.
            (cut, parts) = match tokio::task::spawn_blocking(move || {
                let parts = page.and_then(&mut cut);
                (cut, parts)
            })
            .await
            {
                Ok(done) => done,
                Err(_) => return drop(send.send(Err(fault(&args, &IndexError::Panicked))).await),
            };
            match parts {
                Ok(parts) => {
                    for part in parts {
                        if send.send(Ok(part)).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => return drop(send.send(Err(fault(&args, &error))).await),
            }
            if over {
                return;
            }
        }
    });
    rows
}

fn fault(args: &IndexArgs, error: &IndexError) -> Fault {
    super::fault::fault(&args.board, "index", "read the rows of a listing", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::pin::{PinEvent, PinType};

    fn change(name: usize) -> PinChange {
        PinChange {
            event: PinEvent::Added,
            generation: None,
            at: None,
            cid: String::new(),
            pin_type: PinType::Recursive,
            name: Some("\"".repeat(name)),
            type_before: None,
            name_before: None,
        }
    }

    #[test]
    fn a_part_ends_with_its_rows_or_with_its_bytes_and_no_row_is_lost() {
        let lengths = |rows: Vec<PinChange>| in_parts(rows, |rows| rows.len());
        assert!(lengths(Vec::new()).is_empty());
        assert_eq!(lengths(vec![change(1); PinRows::MAX + 1]), [PinRows::MAX, 1]);
        assert_eq!(lengths(vec![change(PART / 10); 24]), [11, 11, 2]);
        assert_eq!(lengths(vec![change(2 * PART); 2]), [1, 1]);
    }
}
