//! What a client is owed: responses in its form, in an outbox that the connection's writer empties, bounded in messages and bytes.

use proto_msgs::verb::{Body, Part, Response};
use proto_msgs::{binary, json};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Messages that wait for the writer, or are being written.
const OUTBOX: usize = 16;

/// Bytes of these. A longer message waits until it is the only one. With all places taken this is 128 MiB, and 16 MiB of one uid;
/// what its calls hold besides, they hold once each.
const BYTES: u32 = 512 << 10;

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
}

/// Bytes that take up room until they are dropped.
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
    /// Goes with the first of them.
    pub(super) fd: Option<OwnedFd>,
    _room: OwnedSemaphorePermit,
}

/// The client has hung up.
#[derive(Debug)]
pub(super) struct Gone;

impl Out {
    /// And what the writer has to write.
    pub(super) fn new(form: Form) -> (Out, mpsc::Receiver<Message>) {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        (Out { form, outbox, room: Arc::new(Semaphore::new(BYTES as usize)) }, messages)
    }

    /// The same in JSON, for a client whose own form is not understood.
    pub(super) fn in_json(self) -> Out {
        Out { form: Form::Json, ..self }
    }

    /// Sends a response; waits while the client is slow.
    pub(super) async fn send(&self, id: u64, body: Body) -> Result<(), Gone> {
        self.send_with(id, body, None).await
    }

    /// The same with a descriptor.
    async fn send_with(&self, id: u64, body: Body, fd: Option<OwnedFd>) -> Result<(), Gone> {
        let bytes = self.bytes(id, body);
        let room = self.room(room_for(&bytes)).await?;
        self.queue(bytes, fd, room).await
    }

    /// Sends what is in no form.
    pub(super) async fn send_bytes(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        let room = self.room(room_for(&bytes)).await?;
        self.queue(bytes, None, room).await
    }

    /// Sends a response into room that was taken for it before it was made.
    async fn send_into(
        &self,
        mut room: OwnedSemaphorePermit,
        id: u64,
        body: Body,
        fd: Option<OwnedFd>,
    ) -> Result<(), Gone> {
        let bytes = self.bytes(id, body);
        let needed = room.split(room_for(&bytes) as usize);
        let needed = needed.unwrap_or(room);
        self.queue(bytes, fd, needed).await
    }

    async fn room(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Gone> {
        // A writer that has ended takes nothing, and would leave nobody any room.
        tokio::select! {
            biased;
            room = self.room.clone().acquire_many_owned(bytes) => room.map_err(|_| Gone),
            () = self.outbox.closed() => Err(Gone),
        }
    }

    async fn queue(&self, bytes: Vec<u8>, fd: Option<OwnedFd>, room: OwnedSemaphorePermit) -> Result<(), Gone> {
        self.outbox.send(Message { bytes, fd, _room: room }).await.map_err(|_| Gone)
    }

    /// Sends a response when there is room, and otherwise drops it.
    fn offer(&self, id: u64, body: Body) {
        let bytes = self.bytes(id, body);
        if let Ok(room) = self.room.clone().try_acquire_many_owned(room_for(&bytes)) {
            // A full or closed outbox is the client's own doing; the call's end finds it out.
            let _ = self.outbox.try_send(Message { bytes, fd: None, _room: room });
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
    fd: Arc<Mutex<Option<OwnedFd>>>,
    room: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Parts {
    pub(super) fn new(id: u64, out: Out) -> Parts {
        Parts { id, out, fd: Arc::default(), room: Arc::default() }
    }

    /// Before a long page is made: waits until it can go at once, so that a client that does not read has us hold one of them and not
    /// one a call. The next message of this call is to follow without delay, as nothing else can go before it.
    pub(super) async fn make_room(&self) -> Result<(), Gone> {
        let room = self.out.room(BYTES).await?;
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some(room);
        Ok(())
    }

    fn made_room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the end of the call carry this descriptor.
    pub(super) fn attach(&self, fd: OwnedFd) {
        *self.fd.lock().unwrap_or_else(PoisonError::into_inner) = Some(fd);
    }

    /// Sends a part; waits while the client is slow.
    pub(super) async fn send(&self, part: Part) -> Result<(), Gone> {
        self.say(Body::Part(part), None).await
    }

    /// Sends the end of the call.
    pub(super) async fn end(&self, body: Body) -> Result<(), Gone> {
        // Only an answer has any use for a descriptor.
        let fd = self.fd.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fd = fd.filter(|_| matches!(body, Body::Done(_)));
        self.say(body, fd).await
    }

    async fn say(&self, body: Body, fd: Option<OwnedFd>) -> Result<(), Gone> {
        match self.made_room() {
            Some(room) => self.out.send_into(room, self.id, body, fd).await,
            None => self.out.send_with(self.id, body, fd).await,
        }
    }

    /// Sends a part when there is room, and otherwise drops it: for progress, of which only the newest matters.
    pub(super) fn offer(&self, part: Part) {
        self.out.offer(self.id, Body::Part(part));
    }
}

fn room_for(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).min(BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proto_msgs::pin::Progress;

    #[test]
    fn a_client_that_does_not_read_is_owed_so_many_bytes_and_no_more() {
        let (out, mut messages) = Out::new(Form::Json);
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
    fn a_page_is_made_when_all_before_it_is_written_and_what_it_does_not_need_is_given_back() {
        let (out, mut messages) = Out::new(Form::Json);
        assert!(out.send_bytes(vec![0; 10]).now_or_never().is_some());
        let parts = Parts::new(1, out.clone());
        let mut waits = Box::pin(parts.make_room());
        assert!(waits.as_mut().now_or_never().is_none());
        drop(messages.try_recv().expect("what was before it"));
        assert!(matches!(waits.now_or_never(), Some(Ok(()))));
        assert!(Parts::new(2, out.clone()).make_room().now_or_never().is_none(), "one at a time");
        let page = Part::Progress(Progress { blocks: 1, bytes: None });
        assert!(matches!(parts.send(page).now_or_never(), Some(Ok(()))));
        assert!(matches!(out.send_bytes(vec![0; BYTES as usize / 2]).now_or_never(), Some(Ok(()))));
    }
}
