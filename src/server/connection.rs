//! One client's connection.
//!
//! Reading, writing and every call are tasks of their own, so that a slow call holds up no other. A client that hangs up
//! cancels its calls; one that only closes its writing side (`socat`) still gets its answers. What it is owed is bounded: a
//! client that does not read blocks its own calls and is dropped after [`WRITE_STALL`].

use super::authority::Peer;
use super::long::Long;
use super::out::{Form, Out, Parts};
use super::places::{Many, Place};
use super::route::Routes;
use super::wire::{Patience, Wire};
use futures_util::{FutureExt, StreamExt};
use interprocess::local_socket::tokio::Stream;
use proto_msgs::binary::{self, Hello};
use proto_msgs::limits::{self, MAX_ENTRIES};
use proto_msgs::state::{StateFiles, StateNetwork, StateStorage, StateSystem};
use proto_msgs::verb::{Body, Call, Request, Response, Verb};
use proto_msgs::{Fault, FaultKind, MAX_REQUEST, daemon, json};
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::codec::{AnyDelimiterCodec, AnyDelimiterCodecError, Decoder, FramedRead, LengthDelimitedCodec};

/// From `connect` to the first byte, and to the end of the hello.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Without a call under way and without a new one.
const IDLE: Patience = Patience { in_a_crowd: Duration::from_secs(5), otherwise: Duration::from_secs(300) };
/// From the first byte of a request to its last.
const REQUEST: Duration = Duration::from_secs(10);
/// How long a client may leave a full socket buffer unread: as long as somebody looks at one page of `pin ls | less`.
const WRITE_STALL: Patience = Patience { in_a_crowd: Duration::from_secs(10), otherwise: Duration::from_secs(600) };
/// For the last words to a client, and for its own.
const FAREWELL: Duration = Duration::from_secs(1);
/// Calls of one connection at a time.
const CALLS: usize = 16;

/// Tells a client why it is not served, in JSON: a client of any form can show it.
pub(crate) async fn refuse(stream: Stream, fault: Fault) {
    let line = json::response_line(&Response { id: 0, body: Body::Fault(fault) });
    // It closes at once, whether or not that was heard.
    let _ = timeout(FAREWELL, (&stream).write_all(&line)).await;
    take_leave(&stream).await;
}

/// Ends our side and takes in what is still on its way: closed with unread bytes, a client gets a reset instead of what was
/// said to it.
async fn take_leave(mut stream: &Stream) {
    let Stream::UdSocket(socket) = stream;
    if rustix::net::shutdown(socket.as_fd(), rustix::net::Shutdown::Write).is_ok() {
        let _ = timeout(FAREWELL, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
    }
}

/// The same for one that there is no descriptor for: it is to go at once, and takes with it what it does not read at once.
pub(crate) fn turn_away(stream: Stream, fault: Fault) {
    use rustix::net::{SendFlags, send};
    let Stream::UdSocket(socket) = &stream;
    let line = json::response_line(&Response { id: 0, body: Body::Fault(fault) });
    let _ = send(socket.as_fd(), &line, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Serves one client until it is gone.
pub(crate) async fn serve(stream: Stream, peer: Peer, routes: Arc<Routes>, place: Place) {
    let mut reader = BufReader::new(&stream);
    let first = match timeout(HANDSHAKE, reader.fill_buf()).await {
        Ok(Ok([first, ..])) => *first,
        _ => return,
    };
    let form = if first == binary::FIRST_BYTE { Form::Binary } else { Form::Json };
    let (out, messages) = Out::new(form, place.account());
    let wire = Wire::new(&stream, &place, WRITE_STALL);
    let read = async {
        let out = out;
        match first {
            binary::FIRST_BYTE => read_binary(reader, Calls::new(peer, routes, out, &wire)).await,
            b'{' | b' ' | b'\t' | b'\r' | b'\n' => read_json(reader, Calls::new(peer, routes, out, &wire)).await,
            _ => drop(out.send(0, Body::Fault(neither_form())).await),
        }
    };
    let write = wire.write_all(messages);
    tokio::pin!(read, write);
    tokio::select! {
        // The reader ends after the last answer is in the outbox; the writer empties it.
        () = &mut read => {
            drop(write.await);
            take_leave(&stream).await;
        }
        // The client is gone: dropping the reader ends its calls.
        _ = &mut write => {}
    }
}

/// The next request, which has its time from its first byte on.
async fn next<D>(frames: &mut FramedRead<BufReader<&Stream>, D>) -> Option<Result<D::Item, D::Error>>
where
    D: Decoder<Error: From<io::Error>>,
{
    if frames.read_buffer().is_empty() {
        // An end or an error is met again below.
        let _ = frames.get_mut().fill_buf().await;
    }
    timeout(REQUEST, frames.next()).await.unwrap_or_else(|_| Some(Err(D::Error::from(io::ErrorKind::TimedOut.into()))))
}

async fn read_json(reader: BufReader<&Stream>, mut calls: Calls<'_>) {
    let out = calls.out.clone();
    let codec = AnyDelimiterCodec::new_with_max_length(b"\n".to_vec(), b"\n".to_vec(), MAX_REQUEST);
    let mut lines = FramedRead::new(reader, Long::new(codec, calls.wire.place));
    while let Some(line) = calls.while_running(next(&mut lines)).await {
        match line {
            Ok(line) if line.trim_ascii().is_empty() => {}
            Ok(line) => match json::parse_request(&line) {
                Ok(request) => {
                    if calls.begin(request).await.is_err() {
                        return;
                    }
                }
                Err((id, fault)) => drop(out.send(id, Body::Fault(fault)).await),
            },
            Err(AnyDelimiterCodecError::MaxChunkLengthExceeded) => {
                drop(out.send(0, Body::Fault(longer_than(MAX_REQUEST))).await);
                return;
            }
            Err(AnyDelimiterCodecError::Io(error)) => {
                let fault = match error.kind() {
                    io::ErrorKind::TimedOut => too_slow(),
                    io::ErrorKind::ResourceBusy => many_long(),
                    _ => return,
                };
                return drop(out.send(0, Body::Fault(fault)).await);
            }
        }
    }
    calls.finish().await;
}

async fn read_binary(mut reader: BufReader<&Stream>, mut calls: Calls<'_>) {
    let out = calls.out.clone();
    let same = match timeout(HANDSHAKE, shake_hands(&mut reader)).await {
        Ok(Ok(same)) => same,
        // In JSON, since there is no common binary form.
        _ => return drop(out.in_json().send(0, Body::Fault(no_hello())).await),
    };
    let mut hello = binary::PREAMBLE.to_vec();
    hello.extend(binary::frame(&Hello::of(concat!("ipfs-kitd ", env!("CARGO_PKG_VERSION")))));
    if out.send_bytes(hello).await.is_err() || !same {
        return;
    }
    let codec = LengthDelimitedCodec::builder().little_endian().max_frame_length(MAX_REQUEST).new_codec();
    let mut frames = FramedRead::new(reader, Long::new(codec, calls.wire.place));
    while let Some(frame) = calls.while_running(next(&mut frames)).await {
        let fault = match frame.map(|frame| (frame.len(), binary::decode::<Request>(&frame))) {
            Ok((length, Ok(request))) => {
                match exceeded(length, &request) {
                    Some(fault) => drop(out.send(request.id, Body::Fault(fault)).await),
                    None if calls.begin(request).await.is_err() => return,
                    None => {}
                }
                continue;
            }
            Ok((_, Err(error))) => Fault::new(FaultKind::Invalid, error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => longer_than(MAX_REQUEST),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => too_slow(),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => many_long(),
            Err(_) => return,
        };
        // What follows a broken frame can't be trusted to be a frame.
        drop(out.send(0, Body::Fault(fault)).await);
        return;
    }
    calls.finish().await;
}

/// Whether the client was built from the same types. An error when it is no client at all.
async fn shake_hands(reader: &mut BufReader<&Stream>) -> io::Result<bool> {
    let mut preamble = [0; binary::PREAMBLE.len()];
    reader.read_exact(&mut preamble).await?;
    if preamble != binary::PREAMBLE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let length = binary::check_length(reader.read_u32_le().await?, binary::MAX_HELLO).map_err(io::Error::other)?;
    let mut frame = vec![0; length];
    reader.read_exact(&mut frame).await?;
    let hello: Hello = binary::decode(&frame).map_err(io::Error::other)?;
    tracing::debug!(program = hello.program, "binary client");
    Ok(hello.schema == Hello::of("").schema)
}

/// The calls of one connection that are under way.
struct Calls<'a> {
    wire: &'a Wire<'a>,
    peer: Peer,
    routes: Arc<Routes>,
    out: Out,
    tasks: JoinSet<()>,
    running: HashMap<u64, Running>,
    ids: HashMap<tokio::task::Id, u64>,
}

/// One of them.
struct Running {
    task: AbortHandle,
    /// Whether its end is on its way, so that the client may know of it.
    said: Arc<AtomicBool>,
}

impl Running {
    fn has_ended(&self) -> bool {
        self.said.load(Ordering::Acquire)
    }
}

impl<'a> Calls<'a> {
    fn new(peer: Peer, routes: Arc<Routes>, out: Out, wire: &'a Wire<'a>) -> Self {
        Calls { wire, peer, routes, out, tasks: JoinSet::new(), running: HashMap::new(), ids: HashMap::new() }
    }

    /// Waits for the next request while calls go on; `None` when the client has been idle for too long, too.
    async fn while_running<T>(&mut self, next: impl Future<Output = Option<T>>) -> Option<T> {
        tokio::pin!(next);
        loop {
            tokio::select! {
                message = &mut next => return message,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                // During the stop its end would be taken for the daemon's.
                () = IDLE.ends(self.wire.place.crowded()), if self.tasks.is_empty() && !self.routes.board.is_stopping() => return None,
            }
        }
    }

    /// Begins a call; an error when the client takes no answer.
    async fn begin(&mut self, request: Request) -> io::Result<()> {
        let id = request.id;
        if let Call::Cancel(cancel) = request.call {
            self.cancel(id, cancel.id).await;
            return Ok(());
        }
        if let Some(task) = self.running.get(&id).filter(|call| call.has_ended()).map(|call| call.task.id()) {
            self.join(task).await;
        }
        let refusal = if self.running.contains_key(&id) {
            Some(Fault::new(FaultKind::Invalid, format!("call {id} is still under way; a new call needs another id")))
        } else if self.running.values().filter(|call| !call.has_ended()).count() >= CALLS {
            let detail = format!("{CALLS} calls of this connection are under way");
            Some(Fault::new(FaultKind::Busy, detail).hint("wait for one of them to end"))
        } else {
            None
        };
        let turn = refusal.map_or_else(
            || self.wire.place.turn(lists(&request.call)).map_err(|many| many_calls(&many, self.peer.uid)),
            Err,
        );
        let turn = match turn {
            Ok(turn) => turn,
            Err(fault) => {
                drop(self.out.send(id, Body::Fault(fault)).await);
                return Ok(());
            }
        };
        let (routes, peer) = (self.routes.clone(), self.peer);
        let parts = Parts::new(id, self.out.clone());
        let (of_call, later) = (parts.clone(), Arc::new(AtomicBool::new(false)));
        let is_later = later.clone();
        // One future to the end: calls that wait may be thousands, and what comes later takes the room of what was before.
        let mut call = Box::pin(async move {
            let deadline = request.deadline_ms.map(Duration::from_millis);
            let body = match routes.answer(request.call, peer, deadline, &of_call).await {
                Ok(done) => Body::Done(done),
                Err(fault) => Body::Fault(fault),
            };
            if !is_later.load(Ordering::Relaxed) {
                return Some(body);
            }
            drop(of_call.end(body).await);
            drop(turn);
            None
        });
        // What can be answered at once needs no task of its own, and no other thread.
        let begun = AssertUnwindSafe(|| call.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        match panic::catch_unwind(begun) {
            Ok(Poll::Ready(Some(body))) => return self.say(parts, body).await,
            Ok(Poll::Ready(None)) => return Ok(()),
            Ok(Poll::Pending) => {}
            Err(_) => {
                self.failed(id).await;
                return Ok(());
            }
        }
        later.store(true, Ordering::Relaxed);
        let said = parts.said();
        let task = self.tasks.spawn(call.map(drop));
        self.ids.insert(task.id(), id);
        self.running.insert(id, Running { task, said });
        Ok(())
    }

    /// Says the end of a call that was over at once: where nothing else waits to be written, without waking the writer.
    async fn say(&self, parts: Parts, body: Body) -> io::Result<()> {
        match self.wire.try_turn() {
            Some(turn) if parts.is_next() => {
                let (bytes, room) = parts.at_once(body);
                if room.is_some() {
                    return self.wire.write(turn, &bytes, None).await;
                }
                drop(turn);
                drop(parts.queue(bytes).await);
                Ok(())
            }
            taken => {
                drop(taken);
                drop(parts.end(body).await);
                Ok(())
            }
        }
    }

    /// Waits for the end of this task, and meets those of others; whether it was cancelled.
    async fn join(&mut self, task: tokio::task::Id) -> bool {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let this = match &ended {
                Ok((id, ())) => *id == task,
                Err(error) => error.id() == task,
            };
            let cancelled = ended.as_ref().is_err_and(tokio::task::JoinError::is_cancelled);
            self.ended(ended).await;
            if this {
                return cancelled;
            }
        }
        false
    }

    async fn cancel(&mut self, id: u64, other: u64) {
        let mut was_running = false;
        if let Some(Running { task, .. }) = self.running.get(&other) {
            task.abort();
            // It may have been answering just now: only its end says whether it has. What others end with meanwhile is said, too.
            let task = task.id();
            was_running = self.join(task).await;
        }
        if was_running {
            let fault = Fault::new(FaultKind::Cancelled, "the client cancelled the call");
            drop(self.out.send(other, Body::Fault(fault)).await);
        }
        let done = daemon::Cancel::done(daemon::Cancelled { id: other, was_running });
        drop(self.out.send(id, Body::Done(done)).await);
    }

    async fn ended(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let (task, failed) = match ended {
            Ok((task, ())) => (task, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some(id) = self.ids.remove(&task) else { return };
        self.running.remove(&id);
        if failed {
            self.failed(id).await;
        }
    }

    async fn failed(&self, id: u64) {
        let fault = Fault::new(FaultKind::Internal, "the daemon failed while it worked on this call")
            .hint("the log says where; whether the call had an effect is unknown");
        drop(self.out.send(id, Body::Fault(fault)).await);
    }

    /// The client sends nothing more: its calls go on until they are over or it hangs up.
    async fn finish(mut self) {
        // A hang-up after a half-close raises no event that tokio reports, so it is looked for.
        let mut look = tokio::time::interval(Duration::from_millis(250));
        while !self.tasks.is_empty() {
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                _ = look.tick() => if self.wire.is_hung_up() { return },
            }
        }
    }
}

/// What is no more than so many bytes holds no text and no list that is too long.
fn exceeded(length: usize, request: &Request) -> Option<Fault> {
    let what = (length > MAX_ENTRIES).then(|| limits::exceeded(&json::request_line(request))).flatten()?;
    Some(Fault::new(FaultKind::Invalid, what))
}

fn neither_form() -> Fault {
    Fault::new(FaultKind::Invalid, "this is neither a JSON line nor the binary form of the protocol")
        .hint(r#"send one JSON object a line, such as {"id":1,"call":{"status":{}}}"#)
}

fn no_hello() -> Fault {
    Fault::new(FaultKind::Invalid, "the hello of the binary form is missing, incomplete or of another version")
        .hint("one JSON object a line is understood, too")
}

/// Calls whose rows wait for their reader.
fn lists(call: &Call) -> bool {
    match call {
        Call::PinLs(_) | Call::PinHistory(_) | Call::PinDiff(_) | Call::VfsLs(_) | Call::AccessLog(_) => true,
        Call::StateSystem(StateSystem(ask)) | Call::StateNetwork(StateNetwork(ask)) => ask.history,
        Call::StateStorage(StateStorage(ask)) | Call::StateFiles(StateFiles(ask)) => ask.history,
        _ => false,
    }
}

fn many_calls(many: &Many, uid: u32) -> Fault {
    let detail = match many {
        Many::Calls(most) => format!("{most} calls of uid {uid} are under way"),
        Many::Listings(most) => format!("{most} listings of uid {uid} are being read"),
        Many::OfOthers(most) => format!("{most} listings of others are being read"),
    };
    Fault::new(FaultKind::Busy, detail).hint("ask again when one of them has ended")
}

fn too_slow() -> Fault {
    let detail = format!("a request has to be whole {} s after its first byte", REQUEST.as_secs());
    Fault::new(FaultKind::Invalid, detail)
}

fn many_long() -> Fault {
    Fault::new(FaultKind::Busy, "too many long requests are arriving").hint("send it again in a moment")
}

fn longer_than(limit: usize) -> Fault {
    Fault::new(FaultKind::Invalid, format!("a request is at most {limit} bytes long"))
}
