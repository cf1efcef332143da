//! A blocking client. One connection, one call at a time.
//!
//! It never waits for ever on a daemon that has stopped answering, or answers a byte at a time: the connection and the hello have
//! [`HELLO`] to come, and a call with a deadline is given up [`GRACE`] after the daemon should have said so itself.
//!
//! ```no_run
//! use proto_msgs::pin::PinLs;
//! use proto_msgs::{Client, ClientError, Part};
//! use std::{path::Path, time::Duration};
//!
//! fn main() -> Result<(), ClientError> {
//!     let mut kitd = Client::connect(Path::new("/run/ipfs-kitd/ipfs-kitd.sock"), "my-program 1.0")?;
//!     let verb = PinLs { name: Some("holidays".to_owned()), ..PinLs::default() };
//!     let page = kitd.call_with(verb, Some(Duration::from_secs(10)), |part| {
//!         if let Part::PinLs(rows) = part {
//!             rows.pins.iter().for_each(|pin| println!("{} {:?}", pin.cid, pin.size));
//!         }
//!         Ok(())
//!     })?;
//!     println!("{} pins, as of {:?}", page.total, page.as_of);
//!     Ok(())
//! }
//! ```

use crate::binary::{self, Hello};
use crate::fault::Fault;
use crate::json;
use crate::snapshot::{SnapshotAt, SnapshotFd};
use crate::verb::{Body, Part, Request, Response, Verb};
use rustix::io::Errno;
use std::io::{self, BufRead, BufReader, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a daemon may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// Between two tries at a daemon with whom too many wait for a connection.
const AGAIN: Duration = Duration::from_millis(10);
/// How long after a call's deadline the daemon's own word about it is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers at this path.
    #[error("no ipfs-kitd answers at {path}")]
    Unreachable {
        /// What was tried.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to ipfs-kitd broke")]
    Broken(#[source] io::Error),
    /// The daemon closed the connection before the answer was whole.
    #[error("ipfs-kitd closed the connection before it had answered")]
    Closed,
    /// The daemon is there and gives no answer, or no whole one.
    #[error("ipfs-kitd has not answered within {:?}", .0)]
    Silent(Duration),
    /// The caller's own closure refused a part.
    #[error("a part of the answer could not be taken")]
    Part(#[source] io::Error),
    /// The peer speaks something else.
    #[error("what answers is no ipfs-kitd of a known version: {0}")]
    Foreign(String),
    /// The daemon answered with a fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What messages are read from.
struct Socket {
    stream: UnixStream,
    /// The descriptors that came, while one is expected; otherwise the kernel drops them.
    passed: Option<Vec<OwnedFd>>,
    /// Until when reading may wait, however many reads it takes.
    until: Option<Instant>,
}

impl Socket {
    fn new(stream: UnixStream) -> Socket {
        Socket { stream, passed: None, until: None }
    }

    /// Lets the next read wait for what is left of the time.
    fn wait_no_longer(&self) -> io::Result<()> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(left)
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        self.wait_no_longer()?;
        let Some(passed) = &mut self.passed else { return self.stream.read(into) };
        // There is room for one; the kernel closes what is too much.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let read = recvmsg(&self.stream, &mut [IoSliceMut::new(into)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                passed.extend(fds.take(2_usize.saturating_sub(passed.len())));
            }
        }
        Ok(read.bytes)
    }
}

enum Form {
    Binary,
    Json,
}

/// A connection to the daemon.
pub struct Client {
    stream: BufReader<Socket>,
    form: Form,
    next_id: u64,
}

impl Client {
    /// Connects and agrees on a form: binary when both sides were built from the same types, else JSON.
    /// `program` names the caller in the daemon's log.
    pub fn connect(path: &Path, program: &str) -> Result<Client, ClientError> {
        Client::connect_within(path, program, HELLO)
    }

    /// The same for a caller who has less time.
    pub fn connect_within(path: &Path, program: &str, time: Duration) -> Result<Client, ClientError> {
        let time = time.clamp(Duration::from_millis(1), HELLO);
        let until = Instant::now() + time;
        let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut stream = open(path, time)?;
        let mut hello = binary::PREAMBLE.to_vec();
        hello.extend_from_slice(&binary::frame(&Hello::of(program)));
        stream.get_mut().until = Some(until);
        write(&mut stream, &hello)?;
        match same_schema(&mut stream) {
            Ok(true) => Ok(Client { stream, form: Form::Binary, next_id: 0 }),
            Ok(false) => Client::json_within(path, left()),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Client::json_within(path, left()),
            Err(e) => Err(ended(e, time)),
        }
    }

    /// Connects in the JSON form.
    pub fn connect_json(path: &Path) -> Result<Client, ClientError> {
        Client::json_within(path, HELLO)
    }

    fn json_within(path: &Path, time: Duration) -> Result<Client, ClientError> {
        Ok(Client { stream: open(path, time)?, form: Form::Json, next_id: 0 })
    }

    /// Speaks the JSON form over a connection that there is already.
    pub fn over(stream: UnixStream) -> Client {
        Client { stream: buffered(stream), form: Form::Json, next_id: 0 }
    }

    /// Asks and waits for the reply; parts are dropped.
    pub fn call<V: Verb>(&mut self, verb: V) -> Result<V::Reply, ClientError> {
        self.call_with(verb, None, |_| Ok(()))
    }

    /// Asks with a deadline for the daemon's work and hands every part to `on_part`; an error from it ends the call, and
    /// the connection is of no further use.
    pub fn call_with<V: Verb>(
        &mut self,
        verb: V,
        deadline: Option<Duration>,
        mut on_part: impl FnMut(Part) -> io::Result<()>,
    ) -> Result<V::Reply, ClientError> {
        self.next_id += 1;
        let id = self.next_id;
        // 2^53 - 1 is what every language's JSON keeps; it is 285,000 years.
        let deadline_ms = deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX).min((1 << 53) - 1));
        let patience = deadline.map(|d| d.saturating_add(GRACE));
        self.stream.get_mut().until = patience.and_then(|patience| Instant::now().checked_add(patience));
        self.send(&Request { id, deadline_ms, call: verb.into() })?;
        loop {
            let response = self.receive().map_err(|error| match error {
                ClientError::Broken(e) => ended(e, patience.unwrap_or_default()),
                error => error,
            })?;
            let Some(response) = response.filter(|response| response.id == id || response.id == 0) else { continue };
            match response.body {
                Body::Part(part) => {
                    let came = Instant::now();
                    on_part(part).map_err(ClientError::Part)?;
                    // How long the caller takes for it is not the daemon's doing.
                    let until = &mut self.stream.get_mut().until;
                    *until = until.and_then(|until| until.checked_add(came.elapsed()));
                }
                Body::Fault(fault) => return Err(fault.into()),
                Body::Done(done) => {
                    return V::reply(done)
                        .ok_or_else(|| ClientError::Foreign(format!("it answered {} with another verb", V::NAME)));
                }
            }
        }
    }

    /// `snapshot fd`: the newest snapshot, and its `pins.arrow` as a descriptor for reading. It stays readable when the
    /// snapshot is long gone.
    pub fn snapshot_fd(&mut self, deadline: Option<Duration>) -> Result<(SnapshotAt, OwnedFd), ClientError> {
        self.stream.get_mut().passed = Some(Vec::new());
        let reply = self.call_with(SnapshotFd {}, deadline, |_| Ok(()));
        let passed = self.stream.get_mut().passed.take().unwrap_or_default();
        let at = reply?;
        match <[OwnedFd; 1]>::try_from(passed) {
            Ok([fd]) => Ok((at, fd)),
            Err(passed) => Err(ClientError::Foreign(format!("it sent {} descriptors with its answer", passed.len()))),
        }
    }

    /// Waits until the daemon closes the connection, which it does when it ends. `false` when it is still there after
    /// `within`.
    pub fn wait_for_end(mut self, within: Option<Duration>) -> bool {
        self.stream.get_mut().until = within.and_then(|within| Instant::now().checked_add(within));
        let mut rest = [0; 4096];
        loop {
            match self.stream.read(&mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return !timed_out(&e),
            }
        }
    }

    /// Whether the daemon has closed the connection, as it does with idle ones: nothing that is sent now has an effect.
    pub fn is_over(&self) -> bool {
        use rustix::net::{RecvFlags, recv};
        if !self.stream.buffer().is_empty() {
            return false;
        }
        let look = recv(&self.stream.get_ref().stream, &mut [0; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(look, Ok((0, _)) | Err(rustix::io::Errno::CONNRESET))
    }

    fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        let bytes = match self.form {
            Form::Binary => binary::frame(request),
            Form::Json => json::request_line(request),
        };
        write(&mut self.stream, &bytes)
    }

    /// `None`: something that may be passed over.
    fn receive(&mut self) -> Result<Option<Response>, ClientError> {
        match self.form {
            Form::Binary => {
                let frame = binary::read_frame(&mut self.stream, crate::MAX_RESPONSE).map_err(ClientError::Broken)?;
                binary::decode(&frame).map(Some).map_err(|e| ClientError::Foreign(e.to_string()))
            }
            Form::Json => {
                let mut line = Vec::new();
                let limit = crate::MAX_RESPONSE as u64;
                self.stream.by_ref().take(limit).read_until(b'\n', &mut line).map_err(ClientError::Broken)?;
                if line.last() != Some(&b'\n') {
                    return Err(match line.len() {
                        crate::MAX_RESPONSE => ClientError::Foreign("a line without an end".to_owned()),
                        _ => ClientError::Closed,
                    });
                }
                json::parse_response(&line).map_err(ClientError::Foreign)
            }
        }
    }
}

/// With room for what the socket of a daemon holds at a time, about.
fn buffered(stream: UnixStream) -> BufReader<Socket> {
    BufReader::with_capacity(64 << 10, Socket::new(stream))
}

/// Connects. A daemon that takes no connections leaves them to the kernel, which has room for some and lets the rest wait for
/// ever; so it is asked not to wait, and asked again.
fn open(path: &Path, time: Duration) -> Result<BufReader<Socket>, ClientError> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let until = Instant::now() + time;
    let unreachable = |source| ClientError::Unreachable { path: path.to_owned(), source };
    let failed = |error: Errno| unreachable(error.into());
    let address = SocketAddrUnix::new(path).map_err(failed)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => break,
            Err(Errno::AGAIN | Errno::INTR) if Instant::now() < until => thread::sleep(AGAIN),
            Err(Errno::AGAIN) => return Err(ClientError::Silent(time)),
            Err(error) => return Err(failed(error)),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).map_err(unreachable)?;
    Ok(buffered(stream))
}

/// Sends. A daemon that refuses the caller answers and closes without reading: its answer is worth more than our EPIPE.
fn write(stream: &mut BufReader<Socket>, bytes: &[u8]) -> Result<(), ClientError> {
    match stream.get_mut().stream.write_all(bytes) {
        Err(e) if !matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Err(ClientError::Broken(e))
        }
        _ => Ok(()),
    }
}

/// What a failed read means.
fn ended(error: io::Error, patience: Duration) -> ClientError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ClientError::Closed,
        io::ErrorKind::InvalidData => ClientError::Foreign(error.to_string()),
        _ if timed_out(&error) => ClientError::Silent(patience),
        _ => ClientError::Broken(error),
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

// `InvalidData`: the peer answers in another form (an older daemon, or one that refuses the caller in JSON).
fn same_schema(stream: &mut BufReader<Socket>) -> io::Result<bool> {
    let mut preamble = [0; binary::PREAMBLE.len()];
    stream.read_exact(&mut preamble)?;
    if preamble != binary::PREAMBLE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let frame = binary::read_frame(stream, binary::MAX_HELLO)?;
    let hello: Hello = binary::decode(&frame).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(hello.schema == Hello::of("").schema)
}
