//! Connections that the daemon closes while a batch goes on.

use crate::stub::{Ran, V0, V1, kitctl};
use proto_msgs::binary::{self, Hello};
use proto_msgs::pin::{PinRemoved, PinRm};
use proto_msgs::verb::{Body, Request, Response, Verb};
use proto_msgs::{Fault, FaultKind, MAX_REQUEST, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

#[test]
fn a_batch_goes_on_after_a_pause_in_which_the_daemon_closed_the_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let (closed, is_closed) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut preamble = [0; binary::PREAMBLE.len()];
            stream.read_exact(&mut preamble).expect("a preamble");
            binary::read_frame(&mut stream, binary::MAX_HELLO).expect("a hello");
            let hello = [&binary::PREAMBLE[..], &binary::frame(&Hello::of("stub"))].concat();
            stream.write_all(&hello).expect("written");
            let frame = binary::read_frame(&mut stream, MAX_REQUEST).expect("a request");
            let request: Request = binary::decode(&frame).expect("a request");
            let body = Body::Done(PinRm::done(PinRemoved { cid: V0.to_owned(), generation: 1, given_up: false }));
            stream.write_all(&binary::frame(&Response { id: request.id, body })).expect("written");
            drop(stream);
            closed.send(()).expect("somebody waits");
        }
    });
    let mut command = kitctl(&["pin", "rm", "-", "--socket", socket.to_str().expect("UTF-8")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    for cid in [V0, V1] {
        writeln!(stdin, "{cid}").expect("written");
        is_closed.recv().expect("it asked, each time over a connection of its own");
    }
    drop(stdin);
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2), "{ran:?}");
}

#[test]
fn each_of_a_batch_is_denied_to_whom_the_daemon_does_not_let_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).expect("a socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let fault = Fault::new(FaultKind::Denied, "not for you");
            let line = json::response_line(&Response { id: 0, body: Body::Fault(fault) });
            // Closed without a look at what was asked.
            let _ = stream.write_all(&line);
        }
    });
    let ran = kitctl(&["pin", "info", V0, V1, "--socket", socket.to_str().expect("UTF-8")]).output();
    let ran = Ran::of(ran.expect("it runs"));
    assert_eq!((ran.code, ran.stderr.matches("not for you").count()), (Some(77), 2), "{ran:?}");
}
