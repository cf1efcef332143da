//! The socket without a client, and as another user.

use crate::kit::{DEADLINE, Kit, eventually};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::thread;

pub(crate) struct Raw(pub(crate) BufReader<UnixStream>);

impl Raw {
    pub(crate) fn connect(kit: &Kit) -> Raw {
        Raw::over(UnixStream::connect(kit.socket()).expect("connected"))
    }

    pub(crate) fn over(stream: UnixStream) -> Raw {
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        Raw(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("sent");
    }

    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    pub(crate) fn at_end(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// Makes this thread another user; only root can. The C library would change all threads, the kernel changes one.
pub(crate) fn become_uid(uid: u32) {
    let uid = rustix::process::Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).expect("root");
}

/// Connects as another user.
pub(crate) fn connect_as(kit: &Kit, uid: u32) -> UnixStream {
    let socket = kit.socket();
    let connect = move || {
        become_uid(uid);
        UnixStream::connect(socket).expect("connected")
    };
    thread::spawn(connect).join().expect("connected")
}

/// Starts a daemon whose configuration lets these look at it.
pub(crate) fn start_open_to(kit: &mut Kit, uids: &[u32]) {
    start_granting(kit, "observe", uids);
}

/// The same at another level.
pub(crate) fn start_granting(kit: &mut Kit, level: &str, uids: &[u32]) {
    let config = kit.path("home/.config/ipfs-kitd/config.toml");
    std::fs::create_dir_all(config.parent().expect("a directory")).expect("made");
    let names: Vec<_> = uids.iter().map(u32::to_string).collect();
    std::fs::write(&config, format!("[access]\n{level} = {names:?}\n")).expect("written");
    kit.start_whole();
    std::fs::set_permissions(kit.path(""), PermissionsExt::from_mode(0o755)).expect("chmod");
    let mode = || std::fs::metadata(kit.socket()).map_or(0, |found| found.permissions().mode() & 0o777);
    eventually(|| mode() == 0o666, || kit.log());
}

/// The daemon's descriptors.
pub(crate) fn descriptors(kit: &Kit) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", kit.pid())).expect("the daemon is there");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}
