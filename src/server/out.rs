//! What a client is owed: responses in its form, in an outbox that the connection's writer empties, bounded in messages and bytes.
//!
//! A response takes room in this order, and gives it back when it is written: where long ones of this connection are made, in what all
//! connections may hold, in the outbox. As nobody who has the later waits for the earlier, there is always one that goes on.

use super::budget::Account;
use proto_msgs::verb::{Body, Part, Response};
use proto_msgs::{binary, json};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Messages that wait for the writer, or are being written.
const OUTBOX: usize = 16;

/// Bytes of these. A longer message waits until it is the only one.
const BYTES: u32 = 512 << 10;
/// Bytes that are set aside for responses that are being made. Each call of a connection may have its part, so that a slow one holds up
/// no other.
const MAKING: u32 = 1 << 20;

/// For the one response of most calls.
pub(super) const ANSWER: u32 = 16 << 10;
/// For a report.
pub(super) const REPORT: u32 = 64 << 10;
/// For a list.
pub(super) const LIST: u32 = 256 << 10;
/// For all that fits.
pub(super) const PAGE: u32 = BYTES;

/// How a client speaks.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Json,
    Binary,
}

/// Where a connection's messages go, in its form.
#[derive(Clone)]
pub(super) struct Out {
    form: Form,
    outbox: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    making: Arc<Semaphore>,
    account: Account,
    descriptor: Arc<Semaphore>,
}

/// A descriptor on its way. A connection has one at a time, so that clients that do not read hold no more of them than connections.
pub(super) struct Passed {
    pub(super) fd: OwnedFd,
    _turn: OwnedSemaphorePermit,
}

/// Bytes that take up room until they are dropped.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Goes with the first of them.
    pub(super) fd: Option<Passed>,
    _room: [OwnedSemaphorePermit; 2],
}

/// Room for a response that is not made yet.
struct Reserved {
    making: OwnedSemaphorePermit,
    common: OwnedSemaphorePermit,
}

/// What the end of a call has besides its bytes.
#[derive(Default)]
struct End<'a> {
    fd: Option<Passed>,
    /// Becomes true before the client can have it.
    said: Option<&'a AtomicBool>,
}

/// The client has hung up.
#[derive(Debug)]
pub(super) struct Gone;

impl Out {
    /// And what the writer has to write.
    pub(super) fn new(form: Form, account: Account) -> (Out, mpsc::Receiver<Message>) {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let of = |bytes: u32| Arc::new(Semaphore::new(bytes as usize));
        (Out { form, outbox, room: of(BYTES), making: of(MAKING), account, descriptor: of(1) }, messages)
    }

    /// The same in JSON, for a client whose own form is not understood.
    pub(super) fn in_json(self) -> Out {
        Out { form: Form::Json, ..self }
    }

    /// Sends a response; waits while the client is slow.
    pub(super) async fn send(&self, id: u64, body: Body) -> Result<(), Gone> {
        self.send_bytes(self.bytes(id, body)).await
    }

    /// Sends what has its form already.
    pub(super) async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.send_with(bytes, End::default()).await
    }

    /// The same with what an end has besides.
    async fn send_with(&self, bytes: Vec<u8>, end: End<'_>) -> Result<(), Gone> {
        let common = self.or_gone(self.account.take(length(&bytes))).await?;
        self.queue(bytes, end, common).await
    }

    /// Waits for room for a response that is to be made.
    async fn reserve(&self, bytes: u32) -> Result<Reserved, Gone> {
        let making = self.making.clone().acquire_many_owned(bytes.min(MAKING));
        let making = self.or_gone(async { making.await.ok() }).await?;
        let common = self.or_gone(self.account.take(bytes)).await?;
        Ok(Reserved { making, common })
    }

    /// Sends a response into room that was taken for it before it was made. What it does not need is given back; one that is longer than
    /// was thought goes with what it has.
    async fn send_into(&self, reserved: Reserved, bytes: Vec<u8>, end: End<'_>) -> Result<(), Gone> {
        let Reserved { making, mut common } = reserved;
        let common = common.split(length(&bytes) as usize).unwrap_or(common);
        let queued = self.queue(bytes, end, common).await;
        drop(making);
        queued
    }

    async fn queue(&self, bytes: Vec<u8>, end: End<'_>, common: OwnedSemaphorePermit) -> Result<(), Gone> {
        let room = self.room.clone().acquire_many_owned(length(&bytes).min(BYTES));
        let room = self.or_gone(async { room.await.ok() }).await?;
        let place = self.outbox.reserve().await.map_err(|_| Gone)?;
        if let Some(said) = end.said {
            said.store(true, Ordering::Release);
        }
        place.send(Message { bytes, fd: end.fd, _room: [room, common] });
        Ok(())
    }

    /// A writer that has ended takes nothing, and would leave nobody any room.
    async fn or_gone(
        &self,
        room: impl Future<Output = Option<OwnedSemaphorePermit>>,
    ) -> Result<OwnedSemaphorePermit, Gone> {
        tokio::select! {
            biased;
            room = room => room.ok_or(Gone),
            () = self.outbox.closed() => Err(Gone),
        }
    }

    /// Sends a response when there is room, and otherwise drops it.
    fn offer(&self, id: u64, body: Body) {
        let bytes = self.bytes(id, body);
        let Some(common) = self.account.try_take(length(&bytes)) else { return };
        if let Ok(room) = self.room.clone().try_acquire_many_owned(length(&bytes).min(BYTES)) {
            // A full or closed outbox is the client's own doing; the call's end finds it out.
            let _ = self.outbox.try_send(Message { bytes, fd: None, _room: [room, common] });
        }
    }

    fn bytes(&self, id: u64, body: Body) -> Vec<u8> {
        let response = Response { id, body };
        match self.form {
            Form::Json => json::response_line(&response),
            Form::Binary => binary::frame(&response),
        }
    }
}

/// Where one call's parts go.
#[derive(Clone)]
pub(super) struct Parts {
    id: u64,
    out: Out,
    fd: Arc<Mutex<Option<Passed>>>,
    reserved: Arc<Mutex<Option<Reserved>>>,
    said: Arc<AtomicBool>,
}

impl Parts {
    pub(super) fn new(id: u64, out: Out) -> Parts {
        Parts { id, out, fd: Arc::default(), reserved: Arc::default(), said: Arc::default() }
    }

    /// Before a response of up to about so many bytes is made: waits for the room that it will take, so that clients that do not read
    /// have us hold no more than there is room for. It is for the next message of this call.
    pub(super) async fn make_room(&self, bytes: u32) -> Result<(), Gone> {
        let reserved = self.out.reserve(bytes).await?;
        *self.reserved.lock().unwrap_or_else(PoisonError::into_inner) = Some(reserved);
        Ok(())
    }

    fn reserved(&self) -> Option<Reserved> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until no descriptor is on its way to this client.
    pub(super) async fn descriptor(&self) -> Result<OwnedSemaphorePermit, Gone> {
        let turn = self.out.descriptor.clone().acquire_owned();
        self.out.or_gone(async { turn.await.ok() }).await
    }

    /// Has the end of the call carry this descriptor, of which it is the turn.
    pub(super) fn attach(&self, fd: OwnedFd, turn: OwnedSemaphorePermit) {
        *self.fd.lock().unwrap_or_else(PoisonError::into_inner) = Some(Passed { fd, _turn: turn });
    }

    /// Sends a part; waits while the client is slow.
    pub(super) async fn send(&self, part: Part) -> Result<(), Gone> {
        self.say(self.out.bytes(self.id, Body::Part(part)), End::default()).await
    }

    /// True from before the client can have the end of the call, and not before there is room for it.
    pub(super) fn said(&self) -> Arc<AtomicBool> {
        self.said.clone()
    }

    /// Sends the end of the call.
    pub(super) async fn end(&self, body: Body) -> Result<(), Gone> {
        // Only an answer has any use for a descriptor.
        let fd = self.fd.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fd = fd.filter(|_| matches!(body, Body::Done(_)));
        self.say(self.out.bytes(self.id, body), End { fd, said: Some(&self.said) }).await
    }

    /// Whether nothing was queued that is not written yet, and no descriptor is to go with the end of this call.
    pub(super) fn is_next(&self) -> bool {
        let idle = self.out.room.available_permits() == BYTES as usize;
        idle && self.fd.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The end of the call as bytes, and the room that they take while somebody writes them himself. A long one has no such room: it is for
    /// [`queue`](Self::queue).
    pub(super) fn at_once(&self, body: Body) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        let bytes = self.out.bytes(self.id, body);
        let short = Some(length(&bytes)).filter(|length| *length <= ANSWER);
        let room = short.and_then(|length| match self.reserved() {
            Some(Reserved { mut common, .. }) => common.split(length as usize),
            None => self.out.account.try_take(length),
        });
        (bytes, room)
    }

    /// Has the writer write the end of the call.
    pub(super) async fn queue(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.say(bytes, End::default()).await
    }

    async fn say(&self, bytes: Vec<u8>, end: End<'_>) -> Result<(), Gone> {
        match self.reserved() {
            Some(reserved) => self.out.send_into(reserved, bytes, end).await,
            None => self.out.send_with(bytes, end).await,
        }
    }

    /// Sends a part when there is room, and otherwise drops it: for progress, of which only the newest matters.
    pub(super) fn offer(&self, part: Part) {
        self.out.offer(self.id, Body::Part(part));
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::budget::{Budget, SHARE};
    use futures_util::FutureExt;
    use proto_msgs::pin::Progress;
    use proto_msgs::verb::Verb;

    /// A connection that draws on this.
    fn connection(budget: &Budget) -> (Out, mpsc::Receiver<Message>) {
        Out::new(Form::Json, Account::new(budget.clone()))
    }

    #[test]
    fn a_client_that_does_not_read_is_owed_so_many_bytes_and_no_more() {
        let (out, mut messages) = connection(&Budget::of(1 << 30));
        let quarter = || out.send_bytes(vec![0; BYTES as usize / 4]);
        for _ in 0..4 {
            assert!(matches!(quarter().now_or_never(), Some(Ok(()))));
        }
        let mut waits = Box::pin(quarter());
        assert!(waits.as_mut().now_or_never().is_none());
        let progress = Part::Progress(Progress { blocks: 1, bytes: None });
        Parts::new(1, out.clone()).offer(progress);
        drop(messages.try_recv().expect("the first"));
        assert!(matches!(waits.now_or_never(), Some(Ok(()))));
        let mut longest = Box::pin(out.send_bytes(vec![0; 3 * BYTES as usize]));
        assert!(longest.as_mut().now_or_never().is_none(), "it waits until it is alone");
        for _ in 0..4 {
            assert_eq!(messages.try_recv().expect("a quarter").bytes.len(), BYTES as usize / 4);
        }
        assert!(longest.now_or_never().is_some_and(|sent| sent.is_ok()));
        let mut waits = Box::pin(quarter());
        assert!(waits.as_mut().now_or_never().is_none());
        drop(messages);
        assert!(waits.now_or_never().is_some_and(|sent| sent.is_err()), "the writer has ended");
    }

    #[test]
    fn a_page_is_made_when_there_is_room_for_it_and_what_it_does_not_need_is_given_back() {
        let budget = Budget::of(PAGE);
        let (out, mut messages) = connection(&budget);
        let parts = Parts::new(1, out.clone());
        assert!(matches!(parts.make_room(PAGE).now_or_never(), Some(Ok(()))));
        let (other, _others) = connection(&budget);
        let mut waits = Box::pin(other.reserve(PAGE));
        assert!(waits.as_mut().now_or_never().is_none(), "all that is shared is taken");
        let page = Part::Progress(Progress { blocks: 1, bytes: None });
        assert!(matches!(parts.send(page).now_or_never(), Some(Ok(()))));
        assert!(waits.as_mut().now_or_never().is_none(), "the page has what it needs until it is written");
        drop(messages.try_recv().expect("the page"));
        assert!(waits.now_or_never().is_some_and(|room| room.is_ok()));
    }

    #[test]
    fn whoever_reads_gets_short_answers_whatever_others_leave_unread() {
        let budget = Budget::of(4 * PAGE);
        let deaf: Vec<_> = (0..64).map(|_| connection(&budget)).collect();
        let mut calls: Vec<_> = deaf.iter().flat_map(|(out, _)| (0..16).map(|_| Parts::new(1, out.clone()))).collect();
        let made = |parts: &Parts| matches!(parts.make_room(LIST).now_or_never(), Some(Ok(())));
        calls.retain(made);
        assert_eq!(calls.len() as u32 * LIST, 4 * PAGE, "no more is made than there is room for");
        let (out, mut messages) = connection(&budget);
        for id in 0..100 {
            let parts = Parts::new(id, out.clone());
            assert!(matches!(parts.make_room(ANSWER).now_or_never(), Some(Ok(()))));
            let answer = Part::Progress(Progress { blocks: 1, bytes: None });
            assert!(matches!(parts.send(answer).now_or_never(), Some(Ok(()))));
            assert!(messages.try_recv().is_ok());
        }
        assert!(out.send_bytes(vec![0; SHARE as usize]).now_or_never().is_some());
    }

    #[test]
    fn a_client_that_does_not_read_has_one_descriptor_on_its_way() {
        let (out, mut messages) = connection(&Budget::of(PAGE));
        let (first, second) = (Parts::new(1, out.clone()), Parts::new(2, out.clone()));
        let turn = first.descriptor().now_or_never().and_then(Result::ok).expect("the first");
        first.attach(std::fs::File::open("/dev/null").expect("opened").into(), turn);
        let done =
            Body::Done(proto_msgs::daemon::Cancel::done(proto_msgs::daemon::Cancelled { id: 1, was_running: false }));
        assert!(matches!(first.end(done).now_or_never(), Some(Ok(()))));
        let mut waits = Box::pin(second.descriptor());
        assert!(waits.as_mut().now_or_never().is_none());
        assert!(messages.try_recv().is_ok_and(|message| message.fd.is_some()));
        assert!(waits.now_or_never().is_some_and(|turn| turn.is_ok()));
    }
}
