//! The blocking client against peers of every kind: equal, of another version, refusing, foreign, dying.

use proto_msgs::binary::{self, Hello};
use proto_msgs::daemon::{Shutdown, ShuttingDown};
use proto_msgs::event::{Events, UnknownEvent, What};
use proto_msgs::kubo::KuboState;
use proto_msgs::pin::Progress;
use proto_msgs::verb::{Body, Part, Request, Response, Verb};
use proto_msgs::{Client, ClientError, Fault, FaultKind, MAX_REQUEST, MAX_RESPONSE, json};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A peer that treats each connection, one after the other, as the next of `turns` says.
struct Peer {
    dir: tempfile::TempDir,
    thread: JoinHandle<()>,
}

type Turn = Box<dyn FnOnce(UnixStream) + Send>;

fn peer(turns: Vec<Turn>) -> Peer {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(dir.path().join("s")).expect("a socket");
    let thread = thread::spawn(move || {
        for turn in turns {
            turn(listener.accept().expect("a client").0);
        }
    });
    Peer { dir, thread }
}

impl Peer {
    fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn end(self) {
        self.thread.join().expect("the peer's checks hold");
    }
}

fn done(id: u64) -> Response {
    Response { id, body: Body::Done(Shutdown::done(ShuttingDown { pid: 4 })) }
}

fn shake_hands(stream: &mut UnixStream, answer: &Hello) -> Hello {
    let mut preamble = [0; 6];
    stream.read_exact(&mut preamble).expect("a preamble");
    assert_eq!(preamble, binary::PREAMBLE);
    let hello = binary::read_frame(stream, binary::MAX_HELLO).expect("a hello");
    stream.write_all(&binary::PREAMBLE).expect("written");
    stream.write_all(&binary::frame(answer)).expect("written");
    binary::decode(&hello).expect("a hello")
}

fn json_turn(stream: UnixStream) {
    let mut line = Vec::new();
    BufReader::new(&stream).read_until(b'\n', &mut line).expect("a line");
    let request = json::parse_request(&line).expect("a request");
    (&stream).write_all(&json::response_line(&done(request.id))).expect("written");
}

#[test]
fn peers_of_the_same_types_speak_binary_call_after_call() {
    let peer = peer(vec![Box::new(|mut stream| {
        let hello = shake_hands(&mut stream, &Hello::of("peer"));
        assert_eq!(hello, Hello::of("test 1"));
        for _ in 0..3 {
            let frame = binary::read_frame(&mut stream, MAX_REQUEST).expect("a frame");
            let request: Request = binary::decode(&frame).expect("a request");
            // An answer to a call that nobody waits for is passed over.
            stream.write_all(&binary::frame(&done(request.id + 100))).expect("written");
            stream.write_all(&binary::frame(&done(request.id))).expect("written");
        }
    })]);
    let mut client = Client::connect(&peer.socket(), "test 1").expect("connected");
    for _ in 0..3 {
        assert_eq!(client.call(Shutdown {}).expect("an answer").pid, 4);
    }
    assert!(client.wait_for_end(None), "the peer closes");
    peer.end();
}

#[test]
fn a_peer_of_other_types_is_spoken_to_in_json() {
    let peer = peer(vec![
        Box::new(|mut stream| {
            let other = Hello { schema: "0".repeat(64), program: "newer".to_owned(), features: vec!["x".to_owned()] };
            shake_hands(&mut stream, &other);
        }),
        Box::new(json_turn),
    ]);
    let mut client = Client::connect(&peer.socket(), "test").expect("connected");
    assert_eq!(client.call(Shutdown {}).expect("an answer").pid, 4);
    peer.end();
}

/// A daemon of another schema, which answers each call in JSON by the lines that belong to its verb.
fn future(answers: &'static [(&'static str, &'static [&'static str])]) -> Peer {
    peer(vec![
        Box::new(|mut stream| {
            let other = Hello { schema: "0".repeat(64), program: "newer".to_owned(), features: vec!["x".to_owned()] };
            shake_hands(&mut stream, &other);
        }),
        Box::new(move |stream| {
            for (verb, lines) in answers {
                let mut line = Vec::new();
                BufReader::new(&stream).read_until(b'\n', &mut line).expect("a line");
                let request = json::parse_request(&line).expect("a request");
                assert_eq!(request.call.name(), *verb);
                for line in *lines {
                    let line = line.replace("ID", &request.id.to_string());
                    (&stream).write_all(line.as_bytes()).and_then(|()| (&stream).write_all(b"\n")).expect("written");
                }
            }
        }),
    ])
}

#[test]
fn what_a_newer_daemon_says_besides_is_passed_over_and_the_rest_is_understood() {
    let peer = future(&[
        (
            "events",
            &[
                r#"{"id":ID,"part":{"weather":{"rows":[{"rain":1}]}},"at":"noon"}"#,
                concat!(
                    r#"{"id":ID,"part":{"events":{"epoch":"e","gap":0,"mood":"calm","events":["#,
                    r#"{"seq":1,"at":"t","what":{"flood":{"depth":3}},"why":null},"#,
                    r#"{"seq":2,"at":"t","what":{"kubo":{"from":"running","to":"dreaming","cause":"","evidence":"","x":1}}},"#,
                    r#"{"seq":3,"at":"t","what":"tick"}]}}}"#,
                ),
                r#"{"id":ID,"done":{"events":{"epoch":"e","gap":0,"events":[]}},"took_ms":1}"#,
            ],
        ),
        ("shutdown", &[r#"{"id":ID,"fault":{"kind":"melted","detail":"d","hint":null,"degrees":900}}"#]),
        ("shutdown", &[r#"{"id":ID,"done":{"shutdown":{"pid":4,"sound":"click"}}}"#]),
    ]);
    let mut client = Client::connect(&peer.socket(), "test").expect("connected");
    let mut events = Vec::new();
    let page = client.call_with(Events { follow: true, ..Events::default() }, None, |part| {
        let Part::Events(page) = part else { panic!("{part:?}") };
        events.extend(page.events);
        Ok(())
    });
    assert_eq!(page.expect("an answer").state, None, "an older daemon has none");
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3], "each is counted");
    let unknown = |kind: &str, json: &str| What::Unknown(UnknownEvent { kind: kind.to_owned(), json: json.to_owned() });
    assert_eq!(events[0].what, unknown("flood", r#"{"depth":3}"#));
    assert!(matches!(&events[1].what, What::Kubo(change) if change.to == KuboState::Unknown), "{:?}", events[1]);
    assert_eq!(events[2].what, unknown("", r#""tick""#));
    match client.call(Shutdown {}) {
        Err(ClientError::Fault(fault)) => assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::Unknown, "d")),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.call(Shutdown {}).expect("an answer").pid, 4);
    peer.end();
}

#[test]
fn a_part_of_a_known_kind_that_cannot_be_read_is_no_answer() {
    // Passed over, its rows would be missing without a word.
    let peer = future(&[("shutdown", &[r#"{"id":ID,"part":{"pin_ls":{"pins":[{"cid":7}]}}}"#])]);
    let mut client = Client::connect(&peer.socket(), "test").expect("connected");
    assert!(matches!(client.call(Shutdown {}), Err(ClientError::Foreign(_))));
    peer.end();
}

#[test]
fn a_peer_whose_hello_is_too_long_or_no_hello_is_spoken_to_in_json() {
    for hello in [vec![0xff; 8], [&4_u32.to_le_bytes()[..], &[0xff; 4]].concat()] {
        let peer = peer(vec![
            Box::new(move |mut stream| {
                stream.write_all(&binary::PREAMBLE).expect("written");
                stream.write_all(&hello).expect("written");
            }),
            Box::new(json_turn),
        ]);
        let mut client = Client::connect(&peer.socket(), "test").expect("connected");
        assert_eq!(client.call(Shutdown {}).expect("an answer").pid, 4);
        peer.end();
    }
}

#[test]
fn a_refusal_is_heard_however_early_the_peer_closes() {
    let refuse = |stream: UnixStream| {
        let fault = Fault::new(FaultKind::Denied, "not for you");
        (&stream).write_all(&json::response_line(&Response { id: 0, body: Body::Fault(fault) })).expect("written");
    };
    let rounds = 100;
    let peer = peer((0..2 * rounds).map(|_| Box::new(refuse) as Turn).collect());
    for _ in 0..rounds {
        let refused = Client::connect(&peer.socket(), "test").and_then(|mut client| client.call(Shutdown {}));
        match refused {
            Err(ClientError::Fault(fault)) => assert_eq!(fault.kind, FaultKind::Denied),
            other => panic!("{other:?}"),
        }
    }
    peer.end();
}

#[test]
fn what_is_no_daemon_is_called_foreign() {
    let greet = |stream: UnixStream| (&stream).write_all(b"220 mail ready\r\n").expect("written");
    let peer = peer(vec![Box::new(greet), Box::new(greet)]);
    let foreign = Client::connect(&peer.socket(), "test").and_then(|mut client| client.call(Shutdown {}));
    assert!(matches!(foreign, Err(ClientError::Foreign(_))), "{foreign:?}");
    peer.end();
}

#[test]
fn an_answer_that_was_cut_is_a_closed_connection_in_both_forms() {
    let peer = peer(vec![
        Box::new(|mut stream| {
            shake_hands(&mut stream, &Hello::of("peer"));
            let _ = binary::read_frame(&mut stream, MAX_REQUEST).expect("a frame");
            let answer = binary::frame(&done(1));
            stream.write_all(&answer[..answer.len() - 1]).expect("written");
        }),
        Box::new(|stream| {
            let mut line = Vec::new();
            BufReader::new(&stream).read_until(b'\n', &mut line).expect("a line");
            let answer = json::response_line(&done(1));
            (&stream).write_all(&answer[..answer.len() - 3]).expect("written");
        }),
    ]);
    let mut client = Client::connect(&peer.socket(), "test").expect("connected");
    assert!(matches!(client.call(Shutdown {}), Err(ClientError::Closed)));
    let mut client = Client::connect_json(&peer.socket()).expect("connected");
    assert!(matches!(client.call(Shutdown {}), Err(ClientError::Closed)));
    peer.end();
}

#[test]
fn a_daemon_that_stops_answering_is_given_up_after_the_deadline() {
    let peer = peer(vec![Box::new(|mut stream| {
        shake_hands(&mut stream, &Hello::of("peer"));
        // Says nothing until the client is gone.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the client's end");
    })]);
    let mut client = Client::connect(&peer.socket(), "test").expect("connected");
    let silent = client.call_with(Shutdown {}, Some(Duration::from_millis(1)), |_| Ok(()));
    assert!(matches!(silent, Err(ClientError::Silent(_))), "{silent:?}");
    assert!(!client.wait_for_end(Some(Duration::from_millis(1))), "the peer is still there");
    peer.end();
}

#[test]
fn a_daemon_that_never_comes_to_an_end_is_given_up_after_the_deadline() {
    type Drip = fn(&mut UnixStream) -> std::io::Result<()>;
    // A byte at a time of a message that is long, and a message at a time of an answer that has no end.
    let bytes: Drip = |stream| {
        stream.write_all(&(MAX_RESPONSE as u32).to_le_bytes())?;
        (0..MAX_RESPONSE).try_for_each(|_| stream.write_all(&[0]))
    };
    let parts: Drip = |stream| {
        let part = Body::Part(Part::Progress(Progress { blocks: 1, bytes: None }));
        let part = binary::frame(&Response { id: 1, body: part });
        loop {
            stream.write_all(&part)?;
        }
    };
    for drip in [bytes, parts] {
        let peer = peer(vec![Box::new(move |mut stream| {
            shake_hands(&mut stream, &Hello::of("peer"));
            binary::read_frame(&mut stream, MAX_REQUEST).expect("a frame");
            let gone = drip(&mut stream).expect_err("the client hangs up before the end");
            assert!(matches!(gone.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{gone}");
        })]);
        let mut client = Client::connect(&peer.socket(), "test").expect("connected");
        let late = client.call_with(Shutdown {}, Some(Duration::from_millis(1)), |_| Ok(()));
        assert!(matches!(late, Err(ClientError::Silent(_))), "{late:?}");
        drop(client);
        peer.end();
    }
}

#[test]
fn where_nobody_listens_is_unreachable_and_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("none");
    match Client::connect(&path, "test").err() {
        Some(ClientError::Unreachable { path: tried, source }) => {
            assert_eq!((tried, source.kind()), (path, std::io::ErrorKind::NotFound));
        }
        other => panic!("{other:?}"),
    }
}

/// A listener that has room for one connection, and the one that takes it.
fn full(path: &Path) -> (OwnedFd, UnixStream) {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    bind(&listener, &SocketAddrUnix::new(path).expect("an address")).expect("bound");
    listen(&listener, 0).expect("listening");
    (listener, UnixStream::connect(path).expect("the first is let in"))
}

#[test]
fn a_daemon_that_takes_no_connections_is_given_up_as_one_that_says_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let _full = full(&path);
    let silent = Client::connect_within(&path, "test", Duration::from_millis(30)).err();
    assert!(matches!(silent, Some(ClientError::Silent(_))), "{silent:?}");
}

#[test]
fn whoever_finds_no_room_waits_for_some() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let (listener, first) = full(&path);
    let second = thread::spawn({
        let path = path.clone();
        move || Client::connect(&path, "test").and_then(|mut client| client.call(Shutdown {}))
    });
    let listener = UnixListener::from(listener);
    drop((listener.accept().expect("the first"), first));
    let (mut stream, _) = listener.accept().expect("the second");
    shake_hands(&mut stream, &Hello::of("peer"));
    let frame = binary::read_frame(&mut stream, MAX_REQUEST).expect("a frame");
    let request: Request = binary::decode(&frame).expect("a request");
    stream.write_all(&binary::frame(&done(request.id))).expect("written");
    assert_eq!(second.join().expect("no panic").expect("an answer").pid, 4);
}
