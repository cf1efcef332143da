//! A blocking client. One connection, one call at a time.

use crate::binary::{self, Hello};
use crate::fault::Fault;
use crate::json;
use crate::verb::{Body, Part, Request, Response, Verb};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// The peer speaks something else.
    #[error("what answers is no ipfs-kitd of a known version: {0}")]
    Foreign(String),
    /// The daemon answered with a fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

enum Form {
    Binary,
    Json,
}

/// A connection to the daemon.
pub struct Client {
    stream: BufReader<UnixStream>,
    form: Form,
    next_id: u64,
}

impl Client {
    /// Connects and agrees on a form: binary when both sides were built from the same types, else JSON.
    /// `program` names the caller in the daemon's log.
    pub fn connect(path: &Path, program: &str) -> Result<Client, ClientError> {
        let mut stream = open(path)?;
        let mut hello = binary::PREAMBLE.to_vec();
        hello.extend_from_slice(&binary::frame(&Hello::of(program)));
        let same = stream.get_mut().write_all(&hello).and_then(|()| same_schema(&mut stream));
        match same {
            Ok(true) => Ok(Client { stream, form: Form::Binary, next_id: 0 }),
            Ok(false) => Client::connect_json(path),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Client::connect_json(path),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(ClientError::Closed),
            Err(e) => Err(ClientError::Broken(e)),
        }
    }

    /// Connects in the JSON form.
    pub fn connect_json(path: &Path) -> Result<Client, ClientError> {
        Ok(Client { stream: open(path)?, form: Form::Json, next_id: 0 })
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
        let deadline_ms = deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        self.send(&Request { id, deadline_ms, call: verb.into() })?;
        loop {
            let response = self.receive()?;
            if response.id != id && response.id != 0 {
                continue;
            }
            match response.body {
                Body::Part(part) => on_part(part).map_err(ClientError::Broken)?,
                Body::Fault(fault) => return Err(fault.into()),
                Body::Done(done) => {
                    return V::reply(done)
                        .ok_or_else(|| ClientError::Foreign(format!("it answered {} with another verb", V::NAME)));
                }
            }
        }
    }

    /// Waits until the daemon closes the connection, which it does when it ends.
    pub fn wait_for_end(mut self) {
        let mut rest = [0; 4096];
        while matches!(self.stream.read(&mut rest), Ok(n) if n > 0) {}
    }

    fn send(&mut self, request: &Request) -> Result<(), ClientError> {
        let bytes = match self.form {
            Form::Binary => binary::frame(request),
            Form::Json => json::request_line(request),
        };
        // A daemon that refuses the caller answers and closes without reading: its answer is worth more than our EPIPE.
        match self.stream.get_mut().write_all(&bytes) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(ClientError::Broken(e)),
            _ => Ok(()),
        }
    }

    fn receive(&mut self) -> Result<Response, ClientError> {
        match self.form {
            Form::Binary => {
                let frame = binary::read_frame(&mut self.stream, crate::MAX_RESPONSE).map_err(closed)?;
                binary::decode(&frame).map_err(|e| ClientError::Foreign(e.to_string()))
            }
            Form::Json => {
                let mut line = Vec::new();
                let limit = crate::MAX_RESPONSE as u64;
                self.stream.by_ref().take(limit).read_until(b'\n', &mut line).map_err(closed)?;
                if line.is_empty() {
                    return Err(ClientError::Closed);
                }
                json::parse_response(&line).map_err(ClientError::Foreign)
            }
        }
    }
}

fn open(path: &Path) -> Result<BufReader<UnixStream>, ClientError> {
    UnixStream::connect(path)
        .map(BufReader::new)
        .map_err(|source| ClientError::Unreachable { path: path.to_owned(), source })
}

fn closed(error: io::Error) -> ClientError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => ClientError::Closed,
        _ => ClientError::Broken(error),
    }
}

// `InvalidData`: the peer answers in another form (an older daemon, or one that refuses the caller in JSON).
fn same_schema(stream: &mut BufReader<UnixStream>) -> io::Result<bool> {
    let mut preamble = [0; binary::PREAMBLE.len()];
    stream.read_exact(&mut preamble)?;
    if preamble != binary::PREAMBLE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let frame = binary::read_frame(stream, binary::MAX_HELLO)?;
    let hello: Hello = binary::decode(&frame).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(hello.schema == Hello::of("").schema)
}
