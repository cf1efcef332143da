//! The writing side of a connection: one message at a time, and for how long a client may leave it unread.

use super::out::Message;
use super::places::Place;
use interprocess::local_socket::tokio::Stream;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::time::timeout;

/// How long something may last.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// While it is in the way of others.
    pub(super) in_a_crowd: Duration,
    pub(super) otherwise: Duration,
}

impl Patience {
    /// Returns when it is over. It is in the way of others from when on that returns.
    pub(super) async fn ends(self, in_the_way: impl Future<Output = ()>) {
        tokio::time::sleep(self.in_a_crowd).await;
        // The crowd may come, or the whole time pass.
        let _ = timeout(self.otherwise - self.in_a_crowd, in_the_way).await;
    }
}

/// The writing side of a connection: one message at a time.
pub(super) struct Wire<'a> {
    stream: &'a Stream,
    turn: Mutex<()>,
    pub(super) place: &'a Place,
    patience: Patience,
}

impl<'a> Wire<'a> {
    /// Of a connection that may leave what it is sent unread for so long.
    pub(super) fn new(stream: &'a Stream, place: &'a Place, patience: Patience) -> Self {
        Wire { stream, turn: Mutex::new(()), place, patience }
    }

    /// The turn to write a message, where nobody has it.
    pub(super) fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.turn.try_lock().ok()
    }

    /// Writes what comes, one message after the other.
    pub(super) async fn write_all(&self, mut messages: mpsc::Receiver<Message>) -> io::Result<()> {
        while let Some(message) = messages.recv().await {
            let fd = message.fd.as_ref().map(|passed| passed.fd.as_fd());
            self.write(self.turn.lock().await, &message.bytes, fd).await?;
        }
        Ok(())
    }

    /// Whether the client is gone, after it has closed its writing side.
    pub(super) fn is_hung_up(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Stream::UdSocket(socket) = self.stream;
        let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Writes a message, whose turn it is.
    pub(super) async fn write(
        &self,
        _: MutexGuard<'_, ()>,
        bytes: &[u8],
        fd: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut stream = self.stream;
        let written = async {
            let sent = match fd {
                Some(fd) => pass(stream, bytes, fd).await?,
                None => 0,
            };
            stream.write_all(&bytes[sent..]).await
        };
        tokio::select! {
            // Nearly always there is room, and no timer is needed.
            biased;
            written = written => written,
            () = self.patience.ends(self.place.wanted()) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Sends a descriptor with the first of these bytes; how many of them went.
async fn pass(stream: &Stream, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let Stream::UdSocket(socket) = stream;
    let send = || {
        let (fds, mut space) = ([fd], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        Ok(sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
    };
    socket.inner().async_io(Interest::WRITABLE, send).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::out::{Form, Out};
    use crate::server::places::Places;
    use futures_util::FutureExt;
    use interprocess::os::unix::uds_local_socket::tokio::Stream as UdStream;
    use std::future::{pending, ready};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    const MOMENT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn patience_ends_with_its_time_or_sooner_in_a_crowd() {
        Patience { in_a_crowd: MOMENT, otherwise: 2 * MOMENT }.ends(pending()).await;
        let patience = Patience { in_a_crowd: MOMENT, otherwise: LONG };
        patience.ends(ready(())).await;
        assert_eq!(Patience { in_a_crowd: LONG, ..patience }.ends(ready(())).now_or_never(), None);
        let mut alone = Box::pin(patience.ends(pending()));
        assert!(timeout(20 * MOMENT, &mut alone).await.is_err());
    }

    /// What becomes of a message to a client that reads nothing.
    async fn unread(place: &Place, patience: Patience) -> io::Result<()> {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("set");
        let stream = Stream::UdSocket(UdStream::try_from(OwnedFd::from(ours)).expect("a stream"));
        let (out, messages) = Out::new(Form::Json, place.account());
        out.send_bytes(vec![0; 8 << 20]).await.expect("queued");
        Wire::new(&stream, place, patience).write_all(messages).await
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_dropped_at_once_when_others_wait_for_the_room() {
        let places = Places::new();
        let place = places.take(None).expect("a place");
        let patience = Patience { in_a_crowd: MOMENT, otherwise: 20 * MOMENT };
        let ended = |written: io::Result<()>| written.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
        assert!(ended(unread(&place, patience).await), "its time is over");
        let patience = Patience { otherwise: LONG, ..patience };
        let mut alone = Box::pin(unread(&place, patience));
        assert!(timeout(50 * MOMENT, &mut alone).await.is_err(), "it has time while nobody waits");
        let other = places.take(None).expect("a place").account();
        let rest = other.take(8 << 20).await;
        let waits = other.take(1 << 20);
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none(), "all is taken");
        assert!(ended(alone.await));
        drop(rest);
    }
}
