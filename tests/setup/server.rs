//! A download page on loopback that can break in the ways real ones do.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct State {
    files: HashMap<String, Vec<u8>>,
    asked: Vec<(String, u64)>,
    cut_after: Option<usize>,
    down: bool,
    no_ranges: bool,
    gate: Option<(Sender<()>, Receiver<()>)>,
}

/// It lives as long as the test's process; its port is nobody else's until then.
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that hangs up is no fault of the server.
                thread::spawn(move || drop(answer(&state, &stream)));
            }
        });
        Self { state, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn serve(&self, name: &str, content: impl Into<Vec<u8>>) {
        self.with(|state| state.files.insert(format!("/{name}"), content.into()));
    }

    /// Closes the next answer that is longer than this many bytes after them, and is down from then on.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.with(|state| state.cut_after = Some(bytes));
    }

    pub(crate) fn is_up(&self, up: bool) {
        self.with(|state| state.down = !up);
    }

    pub(crate) fn knows_no_ranges(&self) {
        self.with(|state| state.no_ranges = true);
    }

    /// The next answer waits: the first end tells that it was asked for, the second lets it go.
    pub(crate) fn hold(&self) -> (Receiver<()>, Sender<()>) {
        let (asked, was_asked) = channel();
        let (release, released) = channel();
        self.with(|state| state.gate = Some((asked, released)));
        (was_asked, release)
    }

    /// From which byte each request for this file started.
    pub(crate) fn asked_for(&self, name: &str) -> Vec<u64> {
        self.with(|state| state.asked.iter().filter(|(path, _)| path[1..] == *name).map(|(_, from)| *from).collect())
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().expect("no test thread panicked with it"))
    }
}

/// A port that nobody listens on.
pub(crate) fn unreachable_url() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port on loopback");
    format!("http://127.0.0.1:{}", listener.local_addr().expect("an address").port())
}

fn answer(state: &Mutex<State>, mut stream: &TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut from = 0;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap_or(0);
        }
    }
    let (content, down, no_ranges, gate) = {
        let mut state = state.lock().expect("no test thread panicked with it");
        state.asked.push((path.clone(), from));
        (state.files.get(&path).cloned(), state.down, state.no_ranges, state.gate.take())
    };
    if let Some((asked, released)) = gate {
        // A test that has ended no longer waits; then there is nothing to hold back.
        asked.send(()).ok();
        released.recv().ok();
    }
    if down {
        return stream.write_all(b"HTTP/1.1 503 Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    let Some(content) = content else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    };
    let start = if no_ranges { 0 } else { usize::try_from(from).unwrap_or(usize::MAX) };
    if start > 0 && start >= content.len() {
        let head = format!(
            "HTTP/1.1 416 Range\r\nConnection: close\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\n\r\n",
            content.len()
        );
        return stream.write_all(head.as_bytes());
    }
    let body = &content[start..];
    let status = if start > 0 {
        format!("206 Partial\r\nContent-Range: bytes {start}-{}/{}", content.len() - 1, content.len())
    } else {
        "200 OK".to_owned()
    };
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    let cut = {
        let mut state = state.lock().expect("no test thread panicked with it");
        let cut = state.cut_after.take_if(|cut| *cut < body.len());
        state.down |= cut.is_some();
        cut
    };
    stream.write_all(&body[..cut.unwrap_or(body.len())])
}
