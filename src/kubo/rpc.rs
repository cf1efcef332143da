//! Kubo's RPC, over a Unix socket or a port of this machine. POST only, one connection a call, every call with a deadline.
//!
//! Kubo answers 200 and reports a late error only in the trailer `X-Stream-Error`, so no body is believed before its trailers
//! were read. Dropping a call closes its connection, which cancels it in Kubo.

use super::address::Address;
pub use super::error::RpcError;
use super::lines::Lines;
use base64::Engine;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proto_msgs::pin::{PinType, Progress};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::task::AbortOnDropHandle;

/// For answers that are short by nature.
const SHORT: usize = 1 << 20;
const STREAM_ERROR: &str = "x-stream-error";

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeId {
    /// The node's identity.
    pub peer_id: String,
    /// `kubo/0.43.1/…`.
    pub agent: String,
}

/// A cloneable way to Kubo's RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpc {
    address: Arc<Address>,
    /// What the RPC asks for, marked as secret.
    secret: Option<HeaderValue>,
}

/// What `kubo gc` has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blocks removed.
    pub blocks: u64,
    /// What could not be removed, the first [`MOST_ERRORS`].
    pub errors: Vec<String>,
}

/// Characters of Kubo's own words that are kept: they go into reports and events.
pub(super) const MESSAGE: usize = 1000;
/// For whether Kubo answers at all.
const ALIVE: Duration = Duration::from_secs(5);
/// The longest PeerID.
const PEER_ID: usize = 128;
/// Errors of a garbage collection that are kept.
const MOST_ERRORS: usize = 100;
/// For `swarm/peers`, of which a busy node has thousands.
const PEERS: usize = 16 << 20;
/// The empty directory, a CID that needs no block.
const EMPTY: &str = "bafyaabakaieac";

/// `pin/ls` in one answer.
#[derive(Deserialize)]
struct Keys {
    #[serde(rename = "Keys", default)]
    keys: HashMap<String, Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "Name", default)]
    name: String,
}

impl Keys {
    fn names(self) -> HashMap<String, Option<String>> {
        self.keys.into_iter().map(|(cid, pin)| (cid, Some(pin.name).filter(|name| !name.is_empty()))).collect()
    }
}

#[derive(Deserialize)]
struct KuboError {
    #[serde(rename = "Message")]
    message: String,
}

impl Rpc {
    /// The RPC at an address; nothing is connected yet.
    pub fn new(address: Address) -> Rpc {
        Rpc { address: Arc::new(address), secret: None }
    }

    /// The same for an RPC that asks for a secret, which is written as for Kubo's `--api-auth`: `bearer:…` or `basic:user:password`.
    /// `None` when it is written otherwise.
    pub fn with_secret(self, secret: &str) -> Option<Rpc> {
        let header = match secret.trim().split_once(':')? {
            ("bearer", token) => format!("Bearer {token}"),
            ("basic", pair) => format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)),
            _ => return None,
        };
        let mut header = HeaderValue::from_str(&header).ok()?;
        header.set_sensitive(true);
        Some(Rpc { secret: Some(header), ..self })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether Kubo says that it is well: not on its way down, and able to read its repo.
    pub async fn healthy(&self, deadline: Duration) -> Result<(), RpcError> {
        match in_time(deadline, self.call("diag/healthy", SHORT, |_| Ok(()))).await {
            Err(RpcError::Refused { message, .. }) if message.contains("shut") => {
                return Err(RpcError::Refused { status: 500, message });
            }
            // It also fetches the empty directory, which a repo may lack and the network not have; before 0.42 there is no such
            // call.
            Err(RpcError::Refused { .. } | RpcError::Deadline(_)) => {}
            answer => return answer.map(drop),
        }
        // One look into the pins, whichever way it ends.
        match self.pin_of(EMPTY, deadline).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How many peers it is connected to; `None` when it is offline.
    pub async fn peers(&self, deadline: Duration) -> Result<Option<u64>, RpcError> {
        #[derive(Deserialize)]
        struct Swarm {
            #[serde(rename = "Peers", default)]
            peers: Option<Vec<serde::de::IgnoredAny>>,
        }
        match in_time(deadline, self.call("swarm/peers", PEERS, |_| Ok(()))).await {
            Ok(body) => Ok(Some(parse::<Swarm>("swarm/peers", &body)?.peers.map_or(0, |peers| peers.len() as u64))),
            Err(RpcError::Refused { message, .. }) if message.contains("online mode") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what nothing keeps, for as long as it takes.
    pub async fn gc(&self, mut on_progress: impl FnMut(u64) + Send) -> Result<Collected, RpcError> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(rename = "Key")]
            key: Option<serde::de::IgnoredAny>,
            #[serde(rename = "Error", default)]
            error: String,
        }
        let mut collected = Collected::default();
        let each = self.lines("repo/gc?stream-errors=true", |line| {
            let line: Line = parse("repo/gc", line)?;
            if !line.error.is_empty() {
                if collected.errors.len() < MOST_ERRORS {
                    collected.errors.push(line.error.chars().take(MESSAGE).collect());
                }
            } else if line.key.is_some() {
                collected.blocks += 1;
                on_progress(collected.blocks);
            }
            Ok(())
        });
        each.await?;
        Ok(collected)
    }

    /// Whose fault a broken connection is: Kubo hangs up on a call that makes it panic, and goes on. Where it answers nobody it is
    /// unreachable, and the answer says nothing of what was asked.
    pub async fn attributed<T>(&self, answer: Result<T, RpcError>) -> Result<T, RpcError> {
        let Err(RpcError::Connection(error)) = answer else { return answer };
        match self.id(ALIVE).await {
            Ok(_) => Err(RpcError::Connection(error)),
            Err(_) => Err(RpcError::Unreachable(io::Error::new(io::ErrorKind::ConnectionReset, error))),
        }
    }

    /// Who answers there.
    pub async fn id(&self, deadline: Duration) -> Result<NodeId, RpcError> {
        #[derive(Deserialize)]
        struct Id {
            #[serde(rename = "ID")]
            peer_id: String,
            #[serde(rename = "AgentVersion", default)]
            agent: String,
        }
        let id: Id = self.short("id", "id", deadline).await?;
        // The data dir will belong to it for good.
        let plausible = (1..=PEER_ID).contains(&id.peer_id.len()) && id.peer_id.bytes().all(|b| b.is_ascii_graphic());
        if !plausible {
            return Err(RpcError::Malformed { call: "id", detail: "it names no node".to_owned() });
        }
        Ok(NodeId { peer_id: id.peer_id, agent: id.agent.chars().take(MESSAGE).collect() })
    }

    /// Kubo's version, `0.43.1`.
    pub async fn version(&self, deadline: Duration) -> Result<String, RpcError> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(rename = "Version")]
            version: String,
        }
        Ok(self.short::<Version>("version", "version", deadline).await?.version)
    }

    /// The whole body of an unstreamed listing of the pins of one type; an error unless it came whole.
    pub async fn pin_ls(
        &self,
        pin_type: PinType,
        names: bool,
        deadline: Duration,
        limit: usize,
    ) -> Result<Bytes, RpcError> {
        let call = format!("pin/ls?type={}&names={names}", pin_type.name());
        in_time(deadline, self.call(&call, limit, |_| Ok(()))).await
    }

    /// The same for more pins than fit into one answer: a line a pin, in no order.
    pub async fn pin_ls_stream(
        &self,
        pin_type: PinType,
        names: bool,
        deadline: Duration,
        take: impl FnMut(&[u8]) -> Result<(), RpcError> + Send,
    ) -> Result<(), RpcError> {
        let call = format!("pin/ls?type={}&names={names}&stream=true", pin_type.name());
        in_time(deadline, self.lines(&call, take)).await
    }

    /// The names of these pins, by CID as Kubo prints it; `None` when one of them is not pinned in this way.
    pub async fn pin_names(
        &self,
        pin_type: PinType,
        cids: &[String],
        deadline: Duration,
    ) -> Result<Option<HashMap<String, Option<String>>>, RpcError> {
        let args: String = cids.iter().map(|cid| format!("&arg={}", encoded(cid))).collect();
        let call = format!("pin/ls?type={}&names=true{args}", pin_type.name());
        match self.short::<Keys>("pin/ls", &call, deadline).await {
            Ok(found) => Ok(Some(found.names())),
            Err(RpcError::Refused { message, .. }) if message.contains("is not pinned") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What Kubo holds of exactly this CID now.
    pub async fn pin_of(&self, cid: &str, deadline: Duration) -> Result<Option<(PinType, Option<String>)>, RpcError> {
        // `all` may walk every block of every recursive pin.
        for pin_type in [PinType::Recursive, PinType::Direct] {
            if let Some(names) = self.pin_names(pin_type, &[cid.to_owned()], deadline).await? {
                return Ok(Some((pin_type, names.into_values().next().flatten())));
            }
        }
        Ok(None)
    }

    /// Pins, fetching what is missing, for as long as it takes; returns when Kubo has confirmed.
    pub async fn pin_add(
        &self,
        cid: &str,
        name: Option<&str>,
        pin_type: PinType,
        mut on_progress: impl FnMut(Progress) + Send,
    ) -> Result<(), RpcError> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(rename = "Pins")]
            pins: Option<Vec<String>>,
            #[serde(rename = "Progress")]
            progress: Option<u64>,
            #[serde(rename = "Bytes")]
            bytes: Option<u64>,
        }
        let recursive = pin_type == PinType::Recursive;
        let name = name.map(|name| format!("&name={}", encoded(name))).unwrap_or_default();
        let call = format!("pin/add?arg={}&recursive={recursive}&progress=true{name}", encoded(cid));
        let mut pinned = false;
        let each = self.lines(&call, |line| {
            let line: Line = parse("pin/add", line)?;
            pinned |= line.pins.is_some_and(|pins| !pins.is_empty());
            if let Some(blocks) = line.progress {
                on_progress(Progress { blocks, bytes: line.bytes });
            }
            Ok(())
        });
        each.await?;
        if pinned { Ok(()) } else { Err(RpcError::Cut("the confirmation is missing".to_owned())) }
    }

    /// Unpins.
    pub async fn pin_rm(&self, cid: &str, deadline: Duration) -> Result<(), RpcError> {
        self.short::<serde_json::Value>("pin/rm", &format!("pin/rm?arg={}", encoded(cid)), deadline).await.map(drop)
    }

    pub(super) async fn short<T: DeserializeOwned>(
        &self,
        name: &'static str,
        call: &str,
        deadline: Duration,
    ) -> Result<T, RpcError> {
        self.sized(name, call, deadline, SHORT).await
    }

    /// The same for an answer of up to `limit` bytes.
    pub(super) async fn sized<T: DeserializeOwned>(
        &self,
        name: &'static str,
        call: &str,
        deadline: Duration,
        limit: usize,
    ) -> Result<T, RpcError> {
        let body = in_time(deadline, self.call(call, limit, |_| Ok(()))).await?;
        parse(name, &body)
    }

    /// One that answers nothing.
    pub(super) async fn silent(&self, call: &str, deadline: Duration) -> Result<(), RpcError> {
        in_time(deadline, self.call(call, SHORT, |_| Ok(()))).await.map(drop)
    }

    /// The same for as long as it takes.
    pub(super) async fn slow<T: DeserializeOwned>(&self, name: &'static str, call: &str) -> Result<T, RpcError> {
        parse(name, &self.call(call, SHORT, |_| Ok(())).await?)
    }

    /// One call whose answer is a JSON value a line, for as long as it takes.
    pub(super) async fn lines(
        &self,
        call: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        let mut lines = Lines::default();
        self.call(call, usize::MAX, |chunk| lines.feed(chunk, &mut take)).await?;
        lines.last().map_or(Ok(()), take)
    }

    /// One call. Each chunk goes to `on_chunk`; a body within a `limit` of less than `usize::MAX` is collected, too.
    async fn call(
        &self,
        call: &str,
        limit: usize,
        mut on_chunk: impl FnMut(&[u8]) -> Result<(), RpcError>,
    ) -> Result<Bytes, RpcError> {
        let (mut body, _connection) = self.begin(call).await?;
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| RpcError::Cut(error.to_string()))?;
            match frame.into_data() {
                Ok(data) => {
                    on_chunk(&data)?;
                    if limit < usize::MAX {
                        if whole.len() + data.len() > limit {
                            return Err(RpcError::TooLarge { limit });
                        }
                        whole.extend_from_slice(&data);
                    }
                }
                Err(frame) => late_error(&frame.into_trailers().unwrap_or_default())?,
            }
        }
        Ok(whole.freeze())
    }

    /// Begins one call; what Kubo answers is still to be read. The second of the two is to be held until then.
    pub(super) async fn begin(&self, call: &str) -> Result<(Incoming, Connection), RpcError> {
        let (mut sender, connection) = match &*self.address {
            Address::Unix(path) => speak(UnixStream::connect(path).await).await?,
            Address::Tcp(socket) => speak(TcpStream::connect(socket).await).await?,
        };
        let host = match &*self.address {
            Address::Unix(_) => "kubo".to_owned(),
            Address::Tcp(socket) => socket.to_string(),
        };
        let mut request = Request::post(format!("/api/v0/{call}"))
            .header("host", host)
            .header("user-agent", concat!("ipfs-kitd/", env!("CARGO_PKG_VERSION")));
        if let Some(secret) = &self.secret {
            request = request.header("authorization", secret);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| RpcError::Malformed { call: "request", detail: error.to_string() })?;
        let response = sender.send_request(request).await.map_err(RpcError::Connection)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        Ok((response.into_body(), connection))
    }
}

/// What Kubo found wrong after it had begun to answer.
pub(super) fn late_error(trailers: &HeaderMap) -> Result<(), RpcError> {
    match trailers.get(STREAM_ERROR).filter(|error| !error.is_empty()) {
        Some(error) => Err(RpcError::Cut(String::from_utf8_lossy(error.as_bytes()).into_owned())),
        None => Ok(()),
    }
}

pub(super) type Connection = AbortOnDropHandle<Result<(), hyper::Error>>;

/// The second of the two is the connection's task, which ends with the call, whichever way that ends.
async fn speak<S>(stream: io::Result<S>) -> Result<(SendRequest<Empty<Bytes>>, Connection), RpcError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = stream.map_err(RpcError::Unreachable)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(RpcError::Connection)?;
    Ok((sender, AbortOnDropHandle::new(tokio::spawn(connection))))
}

async fn refused(response: Response<Incoming>) -> RpcError {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), SHORT).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let message = match serde_json::from_slice::<KuboError>(&body) {
        Ok(error) => error.message,
        Err(_) => format!("HTTP {status} {}", String::from_utf8_lossy(&body[..body.len().min(200)]).trim()),
    };
    RpcError::Refused { status: status.as_u16(), message: message.chars().take(MESSAGE).collect() }
}

pub(super) async fn in_time<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, RpcError>>,
) -> Result<T, RpcError> {
    tokio::time::timeout(deadline, call).await.unwrap_or(Err(RpcError::Deadline(deadline)))
}

pub(super) fn parse<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, RpcError> {
    serde_json::from_slice(body).map_err(|error| RpcError::Malformed { call, detail: error.to_string() })
}

pub(super) fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto_msgs::{Fault, FaultKind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// Answers one connection with these bytes and closes it.
    async fn answering(bytes: &'static [u8]) -> (tempfile::TempDir, Rpc) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("rpc.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.expect("a request");
            stream.write_all(bytes).await.expect("written");
        });
        (dir, Rpc::new(Address::Unix(path)))
    }

    const DEADLINE: Duration = Duration::from_secs(5);

    async fn listing(bytes: &'static [u8]) -> Result<Bytes, RpcError> {
        let (_dir, rpc) = answering(bytes).await;
        rpc.pin_ls(PinType::Recursive, true, DEADLINE, 1000).await
    }

    #[tokio::test]
    async fn a_listing_that_came_whole_is_believed() {
        let body = listing(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n",
        );
        assert_eq!(&body.await.expect("whole")[..], b"{}\n");
    }

    #[tokio::test]
    async fn a_listing_with_an_error_in_its_trailer_is_not_believed() {
        let body = listing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Stream-Error\r\n\r\n3\r\n{}\n\r\n0\r\nX-Stream-Error: disk on fire\r\n\r\n");
        assert!(matches!(body.await, Err(RpcError::Cut(why)) if why == "disk on fire"));
    }

    #[tokio::test]
    async fn a_listing_that_ends_early_is_not_believed() {
        let body = listing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n");
        assert!(matches!(body.await, Err(RpcError::Cut(_))));
        let body = listing(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}\n");
        assert!(matches!(body.await, Err(RpcError::Cut(_))));
    }

    #[tokio::test]
    async fn kubos_own_words_are_passed_on() {
        let body = listing(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 43\r\n\r\n{\"Message\":\"no\",\"Code\":0,\"Type\":\"error\"}   ");
        assert!(matches!(body.await, Err(RpcError::Refused { status: 500, message }) if message == "no"));
    }

    #[tokio::test]
    async fn more_than_the_limit_is_refused() {
        let (_dir, rpc) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789").await;
        let body = rpc.pin_ls(PinType::Direct, false, DEADLINE, 5).await;
        assert!(matches!(body, Err(RpcError::TooLarge { limit: 5 })));
    }

    #[tokio::test]
    async fn a_dead_socket_and_a_silent_one_are_told_apart() {
        let rpc = Rpc::new(Address::Unix("/nonexistent/rpc.sock".into()));
        assert!(matches!(rpc.id(DEADLINE).await, Err(RpcError::Unreachable(_))));
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("rpc.sock");
        let _listener = UnixListener::bind(&path).expect("bound");
        let short = Duration::from_millis(20);
        assert!(matches!(Rpc::new(Address::Unix(path)).id(short).await, Err(RpcError::Deadline(_))));
    }

    #[tokio::test]
    async fn a_pin_is_added_when_kubo_says_so_and_not_before() {
        let (_dir, rpc) =
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 39\r\n\r\n{\"Progress\":7,\"Bytes\":9}\n{\"Pins\":[\"a\"]}")
                .await;
        let mut seen = Vec::new();
        rpc.pin_add("a", None, PinType::Recursive, |p| seen.push(p.blocks)).await.expect("pinned");
        assert_eq!(seen, [7]);
        let (_dir, rpc) = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"Progress\":7}").await;
        let cut = rpc.pin_add("a", None, PinType::Recursive, |_| {}).await;
        assert!(matches!(cut, Err(RpcError::Cut(_))));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_closes_its_connection() {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("rpc.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let call =
            tokio::spawn(
                async move { Rpc::new(Address::Unix(path)).pin_add("a", None, PinType::Recursive, |_| {}).await },
            );
        let (mut stream, _) = listener.accept().await.expect("accepted");
        assert!(stream.read(&mut [0; 4096]).await.expect("a request") > 0);
        call.abort();
        assert_eq!(tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("in time").expect("read"), 0);
    }

    /// Answers one connection after another; `None` is Kubo's word for a CID that is not pinned in that way.
    async fn pin_of(
        answers: &'static [Option<&'static str>],
    ) -> (Result<Option<(PinType, Option<String>)>, RpcError>, String) {
        let dir = tempfile::tempdir().expect("a temp dir");
        let path = dir.path().join("rpc.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let server = tokio::spawn(async move {
            let mut asked = String::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.expect("a request");
                asked.push_str(String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default());
                let (status, body) = match answer {
                    Some(body) => ("200 OK", *body),
                    None => ("500 Internal Server Error", "{\"Message\":\"path 'a' is not pinned\",\"Code\":0}"),
                };
                let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).await.expect("written");
            }
            asked
        });
        let found = Rpc::new(Address::Unix(path)).pin_of("a", DEADLINE).await;
        (found, server.await.expect("no panic"))
    }

    #[tokio::test]
    async fn a_pin_is_looked_for_as_recursive_then_as_direct_and_never_as_all() {
        let (found, asked) = pin_of(&[None, Some("{\"Keys\":{\"a\":{\"Type\":\"direct\",\"Name\":\"n\"}}}")]).await;
        assert_eq!(found.expect("found"), Some((PinType::Direct, Some("n".to_owned()))));
        assert!(asked.contains("type=recursive") && asked.contains("type=direct") && !asked.contains("all"), "{asked}");
        let (found, _) = pin_of(&[Some("{\"Keys\":{\"a\":{\"Type\":\"recursive\",\"Name\":\"\"}}}")]).await;
        assert_eq!(found.expect("found"), Some((PinType::Recursive, None)));
        assert_eq!(pin_of(&[None, None]).await.0.expect("an answer"), None);
    }

    #[test]
    fn callers_can_tell_a_pin_that_is_not_there_from_a_kubo_that_is_not() {
        let refused =
            |status, message: &str| Fault::from(RpcError::Refused { status, message: message.to_owned() }).kind;
        assert_eq!(refused(500, "not pinned or pinned indirectly"), FaultKind::NotFound);
        assert_eq!(refused(400, "invalid path"), FaultKind::Invalid);
        assert_eq!(refused(500, "disk on fire"), FaultKind::Kubo);
        let gone = RpcError::Unreachable(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(Fault::from(gone).kind, FaultKind::KuboDown);
        assert_eq!(Fault::from(RpcError::Deadline(DEADLINE)).kind, FaultKind::Timeout);
    }
}
